"""What a node answers its faces with: plain frozen rows.

Ids and keys are bytes, times integer ms since 1970, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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
        added: His devices and this one recognise each other when they meet, if he did the same.
    """

    person: bytes
    name: str | None
    following: bool
    verified: bool
    muted: bool
    blocked: bool
    added: bool


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
        outcome: ``taken``, ``damaged`` (what was whole was taken), ``sealed for others``,
            ``sealed`` (for whom nobody can say while this home is locked), ``not a bundle`` or
            ``unreadable``.
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


@dataclass(frozen=True, slots=True)
class TransportRow:
    """A way of meeting devices, as it is now.

    Attributes:
        state: ``off``, ``not permitted``, ``no network``, ``listening`` or ``failed``.
        port: Where it listens, if it does.
        problem: Why it does not, in a line.
    """

    name: str
    state: str
    port: int | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a node is.

    Attributes:
        running: Whether it stays, and meets others by itself.
        running_s: For how many seconds.
        locked: Whether its keys are sealed: then it only carries.
        has_passphrase: Whether a passphrase guards its keys on the disk.
        peers: Devices it is linked with.
        logs: Logs held.
        held_bytes: Headers and bodies held.
        cap_bytes: How much it keeps at most, mail included.
        envelopes: Carried for others or waiting for their reader.
        mail_bytes: In them.
    """

    person: bytes
    device: DeviceKey
    name: str | None
    running: bool
    running_s: int | None
    locked: bool
    has_passphrase: bool
    transports: list[TransportRow]
    peers: int
    logs: int
    held_bytes: int
    cap_bytes: int
    envelopes: int
    mail_bytes: int


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A device this node is linked with.

    Attributes:
        authenticated: Whether it has shown which device it is: to a contact, or to everybody.
        person: Whose it is; None until that is known.
        device: Its key; None until it has shown it.
        name: What that person calls himself.
        links: How many links lead to it.
        transport: Of the best of them.
        address: Where it was met.
        last_received_s: Seconds since anything came from it.
        last_sent_s: Seconds since anything went to it.
        latency_ms: Of a question and its answer; None while nobody knows.
        state: ``greeting``, ``syncing`` or ``equal``.
    """

    authenticated: bool
    person: bytes | None
    device: DeviceKey | None
    name: str | None
    links: int
    transport: str
    address: str | None
    last_received_s: float
    last_sent_s: float
    latency_ms: int | None
    state: str


@dataclass(frozen=True, slots=True)
class Synced:
    """What a meeting came to.

    Attributes:
        person: Whom it was with, if he has shown it.
        received: Blocks that were new here.
        sent: Blocks that went.
        bytes_in: On the link, its encryption included.
        bytes_out: Likewise.
        complete: Whether all was settled, rather than the link lost before.
        problem: Why not, in a line.
    """

    person: bytes | None
    received: int
    sent: int
    bytes_in: int
    bytes_out: int
    seconds: float
    complete: bool
    problem: str | None
