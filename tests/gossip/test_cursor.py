"""What was seen of another store: sets of ranges, held against plain sets of numbers."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.cursor import (
    MAX_RANGES,
    MAX_SEEN_BYTES,
    Seen,
    add,
    decode_seen,
    run_name,
    unseen,
    valid_up_to,
)
from ledger.codec import encode
from ledger.errors import InvalidError
from ledger.store.base import StoreRun
from tests.gossip.control_strategies import ranges, seens, store_runs
from tests.strategies import values

if TYPE_CHECKING:
    from ledger.codec import Value

    Ranges = tuple[tuple[int, int], ...]

RUN, OTHER = b"one run!", b"another!"
MAX_LSN = (1 << 53) - 1
small = st.integers(1, 40)
few = ranges(8, 60)


def numbers(some: Ranges | list[tuple[int, int]]) -> set[int]:
    return {number for low, high in some for number in range(low, high + 1)}


def is_tidy(some: Ranges) -> bool:
    ends = [end for both in some for end in both]
    return ends == sorted(ends) and all(b - a > 1 for (_, a), (b, _) in pairwise(some))


# --- sets ---------------------------------------------------------------------------------------


@given(before=st.just(()) | few, low=small, more=st.integers(0, 30))
def test_adding_a_range_is_what_a_set_would_do(before: Ranges, low: int, more: int) -> None:
    after = add(before, low, low + more)
    assert numbers(after) == numbers(before) | set(range(low, low + more + 1))
    assert is_tidy(after)


@given(lsns=st.lists(st.integers(1, 200), max_size=80))
@example(lsns=list(range(1, 200, 2)))
def test_of_too_many_ranges_the_lowest_are_forgotten(lsns: list[int]) -> None:
    found: Ranges = ()
    for lsn in lsns:
        found = add(found, lsn, lsn)
    assert len(found) <= MAX_RANGES
    assert is_tidy(found)
    assert numbers(found) <= set(lsns)
    if len(found) < MAX_RANGES:
        assert numbers(found) == set(lsns)
    assert not lsns or max(lsns) in numbers(found)


def test_the_lowest_of_33_ranges_is_forgotten_and_no_other() -> None:
    full: Ranges = tuple((10 * n, 10 * n + 1) for n in range(1, MAX_RANGES + 1))
    assert add(full, 500, 501) == (*full[1:], (500, 501))
    assert add(full, 1, 2) == full


@given(some=st.just(()) | few, lsn=st.integers(0, 80))
def test_what_is_unseen_is_the_rest(some: Ranges, lsn: int) -> None:
    gaps = unseen(some, lsn)
    assert numbers(gaps) == set(range(1, lsn + 1)) - numbers(some)
    assert gaps == sorted(gaps, reverse=True)
    assert is_tidy(tuple(reversed(gaps)))


@given(some=few, valid=st.integers(0, 80))
def test_clipping_leaves_what_is_not_above(some: Ranges, valid: int) -> None:
    clipped = Seen(RUN, some).clipped(valid)
    assert numbers(clipped) == {number for number in numbers(some) if number <= valid}
    assert is_tidy(clipped)


@given(some=few, lsn=st.integers(1, 80))
def test_all_is_covered_when_nothing_up_to_the_newest_is_unseen(some: Ranges, lsn: int) -> None:
    seen = Seen(RUN, some)
    assert seen.covers(RUN, lsn) == (set(range(1, lsn + 1)) <= numbers(some))
    assert not seen.covers(OTHER, lsn)


@given(some=few)
def test_a_reach_is_how_many_numbers_there_are(some: Ranges) -> None:
    assert Seen(RUN, some).reach() == len(numbers(some))


# --- validity -----------------------------------------------------------------------------------

RUNS = [StoreRun(RUN, 1, 7), StoreRun(OTHER, 8, 30)]
OFFERS = b"offered."


@pytest.mark.parametrize(
    ("run", "valid"), [(RUN, 7), (OTHER, 30), (b"nobody's", 0)], ids=["older", "newest", "none"]
)
def test_a_seen_counts_as_far_as_its_run_reached(run: bytes, valid: int) -> None:
    seen = Seen(run_name(run, OFFERS), ((1, 100),))
    assert valid_up_to(seen, RUNS, OFFERS) == valid
    assert valid_up_to(seen, RUNS, b"others..") == 0
    assert valid_up_to(Seen(run, ((1, 100),)), RUNS, OFFERS) == 0


def test_no_run_has_no_name_and_others_have_eight_bytes() -> None:
    assert run_name(b"", OFFERS) == b""
    names = {run_name(run, offers) for run in (RUN, OTHER) for offers in (OFFERS, b"others..")}
    assert {len(name) for name in names} == {8}
    assert len(names) == 4


def test_nothing_seen_counts_for_nothing() -> None:
    assert valid_up_to(None, RUNS, OFFERS) == 0
    assert valid_up_to(Seen(run_name(RUN, OFFERS), ((1, 1),)), [], OFFERS) == 0


# --- bytes --------------------------------------------------------------------------------------


@given(seen=seens)
def test_a_seen_comes_back_from_its_bytes_and_from_its_fields(seen: Seen) -> None:
    run, ends = seen.fields()
    assert decode_seen(seen.encode()) == seen
    assert decode_seen([run, [*ends]]) == seen
    assert len(seen.encode()) <= MAX_SEEN_BYTES


def test_the_longest_seen_fits() -> None:
    top = MAX_LSN - 2 * MAX_RANGES
    seen = Seen(RUN, tuple((top + 2 * n, top + 2 * n) for n in range(1, MAX_RANGES + 1)))
    assert decode_seen(seen.encode()) == seen
    assert seen.ranges[-1][1] == MAX_LSN


REFUSED: dict[str, Value] = {
    "null": None,
    "a number": 7,
    "nothing": [],
    "a run alone": [RUN],
    "three fields": [RUN, [1, 2], None],
    "a short run": [RUN[1:], [1, 2]],
    "a long run": [RUN + b"!", [1, 2]],
    "a run of text": ["one run!", [1, 2]],
    "no ranges": [RUN, []],
    "half a range": [RUN, [1, 2, 4]],
    "ranges in arrays": [RUN, [[1, 2]]],
    "a range of bytes": [RUN, [b"1", 2]],
    "a range from 0": [RUN, [0, 2]],
    "a range from below 0": [RUN, [-1, 2]],
    "a range up to 2^53": [RUN, [1, MAX_LSN + 1]],
    "a range backwards": [RUN, [2, 1]],
    "ranges that overlap": [RUN, [1, 5, 5, 7]],
    "ranges that touch": [RUN, [1, 5, 6, 7]],
    "ranges that descend": [RUN, [8, 9, 1, 2]],
    "33 ranges": [RUN, [n for low in range(1, 100, 3) for n in (low, low)]],
    "bytes in an array": [[RUN, [1, 2]]],
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_seen_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_seen(REFUSED[what])
    with pytest.raises(InvalidError):
        decode_seen(encode(REFUSED[what]))


@given(seen=seens, rest=st.binary(min_size=1, max_size=2), data=st.data())
def test_a_cut_or_longer_seen_is_refused(seen: Seen, rest: bytes, data: st.DataObject) -> None:
    raw = seen.encode()
    for spoiled in (raw + rest, raw[: data.draw(st.integers(0, len(raw) - 1), label="cut")]):
        with pytest.raises(InvalidError):
            decode_seen(spoiled)


def test_a_seen_of_more_bytes_than_any_has_is_refused_unread() -> None:
    with pytest.raises(InvalidError, match=f"{MAX_SEEN_BYTES}"):
        decode_seen(encode([RUN, [1] * MAX_SEEN_BYTES]))


@given(noise=values | st.binary(max_size=60) | st.tuples(store_runs, values).map(list))
def test_noise_is_read_or_refused_and_nothing_else(noise: Value) -> None:
    with suppress(InvalidError):
        decode_seen(noise)
