"""The invariants of a meeting inside worlds: churn, crashes, liars, wrong clocks, slow links, cut
contacts, letters and little room at once. ``watching`` looks after every batch and every link."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.mail_room import MailLimits
from gossip.policy import Quota
from gossip.sim.air import Air
from gossip.sim.churn import draw_naps
from gossip.sim.liar import Liar, Lie
from gossip.sim.node import POSTS, finished
from gossip.sim.trace import Trace
from gossip.sim.workload import draw_letters, draw_posts
from gossip.sim.world import Plan
from ledger.store.memory_ground import Contents
from tests.gossip.sim.places import give, place, ran, shape, traces
from tests.gossip.sim.watching import Watched, face
from tests.gossip.test_invariants_equal import derived
from tests.gossip.worlds import part
from tests.strategies import Device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.node import Node
    from gossip.sim.workload import Post

QUIET = 60.0
EACH = 200.0


def then_calm(trace: Trace, rounds: int = 2) -> Trace:
    """Let each pair be near alone for a while, after all the rest, as often as it takes."""
    at, rows = trace.span + QUIET, [(*contact,) for contact in trace.contacts]
    nodes = len(trace.names)
    for left, right in [*combinations(range(nodes), 2)] * rounds:
        rows.append((at, at + EACH, left, right))
        at += EACH + QUIET
    return place(nodes, *rows)


def eventful(trace: Trace, seed: int) -> Plan:
    """Draw what a world is like."""
    dice, nodes = Random(seed), len(trace.names)
    naps = draw_naps(nodes, trace.span, Random(seed)) if dice.random() < 0.5 else {}
    short = {
        node: [(at, min(to, trace.span + QUIET / 2)) for at, to in times]
        for node, times in naps.items()
    }
    for node in range(nodes):
        at = dice.uniform(1.0, max(trace.span, 2.0))
        if not short.setdefault(node, []):
            short[node] = [(at, at + dice.uniform(1.0, 20.0))]
    starts = [(node, at) for node, times in short.items() for at, _ in times]
    lies = {nodes - 1: Liar(dice.choice(list(Lie)), dice)} if dice.random() < 0.5 else {}
    return Plan(
        seed=seed,
        air=Air(
            rate=dice.choice([None, 2_500.0, 50_000.0]),
            latency=dice.choice([0.0, 0.2]),
            radio=dice.random() < 0.3,
        ),
        live=dice.random() < 0.5,
        again=20.0,
        strangers=dice.random() < 0.3,
        errors_ms={node: dice.randint(-(10**12), 10**12) for node in range(nodes)},
        asleep=short,
        crashes=frozenset(one for one in starts if dice.random() < 0.5),
        liars=lies,
        mail=MailLimits(envelopes=dice.choice([1, 3, 4_096]), memory=50),
    )


def written(trace: Trace, plan: Plan, seed: int) -> list[Post]:
    """Draw posts, none of them while their author is switched off."""
    honest = [node for node in range(len(trace.names)) if node not in plan.liars]
    return [
        post
        for post in draw_posts(trace.span * 1.4, honest, 12, Random(seed))
        if not any(at - 1 <= post.born <= to for at, to in plan.asleep.get(post.author, ()))
    ]


def equal_in_the_end(world: Watched) -> None:
    """All honest nodes hold the same of what honest ones wrote, and have the same verdicts."""
    authors = {node.peer.device for node in world.honest}
    found = [
        {key: log.pieces for key, log in n.shelf.catalogue.logs.items() if key[0] in authors}
        for n in world.honest
    ]
    assert all(one == found[0] for one in found)


@part(16)
@given(traces(5, 20), st.integers(0, 1 << 32))
def test_in_any_world_every_invariant_holds_at_every_moment(trace: Trace, seed: int) -> None:
    plan = eventful(trace, seed)
    posts = written(trace, plan, seed)
    letters = draw_letters(trace.span, range(len(trace.names)), 6, Random(seed))
    world = Watched(then_calm(trace), posts, plan, letters)
    world.run()
    world.look_back()
    equal_in_the_end(world)
    for check, count in sorted(world.checks.items()):
        event(check, "often" if count > 20 else "some")
    event("live", plan.live)


@part(16)
@given(traces(4, 12), st.integers(0, 1 << 32))
def test_in_a_world_with_little_room_nobody_holds_too_much_or_believes_too_much(
    trace: Trace, seed: int
) -> None:
    plan = replace(eventful(trace, seed), liars={})
    world = Watched(then_calm(trace, 1), written(trace, plan, seed), plan)
    for node in world.nodes:
        shape(node, quota=Quota(cap=30_000))
        for number in range(100, 112):
            author = Device(number + 20 * node.number, number + 20 * node.number)
            author.write_many(8)
            give(node, author)
    world.run()
    world.look_back()
    for node in world.nodes:
        assert node.shelf.catalogue.bytes <= node.policy.quota.high_mark
    assert world.checks["P2"] > 0


@part(16)
@given(traces(4, 16), traces(4, 16), st.integers(0, 1 << 32))
def test_whoever_met_whom_when_all_read_the_same_in_the_end(
    one: Trace, other: Trace, seed: int
) -> None:
    """Of the same posts, written at the same times, in two histories (P6)."""
    nodes = max(len(one.names), len(other.names))
    both = [Trace(tuple(map(str, range(nodes))), trace.contacts) for trace in (one, other)]
    posts = draw_posts(min(one.span, other.span), range(nodes), 8, Random(seed))
    read = []
    for trace in both:
        world = ran(then_calm(trace), posts, Plan(seed=seed, again=20.0))
        read += [derived(face(node), from_forks_on=True) for node in world.nodes]
    assert all(one == read[0] for one in read)


@part(16)
@given(traces(5, 16), st.integers(0, 1 << 32), st.integers(1, 5), st.data())
def test_where_both_branches_are_all_come_to_the_same_verdict(
    trace: Trace, seed: int, trunk: int, data: st.DataObject
) -> None:
    """Two nodes each hold one branch of somebody's log; the rest of the world goes its way (P7)."""
    plan = replace(eventful(trace, seed), liars={})
    world = Watched(then_calm(trace), written(trace, plan, seed), plan)
    device = Device(200, 200)
    device.write_many(trunk)
    twin = device.twin()
    device.write_many(data.draw(st.integers(1, 3)), "this")
    twin.write_many(data.draw(st.integers(1, 3)), "that")
    give(world.nodes[0], device)
    give(world.nodes[1], twin)
    world.run()
    world.look_back()
    logs = [node.shelf.catalogue.logs[device.public, POSTS] for node in world.nodes]
    assert {log.fork for log in logs} == {trunk + 1}
    assert len({log.pieces for log in logs}) == 1
    proofs = [finished(node._store.proofs()) for node in world.nodes]
    assert all(one == proofs[0] for one in proofs)


class Replayer:
    """Sends frames twice, and at times one of those it sent before, in whatever meeting."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._old: list[bytes] = []

    def __call__(self, frame: bytes) -> list[bytes]:
        self._old.append(frame)
        match self._dice.randrange(12):
            case 0:
                return [frame, frame]
            case 1:
                return [frame, self._dice.choice(self._old)]
            case _:
                return [frame]


@part(16)
@given(traces(4, 16), st.integers(0, 1 << 32))
def test_what_comes_twice_or_from_the_past_changes_nothing(trace: Trace, seed: int) -> None:
    """The honest hold what they hold without the replayer's tricks (P5)."""
    nodes = len(trace.names)
    posts = draw_posts(trace.span, range(nodes), 8, Random(seed))
    plan, calm = Plan(seed=seed, again=5.0), then_calm(trace)
    trick = replace(plan, liars={nodes - 1: Replayer(Random(seed))})
    tricked, plain = (Watched(calm, posts, one) for one in (trick, plan))
    for world in (tricked, plain):
        world.run()
        world.look_back()
    authors = [node.peer.device for node in tricked.honest]
    for node in tricked.honest:
        mine, there = (w.nodes[node.number].shelf.catalogue.logs for w in (tricked, plain))
        assert {k: log.pieces for k, log in mine.items() if k[0] in authors} == {
            k: log.pieces for k, log in there.items() if k[0] in authors
        }


@part(16)
@given(st.floats(5.0, 40.0), st.integers(0, 20), st.booleans())
def test_a_contact_that_is_cut_anywhere_costs_what_was_under_way(
    cut: float,
    count: int,
    strangers: bool,  # noqa: FBT001
) -> None:
    """After another, whole contact all is as without a cut, and nothing came twice (P4)."""
    held = []
    for trace in (
        place(2, (0, cut, 0, 1), (100, 400, 0, 1)),
        place(2, (0, 1, 0, 1), (100, 400, 0, 1)),
    ):
        plan = Plan(air=Air(rate=1_000.0), strangers=strangers)
        posts = draw_posts(0.0, [0, 1], count, Random(count))
        world = Watched(trace, posts, plan)
        world.run()
        world.look_back()
        tallies = (world.first, world.later)
        assert sum(t.blocks for t in tallies) == sum(t.new for t in tallies)
        held.append([node.held() for node in world.nodes])
    assert held[0] == held[1]
    assert held[0][0] == held[0][1]


@pytest.mark.parametrize("logs", [0, 40, 400])
@pytest.mark.parametrize("mail", [False, True])
def test_an_unchanged_meeting_costs_the_same_however_much_is_held(logs: int, *, mail: bool) -> None:
    """At most 150 bytes of the engine's, both ways together (P9)."""
    trace = place(3, *((at, at + 50.0, 0, 1) for at in range(0, 500, 100)), (600, 601, 1, 2))
    letters = draw_letters(1.0, [0, 1, 2], 3, Random(1)) if mail else []
    marks = []

    class Metered(Watched):
        @override
        def _over(self, contact: object, link: object) -> None:
            marks.append(self.later.air - 4 * self.later.frames)
            super()._over(contact, link)  # type: ignore[arg-type]

    world = Metered(trace, [], Plan(live=False, again=900.0), letters)
    for node in world.nodes[:2]:
        give(node, *(Device(300 + one) for one in range(logs)))
    world.run()
    costs = [b - a for a, b in zip(marks[-3:], marks[-2:], strict=False)]
    assert len(costs) == 2
    assert max(costs) <= 150


NEWS = Device(400, 400)


class Wiped(Watched):
    """A world in which whoever wakes up has lost all, or is set back, and hears some news."""

    earlier: dict[int, Contents]

    @override
    def _wake(self, node: Node) -> None:
        node._contents = self.earlier.get(node.number, Contents())
        super()._wake(node)
        give(node, NEWS)
        for pair in [pair for pair in self._whole if node.number in pair]:
            self._whole[pair] = 0


@pytest.mark.parametrize("is_wiped", [True, False])
@part(16)
@given(trace=traces(4, 16), seed=st.integers(0, 1 << 32))
def test_who_was_wiped_or_set_back_gets_everything_again(
    trace: Trace, seed: int, *, is_wiped: bool
) -> None:
    """His own posts, too, from those who had them, and they his news (P11)."""
    nodes = len(trace.names)
    calm = then_calm(trace)
    last = then_calm(calm)
    posts: Sequence[Post] = draw_posts(trace.span, range(nodes), 8, Random(seed))
    at = calm.span + QUIET / 4
    world = Wiped(last, posts, Plan(seed=seed, again=20.0, asleep={0: [(at, at + 1.0)]}))
    world.earlier = {} if is_wiped else {0: world.nodes[0]._contents.copy()}
    world.run()
    world.look_back()
    assert all(node.held() == world.nodes[0].held() for node in world.nodes)
    assert sum(world.nodes[0].held().values()) == len(posts) + nodes + 1


def test_the_news_of_somebody_who_was_wiped_are_not_taken_for_what_he_had_before() -> None:
    """They have numbers that his old store had given to other things, which are processed."""
    trace = place(2, (0.0, 50.0, 0, 1), (100.0, 200.0, 0, 1))
    posts = draw_posts(60.0, [0, 1], 8, Random(1))
    world = Wiped(trace, posts, Plan(again=20.0, asleep={0: [(60.0, 61.0)]}))
    world.earlier = {}
    world.run()
    assert world.nodes[1].held() == world.nodes[0].held()
    assert (NEWS.public, 0) in world.nodes[1].held()
