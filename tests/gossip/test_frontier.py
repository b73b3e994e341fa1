"""Frontier entries: what a store holds of a log, said in one spelling, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.frontier import MAX_ENTRY_BYTES, FrontierEntry, decode_entry, entry_of
from ledger.block import MAX_LOG, MAX_SEQ
from ledger.chain import MAX_DETACHED
from ledger.codec import encode
from ledger.errors import InvalidError
from tests.gossip.control_strategies import entries
from tests.gossip.held import shelf, varied
from tests.ledger.stores import live, log_of
from tests.strategies import (
    IDENTITY,
    SOCIAL,
    Device,
    forked,
    run_of,
    values,
    written,
)

if TYPE_CHECKING:
    from ledger.codec import Value
    from ledger.store.base import LogKey, Store

AUTHOR, LOW, HIGH = b"a" * 32, b"1" * 32, b"2" * 32


async def said_of(store: Store, key: LogKey, missing: int | None = None) -> FrontierEntry:
    log = await log_of(store, key)
    proofs = {(proof.author, proof.log): proof for proof in await store.proofs()}
    return entry_of(log, proofs.get(key), missing)


# --- agreement ----------------------------------------------------------------------------------


def test_a_joined_log_is_its_head() -> None:
    blocks = written(20)
    store = live(shelf(run_of([Device().root]), run_of(blocks)))
    entry = live(said_of(store, (Device().public, SOCIAL)))
    assert entry == (Device().public, SOCIAL, 20, (blocks[-1].id,), (), None)


def test_segments_after_a_gap_are_ranges() -> None:
    blocks = written(20)
    store = live(shelf(run_of([Device().root]), *map(run_of, (blocks[:5], blocks[9:12]))))
    entry = live(said_of(store, (Device().public, SOCIAL)))
    assert (entry.seq, entry.ids, entry.ranges) == (5, (blocks[4].id,), ((10, 12),))


def test_without_its_device_block_a_log_is_ranges_only() -> None:
    store = live(shelf(run_of(written(20)[:5])))
    entry = live(said_of(store, (Device().public, SOCIAL)))
    assert (entry.seq, entry.ids, entry.ranges) == (0, (), ((1, 5),))


def test_a_forked_log_is_both_ids_where_it_forks_and_all_ranges_before() -> None:
    left, right = forked(7, 2, 3)
    store = live(shelf(run_of([Device().root]), run_of(left), run_of(right)))
    entry = live(said_of(store, (Device().public, SOCIAL)))
    assert entry.seq == 7
    assert entry.ids == tuple(sorted((left[6].id, right[6].id)))
    assert entry.ranges == ((1, 6),)


def test_a_fork_of_the_device_block_leaves_no_range() -> None:
    mine, his = Device(0, 0), Device(0, 1)
    store = live(shelf(run_of([mine.root]), run_of([his.root])))
    entry = live(said_of(store, (mine.public, IDENTITY)))
    assert (entry.seq, entry.ranges) == (1, ())
    assert set(entry.ids) == {mine.root.id, his.root.id}


def test_a_part_that_came_off_because_its_root_was_forked_does_not_spoil_the_entry() -> None:
    # given a log with 4 segments after its joined part
    *others, mine = sorted((Device(0, owner) for owner in range(3)), key=lambda d: d.root.id)
    blocks = mine.write_many(60)
    spans = [(0, 5), (10, 12), (20, 21), (30, 40), (50, 52)]
    store = live(shelf(run_of([mine.root]), *(run_of(blocks[a:b]) for a, b in spans)))
    # when two other device blocks with smaller ids turn up, so that its root is kept no longer
    live(shelf(*(run_of([other.root]) for other in others), store=store))
    # then the entry says the first 4 of what are 5 segments now
    assert len(live(log_of(store, (mine.public, SOCIAL))).detached) == MAX_DETACHED + 1
    entry = live(said_of(store, (mine.public, SOCIAL)))
    assert entry.ranges == ((1, 5), (11, 12), (21, 21), (31, 40))
    assert decode_entry(entry.encode()) == entry


@pytest.mark.parametrize("missing", [None, 1, 70, MAX_SEQ])
def test_whatever_a_store_holds_is_said_in_one_spelling(missing: int | None) -> None:
    async def scenario() -> None:
        store = await varied()
        for log in await store.logs():
            entry = await said_of(store, (log.author, log.number), missing)
            assert decode_entry(entry.encode()) == entry

    live(scenario())


@given(entry=entries())
def test_an_entry_comes_back_as_it_was(entry: FrontierEntry) -> None:
    assert decode_entry(entry.encode()) == entry


def test_the_largest_entry_fits() -> None:
    ranges = tuple((MAX_SEQ - 100 + 3 * n, MAX_SEQ - 99 + 3 * n) for n in range(MAX_DETACHED + 1))
    entry = FrontierEntry(AUTHOR, MAX_LOG, MAX_SEQ, (LOW, HIGH), ranges, MAX_SEQ)
    assert len(entry.encode()) <= MAX_ENTRY_BYTES
    assert decode_entry(entry.encode()) == entry


# --- refusal ------------------------------------------------------------------------------------

GOOD: list[Value] = [AUTHOR, 1, 12, [LOW], [[14, 20]], None]
REFUSED: dict[str, Value] = {
    "no array": b"entry",
    "five fields": GOOD[:5],
    "seven fields": [*GOOD, None],
    "a short author": [AUTHOR[1:], *GOOD[1:]],
    "a log too high": [AUTHOR, MAX_LOG + 1, *GOOD[2:]],
    "a log below zero": [AUTHOR, -1, *GOOD[2:]],
    "a seq too high": [AUTHOR, 1, MAX_SEQ + 1, *GOOD[3:]],
    "an id at seq 0": [AUTHOR, 1, 0, [LOW], [], None],
    "a seq without id": [AUTHOR, 1, 12, [], [], None],
    "a short id": [AUTHOR, 1, 12, [LOW[1:]], [], None],
    "an id of null": [AUTHOR, 1, 12, [None], [], None],
    "three ids": [AUTHOR, 1, 12, [LOW, HIGH, b"3" * 32], [], None],
    "ids that descend": [AUTHOR, 1, 12, [HIGH, LOW], [], None],
    "one id twice": [AUTHOR, 1, 12, [LOW, LOW], [], None],
    "a range of one number": [AUTHOR, 1, 12, [LOW], [[14]], None],
    "a range of three": [AUTHOR, 1, 12, [LOW], [[14, 15, 16]], None],
    "a range backwards": [AUTHOR, 1, 12, [LOW], [[15, 14]], None],
    "a range from 0": [AUTHOR, 1, 0, [], [[0, 3]], None],
    "a range too high": [AUTHOR, 1, 12, [LOW], [[14, MAX_SEQ + 1]], None],
    "a range that is bytes": [AUTHOR, 1, 12, [LOW], [b"14"], None],
    "a range that touches the head": [AUTHOR, 1, 12, [LOW], [[13, 14]], None],
    "a range below the head": [AUTHOR, 1, 12, [LOW], [[3, 4]], None],
    "ranges that touch": [AUTHOR, 1, 12, [LOW], [[14, 15], [16, 17]], None],
    "ranges that overlap": [AUTHOR, 1, 12, [LOW], [[14, 17], [16, 20]], None],
    "ranges that descend": [AUTHOR, 1, 12, [LOW], [[20, 21], [14, 15]], None],
    "five segments": [AUTHOR, 1, 12, [LOW], [[20 * n, 20 * n] for n in range(1, 6)], None],
    "six ranges before a fork": [
        *GOOD[:2],
        500,
        [LOW, HIGH],
        [[20 * n, 20 * n] for n in range(1, 7)],
        None,
    ],
    "a range up to the fork": [AUTHOR, 1, 12, [LOW, HIGH], [[1, 12]], None],
    "a range beyond the fork": [AUTHOR, 1, 12, [LOW, HIGH], [[14, 15]], None],
    "a missing body at 0": [*GOOD[:5], 0],
    "a missing body too high": [*GOOD[:5], MAX_SEQ + 1],
    "a missing body of bytes": [*GOOD[:5], b"1"],
}


def test_the_entry_that_the_refused_ones_differ_from_is_read() -> None:
    assert decode_entry(encode(GOOD)).ranges == ((14, 20),)


@pytest.mark.parametrize("what", REFUSED)
def test_an_entry_with_a_wrong_part_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_entry(encode(REFUSED[what]))


def test_an_entry_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidError, match="256"):
        decode_entry(encode([bytes(MAX_ENTRY_BYTES)]))


@given(entry=entries(), data=st.data())
def test_a_cut_or_longer_entry_is_refused(entry: FrontierEntry, data: st.DataObject) -> None:
    raw = entry.encode()
    for spoiled in (raw + b"\0", raw[: data.draw(st.integers(0, len(raw) - 1), label="cut")]):
        with pytest.raises(InvalidError):
            decode_entry(spoiled)


@given(noise=st.binary(max_size=300) | values.map(encode))
def test_noise_is_read_or_refused_and_nothing_else(noise: bytes) -> None:
    with suppress(InvalidError):
        decode_entry(noise)
