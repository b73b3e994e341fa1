"""The oracle: what a search through all contacts, again and again, finds as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gossip.sim.oracle import Oracle
from tests.gossip.sim.places import place, traces

if TYPE_CHECKING:
    from gossip.sim.trace import Trace


def by_force(
    trace: Trace, setup: float, source: int, born: float, among: set[int]
) -> dict[int, float]:
    """Let every contact carry whatever it can until nothing gets anywhere earlier."""
    times = {source: born}
    while True:
        before = dict(times)
        for start, end, left, right in trace.contacts:
            for one, other in ((left, right), (right, left)):
                if end - start > setup and times.get(one, end + 1) <= end and other in among:
                    then = max(times[one], start + setup)
                    times[other] = min(times.get(other, then), then)
        if times == before:
            return times


@given(traces(), st.integers(0, 8), st.integers(0, 180), st.data())
def test_the_oracle_knows_the_earliest_moment(
    trace: Trace, setup: int, born: int, data: st.DataObject
) -> None:
    nodes = range(len(trace.names))
    source = data.draw(st.sampled_from(nodes))
    among = data.draw(st.none() | st.sets(st.sampled_from(nodes)))
    found = Oracle(trace, setup).earliest(source, born, among)
    willing = set(nodes) if among is None else among
    assert found == by_force(trace, setup, source, born, willing)


def test_a_contact_carries_from_set_up_on_to_its_last_moment() -> None:
    oracle = Oracle(place(3, (0, 20, 0, 1), (20, 30, 1, 2)), 5)
    assert oracle.earliest(0, 0.0) == {0: 0.0, 1: 5.0, 2: 25.0}
    assert oracle.earliest(0, 20.0) == {0: 20.0, 1: 20.0, 2: 25.0}
    assert oracle.earliest(0, 20.5) == {0: 20.5}


def test_a_contact_as_short_as_its_set_up_carries_nothing() -> None:
    assert Oracle(place(2, (0, 5, 0, 1)), 5).earliest(0, 0.0) == {0: 0.0}
