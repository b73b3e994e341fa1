"""Clocks and figures.

Machines differ and are busy with other things: time is CPU time (user and system) unless a
figure says wall, and what counts is a ratio inside one round, against what the same machine did
a moment before. A figure is the median over the rounds, with the least and the greatest.
"""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should not exceed.

    Attributes:
        name: Under which the project knows it.
        most: In the figure's unit.
    """

    name: str
    most: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured.

    Attributes:
        what: In words.
        unit: ``x`` for a ratio.
        rounds: One value a round, at least one.
        goal: If there is one.
    """

    what: str
    unit: str
    rounds: tuple[float, ...]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.rounds)

    def document(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.rounds),
            "max": max(self.rounds),
            "rounds": list(self.rounds),
            "goal": None if self.goal is None else {"name": self.goal.name, "most": self.goal.most},
            "met": None if self.goal is None else self.median <= self.goal.most,
        }


def figure(what: str, unit: str, rounds: Sequence[float], goal: Goal | None = None) -> Figure:
    """Return a figure of what each round gave."""
    return Figure(what, unit, tuple(rounds), goal)


def ratio(
    what: str, ours: Sequence[float], theirs: Sequence[float], goal: Goal | None = None
) -> Figure:
    """Return how many times ``theirs`` each round's ``ours`` is."""
    return figure(what, "x", [one / other for one, other in zip(ours, theirs, strict=True)], goal)


def micros(what: str, seconds: Sequence[float], goal: Goal | None = None) -> Figure:
    """Return a figure in microseconds."""
    return figure(what, "us", [value * 1e6 for value in seconds], goal)


@dataclass(slots=True)
class Lap:
    """How long something took, seconds; filled in at its end.

    Attributes:
        cpu: User and system time of all threads of this process.
        wall: On the clock.
    """

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def lap() -> Iterator[Lap]:
    """Time what is done in the context."""
    gc.collect()
    taken = Lap()
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        yield taken
    finally:
        taken.cpu, taken.wall = time.process_time() - cpu, time.perf_counter() - wall
