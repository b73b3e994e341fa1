"""Which envelopes are asked for first, and what that shows to whoever offered them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.mail_choice import MOST_VAIN, Choice, Row
from tests.strategies import material

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS = 16
SECRETS = 600


def row(number: int, *, mine: bool = False, single: bool = False) -> Row:
    return Row(number, 0, material(f"row {number}", 12), 1_000 - number, single, mine)


def choice(
    secret: int, rows: Iterable[Row], *, wanted: bool = True, crowd: dict[int, int] | None = None
) -> Choice:
    crowd = crowd or {}
    made = Choice(material(f"secret {secret}"), lambda one: crowd.get(one.index, 0))
    for one in rows:
        made.add(one, is_wanted=wanted and not one.is_single)
    made.offered()
    return made


def always(row: Row, *, is_drawn: bool) -> bool:
    assert row.index >= 0
    assert is_drawn in (True, False)
    return True


def asked(made: Choice) -> list[tuple[int, bool]]:
    """Ask for everything; return indices, and whether they were drawn."""
    found: list[tuple[int, bool]] = []
    while (one := made.next(always)) is not None:
        found.append((one[0].index, one[1]))
    return found


def test_ones_own_is_asked_for_first_and_else_anything_as_often() -> None:
    first: Counter[int] = Counter()
    for secret in range(SECRETS):
        assert asked(choice(secret, (row(n, mine=n == 9) for n in range(ROWS))))[0] == (9, True)
        first[asked(choice(secret, map(row, range(ROWS))))[0][0]] += 1
    assert min(first.values()) >= 20
    assert max(first.values()) <= 60
    assert len(first) == ROWS


def test_after_each_offer_one_is_drawn() -> None:
    made = choice(1, map(row, range(ROWS)))
    drawn = []
    for number in range(ROWS, ROWS + 6):
        made.add(row(number, mine=number % 2 == 0), is_wanted=True)
        made.offered()
        made.offered()
        some = [made.next(always) for _ in range(2)]
        drawn.append([(one[0].is_mine, one[1]) for one in some if one is not None])
    assert [[is_drawn for _, is_drawn in two] for two in drawn] == [[True, False]] * 6
    assert [two[0][0] for two in drawn] == [True, False] * 3


def test_what_only_a_reader_would_keep_is_drawn_too_a_fourth_as_often() -> None:
    drawn: Counter[int] = Counter()
    for secret in range(3 * SECRETS):
        rows = [row(number, single=number % 2 == 1) for number in range(ROWS)]
        drawn[asked(choice(secret, rows))[0][0]] += 1
    singles = [drawn[number] for number in range(1, ROWS, 2)]
    assert 300 <= sum(singles) <= 420  # of 1,800 a fifth
    assert min(singles) >= 25
    assert len(drawn) == ROWS


@pytest.mark.parametrize("mine", [0, 1, 2, 5])
def test_what_is_drawn_stands_in_the_same_places_whosever_it_is(mine: int) -> None:
    found = asked(choice(3, (row(n, mine=n < mine) for n in range(ROWS))))
    assert [is_drawn for _, is_drawn in found[:12]] == [True, False, False, False] * 3
    assert sorted(index for index, _ in found) == list(range(ROWS))


@pytest.mark.parametrize("mine", [0, 1, 4, 6])
def test_where_nothing_is_wanted_as_many_are_asked_for_whosever_they_are(mine: int) -> None:
    rows = [row(number, mine=number < mine, single=True) for number in range(ROWS)]
    found = asked(choice(1, rows))
    assert len(found) == max(MOST_VAIN, mine)  # these dice let as many be drawn
    assert {index for index, _ in found} >= set(range(mine))


def test_what_is_not_drawn_is_what_few_offer_and_of_that_the_youngest() -> None:
    crowd = {number: number % 3 for number in range(ROWS)}
    found = asked(choice(1, map(row, range(ROWS)), crowd=crowd))
    rest = [index for index, is_drawn in found if not is_drawn]
    assert rest == sorted(rest, key=lambda index: (crowd[index], index))
    assert sorted(index for index, _ in found) == list(range(ROWS))


def test_what_more_and_more_offer_falls_behind() -> None:
    crowd = dict.fromkeys(range(ROWS), 1)
    made = choice(1, map(row, range(ROWS)), crowd=crowd)
    crowd[0] = crowd[1] = 2
    best = [index for index, is_drawn in asked(made) if not is_drawn]
    assert best[0] not in (0, 1)
    assert all(index not in (0, 1) for index in best[:-2])


@given(
    rows=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40),
    turns=st.lists(st.integers(0, 4), min_size=40, max_size=40),
    secret=st.integers(0, 99),
)
def test_each_is_asked_for_once_and_all_that_is_wanted_is(
    rows: list[tuple[bool, bool]], turns: list[int], secret: int
) -> None:
    made = Choice(material(f"secret {secret}"), lambda _: 0)
    found: list[int] = []
    for number, ((is_mine, is_single), turn) in enumerate(zip(rows, turns, strict=False)):
        one = row(number, mine=is_mine, single=is_single)
        made.add(one, is_wanted=not is_single)
        if turn:
            made.offered()
        some = [made.next(always) for _ in range(turn)]
        found += [got[0].index for got in some if got is not None]
    found += [index for index, _ in asked(made)]
    vain = {n for n, (is_mine, is_single) in enumerate(rows) if is_single and not is_mine}
    assert len(found) == len(set(found))
    assert set(range(len(rows))) - set(found) <= vain
    assert len(vain & set(found)) <= MOST_VAIN


def test_what_may_not_be_asked_for_now_is_asked_for_later() -> None:
    made = choice(1, (row(n, mine=n == 5) for n in range(ROWS)))
    barred, found = {0, 5, 7}, list[int]()

    def may(row: Row, *, is_drawn: bool) -> bool:
        assert is_drawn in (True, False)
        return row.index not in barred

    while (one := made.next(may)) is not None:
        found.append(one[0].index)
    assert sorted(found) == sorted(set(range(ROWS)) - barred)
    assert sorted(index for index, _ in asked(made)) == sorted(barred)


@given(dropped=st.sets(st.integers(0, ROWS - 1)), mine=st.sets(st.integers(0, ROWS - 1)))
def test_what_is_dropped_when_it_is_looked_at_is_passed_over(
    dropped: set[int], mine: set[int]
) -> None:
    made = choice(1, (row(n, mine=n in mine) for n in range(ROWS)))

    def may(row: Row, *, is_drawn: bool) -> bool:
        assert is_drawn in (True, False)
        if row.index in dropped:
            made.drop(row)
        return row.index not in dropped

    asked_for = [made.next(may) for _ in range(2 * ROWS)]
    found = [one[0].index for one in asked_for if one is not None]
    assert sorted(found) == sorted(set(range(ROWS)) - dropped)


def test_what_was_dropped_is_asked_for_no_more() -> None:
    rows = list(map(row, range(ROWS)))
    made = choice(1, rows)
    for one in rows[::2]:
        made.drop(one)
    assert sorted(index for index, _ in asked(made)) == list(range(1, ROWS, 2))


def test_many_offers_cost_no_look_at_all_that_waits() -> None:
    looks = 0

    def crowd(_: Row) -> int:
        nonlocal looks
        looks += 1
        return 0

    made = Choice(b"", crowd)
    for number in range(4_096):
        made.add(row(number), is_wanted=True)
    for _ in range(4_096):
        made.next(always)
    assert looks <= 3 * 4_096
