"""Simulations: reads the trace, runs ``gossip.sim`` on it, and says what it came to and how long.

The engine in it is the one that meets real peers; time, radio and disk are made up. Nothing here
touches a home.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from gossip.sim.city import City, draw_city
from gossip.sim.report import Copies, Spread
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.trace import read_trace
from ledger.errors import InvalidError
from mesh.port import PortError

__all__ = ["Conditions", "Copies", "Simulated", "Spread", "Town", "run_simulation"]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gossip.sim.report import Report, Traffic
    from gossip.sim.trace import Trace
    from mesh.port import File, Progress

MAX_LINE: Final = 1_000
MAX_NODES: Final = 20_000
MAX_DAYS: Final = 366.0
MAX_CONTACTS: Final = 5_000_000
_COLLECTIONS: Final = (20_000, 20, 20)


@dataclass(frozen=True, slots=True)
class Town:
    """A made-up city instead of a trace.

    Attributes:
        nodes: 2 to ``MAX_NODES``.
        days: Above 0, up to ``MAX_DAYS``.
        contacts: Of each node in a day, on average.
    """

    nodes: int
    days: float
    contacts: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens in it; as ``gossip.sim.scenario.Scenario`` has it."""

    seed: int = 0
    posts: int = 200
    mail: int = 0
    buffer: int | None = None
    letter: int = 512
    setup: float = 5.0
    rate: float | None = None
    latency: float = 0.0
    radio: bool = False
    cut: float | None = None
    follows: int | None = None
    strangers: bool = False
    churn: bool = False
    crashes: bool = False
    liars: int = 0
    clocks: bool = False


@dataclass(frozen=True, slots=True)
class Simulated:
    """How it went.

    Attributes:
        seed: What decided everything random.
        nodes: How many.
        liars: Of those.
        contacts: Of the trace.
        days: It lasted.
        delivery: Share of posts and readers by age.
        oracle: The same of unlimited flooding, over liars too.
        ratios: One over the other.
        posts: All that is known of how posts spread.
        mail: The same of sealed mail; None where there was none.
        copies: How often posts were received.
        bytes_on_air: Of all frames.
        useful_bytes: Of blocks that were new to their receiver.
        bytes_per_useful_byte: One over the other.
        traffic: More of that.
        after_first_meeting: The same without the first meeting of each pair.
        signatures_verified: With what was checked once remembered.
        endings: How many sessions ended why.
        seconds: The computation took.
    """

    seed: int
    nodes: int
    liars: int
    contacts: int
    days: float
    delivery: dict[str, float]
    oracle: dict[str, float]
    ratios: dict[str, float | None]
    posts: Spread
    mail: Spread | None
    copies: Copies
    bytes_on_air: int
    useful_bytes: int
    bytes_per_useful_byte: float | None
    traffic: Traffic
    after_first_meeting: Traffic
    signatures_verified: int
    endings: dict[str, int]
    seconds: float


def run_simulation(place: File | Town, conditions: Conditions, progress: Progress) -> Simulated:
    """Run one.

    Args:
        place: A trace as ``gossip.sim.trace`` reads it, or a city to be made up.
        conditions: What happens there.
        progress: Told virtual seconds, of how many.

    Raises:
        PortError: The trace cannot be read or is none, or the city is too large.
    """
    begun = time.perf_counter()
    trace = _city(place, conditions.seed) if isinstance(place, Town) else _read(place)
    scenario = Scenario(
        seed=conditions.seed,
        posts=conditions.posts,
        mail=conditions.mail,
        buffer=conditions.buffer,
        letter=conditions.letter,
        setup=conditions.setup,
        rate=conditions.rate,
        latency=conditions.latency,
        radio=conditions.radio,
        cut=conditions.cut,
        follows=conditions.follows,
        strangers=conditions.strangers,
        churn=conditions.churn,
        crashes=conditions.crashes,
        liars=conditions.liars,
        clocks=conditions.clocks,
    )
    span = round(trace.span)
    with _rare_collections():
        report = simulate(trace, scenario, lambda now: progress(round(now), span))
    return _simulated(report, time.perf_counter() - begun)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage seldom: of millions of objects that stay, a tenth of the time goes there."""
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _simulated(report: Report, seconds: float) -> Simulated:
    return Simulated(
        report.seed,
        report.nodes,
        report.liars,
        report.contacts,
        report.days,
        report.posts.delivery,
        report.posts.oracle,
        report.posts.ratios,
        report.posts,
        report.mail,
        report.copies,
        report.traffic.bytes_on_air,
        report.traffic.useful_bytes,
        report.traffic.bytes_per_useful_byte,
        report.traffic,
        report.after_first_meeting,
        report.signatures_verified,
        report.endings,
        seconds,
    )


def _city(town: Town, seed: int) -> Trace:
    if not (2 <= town.nodes <= MAX_NODES and 0 < town.days <= MAX_DAYS):
        raise PortError(
            f"a city has 2 to {MAX_NODES:,} nodes and lasts up to {MAX_DAYS:g} days; ask for less"
        )
    if not 0 < town.nodes * town.days * town.contacts / 2 <= MAX_CONTACTS:
        raise PortError(
            f"a simulation has 1 to {MAX_CONTACTS:,} contacts; change --nodes, --days or --contacts"
        )
    trace = draw_city(City(town.nodes, town.days, town.contacts), Random(f"{seed}/city"))
    if not trace.contacts:
        raise PortError("in so small a city nobody met; ask for more nodes, days or contacts")
    return trace


def _read(file: File) -> Trace:
    name = str(file) if isinstance(file, Path) else "the trace"
    try:
        if not isinstance(file, Path):
            return read_trace(_lines(file))
        with file.open("rb") as stream:
            return read_trace(_lines(stream))
    except InvalidError as exc:
        raise PortError(f"{name}: {exc}") from exc
    except OSError as exc:
        raise PortError(f"{name} cannot be read: {exc.strerror}; check the path") from exc


def _lines(stream: BinaryIO) -> Iterator[str]:
    number = 0
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise InvalidError(f"line {number}: longer than {MAX_LINE} bytes; this is no trace")
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise InvalidError(f"line {number}: not UTF-8; this is no trace") from exc
