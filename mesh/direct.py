"""NodePort in this process: homes opened under their lock, used, and closed."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ledger.block import SALT_BYTES
from ledger.keys import PersonKey
from ledger.kinds.body import Reference
from ledger.kinds.post import KIND, Post
from ledger.link import Link
from mesh import wiping
from mesh.acquaintances import forget_links, keep_link
from mesh.config import Config, ConfigError, load_config
from mesh.contacts import Contacts
from mesh.founding import forget_words, found, unshown
from mesh.home import HomeError, NodeRunsError
from mesh.news import News
from mesh.node import SOCIAL_LOG, Node, Surroundings, open_node
from mesh.opening import is_served
from mesh.paths import CONFIG
from mesh.reading import Reading
from mesh.rows import (
    Checked,
    ContactRow,
    Exported,
    FeedRow,
    Imported,
    Inspected,
    LogRow,
    Posted,
    Status,
    Stick,
    WhoAmI,
)
from mesh.vault_file import Wrapped, read_vault
from mesh.writer import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ledger.block import Block
    from ledger.store.base import Absorbed
    from mesh.bundling import Bundling
    from mesh.inventory import Inventory
    from mesh.peers import Peers
    from mesh.port import File, NodePort, Progress, Subject
    from mesh.rows import PeerRow, Synced, TransportRow
    from mesh.visits import Visits


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
    if await is_served(folder):
        raise HomeError(f"there is a home in {folder}; use it, or name another with --home")
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
    if await is_served(folder):
        raise NodeRunsError(f"a node runs on {folder}; stop it, then restore, or use --home")
    await found(folder, person, name, around, show_words=False)
    async with open_port(folder, around) as port:
        return await port.whoami()


@asynccontextmanager
async def open_port(
    folder: Path,
    around: Surroundings | None = None,
    is_running: Callable[[], Awaitable[bool]] | None = None,
    *,
    is_command: bool = False,
) -> AsyncIterator[NodePort]:
    """Open the home in ``folder`` for as long as the context lasts; see ``mesh.opening`` too.

    Args:
        folder: Where it is.
        around: Clocks and randomness; None for the machine's.
        is_running: Says whether a node answers there, once the home is found taken.
        is_command: Whether it is for one short command: unlocking it then lasts as long as the
            login.

    Raises:
        NodeRunsError: One does.
        PortError: There is no home, another process keeps it, or it cannot be used.
    """
    async with open_node(folder, around or real_world(), is_running, is_command=is_command) as node:
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
    from mesh.sneakernet import inspect_bundle  # noqa: PLC0415  slow, and needed here only

    return await asyncio.to_thread(inspect_bundle, source, progress=progress)


class DirectPort:
    """Satisfies ``NodePort``.

    What meets, carries and packs is made, and its code read, when it is first needed: most commands
    ask for something short.

    Args:
        node: An open home.
        live: Whether it stays in its meetings once all is equal, as a node does that runs.

    Attributes:
        listening: Says how others may come to it.
        stopping: Has it end, if it runs until somebody does.
    """

    def __init__(self, node: Node, *, live: bool = False) -> None:
        self._node = node
        self._store = node.store
        self._contacts = Contacts(node)
        self._reading = Reading(node, self._contacts)
        self._news = News()
        self._live = live
        self._began = node.around.steady() if live else None
        node.writer.heard = self._heard_first
        self.listening: Callable[[], list[TransportRow]] = list
        self.stopping: Callable[[], None] | None = None

    @cached_property
    def _inventory(self) -> Inventory:
        from mesh.inventory import Inventory  # noqa: PLC0415

        inventory = Inventory(self._node, live=self._live)
        inventory.listen_for_batches(self._heard)
        return inventory

    @cached_property
    def _bundles(self) -> Bundling:
        from mesh.bundling import Bundling  # noqa: PLC0415

        return Bundling(self._node, self._contacts, self._inventory)

    @cached_property
    def peers_here(self) -> Peers:
        """Whom it is linked with."""
        from mesh.peers import Peers  # noqa: PLC0415

        return Peers(self._node, self._inventory, self._news)

    @cached_property
    def visits(self) -> Visits:
        """Its visits to others."""
        from mesh.visits import Visits  # noqa: PLC0415

        return Visits(self._node, self.peers_here)

    async def _heard_first(self, absorbed: Absorbed) -> None:
        """Take what the writer tells until the inventory does."""
        await self._inventory.heard(absorbed)

    def _heard(self, absorbed: Absorbed) -> None:
        if absorbed.is_news:
            self._news.tell("feed", "contacts", "status")

    async def whoami(self) -> WhoAmI:
        me = self._node.me
        name = (await self._node.people()).name(me.person)
        return WhoAmI(me.person, me.device, name, me.encode())

    async def post(self, text: str, *, reply_to: str | None = None) -> Posted:
        around = self._node.around
        answered = None if reply_to is None else _refer(await self._reading.find(reply_to))
        post = Post(around.now(), text, answered)
        draft = Draft(SOCIAL_LOG, KIND, post.encode(around.random(SALT_BYTES)))
        block = await self._node.writer.write(draft)
        return Posted(block.id, block.header.seq)

    async def feed(
        self,
        *,
        everyone: bool = False,
        nearby: bool = False,
        author: str | None = None,
        limit: int | None = None,
    ) -> list[FeedRow]:
        return await self._reading.feed(
            everyone=everyone, nearby=nearby, author=author, limit=limit
        )

    async def follow(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.give(person, "following"))

    async def unfollow(self, person: str) -> ContactRow:
        return self._changed(await self._contacts.take_back(person, "following"))

    async def mute(self, person: str) -> ContactRow:
        return self._shown(await self._contacts.give(person, "muted"))

    async def unmute(self, person: str) -> ContactRow:
        return self._shown(await self._contacts.take_back(person, "muted"))

    async def block(self, person: str) -> ContactRow:
        row = self._changed(await self._contacts.give(person, "blocked"))
        await forget_links(self._node, row.person)
        return row

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
        row = self._changed(await self._contacts.take_back(person, "added"))
        await forget_links(self._node, row.person)
        return row

    async def contacts(self) -> list[ContactRow]:
        return await self._contacts.rows()

    async def log(self, person: str | None = None, *, first: int = 1) -> list[LogRow]:
        return await self._reading.log(person, first=first)

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
        return await self._bundles.import_bundle(source, progress=progress)

    async def import_folder(self, folder: Path, *, progress: Progress | None = None) -> Stick:
        return await self._bundles.import_folder(folder, progress=progress)

    async def inspect_bundle(self, source: File) -> Inspected:
        return await self._bundles.inspect_bundle(source)

    async def status(self) -> Status:
        node = self._node
        bag = await self._inventory.mailbag()
        carried = bag.mail.carried.values()
        since = self._began
        return Status(
            person=node.me.person,
            device=node.me.device,
            name=(await node.people()).name(node.me.person),
            running=since is not None,
            running_s=None if since is None else int(node.around.steady() - since),
            locked=node.is_locked,
            has_passphrase=node.has_passphrase,
            transports=self.listening(),
            peers=len(self.peers_here),
            logs=len(await node.store.logs()),
            held_bytes=await node.store.size(),
            cap_bytes=node.quota.cap,
            envelopes=len(carried),
            mail_bytes=sum((await node.store.mail_sizes()).values()),
        )

    async def peers(self) -> list[PeerRow]:
        return await self.peers_here.rows(await self._node.people())

    async def sync(self, address: str, *, progress: Progress | None = None) -> Synced:
        return await self.visits.sync(address, progress=progress)

    async def settle(self) -> None:
        """Let go mail that has lived, and keep how much time has passed; see ``Mailbag.settle``."""
        await self._inventory.mailbag()

    async def lock(self, passphrase: str | None = None, *, new: bool = False) -> None:
        await self._node.lock(passphrase, new=new)
        self._news.tell("status")

    async def unlock(self, passphrase: str, *, forget: bool = False) -> None:
        await self._node.unlock(passphrase, forget=forget)
        self._news.tell("status")

    async def stop(self) -> bool:
        if self.stopping is None:
            return False
        self.stopping()
        return True

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
