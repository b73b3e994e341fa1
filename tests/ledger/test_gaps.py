"""Rules whose breach nothing else in this folder reports, as planted faults have shown."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.block import Block
from ledger.errors import InvalidError, StoreError
from ledger.keys import verify
from ledger.run import verify_run
from ledger.store.base import Store
from ledger.store.sqlite import SqliteStore
from tests.ledger.stores import open_sqlite, runs, without_bodies
from tests.strategies import SOCIAL, Device, items, make_block, run_of, written


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(tmp_path / "store.db")
    yield store
    await store.close()


@pytest.mark.parametrize("seq", [1, 3, 5, 6, 64])
def test_inside_a_run_each_block_has_the_seq_after_the_one_before(seq: int) -> None:
    # given a block of a hostile device that follows its third, but says that it is another
    before = written(3)

    def followed_by(seq: int) -> list[Block]:
        return [*before, make_block(Device().keys.signing, SOCIAL, seq, before[-1].id)]

    assert verify_run(items(followed_by(4)), verify).high == 4
    with pytest.raises(InvalidError):
        verify_run(items(followed_by(seq)), verify)


async def test_a_run_that_goes_on_brings_the_bodies_that_were_missing_before_it(
    store: Store,
) -> None:
    # given the headers of three blocks
    blocks = written(5)
    await store.absorb(runs(without_bodies(run_of(blocks[:3]))), seen=0, durable=True)
    # when a run over them goes on, with all bodies
    outcome = await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    # then none is missing
    assert (outcome.new, outcome.known, outcome.bodies) == (2, 3, 3)
    held = await store.read((Device().public, SOCIAL), 1, 5)
    assert [block.body for block in held] == [block.body for block in blocks]
    assert await store.check() == []


async def test_after_a_commit_that_failed_the_store_remembers_nothing_of_it(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        await sqlite._db.execute("SELECT * FROM no_such_table")

    # given a batch of a new author whose commit fails
    with monkeypatch.context() as broken:
        broken.setattr(sqlite._db, "commit", fails)
        with pytest.raises(StoreError):
            await sqlite.absorb(runs(run_of(written(3))), seen=0, durable=True)
    # when it comes again, and something of another author
    await sqlite.absorb(runs(run_of(written(2, number=1))), seen=0, durable=True)
    outcome = await sqlite.absorb(runs(run_of(written(3))), seen=0, durable=True)
    # then all is as if it had not been tried
    assert outcome.new == 3
    assert [arrival.lsn for arrival in await sqlite.arrivals()] == [2, 1]
    begun = await sqlite._db.execute_fetchall("SELECT first_lsn FROM runs")
    assert [first for (first,) in begun] == [1]
    assert await sqlite.check() == []
