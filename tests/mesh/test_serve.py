"""What a store gives: all of it, or the newest that fits, in units that vouch for themselves."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.number import Number
from gossip.packing import Packer
from gossip.wire import Data, Proofs, Statements, decode_message
from ledger.keys import verify
from ledger.run import verify_run
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from mesh.serve import LEAST_BYTES, plan, serve
from mesh.sneakernet import BundleError, export_bundle, import_bundle
from tests.gossip.held import WHEN, frames, revocation, shelf, varied
from tests.ledger.stores import live
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, forked, run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.chain import Log
    from ledger.run import Run
    from ledger.store.base import LogKey, Store


async def served(
    store: Store, max_bytes: int | None = None, mail: Sequence[bytes] = ()
) -> list[bytes]:
    room = None if max_bytes is None else max_bytes - LEAST_BYTES // 2
    return [raw async for raw in serve(store, await plan(store, room), Packer(), mail)]


async def bundled(store: Store, max_bytes: int | None = None) -> bytes:
    file = BytesIO()
    exported = await export_bundle(store, file, max_bytes=max_bytes)
    assert exported.bytes == len(file.getvalue())
    return file.getvalue()


async def read(raw: bytes) -> MemoryStore:
    """Import a bundle into an empty store; every part of it must hold."""
    store = MemoryStore()
    imported = await import_bundle(store, BytesIO(raw), seen=WHEN)
    assert (imported.refused, imported.complete) == (0, True)
    assert await store.check() == []
    return store


def runs_in(messages: list[bytes]) -> list[Run]:
    """Verify every run of the messages."""
    return [
        verify_run(run.blocks, verify, run.hops)
        for message in map(decode_message, messages)
        if isinstance(message, Data)
        for run in message.runs
    ]


async def seqs_of(store: Store, key: LogKey) -> set[int]:
    return {b.header.seq for b in await store.read(key, 1, 1 << 40, limit=1 << 30)}


# --- everything ---------------------------------------------------------------------------------


def test_statements_and_proofs_come_first() -> None:
    async def scenario() -> list[int]:
        return [raw[1] for raw in await served(await varied())]

    numbers = live(scenario())
    evidence = [Number.STATEMENTS, Number.PROOFS, Number.PROOFS]
    assert numbers[:3] == evidence
    assert set(numbers[3:]) == {Number.DATA}


def test_mail_comes_behind_the_evidence_and_ahead_of_the_blocks() -> None:
    async def scenario() -> list[bytes]:
        return await served(await varied(), mail=[b"one", b"two"])

    messages = live(scenario())
    assert messages[3:5] == [b"one", b"two"]
    assert {raw[1] for raw in messages[5:]} == {Number.DATA}


def test_all_that_a_store_serves_verifies() -> None:
    async def scenario() -> None:
        store = await varied()
        messages = await served(store)
        ids = {block.id for run in runs_in(messages) for block in run.blocks}
        for log in await store.logs():
            key = (log.author, log.number)
            held = await store.read(key, 1, 1 << 40, limit=1 << 30)
            assert {block.id for block in [*held, *await store.branches(key)]} <= ids

    live(scenario())


def test_a_device_block_travels_ahead_of_all_else_of_its_device() -> None:
    async def scenario() -> list[Run]:
        return runs_in(await served(await varied()))

    known: set[bytes] = set()
    for run in live(scenario()):
        if (run.log, run.low) == (0, 1):
            known.add(run.author)
        assert run.author in known or run.author == Device(4).public


def test_a_signature_that_was_never_verified_is_not_passed_on() -> None:
    async def scenario() -> list[Run]:
        # given a log of which only every 64th and the last signature had to be verified
        store = await shelf(run_of([Device().root]), run_of(Device().write_many(150)))
        return runs_in(await served(store))

    signed = [b.header.seq for run in live(scenario()) for b in run.blocks if b.signature]
    assert signed == [1, 64, 128, 150]


def test_the_end_of_a_branch_that_nothing_vouches_for_is_not_passed_on() -> None:
    # given a fork whose branches were cut 64 blocks after it, where nothing is signed
    left, right = forked(3, 100, 100)

    async def scenario() -> tuple[Store, list[bytes]]:
        store = await shelf(run_of([Device().root]), run_of(left), run_of(right))
        return store, await served(store)

    store, messages = live(scenario())
    branches = live(store.branches((Device().public, SOCIAL)))
    assert max(block.header.seq for block in branches) == 3 + 64
    # then what goes ends with the signature before
    assert max(run.high for run in runs_in(messages)) == 64


def test_who_wrote_last_goes_first() -> None:
    async def scenario() -> list[bytes]:
        devices = [Device(number) for number in range(4)]
        store = await shelf(*(run_of([device.root]) for device in devices))
        for number in (2, 0, 3, 1):
            await shelf(run_of(devices[number].write_many(2)), store=store)
        return [run.author for run in runs_in(await served(store))]

    order = [Device(number).public for number in (1, 3, 0, 2)]
    assert live(scenario()) == [author for author in order for _ in range(2)]


def test_hops_travel_with_a_log() -> None:
    async def scenario() -> list[tuple[int, int]]:
        device = Device()
        store = await shelf(run_of([device.root], hops=1), run_of(device.write_many(3), hops=7))
        return [(run.log, run.hops) for run in runs_in(await served(store))]

    assert live(scenario()) == [(0, 1), (1, 7)]


# --- what fits ----------------------------------------------------------------------------------


@st.composite
def devices(draw: st.DrawFn, number: int) -> list[Run]:
    """What one device wrote: long or short, forked or not, with large and small bodies."""
    device = Device(number)
    log = draw(st.sampled_from([IDENTITY, SOCIAL, GROUP]))
    for size in draw(st.lists(st.sampled_from([0, 0, 150, 5_000, 16_000]), max_size=25)):
        device.write("x" * size, log=log)
    twin = device.twin()
    runs: list[Run] = []
    if draw(st.booleans()):
        device.write_many(draw(st.integers(1, 5)), "left", log=log)
        twin.write_many(draw(st.integers(1, 5)), "right", log=log)
        runs.append(run_of(twin.logs[log]))
    device.write_many(draw(st.integers(0, 3)))
    gap = draw(st.integers(0, 3))
    whole = {key: run_of(blocks) for key, blocks in device.logs.items() if blocks}
    if len(device.logs.get(log, ())) > gap:
        whole[log] = run_of(device.logs[log][gap:])
    return [*runs, *whole.values()]


@st.composite
def stores(draw: st.DrawFn) -> MemoryStore:
    """Give a store of a few devices that came in any order."""
    numbers = draw(st.lists(st.integers(0, 20), unique=True, min_size=1, max_size=4))
    runs = draw(st.permutations([run for n in numbers for run in draw(devices(n))]))
    gone = [revocation(device=number) for number in range(draw(st.integers(0, 3)))]

    async def fill() -> MemoryStore:
        store = MemoryStore()
        await shelf(*runs, store=store)
        await store.absorb(Batch(revocations=gone), seen=WHEN, durable=False)
        return store

    return live(fill())


few = -(-settings().max_examples // 2)
limits = st.one_of(
    st.integers(LEAST_BYTES, 3_000), st.integers(3_000, 60_000), st.integers(60_000, 900_000)
)


@given(store=stores(), limit=limits)
@settings(max_examples=few)
def test_a_bundle_is_never_larger_than_it_may_be_and_whole(store: MemoryStore, limit: int) -> None:
    raw = live(bundled(store, limit))
    assert len(raw) <= limit
    live(read(raw))


@given(store=stores(), limit=limits)
@settings(max_examples=few)
def test_what_fits_is_the_end_of_each_log_with_its_device_block(
    store: MemoryStore, limit: int
) -> None:
    async def scenario() -> None:
        other = await read(await bundled(store, limit))
        for log in await other.logs():
            held = sorted(await seqs_of(store, (log.author, log.number)))
            left = set(held) - await seqs_of(other, (log.author, log.number))
            # what is left out is the beginning; of log 0, what comes after the device block
            places = [place for place, seq in enumerate(held) if seq in left]
            assert places == list(range(min(places, default=0), max(places, default=-1) + 1))
            assert log.number == IDENTITY or not places or places[0] == 0
            # the device block goes along, unless it was only a proof that did
            device = (log.author, IDENTITY)
            if log.pieces or await other.branches((log.author, log.number)):
                assert await seqs_of(store, device) & {1} <= await seqs_of(other, device)

    live(scenario())


@given(store=stores())
@settings(max_examples=few)
def test_with_room_for_all_of_it_all_of_it_goes(store: MemoryStore) -> None:
    async def scenario() -> tuple[list[Log], list[Log]]:
        whole = await bundled(store)
        limited = await bundled(store, 4 * len(whole) + 10_000)
        return await (await read(whole)).logs(), await (await read(limited)).logs()

    whole, limited = live(scenario())
    assert limited == whole


def test_when_little_fits_the_newest_goes_of_every_log_in_turn() -> None:
    async def scenario() -> list[set[int]]:
        devices = [Device(number) for number in range(3)]
        logs = [device.write_many(100, "x" * 100) for device in devices]
        store = await shelf(*(run_of([device.root]) for device in devices), *map(run_of, logs))
        other = await read(await bundled(store, 30_000))
        return [await seqs_of(other, (device.public, SOCIAL)) for device in devices]

    kept = live(scenario())
    assert all(max(seqs) == 100 for seqs in kept)
    sizes = [len(seqs) for seqs in kept]
    assert min(sizes) >= 16
    assert max(sizes) - min(sizes) <= 16


def test_when_next_to_nothing_fits_who_wrote_last_goes() -> None:
    async def scenario() -> list[bytes]:
        store = await shelf(*(run_of([Device(n).root]) for n in range(5)))
        return [log.author for log in await (await read(await bundled(store, 700))).logs()]

    assert live(scenario()) == [Device(4).public]


def test_what_must_go_along_with_a_device_counts() -> None:
    # given a device that forked its log 0 with large blocks, and posts of it
    device = Device()
    twin = device.twin()
    for one, letter in ((device, "x"), (twin, "y")):
        one.write(letter * 16_000, log=IDENTITY)
    runs = [run_of(one.logs[IDENTITY]) for one in (device, twin)]

    async def scenario() -> None:
        store = await shelf(*runs, run_of(device.write_many(30, "x" * 1_000)))
        for limit in range(1_000, 60_000, 3_000):
            raw = await bundled(store, limit)
            assert len(raw) <= limit
            other = await read(raw)
            posts = await seqs_of(other, (device.public, SOCIAL))
            # no post comes without the device block, or without the fork
            assert not posts or len(await other.branches((device.public, IDENTITY))) == 2
            assert bool(posts) == (limit > 36_000)

    live(scenario())


def test_of_large_posts_as_many_go_as_fit() -> None:
    async def scenario() -> set[int]:
        device = Device()
        store = await shelf(run_of([device.root]), run_of(device.write_many(20, "x" * 16_000)))
        return await seqs_of(await read(await bundled(store, 60_000)), (device.public, SOCIAL))

    assert live(scenario()) == {18, 19, 20}


def test_a_limit_is_used_to_seven_eighths() -> None:
    async def scenario() -> int:
        device = Device()
        store = await shelf(run_of([device.root]), run_of(device.write_many(1_000, "x" * 150)))
        return len(await bundled(store, 200_000))

    assert 175_000 <= live(scenario()) <= 200_000


@pytest.mark.parametrize("limit", [-1, 0, LEAST_BYTES - 1])
def test_a_limit_below_any_bundle_is_refused(limit: int) -> None:
    with pytest.raises(BundleError, match="a bundle needs at least 256 bytes"):
        live(bundled(MemoryStore(), limit))


def test_at_the_least_limit_an_empty_bundle_is_written() -> None:
    raw = live(bundled(live(varied()), LEAST_BYTES))
    assert len(raw) <= LEAST_BYTES
    assert len(frames(raw)) == 2


def test_proofs_and_statements_that_do_not_fit_are_left_out() -> None:
    async def scenario() -> list[bytes]:
        return await served(await varied(), 600)

    kept = [decode_message(raw) for raw in live(scenario())]
    assert any(isinstance(message, Statements) for message in kept)
    assert not any(isinstance(message, Proofs) for message in kept)
