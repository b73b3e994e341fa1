import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import Block
from ledger.chain import Piece
from ledger.run import Run
from ledger.store.base import Arrival, Batch, Store, What
from tests.ledger.stores import (
    Derived,
    agreed,
    both,
    cut_up,
    derived,
    everything,
    live,
    offer,
    runs,
    settle,
)
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, run_of, spans, written

DEVICES = 2
LENGTHS = {IDENTITY: 3, SOCIAL: 7, GROUP: 3}
Leg = tuple[int, int, int, int]
"""A run on its way: device, log, low, high."""
WHOLE: dict[tuple[int, int], tuple[Block, ...]] = {
    (number, log): written(length, log, number)
    for number in range(DEVICES)
    for log, length in LENGTHS.items()
}


async def state_after(batches: list[Batch]) -> Derived:
    async with both() as stores:
        await settle(stores, batches)
        return await agreed(stores)


@st.composite
def journeys(draw: st.DrawFn) -> list[Leg]:
    """Several devices' logs, each cut into runs, all of them in any order."""
    legs = [
        (*key, low, high)
        for key, blocks in WHOLE.items()
        for low, high in draw(spans(len(blocks), extra=1))
    ]
    return draw(st.permutations(legs))


def travel(legs: list[Leg]) -> list[Run]:
    return [run_of(WHOLE[number, log][low - 1 : high]) for number, log, low, high in legs]


IN_ORDER = live(state_after([runs(run_of(blocks)) for blocks in WHOLE.values()]))


@given(journeys())
def test_any_cut_and_any_order_end_in_the_same_state(legs: list[Leg]) -> None:
    assert live(state_after([runs(run) for run in travel(legs)])) == IN_ORDER


def test_that_state_is_every_log_joined_whole() -> None:
    assert {(log.number, log.head, log.detached) for log in IN_ORDER.logs} == {
        (log, length, ()) for log, length in LENGTHS.items()
    }
    for blocks in WHOLE.values():
        key = (blocks[0].header.author, blocks[0].header.log)
        assert IN_ORDER.blocks[key] == [(block.id, False, True) for block in blocks]


@given(journeys(), st.integers(1, 5))
def test_how_runs_are_put_into_batches_changes_nothing(legs: list[Leg], size: int) -> None:
    some = travel(legs)
    larger = [Batch(runs=some[at : at + size]) for at in range(0, len(some), size)]
    assert live(state_after(larger)) == IN_ORDER


@given(journeys())
def test_on_the_way_both_stores_say_the_same_and_no_joined_chain_has_a_hole(
    legs: list[Leg],
) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for run in travel(legs):
                await offer(stores, runs(run))
                for log in (await agreed(stores)).logs:
                    held = await stores[1].read((log.author, log.number), 1, log.head)
                    assert [b.header.seq for b in held] == list(range(1, log.head + 1))

    live(scenario())


@given(spans(12))
def test_the_newest_blocks_may_come_first(arrivals: list[tuple[int, int]]) -> None:
    async def scenario() -> None:
        blocks = written(12)
        async with both() as stores:
            await settle(stores, cut_up(blocks, arrivals))
            # given that the device block is missing, nothing weighs
            (log,) = (await agreed(stores)).logs
            assert (log.head, log.pieces) == (0, (Piece(1, 12, blocks[0][0][3], blocks[-1].id),))
            # when it comes, all does
            await offer(stores, runs(run_of([Device().root])))
            assert [log.head for log in (await agreed(stores)).logs] == [1, 12]

    live(scenario())


async def test_a_block_weighs_once_the_gap_before_it_is_filled(store: Store) -> None:
    # given the ends of a log, and the device block
    blocks = written(9)
    for batch in cut_up(blocks, [(1, 3), (7, 9)]):
        await store.absorb(batch, seen=1, durable=True)
    await store.absorb(runs(run_of([Device().root])), seen=2, durable=True)
    joined = {e.block.header.seq: e.joined async for page in store.entries(1) for e in page}
    assert joined == {1: True, 2: True, 3: True, 7: False, 8: False, 9: False}
    # when what is between arrives
    await store.absorb(runs(run_of(blocks[3:6])), seen=3, durable=True)
    # then all is joined, and that is news as well
    assert all([e.joined async for page in store.entries(1) for e in page])
    arrivals = (await everything(store)).arrivals
    author = blocks[0].header.author
    assert arrivals == [
        Arrival(6, What.JOINED, author, 1, 7, 9, 0, 3),
        Arrival(5, What.BLOCKS, author, 1, 4, 6, 0, 3),
        Arrival(4, What.JOINED, author, 1, 1, 3, 0, 2),
        Arrival(3, What.BLOCKS, author, 0, 1, 1, 0, 2),
        Arrival(2, What.BLOCKS, author, 1, 7, 9, 0, 1),
        Arrival(1, What.BLOCKS, author, 1, 1, 3, 0, 1),
    ]


async def test_a_run_over_gaps_and_held_pieces_fills_only_the_gaps(store: Store) -> None:
    blocks = written(12)
    for batch in cut_up(blocks, [(2, 3), (6, 7), (10, 10)]):
        await store.absorb(batch, seen=0, durable=True)
    outcome = await store.absorb(runs(run_of(blocks[:11], hops=3)), seen=5, durable=True)
    assert (outcome.new, outcome.known) == (6, 5)
    newest = await store.arrivals(limit=4)
    assert [(a.low, a.high, a.hops, a.seen) for a in newest] == [
        (11, 11, 3, 5),
        (8, 9, 3, 5),
        (4, 5, 3, 5),
        (1, 1, 3, 5),
    ]
    assert [e.hops async for page in store.entries() for e in page] == [
        3, 0, 0, 3, 3, 0, 0, 3, 3, 0, 3,
    ]  # fmt: skip


async def test_a_log_that_follows_another_devices_block_never_joins(store: Store) -> None:
    stranger = Device(1)
    stranger.logs[IDENTITY] = [Device(0).root]
    forged = stranger.write()
    await store.absorb(runs(run_of([Device(1).root]), run_of([forged])), seen=0, durable=True)
    assert [(log.number, log.head) for log in await store.logs()] == [(0, 1), (1, 0)]
    assert await store.check() == []


@pytest.mark.parametrize("durable", [False, True])
async def test_a_batch_offered_again_is_known_and_nothing_else(
    store: Store, *, durable: bool
) -> None:
    batch = Batch(runs=[run_of(blocks) for blocks in WHOLE.values()])
    first = await store.absorb(batch, seen=1, durable=durable)
    before = await everything(store)
    again = await store.absorb(batch, seen=2, durable=durable)
    assert (first.new, first.known) == (26, 0)
    assert (again.new, again.known, again.grown) == (0, 26, [])
    assert await everything(store) == before


async def test_logs_are_asked_for_by_key_and_come_in_order(store: Store) -> None:
    await store.absorb(
        Batch(runs=[run_of(blocks) for blocks in WHOLE.values()]), seen=0, durable=True
    )
    keys = [(log.author, log.number) for log in await store.logs()]
    assert keys == sorted(keys)
    wanted = [keys[4], keys[1], (bytes(32), 1)]
    assert [(log.author, log.number) for log in await store.logs(wanted)] == [keys[1], keys[4]]
    assert await store.logs([]) == []


async def test_more_authors_than_parameters_fit_into_a_statement(store: Store) -> None:
    some = [run_of([Device(number).root]) for number in range(1, 602)]
    outcome = await store.absorb(Batch(runs=some), seen=0, durable=False)
    assert outcome.new == 601
    again = await store.absorb(Batch(runs=some), seen=0, durable=False)
    assert (again.new, again.known) == (0, 601)
    keys = [(run.author, 0) for run in some]
    assert len(await store.logs(keys)) == len((await derived(store)).logs) == 601
