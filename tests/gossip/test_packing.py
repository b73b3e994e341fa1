"""Packing: units stay whole, messages stay small, and nearly all bytes are the blocks' own."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MIN_FRAME_BYTES
from gossip.number import MAX_MESSAGE_BYTES
from gossip.packing import MAX_BLOCKS, Packer, branch_units, pack_bodies, signed_units, unit_bytes
from gossip.wire import MAX_HOPS, Bodies, Data, decode_message
from ledger.block import MAX_BODY_BYTES
from ledger.keys import verify
from ledger.run import verify_run
from ledger.store.base import Batch
from tests.gossip.held import WHEN, shelf
from tests.ledger.stores import live
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    forked,
    make_body,
    run_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.block import Block
    from ledger.run import Run
    from ledger.store.base import Store

TEXT = "t" * 164
"""Makes a block of 300 bytes: header, body, and its share of signatures."""


def units_of(blocks: Iterable[Block]) -> list[list[Block]]:
    """Cut a log after its signatures."""
    units: list[list[Block]] = [[]]
    for block in blocks:
        units[-1].append(block)
        if block.signature:
            units.append([])
    assert not units.pop()
    return units


def pack(
    units: Iterable[tuple[Sequence[Block], int]], limit: int = MAX_MESSAGE_BYTES
) -> list[bytes]:
    packer, messages = Packer(limit), list[bytes]()
    for unit, hops in units:
        messages += packer.add(unit, hops)
    return messages + list(packer.flush())


def size_of(blocks: Iterable[Block]) -> int:
    return sum(len(b.raw) + len(b.signature) + len(b.body or b"") for b in blocks)


def unpack(messages: Iterable[bytes]) -> list[Run]:
    """Verify what arrives, as a receiver does."""
    runs: list[Run] = []
    for raw in messages:
        match decode_message(raw):
            case Data(found):
                runs += [verify_run(run.blocks, verify, run.hops) for run in found]
            case other:
                assert isinstance(other, Bodies)
    return runs


def bare(block: Block) -> Block:
    return block._replace(body=None)


async def received(messages: Iterable[bytes]) -> Store:
    """Take messages into an empty store."""
    store = await shelf()
    for raw in messages:
        match decode_message(raw):
            case Data(found):
                runs = [verify_run(run.blocks, verify, run.hops) for run in found]
                await store.absorb(Batch(runs=runs), seen=WHEN, durable=False)
            case Bodies(bodies):
                await store.absorb(Batch(bodies=bodies), seen=WHEN, durable=False)
            case other:
                raise AssertionError(other)
    return store


# --- economy ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_long_log_takes_53_messages_and_hardly_a_byte_more_than_its_blocks() -> None:
    # given 10,000 blocks of 300 bytes, as they are held: every 64th is signed
    blocks = run_of(written(10_000, text=TEXT)).blocks
    assert 290 * len(blocks) < size_of(blocks) < 310 * len(blocks)
    # when they are packed
    messages = pack((unit, 0) for unit in units_of(blocks))
    # then three units of 64 go into each message
    assert len(messages) == -(-10_000 // (3 * 64)) == 53
    assert sum(map(len, messages)) <= 1.03 * size_of(blocks)
    assert [run.blocks for run in unpack(messages)] == [
        blocks[low : low + 192] for low in range(0, 10_000, 192)
    ]


def test_many_runs_of_two_cost_little_more_than_their_blocks() -> None:
    # given 300 logs of two blocks
    logs = [run_of(written(2, number=number, text=TEXT)).blocks for number in range(300)]
    held = [block for blocks in logs for block in blocks]
    # when they are packed
    messages = pack((blocks, 0) for blocks in logs)
    # then 94 runs of 680 bytes go into each message
    assert len(messages) == -(-300 // 94) == 4
    assert sum(map(len, messages)) <= 1.12 * size_of(held)
    assert [run.blocks for run in unpack(messages)] == logs


def test_units_that_follow_each_other_are_one_run() -> None:
    blocks = run_of(written(190)).blocks
    (raw,) = pack((unit, 0) for unit in units_of(blocks))
    assert [run.blocks for run in unpack([raw])] == [blocks]


def test_a_run_has_the_hops_of_its_unit_that_came_furthest() -> None:
    units = units_of(run_of(written(190)).blocks)
    for hops in ([1, 7, 3], [7, 3, 1], [1, 3, 7]):
        (raw,) = pack(zip(units, hops, strict=True))
        assert [run.hops for run in unpack([raw])] == [7]


def test_units_with_a_gap_between_them_are_two_runs() -> None:
    first, _, third = units_of(run_of(written(190)).blocks)
    for units in ([first, third], [third, first], [first, first]):
        (raw,) = pack((unit, 0) for unit in units)
        assert [list(run.blocks) for run in unpack([raw])] == units


def test_a_message_holds_no_more_than_200_blocks() -> None:
    # given blocks without bodies, of which 250 would fit
    device = Device()
    blocks = [bare(block) for block in device.write_many(1_000)]
    messages = pack(([block], 0) for block in blocks)
    assert [len(run.blocks) for run in unpack(messages)] == [MAX_BLOCKS] * 5
    assert 250 * size_of(blocks) / 1_000 < MAX_MESSAGE_BYTES


def test_what_is_nothing_takes_no_message() -> None:
    assert pack([]) == []


# --- agreement ----------------------------------------------------------------------------------


@st.composite
def some_units(draw: st.DrawFn) -> list[tuple[list[Block], int]]:
    """Units of several logs, in any order, with bodies from none to the largest."""
    sizes = st.sampled_from([0, 0, 0, 100, 4_000, MAX_BODY_BYTES - 100])
    units: list[tuple[list[Block], int]] = []
    for number in draw(st.lists(st.integers(0, 5), unique=True, max_size=4)):
        device = Device(number)
        for size in draw(st.lists(sizes, min_size=1, max_size=70)):
            device.write("x" * size)
        signed = run_of(device.logs[SOCIAL]).blocks
        bare = draw(st.sets(st.integers(1, len(signed))))
        kept = [b._replace(body=None) if b.header.seq in bare else b for b in signed]
        units += [(unit, draw(st.integers(0, MAX_HOPS + 20))) for unit in units_of(kept)]
    return draw(st.permutations(units))


@given(units=some_units())
def test_no_message_is_too_long_no_unit_is_split_and_every_run_verifies(
    units: list[tuple[list[Block], int]],
) -> None:
    messages = pack(units)
    # no message is too long
    assert all(len(raw) <= MAX_MESSAGE_BYTES for raw in messages)
    # every run verifies, and the blocks come in the order they were given
    runs = unpack(messages)
    assert [b.id for run in runs for b in run.blocks] == [b.id for unit, _ in units for b in unit]
    # every unit ended up in one run, whose hops are no fewer
    for unit, hops in units:
        (whole,) = [run for run in runs if unit[0] in run.blocks or bare(unit[0]) in run.blocks]
        assert whole.high >= unit[-1].header.seq
        assert whole.hops >= min(hops, MAX_HOPS)


@given(units=some_units())
def test_the_other_end_holds_every_body_that_was_sent(
    units: list[tuple[list[Block], int]],
) -> None:
    units.sort(key=lambda unit: unit[0][0].header.seq)
    store = live(received(pack(units)))
    sent = {block.id: block.body for unit, _ in units for block in unit}

    async def held() -> dict[bytes, bytes | None]:
        return {e.block.id: e.block.body async for page in store.entries() for e in page}

    assert live(held()) == sent


# --- what is too long ---------------------------------------------------------------------------


def large(count: int) -> tuple[Block, ...]:
    device = Device()
    body = make_body(b"x" * (MAX_BODY_BYTES - 24))
    assert MAX_BODY_BYTES - 5 < len(body) <= MAX_BODY_BYTES
    for _ in range(count):
        device.write(body=body)
    return run_of(device.logs[SOCIAL]).blocks


def test_a_unit_that_is_too_long_goes_headers_first_and_bodies_after() -> None:
    blocks = large(64)
    first, *rest = pack([(blocks, 3)])
    # the headers go alone, in one run
    (run,) = unpack([first])
    assert run.blocks == tuple(map(bare, blocks))
    assert run.hops == 3
    # then the bodies, three to a message
    assert len(rest) == -(-64 // 3)
    messages = [decode_message(raw) for raw in rest]
    assert [late.body for m in messages if isinstance(m, Bodies) for late in m.bodies] == [
        block.body for block in blocks
    ]
    assert sum(map(len, rest)) <= 1.01 * size_of(blocks)


def test_what_was_collected_before_a_long_unit_goes_before_it() -> None:
    short = run_of(written(2, number=1)).blocks
    messages = pack([(short, 0), (large(10), 0), (short, 0)])
    assert [run.author for run in unpack(messages)] == [
        short[0].header.author,
        Device().public,
        short[0].header.author,
    ]
    assert isinstance(decode_message(messages[0]), Data)


def test_a_unit_of_mixed_logs_is_never_taken_for_one_run() -> None:
    # given the device block, and logs that both follow it
    device = Device()
    logs = [device.logs[IDENTITY], device.write_many(1), device.write_many(1, log=GROUP)]
    # when they are packed one after the other
    runs = unpack(pack((blocks, 0) for blocks in logs))
    # then each stays a run of its own
    assert [run.log for run in runs] == [IDENTITY, SOCIAL, GROUP]


@pytest.mark.parametrize("size", range(100, 1_500, 97))
def test_messages_are_filled_to_the_last_unit_that_fits(size: int) -> None:
    # given blocks of one size, each signed and so a unit of its own
    device = Device()
    for _ in range(450):
        device.write(body=make_body(b"x" * size))
    blocks = device.logs[SOCIAL]
    # when they are packed
    messages = pack(([block], 0) for block in blocks)
    # then no message could have taken the first block of the next one
    counts = [len(run.blocks) for run in unpack(messages)]
    for raw, after in pairwise(messages):
        packed, (first, *_) = unpack([raw])[0].blocks, unpack([after])[0].blocks
        room = MAX_MESSAGE_BYTES - len(raw) - 4 * len(packed)
        assert len(packed) == MAX_BLOCKS or room < size_of([first]) + 40
    assert sum(counts) == 450


# --- what is known beforehand -------------------------------------------------------------------


@given(
    units=some_units(),
    limit=st.sampled_from([MIN_FRAME_BYTES, 40_000, MAX_MESSAGE_BYTES]),
)
def test_a_unit_takes_no_more_bytes_than_was_said_of_it_and_no_frame_is_too_long(
    units: list[tuple[list[Block], int]], limit: int
) -> None:
    messages = pack(units, limit)
    assert sum(map(len, messages)) <= sum(unit_bytes(unit, limit) for unit, _ in units)
    assert all(len(raw) <= limit for raw in messages)


def test_sixty_four_of_the_longest_headers_fit_into_the_smallest_frame() -> None:
    assert len(pack([([bare(block) for block in large(64)], 0)], MIN_FRAME_BYTES)) == 1


# --- units --------------------------------------------------------------------------------------


@given(
    signed=st.sets(st.integers(1, 130)),
    gaps=st.sets(st.integers(1, 130), max_size=3),
    together=st.sampled_from([0, 1_000, 100_000]),
)
def test_units_end_on_signatures_and_what_nobody_vouches_for_is_left_out(
    signed: set[int], gaps: set[int], together: int
) -> None:
    log = [
        block if block.header.seq in signed else block._replace(signature=b"")
        for block in written(130)
        if block.header.seq not in gaps
    ]
    units = list(signed_units(log, together))
    assert all(unit[-1].signature for unit in units)
    assert together or not any(b.signature for unit in units for b in unit[:-1])
    assert all(a.id == b.header.previous for unit in units for a, b in pairwise(unit))
    # every block from which a signature can be reached without a gap is in one of them
    vouched = {
        block.header.seq
        for block in log
        if any(
            seq in signed and not set(range(block.header.seq, seq + 1)) & gaps
            for seq in range(block.header.seq, 131)
        )
    }
    assert {block.header.seq for unit in units for block in unit} == vouched


def test_where_every_block_is_signed_several_make_a_unit_but_none_goes_beyond_what_is_wanted() -> (
    None
):
    log = written(100)
    size = len(log[0].raw) + len(log[0].body or b"")
    units = list(signed_units(log, 8 * size, until=50))
    lengths = [len(unit) for unit in units]
    assert sum(lengths) == 100
    assert max(lengths) <= 8
    assert sum(length > 1 for length in lengths) >= 5
    assert 50 in [unit[-1].header.seq for unit in units]


def test_branches_go_with_the_part_before_them_that_nothing_else_vouches_for() -> None:
    left, right = (run_of(branch).blocks for branch in forked(70, 5, 3))
    trunk, kept = left[64:69], sorted([*left[69:], *right[69:]], key=lambda b: (b.header.seq, b.id))
    units = list(branch_units(trunk, kept))
    assert {block.id for unit in units for block in unit} == {b.id for b in [*trunk, *kept]}
    # the trunk goes once, ahead of one of them, and each unit is a run that verifies
    assert [sum(block in unit for unit in units) for block in trunk] == [1] * 5
    assert unpack(pack((unit, 0) for unit in units))
    assert list(branch_units((), ())) == []


def test_bodies_that_are_not_held_are_passed_over() -> None:
    blocks = [b if b.header.seq % 2 else bare(b) for b in written(6)]
    (raw,) = pack_bodies(blocks, lambda: 1_000)
    message = decode_message(raw)
    assert isinstance(message, Bodies)
    assert [late.seq for late in message.bodies] == [1, 3, 5]
    assert list(pack_bodies(map(bare, blocks), lambda: 1_000)) == []
