"""A store tells of every batch it took, once, and of no other."""

import asyncio
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.store.base import Absorbed, Batch, Store
from tests.ledger.stores import offer, open_sqlite, runs
from tests.strategies import SOCIAL, Device, run_of, written

BLOCKS = written(6)
KEY = (Device().public, SOCIAL)


async def test_all_who_listen_are_told_of_every_batch_in_order(store: Store) -> None:
    told: list[Absorbed] = []
    again: list[Absorbed] = []
    await offer([store], runs(run_of([Device().root])))
    store.listen(told.append)
    store.listen(again.append)
    took = [await offer([store], runs(run_of(BLOCKS[at : at + 2]))) for at in (0, 4, 2, 2)]
    took.append(await offer([store], Batch(lift=True)))
    assert told == again == took
    assert [outcome.new for outcome in told] == [2, 2, 2, 0, 0]


async def test_marks_and_notes_are_not_told_of(store: Store) -> None:
    told: list[Absorbed] = []
    store.listen(told.append)
    await store.mark(bytes(32), muted=True)
    await store.set_note("name", b"value")
    assert told == []


async def test_a_batch_that_is_not_stored_is_not_told_of(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    told: list[Absorbed] = []
    store.listen(told.append)
    await store._db.execute(
        "CREATE TEMP TRIGGER broken BEFORE INSERT ON arrivals BEGIN SELECT RAISE(FAIL, 'no'); END"
    )
    with pytest.raises(StoreError):
        await store.absorb(runs(run_of(BLOCKS)), seen=0, durable=True)
    assert told == []
    await store.close()


async def test_what_is_told_of_is_stored_and_nobody_read_it_before(tmp_path: Path) -> None:
    # given somebody who reads while a batch is being stored
    store = await open_sqlite(tmp_path / "store.db")
    order: list[str] = []

    def heard(_: Absorbed) -> None:
        assert not store._db.in_transaction
        order.append("told")

    async def read() -> None:
        found = await store.read(KEY, 1, 6)
        order.append(f"read {len(found)}")

    store.listen(heard)
    taking = asyncio.create_task(store.absorb(runs(run_of(BLOCKS)), seen=0, durable=True))
    await asyncio.sleep(0)  # it has begun
    await asyncio.gather(taking, read())
    assert order == ["told", "read 6"]
    await store.close()


async def test_a_batch_is_told_of_though_its_bringer_is_cancelled(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    told: list[Absorbed] = []
    store.listen(told.append)
    taking = asyncio.create_task(store.absorb(runs(run_of(BLOCKS)), seen=0, durable=True))
    await asyncio.sleep(0)  # it has begun
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert len(await store.read(KEY, 1, 6)) == 6
    assert [outcome.new for outcome in told] == [6]
    await store.close()
