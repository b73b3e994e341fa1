"""Mail among many, for a long time: each envelope goes over once, and never round and round."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.gossip.liars import together
from tests.gossip.mail_builders import (
    DAY_MIN,
    bring,
    carriers,
    forget_meetings,
    gather,
    letter,
    mail_of,
    meet_by_mail,
    post,
    reads,
    release,
    sever,
    stories,
    told,
    went,
)
from tests.gossip.worlds import part

if TYPE_CHECKING:
    from tests.gossip.meetings import Meeting, Node

HOUR_S = 3_600.0


def live(*nodes: Node) -> None:
    for node in nodes:
        node.policy = replace(node.policy, live=True)


def settle(*meetings: Meeting) -> None:
    """Let everything happen in several meetings that needs no time."""
    for _ in range(100_000):
        if not sum(meeting.step() for meeting in meetings):
            return
    raise AssertionError("it goes on and on")


def is_held(meeting: Meeting) -> bool:
    return [end.finish for end in meeting.ends] == [None, None]


def test_what_comes_in_one_meeting_is_offered_in_another_at_once() -> None:
    left, middle, right = carriers(3)
    live(left, middle, right)
    one, other = gather(left, middle).start(), gather(middle, right).start()
    settle(one, other)
    reads(right, letter(1))
    post(left, letter(1))
    settle(one, other)
    assert right.letters == [letter(1).id]
    assert (one.now, other.now) == (0.0, 0.0)


def test_in_a_ring_of_live_meetings_each_node_is_brought_an_envelope_once() -> None:
    nodes = carriers(5)
    live(*nodes)
    meetings = [gather(node, nodes[at - 1]).start() for at, node in enumerate(nodes)]
    settle(*meetings)
    for number in range(8):
        post(nodes[number % 5], letter(number, size=300 * number + 1))
        settle(*meetings)
        together(meetings[0].now + 10, *meetings)
    brought: Counter[bytes] = Counter()
    for meeting in meetings:
        brought.update(went(meeting, 0) + went(meeting, 1))
        assert is_held(meeting)
    assert all(len(mail_of(node).carried) == 8 for node in nodes)
    assert max(brought.values()) <= 4
    for node in nodes:
        assert node.letters == []


def test_a_token_runs_after_its_letter_through_a_ring() -> None:
    nodes = carriers(4)
    live(*nodes)
    meetings = [gather(node, nodes[at - 1]).start() for at, node in enumerate(nodes)]
    settle(*meetings)
    reads(nodes[2], letter(1))
    post(nodes[0], letter(1))
    settle(*meetings)
    together(5, *meetings)
    for meeting in meetings:
        sever(meeting)
    release(nodes[2], letter(1), now=5)
    again = [gather(node, nodes[at - 1], now=6).start() for at, node in enumerate(nodes)]
    settle(*again)
    together(20, *again)
    assert nodes[0].delivered == [letter(1).id]
    assert all(not mail_of(node).carried for node in nodes)
    assert sum(len(told(meeting, side)) for meeting in again for side in (0, 1)) <= 4


def test_what_two_bring_at_once_is_asked_of_one() -> None:
    taker, *givers = carriers(4)
    live(taker, *givers)
    for giver in givers:
        bring(giver, *map(letter, range(30)))
    meetings = [gather(taker, giver) for giver in givers]
    for meeting in meetings:
        meeting.start()
    settle(*meetings)
    together(10, *meetings)
    brought = Counter(ident for meeting in meetings for ident in went(meeting, 1))
    assert len(mail_of(taker).carried) == 30
    assert set(brought.values()) == {1}


def fill(nodes: list[Node], dice: Random, count: int) -> None:
    """Let every node have as much as it can hold, of different ages."""
    for at, node in enumerate(nodes):
        for number in range(count):
            one = letter(1_000 * at + number)
            bring(
                node,
                one,
                life=dice.randint(2 * DAY_MIN, 7 * DAY_MIN),
                depositor=bytes([number % 7]) * 32,
            )


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_two_full_carriers_who_meet_all_day_bring_each_thing_once(
    seed: int, *, contacts: bool
) -> None:
    nodes, over = carriers(2, envelopes=20), (Counter[bytes](), Counter[bytes]())
    fill(nodes, Random(seed), 25)
    quiet = 0
    # strangers draw what is not kept as well, in any meeting, until they have had each of 30 once
    meetings = 96 if contacts else 300
    for number in range(meetings):
        meeting = meet_by_mail(*nodes, contacts=contacts, now=number * 24 * HOUR_S / meetings)
        for side in (0, 1):
            over[side].update(went(meeting, side))
        quiet = 0 if went(meeting, 0) or went(meeting, 1) else quiet + 1
        assert all(len(mail_of(node).carried) <= 20 for node in nodes)
    assert max([*over[0].values(), *over[1].values()], default=1) == 1
    assert quiet > 90, "after a few meetings there is nothing left to bring"
    assert sum(over[0].values()) <= 30
    assert sum(over[1].values()) <= 30


def test_two_full_carriers_who_stay_together_all_day_bring_each_thing_once() -> None:
    nodes, dice = carriers(2, envelopes=20), Random(5)
    live(*nodes)
    fill(nodes, dice, 25)
    left, right = nodes
    meeting = gather(left, right).start().settle()
    for hour in range(24):
        meeting.pass_time(hour * HOUR_S)
        now = hour * HOUR_S
        for node in nodes:
            bring(node, letter(9_000 + 2 * hour + node.number), life=dice.randint(10, 999), now=now)
            node.keep_mail(mail_of(node).expire(now))
        meeting.settle()
        assert all(len(mail_of(node).carried) <= 20 for node in nodes)
    for side in (0, 1):
        assert max(Counter(went(meeting, side)).values()) == 1
    assert is_held(meeting)
    assert meeting.payload() < 40_000


def had_no_room(node: Node) -> set[bytes]:
    """Return what was brought to a node that did not keep it, and may be brought once more now."""
    mail = mail_of(node)
    return {ident for ident, gone in mail.gone.items() if gone.is_filler and mail.is_ample}


@part(2)
@given(
    dice=stories,
    lives=st.lists(st.integers(2, 40), min_size=1, max_size=24),
    room=st.integers(1, 12),
    ways=st.lists(st.sampled_from(["contacts", "strangers", "live"]), min_size=1, max_size=10),
    share=st.sampled_from([0.1, 0.5, 1.0]),
)
@example(dice=0, lives=[2, 4, 8, 3], room=3, ways=["strangers"] * 5, share=0.5)  # one comes again
@example(dice=0, lives=[8, 4, 2, 4], room=2, ways=["strangers", "live"], share=0.5)  # none may
def test_only_what_there_was_no_room_for_goes_over_again_and_once_there_is(
    dice: int, lives: list[int], room: int, ways: list[str], share: float
) -> None:
    forget_meetings(dice)
    nodes = left, right = carriers(2, envelopes=room, share=share, strangers=share)
    for number, life in enumerate(lives):
        bring(nodes[number % 2], letter(number), life=life * 60, depositor=bytes([number % 3]))
    over = (Counter[bytes](), Counter[bytes]())
    for number, way in enumerate(ways):
        for node in nodes:
            node.policy = replace(node.policy, live=way == "live")
            node.keep_mail(mail_of(node).expire(number * HOUR_S))
        again = [had_no_room(node) for node in nodes]
        meeting = gather(left, right, contacts=way != "strangers", now=number * HOUR_S).start()
        meeting.settle().pass_time((number + 1) * HOUR_S - 1)
        sever(meeting)
        for side in (0, 1):
            brought = went(meeting, side)
            assert len(set(brought)) == len(brought)
            assert over[side].keys() & set(brought) <= again[1 - side]
            over[side].update(brought)
        assert all(len(mail_of(node).carried) <= room for node in nodes)
        assert all(len(mail_of(node).gone) <= len(lives) for node in nodes)
    assert max([*over[0].values(), *over[1].values()], default=1) <= 2
