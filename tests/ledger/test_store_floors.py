"""Blocks that are let go for want of room, and how much a log takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.store.base import NEVER, Absorbed, Batch, Floor, LateBody, LogKey, Store
from ledger.store.ground import block_bytes
from ledger.store.memory import MemoryStore
from tests.ledger.stores import (
    both,
    cut_up,
    everything,
    live,
    log_key,
    log_of,
    offer,
    open_sqlite,
    proof_of,
    runs,
    without_bodies,
)
from tests.strategies import GROUP, SOCIAL, Device, forked, run_of, written

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.block import Block

KEY = (Device().public, SOCIAL)
RANK = 5


async def held_in(store: Store, key: LogKey = KEY) -> list[int]:
    return [block.header.seq for block in await store.read(key, 0, NEVER, limit=NEVER)]


async def let_go(stores: list[Store], seq: int, key: LogKey = KEY) -> Absorbed:
    outcome = await offer(stores, Batch(floors={key: Floor(seq, RANK)}))
    for store in stores:
        assert (await store.floors())[key] == Floor(seq, RANK)
        assert await store.check() == []
    assert outcome.floors == {key: Floor(seq, RANK)}
    return outcome


async def weighed(store: Store) -> None:
    """What a store notes of each log's size is what it holds."""
    for log in await store.logs():
        blocks: list[Block] = await store.read(log_key(log), 0, NEVER, limit=NEVER)
        blocks += await store.branches(log_key(log))
        assert log.bytes == sum(map(block_bytes, blocks)), log.number


async def full(stores: list[Store], spans: list[tuple[int, int]]) -> None:
    await offer(stores, runs(run_of([Device().root])))
    for batch in cut_up(written(200), spans):
        await offer(stores, batch)


@pytest.mark.parametrize(
    ("spans", "seq", "pieces"),
    [
        ([(1, 200)], 100, [(100, 200)]),
        ([(1, 200)], 1, [(1, 200)]),
        ([(1, 200)], 200, [(200, 200)]),
        ([(1, 50), (60, 100)], 60, [(60, 100)]),
        ([(1, 50), (60, 100)], 55, [(60, 100)]),
        ([(1, 50), (60, 100)], 51, [(60, 100)]),
        ([(1, 50), (60, 100)], 50, [(50, 50), (60, 100)]),
        ([(1, 50), (60, 100)], 61, [(61, 100)]),
        ([(20, 50), (60, 100)], 10, [(20, 50), (60, 100)]),
    ],
)
async def test_what_is_below_a_floor_goes_and_nothing_else(
    spans: list[tuple[int, int]], seq: int, pieces: list[tuple[int, int]]
) -> None:
    async with both() as stores:
        await full(stores, spans)
        outcome = await let_go(stores, seq)
        assert (outcome.dropped, outcome.arrivals) == ([], [])
        for store in stores:
            log = await log_of(store, KEY)
            assert [(piece.low, piece.high) for piece in log.pieces] == pieces
            assert await held_in(store) == [n for low, high in pieces for n in range(low, high + 1)]
            await weighed(store)


@pytest.mark.parametrize("seq", [201, NEVER])
async def test_of_a_log_with_nothing_above_the_floor_nothing_is_left(seq: int) -> None:
    async with both() as stores:
        await full(stores, [(1, 50), (60, 200)])
        outcome = await let_go(stores, seq)
        assert (outcome.dropped, outcome.logs) == ([KEY], {})
        for store in stores:
            assert [log.number for log in await store.logs()] == [0]
            assert await held_in(store) == []
            assert await store.find(written(9)[4].id[:4]) == []


async def test_a_forked_log_goes_as_a_whole_but_for_what_convicts_it() -> None:
    left, right = forked(20, 90, 4)
    async with both() as stores:
        await offer(stores, runs(run_of([Device().root]), run_of(left), run_of(right)))
        proofs = await stores[0].proofs()
        outcome = await let_go(stores, 5)
        assert (outcome.dropped, list(outcome.logs), outcome.arrivals) == ([], [KEY], [])
        for store in stores:
            assert (await store.branches(KEY), await held_in(store)) == ([], [])
            assert await store.proofs() == proofs
            log = await log_of(store, KEY)
            assert (log.pieces, log.fork, log.bytes, log.bodies_missing) == ((), 20, 0, 0)


async def test_what_convicts_a_log_goes_with_its_device() -> None:
    left, right = forked(20, 90, 4)
    floors = {(Device().public, n): Floor(NEVER, RANK) for n in (SOCIAL, 0)}
    for rooted in (True, False):
        async with both() as stores:
            blocks = [run_of(left), run_of(right)]
            await offer(stores, runs(*([run_of([Device().root])] if rooted else []), *blocks))
            outcome = await offer(stores, Batch(floors=floors))
            assert set(outcome.dropped) == set(floors)
            for store in stores:
                assert (await store.proofs(), await store.logs()) == ([], [])
                assert await store.check() == []


async def test_a_forked_log_whose_blocks_went_may_come_again() -> None:
    left, right = forked(20, 90, 4)
    whole = runs(run_of([Device().root]), run_of(left), run_of(right))
    async with both() as stores:
        await offer(stores, whole)
        before = await log_of(stores[0], KEY)
        await let_go(stores, NEVER)
        outcome = await offer(stores, whole)
        assert outcome.logs[KEY] == before
        for store in stores:
            assert (await log_of(store, KEY)).bytes == before.bytes
            assert await store.check() == []
            await weighed(store)


async def test_where_log_0_went_the_others_are_told_to_be_detached() -> None:
    key = (Device().public, 0)
    async with both() as stores:
        await full(stores, [(1, 20)])
        outcome = await let_go(stores, NEVER, key)
        assert (outcome.dropped, list(outcome.logs), outcome.arrivals) == ([key], [KEY], [])
        assert outcome.logs[KEY].joined is None
        for store in stores:
            assert (await log_of(store, KEY)) == outcome.logs[KEY]


async def test_what_was_let_go_may_come_again() -> None:
    async with both() as stores:
        await full(stores, [(1, 200)])
        await let_go(stores, 150)
        outcome = await offer(stores, runs(run_of(written(200)[:149])))
        assert outcome.new == 149
        await let_go(stores, NEVER)
        outcome = await offer(stores, runs(run_of(written(200))))
        assert outcome.new == 200
        for store in stores:
            assert (await log_of(store, KEY)).head == 200
            assert await store.check() == []
            await weighed(store)


async def test_a_device_that_went_with_its_first_block_begins_anew() -> None:
    async with both() as stores:
        await full(stores, [(1, 20)])
        floors = {(Device().public, n): Floor(NEVER, 6) for n in (0, SOCIAL)}
        outcome = await offer(stores, Batch(floors=floors))
        assert sorted(outcome.dropped) == sorted(floors)
        for store in stores:
            assert await store.logs() == []
            assert [page async for page in store.devices()] in ([], [[]])
        await offer(stores, runs(run_of(written(20))))
        for store in stores:
            log = await log_of(store, KEY)
            assert (log.head, len(log.detached), log.roots) == (0, 1, frozenset())
        await offer(stores, runs(run_of([Device().root])))
        for store in stores:
            assert (await log_of(store, KEY)).head == 20
            assert await store.check() == []


async def test_bodies_that_went_are_missed_no_more() -> None:
    async with both() as stores:
        await offer(stores, runs(run_of([Device().root]), without_bodies(run_of(written(90)))))
        some = [LateBody(*KEY, n, written(90)[n - 1].body or b"") for n in range(40, 60)]
        await offer(stores, Batch(bodies=some))
        outcome = await let_go(stores, 50)
        assert outcome.logs[KEY].bodies_missing == 31
        for store in stores:
            assert await store.bodiless(KEY) == list(range(60, 91))
            await weighed(store)


async def test_a_floor_below_which_nothing_is_held_is_noted_all_the_same() -> None:
    other = (Device(7).public, SOCIAL)
    async with both() as stores:
        await full(stores, [(60, 100)])
        outcome = await let_go(stores, 60)
        assert outcome.logs == {}
        await let_go(stores, NEVER, other)
        for store in stores:
            assert await store.floors() == {KEY: Floor(60, RANK), other: Floor(NEVER, RANK)}
            assert list(await store.floors()) == sorted([KEY, other])
            assert (await log_of(store, KEY)).pieces[0].low == 60


async def test_a_floor_is_changed_by_the_next() -> None:
    async with both() as stores:
        await full(stores, [(1, 200)])
        await let_go(stores, 100)
        await offer(stores, Batch(floors={KEY: Floor(150, 3)}))
        for store in stores:
            assert await store.floors() == {KEY: Floor(150, 3)}
            assert await held_in(store) == list(range(150, 201))


async def test_floors_that_are_lifted_are_forgotten_and_others_put_in_their_place() -> None:
    other = (Device(7).public, SOCIAL)
    async with both() as stores:
        await full(stores, [(1, 200)])
        await let_go(stores, 100)
        batch = Batch(floors={other: Floor(NEVER, RANK)}, lift=True)
        outcome = await offer(stores, batch)
        assert (outcome.lifted, outcome.is_news) == (True, True)
        for store in stores:
            assert await store.floors() == {other: Floor(NEVER, RANK)}
        outcome = await offer(stores, Batch(lift=True))
        assert (outcome.lifted, outcome.is_news) == (True, True)
        assert not (await offer(stores, Batch())).is_news


async def test_the_size_of_all_is_that_of_its_logs_and_proofs() -> None:
    left, right = forked(20, 90, 4)
    async with both() as stores:
        for store in stores:
            assert await store.size() == 0
        await offer(stores, runs(run_of([Device().root]), run_of(left), run_of(right)))
        proofs = sum(len(proof.encode()) for proof in await stores[0].proofs())
        assert proofs > 300
        for store in stores:
            blocks = sum(log.bytes for log in await store.logs())
            assert await store.size() == blocks + proofs
        await let_go(stores, NEVER)
        for store in stores:
            assert await store.size() == proofs + block_bytes(Device().root)


async def test_what_comes_with_a_floor_goes_with_it() -> None:
    async with both() as stores:
        await offer(stores, runs(run_of([Device().root])))
        batch = Batch(runs=[run_of(written(90))], floors={KEY: Floor(80, RANK)})
        await offer(stores, batch)
        for store in stores:
            assert await held_in(store) == list(range(80, 91))
            assert await store.check() == []
            await weighed(store)


async def test_a_store_opened_again_knows_what_it_let_go(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await full([store], [(1, 200)])
    await let_go([store], 120)
    before = await everything(store)
    await store.close()
    again = await open_sqlite(tmp_path / "store.db")
    assert await everything(again) == before
    assert await again.floors() == {KEY: Floor(120, RANK)}
    await weighed(again)
    await offer([again], runs(run_of(written(200)[:130])))
    assert await held_in(again) == list(range(1, 201))
    assert await again.check() == []
    await again.close()


async def test_a_size_that_is_noted_wrong_is_found() -> None:
    async with both() as stores:
        await full(stores, [(1, 20)])
        memory, sqlite = stores
        assert isinstance(memory, MemoryStore)
        log = memory._has.logs[KEY]
        object.__setattr__(log, "bytes", log.bytes + 1)
        await sqlite._db.execute("UPDATE logs SET bytes = bytes + 1 WHERE log = 1")  # type: ignore[attr-defined]
        for store in stores:
            (line,) = await store.check()
            assert line.endswith("its size is noted wrong")


# --- what a log takes, whatever happens ---------------------------------------------------------

LEFT, RIGHT = forked(20, 70, 30)
LOGS = {"left": LEFT, "right": RIGHT, "group": written(90, GROUP)}
steps = st.tuples(
    st.sampled_from(["left", "right", "group", "group"]),
    st.sampled_from(["whole", "whole", "headers", "bodies", "floor", "proof"]),
    st.integers(0, 9),
    st.integers(0, 9),
)


def batch_of(name: str, what: str, low: int, high: int) -> Batch:
    """Return a batch about a stretch of a log; ``low`` and ``high`` are tenths of it."""
    blocks = LOGS[name]
    start, end = sorted((low * len(blocks) // 10, high * len(blocks) // 10))
    some, key = blocks[start : end + 1], (blocks[0].header.author, blocks[0].header.log)
    match what:
        case "whole":
            return runs(run_of(some))
        case "headers":
            return runs(without_bodies(run_of(some)))
        case "bodies":
            return Batch(bodies=[LateBody(*b.header[:3], b.body or b"") for b in some])
        case "floor":
            return Batch(floors={key: Floor(NEVER if high == 9 else start + 1, RANK)})
        case _:
            return Batch(proofs=[proof_of(LEFT[20:], RIGHT[20:])])


@settings(max_examples=max(20, settings().max_examples // 3))
@given(done=st.lists(steps, min_size=1, max_size=6), root=st.booleans())
def test_the_noted_size_of_a_log_is_what_is_held_of_it(
    done: list[tuple[str, str, int, int]], *, root: bool
) -> None:
    async def scenario() -> None:
        async with both() as stores:
            if root:
                await offer(stores, runs(run_of([Device().root])))
            for step in done:
                await offer(stores, batch_of(*step))
                for store in stores:
                    await weighed(store)
            for store in stores:
                assert await store.check() == []
            model, other = [await everything(store) for store in stores]
            assert model == other

    live(scenario())
