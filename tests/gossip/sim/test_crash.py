"""Crashes: what was not durable is gone, what was announced is not, and all goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from gossip.effects import End
from gossip.notes import seen_note
from gossip.policy import Limits
from gossip.sim.air import Air
from gossip.sim.commons import Commons
from gossip.sim.node import POSTS, Identity, Node, finished
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.workload import Letter, Post
from gossip.sim.world import Plan, World
from tests.gossip.sim.places import arrivals, place, posts_in, ran, traces
from tests.gossip.worlds import part

if TYPE_CHECKING:
    from gossip.sim.trace import Trace

SETTLE = Limits().settle
PAIR = place(2, (0, 100, 0, 1), (200, 300, 0, 1))
WRITTEN = 50.0


def stopped(at: float, *, crash: bool) -> Plan:
    """Return a plan in which node 1 stops at a moment, for twenty seconds."""
    return Plan(asleep={1: [(at, at + 20)]}, crashes=frozenset({(1, at)}) if crash else frozenset())


class Halted(World):
    """A world that ends at a moment."""

    def __init__(self, trace: Trace, posts: list[Post], plan: Plan, until: float) -> None:
        super().__init__(trace, posts, plan)
        self._until = until
        self._halt(until)

    def _halt(self, until: float) -> None:
        short = [c._replace(end=min(c.end, until)) for c in self._trace.contacts if c.start < until]
        self._trace = type(self._trace)(self._trace.names, tuple(short))
        self.run()


def held_by_1(world: World) -> int:
    return world.nodes[1].held().get((world.nodes[0].peer.device, POSTS), 0)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("after", [SETTLE / 2, SETTLE * 2])
def test_a_crash_takes_what_was_not_durable_and_nothing_else(after: float, *, crash: bool) -> None:
    """Within a second what came is durable; who is switched off before saves it, too."""
    trace = place(2, (0, 100, 0, 1))
    plan = stopped(WRITTEN + after, crash=crash)
    world = Halted(trace, [Post(WRITTEN, 0)], plan, WRITTEN + after + 21)
    is_lost = crash and after < SETTLE
    assert held_by_1(world) == (0 if is_lost else 1)
    assert arrivals(world) == {(0, 1): WRITTEN}


def test_what_a_crash_took_of_the_notes_is_as_it_was_before() -> None:
    name, notes = None, {}
    for crash in (False, True):
        world = Halted(PAIR, [Post(WRITTEN, 0)], stopped(WRITTEN, crash=crash), WRITTEN + 21)
        name = seen_note(world.nodes[0].peer.device)
        notes[crash] = world.nodes[1].note(name)
    assert notes[False] != notes[True]
    before = Halted(PAIR, [], Plan(), WRITTEN)
    assert notes[True] == before.nodes[1].note(name or "") is not None


def test_after_a_crash_a_node_gets_again_what_it_lost_and_reads_it_once() -> None:
    world = ran(PAIR, [Post(WRITTEN, 0)], stopped(WRITTEN, crash=True))
    assert held_by_1(world) == 1
    assert arrivals(world) == {(0, 1): WRITTEN}
    tallies = (world.first, world.later)
    assert sum(tally.new for tally in tallies) == 2 + 1 + 1
    assert set(world.endings) == {End.LOST}


def test_a_crashed_node_says_nothing_more() -> None:
    """Its own session ends with nothing; the other one's link is lost."""
    world = Halted(PAIR, [], stopped(WRITTEN, crash=True), WRITTEN + 1)
    assert world.endings == {End.LOST: 1}
    assert not world.nodes[1].ends


def test_after_a_crash_the_own_log_goes_on_where_the_store_ends() -> None:
    trace = place(2, (0, 100, 0, 1), (200, 300, 0, 1))
    posts = [Post(float(at), 1) for at in (10, 49, 150, 250)]
    world = ran(trace, posts, stopped(WRITTEN, crash=True))
    key = (world.nodes[1].peer.device, POSTS)
    for node in world.nodes:
        assert node.shelf.catalogue.logs[key].head == 4
        assert node.shelf.catalogue.logs[key].fork is None
    assert len(world.nodes[1].shelf.catalogue.runs) == 2


def test_a_letter_that_was_sent_or_read_survives_a_crash() -> None:
    trace = place(3, (0, 20, 0, 1), (100, 120, 1, 2), (200, 220, 0, 1), (300, 320, 0, 2))
    naps = {0: [(2.0, 4.0)], 2: [(120.0, 130.0)]}
    plan = Plan(asleep=naps, crashes=frozenset({(0, 2.0), (2, 120.0)}))
    world = World(trace, [], plan, [Letter(1.0, 0, 2), Letter(1.0, 2, 1)])
    world.run()
    assert world.received == {0: 105.0, 1: 105.0}
    box = world.nodes[2].mailbox
    assert box is not None
    assert box.mail.tokens
    assert box.mail.letters


def test_only_who_may_crash_keeps_anything_aside() -> None:
    node = Node(0, 0, Identity.of(0, 0), Commons())
    with pytest.raises(RuntimeError):
        node.crash()


@part(4)
@given(traces(), st.data())
def test_nothing_announced_is_lost_and_in_the_end_all_have_all(
    trace: Trace, data: st.DataObject
) -> None:
    """Crashes at any moment, slow links or not; then everybody is near everybody for a while."""
    nodes, span = len(trace.names), trace.span
    pairs = [(a, b) for a in range(nodes) for b in range(a)]
    rows = [(*contact,) for contact in trace.contacts]
    rows += [(span + 300, span + 900, a, b) for a, b in pairs]
    ends = st.lists(st.integers(1, int(span) + 200), unique=True, max_size=8).map(sorted)
    naps = {
        node: [(a + 0.5, b + 0.5) for a, b in zip(times[::2], times[1::2], strict=False)]
        for node in range(nodes)
        if (times := data.draw(ends))
    }
    starts = [(node, start) for node, times in naps.items() for start, _ in times]
    crashes = frozenset(one for one in starts if data.draw(st.integers(0, 3)))
    posts = [
        post
        for post in data.draw(posts_in(trace, 12))
        if not any(a <= post.born <= b for a, b in naps.get(post.author, ()))
    ]
    air = Air(rate=data.draw(st.sampled_from([None, 3_000.0])))
    world = ran(place(nodes, *rows), posts, Plan(asleep=naps, crashes=crashes, air=air))
    event("crashes", len(crashes))
    written = {n: sum(post.author == n for post in posts) for n in range(nodes)}
    for node in world.nodes:
        for author, count in written.items():
            log = node.shelf.catalogue.logs.get((world.nodes[author].peer.device, POSTS))
            assert (0 if log is None else log.head) == count
            assert log is None or log.fork is None
        assert finished(node._store.check()) == []


def test_crashes_are_drawn_instead_of_naps_or_among_them() -> None:
    hours = range(0, 2 * 24 * 3_600, 3_600)
    trace = place(4, *((at, at + 900, a, a + 1) for at in hours for a in range(3)))
    reports = [
        simulate(trace, Scenario(posts=40, mail=10, churn=churn, crashes=crashes))
        for churn, crashes in ((True, False), (True, True), (False, True), (False, False))
    ]
    sleeping, some, all_, never = reports
    assert sleeping.posts.oracle == some.posts.oracle == all_.posts.oracle != never.posts.oracle
    ends = [report.endings["LOST"] for report in reports[:3]]
    assert ends[0] > ends[1] > ends[2]
    for report in reports:
        assert report.posts.delivery["end"] == report.posts.oracle["end"]
