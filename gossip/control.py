"""Messages that steer a meeting: who holds what, who wants what, how much may come.

They are small and travel outside credit. A log is named once in a meeting and from then on by its
*index*: how many logs its holder had mentioned before it. Formats: docs/protocol.md, meetings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.cursor import Seen
    from gossip.frontier import FrontierEntry
    from ledger.store.base import LogKey

VERSION: Final = 1
MIN_FRAME_BYTES: Final = 24_000
"""64 bare headers, the longest unit that vouches for itself, fit into this."""
RUN_BYTES: Final = 8
SHORT_BYTES: Final = 8
CHECK_BYTES: Final = 4
ROOT_BYTES: Final = 16
SCOPE_BYTES: Final = 16
BUCKETS: Final = 256
BUCKET_BYTES: Final = 4
PARTS: Final = 16
"""Of the public scope, 16 buckets each, that are compared in HELLO."""
ID_BYTES: Final = 8
IDENT_BYTES: Final = 4
MAX_IDS: Final = 64
MAX_BODY_RANGES: Final = 32
MAX_MENTIONS: Final = 1 << 20
MAX_CLASS: Final = 6
MAX_SCOPES: Final = 64
MAX_COUNT: Final = 1 << 53
MAX_PAGES: Final = 2
"""NEW and VECTOR are sent only while fewer pages of any sort wait for an ACK,"""
MAX_ANNOUNCES: Final = 8
"""ANNOUNCE only while fewer than these do."""
MAX_EVIDENCE: Final = 16
"""Statements, and proofs, in one meeting; the others next time."""
MAX_ASKS: Final = 64
"""Requests about a log as it was last mentioned; an honest peer makes far fewer."""
MAX_STRANGE: Final = 1 << 12
"""Logs that are mentioned to a stranger in one meeting,"""
MAX_TOLD: Final = 1 << 17
"""and to a contact."""
DECOYS: Final = 4
"""Of strangers nobody learns how many closed groups one belongs to, but for a multiple of this."""
STAYS: Final = 1
"""Feature: goes on live once all is equal."""
CARRIES: Final = 2
"""Feature: carries mail."""
MAIL_RUN_BYTES: Final = 4


class Mode(IntEnum):
    """What of a log is wanted."""

    FROM = 0
    NEWEST = 1
    HEADERS = 2
    BODIES = 3
    ENTRY = 4
    EVIDENCE = 5
    BRANCHES = 6
    IDS = 7


class Reason(IntEnum):
    """Why nothing more comes for a want."""

    ALL = 0
    DIFFERS = 1
    BUDGET = 2
    LATER = 3


class Greeting(NamedTuple):
    """What only a contact is told in HELLO.

    Attributes:
        run: Name of the store's run, 8 bytes; empty while nothing ever arrived.
        lsn: The newest local serial number.
        seen: What the sender processed of the receiver's, if anything.
    """

    run: bytes
    lsn: int
    seen: Seen | None


class MailGreeting(NamedTuple):
    """What only a contact is told of mail.

    Attributes:
        run: Says which serials are meant: those of one opening of the sender's mail, 4 bytes.
        serial: The newest.
        seen: What the sender processed of the receiver's, if anything.
    """

    run: bytes
    serial: int
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message each way.

    Attributes:
        versions: Spoken, ascending.
        features: Bits; ``STAYS``, ``CARRIES``.
        frame_limit: Longest message the sender takes, ``MIN_FRAME_BYTES`` .. 65,000 bytes.
        window: Bytes of bulk it takes before its first CREDIT.
        budget: Bytes of bulk it takes in this meeting, or None.
        contact: For contacts only.
        mail: Likewise, if the sender carries mail.
        parts: Likewise, if it has much to tell: how ``PARTS`` parts of the public scope stand,
            ``BUCKET_BYTES`` each. What is alike on both sides need not be told.
    """

    versions: tuple[int, ...]
    features: int
    frame_limit: int
    window: int
    budget: int | None
    contact: Greeting | None
    mail: MailGreeting | None = None
    parts: bytes = b""


class Mention(NamedTuple):
    """That the sender holds a log, and how it stands there.

    Attributes:
        name: Index of a log mentioned before; or ``SHORT_BYTES`` that name it in this meeting; or
            its key.
        seq: Its head, or where it is forked.
        plain: Whether it is joined up to ``seq``, all bodies there, and nothing else to say.
        check: ``CHECK_BYTES`` of a keyed hash over all that is held of it.
        evidence: The same over statements and the proof; empty where there are none.
    """

    name: int | bytes | LogKey
    seq: int
    plain: bool
    check: bytes
    evidence: bytes = b""


@dataclass(frozen=True, slots=True)
class New:
    """What changed since the contact's ``seen``; pages go from the newest lsn down.

    Attributes:
        valid: Highest lsn up to which the receiver's ``seen`` counts.
        low: First lsn covered: whatever arrived there and was not seen is mentioned by now.
        high: Last lsn covered.
        last: Whether this page is the last.
        mentions: Logs; those that stand as mentioned before are left out.
    """

    valid: int
    low: int
    high: int
    last: bool
    mentions: Sequence[Mention]


@dataclass(frozen=True, slots=True)
class ScopeRoot:
    """What a scope adds up to: its name, ``ROOT_BYTES`` and the number of its logs."""

    scope: bytes
    root: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Root:
    """Digests of scopes; the public one's name is empty.

    Attributes:
        tells: Whether the sender goes on to tell by VECTOR what differs.
        scopes: Each once.
    """

    tells: bool
    scopes: Sequence[ScopeRoot]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Keyed digests of a scope's 256 buckets, ``BUCKET_BYTES`` each; zeros where one is empty."""

    scope: bytes
    digests: bytes


@dataclass(frozen=True, slots=True)
class Vector:
    """Logs of a scope, of the buckets that differ."""

    scope: bytes
    last: bool
    mentions: Sequence[Mention]


@dataclass(frozen=True, slots=True)
class Request:
    """One thing wanted of one log.

    Attributes:
        index: The log, as its holder counts its mentions.
        rank: Class of priority, 0 .. 6, as the one who wants it sees it.
        mode: What of it.
        args: FROM, HEADERS: seq after which, seq at which to stop (0: none), ``IDENT_BYTES`` of a
            keyed hash of the id held at the first (or none). NEWEST: how many at least; they begin
            behind a seq divisible by 64. BODIES: first and last seq of up
            to 32 ranges. IDS: first seq, step, how many. Others: none.
    """

    index: int
    rank: int
    mode: Mode
    args: tuple[int | bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Want:
    """What the sender wants."""

    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class Credit:
    """How many bytes of bulk the sender takes in this meeting all in all, so far."""

    total: int


@dataclass(frozen=True, slots=True)
class Ack:
    """What was processed.

    Attributes:
        pages: How many NEW, VECTOR and ANNOUNCE, counted from the first one.
        seen: For contacts: what is processed and would survive a power cut.
    """

    pages: int
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Announce:
    """What arrived during the meeting.

    Attributes:
        run: The store's run, if it is another than the one said before; else empty.
        low: First lsn covered; 0 for strangers.
        high: Last lsn covered; 0 for strangers.
        mentions: Logs; those that stand as mentioned before are left out.
    """

    run: bytes
    low: int
    high: int
    mentions: Sequence[Mention]


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A log's frontier entry and ``ID_BYTES`` of a digest of its branches, or none."""

    index: int
    entry: FrontierEntry
    branches: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """Answers to wants of mode ENTRY."""

    rows: Sequence[EntryRow]


@dataclass(frozen=True, slots=True)
class Ids:
    """Answer to IDS: ``ID_BYTES`` of a keyed hash of the id at ``low``, ``low + step`` ...

    May be fewer.
    """

    index: int
    low: int
    step: int
    ids: bytes


@dataclass(frozen=True, slots=True)
class DoneRow:
    """That nothing more comes for a want, and why."""

    index: int
    mode: Mode
    reason: Reason


@dataclass(frozen=True, slots=True)
class Done:
    """Ends of wants. One of FROM or NEWEST that came up to the seq last mentioned ends unsaid."""

    rows: Sequence[DoneRow]


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender is through with this meeting."""


Control: TypeAlias = (
    Hello
    | New
    | Root
    | Buckets
    | Vector
    | Want
    | Credit
    | Ack
    | Announce
    | Entries
    | Ids
    | Done
    | Bye
)
