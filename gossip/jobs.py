"""What the peer asked for, as far as it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from gossip.control import Mode
from gossip.fair import Place
from gossip.wanted import common_ranges
from ledger.block import MAX_SEQ
from ledger.run import SIGNED_EVERY

if TYPE_CHECKING:
    from gossip.control import Request
    from ledger.chain import Log
    from ledger.store.base import LogKey


@dataclass(slots=True)
class Job:
    """A request being answered.

    Attributes:
        request: What was asked.
        key: Of which log.
        next: Seq of the next block to send.
        until: Last seq wanted; what vouches for it comes along.
        ident: Beginning of the id that the peer holds at ``next`` - 1, until that was compared.
        ranges: Bodies still to be sent.
        is_broke: Whether the budget had no room for it.
        place: Where it waits.
    """

    request: Request
    key: LogKey
    next: int = 1
    until: int = MAX_SEQ
    ident: bytes = b""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    is_broke: bool = False
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        is_older = self.request.mode is not Mode.NEWEST and self.key[1] != 0
        self.place = Place(self.request.rank, is_older, self.key[0])

    def due(self, log: Log | None, turn: int) -> int:
        """Return about how many blocks the next turn of so many brings, at least 1."""
        high = log.pieces[-1].high if log is not None and log.pieces else self.next
        return max(1, min(turn, high - self.next + 1, self.until - self.next + turn))


def job_of(request: Request, key: LogKey, log: Log | None) -> Job:
    """Return what is to be done for ``request`` about a log that is held as ``log``."""
    job = Job(request, key)
    match request.mode, request.args:
        case Mode.FROM | Mode.HEADERS, (int(seq), int(until), bytes(ident)):
            job.next, job.until, job.ident = seq + 1, until or MAX_SEQ, ident
        case Mode.NEWEST, (int(count),):
            job.next = _behind_a_signature((log.head if log is not None else 0) - count + 1)
        case Mode.BODIES, ends if log is not None:
            seqs = cast("tuple[int, ...]", ends)
            wished = tuple(zip(seqs[::2], seqs[1::2], strict=True))
            job.ranges = list(common_ranges(log, wished))
        case _:
            pass
    return job


def _behind_a_signature(seq: int) -> int:
    """Return where the newest blocks begin: what is before them can then come without them."""
    return max(seq - 1, 0) // SIGNED_EVERY * SIGNED_EVERY + 1
