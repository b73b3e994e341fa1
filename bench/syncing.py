"""Whole meetings in which one side gets everything: CPU of both, a block, and where it goes.

Both engines and both stores, in files, in one process; no link and no cipher. The giver's store
is opened anew before each round, so nothing is remembered of the round before.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from unittest import mock

from bench.carrying import CEILING_BLOCKS
from bench.ceiling import Ceiling, measure_ceiling
from bench.measure import Goal, figure, lap, micros, ratio
from bench.meetings import Meeting
from bench.nodes import fill, on_disk, seen_of
from bench.sample import BLOCK_BYTES, log_by_log, write_logs, write_socials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from cProfile import Profile
    from pathlib import Path

    from bench.measure import Figure
    from gossip.cursor import Seen
    from ledger.block import Block, Header

BATCH_BLOCKS: Final = 1_700
"""What half a window holds of blocks of ``BLOCK_BYTES``; so many the ceiling stores at once."""


@dataclass(frozen=True, slots=True)
class _Round:
    """What a meeting came to, CPU seconds a block."""

    cpu: float
    parts: dict[str, float]
    checked: int
    bytes: int


@dataclass(slots=True)
class _Shape:
    """What is given.

    Attributes:
        name: In words.
        runs: What is given, each a run.
        known: What both hold from an earlier meeting; without any they never met.
        goals: For the ratios to the ceiling, to half the blocks' signatures, and of bytes.
        every: Whether to measure it with every signature verified, too.
        met: What the receiver has processed of the giver's store, if they met.
    """

    name: str
    runs: list[list[Block]]
    known: list[list[Block]] = field(default_factory=list)
    goals: tuple[Goal | None, Goal | None, Goal | None] = (None, None, None)
    every: bool = False
    met: Seen | None = None
    ceilings: list[Ceiling] = field(default_factory=list)
    rounds: list[_Round] = field(default_factory=list)
    thorough: list[_Round] = field(default_factory=list)

    @property
    def blocks(self) -> int:
        """How many are given."""
        return sum(map(len, self.runs))

    @property
    def some(self) -> list[Block]:
        """Blocks to measure the ceiling with, which are as theirs."""
        return list(log_by_log(self.runs))[:CEILING_BLOCKS]


def tail_shapes() -> list[_Shape]:
    """Return two blocks each of many authors; the first two cost a signature for two blocks."""
    roots, posts = write_socials(5_000, 1)
    more_roots, pairs = write_socials(5_000, 2)
    counts = (None, Goal("S3", 1.8), Goal("S4", 1.12))
    return [
        _Shape("5,000 x 2 of log 0", write_logs(5_000, 2), goals=counts),
        _Shape("5,000 x 2 of log 1, to a contact", pairs, known=more_roots, goals=counts),
        _Shape("5,000 x 1 of log 0 and 1 of log 1", roots + posts),
    ]


def cold_shapes() -> list[_Shape]:
    """Return long logs."""
    goals = (Goal("S1", 1.5), None, Goal("S4", 1.03))
    roots, posts = write_socials(50, 400)
    return [
        _Shape("10,000 in long runs", write_logs(50, 200), goals=goals, every=True),
        _Shape("100,000 in long runs", write_logs(50, 2_000), goals=goals),
        _Shape("20,000 of log 1, the newest first", roots + posts, goals=goals),
    ]


def tail(folder: Path, rounds: int) -> list[Figure]:
    """Give two blocks each of many authors."""
    return _measure(folder, rounds, tail_shapes())


def cold(folder: Path, rounds: int) -> list[Figure]:
    """Give long logs."""
    return _measure(folder, rounds, cold_shapes())


def _measure(folder: Path, rounds: int, shapes: Sequence[_Shape]) -> list[Figure]:
    for at, shape in enumerate(shapes):
        asyncio.run(_make(folder / f"{at}.db", shape))
    for _ in range(rounds):
        for at, shape in enumerate(shapes):
            shape.ceilings.append(measure_ceiling(folder, shape.some, BATCH_BLOCKS))
            shape.rounds.append(_meet(folder, at, shape))
            if shape.every:
                with mock.patch("ledger.run.must_be_signed", new=_always):
                    shape.thorough.append(_meet(folder, at, shape))
    return [one for shape in shapes for one in _figures(shape)]


def _always(header: Header, *, is_last: bool) -> bool:  # noqa: ARG001
    return True


async def _make(path: Path, shape: _Shape) -> None:
    async with on_disk(path, is_left=True) as node:
        await fill(node, shape.known)
        shape.met = seen_of(node) if shape.known else None
        await fill(node, shape.runs)


def give_once(folder: Path, shape: _Shape, profile: Profile) -> None:
    """Hold one meeting under ``profile``."""
    asyncio.run(_make(folder / "0.db", shape))
    _meet(folder, 0, shape, profile)


def _meet(folder: Path, at: int, shape: _Shape, profile: Profile | None = None) -> _Round:
    for path in folder.glob("taker.db*"):
        path.unlink()
    gc.collect()
    gc.freeze()  # what is given must not be gone through at every collection: no node has it
    try:
        return asyncio.run(_give(folder, at, shape, profile or nullcontext()))
    finally:
        gc.unfreeze()


async def _give(
    folder: Path, at: int, shape: _Shape, around: AbstractContextManager[object]
) -> _Round:
    """Hold one meeting, in which a new store gets everything."""
    async with (
        on_disk(folder / f"{at}.db", is_left=True) as left,
        on_disk(folder / "taker.db", is_left=False) as right,
    ):
        await fill(right, shape.known)
        giver = replace(left, seen=seen_of(right) if shape.known else None)
        taker = replace(right, seen=shape.met)
        meeting = Meeting(giver, taker, contacts=True)
        with lap() as taken, around:
            await meeting.hold()
    new = meeting.sides[1].session.counts.new
    assert new == shape.blocks, f"{new} of {shape.blocks} blocks came"
    parts = {name: seconds / new for name, seconds in meeting.parts.seconds.items()}
    return _Round(taken.cpu / new, parts, meeting.checked.count, meeting.payload)


def _figures(shape: _Shape) -> list[Figure]:
    name, ceilings, blocks = shape.name, shape.ceilings, shape.blocks
    due = shape.rounds[0].checked
    to_ceiling, to_half, bytes_goal = shape.goals
    cpu = [one.cpu for one in shape.rounds]
    least = [one.give_out() + one.take_in(due / blocks) for one in ceilings]
    half = [one.verify / 2 for one in ceilings]
    raw = blocks * BLOCK_BYTES
    figures = [
        micros(f"{name}: verify {due:,}", [one.verify * due / blocks for one in ceilings]),
        micros(f"{name}: ceiling, giving and taking", least),
        micros(f"{name}: meeting, a block", cpu),
        ratio(f"{name}: meeting / ceiling", cpu, least, to_ceiling),
        *_where(shape),
        figure(f"{name}: bytes / raw", "x", [one.bytes / raw for one in shape.rounds], bytes_goal),
    ]
    if to_half or due * 2 >= blocks:
        figures.append(ratio(f"{name}: meeting / (half the blocks x verify)", cpu, half, to_half))
    if shape.thorough:
        whole = [one.verify for one in ceilings]
        every = [one.cpu for one in shape.thorough]
        figures.append(micros(f"{name}: every signature verified, a block", every))
        what = f"{name}: every signature verified / (blocks x verify)"
        figures.append(ratio(what, every, whole, Goal("S2", 1.2)))
    return figures


def _where(shape: _Shape) -> list[Figure]:
    """Return the parts of a meeting, the longest first."""
    rounds = [one.parts for one in shape.rounds]
    names = sorted(rounds[0], key=lambda name: -rounds[0][name])
    return [
        micros(f"{shape.name}: - {name}", [parts.get(name, 0.0) for parts in rounds])
        for name in names
    ]
