"""What a home is asked about posts and logs, answered from its store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ledger.errors import PassalongError
from ledger.kinds.describe import describe
from ledger.views.timeline import FeedPost, Timeline
from mesh.node import SOCIAL_LOG
from mesh.rows import AttachmentRow, FeedRow, LogRow

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.views.people import People
    from mesh.contacts import Contacts
    from mesh.node import Node

NEARBY_HOPS: Final = 3
NEARBY_MS: Final = 24 * 60 * 60 * 1_000
_DIGITS: Final = re.compile("[0-9a-f]{1,64}")
_LEAST_DIGITS: Final = 8
_LAST: Final = 1 << 40


class NotFoundError(PassalongError):
    """Nothing is known by what was given, or more than one."""


class Reading:
    """Questions about posts and logs of an open home; see ``NodePort`` for what each means.

    Args:
        node: It.
        contacts: Who is meant by a name, and whose posts are hidden.
    """

    def __init__(self, node: Node, contacts: Contacts) -> None:
        self._node = node
        self._store = node.store
        self._contacts = contacts

    async def find(self, text: str) -> Block:
        """Return the block that an id, or its first 8 digits or more, names.

        Raises:
            NotFoundError: There is none, or more than one.
        """
        digits = text.strip().lower()
        if not _DIGITS.fullmatch(digits):
            raise NotFoundError(f"{text!r} is not an id; ids are hex digits, see `feed`")
        if len(digits) < _LEAST_DIGITS:
            raise NotFoundError(f"{text} is too short; give at least {_LEAST_DIGITS} digits")
        found = await self._store.find(bytes.fromhex(digits[: len(digits) & ~1]))
        blocks = [block for block in found if block.id.hex().startswith(digits)]
        if len(blocks) != 1:
            raise NotFoundError(
                f"no post has the id {text}; see `feed`"
                if not blocks
                else f"{len(blocks)} posts have ids that begin with {text}; give more digits"
            )
        return blocks[0]

    async def feed(
        self,
        *,
        everyone: bool,
        nearby: bool,
        author: str | None,
        limit: int | None,
    ) -> list[FeedRow]:
        """Return posts, newest first."""
        people = await self._node.people()
        persons: set[bytes] | None = None
        if author is not None:
            persons = {await self._contacts.find(author, people)}
        elif nearby:
            persons = await self._nearby(people)
        elif not everyone:
            persons = {one.person for one in await self._store.known() if one.following}
            persons.add(self._node.me.person)
        hidden = await self._contacts.hidden() if author is None else ()
        timeline = Timeline(people, persons=persons, hidden=hidden, limit=limit)
        async for page in self._store.entries(SOCIAL_LOG):
            timeline.add(page)
        return [_feed_row(post) for post in timeline.posts()]

    async def _nearby(self, people: People) -> set[bytes]:
        since = self._node.around.now() - NEARBY_MS
        near: set[bytes] = set()
        async for page in self._store.entries():
            near |= {
                people.person(entry.block.header.author)
                for entry in page
                if 0 < entry.hops <= NEARBY_HOPS and entry.seen >= since
            }
        return near

    async def log(self, person: str | None, *, first: int) -> list[LogRow]:
        """Return the blocks of a person's devices."""
        people = await self._node.people()
        whose = self._node.me.person
        if person is not None:
            whose = await self._contacts.find(person, people)
        devices = set(people.devices(whose))
        rows: list[LogRow] = []
        for log in await self._store.logs():
            if log.author in devices:
                key, low = (log.author, log.number), first
                while blocks := await self._store.read(key, low, _LAST):
                    rows += map(_log_row, blocks)
                    low = blocks[-1].header.seq + 1
                rows += [
                    _log_row(b) for b in await self._store.branches(key) if b.header.seq >= low
                ]
        return rows


def _feed_row(post: FeedPost) -> FeedRow:
    return FeedRow(
        id=post.id,
        author=post.person,
        device=post.device,
        name=post.name,
        time=post.time,
        text=post.text,
        reply_to=post.reply_to,
        attachments=[AttachmentRow(a.hash, a.size, a.type, a.name) for a in post.attachments],
        hops=post.hops,
        mark=post.mark,
    )


def _log_row(block: Block) -> LogRow:
    header = block.header
    said = describe(header.kind, block.body)
    time_ms = said[0] if said and isinstance(said[0], int) else None
    return LogRow(
        block.id, header.author, header.log, header.seq, header.kind, time_ms, said and said[1:]
    )
