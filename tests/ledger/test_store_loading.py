"""Which logs a batch makes a store look at."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest

from ledger.store.base import Batch, LateBody, LogKey, Store
from ledger.store.ground import Ground
from ledger.store.memory_ground import MemoryGround
from ledger.store.sqlite_ground import SqliteGround
from tests.ledger.stores import runs
from tests.strategies import GROUP, Device, run_of


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[LogKey]:
    """Give the keys of the logs that either store loads for its batches, one after the other."""
    keys: list[LogKey] = []
    for ground in (SqliteGround, MemoryGround):
        monkeypatch.setattr(ground, "load", _noting(ground.load, keys))
        monkeypatch.setattr(ground, "load_whole", _noting(ground.load_whole, keys))
    return keys


def _noting(load: Callable[..., Awaitable[Any]], keys: list[LogKey]) -> Callable[..., Any]:
    async def noting(ground: Ground, wanted: Collection[Any]) -> Any:  # noqa: ANN401
        found = await load(ground, wanted)
        keys.extend(found[0] if isinstance(found, tuple) else found)
        return found

    return noting


async def test_of_an_author_with_500_logs_those_of_the_batch_are_loaded(
    store: Store, loaded: list[LogKey]
) -> None:
    # given 500 logs that wait for their device block
    device = Device()
    for number in range(500):
        device.write_many(2, log=GROUP + number)
    some = [run_of(device.logs[GROUP + number][:1]) for number in range(500)]
    await store.absorb(Batch(runs=some), seen=0, durable=False)
    loaded.clear()
    # when it comes, all are looked at, for they join
    root = run_of([device.root])
    outcome = await store.absorb(runs(root), seen=0, durable=False)
    assert (len(loaded), len(outcome.logs), len(outcome.arrivals)) == (500, 501, 501)
    # but then only what a batch is about, even if the device block comes along again
    for batch in (runs(run_of(device.logs[GROUP + 7])), runs(root, run_of(device.logs[GROUP + 8]))):
        loaded.clear()
        assert (await store.absorb(batch, seen=0, durable=False)).new == 1
        assert len(loaded) == 2
    loaded.clear()
    late = LateBody(*device.logs[GROUP + 9][0].header[:3], b"")
    await store.absorb(Batch(bodies=[late]), seen=0, durable=False)
    assert sorted(loaded) == [(device.public, 0), (device.public, GROUP + 9)]
    # nor are others looked at where one asks for some
    loaded.clear()
    assert len(await store.logs([(device.public, GROUP + 1)])) == 1
    assert len(loaded) <= 1
