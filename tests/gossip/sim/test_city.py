"""The made-up city: as near to what was measured of people as is said here."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from gossip.sim.city import SLOT_S, City, draw_city

if TYPE_CHECKING:
    from gossip.sim.trace import Trace

SCHOOL = City(nodes=126, days=4, contacts=54)
"""As many pupils and days as of a French high school, 2011, of whom the figures below are."""


@pytest.fixture(scope="module")
def school() -> Trace:
    return draw_city(SCHOOL, Random(1))


def share(sorted_values: list[float], part: float) -> float:
    return sorted_values[int(part * len(sorted_values))]


def test_contacts_last_as_long_as_people_s(school: Trace) -> None:
    lengths = sorted(one.end - one.start for one in school.contacts)
    assert lengths[0] > SLOT_S - 0.01
    assert share(lengths, 0.5) == pytest.approx(20, abs=1)
    assert share(lengths, 0.9) == pytest.approx(80, rel=0.15)
    assert sum(length < 30 for length in lengths) / len(lengths) == pytest.approx(0.60, abs=0.05)


def test_pairs_meet_again_as_people_do(school: Trace) -> None:
    pairs = defaultdict(list)
    for one in school.contacts:
        pairs[one.left, one.right].append(one)
    gaps = sorted(b.start - a.end for met in pairs.values() for a, b in pairwise(met))
    assert share(gaps, 0.5) / 3600 == pytest.approx(0.04, rel=0.3)
    assert share(gaps, 0.9) / 3600 == pytest.approx(18, rel=0.35)
    assert len(pairs) / (126 * 125 / 2) == pytest.approx(0.22, abs=0.05)


@pytest.mark.parametrize("city", [SCHOOL, City(60, 1, 20), City(300, 2, 100)])
def test_people_meet_as_often_as_is_asked_for(city: City) -> None:
    """What overlaps counts once, and not every day has its evening."""
    trace = draw_city(city, Random(2))
    each = 2 * len(trace.contacts) / city.nodes / city.days
    assert each == pytest.approx(city.contacts, rel=0.2)
    assert trace.span <= city.days * 86_400


def test_the_same_dice_draw_the_same_city() -> None:
    one, other, third = (draw_city(City(20, 1), Random(seed)) for seed in (1, 1, 2))
    assert one == other
    assert one != third


def test_two_people_are_a_city() -> None:
    assert len(draw_city(City(2, 3), Random(1)).names) == 2
