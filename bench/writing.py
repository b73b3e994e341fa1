"""Writing one's own blocks: many at once, and a single one that must be durable."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from bench.ceiling import INSERT, TABLE, Ceiling, measure_ceiling
from bench.homes import fresh_node
from bench.measure import Goal, figure, lap, micros, ratio
from bench.sample import BLOCK_BYTES, fill, write_log
from mesh.node import SOCIAL_LOG
from mesh.writer import MAX_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.measure import Figure
    from mesh.node import Node
    from mesh.writer import Draft

GROUPED: Final = 5_000
PAIRS: Final = 100
_WARMING: Final = 10


def grouped(folder: Path, rounds: int) -> list[Figure]:
    """Create and store own blocks, as many as want to be written at once."""
    drafts = _drafts(GROUPED)
    sample = write_log(Random(8), GROUPED)
    ceilings: list[Ceiling] = []
    costs: list[float] = []
    for _ in range(rounds):
        ceilings.append(measure_ceiling(folder, sample, MAX_GROUP))
        costs.append(asyncio.run(_write_all(folder / "home", drafts)))
    least = [one.sign + one.insert for one in ceilings]
    whole = [one.sign + one.insert + one.encode + one.hash for one in ceilings]
    return [
        micros("sign", [one.sign for one in ceilings]),
        micros(f"bare insert, {MAX_GROUP} a commit", [one.insert for one in ceilings]),
        micros("create + store, a block", costs),
        ratio("create + store / (sign + insert)", costs, least, Goal("S8", 1.4)),
        ratio("create + store / (sign + encode + hash + insert)", costs, whole),
    ]


def _drafts(count: int) -> list[Draft]:
    random = Random(count)
    return [fill(random, SOCIAL_LOG, seq) for seq in range(1, count + 1)]


async def _write_all(home: Path, drafts: Sequence[Draft]) -> float:
    async with fresh_node(home) as node:
        with lap() as taken:
            await asyncio.gather(*map(node.writer.write, drafts))
    return taken.cpu / len(drafts)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Wall seconds of appends, and of the bare commits that took turns with them."""

    ours: list[float]
    bare: list[float]

    @property
    def median(self) -> float:
        """Of the pairs' ratios."""
        return statistics.median(a / b for a, b in zip(self.ours, self.bare, strict=True))

    @property
    def added(self) -> float:
        """Median of what an append takes longer."""
        return statistics.median(a - b for a, b in zip(self.ours, self.bare, strict=True))


def durable(folder: Path, rounds: int) -> list[Figure]:
    """Append single blocks, each on the disk for good before the next."""
    drafts = _drafts(_WARMING + PAIRS)
    seen = [asyncio.run(_append_in_turns(folder, drafts)) for _ in range(rounds)]
    return [
        micros("bare commit of one row, wall", [statistics.median(one.bare) for one in seen]),
        micros("append of one block, wall", [statistics.median(one.ours) for one in seen]),
        micros("what an append adds to a commit, wall", [one.added for one in seen]),
        figure(
            "append / bare commit, wall, median of pairs",
            "x",
            [one.median for one in seen],
            Goal("S9", 1.15),
        ),
        ratio(
            "append / bare commit, wall, all pairs with their checkpoints",
            [sum(one.ours) for one in seen],
            [sum(one.bare) for one in seen],
        ),
    ]


async def _append_in_turns(folder: Path, drafts: Sequence[Draft]) -> _Pairs:
    path = folder / "bare.db"
    path.unlink(missing_ok=True)
    pairs = _Pairs([], [])
    async with fresh_node(folder / "home") as node:
        with closing(sqlite3.connect(path, isolation_level=None)) as bare:
            bare.executescript(TABLE)
            for index, draft in enumerate(drafts):
                if index % 2:
                    ours, theirs = await _append(node, draft), _commit(bare, index)
                else:
                    theirs, ours = _commit(bare, index), await _append(node, draft)
                if index >= _WARMING:
                    pairs.ours.append(ours)
                    pairs.bare.append(theirs)
    return pairs


async def _append(node: Node, draft: Draft) -> float:
    begun = time.perf_counter()
    await node.writer.write(draft)
    return time.perf_counter() - begun


def _commit(bare: sqlite3.Connection, seq: int) -> float:
    raw = seq.to_bytes(4, "big") * (BLOCK_BYTES // 4)
    begun = time.perf_counter()
    bare.execute(INSERT, (1, 1, seq, raw))
    return time.perf_counter() - begun
