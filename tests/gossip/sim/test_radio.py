"""Radios: never more in a second than the rate, whatever hangs on them, and nobody is left out.

Rates are powers of two and sizes whole bytes, so every moment is exact and so are all sums.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.sim.agenda import Agenda
from gossip.sim.air import FRAME_BYTES, Air
from gossip.sim.churn import draw_naps
from gossip.sim.liar import Liar, Lie
from gossip.sim.radio import Lane, Radio
from gossip.sim.workload import Letter, Post
from gossip.sim.world import Plan, World
from tests.gossip.sim.places import arrivals, place, posts_in, traces
from tests.gossip.worlds import part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.trace import Trace

RATE = 1024.0
LONG = 4_000.0


class Busy(NamedTuple):
    since: float
    until: float


class Logged(Radio):
    """A radio that notes when it was busy."""

    def __init__(self, agenda: Agenda) -> None:
        super().__init__()
        self.times: list[Busy] = []
        self._agenda = agenda
        self._since = 0.0

    @override
    def take(self) -> None:
        assert not self.is_busy
        self._since = self._agenda.now
        super().take()

    @override
    def free(self) -> None:
        assert self.is_busy
        self.times.append(Busy(self._since, self._agenda.now))
        super().free()

    def most_in_a_second(self) -> Fraction:
        """Return how many bytes go through in the second in which most do."""
        moments = {moment for busy in self.times for moment in (busy.since, busy.until - 1)}
        return max((self._within(Fraction(at)) for at in moments), default=Fraction(0))

    def _within(self, at: Fraction) -> Fraction:
        overlaps = (min(Fraction(b.until), at + 1) - max(Fraction(b.since), at) for b in self.times)
        return Fraction(RATE) * sum((one for one in overlaps if one > 0), Fraction(0))

    def bytes(self) -> Fraction:
        """Return how many bytes went through."""
        return Fraction(RATE) * sum((Fraction(b.until) - Fraction(b.since) for b in self.times), 0)


def logged(
    trace: Trace, posts: Sequence[Post], plan: Plan, letters: Sequence[Letter] = ()
) -> tuple[World, list[Logged]]:
    """Let everything happen, and return what each node's radio did."""
    world = World(trace, posts, plan, letters)
    radios = [Logged(world._agenda) for _ in world.nodes]
    for node, radio in zip(world.nodes, radios, strict=True):
        node.radio = radio
    world.run()
    return world, radios


def star(leaves: int) -> Trace:
    """Node 0 is near all others, who are near nobody else."""
    return place(leaves + 1, *((0.0, LONG, 0, leaf) for leaf in range(1, leaves + 1)))


@part(4)
@given(traces(6, 24), st.sampled_from([0.0, 0.25]), st.integers(0, 1 << 32), st.data())
def test_a_node_moves_no_byte_more_in_any_second_than_the_rate(
    trace: Trace, latency: float, seed: int, data: st.DataObject
) -> None:
    posts, nodes = data.draw(posts_in(trace)), len(trace.names)
    naps = draw_naps(nodes, trace.span, Random(seed)) if data.draw(st.booleans()) else {}
    air = Air(rate=RATE, latency=latency, radio=True)
    plan = Plan(air=air, asleep=naps, liars={0: Liar(Lie.INVENTS, Random(seed))})
    _, radios = logged(trace, posts, plan, [Letter(0.0, 0, 1)])
    assert all(radio.most_in_a_second() <= RATE for radio in radios)
    assert all(one.until <= two.since for r in radios for one, two in zip(r.times, r.times[1:]))  # noqa: B905


def test_each_frame_keeps_both_radios_busy_as_long_as_it_takes() -> None:
    air = Air(rate=RATE, radio=True)
    world, radios = logged(star(5), [Post(float(at), at % 6) for at in range(40)], Plan(air=air))
    on_air = world.first.air + world.later.air
    assert sum(radio.bytes() for radio in radios) == 2 * on_air
    assert radios[0].bytes() == on_air
    assert len(radios[0].times) == world.first.frames + world.later.frames


@pytest.mark.parametrize("leaves", [1, 8])
def test_a_node_beside_many_moves_as_much_as_a_node_beside_one(leaves: int) -> None:
    """Eight times as much there is to move; with a radio for each link it takes no longer."""
    posts = [Post(0.0, 0)] * 30
    found = {}
    for shared in (False, True):
        plan = Plan(air=Air(rate=RATE, radio=shared))
        world, _ = logged(star(leaves), posts, plan)
        found[shared] = max(arrivals(world).values()) - 5
        assert len(arrivals(world)) == 30 * leaves
    assert found[True] >= leaves * 30 * 300 / RATE
    assert found[False] < 2 * 30 * 450 / RATE


def test_whoever_waits_longest_sends_first() -> None:
    agenda, radio, came = Agenda(), Radio(), list[str]()
    lanes = [
        Lane(
            agenda,
            Air(rate=RATE),
            (radio,),
            arrived=lambda frames: came.extend(raw.decode()[:2] for raw in frames),
            count=lambda _: None,
        )
        for _ in range(3)
    ]
    for lane in (0, 1, 0, 2, 0, 1):
        lanes[lane].send(f"{lane} ".ljust(1024 - FRAME_BYTES).encode())
    while agenda.step(100.0):
        pass
    assert [int(one) for one in came] == [0, 1, 2, 0, 1, 0]
    assert agenda.now == 6.0


def test_pairs_beside_each_other_do_not_wait_for_one_another() -> None:
    posts = [Post(0.0, 0), Post(0.0, 2)]
    both = place(4, (0.0, LONG, 0, 1), (0.0, LONG, 2, 3))
    alone = place(4, (0.0, LONG, 0, 1), (LONG - 1, LONG, 2, 3))
    plan = Plan(air=Air(rate=RATE, radio=True))
    assert (
        arrivals(logged(both, posts, plan)[0])[0, 1]
        == (arrivals(logged(alone, posts, plan)[0])[0, 1])
    )


def test_a_frame_that_is_lost_frees_both_radios_at_once() -> None:
    """The contact of 0 and 1 ends in the middle of a frame; 0 is then heard by 2 at once."""
    trace = place(3, (0.0, 5.04, 0, 1), (0.0, 60.0, 0, 2))
    world, radios = logged(trace, [Post(0.0, 0)], Plan(air=Air(rate=RATE, radio=True)))
    assert radios[1].times[-1].until == 5.04
    assert any(busy.since == 5.04 for busy in radios[0].times)
    assert (0, 2) in arrivals(world)
    assert not any(radio.is_busy for radio in radios)


def test_without_a_rate_nothing_waits_for_a_radio() -> None:
    _, radios = logged(star(3), [Post(0.0, 0)], Plan(air=Air(radio=True)))
    assert [radio.times for radio in radios] == [[]] * 4
