import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import MAX_DETACHED
from ledger.errors import StoreError
from ledger.store.base import Batch, LateBody, Store
from ledger.store.sqlite import SqliteStore
from tests.ledger.stores import (
    Everything,
    cut_up,
    everything,
    log_of,
    open_sqlite,
    proof_of,
    runs,
    without_bodies,
)
from tests.ledger.test_store_statements import revoke
from tests.strategies import SOCIAL, Device, forked, run_of, written

KEY = (Device().public, SOCIAL)
LEFT, RIGHT = forked(4, 3, 3, number=1)


def everything_at_once() -> Batch:
    """A batch in which something of every table changes, a fork among it."""
    blocks = written(9)
    return Batch(
        runs=[
            run_of([Device().root]),
            without_bodies(run_of(blocks[:5])),
            run_of(LEFT),
            run_of(RIGHT),
            run_of(blocks[3:]),
        ],
        bodies=[LateBody(*blocks[1].header[:3], blocks[1].body or b"")],
        proofs=[proof_of(list(blocks[4:]), forked(5, 2, 2)[1][4:])],
        revocations=[revoke(3)],
        notes={"rolled-back": b"no"},
    )


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(tmp_path / "store.db")
    yield store
    await store.close()


async def test_a_fifth_detached_segment_is_refused_and_nothing_is_lost(store: Store) -> None:
    # given as many segments as are kept
    blocks = written(20)
    spans = [(18, 18), (3, 4), (15, 16), (6, 7), (9, 10)]
    *kept, fifth = cut_up(blocks, spans)
    for batch in kept:
        await store.absorb(batch, seen=0, durable=True)
    before = await everything(store)
    # when another comes in the middle of a batch
    both_runs = [*fifth.runs, run_of(blocks[18:20])]
    outcome = await store.absorb(Batch(runs=both_runs), seen=1, durable=True)
    # then it is refused with a reason, and the others of its batch are taken
    ((key, reason),) = outcome.refused
    assert key == KEY
    assert str(MAX_DETACHED) in reason
    assert outcome.new == 2
    after = await everything(store)
    assert after.entries[KEY][:7] == before.entries[KEY]
    # and what is before them is never refused, and joins them
    await store.absorb(runs(run_of([Device().root]), run_of(blocks[:3])), seen=2, durable=True)
    assert (await log_of(store, KEY)).head == 4
    outcome = await store.absorb(fifth, seen=3, durable=True)
    assert (outcome.new, outcome.refused) == (2, [])
    assert len((await log_of(store, KEY)).detached) == MAX_DETACHED
    assert await store.check() == []


TABLES = [
    "authors",
    "logs",
    "pieces",
    "blocks",
    "branches",
    "proofs",
    "revocations",
    "arrivals",
    "notes",
    "runs",
]


@pytest.mark.parametrize("table", TABLES)
async def test_a_batch_that_fails_at_any_table_leaves_nothing_behind(
    sqlite: SqliteStore, table: str
) -> None:
    # given a store in which nothing can be written to one table
    await sqlite._db.execute(
        f"CREATE TEMP TRIGGER broken BEFORE INSERT ON {table}"
        " BEGIN SELECT RAISE(FAIL, 'no more of this'); END"
    )
    before = await everything(sqlite)
    # when a batch needs to
    with pytest.raises(StoreError, match="no more of this"):
        await sqlite.absorb(everything_at_once(), seen=0, durable=True)
    # then nothing of it is there, and the store goes on as if it had not been
    assert await everything(sqlite) == before
    assert await sqlite.note("rolled-back") is None
    await sqlite._db.execute("DROP TRIGGER broken")
    await assert_it_works_like_new(sqlite)


async def assert_it_works_like_new(store: SqliteStore) -> None:
    fresh = await open_sqlite()
    for each in (store, fresh):
        await each.absorb(everything_at_once(), seen=0, durable=True)
    assert await everything(store) == await everything(fresh)
    assert await store.note("rolled-back") == b"no"
    for each in (store, fresh):
        runs_begun = await each._db.execute_fetchall("SELECT first_lsn FROM runs")
        assert [first for (first,) in runs_begun] == [1]
        assert await each.check() == []
    await fresh.close()


async def test_a_full_disk_is_said_and_survived(sqlite: SqliteStore) -> None:
    # given a disk with room for a few pages more
    await sqlite.absorb(runs(run_of(written(20, number=2))), seen=0, durable=True)
    ((pages,),) = await sqlite._db.execute_fetchall("PRAGMA page_count")
    await sqlite._db.execute_fetchall(f"PRAGMA max_page_count = {pages + 3}")
    before = await everything(sqlite)
    # when more is taken in than fits
    for _ in range(2):
        with pytest.raises(StoreError, match=r"^the disk is full; free some space") as error:
            await sqlite.absorb(runs(run_of(written(300))), seen=0, durable=False)
        assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match=r"^the disk is full"):
        await sqlite.set_note("long", bytes(1 << 20))
    # then nothing is lost, and with room again it fits
    assert await everything(sqlite) == before
    assert await sqlite.check() == []
    await sqlite._db.execute_fetchall("PRAGMA max_page_count = 1000000")
    assert (await sqlite.absorb(runs(run_of(written(300))), seen=0, durable=False)).new == 300
    assert [a.lsn for a in await sqlite.arrivals()] == [2, 1]
    assert await sqlite.check() == []


async def test_a_failing_commit_leaves_nothing_behind(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        await sqlite._db.execute("SELECT * FROM no_such_table")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite._db, "commit", fails)
        with pytest.raises(StoreError, match="no_such_table"):
            await sqlite.absorb(everything_at_once(), seen=0, durable=True)
    assert not sqlite._db.in_transaction
    await assert_it_works_like_new(sqlite)


Interrupt = Callable[["asyncio.Task[Any]"], None]


def only_the_caller(caller: "asyncio.Task[Any]") -> None:
    caller.cancel()


def everybody(caller: "asyncio.Task[Any]") -> None:
    """What ``asyncio.run`` does at its end."""
    for task in asyncio.all_tasks():
        if task is caller or "_transact" in repr(task.get_coro()):
            task.cancel()


async def absorb_interrupted(store: SqliteStore, at: int, interrupt: Interrupt) -> bool:
    """Absorb, and interrupt at the given call to SQLite; say whether it came to that."""
    caller = asyncio.ensure_future(store.absorb(everything_at_once(), seen=0, durable=True))
    calls = 0
    original: Callable[..., Awaitable[Any]] = store._db._execute

    async def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if calls == at:
            interrupt(caller)
        return await original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._db, "_execute", counted)
        await asyncio.wait([caller])
        async with store._lock:
            pass
    return caller.cancelled()


@pytest.mark.parametrize("interrupt", [only_the_caller, everybody])
async def test_a_batch_whose_caller_is_cancelled_is_there_whole_or_not_at_all(
    interrupt: Interrupt,
) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    model = await open_sqlite()
    nothing = await everything(model)
    await model.absorb(everything_at_once(), seen=0, durable=True)
    whole = await everything(model)
    await model.close()
    outcomes: list[Everything] = []
    for at in range(1, 1000):
        store = await open_sqlite()
        if not await absorb_interrupted(store, at, interrupt):
            await store.close()
            break
        outcomes.append(await everything(store))
        assert outcomes[-1] in (nothing, whole)
        assert not store._db.in_transaction
        # and it goes on: the same is taken, or is known, and then more
        await store.absorb(everything_at_once(), seen=0, durable=True)
        assert await everything(store) == whole
        await store.absorb(runs(run_of(written(4, number=5))), seen=0, durable=True)
        assert await store.check() == []
        assert [a.lsn for a in await store.arrivals()] == [*range(len(whole.arrivals) + 1, 0, -1)]
        await store.close()
    assert len(outcomes) > 20
    assert (whole in outcomes, nothing in outcomes) == (True, interrupt is everybody)
    gc.collect()
    assert reports == []


async def test_a_failure_nobody_waits_for_is_no_news_to_the_event_loop(
    sqlite: SqliteStore,
) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    await sqlite._db.execute(
        "CREATE TEMP TRIGGER broken BEFORE INSERT ON arrivals BEGIN SELECT RAISE(FAIL, 'no'); END"
    )
    assert await absorb_interrupted(sqlite, 3, only_the_caller)
    await asyncio.sleep(0)
    gc.collect()
    assert reports == []
    assert await sqlite.arrivals() == []


async def test_batches_offered_at_once_are_taken_one_after_the_other(store: Store) -> None:
    blocks = written(30)
    batches = cut_up(blocks, [(low, low + 4) for low in range(1, 30, 5)])
    outcomes = await asyncio.gather(
        *(store.absorb(batch, seen=0, durable=bool(n % 2)) for n, batch in enumerate(batches)),
        store.set_note("name", b"value"),
    )
    assert sum(outcome.new for outcome in outcomes if outcome) == 30
    assert [(p.low, p.high) for p in (await log_of(store, KEY)).pieces] == [(1, 30)]
    assert await store.check() == []
