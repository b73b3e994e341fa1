import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_SEQ, ZEROS, Block, Counterparty
from ledger.errors import StoreError
from ledger.store.base import Batch, Entry, Known, Span, Store
from ledger.store.memory import MemoryStore
from tests.ledger.stores import both, live, open_sqlite, runs, without_bodies
from tests.strategies import GROUP, SOCIAL, Device, forked, make_block, run_of, written

KEY = (Device().public, SOCIAL)


async def absorb_each(store: Store, *logs: Sequence[Block]) -> None:
    for blocks in logs:
        await store.absorb(runs(run_of(blocks)), seen=7, durable=False)


async def pages_of(store: Store, log: int | None, page: int) -> list[list[Entry]]:
    return [entries async for entries in store.entries(log, page=page)]


async def test_blocks_are_read_by_seq(store: Store) -> None:
    blocks = written(300)
    await absorb_each(store, blocks[:100], blocks[150:])
    assert [b.header.seq for b in await store.read(KEY, 98, 153)] == [98, 99, 100, 151, 152, 153]
    assert [b.header.seq for b in await store.read(KEY, 98, 153, limit=4)] == [98, 99, 100, 151]
    assert len(await store.read(KEY, 0, 1 << 40)) == 250
    assert len(await store.read(KEY, 1, 300, limit=10_000)) == 250
    assert await store.read(KEY, 5, 4) == await store.read(KEY, 101, 150) == []
    assert await store.read((bytes(32), SOCIAL), 1, 9) == await store.read((KEY[0], 9), 1, 9) == []
    assert await store.branches(KEY) == await store.branches((bytes(32), 0)) == []


async def test_a_block_is_found_by_the_start_of_its_id(store: Store) -> None:
    left, right = forked(5, 3, 3, number=1)
    await absorb_each(store, written(20), left, right)
    await store.absorb(runs(without_bodies(run_of(written(4, GROUP)))), seen=0, durable=False)
    for block in (written(20)[10], left[1], left[5], right[6]):
        for length in (4, 5, 31, 32):
            (found,) = await store.find(block.id[:length])
            assert (found.id, found.body) == (block.id, block.body)
    (headless,) = await store.find(written(4, GROUP)[2].id)
    assert headless.body is None
    # a longer start must fit as well
    wrong = bytes([written(20)[10].id[4] ^ 1])
    assert await store.find(written(20)[10].id[:4] + wrong) == []
    assert await store.find(bytes(4)) == []


async def test_of_many_ids_that_begin_alike_the_16_smallest_are_found() -> None:
    # given blocks that share what is looked for: only a forger finds ids alike, so look for less
    async with both() as (memory, _):
        await absorb_each(memory, written(600))
        found = [block.id for block in await memory.find(b"")]
    assert found == sorted(block.id for block in written(600))[:16]


async def test_blocks_that_differ_in_their_counterparty_alone_can_be_listed() -> None:
    device = Device()
    device.write_many(1)
    twin = device.twin()
    device.write(kind="half", counterparty=Counterparty(device.person.signing.public, ZEROS))
    twin.write(kind="half")
    store = MemoryStore()
    await absorb_each(store, device.logs[SOCIAL], twin.logs[SOCIAL])
    assert len(await store.find(b"")) == 3


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, GROUP])), max_size=8),
    st.none() | st.sampled_from([0, 1, GROUP]),
    st.integers(1, 9),
)
def test_each_entry_is_on_one_page_and_no_page_is_too_long(
    legs: list[tuple[int, int]], log: int | None, page: int
) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for store in stores:
                await absorb_each(store, *[written(5, where, number) for number, where in legs])
                pages = await pages_of(store, log, page)
                assert all(0 < len(entries) <= page for entries in pages)
                ids = [entry.block.id for entries in pages for entry in entries]
                wanted = {leg for leg in legs if log is None or leg[1] == log}
                expected = {b.id for number, where in wanted for b in written(5, where, number)}
                assert len(ids) == len(expected)
                assert set(ids) == expected
                # log by log, by seq
                places = [entry.block.header[:3] for entries in pages for entry in entries]
                starts = [at for at, place in enumerate(places) if place[2] == 1]
                assert [place[2] for place in places] == [1, 2, 3, 4, 5] * len(starts)

    live(scenario())


@pytest.mark.parametrize("page", [1, 3, 100])
async def test_entries_tell_of_branches_after_all_else(store: Store, page: int) -> None:
    left, right = forked(5, 3, 3)
    await absorb_each(store, [Device().root], left, right)
    pages = await pages_of(store, SOCIAL, page)
    entries = [entry for some in pages for entry in some]
    assert all(len(some) <= page for some in pages)
    assert [entry.block.header.seq for entry in entries if entry.joined] == [1, 2, 3, 4]
    apart = [entry for entry in entries if not entry.joined]
    assert entries[4:] == apart
    assert {entry.block.id for entry in apart} == {b.id for b in (*left[4:], *right[4:])}
    assert {entry.seen for entry in entries} == {7}


@pytest.mark.parametrize("page", [1, 2, 100])
async def test_entries_of_some_kinds_are_read_alone(store: Store, page: int) -> None:
    # given kinds whose names begin and end alike, in the pieces and in the branches
    twins = Device(), Device().twin()
    for at, device in enumerate(twins):
        for kind in ("vote", "votes", "a-vote", "like", "vote"):
            device.write(kind=kind, body=bytes([at]))
    await absorb_each(store, [twins[0].root], *(device.logs[SOCIAL] for device in twins))
    every = [entry for some in await pages_of(store, None, 100) for entry in some]
    assert len(every) == 11
    for kinds in ((), ("vote",), ("vote", "like"), ("votes", "a-vote"), ("none",)):
        pages = [some async for some in store.entries(kinds=kinds, page=page)]
        assert all(0 < len(some) <= page for some in pages)
        assert [e for some in pages for e in some] == [
            entry for entry in every if entry.block.header.kind in kinds
        ]
    assert [some async for some in store.entries(0, kinds=("vote",))] == []


async def test_a_store_may_change_while_entries_are_read(store: Store) -> None:
    await absorb_each(store, written(10))
    seen: list[int] = []
    async for entries in store.entries(page=4):
        seen += [entry.block.header.seq for entry in entries]
        if len(seen) < 20:
            await absorb_each(store, written(10, number=len(seen)))
    assert seen[:10] == list(range(1, 11))


async def test_arrivals_come_newest_first_page_by_page(store: Store) -> None:
    for high in range(1, 8):
        await store.absorb(runs(run_of(written(high)[high - 1 :])), seen=high, durable=False)
    await absorb_each(store, written(7))
    newest = await store.arrivals()
    assert [arrival.lsn for arrival in newest] == list(range(7, 0, -1))
    assert [(a.low, a.high, a.seen) for a in newest] == [(n, n, n) for n in range(7, 0, -1)]
    paged, before = [], None
    while page := await store.arrivals(before, limit=3):
        assert len(page) <= 3
        paged += page
        before = page[-1].lsn
    assert paged == newest
    assert await store.arrivals(1) == await store.arrivals(0) == []
    assert await store.arrivals(99, limit=2) == newest[:2]


async def test_a_note_is_kept_until_it_is_removed(store: Store) -> None:
    assert await store.note("name") is None
    await store.set_note("name", b"one")
    await store.set_note("other", b"")
    await store.set_note("name", b"two")
    assert (await store.note("name"), await store.note("other")) == (b"two", b"")
    await store.set_note("name", None)
    await store.set_note("never", None)
    assert (await store.note("name"), await store.note("other")) == (None, b"")


async def test_several_notes_are_read_in_one_go(store: Store) -> None:
    for name in ("one", "two", "three"):
        await store.set_note(name, name.encode())
    assert await store.notes(["two", "never", "one"]) == {"one": b"one", "two": b"two"}
    assert await store.notes([]) == {}
    many = [str(number) for number in range(499)]
    assert await store.notes([*many, "three"]) == {"three": b"three"}


async def test_a_batch_carries_notes_along(store: Store) -> None:
    await store.set_note("old", b"there")
    await store.absorb(Batch(notes={"old": None, "new": b"yes"}), seen=0, durable=True)
    assert (await store.note("old"), await store.note("new")) == (None, b"yes")
    assert await store.arrivals() == []


async def test_notes_and_follows_survive_a_restart(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await store.set_note("name", b"value")
    await store.mark(bytes(32), following=True)
    await store.close()
    store = await open_sqlite(tmp_path / "store.db")
    assert await store.note("name") == b"value"
    assert await store.known() == [Known(bytes(32), following=True)]
    await store.close()


async def test_closing_twice_is_closing_once_and_nothing_works_afterwards(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await absorb_each(store, written(3))
    reading = store.entries(page=1)
    await anext(reading)
    await asyncio.gather(store.close(), store.close())
    await store.close()
    for attempt in (
        lambda: store.absorb(Batch(), seen=0, durable=True),
        store.logs,
        lambda: store.logs([KEY]),
        lambda: store.read(KEY, 1, 2),
        lambda: store.read_spans([Span(KEY, 1, 2)]),
        lambda: store.bodiless(KEY),
        lambda: anext(store.devices()),
        store.newest,
        store.runs,
        lambda: store.branches(KEY),
        lambda: store.find(bytes(4)),
        lambda: anext(reading),
        lambda: anext(store.entries()),
        store.arrivals,
        store.proofs,
        store.revocations,
        store.known,
        lambda: store.mark(bytes(32), following=True),
        lambda: store.note("name"),
        lambda: store.set_note("name", b"value"),
        store.check,
    ):
        with pytest.raises(StoreError, match=r"^the store is closed$"):
            await attempt()


async def test_what_was_begun_is_finished_before_the_store_closes(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    absorbing = asyncio.ensure_future(absorb_each(store, written(100)))
    while not store._lock.locked():  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0)
    await store.close()
    await absorbing
    store = await open_sqlite(tmp_path / "store.db")
    assert len(await store.read(KEY, 1, 100)) == 100
    await store.close()


@pytest.mark.parametrize("log", [SOCIAL, GROUP, GROUP + 1])
async def test_a_log_ends_at_its_last_seq(store: Store, log: int) -> None:
    # given a block at the last seq there is, in logs stored under odd and even numbers
    device = Device()
    await absorb_each(store, [device.root])
    for number in (SOCIAL, GROUP, GROUP + 1):
        last = make_block(device.keys.signing, number, MAX_SEQ, b"p" * 32)
        await absorb_each(store, [last])
    # then nothing stands after it, and nothing begins again
    assert await store.read((device.public, log), MAX_SEQ + 1, 1 << 41) == []
    assert len(await store.read((device.public, log), 0, 1 << 41)) == 1
    assert await store.check() == []
