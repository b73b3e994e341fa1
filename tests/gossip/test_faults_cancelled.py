"""Faults that were found once, and mended: a task that is cancelled in the middle of a batch."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import pytest
from typing_extensions import override

from ledger.statement import Revocation
from ledger.store.base import Absorbed, Batch
from ledger.store.memory import MemoryStore
from mesh.holdings import Holdings
from mesh.writer import Heads, Writer
from tests.gossip.meetings import Node
from tests.strategies import Device, run_of

Absorb = Callable[[Batch], Awaitable[Absorbed]]


class Slow(MemoryStore):
    """A store that lets others have their turn before it answers."""

    @override
    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        await asyncio.sleep(0)
        return await super().absorb(batch, seen=seen, durable=durable)

    @override
    async def revocations(self, devices: Collection[bytes] | None = None) -> list[Revocation]:
        await asyncio.sleep(0)
        return await super().revocations(devices)


async def a_place(*, through_writer: bool) -> tuple[MemoryStore, Holdings, Absorb]:
    """A store, what is known of it, and how batches come into both."""
    store = Slow()
    holdings = await Holdings.open(store, Node(1).policy)
    writer = Writer(store, Heads(Device(1, 1).keys.signing), lambda: 0, holdings.learn)
    way = writer if through_writer else holdings
    return store, holdings, lambda batch: way.absorb(batch, seen=0, durable=False)


@pytest.mark.parametrize("through_writer", [False, True])
@pytest.mark.parametrize("turns", range(6))
async def test_a_batch_that_was_stored_is_known_though_nobody_waits_for_it(
    turns: int, *, through_writer: bool
) -> None:
    # given a task that is cancelled at some moment while it absorbs a batch
    store, holdings, absorb = await a_place(through_writer=through_writer)
    author = Device(5, 5)
    statement = Revocation.sign(author.person, author.public, [])
    batch = Batch(runs=[run_of(author.logs[0])], revocations=[statement])
    task = asyncio.ensure_future(absorb(batch))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    # when the next batch is through
    await absorb(batch)

    # then all that is stored is known, and will be told
    assert len(await store.logs()) == len(holdings.catalogue.logs) == 1
    assert [run.last for run in await store.runs()] == [holdings.catalogue.lsn]
