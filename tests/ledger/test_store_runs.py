"""Runs of a store, and what arrived last."""

from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store.base import MAX_RUNS, Batch, Newest, Store, StoreRun, What
from ledger.store.memory import MemoryStore
from tests.ledger.stores import both, everything, live, open_sqlite, proof_of, runs
from tests.ledger.test_store_statements import revoke
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, forked, run_of, written

AUTHOR = Device().public
KEY = (AUTHOR, SOCIAL)


async def arrive(store: Store, number: int, high: int = 1) -> bytes | None:
    """Have one arrival in a log of device ``number``; return the run it belongs to."""
    batch = runs(run_of(written(high, number=number)[high - 1 :]))
    return (await store.absorb(batch, seen=0, durable=False)).run


def numbered() -> MemoryStore:
    names = count(1)
    return MemoryStore(new_run=lambda: next(names).to_bytes(8, "big"))


class Reopened:
    """A store of either sort that can be closed and opened again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.store: Store = numbered()

    async def open(self) -> Store:
        if self.path is None:
            assert isinstance(self.store, MemoryStore)
            self.store = self.store.copy()
        else:
            await self.store.close()
            self.store = await open_sqlite(self.path)
        return self.store


@pytest.fixture(params=["memory", "sqlite"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Reopened:
    return Reopened(None if request.param == "memory" else tmp_path / "store.db")


async def test_a_run_begins_with_the_first_arrival_after_opening(shelf: Reopened) -> None:
    # given a store that was opened thrice; nothing arrived the second time
    store = await shelf.open()
    assert await store.runs() == []
    first = await arrive(store, 1)
    assert await arrive(store, 2) == first
    store = await shelf.open()
    assert await store.runs() == [StoreRun(first or b"", 1, 2)]
    store = await shelf.open()
    # when what is known comes again, no run begins; when news come, one does
    assert await arrive(store, 2) is None
    assert len(await store.runs()) == 1
    third = await arrive(store, 3)
    await arrive(store, 4)
    await arrive(store, 5)
    # then each run ends where the next begins
    assert first is not None
    assert third is not None
    assert await store.runs() == [StoreRun(first, 1, 2), StoreRun(third, 3, 5)]
    assert len(first) == len(third) == 8
    assert first != third
    await store.close()


async def test_a_store_knows_its_last_64_runs(shelf: Reopened) -> None:
    names = []
    for number in range(MAX_RUNS + 6):
        store = await shelf.open()
        names.append(await arrive(store, number) or b"")
    assert await shelf.store.runs() == [
        StoreRun(name, lsn, lsn) for lsn, name in list(enumerate(names, 1))[-MAX_RUNS:]
    ]
    await shelf.store.close()


async def test_a_batch_that_failed_begins_no_run(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await store._db.execute(
        "CREATE TEMP TRIGGER broken BEFORE INSERT ON runs BEGIN SELECT RAISE(FAIL, 'no'); END"
    )
    with pytest.raises(StoreError):
        await arrive(store, 1)
    assert await store.runs() == []
    await store._db.execute("DROP TRIGGER broken")
    run = await arrive(store, 1)
    assert await store.runs() == [StoreRun(run or b"", 1, 1)]
    await store.close()


async def test_a_copy_in_memory_goes_on_by_itself() -> None:
    # given a store with all sorts of things, and a copy of it
    store = numbered()
    left, right = forked(3, 3, 3)
    for blocks in (left, right, written(3, GROUP)):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    await store.absorb(Batch(revocations=[revoke(3)], notes={"a": b"b"}), seen=0, durable=False)
    await store.mark(AUTHOR, following=True)
    before = await everything(store)
    twin = store.copy(new_run=lambda: b"another!")
    assert await everything(twin) == before
    assert await twin.runs() == await store.runs()
    assert (await twin.note("a"), await twin.known()) == (b"b", await store.known())
    # when the copy goes on in every way
    longer = forked(3, 4, 3)[0]
    more = [run_of(longer), run_of(written(5, GROUP)), run_of([Device().root])]
    batch = Batch(runs=more, revocations=[revoke(4)], notes={"a": None, "c": b"d"})
    outcome = await twin.absorb(batch, seen=0, durable=False)
    await twin.mark(AUTHOR, following=False)
    # then the first knows nothing of it, and their runs part
    assert await everything(store) == before
    assert (await store.note("a"), await store.note("c")) == (b"b", None)
    assert len(await store.known()) == 1
    assert outcome.run == b"another!"
    first = len(before.arrivals) + 1
    assert (await twin.runs())[-1] == StoreRun(b"another!", first, outcome.arrivals[-1].lsn)
    assert len(await store.runs()) == 1
    assert await arrive(store, 7) == (1).to_bytes(8, "big")
    assert await twin.check() == await store.check() == []


async def test_runs_in_memory_are_named_alike_unless_one_says_how() -> None:
    store = MemoryStore()
    assert await arrive(store, 1) == bytes(8)
    assert await arrive(store.copy(), 2) == bytes(8)
    assert await store.runs() == [StoreRun(bytes(8), 1, 1)]


async def test_the_newest_arrival_of_a_log_is_known(store: Store) -> None:
    assert await store.newest() == {}
    blocks = written(9)
    await store.absorb(runs(run_of(blocks[:3], hops=2)), seen=0, durable=False)
    await store.absorb(runs(run_of(blocks[5:], hops=5)), seen=0, durable=False)
    assert await store.newest() == {KEY: Newest(2, 5)}
    # what joins is no arrival of blocks
    await store.absorb(runs(run_of([Device().root], hops=9)), seen=0, durable=False)
    assert await store.newest() == {KEY: Newest(4, 5), (AUTHOR, IDENTITY): Newest(3, 9)}
    # nor is a statement, which counts for log 0, nor a proof
    await store.absorb(Batch(revocations=[revoke(0), revoke(1)]), seen=0, durable=False)
    left, right = forked(3, 2, 2, GROUP)
    proof = proof_of(left[2:], right[2:])
    await store.absorb(Batch(proofs=[proof]), seen=0, durable=False)
    assert await store.newest() == {
        KEY: Newest(4, 5),
        (AUTHOR, IDENTITY): Newest(5, 9),
        (Device(1).public, IDENTITY): Newest(6, 0),
        (AUTHOR, GROUP): Newest(7, 0),
    }


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 255)), max_size=9))
def test_what_is_newest_follows_from_the_arrivals(legs: list[tuple[int, int, int]]) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for number, high, hops in legs:
                blocks = written(4, number=number)[high - 1 : high]
                for store in stores:
                    await store.absorb(runs(run_of(blocks, hops)), seen=0, durable=False)
            for store in stores:
                expected: dict[tuple[bytes, int], Newest] = {}
                for arrival in reversed(await store.arrivals()):
                    key = (arrival.author, arrival.log)
                    hops = expected.get(key, Newest(0, 0)).hops
                    hops = arrival.hops if arrival.what is What.BLOCKS else hops
                    expected[key] = Newest(arrival.lsn, hops)
                assert await store.newest() == expected

    live(scenario())
