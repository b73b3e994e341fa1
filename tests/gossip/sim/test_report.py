"""Reports: shares by age, who is meant, and what is compared with what."""

from __future__ import annotations

from random import Random

import pytest

from gossip.sim import scenario as scenarios
from gossip.sim.air import Tally
from gossip.sim.churn import awake, draw_naps, next_awake
from gossip.sim.interest import audience, nearest
from gossip.sim.report import AGES, Delays, Spread, Traffic
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.trace import Contact
from gossip.sim.workload import WRITING, draw_letters, draw_posts
from tests.gossip.sim.places import place

HOUR = 3600.0
CIRCLE = place(4, (0, 50, 0, 1), (0, 60, 1, 2), (0, 70, 2, 3), (0, 80, 0, 3), (90, 95, 0, 1))


def test_what_took_exactly_an_hour_took_an_hour() -> None:
    engine = Delays.of(4, [HOUR + 0.001, HOUR, 49 * HOUR])
    best, honest = Delays.of(4, [1.0, 2.0, 3 * HOUR, 4 * HOUR]), Delays.of(4, [HOUR])
    spread = Spread.of(9, 2, engine, best, honest)
    assert list(spread.delivery) == [*AGES, "end"]
    assert spread.delivery == {
        "1h": 0.25, "3h": 0.5, "6h": 0.5, "12h": 0.5, "24h": 0.5, "48h": 0.5, "end": 0.75
    }  # fmt: skip
    assert spread.oracle["1h"] == 0.5
    assert spread.oracle["3h"] == 0.75
    assert spread.ratios["3h"] == pytest.approx(2 / 3)
    assert (spread.oracle_honest["3h"], spread.ratios_honest["3h"]) == (0.25, 2.0)
    assert (spread.messages, spread.measured, spread.pairs) == (9, 2, 4)


def test_of_nothing_there_is_no_share() -> None:
    spread = Spread.of(0, 0, *[Delays.of(0, [])] * 3)
    assert spread.delivery["end"] == 0
    assert spread.ratios["end"] is None


def test_traffic_of_several_tallies_is_their_sum() -> None:
    one = Tally(links=1, air=100, frames=3, useful=40, blocks=5, new=4, envelopes=7)
    assert Traffic.of(one, one) == Traffic(2, 6, 200, 80, 2.5, 10, 8, 14)


def test_one_wants_those_whom_one_meets_most_and_then_whom_they_meet() -> None:
    assert nearest(CIRCLE, 1) == [(1,), (0,), (1,), (0,)]
    assert [sorted(near) for near in nearest(CIRCLE, 9)] == [
        [1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]
    ]  # fmt: skip
    assert nearest(place(3, (0, 9, 1, 2)), 2) == [(), (2,), (1,)]


def test_a_post_is_for_those_who_want_it_and_honest() -> None:
    readers = audience([(1,), (), (1, 0), (1,)], frozenset({0, 1, 2}))
    assert [sorted(readers(author)) for author in (1, 0, 3)] == [[0, 1, 2], [0, 2], []]
    assert audience(None, frozenset({0, 2}))(1) == {0, 2}


def test_of_a_contact_is_left_while_both_are_awake() -> None:
    naps = {0: [(10.0, 20.0), (40.0, 200.0)], 1: [(5.0, 12.0), (30.0, 35.0)]}
    trace = place(2, (0, 100, 0, 1))
    assert awake(trace, naps).contacts == (
        Contact(0, 5, 0, 1),
        Contact(20, 30, 0, 1),
        Contact(35, 40, 0, 1),
    )
    assert awake(trace, {}) == trace
    assert [next_awake(naps[0], at) for at in (9.0, 10.0, 20.0)] == [9.0, 20.0, 20.0]


def test_naps_come_one_after_the_other() -> None:
    naps = draw_naps(5, 1e6, Random(1))
    flat = [[moment for nap in naps[node] for moment in nap] for node in range(5)]
    assert all(times == sorted(times) and len(times) > 20 for times in flat)


def test_what_is_written_has_time_to_spread() -> None:
    posts = draw_posts(300.0, [4, 7], 50, Random(1))
    letters = draw_letters(300.0, [4, 7], 50, Random(1))
    assert posts == sorted(posts)
    assert max(post.born for post in posts) <= 300 * WRITING
    assert {post.author for post in posts} == {4, 7}
    assert {letter[1:] for letter in letters} == {(4, 7), (7, 4)}
    assert draw_posts(300.0, [], 5, Random(1)) == []
    assert draw_letters(300.0, [1], 5, Random(1)) == []


def test_of_very_many_posts_the_same_part_is_measured_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenarios, "MAX_MEASURED", 3)
    spread = simulate(CIRCLE, Scenario(posts=8)).posts
    assert (spread.messages, spread.measured, spread.pairs) == (8, 3, 9)
    assert spread.delivery == spread.oracle


def test_a_cut_contact_is_cut_for_both() -> None:
    often = [(at, at + 40.0, a, a + 1) for at in range(0, 600, 100) for a in range(3)]
    trace = place(4, *often)
    report = simulate(trace, Scenario(posts=8, cut=1.0, rate=50_000.0, latency=0.01))
    assert report.days == (500 + 6) / 86_400
    assert report.posts.delivery == report.posts.oracle
    assert report.posts.delivery["end"] == 1


def test_liars_write_nothing_and_nobody_counts_what_they_hold() -> None:
    report = simulate(CIRCLE, Scenario(posts=8, liars=2))
    assert report.posts.pairs == 8
    assert simulate(CIRCLE, Scenario(posts=8, liars=4)).posts.messages == 0


def test_every_block_comes_once_and_all_is_counted() -> None:
    """Four nodes, near one another in a circle: eight posts and four device blocks for three."""
    report = simulate(place(4, *((0, 80, a, b) for a, b in ((0, 1), (1, 2), (2, 3), (0, 3)))),
                      Scenario(posts=8))  # fmt: skip
    assert report.copies.per_delivery == 1
    assert report.copies.per_message == 3
    assert report.traffic.new_blocks == 3 * (8 + 4)
    assert report.traffic.meetings == 4
    assert report.after_first_meeting.meetings == 0
    assert report.signatures_verified == 8 + 4
    assert report.endings == {"LOST": 8}
