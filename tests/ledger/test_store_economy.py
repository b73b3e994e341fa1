import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from ledger.store.base import Batch, LateBody, MailRow, MailWhat, Span
from ledger.store.sqlite import SqliteStore
from tests.ledger.stores import open_sqlite, runs, without_bodies
from tests.ledger.test_store_failures import everything_at_once
from tests.strategies import SOCIAL, Device, material, run_of, written

VERB_AND_TABLE = re.compile(
    r"\s*(?:WITH .*?\)\s*(?=SELECT))?(?:(BEGIN|COMMIT|ROLLBACK|PRAGMA synchronous)|"
    r"(INSERT|UPDATE|DELETE|SELECT).*?(?:INTO|FROM|UPDATE|DELETE FROM) *(\w+)|UPDATE (\w+))",
    re.DOTALL,
)


READ_SO_FAR = re.compile(r"rchar: (\d+)")


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
        "SELECT wanted": 1,
        "SELECT authors": 2,  # the author's number, the next numbers
        "BEGIN": 1,
        "INSERT authors": 1,
        "INSERT logs": 1,
        "INSERT pieces": 1,
        "INSERT blocks": 1000,
        "INSERT arrivals": 1,
        "COMMIT": 1,
    }


async def test_more_of_a_known_log_costs_four_statements(sqlite: SqliteStore) -> None:
    await sqlite.absorb(runs(run_of(written(100))), seen=0, durable=False)
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(written(300)[100:])), seen=0, durable=False)
    assert counts == {
        "SELECT wanted": 1,
        "BEGIN": 1,
        "INSERT logs": 1,  # its size
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
        "SELECT wanted": 1,
        "SELECT authors": 2,
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
    assert counts == {"SELECT wanted": 1}
    # a part that ends before the tip needs the id there
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(runs(run_of(blocks[:64])), seen=0, durable=False)
    assert counts == {"SELECT wanted": 1, "SELECT blocks": 1}


async def test_four_hundred_late_bodies_are_one_look_and_one_transaction(
    sqlite: SqliteStore,
) -> None:
    blocks = written(400)
    await sqlite.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    late = [LateBody(*block.header[:3], block.body or b"") for block in blocks]
    async with statements_of(sqlite) as counts:
        await sqlite.absorb(Batch(bodies=late), seen=0, durable=False)
    assert counts == {
        "SELECT wanted": 1,
        "SELECT blocks": 1,
        "BEGIN": 1,
        "INSERT logs": 1,
        "blocks": 400,  # updated
        "INSERT arrivals": 1,
        "COMMIT": 1,
    }


async def test_250_logs_are_read_in_one_trip_of_one_statement(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given 250 logs of a store that was opened again, and remembers nothing of them
    devices = [Device(number) for number in range(125)]
    for device in devices:
        device.write_many(2)
    batch = Batch(runs=[run_of(blocks) for device in devices for blocks in device.logs.values()])
    await sqlite.absorb(batch, seen=0, durable=False)
    sqlite._forget(None)
    trips = await trips_of(sqlite, monkeypatch)
    # when some of each is asked for
    async with statements_of(sqlite) as counts:
        trips.clear()
        found = await sqlite.read_spans(
            [Span((d.public, log), 1, 9) for d in devices for log in d.logs]
        )
        assert len(trips) == 1
    assert counts == {"SELECT s": 1}
    assert [len(blocks) for blocks in found] == [1, 2] * 125


async def test_however_many_are_asked_for_few_statements_are_prepared(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: set[str] = set()
    original = sqlite._db.execute_fetchall

    async def noting(sql: str, parameters: Any = None) -> Any:  # noqa: ANN401
        prepared.add(sql)
        return await original(sql, parameters)

    monkeypatch.setattr(sqlite._db, "execute_fetchall", noting)
    for count in range(1, 303):
        keys = [(Device().public, log) for log in range(count)]
        await sqlite.read_spans([Span(key, 1, 1) for key in keys])
        await sqlite.logs(keys)
    assert len(prepared) <= 20


async def trips_of(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that gets one item more with each trip to the thread of SQLite."""
    trips: list[None] = []
    original: Callable[..., Awaitable[Any]] = store._db._execute

    def counted(*args: Any, **kwargs: Any) -> Awaitable[Any]:  # noqa: ANN401
        trips.append(None)
        return original(*args, **kwargs)

    monkeypatch.setattr(store._db, "_execute", counted)
    return trips


async def test_other_looks_are_one_statement_each(sqlite: SqliteStore) -> None:
    await sqlite.absorb(runs(without_bodies(run_of(written(9)))), seen=0, durable=False)
    async with statements_of(sqlite) as counts:
        await sqlite.newest()
        await sqlite.runs()
        await sqlite.bodiless((Device().public, SOCIAL))
    assert sum(counts.values()) == 3


async def test_bodies_of_a_log_that_lacks_none_are_not_looked_for(sqlite: SqliteStore) -> None:
    blocks = written(3000)
    key = (Device().public, SOCIAL)
    await sqlite.absorb(runs(run_of(blocks)), seen=0, durable=False)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    # SQLite calls after each step of its machine
    await sqlite._db.set_progress_handler(count, 1)
    assert await sqlite.bodiless(key) == []
    assert steps < 100


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
    for durable, expected in [(True, 2), (False, 1)]:  # FULL and NORMAL
        await sqlite.absorb(Batch(), seen=0, durable=durable)
        ((level,),) = await sqlite._db.execute_fetchall("PRAGMA synchronous")
        assert level == expected


async def test_a_note_that_need_not_survive_does_not_wait_for_the_disk(sqlite: SqliteStore) -> None:
    for durable, level in [(True, 2), (False, 1), (False, 1), (True, 2)]:
        async with statements_of(sqlite) as counts:
            await sqlite.set_note("name", b"value", durable=durable)
        ((now,),) = await sqlite._db.execute_fetchall("PRAGMA synchronous")
        assert now == level
        assert counts["BEGIN"] == counts["COMMIT"] == 1
    await sqlite.absorb(Batch(), seen=0, durable=False)
    await sqlite.set_note("name", None)
    ((now,),) = await sqlite._db.execute_fetchall("PRAGMA synchronous")
    assert now == 2


async def test_a_note_is_written_in_one_go_and_several_are_read_in_one(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sqlite.set_note("name", b"value")
    hops = Mock(wraps=sqlite._db._execute)
    monkeypatch.setattr(sqlite._db, "_execute", hops)
    await sqlite.set_note("name", b"other", durable=False)
    assert hops.call_count == 1
    assert not sqlite._db.in_transaction
    assert await sqlite.notes(["name", "none"]) == {"name": b"other"}
    assert hops.call_count == 2


@contextmanager
def bytes_read() -> Iterator[list[int]]:
    """Count what the process reads meanwhile; only Linux tells."""
    counted: list[int] = []

    def read_so_far() -> int:
        return int(READ_SO_FAR.search(Path("/proc/self/io").read_text())[1])  # type: ignore[index]

    before = read_so_far()
    idle = read_so_far() - before
    before = read_so_far()
    yield counted
    counted.append(read_so_far() - before - idle)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what is read")
async def test_the_sizes_of_much_mail_are_one_statement_that_reads_little_of_it(
    tmp_path: Path,
) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    rows = [
        MailRow(MailWhat.CARRIED, material(f"envelope {n}"), content=bytes(8_192))
        for n in range(300)
    ]
    await store.absorb(Batch(mail=rows), seen=0, durable=True)
    await store.close()
    store = await open_sqlite(tmp_path / "store.db")
    async with statements_of(store) as counts:
        with bytes_read() as sizes:
            assert set((await store.mail_sizes()).values()) == {8_192}
        with bytes_read() as envelopes:
            await store.envelopes([row.ident for row in rows])
    await store.close()
    assert counts == {"SELECT mail": 2}
    assert envelopes[0] > 300 * 8_192 // 2
    assert sizes[0] < envelopes[0] // 4
