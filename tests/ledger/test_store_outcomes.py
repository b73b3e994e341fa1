"""What a batch is said to have changed. ``observed`` holds that against what can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import Block
from ledger.chain import Piece
from ledger.store.base import Arrival, Batch, LateBody, Store, What
from tests.ledger.stores import both, live, observed, offer, proof_of, runs, without_bodies
from tests.ledger.test_store_statements import revoke
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, forked, run_of, written

AUTHOR = Device().public
KEY = (AUTHOR, SOCIAL)


def late(block: Block) -> LateBody:
    return LateBody(*block.header[:3], block.body or b"")


def _libraries() -> list[tuple[Block, ...]]:
    """Logs of two devices, forked at the first seq and later, and logs that wait for a root."""
    found: list[tuple[Block, ...]] = []
    for number in (0, 1):
        found += [tuple(Device(number, owner).logs[IDENTITY]) for owner in (0, 1)]
        for log in (IDENTITY, SOCIAL, GROUP):
            found += [written(6, log, number), *forked(3, 4, 4, log, number)]
    return found


LIBRARY = _libraries()


@st.composite
def deliveries(draw: st.DrawFn) -> Batch:
    """Runs with and without bodies, late bodies, proofs, in any mixture and any order."""
    some = []
    bodies: list[LateBody] = []
    for _ in range(draw(st.integers(0, 4))):
        blocks = draw(st.sampled_from(LIBRARY))
        low = draw(st.integers(1, len(blocks)))
        stretch = blocks[low - 1 : draw(st.integers(low, len(blocks)))]
        sort = draw(st.sampled_from(["whole", "headers", "bodies"]))
        if sort == "bodies":
            bodies += [late(block) for block in stretch]
        else:
            run = run_of(stretch)
            some.append(run if sort == "whole" else without_bodies(run))
    proofs = []
    if draw(st.booleans()):
        number, log = draw(st.integers(0, 1)), draw(st.sampled_from([IDENTITY, SOCIAL, GROUP]))
        left, right = forked(3, 4, 4, log, number)
        proofs.append(proof_of(left[2:], right[2:]))
    return Batch(runs=some, bodies=bodies, proofs=proofs)


@given(st.lists(deliveries(), max_size=6))
def test_the_logs_a_batch_is_said_to_change_are_those_it_changes(batches: list[Batch]) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for batch in batches:
                await offer(stores, batch)

    live(scenario())


async def test_the_logs_that_a_device_block_joins_have_changed(store: Store) -> None:
    # given two logs that wait for their device block, and one of another device
    for blocks in (written(3), written(4, GROUP), written(2, number=1)):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    # when it comes
    outcome = await observed(store, runs(run_of([Device().root])))
    # then both are there as they are from now on
    root = frozenset({Device().root.id})
    assert outcome.grown == [(AUTHOR, IDENTITY)]
    assert list(outcome.logs) == [(AUTHOR, IDENTITY), KEY, (AUTHOR, GROUP)]
    assert [log.head for log in outcome.logs.values()] == [1, 3, 4]
    assert [outcome.logs[key].roots for key in (KEY, (AUTHOR, GROUP))] == [root, root]
    assert [arrival.what for arrival in outcome.arrivals] == [
        *(What.BLOCKS, What.JOINED, What.JOINED)
    ]


async def test_the_logs_of_a_device_whose_first_block_is_forked_have_changed(store: Store) -> None:
    batch = runs(run_of([Device(0, 0).root]), run_of(written(3)))
    await store.absorb(batch, seen=0, durable=False)
    other = Device(0, 1).root
    outcome = await observed(store, runs(run_of([other])))
    assert list(outcome.logs) == [(AUTHOR, IDENTITY), KEY]
    assert outcome.logs[AUTHOR, IDENTITY].fork == 1
    assert outcome.logs[KEY].roots == {Device(0, 0).root.id, other.id}
    assert outcome.logs[KEY].head == 3


async def test_a_log_of_which_only_a_branch_grew_is_among_them(store: Store) -> None:
    left, right = forked(3, 2, 2)
    await store.absorb(runs(run_of(left), run_of(right)), seen=0, durable=False)
    (before,) = await store.logs()
    outcome = await observed(store, runs(run_of(forked(3, 3, 2)[0])))
    assert (outcome.logs, outcome.new) == ({KEY: before}, 1)


async def test_bodies_that_come_late_change_their_log(store: Store) -> None:
    blocks = written(3)
    await store.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    outcome = await observed(store, Batch(bodies=[late(blocks[1])]), seen=4)
    assert outcome.logs[KEY].bodies_missing == 2
    assert outcome.arrivals == [Arrival(2, What.BODIES, AUTHOR, SOCIAL, 2, 2, 0, 4)]


async def test_a_batch_that_changes_nothing_says_so(store: Store) -> None:
    blocks = written(3)
    batch = Batch(
        runs=[run_of(blocks)],
        bodies=[late(blocks[0])],
        notes={"name": b"value"},
        revocations=[revoke(1)],
    )
    first = await observed(store, batch)
    assert [arrival.lsn for arrival in first.arrivals] == [1, 2]
    assert first.run is not None
    again = await observed(store, batch)
    assert (again.logs, again.arrivals, again.run) == ({}, [], None)
    # nor does one that is refused
    far = [run_of(written(40)[at : at + 1]) for at in (10, 15, 20, 25)]
    await store.absorb(Batch(runs=far), seen=0, durable=False)
    refused = await observed(store, runs(run_of(written(40)[30:31])))
    assert (len(refused.refused), refused.logs, refused.arrivals) == (1, {}, [])


async def test_a_statement_changes_no_log(store: Store) -> None:
    outcome = await observed(store, Batch(revocations=[revoke(0)]))
    assert (outcome.logs, len(outcome.arrivals)) == ({}, 1)
    assert outcome.run is not None


async def test_a_proof_alone_makes_a_log(store: Store) -> None:
    left, right = forked(3, 2, 2)
    outcome = await observed(store, Batch(proofs=[proof_of(left[2:], right[2:])]))
    (log,) = outcome.logs.values()
    assert (log.fork, log.pieces) == (3, ())


@pytest.mark.parametrize("split", [1, 2, 5])
async def test_of_a_log_that_changes_several_times_the_last_is_said(
    store: Store, split: int
) -> None:
    blocks = written(6)
    outcome = await observed(store, runs(run_of(blocks[split:]), run_of(blocks[:split])))
    (log,) = outcome.logs.values()
    assert log.pieces == (Piece(1, 6, blocks[0].header.previous, blocks[-1].id),)
    assert [arrival.lsn for arrival in outcome.arrivals] == [1, 2]
