import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import ZEROS, Block, Counterparty
from ledger.keys import verify
from ledger.run import Run, must_be_signed, verify_run
from ledger.store.base import Arrival, Batch, LateBody, Store, What
from tests.ledger.stores import (
    agreed,
    both,
    live,
    log_of,
    offer,
    runs,
    settle,
    without_bodies,
)
from tests.strategies import SOCIAL, Device, items, run_of, spans, written

KEY = (Device().public, SOCIAL)


def late(block: Block) -> LateBody:
    assert block.body is not None
    return LateBody(*block.header[:3], block.body)


async def lacking(store: Store) -> list[int]:
    blocks = await store.read(KEY, 1, 1 << 40, limit=10_000)
    return [block.header.seq for block in blocks if block.body is None]


async def test_bodies_come_after_their_headers(store: Store) -> None:
    # given a run of headers
    blocks = written(9)
    outcome = await store.absorb(runs(without_bodies(run_of(blocks))), seen=1, durable=True)
    assert (outcome.new, outcome.bodies) == (9, 0)
    assert (await log_of(store, KEY)).bodies_missing == 9
    # when some of the bodies come, two of them twice
    some = [late(blocks[index]) for index in (7, 2, 3, 7, 4, 2)]
    outcome = await store.absorb(Batch(bodies=some), seen=2, durable=True)
    # then they are filled in, and are news, stretch by stretch
    assert (outcome.new, outcome.bodies, outcome.refused) == (0, 4, [])
    assert await lacking(store) == [1, 2, 6, 7, 9]
    assert (await log_of(store, KEY)).bodies_missing == 5
    assert await store.arrivals(limit=2) == [
        Arrival(3, What.BODIES, KEY[0], SOCIAL, 8, 8, 0, 2),
        Arrival(2, What.BODIES, KEY[0], SOCIAL, 3, 5, 0, 2),
    ]
    # and when all come again with their blocks, the rest is
    outcome = await store.absorb(runs(run_of(blocks)), seen=3, durable=True)
    assert (outcome.new, outcome.known, outcome.bodies) == (0, 9, 5)
    assert [b.body for b in await store.read(KEY, 1, 9)] == [b.body for b in blocks]
    assert (await log_of(store, KEY)).bodies_missing == 0
    assert await store.check() == []


async def test_a_body_may_come_in_the_batch_of_its_header(store: Store) -> None:
    blocks = written(3)
    batch = Batch(runs=[without_bodies(run_of(blocks))], bodies=[late(b) for b in blocks])
    outcome = await store.absorb(batch, seen=0, durable=True)
    assert (outcome.new, outcome.bodies) == (3, 3)
    assert await lacking(store) == []
    assert await store.check() == []


async def test_a_body_that_is_not_the_one_its_header_names_is_refused(store: Store) -> None:
    blocks = written(3)
    await store.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=True)
    wrong = late(blocks[0])._replace(body=b"x" * blocks[0].header.body_size)
    longer = late(blocks[2])._replace(body=bytes(16_384))
    # a wrong one shadows neither the right one nor others
    batch = Batch(bodies=[wrong, longer, late(blocks[0])])
    outcome = await store.absorb(batch, seen=0, durable=True)
    reason = "the body is not the one its header names"
    assert (outcome.bodies, outcome.refused) == (1, [(KEY, reason), (KEY, reason)])
    assert await lacking(store) == [2, 3]
    assert await store.check() == []


async def test_a_body_nobody_waits_for_is_not_looked_at(store: Store) -> None:
    blocks = written(3)
    await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    strange = [
        late(blocks[1])._replace(body=b"another"),
        late(blocks[1])._replace(seq=77),
        late(blocks[1])._replace(log=78),
        late(blocks[1])._replace(author=bytes(32)),
    ]
    outcome = await store.absorb(Batch(bodies=strange), seen=0, durable=True)
    assert (outcome.bodies, outcome.refused) == (0, [])
    assert (await store.read(KEY, 2, 2))[0].body == blocks[1].body
    assert len(await store.arrivals()) == 1
    assert len(await store.logs()) == 1
    assert await store.check() == []


async def test_more_bodies_than_parameters_fit_into_a_statement(store: Store) -> None:
    blocks = written(1200)
    await store.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    batch = Batch(bodies=[late(block) for block in blocks[::2]])
    assert (await store.absorb(batch, seen=0, durable=False)).bodies == 600
    assert (await log_of(store, KEY)).bodies_missing == 600


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """Runs (low, high) of one log in order of arrival, each with its bodies or without."""
    return [(low, high, draw(st.booleans())) for low, high in draw(spans(8))]


@given(deliveries(), st.lists(st.integers(1, 8)))
def test_how_many_bodies_are_missing_is_always_right(
    arriving: list[tuple[int, int, bool]], bodies: list[int]
) -> None:
    async def scenario() -> None:
        blocks = written(8)
        batches = []
        for index, (low, high, is_whole) in enumerate(arriving):
            run = run_of(blocks[low - 1 : high])
            now = [late(blocks[seq - 1]) for seq in bodies[index : index + 1]]
            batches.append(Batch(runs=[run if is_whole else without_bodies(run)], bodies=now))
        came = {seq for low, high, whole in arriving for seq in range(low, high + 1) if whole}
        async with both() as stores:
            for batch in batches:
                await offer(stores, batch)
                assert (await log_of(stores[1], KEY)).bodies_missing == len(
                    await lacking(stores[1])
                )
            await settle(stores, batches)
            await agreed(stores)
            came |= set(bodies[: len(arriving)])
            assert await lacking(stores[1]) == sorted({*range(1, 9)} - came)

    live(scenario())


async def test_a_signature_that_was_not_verified_is_never_there(store: Store) -> None:
    # given a run with wrong signatures wherever none is mandatory
    device = Device()
    device.write_many(66)
    device.write(counterparty=Counterparty(device.person.signing.public, ZEROS))
    blocks = device.write_many(3)
    needed = [must_be_signed(block.header, is_last=block is blocks[-1]) for block in blocks]
    forged = [
        (raw, signature if needs else b"!" * 64, body)
        for needs, (raw, signature, body) in zip(needed, items(blocks), strict=True)
    ]
    # when it is verified and stored
    await store.absorb(runs(verify_run(forged, verify)), seen=0, durable=True)
    # then only the others are kept
    held = await store.read(KEY, 1, 100)
    assert {block.header.seq for block in held if block.signature} == {64, 67, 70}
    assert await store.check() == []


@pytest.mark.parametrize("low", [1, 3, 5])
async def test_a_signature_is_filled_in_later(store: Store, low: int) -> None:
    blocks = written(9)
    await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    assert [bool(b.signature) for b in await store.read(KEY, 4, 9)] == [False] * 5 + [True]
    outcome = await store.absorb(runs(run_of(blocks[low - 1 : 5])), seen=0, durable=True)
    assert (outcome.new, outcome.known) == (0, 6 - low)
    kept = await store.read(KEY, 1, 9)
    assert {b.header.seq for b in kept if b.signature} == {5, 9}
    assert kept[4].signature == blocks[4].signature
    assert len(await store.arrivals()) == 1
    assert await store.check() == []


async def test_a_run_that_goes_on_keeps_the_signature_it_went_on_from(store: Store) -> None:
    blocks = written(9)
    for run in (run_of(blocks[:4]), run_of(blocks), Run(run_of(blocks).blocks[3:])):
        await store.absorb(runs(run), seen=0, durable=True)
    assert {b.header.seq for b in await store.read(KEY, 1, 9) if b.signature} == {4, 9}
