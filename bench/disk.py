"""What a block takes on the disk, once its home is closed."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Final

from bench.homes import fresh_node, fresh_port, store_bytes
from bench.measure import Goal, figure
from bench.sample import BLOCK_BYTES, fill, in_turns, log_by_log, write_bundle, write_logs
from mesh.node import SOCIAL_LOG

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.measure import Figure
    from ledger.block import Block

BLOCKS: Final = 10_000
GOAL: Final = Goal("S11", 420)


def disk(folder: Path, rounds: int) -> list[Figure]:  # noqa: ARG001  the same in every round
    """Fill homes in several ways; the size of an empty one is not counted."""
    empty = asyncio.run(_empty(folder / "home"))
    long, short = write_logs(50, BLOCKS // 50), write_logs(BLOCKS // 2, 2)
    sizes = {
        "own log": asyncio.run(_own(folder / "home")),
        "imported, long runs": _imported(folder, log_by_log(long)),
        "imported, 50 authors in turns": _imported(folder, in_turns(long)),
        "imported, runs of 2": _imported(folder, log_by_log(short)),
    }
    return [figure("an empty home", "kB", [empty / 1_000])] + [
        figure(f"{what}: a block of {BLOCK_BYTES} B", "B", [(size - empty) / BLOCKS], GOAL)
        for what, size in sizes.items()
    ]


async def _empty(home: Path) -> int:
    async with fresh_port(home):
        pass
    return store_bytes(home)


async def _own(home: Path) -> int:
    random = Random(11)
    drafts = [fill(random, SOCIAL_LOG, seq) for seq in range(1, BLOCKS + 1)]
    async with fresh_node(home) as node:
        await asyncio.gather(*map(node.writer.write, drafts))
    return store_bytes(home)


def _imported(folder: Path, blocks: Iterable[Block]) -> int:
    path = folder / "disk.passalong"
    write_bundle(path, blocks)
    return asyncio.run(_import(folder / "home", path))


async def _import(home: Path, path: Path) -> int:
    async with fresh_port(home) as port:
        imported = await port.import_bundle(path)
    assert imported.new_blocks == BLOCKS
    return store_bytes(home)
