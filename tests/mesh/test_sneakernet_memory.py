"""Both ways run in constant memory: a store four times as large needs no more."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from ledger.store.base import Batch
from mesh.addressing import Readers
from mesh.sneakernet import export_bundle, import_bundle, inspect_bundle
from tests.gossip.held import WHEN
from tests.ledger.stores import open_sqlite
from tests.mesh.sticks import Carrier
from tests.strategies import Device, run_of, written

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

FEW, MANY = 5_000, 20_000
MB = 1 << 20
TEXT = "t" * 164


async def make_store(path: Path, count: int) -> None:
    """Fill a store with one long log, in pages."""
    blocks = written(MANY, text=TEXT)
    store = await open_sqlite(path)
    await store.absorb(Batch(runs=[run_of([Device().root])]), seen=WHEN, durable=False)
    for low in range(0, count, 5_000):
        run = run_of(blocks[low : low + 5_000])
        await store.absorb(Batch(runs=[run]), seen=WHEN, durable=False)
    await store.close()


def peaks_of(work: Callable[[int], Awaitable[object]]) -> tuple[int, int]:
    """Return how many bytes Python held at once while ``work`` was done, for few and for many."""

    async def measured(count: int) -> int:
        tracemalloc.start()
        try:
            await work(count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return asyncio.run(measured(FEW)), asyncio.run(measured(MANY))


async def give(folder: Path, count: int, max_bytes: int | None) -> None:
    store = await open_sqlite(folder / f"{count}.db")
    await export_bundle(store, folder / f"{count}.pal", max_bytes=max_bytes)
    await store.close()


async def take(folder: Path, count: int) -> None:
    store = await open_sqlite(folder / f"{count}.new.db")
    imported = await import_bundle(store, folder / f"{count}.pal", seen=WHEN)
    await store.close()
    assert imported.new_blocks == count + 1


async def look(folder: Path, count: int) -> None:
    assert inspect_bundle(folder / f"{count}.pal").blocks == count + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give two stores and their bundles."""
    place = tmp_path_factory.mktemp("memory")
    for count in (FEW, MANY):
        asyncio.run(make_store(place / f"{count}.db", count))
        asyncio.run(give(place, count, None))
    return place


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [None, 10 * MB])
def test_giving_takes_no_more_memory_for_more(folder: Path, max_bytes: int | None) -> None:
    few, many = peaks_of(lambda count: give(folder, count, max_bytes))
    assert many < 2 * MB
    assert many < 1.2 * few + 200_000


@pytest.mark.slow
def test_taking_takes_no_more_memory_for_more(folder: Path) -> None:
    few, many = peaks_of(lambda count: take(folder, count))
    assert many < 8 * MB
    assert many < 1.2 * few + 200_000


async def give_sealed(folder: Path, count: int, part_bytes: int | None) -> None:
    ann, ben = Carrier(1), Carrier(2)
    ann.store = await open_sqlite(folder / f"{count}.db")
    readers = Readers(ann.bearer, [ben.reader], is_sealed=True, person=lambda device: device)
    name = folder / f"{count}.sealed.passalong"
    await export_bundle(ann.store, name, part_bytes=part_bytes, readers=readers)
    await ann.store.close()


async def take_sealed(folder: Path, count: int) -> None:
    ben = Carrier(2)
    ben.store = await open_sqlite(folder / f"{count}.sealed.db")
    name = folder / f"{count}.sealed.passalong"
    imported = await import_bundle(ben.store, name, seen=WHEN, bearer=ben.bearer)
    assert imported.new_blocks == count + 1
    assert await ben.seen(Carrier(1)) is not None
    await ben.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("part_bytes", [200_000, None])
def test_sealing_takes_no_more_memory_for_more(folder: Path, part_bytes: int | None) -> None:
    few, many = peaks_of(lambda count: give_sealed(folder, count, part_bytes))
    assert many < 3 * MB
    assert many < 1.2 * few + 200_000


@pytest.mark.slow
def test_unsealing_takes_no_more_memory_for_more(folder: Path) -> None:
    for count in (FEW, MANY):
        asyncio.run(give_sealed(folder, count, None))
    few, many = peaks_of(lambda count: take_sealed(folder, count))
    assert many < 8 * MB
    assert many < 1.2 * few + 200_000


@pytest.mark.slow
def test_looking_takes_no_more_memory_for_more(folder: Path) -> None:
    few, many = peaks_of(lambda count: look(folder, count))
    assert many < 8 * MB
    assert many < 1.2 * few + 200_000
