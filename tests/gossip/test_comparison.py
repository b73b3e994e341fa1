"""Comparison: the first block that differs is found with few questions, or given up on a liar."""

from collections.abc import Callable
from math import ceil, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.comparison import Comparison
from gossip.control import ID_BYTES, MAX_IDS, Ids
from ledger.block import MAX_SEQ
from tests.strategies import material


def ident(seq: int, fork: int | None, branch: str) -> bytes:
    """Id of a block of a chain that differs from ``fork`` on."""
    return material(f"{branch if fork is not None and seq >= fork else 'both'} {seq}")


def honest(fork: int | None) -> Callable[[int, int, int], bytes]:
    """How somebody answers who holds the other branch."""
    return lambda low, step, count: b"".join(
        ident(low + step * number, fork, "theirs")[:ID_BYTES] for number in range(count)
    )


def search(
    comparison: Comparison, fork: int | None, answer: Callable[[int, int, int], bytes]
) -> list[tuple[int, int, int]]:
    """Search to the end; return the questions."""
    asked: list[tuple[int, int, int]] = []
    while (question := comparison.question()) is not None:
        asked.append(question)
        low, step, _count = question
        mine = [ident(seq, fork, "mine")[:ID_BYTES] for seq in comparison.seqs()]
        if not comparison.answer(Ids(0, low, step, answer(*question)), mine):
            break
        assert len(asked) <= 64
    return asked


def most(length: int) -> int:
    """How many answers at most narrow down ``length`` blocks, 64-fold each."""
    return 1 + (ceil(log(length, MAX_IDS)) + 1 if length > 1 else 0)


LENGTHS = st.integers(1, 300) | st.integers(1, 100_000) | st.integers(1, MAX_SEQ)


@given(length=LENGTHS, data=st.data())
def test_the_first_difference_of_any_two_chains_is_found(length: int, data: st.DataObject) -> None:
    fork = data.draw(st.integers(1, length))
    comparison = Comparison([(1, length)])
    asked = search(comparison, fork, honest(fork))
    assert comparison.found == fork
    assert len(asked) <= most(length)
    assert len(set(asked)) == len(asked)


@given(
    gaps=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 500)), min_size=1, max_size=5),
    data=st.data(),
)
def test_it_is_found_in_whichever_part_of_a_log_it_is(
    gaps: list[tuple[int, int]], data: st.DataObject
) -> None:
    # given parts with gaps between them, of which both hold the same seqs
    ranges: list[tuple[int, int]] = []
    for gap, length in gaps:
        start = (ranges[-1][1] + 1 if ranges else 0) + gap
        ranges.append((start, start + length))
    fork = data.draw(st.none() | st.integers(1, ranges[-1][1]))
    comparison = Comparison(list(ranges))
    # when the copies are compared
    search(comparison, fork, honest(fork))
    # then the first seq that both hold and that differs is found, if there is one
    expected = next(
        (max(low, fork) for low, high in ranges if fork is not None and high >= fork), None
    )
    assert comparison.found == expected


@given(length=LENGTHS, data=st.data())
def test_whatever_a_liar_answers_the_search_ends(length: int, data: st.DataObject) -> None:
    def lies(low: int, step: int, count: int) -> bytes:
        says = data.draw(st.integers(0, (1 << count) - 1))
        truth = [ident(low + step * number, None, "mine")[:ID_BYTES] for number in range(count)]
        return b"".join(t if says >> n & 1 else bytes(8) for n, t in enumerate(truth))

    comparison = Comparison([(1, length)])
    asked = search(comparison, None, lies)
    assert len(set(asked)) == len(asked) <= most(length)


@pytest.mark.parametrize(
    "wrong",
    [
        Ids(0, 10, 1, b""),
        Ids(0, 10, 1, bytes(16)),
        Ids(0, 9, 1, bytes(8)),
        Ids(0, 10, 2, bytes(8)),
    ],
)
def test_what_is_no_answer_to_the_question_ends_the_search(wrong: Ids) -> None:
    comparison = Comparison([(1, 10)])
    assert comparison.question() == (10, 1, 1)
    assert not comparison.answer(wrong, [bytes(32)])


def test_an_answer_that_comes_unasked_ends_the_search() -> None:
    assert not Comparison([(1, 10)]).answer(Ids(0, 0, 1, bytes(8)), [bytes(32)])


def test_the_search_ends_where_blocks_are_gone_meanwhile() -> None:
    comparison = Comparison([(1, 10)])
    comparison.question()
    assert not comparison.answer(Ids(0, 10, 1, bytes(8)), [None])


# --- economy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "fork", "questions"),
    [
        (1, 1, 1),
        (2, 1, 2),
        (65, 3, 2),
        (66, 64, 2),
        (66, 66, 3),
        (5_000, 3, 3),
        (5_000, 5_000, 4),
        (10_000, 9_999, 4),
        (1_000_000, 3, 5),
    ],
)
def test_so_many_questions_find_it(length: int, fork: int, questions: int) -> None:
    comparison = Comparison([(1, length)])
    asked = search(comparison, fork, honest(fork))
    assert (comparison.found, len(asked)) == (fork, questions)
    assert all(count <= MAX_IDS for _, _, count in asked)


def test_copies_that_are_the_same_cost_one_question_a_part() -> None:
    comparison = Comparison([(1, 5_000), (6_000, 7_000)])
    assert search(comparison, None, honest(None)) == [(5_000, 1, 1), (7_000, 1, 1)]
    assert comparison.found is None
