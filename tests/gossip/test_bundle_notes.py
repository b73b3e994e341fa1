"""What bundles brought so far: exports complete in any order, and nothing ever goes backwards."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.bundle_header import MAX_PARTS, Row, SealedHeader
from gossip.bundle_notes import (
    MAX_NOTE_BYTES,
    MAX_UNFINISHED,
    Heard,
    Unfinished,
    processed,
    reaches,
    recall_heard,
)
from gossip.cursor import Seen
from gossip.frontier import FrontierEntry
from gossip.notes import (
    recall_count,
    recall_frontier,
    recall_told,
    remember_count,
    remember_frontier,
)
from ledger.codec import encode
from tests.strategies import material

OLD, NOW, NEXT = (material(name, 8) for name in ("old", "now", "next"))
EXPORT = material("export", 8)
GAVE = Seen(NOW, ((1, 3), (7, 9)))


def header(count: int, part: int, export: bytes = EXPORT) -> SealedHeader:
    return SealedHeader(bytes(32), export, count, part, ())


def row(covers: tuple[tuple[int, int], ...], *runs: tuple[bytes, int]) -> Row:
    return Row(runs, covers, None, 0, None)


# --- parts --------------------------------------------------------------------------------------


@given(parts=st.integers(1, 300), seed=st.integers(0, 99))
def test_an_export_is_complete_with_its_last_missing_part_in_any_order(
    parts: int, seed: int
) -> None:
    order = list(range(1, parts + 1))
    random.Random(seed).shuffle(order)
    heard = Heard(count=4)
    for place, part in enumerate(order, 1):
        heard, is_complete = heard.with_part(header(4, part), is_last=part == parts)
        assert is_complete == (place == parts)
        assert recall_heard(heard.encode()) == heard
    assert heard.unfinished == ()


def test_a_part_twice_is_no_other_part() -> None:
    heard = Heard(count=1)
    for _ in range(3):
        heard, is_complete = heard.with_part(header(1, 1), is_last=False)
        assert not is_complete
    assert heard.with_part(header(1, 3), is_last=True)[1] is False


def test_parts_of_two_exports_with_one_count_are_not_taken_together() -> None:
    # given a device that was set back and uses a count again
    heard, _ = Heard(count=1).with_part(header(1, 1, OLD), is_last=False)
    assert heard.with_part(header(1, 2, NOW), is_last=True)[1] is False
    assert heard.with_part(header(1, 2, OLD), is_last=True)[1] is True


def test_only_the_newest_unfinished_exports_are_remembered() -> None:
    heard = Heard(count=99)
    for count in range(1, MAX_UNFINISHED + 5):
        heard, _ = heard.with_part(header(count, MAX_PARTS), is_last=True)
    assert [one.count for one in heard.unfinished] == list(range(5, MAX_UNFINISHED + 5))
    assert len(heard.encode()) < MAX_NOTE_BYTES


# --- what is processed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        # nothing was processed before
        (None, row(((1, 5),), (NOW, 9)), Seen(NOW, ((1, 5),))),
        (None, row((), (NOW, 9)), None),
        # the same run: what was covered is added
        (Seen(NOW, ((1, 4),)), row(((5, 9),), (NOW, 9)), Seen(NOW, ((1, 9),))),
        (Seen(NOW, ((1, 20),)), row(((5, 9),), (NOW, 9)), Seen(NOW, ((1, 20),))),
        # an earlier run of the same store counts as far as that run went
        (Seen(OLD, ((1, 8),)), row(((7, 9),), (OLD, 6), (NOW, 9)), Seen(NOW, ((1, 9),))),
        (Seen(OLD, ((1, 8),)), row(((9, 9),), (OLD, 6), (NOW, 9)), Seen(NOW, ((1, 6), (9, 9)))),
        # a run that the store does not know any more counts for nothing
        (Seen(OLD, ((1, 8),)), row(((9, 9),), (NOW, 9)), Seen(NOW, ((9, 9),))),
        (Seen(OLD, ((1, 8),)), row((), (NOW, 9)), Seen(OLD, ((1, 8),))),
        (Seen(OLD, ((1, 8),)), row(((1, 9),)), Seen(OLD, ((1, 8),))),
    ],
)
def test_what_an_export_covers_is_processed_with_what_was(
    before: Seen | None, said: Row, after: Seen | None
) -> None:
    assert processed(before, said, is_newer=True) == after


def test_an_older_export_never_replaces_what_is_known_of_a_later_run() -> None:
    before = Seen(NEXT, ((1, 50),))
    said = row(((1, 9),), (OLD, 6), (NOW, 9))
    assert processed(before, said, is_newer=False) == before
    assert processed(before, said, is_newer=True) == Seen(NOW, ((1, 9),))


@pytest.mark.parametrize(
    ("run", "is_reached"),
    [((OLD, 6), True), ((OLD, 7), False), ((NOW, 9), True), ((NOW, 2), True), ((NEXT, 1), False)],
)
def test_a_store_has_been_where_one_of_its_runs_has(
    run: tuple[bytes, int],
    is_reached: bool,  # noqa: FBT001
) -> None:
    assert reaches(((OLD, 6), (NOW, 9)), run) is is_reached


# --- notes --------------------------------------------------------------------------------------

FULL = Heard(9, 7, ((OLD, 6), (NOW, 9)), GAVE, (Unfinished(8, EXPORT, 3, 0b101),))


def test_a_note_is_recalled_as_it_was() -> None:
    for heard in (FULL, Heard(), replace(FULL, gave=None)):
        assert recall_heard(heard.encode()) == heard
    assert (FULL.base, Heard().base) == ((NOW, 9), None)


@pytest.mark.parametrize(
    "note",
    [
        None,
        b"",
        b"\xff",
        FULL.encode()[:-1],
        FULL.encode() + b"\0",
        encode([9, 10, [], None, []]),
        encode([-1, -1, [], None, []]),
        encode([9, 7, [OLD], None, []]),
        encode([9, 7, [], [], []]),
        encode([9, 7, [], None, [[8, EXPORT, 3, [1]]]]),
        encode([9, 7, [], None, [[8, EXPORT, MAX_PARTS + 1, b""]]]),
        encode([9, 7, [], None, [[8, EXPORT, 3, bytes(2_000)]]]),
    ],
)
def test_a_damaged_note_is_worth_nothing(note: bytes | None) -> None:
    assert recall_heard(note) == Heard()


def test_a_frontier_a_count_and_what_was_told_are_recalled() -> None:
    entry = FrontierEntry(material("author", 32), 1, 3, (material("id", 32),))
    assert recall_frontier(remember_frontier([entry])) == {(entry.author, 1): entry}
    assert recall_told(GAVE.encode()) == GAVE
    assert [recall_count(remember_count(n)) for n in (0, 1, 1 << 40)] == [0, 1, 1 << 40]


@pytest.mark.parametrize("note", [None, b"", b"\xff", encode([1]), encode([b"x"]), encode(-1)])
def test_of_damaged_notes_nothing_is_recalled(note: bytes | None) -> None:
    assert (recall_frontier(note), recall_told(note), recall_count(note)) == ({}, None, 0)
