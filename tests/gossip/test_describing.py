"""Describing: what is told to whom, newest first, nothing twice, and what it covers."""

from dataclasses import replace
from typing import Any

import pytest

from gossip.control import Ack, Announce, Hello, New, Vector
from gossip.effects import End
from gossip.policy import Limits
from gossip.session import State
from gossip.wire import Data, Message, encode_message
from ledger.store.base import Batch
from mesh.holdings import Holdings
from tests.gossip.meetings import Meeting, Node, Side, meet, now_run
from tests.strategies import GROUP, SOCIAL, Device, material, run_of

CLOSED = material("closed group", 16)
BELONGS = {GROUP: CLOSED}


def of_sort(meeting: Meeting, side: int, sort: type[Message]) -> list[Message]:
    return [message for message in meeting.messages(side) if isinstance(message, sort)]


def news(meeting: Meeting, side: int) -> list[Announce]:
    return [message for message in meeting.messages(side) if isinstance(message, Announce)]


def ended(meeting: Meeting) -> list[End | None]:
    return [end.finish.end if end.finish is not None else None for end in meeting.ends]


def live(left: Node, right: Node) -> Meeting:
    """A meeting that has settled and goes on."""
    meeting = Meeting(left, right).start().pass_time(10.0)
    assert [end.session.state for end in meeting.ends] == [State.LIVE, State.LIVE]
    for end in meeting.ends:
        end.sent.clear()
    return meeting


def hang_up(meeting: Meeting) -> None:
    for end in meeting.ends:
        meeting._carry_out(end, end.session.stop(meeting.now))
    for end in meeting.ends:
        while meeting._answer(end):
            pass


def calm(node: Node) -> Node:
    """The same node, when it no longer stays once all is equal."""
    node.policy = replace(node.policy, live=False)
    node.holdings = now_run(Holdings.open(node.store, node.policy))
    return node


def say(meeting: Meeting, side: int, message: Ack) -> Side:
    """Put words into the mouth of the other side."""
    end = meeting.ends[side]
    meeting._carry_out(end, end.session.receive(encode_message(message), meeting.now))
    return end


# --- what changed -------------------------------------------------------------------------------


def test_a_contact_is_told_the_newest_first_a_page_at_a_time() -> None:
    left, right = Node(1, limits=Limits(page=4)), Node(2)
    left.write("one")
    meet(left, right)
    for number in range(10, 20):
        left.hold_device(Device(number, number))
    meeting = meet(left, right)
    pages = [page for page in of_sort(meeting, 0, New) if isinstance(page, New)]
    assert [len(page.mentions) for page in pages] == [4, 4, 2]
    assert [page.last for page in pages] == [False, False, True]
    # one page speaks of what came right before the one that went before it
    assert [(page.low, page.high) for page in pages] == [(9, 12), (5, 8), (3, 4)]
    assert of_sort(meeting, 0, Vector) == []


def test_of_logs_that_changed_often_each_is_mentioned_once() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    meet(left, right)
    for number in range(50):
        left.write(f"{number}")
    (page,) = of_sort(meet(left, right), 0, New)
    assert isinstance(page, New)
    assert [mention.seq for mention in page.mentions] == [51]


def test_what_arrives_between_the_greetings_is_announced() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    right.write("one")
    meet(left, right)
    meet(left, right)
    meeting = Meeting(left, right).start()
    left.write("two")
    meeting.pass_time(40.0)
    assert ended(meeting) == [End.DONE, End.DONE]
    assert right.ids() == left.ids()


def test_what_arrives_while_scopes_are_compared_is_announced() -> None:
    left, right = Node(1), Node(2)
    right.write("one")
    meeting = Meeting(left, right, contacts=False).start()
    assert meeting._deliver(meeting.ends[1], meeting.ends[0])
    left.write("two")
    meeting.settle()
    assert ended(meeting) == [End.DONE, End.DONE]
    assert right.ids() == left.ids()


# --- acknowledged -------------------------------------------------------------------------------


def test_an_ack_of_more_than_was_told_ends_the_meeting() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    meeting = Meeting(left, right).start()
    assert meeting._deliver(meeting.ends[1], meeting.ends[0])
    say(meeting, 0, Ack(1))
    assert ended(meeting) == [End.HOSTILE, None]


def test_an_older_ack_takes_nothing_back() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    for number in range(3):
        left.write(f"{number}")
        meeting.settle()
    told = meeting.ends[0].session._describing
    assert told.is_told
    assert told._pages > 2
    say(meeting, 0, Ack(1))
    assert (told.is_told, meeting.ends[0].session.state) == (True, State.LIVE)


def test_only_eight_announcements_wait_and_nothing_spins_meanwhile() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    for number in range(20):
        left.write(f"{number}")
    assert len(news(meeting, 0)) == 8
    session, ticks, now = meeting.ends[0].session, 0, meeting.now
    while (at := session.next_tick()) is not None and at <= meeting.now + 5:
        now = max(now, at)
        session.tick(now)
        ticks += 1
        assert ticks < 10
    # once they are acknowledged the rest is told in one
    meeting.settle()
    meeting.pass_time(meeting.now + 1)
    assert len(news(meeting, 0)) == 9
    assert right.ids() == left.ids()


# --- live ---------------------------------------------------------------------------------------


def test_a_post_is_announced_fetched_and_not_announced_back() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    left.write("two")
    meeting.settle()
    assert [[type(m).__name__ for m in meeting.messages(side)] for side in (0, 1)] == [
        ["Announce", "Data"],
        ["Want", "Ack"],
    ]
    assert right.ids() == left.ids()


def test_serial_numbers_without_news_are_covered_after_the_second_in_which_they_gather() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    left.write("two")
    # the receiver's store numbered the block too, but that is nothing new to its writer
    meeting.pass_time(meeting.now + 0.999)
    assert news(meeting, 1) == []
    meeting.pass_time(meeting.now + 0.001)
    (covering,) = news(meeting, 1)
    assert (covering.mentions, covering.low, covering.high) == ([], 3, 3)


@pytest.mark.parametrize("writes", [1, 3])
def test_a_meeting_after_a_live_one_is_two_greetings_and_two_goodbyes(writes: int) -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    for number in range(writes):
        left.write(f"{number}")
        right.write(f"{number}")
        meeting.settle()
    meeting.pass_time(20.0)
    hang_up(meeting)
    again = meet(calm(left), calm(right))
    names = [[type(m).__name__ for m in again.messages(side)] for side in (0, 1)]
    assert names == [["Hello", "Bye"], ["Hello", "Bye"]]


def test_in_a_chain_of_three_news_travel_on_and_not_back() -> None:
    left, middle, right = (Node(number, live=True) for number in (1, 2, 3))
    left.write("one")
    first, second = live(left, middle), live(middle, right)
    left.write("two")
    for _ in range(3):
        first.settle()
        second.settle()
    assert right.ids() == left.ids()
    assert [len(of_sort(meeting, 0, Data)) for meeting in (first, second)] == [1, 1]
    # the middle told the one it came from nothing new
    assert [announced.mentions for announced in news(first, 1)] == []


def test_what_failed_in_one_announcement_is_not_covered_by_the_next() -> None:
    # given news of two logs in two pages, of which the other side can take nothing of the first
    left, right = Node(1, live=True, limits=Limits(page=1)), Node(2, live=True)
    left.write("one")
    meeting = live(left, right)
    first, second = Device(3, 3), Device(4, 4)
    first.write_many(20)
    left.absorb(Batch(runs=[run_of(first.logs[SOCIAL]), run_of(second.logs[0])]))
    announced = news(meeting, 0)
    # then only the last of them says which numbers they cover
    assert [bool(page.low) for page in announced] == [False, True]
    assert (announced[1].low, announced[1].high) == (3, left.holdings.catalogue.lsn)


# --- closed groups ------------------------------------------------------------------------------


def closed(left: dict[str, Any], right: dict[str, Any], *, contacts: bool = True) -> Meeting:
    one, other = Node(1, **left), Node(2, **right)
    device = Device(10, 10)
    device.write_many(3, log=GROUP)
    one.hold_device(device)
    return meet(one, other, contacts=contacts)


@pytest.mark.parametrize("contacts", [True, False])
def test_who_knows_a_group_s_secret_is_told_of_it(*, contacts: bool) -> None:
    meeting = closed({"groups": BELONGS}, {"groups": BELONGS}, contacts=contacts)
    assert (Device(10).public, GROUP) in meeting.ends[1].node.ids()
    # and nobody who listens learns which group it is
    assert not any(CLOSED in frame for end in meeting.ends for frame in end.sent)


@pytest.mark.parametrize("contacts", [True, False])
def test_who_does_not_belong_is_told_nothing(*, contacts: bool) -> None:
    meeting = closed({"groups": BELONGS}, {}, contacts=contacts)
    assert set(meeting.ends[1].node.ids()) == {(Device(10).public, 0)}
    group_log = GROUP.to_bytes(4, "big")
    assert not any(CLOSED in frame or group_log in frame for frame in meeting.ends[0].sent)


def test_a_member_who_is_known_by_name_is_told_what_is_new_in_the_group() -> None:
    # given two contacts who met, when one belongs to a group and knows that the other does
    members = {CLOSED: frozenset({Node(2).device.public})}
    left = Node(1, groups=BELONGS, members=members)
    right = Node(2, groups=BELONGS)
    left.write("one")
    meet(left, right)
    device = Device(10, 10)
    device.write_many(3, log=GROUP)
    left.hold_device(device)
    meeting = meet(left, right)
    # then it is told by NEW, though neither compares scopes
    assert of_sort(meeting, 0, New)
    assert (device.public, GROUP) in right.ids()


def test_what_is_new_in_a_group_is_not_told_to_a_contact_outside() -> None:
    left, right = Node(1, groups=BELONGS), Node(2)
    left.write("one")
    meet(left, right)
    device = Device(10, 10)
    device.write_many(3, log=GROUP)
    left.hold_device(device)
    meeting = meet(left, right)
    (page,) = of_sort(meeting, 0, New)
    assert isinstance(page, New)
    assert [mention.name for mention in page.mentions] == [(device.public, 0)]
    assert [len(of_sort(meeting, side, Hello)) for side in (0, 1)] == [1, 1]
