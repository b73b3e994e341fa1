"""What is read of many logs at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_SEQ, Block
from ledger.store.base import MAX_SPAN, Batch, LateBody, LogKey, Span, Store
from tests.ledger.stores import both, key_of, live, offer, runs, without_bodies
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    forked,
    make_block,
    run_of,
    spans,
    written,
)

AUTHOR = Device().public
KEY = (AUTHOR, SOCIAL)
PLACES = [(number, log) for number in range(3) for log in (IDENTITY, SOCIAL, GROUP)]


async def plain_reads(store: Store, asked: list[Span]) -> list[list[Block]]:
    return [
        [b for b in await store.read(key, low, high, limit=MAX_SPAN) if b.header.seq - low < 256]
        for key, low, high in asked
    ]


@st.composite
def asked_for(draw: st.DrawFn) -> Span:
    number, log = draw(st.sampled_from(PLACES))
    key = (Device(number).public, log)
    low = draw(st.integers(0, 9) | st.sampled_from([MAX_SEQ, MAX_SEQ + 1, 1 << 62]))
    return Span(key, low, draw(st.integers(-1, 12) | st.just(low + 1) | st.just(1 << 62)))


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), spans(8)), max_size=4),
    st.lists(asked_for(), max_size=12),
)
def test_spans_are_what_one_would_read_log_by_log(
    legs: list[tuple[tuple[int, int], list[tuple[int, int]]]], asked: list[Span]
) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for (number, log), parts in legs:
                # the first part stays away, so that there are gaps
                for low, high in parts[1:]:
                    blocks = written(8, log, number)[low - 1 : high]
                    await offer(stores, runs(run_of(blocks)))
            for store in stores:
                assert await store.read_spans(asked) == await plain_reads(store, asked)
            assert await stores[0].read_spans(asked) == await stores[1].read_spans(asked)

    live(scenario())


async def test_a_span_ends_after_256_seqs_whatever_is_asked(store: Store) -> None:
    await store.absorb(runs(run_of(written(600))), seen=0, durable=False)
    asked = [Span(KEY, 1, 600), Span(KEY, 1, 256), Span(KEY, 101, 1 << 40), Span(KEY, 500, 600)]
    found = [[block.header.seq for block in some] for some in await store.read_spans(asked)]
    assert found == [
        [*range(1, 257)],
        [*range(1, 257)],
        [*range(101, 357)],
        [*range(500, 601)],
    ]


@pytest.mark.parametrize("count", [299, 300, 301, 650])
async def test_any_number_of_spans_may_be_asked_for(store: Store, count: int) -> None:
    blocks = written(650)
    await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    asked = [Span(KEY, seq, seq) for seq in range(count, 0, -1)]
    found = await store.read_spans(asked)
    assert [block.id for (block,) in found] == [block.id for block in blocks[:count][::-1]]


async def test_a_span_gives_nothing_of_other_logs_branches_or_strangers(store: Store) -> None:
    # given neighbours in the store: two logs of one author, and a forked one
    left, right = forked(3, 3, 3, log=GROUP)
    for blocks in (written(3), left, right):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    asked = [
        Span(KEY, 0, MAX_SEQ + 9),
        Span((AUTHOR, GROUP), 0, MAX_SEQ + 9),
        Span(KEY, 3, 2),
        Span((AUTHOR, 77), 1, 9),
        Span((bytes(32), SOCIAL), 1, 9),
        Span(KEY, 2, 2),
        Span(KEY, -7, 2),
    ]
    found = await store.read_spans(asked)
    assert [[block.header.seq for block in some] for some in found] == [
        *([1, 2, 3], [1, 2], [], [], [], [2], [1, 2])
    ]
    assert {key_of(block) for block in found[1]} == {(AUTHOR, GROUP)}
    assert await store.read_spans([]) == []


async def test_a_span_at_the_last_seq_does_not_run_into_the_next_log(store: Store) -> None:
    device = Device()
    for number in (SOCIAL, GROUP):
        last = make_block(device.keys.signing, number, MAX_SEQ, b"p" * 32)
        await store.absorb(runs(run_of([last])), seen=0, durable=False)
    await store.absorb(runs(run_of(written(3, number=1))), seen=0, durable=False)
    asked = [Span((AUTHOR, log), MAX_SEQ - 1, MAX_SEQ + 99) for log in (SOCIAL, GROUP)]
    assert [len(some) for some in await store.read_spans(asked)] == [1, 1]
    asked = [Span(KEY, MAX_SEQ + 1, MAX_SEQ + 3), Span(KEY, 1 << 70, 1 << 71)]
    assert await store.read_spans(asked) == [[], []]


async def test_the_lowest_seqs_without_body_are_known(store: Store) -> None:
    blocks = written(400)
    await store.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    assert await store.bodiless(KEY) == list(range(1, 257))
    assert await store.bodiless(KEY, limit=2) == [1, 2]
    late = [LateBody(*b.header[:3], b.body or b"") for b in (*blocks[:9], *blocks[10:398])]
    await store.absorb(Batch(bodies=late), seen=0, durable=False)
    assert await store.bodiless(KEY) == [10, 399, 400]
    await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    assert await store.bodiless(KEY) == []


async def test_bodies_that_lack_in_other_logs_or_in_branches_are_not_counted(store: Store) -> None:
    left, right = forked(3, 3, 3)
    for blocks in (written(5, IDENTITY), left, right, written(2, number=1)):
        await store.absorb(runs(without_bodies(run_of(blocks))), seen=0, durable=False)
    assert await store.bodiless(KEY) == [1, 2]
    assert await store.bodiless((AUTHOR, IDENTITY)) == [1, 2, 3, 4, 5]
    assert await store.bodiless((AUTHOR, 9)) == await store.bodiless((bytes(32), 1)) == []


async def devices_of(store: Store, page: int) -> list[list[Block]]:
    return [blocks async for blocks in store.devices(page=page)]


@pytest.mark.parametrize("page", [1, 3, 100])
async def test_device_blocks_come_by_key_in_pages(store: Store, page: int) -> None:
    # given devices with and without their first block, and logs that have none
    whole = [0, 3, 4, 5, 6, 7]
    for number in whole:
        await store.absorb(runs(run_of(written(2, IDENTITY, number))), seen=0, durable=False)
    headless = run_of([Device(8).root])
    await store.absorb(runs(without_bodies(headless)), seen=0, durable=False)
    for blocks in (written(3, number=1), written(3, IDENTITY, 2)[1:], written(2)):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=False)
    pages = await devices_of(store, page)
    assert all(0 < len(blocks) <= page for blocks in pages)
    blocks = tuple(block for some in pages for block in some)
    expected = sorted([*whole, 8], key=lambda number: Device(number).public)
    assert [block.id for block in blocks] == [Device(number).root.id for number in expected]
    assert [b.header.author for b in blocks if b.body is None] == [Device(8).public]


async def test_a_device_block_that_was_forked_is_in_no_piece(store: Store) -> None:
    assert await devices_of(store, 9) == []
    for owner in (0, 1):
        await store.absorb(runs(run_of([Device(0, owner).root])), seen=0, durable=False)
    key: LogKey = (AUTHOR, IDENTITY)
    assert len(await store.branches(key)) == 2
    assert await devices_of(store, 9) == []
