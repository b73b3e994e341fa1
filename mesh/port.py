"""NodePort: what any face (command line, app, script) may ask of a node, and what it gets.

Rows are plain and frozen; ids and keys are bytes, times integer ms since 1970, sizes bytes.
``mesh.direct`` answers in this process. Whatever is refused or fails is a ``PortError`` whose
message is one line that says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, TypeAlias

from ledger.errors import PassalongError as PortError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from mesh.rows import (
        Checked,
        ContactRow,
        Exported,
        FeedRow,
        Imported,
        Inspected,
        LogRow,
        PeerRow,
        Posted,
        Status,
        Stick,
        Synced,
        WhoAmI,
    )

__all__ = ["NodePort", "PortError"]

Progress: TypeAlias = "Callable[[int, int | None], None]"
"""Told what is done so far and, where it is known, of how much; bytes or blocks."""
File: TypeAlias = "Path | BinaryIO"
"""A path, or a stream that is read or written once, from its beginning."""
Subject: TypeAlias = Literal["feed", "contacts", "peers", "status"]
"""What a face shows, and may have to show anew."""


class NodePort(Protocol):
    """A node, as far as faces are concerned. PERSON arguments are text as a person types them."""

    async def whoami(self) -> WhoAmI:
        """Return whose node this is."""
        ...

    async def post(self, text: str, *, reply_to: str | None = None) -> Posted:
        """Write a post; returns once it is on the disk for good.

        Args:
            text: 1 .. 8,192 bytes of UTF-8.
            reply_to: Id, or at least 8 digits of it, of the post it answers.
        """
        ...

    async def feed(
        self,
        *,
        everyone: bool = False,
        nearby: bool = False,
        author: str | None = None,
        limit: int | None = None,
    ) -> list[FeedRow]:
        """Return posts, newest first: of oneself and whom one follows, unless told otherwise.

        Those of persons who are muted or blocked are shown with ``author`` only.

        Args:
            everyone: Of all persons.
            nearby: Of persons heard of within 3 hops and the last 24 hours.
            author: Of this person only.
            limit: At most so many; None for all.
        """
        ...

    async def follow(self, person: str) -> ContactRow:
        """Follow a person who is not blocked; nobody else learns it."""
        ...

    async def unfollow(self, person: str) -> ContactRow:
        """Follow a person no longer."""
        ...

    async def mute(self, person: str) -> ContactRow:
        """Hide what a person writes; it is held and passed on as before."""
        ...

    async def unmute(self, person: str) -> ContactRow:
        """Show again what a muted person writes."""
        ...

    async def block(self, person: str) -> ContactRow:
        """Hide what a person writes, take in and pass on nothing of it, and follow him no longer.

        What is held stays until room is short.
        """
        ...

    async def unblock(self, person: str) -> ContactRow:
        """Take in and pass on again what a blocked person writes; following is another matter."""
        ...

    async def contacts(self) -> list[ContactRow]:
        """Return the persons this node keeps something of, by name."""
        ...

    async def log(self, person: str | None = None, *, first: int = 1) -> list[LogRow]:
        """Return the blocks held of a person's devices (None: one's own), from seq ``first`` on."""
        ...

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
        """Write a bundle without what blocked persons wrote; a file appears whole or not at all.

        Args:
            target: Where to.
            to: Persons; only what they lack goes.
            seal: Only they can read it, and learn what came from them; without ``to`` one's own
                other devices.
            max_bytes: Size it must not exceed: then the newest of each log goes first.
            part_bytes: Size of each part, at least 100,000; they are named after ``target``, which
                must be a path then.
            progress: Told blocks.
        """
        ...

    async def import_bundle(self, source: File, *, progress: Progress | None = None) -> Imported:
        """Take in all that a bundle holds, but for what blocked persons wrote.

        What came whole before any damage is kept.
        """
        ...

    async def import_folder(self, folder: Path, *, progress: Progress | None = None) -> Stick:
        """Take in the bundles that lie in a folder: regular files ``*.passalong``, by name."""
        ...

    async def inspect_bundle(self, source: File) -> Inspected:
        """Say what a bundle holds."""
        ...

    async def check(self) -> Checked:
        """Verify the whole store again."""
        ...

    async def add_contact(self, link: str) -> ContactRow:
        """Add the person of a ``passalong:`` link, and follow them.

        From then on their devices and this one recognise each other when they meet, once they have
        done the same; nobody else learns of it.
        """
        ...

    async def remove_contact(self, person: str) -> ContactRow:
        """Recognise a person no longer, nor be recognised; following is another matter."""
        ...

    async def status(self) -> Status:
        """Say how the node is."""
        ...

    async def peers(self) -> list[PeerRow]:
        """Return the devices it is linked with: contacts first, by name."""
        ...

    async def sync(self, address: str, *, progress: Progress | None = None) -> Synced:
        """Meet whoever listens at ``HOST:PORT`` now; returns once all is settled.

        What strangers there wrote is taken in as if it were a friend's. A node that runs stays in
        touch after that.

        Args:
            address: A name or an address, an IPv6 one in brackets, and a port.
            progress: Told blocks.
        """
        ...

    async def lock(self, passphrase: str | None = None, *, new: bool = False) -> None:
        """Use the device's keys no longer: until ``unlock`` the node only carries.

        What needs them is refused: writing, sealed bundles either way, recognising contacts.

        Args:
            passphrase: Guards the keys from now on; needed where none does yet.
            new: Take it in place of the one that does.
        """
        ...

    async def unlock(self, passphrase: str, *, forget: bool = False) -> None:
        """Use the keys again. A second must pass after a passphrase that was wrong.

        Args:
            passphrase: What guards them.
            forget: Guard them with nothing from now on.
        """
        ...

    async def stop(self) -> bool:
        """Have the node that runs end in order; say whether it is one that can be told."""
        ...

    def changes(self) -> AsyncIterator[AbstractSet[Subject]]:
        """Yield what a face may have to show anew, as things change, until it is closed.

        Changes while nobody asks for the next are told together. Whoever begins sees first
        everything there is to show.
        """
        ...
