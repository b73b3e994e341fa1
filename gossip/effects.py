"""What a session asks its owner to do, as values.

``Load`` and ``Keep`` are answered later, each by its ticket; the others are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.store.base import Arrival, Batch, LogKey, Span


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Up to ``limit`` arrivals with lsn below ``before``, newest first."""

    before: int
    limit: int


@dataclass(frozen=True, slots=True)
class Spans:
    """The held blocks of each span, as ``Store.read_spans`` gives them."""

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    """The end of the part before the fork and the blocks kept from the fork on, in one list."""

    key: LogKey


@dataclass(frozen=True, slots=True)
class Bodiless:
    """The lowest seqs of a log whose body is not held, as ``Store.bodiless`` gives them."""

    key: LogKey
    limit: int


@dataclass(frozen=True, slots=True)
class EnvelopesOf:
    """Envelopes that are carried, as ``Store.envelopes`` gives them."""

    idents: tuple[bytes, ...]


Query: TypeAlias = Arrivals | Spans | Branches | Bodiless | EnvelopesOf
Answer: TypeAlias = "list[Arrival] | list[list[Block]] | list[Block] | list[int] | list[bytes]"


@dataclass(frozen=True, slots=True)
class Send:
    """Send one frame.

    Attributes:
        frame: An encoded message.
        bulk: Whether the owner is to call ``sent`` once the link has taken it.
    """

    frame: bytes
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Read from the store; answer with ``loaded``."""

    ticket: int
    query: Query


@dataclass(frozen=True, slots=True)
class Keep:
    """Absorb ``batch``; answer with ``kept`` once it is in the catalogue too."""

    ticket: int
    batch: Batch
    durable: bool


class End(Enum):
    """Why a meeting ended."""

    DONE = "all is equal"
    SPENT = "the byte budget is spent"
    FULL = "one side has more to tell of than fits one meeting; the next one goes on"
    LOST = "the link is gone"
    STOPPED = "this side stopped it"
    SILENT = "the other side does not answer"
    VERSION = "the other side speaks no version this one knows; update passalong"
    HOSTILE = "the other side broke the protocol"
    BROKEN = "this side's store failed"


@dataclass(frozen=True, slots=True)
class Finish:
    """The meeting is over: close the link.

    Attributes:
        end: Why.
        detail: One line for a log; says what broke, if anything.
    """

    end: End
    detail: str = ""


Effect: TypeAlias = Send | Load | Keep | Finish
