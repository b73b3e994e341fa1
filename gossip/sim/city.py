"""A made-up city: classes, breaks and homes, as contact traces of people show them.

Everybody belongs to a class and a household and knows some people elsewhere. Whoever knows each
other meets on some days, and then again and again: the time from one contact to the next follows a
power law up to half a day and an exponential beyond it, and contacts happen in the hours when
that pair can be near. Most contacts are as short as a trace can tell, some are log-normally longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from gossip.sim.trace import Contact, Trace, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0
SLOT_S: Final = 20.0
"""The shortest contact."""
CLASS: Final = 28
CLASSMATES: Final = 24
ELSEWHERE: Final = 14
"""People known on average, in one's class and in others."""
HOUSEHOLD: Final = 3
NEAR_CLASSES: Final = 8
"""Most of those elsewhere are in classes so near in number."""

EXPONENT: Final = 0.4
"""Of the power law of times between contacts: the share longer than t falls as t to minus this."""
SHORTEST_GAP_S: Final = 28.0
LONGEST_POWER_S: Final = 12 * HOUR_S
PARTS: Final = 0.15
"""How often a contact is a pair's last of the day, whatever the hour."""
SHORT_SHARE: Final = 0.57
LONGER_MEDIAN_S: Final = 30.0
LONGER_SIGMA: Final = 1.0
_SAMPLE: Final = 4_000


class Place(Enum):
    """Where a pair meets, and the hours in which both are there."""

    CLASS = ((8.0, 12.0), (13.0, 16.0))
    BREAK = ((9.75, 10.25), (12.0, 13.0), (16.0, 16.5))
    HOME = ((17.0, 22.0),)


@dataclass(frozen=True, slots=True)
class City:
    """How large it is and how busy.

    Attributes:
        nodes: People, at least 2.
        days: Whole or not, more than 0.
        contacts: Of each person in a day, on average.
    """

    nodes: int
    days: float
    contacts: float = 50.0


def draw_city(city: City, dice: Random) -> Trace:
    """Return contacts drawn from ``dice``: the same dice, the same city."""
    pairs = _pairs(city.nodes, dice)
    places = list(pairs.values())
    sample = [len(list(_episode(dice.choice(places), 0.0, dice))) for _ in range(_SAMPLE)]
    wanted = city.nodes * city.contacts / 2
    episodes = wanted / (max(len(pairs), 1) * sum(sample) / len(sample))
    contacts = [
        Contact(start, end, left, right)
        for (left, right), place in pairs.items()
        for start, end in _pair_contacts(place, city.days, episodes, dice)
    ]
    width = len(str(city.nodes - 1))
    return trace_of([f"{one:0{width}}" for one in range(city.nodes)], contacts)


def _pairs(nodes: int, dice: Random) -> dict[tuple[int, int], Place]:
    """Return who knows whom, and where they meet."""
    pairs: dict[tuple[int, int], Place] = {}
    for one in range(nodes):
        first = one - one % CLASS
        for other in range(one + 1, min(first + CLASS, nodes)):
            if dice.random() < CLASSMATES / (CLASS - 1):
                pairs[one, other] = Place.CLASS
        for _ in range(ELSEWHERE // 2 + (dice.random() < ELSEWHERE % 2 / 2)):
            other = (one + _distance(dice)) % nodes
            if other != one:
                pairs.setdefault((min(one, other), max(one, other)), Place.BREAK)
    order = dice.sample(range(nodes), nodes)
    for at in range(0, nodes, HOUSEHOLD):
        home = sorted(order[at : at + HOUSEHOLD])
        pairs.update({(a, b): Place.HOME for a in home for b in home if a < b})
    return pairs


def _distance(dice: Random) -> int:
    """Return how far in number somebody elsewhere is: another class, seldom a far one."""
    classes = dice.randint(1, NEAR_CLASSES) if dice.random() < 0.9 else dice.randint(1, 1 << 20)
    return classes * CLASS + dice.randrange(CLASS)


def _pair_contacts(
    place: Place, days: float, episodes: float, dice: Random
) -> Iterator[tuple[float, float]]:
    for day in range(int(days) + 1):
        begun = int(episodes) + (dice.random() < episodes % 1)
        for _ in range(begun):
            for start, end in _episode(place, day * DAY_S, dice):
                if start < days * DAY_S:
                    yield start, end


def _episode(place: Place, midnight: float, dice: Random) -> Iterator[tuple[float, float]]:
    """Yield contacts of a pair from any moment of their hours on, to the end of that day's."""
    hours: Sequence[tuple[float, float]] = place.value
    at = dice.uniform(0, sum(to - since for since, to in hours)) * HOUR_S
    while (start := _moment(hours, at)) is not None:
        lasts = _duration(dice)
        yield midnight + start, midnight + start + lasts
        if dice.random() < PARTS:
            return
        at += lasts + _gap(dice)


def _moment(hours: Sequence[tuple[float, float]], at: float) -> float | None:
    """Return the second of the day after ``at`` seconds of ``hours``, None once they are over."""
    for since, to in hours:
        length = (to - since) * HOUR_S
        if at < length:
            return since * HOUR_S + at
        at -= length
    return None


def _gap(dice: Random) -> float:
    gap = SHORTEST_GAP_S * (1 - dice.random()) ** (-1 / EXPONENT)
    if gap > LONGEST_POWER_S:
        return float(LONGEST_POWER_S + dice.expovariate(1 / LONGEST_POWER_S))
    return float(gap)


def _duration(dice: Random) -> float:
    if dice.random() < SHORT_SHARE:
        return SLOT_S
    return SLOT_S + LONGER_MEDIAN_S * float(dice.lognormvariate(0, LONGER_SIGMA))
