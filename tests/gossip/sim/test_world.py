"""A world: the engine does all that can be done, whatever clocks and switches do to it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.effects import End, Spans
from gossip.sim.churn import awake
from gossip.sim.commons import Commons
from gossip.sim.interest import audience
from gossip.sim.liar import Liar, Lie
from gossip.sim.node import POSTS, finished
from gossip.sim.oracle import Oracle
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.workload import Post
from gossip.sim.world import Plan
from ledger.store.base import Span
from tests.gossip.sim.places import SETUP, arrivals, place, posts_in, ran, traces
from tests.gossip.worlds import part
from tests.strategies import device_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.trace import Trace
    from ledger.block import Block

YEARS_MS = 20 * 365 * 86_400_000


def best(
    trace: Trace, posts: Sequence[Post], follows: Sequence[Sequence[int]] | None = None
) -> dict[tuple[int, int], float]:
    readers = audience(follows, frozenset(range(len(trace.names))))
    oracle = Oracle(trace, SETUP)
    return {
        (number, node): at
        for number, post in enumerate(posts)
        for node, at in oracle.earliest(post.author, post.born, readers(post.author)).items()
        if node != post.author
    }


@pytest.mark.parametrize("strangers", [False, True])
@part(2)
@given(trace=traces(), data=st.data())
def test_with_links_without_bounds_every_post_is_there_as_early_as_can_be(
    trace: Trace, data: st.DataObject, *, strangers: bool
) -> None:
    posts = data.draw(posts_in(trace))
    world = ran(trace, posts, Plan(strangers=strangers))
    assert arrivals(world) == best(trace, posts)
    assert world.first.blocks + world.later.blocks == world.first.new + world.later.new
    assert set(world.endings) <= {End.LOST}


@part(2)
@given(traces(), st.data())
def test_whoever_wants_a_post_gets_it_from_those_who_want_it_too(
    trace: Trace, data: st.DataObject
) -> None:
    posts = data.draw(posts_in(trace))
    nodes = range(len(trace.names))
    wishes = st.sets(st.sampled_from(nodes)).map(tuple)
    follows = [tuple(one for one in data.draw(wishes) if one != node) for node in nodes]
    world = ran(trace, posts, Plan(follows=follows))
    assert arrivals(world) == best(trace, posts, follows)


@part(2)
@given(traces(), st.data())
def test_a_node_that_was_switched_off_goes_on_with_what_it_stored(
    trace: Trace, data: st.DataObject
) -> None:
    ends = st.lists(st.integers(1, 200), unique=True, max_size=6).map(sorted)
    naps = {
        node: [(a + 0.5, b + 0.5) for a, b in zip(times[::2], times[1::2], strict=False)]
        for node in range(len(trace.names))
        if (times := data.draw(ends))
    }
    posts = [
        post
        for post in data.draw(posts_in(trace))
        if not any(a <= post.born <= b for a, b in naps.get(post.author, ()))
    ]
    world = ran(trace, posts, Plan(asleep=naps))
    assert arrivals(world) == best(awake(trace, naps), posts)


def test_a_node_that_was_switched_off_begins_a_new_run() -> None:
    trace = place(2, (0, 10, 0, 1), (50, 60, 0, 1))
    posts = [Post(0.0, 0), Post(40.0, 0)]
    world = ran(trace, posts, Plan(asleep={1: [(20.0, 30.0)]}))
    kept, slept = (node.shelf.catalogue.runs for node in world.nodes)
    assert (len(kept), len(slept)) == (1, 2)
    assert slept[0].run != slept[1].run


@part(2)
@given(traces(), st.integers(0, 1 << 32), st.data())
def test_wrong_clocks_change_nothing(trace: Trace, seed: int, data: st.DataObject) -> None:
    posts, dice = data.draw(posts_in(trace)), Random(seed)
    wrong = {node: dice.randint(-YEARS_MS, YEARS_MS) for node in range(len(trace.names))}
    worlds = [ran(trace, posts, Plan(errors_ms=errors)) for errors in ({}, wrong)]
    one, other = [(w.first, w.later, w.endings, arrivals(w)) for w in worlds]
    assert one == other
    for node, error in wrong.items():
        shown = [finished(w.nodes[node]._store.arrivals())[-1].seen for w in worlds]
        assert shown[1] - shown[0] == error


def test_the_same_seed_has_the_same_report() -> None:
    trace = place(4, (0, 50, 0, 1), (20, 90, 1, 2), (40, 120, 2, 3), (100, 130, 0, 3))
    asked = Scenario(
        seed=3, posts=9, rate=900, latency=0.3, churn=True, clocks=True, liars=1, follows=2
    )
    assert simulate(trace, asked) == simulate(trace, asked)


def test_what_comes_to_nobody_is_counted_as_that() -> None:
    report = simulate(place(3, (0, 50, 0, 1), (60, 61, 1, 2)), Scenario(posts=6, rate=1))
    assert report.posts.delivery["end"] == 0
    assert 0 < report.posts.oracle["end"] < 1
    assert report.posts.ratios["end"] == 0
    assert report.traffic.bytes_per_useful_byte is None


@pytest.mark.parametrize("lie", Lie)
def test_the_honest_converge_around_a_liar(lie: Lie) -> None:
    """Everybody is near everybody, the liar too, for long enough to try again."""
    pairs = [(0.0, 600.0, a, b) for a in range(4) for b in range(a + 1, 4)]
    trace = place(4, *pairs)
    posts = [Post(float(at), at % 3) for at in range(0, 300, 10)]
    world = ran(trace, posts, Plan(liars={3: Liar(lie, Random(7))}, again=5.0))
    found = arrivals(world)
    honest = {pair: at for pair, at in best(trace, posts).items() if pair[1] != 3}
    assert {pair: found[pair] for pair in honest} == honest
    assert world.endings[End.HOSTILE] > 0


def test_a_forged_block_is_taken_by_nobody() -> None:
    trace = place(2, (0, 300, 0, 1))
    world = ran(trace, [Post(1.0, 1)], Plan(liars={1: Liar(Lie.FORGES, Random(1))}))
    assert arrivals(world) == {}
    assert world.nodes[0].held() == {(world.nodes[0].peer.device, 0): 1}


def test_nodes_hold_the_very_same_blocks_and_check_each_signature_once() -> None:
    world = ran(place(3, (0, 50, 0, 1), (20, 90, 1, 2)), [Post(1.0, 0)])
    key = (world.nodes[0].peer.device, POSTS)
    logs = [node.shelf.catalogue.logs[key] for node in world.nodes]
    rows = [node.answer(Spans((Span(key, 1, 1),))) for node in world.nodes]
    blocks = [row for answer in cast("list[list[list[Block]]]", rows) for row in answer]
    assert logs[0] is logs[1] is logs[2]
    assert len({id(block) for row in blocks for block in row}) == 1
    assert world.commons.verified == 4


def test_two_who_wake_at_one_moment_open_one_link() -> None:
    trace = place(3, (0, 8, 0, 2), (0, 9, 0, 1))
    naps = {node: [(1.5, 2.5)] for node in (0, 2)}
    world = ran(trace, [Post(9.0, 0)], Plan(asleep=naps))
    assert arrivals(world) == {(0, 1): 9.0}
    assert world.first.links + world.later.links == 2


def test_a_signature_under_another_message_is_checked_anew() -> None:
    commons, keys = Commons(), device_keys(1).signing
    signature = keys.sign(b"said")
    assert commons.verify(keys.public, b"said", signature)
    assert not commons.verify(keys.public, b"never said", signature)
    assert commons.verified == 2


def test_a_scenario_s_set_up_is_the_links_own() -> None:
    trace = place(2, *((at, at + 6, 0, 1) for at in range(0, 900, 30)))
    reached = [simulate(trace, Scenario(posts=6, setup=setup)).posts for setup in (2.0, 7.0)]
    assert [spread.delivery["end"] for spread in reached] == [1.0, 0.0]
    assert [spread.oracle["end"] for spread in reached] == [1.0, 0.0]


def test_with_liars_nobody_is_reached_sooner_than_can_be() -> None:
    pairs = [(a, b) for a in range(5) for b in range(a)]
    trace = place(5, *((at, at + 40, a, b) for at in (0, 100, 300) for a, b in pairs))
    spread = simulate(trace, Scenario(posts=9, liars=2)).posts
    assert spread.delivery == spread.oracle


def test_who_is_switched_off_is_not_reached_by_the_oracle_either() -> None:
    hours = range(0, 5 * 24 * 3_600, 3_600)
    trace = place(3, *((at, at + 900, a, a + 1) for at in hours for a in range(2)))
    spread = simulate(trace, Scenario(posts=40, churn=True)).posts
    always = simulate(trace, Scenario(posts=40)).posts
    assert spread.delivery == spread.oracle != always.oracle
