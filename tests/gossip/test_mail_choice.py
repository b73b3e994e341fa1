"""Which envelopes are asked for first, and what that shows to whoever offered them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gossip.mail_choice import FIRST, Choice, Row
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
        made.add(one, is_wanted=one.is_mine or (wanted and not one.is_single))
    made.offered()
    return made


def always(row: Row, *, is_first: bool) -> bool:
    assert row.index >= 0
    assert is_first in (True, False)
    return True


def drawn(made: Choice) -> list[tuple[int, bool]]:
    """Ask for everything; return indices, and whether they are among the first."""
    found: list[tuple[int, bool]] = []
    while (one := made.next(always)) is not None:
        found.append((one[0].index, one[1]))
    return found


def first_of(made: Choice) -> list[int]:
    return [index for index, is_first in drawn(made) if is_first]


def test_ones_own_is_in_each_place_of_the_first_as_often() -> None:
    places: Counter[int] = Counter()
    for secret in range(SECRETS):
        rows = [row(number, mine=number == 9) for number in range(ROWS)]
        first = first_of(choice(secret, rows))
        assert len(first) == FIRST
        places[first.index(9)] += 1
    assert all(110 <= places[place] <= 190 for place in range(FIRST)), places


def test_anything_fills_up_as_often_whether_it_is_wanted_or_not() -> None:
    chosen: Counter[int] = Counter()
    for secret in range(SECRETS):
        rows = [row(n, mine=n == 0, single=n % 3 == 1) for n in range(ROWS)]
        chosen.update(first_of(choice(secret, rows)))
    assert chosen[0] == SECRETS
    fillers = [chosen[number] for number in range(1, ROWS)]
    assert sum(fillers) == SECRETS * (FIRST - 1)
    assert min(fillers) >= 80
    assert max(fillers) <= 165


def test_the_same_is_asked_for_where_nothing_is_ones_own() -> None:
    chosen: Counter[int] = Counter()
    for secret in range(SECRETS):
        chosen.update(first_of(choice(secret, map(row, range(ROWS)))))
    assert sum(chosen.values()) == SECRETS * FIRST
    assert min(chosen.values()) >= 105
    assert max(chosen.values()) <= 200


def test_after_the_first_comes_what_few_offer_and_of_that_the_youngest() -> None:
    crowd = {number: number % 3 for number in range(ROWS)}
    found = drawn(choice(1, map(row, range(ROWS)), crowd=crowd))
    rest = [index for index, is_first in found if not is_first]
    assert rest == sorted(rest, key=lambda index: (crowd[index], index))
    assert sorted(index for index, _ in found) == list(range(ROWS))


def test_what_more_and_more_offer_falls_behind() -> None:
    crowd = dict.fromkeys(range(ROWS), 1)
    made = choice(1, map(row, range(ROWS)), crowd=crowd)
    for _ in range(FIRST):
        made.next(always)
    one, other = sorted(made._waiting)[:2]
    crowd[one] = crowd[other] = 2
    assert drawn(made)[-2:] == [(one, False), (other, False)]


def test_what_only_fills_up_is_asked_for_among_the_first_only() -> None:
    rows = [row(number, single=True) for number in range(ROWS)]
    assert [is_first for _, is_first in drawn(choice(1, rows))] == [True] * FIRST


@given(
    pages=st.lists(
        st.lists(st.tuples(st.booleans(), st.booleans()), max_size=9), min_size=1, max_size=6
    ),
    secret=st.integers(0, 99),
    taken=st.lists(st.integers(0, 6), min_size=6, max_size=6),
)
def test_the_first_are_a_multiple_of_four_with_all_that_is_ones_own(
    pages: list[list[tuple[bool, bool]]], secret: int, taken: list[int]
) -> None:
    made = Choice(material(f"secret {secret}"), lambda _: 0)
    number, waiting, asked = 0, set[int](), list[tuple[int, bool]]()
    own: set[int] = set()
    for page, count in zip(pages, taken, strict=False):
        for is_mine, is_single in page:
            one = row(number, mine=is_mine, single=is_single)
            made.add(one, is_wanted=is_mine or not is_single)
            waiting.add(number)
            own |= {number} if is_mine else set()
            number += 1
        rest = sum(one.index in made._waiting for one in made._first)
        made.offered()
        pending = [one for one in made._first if one.index in made._waiting]
        mine = len(own & made._waiting)
        assert {one.index for one in pending} >= own & made._waiting
        most = max(rest, FIRST, mine + -mine % FIRST)
        assert len(pending) == min(len(waiting), most)
        for _ in range(count):
            if (found := made.next(always)) is not None:
                asked.append((found[0].index, found[1]))
                waiting.discard(found[0].index)
    asked += drawn(made)
    indices = [index for index, _ in asked]
    assert len(indices) == len(set(indices))
    assert all(is_first for index, is_first in asked if index in own)
    assert own <= set(indices)


def test_what_may_not_be_asked_for_now_is_asked_for_later() -> None:
    made = choice(1, map(row, range(ROWS)))
    barred, found = {0, 5, 7}, list[int]()

    def may(row: Row, *, is_first: bool) -> bool:
        assert is_first in (True, False)
        return row.index not in barred

    while (one := made.next(may)) is not None:
        found.append(one[0].index)
    assert sorted(found) == sorted(set(range(ROWS)) - barred)
    assert sorted(index for index, _ in drawn(made)) == sorted(barred)


def test_many_offers_cost_no_look_at_all_that_waits() -> None:
    looks = 0

    def crowd(_: Row) -> int:
        nonlocal looks
        looks += 1
        return 0

    made = Choice(b"", crowd)
    for number in range(4_096):
        made.add(row(number), is_wanted=True)
        made.offered()
    for _ in range(4_096):
        made.next(always)
    assert looks <= 3 * 4_096
