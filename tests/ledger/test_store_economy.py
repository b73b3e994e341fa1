import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger.store.base import Batch, LateBody
from ledger.store.sqlite import SqliteStore
from tests.ledger.stores import open_sqlite, runs, without_bodies
from tests.ledger.test_store_failures import everything_at_once
from tests.strategies import Device, run_of, written

VERB_AND_TABLE = re.compile(
    r"\s*(?:(BEGIN|COMMIT|ROLLBACK|PRAGMA synchronous)|"
    r"(INSERT|UPDATE|DELETE|SELECT).*?(?:INTO|FROM|UPDATE|DELETE FROM) *(\w+)|UPDATE (\w+))",
    re.DOTALL,
)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Give a store in which a run has begun."""
    store = await open_sqlite(tmp_path / "store.db")
    await store.absorb(runs(run_of([Device(9).root])), seen=0, durable=False)
    yield store
    await store.close()


@asynccontextmanager
async def statements_of(store: SqliteStore) -> AsyncIterator[Counter[str]]:
    """Count what SQLite is told, by verb and table; of many rows at once, every row."""
    lines: list[str] = []
    counts: Counter[str] = Counter()
    await store._db.set_trace_callback(lines.append)
    try:
        yield counts
    finally:
        await store._db.set_trace_callback(None)  # type: ignore[arg-type]
    for line in lines:
        match = VERB_AND_TABLE.match(line)
        assert match, line
        counts[" ".join(filter(None, match.groups()))] += 1


async def test_a_thousand_blocks_of_a_new_log_are_one_transaction_of_five_statements(
    sqlite: SqliteStore,
) -> None:
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(written(1000))), seen=0, durable=False)
    assert counts == {
        "SELECT authors": 3,  # what is held of the author, its number, the next numbers
        "BEGIN": 1,
        "INSERT authors": 1,
        "INSERT logs": 1,
        "INSERT pieces": 1,
        "INSERT blocks": 1000,
        "INSERT arrivals": 1,
        "COMMIT": 1,
    }


async def test_more_of_a_known_log_costs_three_statements(sqlite: SqliteStore) -> None:
    await sqlite.absorb(runs(run_of(written(100))), seen=0, durable=False)
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(written(300)[100:])), seen=0, durable=False)
    assert counts == {
        "SELECT authors": 1,
        "BEGIN": 1,
        "INSERT pieces": 1,
        "INSERT blocks": 200,
        "INSERT arrivals": 1,
        "COMMIT": 1,
    }


async def test_many_short_runs_of_many_authors_cost_no_more(sqlite: SqliteStore) -> None:
    devices = [Device(number) for number in range(60)]
    for device in devices:
        device.write_many(3)
    batch = Batch(runs=[run_of(blocks) for device in devices for blocks in device.logs.values()])
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(batch, seen=0, durable=False)
    # device 9 is known
    assert counts == {
        "SELECT authors": 3,
        "BEGIN": 1,
        "INSERT authors": 59,
        "INSERT logs": 119,
        "INSERT pieces": 119,
        "INSERT blocks": 239,
        "INSERT arrivals": 119,
        "COMMIT": 1,
    }


async def test_the_same_batch_again_writes_nothing(sqlite: SqliteStore) -> None:
    batch = everything_at_once()
    await sqlite.absorb(batch, seen=0, durable=False)
    rows = sqlite._db.total_changes
    # notes are what the caller says they are, so they are left out
    again = Batch(batch.runs, batch.bodies, batch.proofs, batch.revocations)
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(again, seen=1, durable=False)
    assert {what.split()[0] for what in counts} == {"SELECT"}
    assert sqlite._db.total_changes == rows


async def test_a_thousand_known_blocks_are_recognised_by_one_look(sqlite: SqliteStore) -> None:
    blocks = written(1000)
    await sqlite.absorb(runs(run_of(blocks)), seen=0, durable=False)
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(blocks)), seen=0, durable=False)
    assert counts == {"SELECT authors": 1}
    # a part that ends before the tip needs the id there
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(blocks[:64])), seen=0, durable=False)
    assert counts == {"SELECT authors": 1, "SELECT blocks": 1}


async def test_four_hundred_late_bodies_are_one_look_and_one_transaction(
    sqlite: SqliteStore,
) -> None:
    blocks = written(400)
    await sqlite.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    late = [LateBody(*block.header[:3], block.body or b"") for block in blocks]
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(Batch(bodies=late), seen=0, durable=False)
    assert counts == {
        "SELECT authors": 1,
        "SELECT blocks": 1,
        "BEGIN": 1,
        "INSERT logs": 1,
        "blocks": 400,  # updated
        "INSERT arrivals": 1,
        "COMMIT": 1,
    }


async def test_an_empty_batch_costs_nothing(sqlite: SqliteStore) -> None:
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(Batch(), seen=0, durable=False)
    assert counts == {}


async def test_only_what_must_survive_waits_for_the_disk(sqlite: SqliteStore) -> None:
    async with statements_of(sqlite) as counts:
        for durable in (False, False, True, True, False):
            await sqlite.absorb(Batch(), seen=0, durable=durable)
        await sqlite.set_note("name", b"value")
    assert counts["PRAGMA synchronous"] == 3
    ((level,),) = await sqlite._db.execute_fetchall("PRAGMA synchronous")
    assert level == 2  # FULL
