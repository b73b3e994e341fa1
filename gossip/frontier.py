"""Frontier entries: how far a log is held, in a form two nodes can compare.

    [author 32, log, seq, [id ...], [[low, high] ...], seq of the lowest missing body | null]

No id: nothing is joined and seq is 0. One id: the head of the joined part; the ranges are the
detached segments. Two ids, ascending: the log is forked at seq; the ranges are all that is held
before it, the joined part included.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.block import HASH_BYTES, MAX_LOG, MAX_SEQ
from ledger.chain import MAX_DETACHED
from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError
from ledger.keys import KEY_BYTES

if TYPE_CHECKING:
    from ledger.chain import Log
    from ledger.fork import ForkProof

MAX_ENTRY_BYTES: Final = 256


class FrontierEntry(NamedTuple):
    """How far one log is held.

    Attributes:
        author: Device key, 32 bytes.
        log: Which of its logs.
        seq: Highest joined seq, 0 for none; of a forked log, where it forks.
        ids: Ids at ``seq``: none, one, or the two smallest of a fork, ascending.
        ranges: First and last seq of each detached segment, ascending, at most 4; of a forked
            log also of the joined part.
        missing: Lowest seq whose body is wanted and not held, or None.
    """

    author: bytes
    log: int
    seq: int
    ids: tuple[bytes, ...]
    ranges: tuple[tuple[int, int], ...] = ()
    missing: int | None = None

    def encode(self) -> bytes:
        """Return the entry's bytes."""
        return encode(tuple(self))


def entry_of(log: Log, proof: ForkProof | None, missing: int | None) -> FrontierEntry:
    """Return the entry of a held log.

    Args:
        log: What is held.
        proof: The proof kept of it, if it is forked.
        missing: Lowest seq whose body is wanted and not held.
    """
    if proof is not None:
        held = tuple((piece.low, piece.high) for piece in log.pieces)
        return FrontierEntry(log.author, log.number, proof.seq, proof.ids, held, missing)
    # A part that came off when its device block was forked may be a fifth; it goes unsaid.
    detached = tuple((piece.low, piece.high) for piece in log.detached[:MAX_DETACHED])
    ids = (log.joined.tip,) if log.joined else ()
    return FrontierEntry(log.author, log.number, log.head, ids, detached, missing)


def decode_entry(raw: bytes) -> FrontierEntry:
    """Read one entry.

    Raises:
        InvalidError: Not the one spelling of an entry. No other exception leaves this function.
    """
    match decode(raw, MAX_ENTRY_BYTES):
        case [bytes(author), int(log), int(seq), list(ids), list(ranges), missing] if (
            len(author) == KEY_BYTES and 0 <= log <= MAX_LOG and 0 <= seq <= MAX_SEQ
        ):
            entry = FrontierEntry(
                author, log, seq, _ids(ids, seq), _ranges(ranges), _missing(missing)
            )
            if ranges:
                _check_ranges(entry)
        case _:
            raise InvalidError("not a frontier entry")
    return entry


def _ids(values: list[Value], seq: int) -> tuple[bytes, ...]:
    ids = tuple(value for value in values if isinstance(value, bytes) and len(value) == HASH_BYTES)
    if len(ids) != len(values) or len(ids) > 2 or bool(ids) != bool(seq):
        raise InvalidError("a frontier entry has an id for its seq, or two of a fork")
    if len(ids) == 2 and ids[0] >= ids[1]:
        raise InvalidError("the two ids of a fork ascend")
    return ids


def _ranges(values: list[Value]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for value in values:
        match value:
            case [int(low), int(high)] if 1 <= low <= high <= MAX_SEQ:
                ranges.append((low, high))
            case _:
                raise InvalidError("a range is its first and last seq")
    return tuple(ranges)


def _check_ranges(entry: FrontierEntry) -> None:
    is_forked = len(entry.ids) == 2
    ends = [(0, entry.seq), *entry.ranges] if entry.ids and not is_forked else entry.ranges
    if any(later[0] < earlier[1] + 2 for earlier, later in pairwise(ends)):
        raise InvalidError("ranges ascend and leave gaps")
    if len(entry.ranges) > MAX_DETACHED + is_forked:
        raise InvalidError(f"more than {MAX_DETACHED} detached segments")
    if is_forked and entry.ranges and entry.ranges[-1][1] >= entry.seq:
        raise InvalidError("a range beyond the fork")


def _missing(value: Value) -> int | None:
    if value is None or (isinstance(value, int) and 1 <= value <= MAX_SEQ):
        return value
    raise InvalidError("the lowest missing body is a seq or null")
