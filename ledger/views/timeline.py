"""Posts, newest first.

Order: descending by (time, device, log, seq). The time is the author's claim; one later than this
device first saw the block is taken as that moment, so that nobody stays on top of the list by
claiming to write from the future.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Literal, TypeAlias

from ledger.errors import MeaninglessError
from ledger.kinds.body import peek_time
from ledger.kinds.post import KIND, Post

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ledger.kinds.post import Attachment
    from ledger.store.base import Entry
    from ledger.views.people import People

Mark: TypeAlias = Literal["forked", "revoked", "detached"]
_Key: TypeAlias = tuple[int, bytes, int, int, bytes]


@dataclass(frozen=True, slots=True)
class FeedPost:
    """A post as it is shown.

    Attributes:
        id: Of its block.
        person: Whose device wrote it.
        device: Its author.
        log: Which of the device's logs.
        seq: Its place there.
        name: What the person calls himself.
        time: ms since 1970, as claimed, but no later than it was first seen here.
        text: As written; a face makes control characters harmless.
        reply_to: Id of the block it answers.
        attachments: Blobs it names.
        hops: How many devices passed it on, as claimed.
        mark: Why it does not weigh: ``forked`` or ``revoked``, or ``detached`` where older posts
            are missing. The first that applies, in this order.
    """

    id: bytes
    person: bytes
    device: bytes
    log: int
    seq: int
    name: str | None
    time: int
    text: str
    reply_to: bytes | None
    attachments: tuple[Attachment, ...]
    hops: int
    mark: Mark | None


class Timeline:
    """Gathers posts from entries.

    With a limit it keeps that many posts, and of each page decodes no more than could be among
    them, however many there are.
    """

    def __init__(
        self,
        people: People,
        *,
        persons: Collection[bytes] | None = None,
        hidden: Collection[bytes] = (),
        limit: int | None = None,
    ) -> None:
        """Start empty.

        Args:
            people: From the same entries.
            persons: Whose posts; None for everybody's.
            hidden: Whose not, by person or device; it may be known only later whose device one is.
            limit: How many at most, the newest; None for all.
        """
        self._people = people
        self._wanted = None if persons is None else frozenset(persons)
        self._hidden = frozenset(hidden)
        self._limit = limit
        self._kept: dict[_Key, tuple[Entry, Post]] = {}

    def add(self, page: Iterable[Entry]) -> None:
        """Take entries of any logs, in any order; blocks kept from a fork on, too."""
        floor = self._floor()
        found = [one for one in map(self._candidate, page) if one and one[0] > floor]
        if self._limit is not None:
            found.sort(key=itemgetter(0), reverse=True)
        before = len(self._kept)
        for key, entry, body in found:
            if self._limit is not None and len(self._kept) - before >= self._limit:
                break
            post = _read(body)
            if post is not None:
                self._kept[key] = entry, post
        self._trim()

    def posts(self) -> list[FeedPost]:
        """Return the posts so far, newest first."""
        return [self._shown(key, *self._kept[key]) for key in sorted(self._kept, reverse=True)]

    def _candidate(self, entry: Entry) -> tuple[_Key, Entry, bytes] | None:
        header, body = entry.block.header, entry.block.body
        if header.kind != KIND or body is None:
            return None
        if not self._is_shown(header.author):
            return None
        time = peek_time(body)
        if time is None:
            return None
        shown = min(time, entry.seen)
        return (shown, header.author, header.log, header.seq, entry.block.id), entry, body

    def _is_shown(self, device: bytes) -> bool:
        person = self._people.person(device)
        if person in self._hidden or device in self._hidden:
            return False
        return self._wanted is None or person in self._wanted

    def _floor(self) -> _Key | tuple[()]:
        """The key below which nothing can be among the newest."""
        return min(self._kept) if self._kept and len(self._kept) == self._limit else ()

    def _trim(self) -> None:
        if self._limit is not None and len(self._kept) > self._limit:
            newest = heapq.nlargest(self._limit, self._kept)
            self._kept = {key: self._kept[key] for key in newest}

    def _shown(self, key: _Key, entry: Entry, post: Post) -> FeedPost:
        time, device, log, seq, ident = key
        person = self._people.person(device)
        return FeedPost(
            id=ident,
            person=person,
            device=device,
            log=log,
            seq=seq,
            name=self._people.name(person),
            time=time,
            text=post.text,
            reply_to=post.reply_to.id if post.reply_to else None,
            attachments=post.attachments,
            hops=entry.hops,
            mark=self._people.weights.reason(device, log, seq)
            or (None if entry.joined else "detached"),
        )


def _read(body: bytes) -> Post | None:
    try:
        return Post.decode(body)
    except MeaninglessError:
        return None
