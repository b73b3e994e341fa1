"""Where a run goes: rules between the blocks of one log. Pure; the store asks and obeys.

A log is held as *pieces*: stretches of consecutive, linked blocks. The piece that begins at the
log's root is the *joined* part, and it alone weighs; the others are *detached* (a gap is still to
be filled). ``place`` says how a run changes the pieces, or what it must know first, or that the
run contradicts what is held, which is a fork.

From a fork at s on, the log is cut: its pieces end at s - 1, and of the rest the two branches
with the smallest ids at s are kept apart, 64 blocks further each (``grow``). A third is kept only
where neither of the two follows the block at s - 1, which it vouches for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ledger.block import ZEROS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ledger.run import Run

MAX_DETACHED: Final = 4
MAX_BRANCH_BLOCKS: Final = 64
"""Kept after s on each of the two branches of a fork."""


class Piece(NamedTuple):
    """Consecutive linked blocks that are held.

    Attributes:
        low: First seq.
        high: Last seq; its block has a verified signature.
        previous: What the block at ``low`` follows.
        tip: Id of the block at ``high``.
    """

    low: int
    high: int
    previous: bytes
    tip: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """What is held of one log.

    Attributes:
        author: Device key.
        number: Which of its logs.
        roots: What a joined block 1 may follow: zeros in log 0, elsewhere the ids held at
            (log 0, seq 1), of which there are two once that was forked.
        pieces: Disjoint, ascending.
        fork: s, the smallest proven fork, or None.
        bodies_missing: How many held blocks of the pieces lack their body.
        bytes: Of the headers and bodies held, kept branches included; says nothing of what the
            log is, so two logs that differ in nothing else are equal.
    """

    author: bytes
    number: int
    roots: frozenset[bytes] = frozenset({ZEROS})
    pieces: tuple[Piece, ...] = ()
    fork: int | None = None
    bodies_missing: int = 0
    bytes: int = field(default=0, compare=False)

    @property
    def joined(self) -> Piece | None:
        """The piece that begins at the root, if any."""
        if self.pieces and self.pieces[0].low == 1 and self.pieces[0].previous in self.roots:
            return self.pieces[0]
        return None

    @property
    def head(self) -> int:
        """Highest seq of the joined part, 0 where there is none."""
        return self.joined.high if self.joined else 0

    @property
    def detached(self) -> tuple[Piece, ...]:
        """The pieces after a gap."""
        return self.pieces[1:] if self.joined else self.pieces


class Held(NamedTuple):
    """A held block: its id, and whether its own signature is kept."""

    id: bytes
    signed: bool


@dataclass(frozen=True, slots=True)
class Need:
    """``place`` must be called again with what is held at seq ``low`` .. ``high``."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The run and the held blocks are a fork.

    Attributes:
        seq: s. Either the ids at s differ, or what is held at one side of s | s + 1 does not
            follow the other.
        held_from: Seq from which the held side's headers are part of the proof.
        run_from: Seq from which the run's are.
    """

    seq: int
    held_from: int
    run_from: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The run cannot be kept now; nothing is wrong with it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Placed:
    """How the run changes the log.

    Attributes:
        log: The log afterwards.
        new: Ranges of seq of the run that were not held, ascending.
        joins: Detached pieces that belong to the joined part from now on.
        sign: Seq at which a held block without signature gets the run's, or None.
    """

    log: Log
    new: tuple[tuple[int, int], ...]
    joins: tuple[Piece, ...]
    sign: int | None


Placement: TypeAlias = Need | Conflict | Refused | Placed


def place(log: Log, run: Run, held: Mapping[int, Held]) -> Placement:
    """Say where ``run`` goes in ``log``.

    Args:
        log: What is held; ``run`` must end before ``log.fork``.
        run: Vouched blocks of this log.
        held: Held blocks by seq, as far as they were asked for by a ``Need``.
    """
    merged = Piece(run.low, run.high, run.previous, run.tip)
    apart: list[Piece] = []
    sign: int | None = None
    for piece in log.pieces:
        if piece.high < run.low - 1 or piece.low > run.high + 1:
            apart.append(piece)
            continue
        verdict = _compare(piece, run, held)
        if verdict is not None:
            return verdict
        if log.fork == run.high + 1 == piece.high + 1 and run.high not in held:
            return Need(run.high, run.high)
        at = held.get(run.high)
        if at is not None and not at.signed and piece.low <= run.high <= piece.high:
            sign = run.high
        merged = _union(merged, piece)
    pieces = tuple(sorted((*apart, merged)))
    after = Log(log.author, log.number, log.roots, pieces, log.fork, log.bodies_missing, log.bytes)
    new = _gaps(run.low, run.high, log.pieces)
    if new and len(after.detached) > max(MAX_DETACHED, len(log.detached)):
        return Refused(f"more than {MAX_DETACHED} detached segments; bring the blocks before them")
    joins = _newly_joined(log, after)
    return Placed(after, new, joins, sign)


def _compare(piece: Piece, run: Run, held: Mapping[int, Held]) -> Need | Conflict | None:
    """Find a contradiction between ``run`` and a piece that overlaps or touches it."""
    if piece.high == run.low - 1:
        return None if run.previous == piece.tip else Conflict(piece.high, piece.high, run.low)
    if piece.low == run.high + 1:
        return None if piece.previous == run.tip else Conflict(run.high, piece.low, run.high)
    return _compare_overlap(piece, run, held)


def _compare_overlap(piece: Piece, run: Run, held: Mapping[int, Held]) -> Need | Conflict | None:
    """Where the last common block is the same, the hash chain says that all before it are."""
    low, high = max(piece.low, run.low), min(piece.high, run.high)
    if high == piece.high and run.id_at(high) == piece.tip:
        return None
    if high not in held:
        return Need(high, high)
    if held[high].id == run.id_at(high):
        return None
    first = max(low - 1, piece.low)
    if any(seq not in held for seq in range(first, high + 1)):
        return Need(first, high)
    return _first_difference(piece, run, held, low)


def _first_difference(piece: Piece, run: Run, held: Mapping[int, Held], low: int) -> Conflict:
    if piece.low < run.low and held[low - 1].id != run.previous:
        return Conflict(low - 1, low - 1, low)
    if run.low < piece.low and run.id_at(low - 1) != piece.previous:
        return Conflict(low - 1, low, low - 1)
    seq = low
    while held[seq].id == run.id_at(seq):
        seq += 1
    return Conflict(seq, seq, seq)


def _union(one: Piece, other: Piece) -> Piece:
    low = one if one.low <= other.low else other
    high = one if one.high >= other.high else other
    return Piece(low.low, high.high, low.previous, high.tip)


def _gaps(low: int, high: int, pieces: Collection[Piece]) -> tuple[tuple[int, int], ...]:
    gaps: list[tuple[int, int]] = []
    for piece in pieces:
        if piece.high < low or piece.low > high:
            continue
        if low < piece.low:
            gaps.append((low, piece.low - 1))
        low = piece.high + 1
    if low <= high:
        gaps.append((low, high))
    return tuple(gaps)


def _newly_joined(before: Log, after: Log) -> tuple[Piece, ...]:
    whole = after.joined
    if whole is None:
        return ()
    return tuple(p for p in before.detached if whole.low <= p.low and p.high <= whole.high)


def cut(log: Log, fork: int, tips: Mapping[int, Held]) -> Log:
    """End the pieces of ``log`` before ``fork``.

    Args:
        log: What is held.
        fork: The new verdict.
        tips: What is held at ``fork - 1``, where a piece spans it.
    """
    pieces: list[Piece] = []
    for piece in log.pieces:
        if piece.high < fork:
            pieces.append(piece)
        elif piece.low < fork:
            pieces.append(piece._replace(high=fork - 1, tip=tips[fork - 1].id))
    return replace(log, pieces=tuple(pieces), fork=fork)


def forget(log: Log, below: int, previous: bytes) -> Log:
    """Let go the blocks of ``log`` before seq ``below``; what is left of its pieces is detached.

    Args:
        log: What is held; it is not forked below ``below``.
        below: First seq to keep.
        previous: What the block at ``below`` follows, where a piece spans it.
    """
    pieces = [piece for piece in log.pieces if piece.high >= below]
    if pieces and pieces[0].low < below:
        pieces[0] = pieces[0]._replace(low=below, previous=previous)
    return replace(log, pieces=tuple(pieces))


class BranchBlock(NamedTuple):
    """A block at or after a fork, as far as the shape of the branches goes."""

    id: bytes
    seq: int
    previous: bytes


def grow(pool: Collection[BranchBlock], fork: int, trunk: bytes | None = None) -> frozenset[bytes]:
    """Choose which of ``pool`` the kept branches of a fork at ``fork`` consist of.

    The two smallest ids at the fork, and the smallest that follows ``trunk``, then always the
    smallest id that follows, at most ``MAX_BRANCH_BLOCKS`` further each: a function of the set,
    whatever order it came in.

    Args:
        pool: Blocks of the log from the fork on.
        fork: s.
        trunk: Id of the block held at s - 1. It may have no signature of its own, so a branch
            that vouches for it is kept even where two others have smaller ids.
    """
    followers: dict[tuple[bytes, int], list[BranchBlock]] = {}
    for member in pool:
        followers.setdefault((member.previous, member.seq), []).append(member)
    firsts = sorted(member for member in pool if member.seq == fork)
    kept: set[bytes] = set()
    for root in {*firsts[:2], *[first for first in firsts if first.previous == trunk][:1]}:
        block: BranchBlock | None = root
        while block is not None and block.seq <= fork + MAX_BRANCH_BLOCKS:
            kept.add(block.id)
            block = min(followers.get((block.id, block.seq + 1), ()), default=None)
    return frozenset(kept)
