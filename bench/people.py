"""Asking who is who in a node that stays open: the first time, again, and after a post came."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from bench.homes import fresh_node
from bench.measure import figure, lap, ratio
from bench.sample import fill
from ledger.block import DEVICE_KIND
from ledger.keys import DeviceKeys, PersonKey
from ledger.kinds.device import Device
from ledger.kinds.profile import KIND as PROFILE
from ledger.kinds.profile import Profile
from ledger.run import Run
from ledger.store.base import Batch
from mesh.node import SOCIAL_LOG
from mesh.register import Register
from mesh.writer import Draft, Heads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.measure import Figure
    from ledger.block import Block
    from ledger.store.base import Store

SHAPES: Final = {"50,000 blocks of 1,000": (1_000, 50), "50,000 blocks of 10,000": (10_000, 5)}
ASKED: Final = 1_000
"""How often in a row where nothing came; once is too short to time."""
_AT_ONCE: Final = 500
_SALT: Final = bytes(16)


@dataclass(slots=True)
class _Shape:
    """What a node holds, and what asking took each round, CPU seconds a question."""

    name: str
    persons: int
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)


def people(folder: Path, rounds: int) -> list[Figure]:
    """Ask nodes that hold as many blocks, of few persons and of many."""
    shapes: list[_Shape] = []
    for name, (persons, blocks) in SHAPES.items():
        shape = _Shape(name, persons)
        asyncio.run(_ask(folder / "home", shape, blocks, rounds))
        shapes.append(shape)
    return [one for shape in shapes for one in _figures(shape)]


def _figures(shape: _Shape) -> list[Figure]:
    name = f"{shape.name} persons"
    return [
        figure(f"{name}: first time", "ms", [one * 1_000 for one in shape.first]),
        ratio(f"{name}: again / first", shape.again, shape.first),
        figure(f"{name}: after a post came", "ms", [one * 1_000 for one in shape.after]),
        ratio(f"{name}: after a post came / first", shape.after, shape.first),
        figure(f"{name}: kept in mind, a person", "B", shape.held),
    ]


async def _ask(home: Path, shape: _Shape, blocks: int, rounds: int) -> None:
    """Ask a register of each round's own; all stand over one store."""
    async with fresh_node(home) as node:
        logs = [log for number in range(shape.persons) for log in _logs(number, blocks)]
        for at in range(0, len(logs), _AT_ONCE):
            await _take(node.store, logs[at : at + _AT_ONCE])
        for _ in range(rounds):
            register = Register(node.store)
            with lap() as first:
                await register.people()
            with lap() as again:
                for _ in range(ASKED):
                    await register.people()
            await node.writer.write(fill(Random(0), SOCIAL_LOG, 1))
            with lap() as after:
                await register.people()
            shape.first.append(first.cpu)
            shape.again.append(again.cpu / ASKED)
            shape.after.append(after.cpu)
        shape.held.append(await _held(node.store) / shape.persons)


async def _take(store: Store, logs: Sequence[Sequence[Block]]) -> None:
    runs = [Run(tuple(log)) for log in logs]
    await store.absorb(Batch(runs=runs), seen=0, durable=False)


def _logs(number: int, blocks: int) -> tuple[list[Block], list[Block]]:
    """Return what a person's only device wrote: who it is, a name, and posts."""
    random = Random(number)
    keys, person = DeviceKeys.from_random(random.randbytes(64)), PersonKey(random.randbytes(32))
    said = Device(1, keys.sealing_public, person.signing.public, person.certify(keys.public))
    heads = Heads(keys.signing)
    root = heads.extend(Draft(0, DEVICE_KIND, said.encode(_SALT)))
    name = Draft(SOCIAL_LOG, PROFILE, Profile(1, f"person {number}").encode(_SALT))
    posts = (fill(random, SOCIAL_LOG, seq) for seq in range(2, blocks))
    return [root], [heads.extend(draft) for draft in (name, *posts)]


async def _held(store: Store) -> int:
    """Return the bytes that a register keeps of all people."""
    register = Register(store)
    gc.collect()
    tracemalloc.start()
    try:
        await register.people()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
