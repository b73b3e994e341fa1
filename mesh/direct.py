"""NodePort in this process: homes opened under their lock, used, and closed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.block import SALT_BYTES
from ledger.errors import PassalongError
from ledger.keys import PersonKey
from ledger.kinds.body import Reference
from ledger.kinds.describe import describe
from ledger.kinds.post import KIND, Post
from ledger.link import Link
from ledger.views.timeline import FeedPost, Timeline
from mesh import wiping
from mesh.acquaintances import forget_links, keep_link
from mesh.bundling import Bundling
from mesh.config import Config, ConfigError, load_config
from mesh.contacts import Contacts
from mesh.founding import forget_words, found, unshown
from mesh.inventory import Inventory
from mesh.news import News
from mesh.node import SOCIAL_LOG, Node, Surroundings, open_node
from mesh.paths import CONFIG
from mesh.rows import (
    AttachmentRow,
    Checked,
    ContactRow,
    Exported,
    FeedRow,
    Imported,
    Inspected,
    LogRow,
    Posted,
    Stick,
    WhoAmI,
)
from mesh.sneakernet import inspect_bundle
from mesh.vault_file import Wrapped, read_vault
from mesh.writer import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ledger.block import Block
    from ledger.views.people import People
    from mesh.port import File, NodePort, Progress, Subject

NEARBY_HOPS: Final = 3
NEARBY_MS: Final = 24 * 60 * 60 * 1_000
_SHORT_OF_ROOM: Final = (
    "there was no more room, and some of what others wrote was let go; to keep more, write a larger"
    " room_mb into config.toml"
)
_DIGITS: Final = re.compile("[0-9a-f]{1,64}")
_LEAST_DIGITS: Final = 8
_LAST: Final = 1 << 40


class NotFoundError(PassalongError):
    """Nothing is known by what was given, or more than one."""


@dataclass(frozen=True, slots=True)
class NewHome:
    """A home that was just made.

    Attributes:
        words: The person's 24 recovery words; nobody can show them again.
        resumed: It was made earlier, and stopped before its words were shown.
    """

    person: bytes
    device: bytes
    name: str | None
    words: list[str] = field(repr=False)
    resumed: bool


def real_world() -> Surroundings:
    """Return the machine's clocks and randomness."""
    return Surroundings(lambda: time.time_ns() // 1_000_000, os.urandom, _steady)


def _steady() -> float:
    """Return seconds since the machine was started, those in which it slept as well."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):  # Linux; macOS
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()


async def init_home(
    folder: Path,
    name: str | None,
    around: Surroundings | None = None,
    *,
    passphrase: str | None = None,
) -> NewHome:
    """Make a home for a new person; or give again the words of one whose were never shown.

    Args:
        folder: Where.
        name: What the person wants to be called.
        around: Clocks and randomness; None for the machine's.
        passphrase: Guards the device's keys, which are locked then; None for nothing that does.

    Raises:
        PortError: There is a home already, or the folder or the passphrase cannot be used.
    """
    around = around or real_world()
    waiting = await unshown(folder, around, passphrase)
    if waiting is not None:
        secrets, person = waiting
        async with open_port(folder, around) as port:
            name = (await port.whoami()).name
    else:
        person = PersonKey(around.random(32))
        secrets = await found(folder, person, name, around, show_words=True, passphrase=passphrase)
    return NewHome(
        secrets.person, secrets.keys.public, name, person.words, resumed=waiting is not None
    )


async def confirm_words(folder: Path, around: Surroundings | None = None) -> None:
    """Forget the words, now that they were shown."""
    await forget_words(folder, around or real_world())


async def restore_home(
    folder: Path, words: str, name: str | None, around: Surroundings | None = None
) -> WhoAmI:
    """Make a home for a new device of the person whose words these are.

    Raises:
        PortError: The words are wrong, or there is a home that is in order.
    """
    around = around or real_world()
    person = PersonKey.from_words(words)
    await found(folder, person, name, around, show_words=False)
    async with open_port(folder, around) as port:
        return await port.whoami()


@asynccontextmanager
async def open_port(
    folder: Path, around: Surroundings | None = None, *, is_command: bool = False
) -> AsyncIterator[NodePort]:
    """Open the home in ``folder`` for as long as the context lasts.

    Args:
        folder: Where it is.
        around: Clocks and randomness; None for the machine's.
        is_command: Whether it is for one short command: unlocking it then lasts as long as the
            login.

    Raises:
        PortError: There is none, another process keeps it, or it cannot be used.
    """
    async with open_node(folder, around or real_world(), is_command=is_command) as node:
        yield DirectPort(node)


def has_passphrase(folder: Path) -> bool:
    """Say whether a passphrase guards the keys of the home in ``folder``; nothing is opened.

    Raises:
        PortError: Its vault is damaged.
    """
    vault = read_vault(folder)
    return vault is not None and isinstance(vault.held, Wrapped)


async def wipe_home(folder: Path, around: Surroundings | None = None) -> list[str]:
    """Destroy the keys of the home in ``folder``, then all that is in it.

    Returns:
        Names of what is left there, because it is not ours.

    Raises:
        PortError: There is none, another process keeps it, or something cannot be removed.
    """
    try:
        wait_s = load_config(folder / CONFIG).lock_wait_s
    except ConfigError:  # it goes as well
        wait_s = Config().lock_wait_s
    return await wiping.wipe_home(folder, around or real_world(), wait_s)


async def inspect_file(source: File, *, progress: Progress | None = None) -> Inspected:
    """Say what a bundle holds; no home is needed for that.

    Raises:
        PortError: It cannot be read, or is no bundle.
    """
    return await asyncio.to_thread(inspect_bundle, source, progress=progress)


class DirectPort:
    """Satisfies ``NodePort``."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._store = node.store
        self._contacts = Contacts(node)
        self._inventory = Inventory(node)
        self._bundles = Bundling(node, self._contacts, self._inventory)
        self._news = News()

    async def whoami(self) -> WhoAmI:
        me = self._node.me
        name = (await self._node.people()).name(me.person)
        return WhoAmI(me.person, me.device, name, me.encode())

    async def post(self, text: str, *, reply_to: str | None = None) -> Posted:
        around = self._node.around
        answered = None if reply_to is None else _refer(await self._find(reply_to))
        post = Post(around.now(), text, answered)
        draft = Draft(SOCIAL_LOG, KIND, post.encode(around.random(SALT_BYTES)))
        block = await self._node.writer.write(draft)
        self._news.tell("feed")
        return Posted(block.id, block.header.seq)

    async def _find(self, text: str) -> Block:
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
        everyone: bool = False,
        nearby: bool = False,
        author: str | None = None,
        limit: int | None = None,
    ) -> list[FeedRow]:
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

    async def follow(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.give(person, "following"))

    async def unfollow(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.take_back(person, "following"))

    async def mute(self, person: str) -> ContactRow:
        return self._shown(await self._contacts.give(person, "muted"))

    async def unmute(self, person: str) -> ContactRow:
        return self._shown(await self._contacts.take_back(person, "muted"))

    async def block(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.give(person, "blocked"))

    async def unblock(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.take_back(person, "blocked"))

    def _changed(self, row: ContactRow) -> ContactRow:
        """Note that this node cares about others than before."""
        self._inventory.forget()
        return self._shown(row)

    def _shown(self, row: ContactRow) -> ContactRow:
        self._news.tell("feed", "contacts")
        return row

    async def add_contact(self, link: str) -> ContactRow:
        given = Link.parse(link)
        row = await self._contacts.give(link, "added")
        await keep_link(self._node, given)
        return self._changed(row)

    async def remove_contact(self, person: str) -> ContactRow:
        row = await self._contacts.take_back(person, "added")
        await forget_links(self._node, row.person)
        return self._changed(row)

    async def contacts(self) -> list[ContactRow]:
        return await self._contacts.rows()

    async def log(self, person: str | None = None, *, first: int = 1) -> list[LogRow]:
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

    async def export_bundle(
        self,
        target: File,
        *,
        to: Sequence[str] = (),
        seal: bool = False,
        max_bytes: int | None = None,
        part_bytes: int | None = None,
        progress: Progress | None = None,
    ) -> Exported:
        return await self._bundles.export_bundle(
            target, to=to, seal=seal, max_bytes=max_bytes, part_bytes=part_bytes, progress=progress
        )

    async def import_bundle(self, source: File, *, progress: Progress | None = None) -> Imported:
        done = await self._bundles.import_bundle(source, progress=progress)
        self._news.tell("feed", "contacts")
        return done

    async def import_folder(self, folder: Path, *, progress: Progress | None = None) -> Stick:
        done = await self._bundles.import_folder(folder, progress=progress)
        self._news.tell("feed", "contacts")
        return done

    async def inspect_bundle(self, source: File) -> Inspected:
        return await self._bundles.inspect_bundle(source)

    async def lock(self, passphrase: str | None = None, *, new: bool = False) -> None:
        await self._node.lock(passphrase, new=new)
        self._news.tell("status")

    async def unlock(self, passphrase: str, *, forget: bool = False) -> None:
        await self._node.unlock(passphrase, forget=forget)
        self._news.tell("status")

    def changes(self) -> AsyncIterator[AbstractSet[Subject]]:
        return self._news.watch()

    async def check(self) -> Checked:
        problems = await self._store.check()
        logs = await self._store.logs()
        blocks = sum(piece.high - piece.low + 1 for log in logs for piece in log.pieces)
        return Checked(blocks, len(logs), problems)


def _refer(block: Block) -> Reference:
    header = block.header
    return Reference(header.author, header.log, header.seq, block.id)


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
