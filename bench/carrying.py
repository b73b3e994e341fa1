"""Taking in a bundle and writing one: CPU a block, against what cannot be done without."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from unittest import mock

from bench.ceiling import Ceiling, measure_ceiling
from bench.homes import fresh_port
from bench.measure import Goal, lap, micros, ratio
from bench.sample import log_by_log, signatures_due, write_bundle, write_logs
from mesh.intake import BATCH_BLOCKS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure import Figure
    from ledger.block import Block, Header

SHAPES: Final = {
    "10,000 in long runs": (50, 200),
    "100,000 in long runs": (50, 2_000),
    "5,000 authors x 2": (5_000, 2),
}
TAIL: Final = "5,000 authors x 2"
EVERY: Final = "10,000 in long runs"
CEILING_BLOCKS: Final = 20_000


@dataclass(slots=True)
class _Shape:
    """A bundle, and what each round made of it, CPU seconds a block."""

    name: str
    path: Path
    blocks: int
    due: int
    some: list[Block]
    ceilings: list[Ceiling] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    every: list[float] = field(default_factory=list)
    given: list[float] = field(default_factory=list)

    @property
    def least(self) -> list[float]:
        """What each round's machine needs at least, a block."""
        return [one.take_in(self.due / self.blocks) for one in self.ceilings]


def _make(folder: Path, name: str) -> _Shape:
    authors, length = SHAPES[name]
    path = folder / f"{authors}x{length}.passalong"
    blocks = list(log_by_log(write_logs(authors, length)))
    write_bundle(path, blocks)
    return _Shape(name, path, len(blocks), signatures_due(path), blocks[:CEILING_BLOCKS])


def take_in(folder: Path, rounds: int) -> list[Figure]:
    """Import bundles into new homes."""
    shapes = [_make(folder, name) for name in SHAPES]
    for _ in range(rounds):
        for shape in shapes:
            shape.ceilings.append(measure_ceiling(folder, shape.some, BATCH_BLOCKS))
            shape.taken.append(asyncio.run(_import(folder / "home", shape)))
            if shape.name == EVERY:
                shape.every.append(_import_verifying_all(folder / "home", shape))
    return [one for shape in shapes for one in _import_figures(shape)]


def _import_figures(shape: _Shape) -> list[Figure]:
    ceilings, name = shape.ceilings, shape.name
    verifying = [one.verify * shape.due / shape.blocks for one in ceilings]
    figures = [
        micros(f"{name}: codec", [one.decode for one in ceilings]),
        micros(f"{name}: hash", [one.hash for one in ceilings]),
        micros(f"{name}: verify {shape.due:,} of {shape.blocks:,}", verifying),
        micros(f"{name}: bare insert, {BATCH_BLOCKS:,} a commit", [one.insert for one in ceilings]),
        micros(f"{name}: import, a block", shape.taken),
        ratio(f"{name}: import / ceiling", shape.taken, shape.least, Goal("as S1", 1.5)),
    ]
    if name == TAIL:
        what = f"{name}: import / (half the blocks x verify)"
        half = [one.verify / 2 for one in ceilings]
        figures.append(ratio(what, shape.taken, half, Goal("as S3", 1.8)))
    if shape.every:
        all_of_them = [one.verify for one in ceilings]
        what = f"{name}: every signature verified"
        figures.append(micros(f"{what}, a block", shape.every))
        figures.append(ratio(f"{what} / import", shape.every, shape.taken))
        goal = Goal("as S2", 1.2)
        figures.append(ratio(f"{what} / (blocks x verify)", shape.every, all_of_them, goal))
    return figures


async def _import(home: Path, shape: _Shape) -> float:
    async with fresh_port(home) as port:
        with lap() as taken:
            imported = await port.import_bundle(shape.path)
    assert (imported.new_blocks, imported.refused) == (shape.blocks, 0)
    return taken.cpu / shape.blocks


def _import_verifying_all(home: Path, shape: _Shape) -> float:
    with mock.patch("ledger.run.must_be_signed", new=_always):
        return asyncio.run(_import(home, shape))


def _always(header: Header, *, is_last: bool) -> bool:  # noqa: ARG001
    return True


def give_out(folder: Path, rounds: int) -> list[Figure]:
    """Export what was imported."""
    shapes = [_make(folder, name) for name in SHAPES]
    for shape in shapes:
        asyncio.run(_export(folder, shape, rounds))
    return [one for shape in shapes for one in _export_figures(shape)]


async def _export(folder: Path, shape: _Shape, rounds: int) -> None:
    target = folder / "out.passalong"
    async with fresh_port(folder / "home") as port:
        await port.import_bundle(shape.path)
        for _ in range(rounds):
            shape.ceilings.append(measure_ceiling(folder, shape.some, BATCH_BLOCKS))
            with lap() as taken:
                exported = await port.export_bundle(target)
            assert exported.blocks > shape.blocks
            shape.given.append(taken.cpu / exported.blocks)


def _export_figures(shape: _Shape) -> list[Figure]:
    least = [one.give_out() for one in shape.ceilings]
    return [
        micros(f"{shape.name}: bare read + encode", least),
        micros(f"{shape.name}: export, a block", shape.given),
        ratio(f"{shape.name}: export / (read + encode)", shape.given, least),
    ]
