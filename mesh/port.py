"""NodePort: what any face (command line, app, script) may ask of a node, and what it gets.

Rows are plain and frozen; ids and keys are bytes, times integer ms since 1970, sizes bytes.
``mesh.direct`` answers in this process. Whatever is refused or fails is a ``PortError`` whose
message is one line that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from ledger.errors import PassalongError as PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["NodePort", "PortError"]

Progress: TypeAlias = "Callable[[int, int | None], None]"
"""Told what is done so far and, where it is known, of how much; bytes or blocks."""
File: TypeAlias = "Path | BinaryIO"
"""A path, or a stream that is read or written once, from its beginning."""
DeviceKey: TypeAlias = bytes
Plain: TypeAlias = "int | bytes | str | list[Plain] | None"


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whose node this is.

    Attributes:
        link: ``passalong:`` link that others add this device by.
    """

    person: bytes
    device: bytes
    name: str | None
    link: str


@dataclass(frozen=True, slots=True)
class Posted:
    """A block that is on the disk for good."""

    id: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """A blob that a post names."""

    hash: bytes
    size: int
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A post as it is shown.

    Attributes:
        author: The person.
        reply_to: Id of the post it answers.
        hops: How many devices passed it on, as they claim.
        mark: Why it does not weigh: ``forked``, ``revoked`` or ``detached`` (older posts missing).
    """

    id: bytes
    author: bytes
    device: bytes
    name: str | None
    time: int
    text: str
    reply_to: bytes | None
    attachments: list[AttachmentRow]
    hops: int
    mark: str | None


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A person this node keeps something of.

    Attributes:
        muted: What he writes is not shown.
        blocked: Nor is it taken in or passed on.
    """

    person: bytes
    name: str | None
    following: bool
    verified: bool
    muted: bool
    blocked: bool


@dataclass(frozen=True, slots=True)
class LogRow:
    """A block as it stands in its log.

    Attributes:
        author: The device that wrote it.
        time: As claimed; None where the body is missing or means nothing.
        body: Its fields; None where the body is missing, sealed or means nothing.
    """

    id: bytes
    author: bytes
    log: int
    seq: int
    kind: str
    time: int | None
    body: Plain


@dataclass(frozen=True, slots=True)
class Exported:
    """What went into a bundle.

    Attributes:
        parts: How many files it is in.
    """

    blocks: int
    envelopes: int
    bytes: int
    parts: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What came out of a bundle.

    Attributes:
        blocked: Blocks that were left out because of whom one has blocked.
        refused: Blocks, statements and proofs that were not taken.
        complete: Whether the whole bundle could be read.
        damage: Where it could not, what was found there.
        warnings: What the person should know besides, one line each.
    """

    new_blocks: int
    known_blocks: int
    blocked: int
    envelopes: int
    refused: int
    complete: bool
    damage: str | None
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class StickRow:
    """What became of a file in a folder of bundles.

    Attributes:
        file: Its name.
        outcome: ``taken``, ``damaged`` (what was whole was taken), ``sealed for others``, ``not a
            bundle`` or ``unreadable``.
        imported: What came out of it, if anything could.
        problem: Why not all did.
    """

    file: str
    outcome: str
    imported: Imported | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Stick:
    """What came out of a folder.

    Attributes:
        files: By name.
        left_out: How many more bundles there were than are taken at once.
    """

    files: list[StickRow]
    left_out: int


@dataclass(frozen=True, slots=True)
class BundledLog:
    """What a bundle holds of one log."""

    author: bytes
    log: int
    low: int
    high: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is in a bundle; nothing was stored.

    Attributes:
        complete: Whether all of it is there; of one that is sealed to others, as far as can be
            seen.
        slots: Of a sealed bundle, how many it has for readers, filled or not; else 0.
        opened: Whether this device could read it.
        writer: The device that sealed it, if it could be opened.
        count: Which of that device's exports it is.
        part: Which part of that.
    """

    bytes: int
    blocks: int
    bodies: int
    statements: int
    proofs: int
    envelopes: int
    refused: int
    complete: bool
    damage: str | None
    logs: list[BundledLog]
    slots: int
    opened: bool
    writer: DeviceKey | None
    count: int
    part: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What verifying the whole store again found.

    Attributes:
        problems: One line each; empty if all is well.
    """

    blocks: int
    logs: int
    problems: list[str]


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
