"""Which of another store's arrivals were processed: a set of ranges of its serial numbers.

A meeting may be cut after the newest arrivals were processed, so one number is not enough. A
*seen* names a run of the other store and counts only as far as that run reached there: an older
copy of that store, or a new one, gives the same numbers to other things, and one that comes to
offer more has not told of it (docs/protocol.md, meetings).
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.codec import Value, context, decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.store.base import StoreRun

MAX_RANGES: Final = 32
MAX_SEEN_BYTES: Final = 1_024
_RUN_BYTES: Final = 8
_RUN: Final = context("run")
_MAX_LSN: Final = 1 << 53


class Seen(NamedTuple):
    """Processed serial numbers.

    Attributes:
        run: A run of the other store, 8 bytes; of its mail, 4.
        ranges: First and last lsn of each, ascending, gaps between them, 1 to ``MAX_RANGES``.
    """

    run: bytes
    ranges: tuple[tuple[int, int], ...]

    def fields(self) -> tuple[bytes, list[int]]:
        """Return what is encoded of it."""
        return self.run, [end for both in self.ranges for end in both]

    def encode(self) -> bytes:
        """Return its bytes, at most ``MAX_SEEN_BYTES``."""
        return encode(self.fields())

    def covers(self, run: bytes, lsn: int) -> bool:
        """Say whether all up to ``lsn``, which ``run`` reached, is processed."""
        return self.run == run and self.ranges[0][0] == 1 and self.ranges[0][1] >= lsn

    def reach(self) -> int:
        """Return how many lsns are processed."""
        return sum(high - low + 1 for low, high in self.ranges)

    def clipped(self, valid: int) -> tuple[tuple[int, int], ...]:
        """Return the ranges up to lsn ``valid``."""
        return tuple((low, min(high, valid)) for low, high in self.ranges if low <= valid)


def decode_seen(value: Value, run_bytes: int = _RUN_BYTES) -> Seen:
    """Read a seen, decoded from CBOR or as it stands in a message.

    Args:
        value: What was encoded of it, or its bytes.
        run_bytes: How long the name of a run is.

    Raises:
        InvalidError: Not a seen. No other exception leaves this function.
    """
    if isinstance(value, bytes):
        value = decode(value, MAX_SEEN_BYTES)
    match value:
        case [bytes(run), list(ends)] if len(run) == run_bytes:
            lsns = [end for end in ends if isinstance(end, int) and 1 <= end < _MAX_LSN]
        case _:
            raise InvalidError("what was seen is a run and ranges")
    ranges = tuple(zip(lsns[::2], lsns[1::2], strict=False))
    if len(lsns) != len(ends) or len(lsns) % 2 or not 1 <= len(ranges) <= MAX_RANGES:
        raise InvalidError(f"not 1 to {MAX_RANGES} ranges")
    if any(low > high for low, high in ranges) or any(
        after[0] < before[1] + 2 for before, after in pairwise(ranges)
    ):
        raise InvalidError("ranges ascend and leave gaps")
    return Seen(run, ranges)


def run_name(run: bytes, offers: bytes) -> bytes:
    """Return how a run is called to a peer who is offered ``offers``; nothing for no run.

    Once he is offered other logs it is called otherwise, so he is told all of them.
    """
    return sha256(_RUN + run + offers).digest()[:_RUN_BYTES] if run else b""


def valid_up_to(seen: Seen | None, runs: Iterable[StoreRun], offers: bytes) -> int:
    """Return up to which lsn a peer's ``seen`` of the store with ``runs`` counts; 0 for none."""
    if seen is None:
        return 0
    return next((run.last for run in runs if run_name(run.run, offers) == seen.run), 0)


def add(ranges: Iterable[tuple[int, int]], low: int, high: int) -> tuple[tuple[int, int], ...]:
    """Return ``ranges`` with ``low`` .. ``high``.

    Of more than ``MAX_RANGES`` the lowest are forgotten: that costs mentions, never a block.
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*ranges, (low, high)]):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged[-MAX_RANGES:])


def unseen(ranges: Iterable[tuple[int, int]], lsn: int) -> list[tuple[int, int]]:
    """Return what of 1 .. ``lsn`` is in none of ``ranges``, the highest first."""
    gaps: list[tuple[int, int]] = []
    start = 1
    for low, high in ranges:
        if start < low:
            gaps.append((start, min(low - 1, lsn)))
        start = max(start, high + 1)
    if start <= lsn:
        gaps.append((start, lsn))
    return [(low, high) for low, high in reversed(gaps) if low <= high]
