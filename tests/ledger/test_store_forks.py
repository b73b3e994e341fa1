from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import Block
from ledger.chain import MAX_BRANCH_BLOCKS, grow
from ledger.store.base import Batch, Store, What
from tests.ledger.stores import (
    agreed,
    both,
    cut_up,
    everything,
    live,
    log_of,
    offer,
    proof_of,
    runs,
    settle,
    shape,
)
from tests.strategies import IDENTITY, SOCIAL, Device, forked, run_of, spans

KEY = (Device().public, SOCIAL)


@dataclass(frozen=True)
class Twins:
    """Copies of one device that went on writing, each from somewhere on.

    Attributes:
        second: Seq at which the second parts from the first.
        third: Seq at which the third parts from the second, 0 if there is no third.
        length: Blocks in each one's log.
    """

    second: int
    third: int
    length: int

    def logs(self, log: int = SOCIAL) -> list[tuple[Block, ...]]:
        return list(_twin_logs(self, log))


@cache
def _twin_logs(twins: Twins, log: int) -> tuple[tuple[Block, ...], ...]:
    first = Device()
    first.write_many(twins.second - 1 - len(first.logs.get(log, ())), log=log)
    second = first.twin()
    logs = [first.write_many(twins.length - twins.second + 1, "first", log=log)]
    if twins.third:
        second.write_many(twins.third - 1 - len(second.logs.get(log, ())), "second", log=log)
        third = second.twin()
        missing = twins.length - len(third.logs.get(log, ()))
        logs.append(third.write_many(missing, "third", log=log))
    missing = twins.length - len(second.logs.get(log, ()))
    logs.append(second.write_many(missing, "second", log=log))
    return tuple(tuple(blocks) for blocks in logs)


@st.composite
def families(draw: st.DrawFn) -> Twins:
    length = draw(st.integers(2, 7))
    second = draw(st.integers(2, length))
    return Twins(second, draw(st.just(0) | st.integers(second, length)), length)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Twins, list[tuple[int, int, int]]]:
    """Twins, and their runs (which twin, low, high) in the order in which they arrive."""
    twins = draw(families())
    legs = [
        (index, low, high)
        for index in range(len(twins.logs()))
        for low, high in draw(spans(twins.length, extra=1))
    ]
    return twins, draw(st.permutations(legs))


@given(stories(), st.sampled_from([IDENTITY, SOCIAL]))
def test_twins_logs_in_any_runs_and_any_order_end_in_one_verdict(
    story: tuple[Twins, list[tuple[int, int, int]]], number: int
) -> None:
    async def scenario() -> None:
        twins, legs = story
        logs = twins.logs(number)
        arriving = [runs(run_of(logs[index][low - 1 : high])) for index, low, high in legs]
        async with both() as stores:
            await offer(stores, runs(run_of([Device().root])))
            await settle(stores, arriving)
            state = await agreed(stores)
            log = await log_of(stores[0], (Device().public, number))
            # then the verdict is the first difference, and what is before it stays joined
            s = twins.second
            assert log.fork == s
            assert [(p.low, p.high, p.tip) for p in log.pieces] == [(1, s - 1, logs[0][s - 2].id)]
            assert log.head == s - 1
            # and the branches are those of the whole, whatever was held in between
            union = shape([block for blocks in logs for block in blocks[s - 1 :]])
            kept = {ident for ident, _ in state.branches[Device().public, number]}
            assert kept == grow(union, s, logs[0][s - 2].id)

    live(scenario())


@given(stories())
def test_on_the_way_to_a_verdict_both_stores_stay_sound_and_say_the_same(
    story: tuple[Twins, list[tuple[int, int, int]]],
) -> None:
    async def scenario() -> None:
        twins, legs = story
        logs = twins.logs()
        verdict = 1 << 40
        async with both() as stores:
            for index, low, high in legs:
                await offer(stores, runs(run_of(logs[index][low - 1 : high])))
                await agreed(stores)
                # a verdict never becomes milder
                fork = (await log_of(stores[0], KEY)).fork or 1 << 40
                assert twins.second <= fork <= verdict
                verdict = fork

    live(scenario())


@given(stories())
def test_what_is_known_of_a_forked_log_is_not_taken_twice(
    story: tuple[Twins, list[tuple[int, int, int]]],
) -> None:
    async def scenario() -> None:
        twins, legs = story
        logs = twins.logs()
        arriving = [runs(run_of(logs[index][low - 1 : high])) for index, low, high in legs]
        async with both() as stores:
            await settle(stores, arriving)
            before = await everything(stores[1])
            for batch in arriving:
                await offer(stores, batch)
            assert await everything(stores[1]) == before

    live(scenario())


async def test_a_branch_goes_on_for_64_blocks_and_no_further(store: Store) -> None:
    left, right = forked(3, 80, 100)
    for blocks in (left, right):
        for batch in cut_up(blocks, [(1, 2), (1, 30), (31, len(blocks))]):
            await store.absorb(batch, seen=0, durable=True)
    kept = await store.branches(KEY)
    assert len(kept) == 2 * (1 + MAX_BRANCH_BLOCKS)
    assert {block.header.seq for block in kept} == set(range(3, 4 + MAX_BRANCH_BLOCKS))
    assert await store.check() == []


async def test_a_verdict_is_news_and_says_from_where(store: Store) -> None:
    left, right = forked(3, 2, 3)
    await store.absorb(runs(run_of(left)), seen=1, durable=True)
    outcome = await store.absorb(runs(run_of(right, hops=2)), seen=2, durable=True)
    assert outcome.forks == outcome.grown == [KEY]
    assert (outcome.new, outcome.known) == (3, 2)
    newest = await store.arrivals(limit=2)
    assert [(a.what, a.low, a.high, a.hops) for a in newest] == [
        (What.BLOCKS, 3, 5, 2),
        (What.VERDICT, 3, 3, 0),
    ]
    # a block that goes on with a branch is news again
    _, longer = forked(3, 2, 4)
    await store.absorb(runs(run_of(longer, hops=1)), seen=3, durable=True)
    assert [(a.lsn, a.low, a.high) for a in await store.arrivals(limit=2)] == [
        (4, 6, 6),
        (3, 3, 5),
    ]
    # and what belongs to no branch is nothing at all
    nowhere = await store.absorb(runs(run_of(forked(4, 2, 2)[0][4:])), seen=4, durable=True)
    assert (nowhere.new, nowhere.known, nowhere.grown) == (0, 0, [])
    assert len(await store.arrivals()) == 4


async def test_proofs_of_some_logs_can_be_had(store: Store) -> None:
    for branch in forked(3, 2, 3):
        await store.absorb(runs(run_of(branch)), seen=1, durable=True)
    assert await store.proofs([KEY, (KEY[0], 7), (bytes(32), 1)]) == await store.proofs()
    assert await store.proofs([(KEY[0], 7)]) == await store.proofs([]) == []


async def test_a_smaller_proof_lowers_the_verdict(store: Store) -> None:
    # given a verdict from 6 on
    left, right = Twins(6, 0, 8).logs()
    other = Twins(3, 0, 8).logs()[0]
    await store.absorb(runs(run_of(left), run_of(right)), seen=0, durable=True)
    assert (await log_of(store, KEY)).fork == 6
    # when a third copy is seen to have parted at 3
    outcome = await store.absorb(
        Batch(proofs=[proof_of(left[2:], other[2:])]), seen=1, durable=True
    )
    # then the verdict is from 3 on, and the blocks between are in a branch
    assert outcome.forks == [KEY]
    log = await log_of(store, KEY)
    assert (log.fork, log.pieces[0].high) == (3, 2)
    branches = await store.branches(KEY)
    assert {b.id for b in branches} == grow(shape([*left[2:], *right[2:]]), 3)
    assert [proof.seq for proof in await store.proofs()] == [3]
    # and a milder proof changes nothing
    again = await store.absorb(Batch(proofs=[proof_of(left[5:], right[5:])]), seen=2, durable=True)
    assert again.forks == []
    assert (await log_of(store, KEY)).fork == 3
    assert await store.check() == []


async def test_of_two_proofs_of_one_place_the_same_is_kept_in_any_order(store: Store) -> None:
    left, right = forked(3, 9, 9)
    proofs = [
        proof_of(run_of(left).blocks[2:], right[2:]),
        proof_of(left[2:], right[2:]),
        proof_of(left[2:], right[3:]),
    ]
    best = min(proofs, key=lambda proof: (len(proof.encode()), proof.encode()))
    for proof in (*proofs, *reversed(proofs)):
        await store.absorb(Batch(proofs=[proof]), seen=0, durable=True)
    assert await store.proofs() == [best]
    assert len(await store.arrivals()) == 1


@pytest.mark.parametrize("high", [2, 3, 6])
async def test_a_block_that_does_not_follow_what_is_held_proves_a_fork_before_it(
    store: Store, high: int
) -> None:
    # given one twin's blocks up to 2, 3 or 6, and the other's from 4 on
    left, right = forked(3, 4, 4)
    await store.absorb(runs(run_of(left[:high])), seen=0, durable=True)
    await store.absorb(runs(run_of(right[3:])), seen=0, durable=True)
    log = await log_of(store, KEY)
    if high == 2:
        assert (log.fork, len(log.pieces)) == (None, 2)
        return
    # then seq 4 follows another 3 than the one that is held
    assert (log.fork, log.pieces[0].high) == (3, 2)
    (proof,) = await store.proofs()
    assert set(proof.ids) == {left[2].id, right[2].id}
    assert await store.check() == []


async def test_a_proof_may_come_before_any_block(store: Store) -> None:
    left, right = forked(3, 4, 4)
    outcome = await store.absorb(
        Batch(proofs=[proof_of(left[2:], right[2:])]), seen=0, durable=True
    )
    assert outcome.forks == [KEY]
    log = await log_of(store, KEY)
    assert (log.fork, log.pieces, await store.branches(KEY)) == (3, (), [])
    for blocks in (right, left):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    assert len((await log_of(store, KEY)).pieces) == 1
    assert len(await store.branches(KEY)) == 8
    assert await store.check() == []
