"""Faults that were found once, and mended: what was told, declined, or counted as processed."""

from dataclasses import replace

import pytest

from gossip.effects import End, Keep
from gossip.policy import Limits
from tests.gossip.meetings import Meeting, Node, meet
from tests.gossip.test_sizes import FIRST, changed_cost, hold_as_written, raw_bytes, shelf, sized
from tests.strategies import GROUP, SOCIAL, Device, material

GROUPS = {GROUP: material("a group")}


def meet_often(left: Node, right: Node) -> None:
    for number in range(3):
        meet(left, right, binding=material(f"link {number}"))


def follower(number: int, friend: Device, page: int = 256) -> Node:
    """One who wants nothing but what a friend writes, whose device he has heard of."""
    followed = frozenset([friend.person.signing.public])
    named = frozenset([(friend.public, 0)])
    return Node(number, public=False, followed=followed, named=named, limits=Limits(page=page))


# --- pages and time ---


@pytest.mark.parametrize("contacts", [False, True])
@pytest.mark.parametrize(("page", "devices"), [(1, 3), (256, 300)])
def test_logs_of_one_batch_that_fill_more_than_a_page_do_not_silence_a_meeting(
    page: int, devices: int, *, contacts: bool
) -> None:
    limits = Limits(page=page)
    left, right = Node(1, limits=limits), Node(2, limits=limits, public=False)
    right.hold(*(Device(FIRST + number).logs[0] for number in range(devices)))

    meeting = meet(left, right, contacts=contacts)

    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    assert meeting.now <= 2 * limits.settle, "nobody waited for what never came"


def test_honest_strangers_who_stay_do_not_accuse_each_other_after_much_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given that few logs are told a stranger
    monkeypatch.setattr("gossip.talk.MAX_STRANGE", 64)
    left, right = (Node(n, live=True, limits=Limits(recent=32)) for n in (1, 2))
    meeting = Meeting(left, right, contacts=False).start().settle()

    # when more news than that arrive while they are together
    for number in range(10, 80):
        left.hold_device(Device(number, number))
        meeting.settle()

    # then as many are told as may be, nobody is accused, and the next meeting goes on
    assert [end.finish and end.finish.end for end in meeting.ends] == [End.FULL, None]
    assert len(right.ids()) == 64
    meet(left, right, contacts=False, binding=material("again"))
    assert len(right.ids()) == 70


def test_an_unchanged_meeting_writes_nothing() -> None:
    left, right = Node(1), Node(2)
    left.hold(*shelf(10, 2))
    meet(left, right)
    meet(left, right)  # the one who was told last hears only here what the other has kept

    meeting = Meeting(left, right).start()
    kept = []
    while meeting.step():
        kept += [one for end in meeting.ends for one in end.pending if isinstance(one, Keep)]

    assert kept == []
    assert all(end.finish for end in meeting.ends)


@pytest.mark.slow
@pytest.mark.parametrize("length", [30, 260])
def test_contacts_pay_40_bytes_a_changed_log_however_long_it_is(length: int) -> None:
    logs = shelf(100, length)

    assert (changed_cost(logs, 100) - changed_cost(logs, 50)) / 50 <= 40


def test_a_contact_is_not_told_again_of_device_blocks_he_has_processed() -> None:
    # given contacts who both hold many devices, of which one gets a new log each
    devices = [Device(FIRST + number) for number in range(300)]
    left, right = Node(1), Node(2)
    for node in (left, right):
        node.hold(*(device.logs[0] for device in devices))
    meet(left, right)
    logs = [sized(device, 2, log=SOCIAL) for device in devices]
    hold_as_written(left, *logs)

    meeting = meet(left, right)

    assert right.ids() == left.ids()
    assert meeting.payload() <= 1.12 * raw_bytes(block for log in logs for block in log)


# --- closed groups ---


def test_closed_group_news_reach_a_contact_who_named_the_group_before() -> None:
    author = Device(10, 10)
    left, right = Node(1, groups=GROUPS), Node(2, groups=GROUPS)
    right.hold(author.logs[0])
    meet_often(left, right)
    right.hold(author.write_many(2, log=GROUP))

    meet_often(left, right)

    assert (author.public, GROUP) in left.ids()


@pytest.mark.parametrize("frames", range(6))
def test_group_news_that_arrive_while_scopes_are_named_are_told(frames: int) -> None:
    # given two members who hold the same
    left, right, author = Node(1, groups=GROUPS), Node(2, groups=GROUPS), Device(5, 5)
    author.write(log=GROUP)
    for node in (left, right):
        node.hold_device(author)

    # when news arrive at one while the first frames of a meeting are on their way
    meeting = Meeting(left, right).start()
    travel(meeting, frames)
    left.hold(author.write_many(1, log=GROUP))
    meeting.settle().pass_time(5)

    meet_often(left, right)
    assert left.frontier() == right.frontier()


def travel(meeting: Meeting, frames: int) -> None:
    """Let so many frames arrive, first from the right, then from the left, and so on."""
    left, right = meeting.ends
    for number in range(frames):
        source, target = (left, right) if number % 2 else (right, left)
        meeting._deliver(source, target)


# --- what is declined ---


def test_a_friend_s_log_that_is_told_before_his_device_comes() -> None:
    # given a node that finds out only from log 0 that log 1 is a friend's
    friend = Device(10, 10)
    friend.write_many(3)
    left, right = follower(1, friend, page=2), Node(2, limits=Limits(page=2))
    right.write("x")
    meet_often(left, right)

    # when the other gets log 0, then others, then log 1, so that log 1 is told on an earlier page
    right.hold(friend.logs[0])
    for number in (60, 61):
        right.hold_device(Device(number, number))
    right.hold(friend.logs[SOCIAL])
    meet_often(left, right)

    assert (friend.public, SOCIAL) in left.ids()


def test_a_log_that_was_nobody_s_comes_once_its_device_is_known_to_be_a_friend_s() -> None:
    # given a node that declined a log of which nobody could tell it whose it is
    friend = Device(10, 10)
    friend.write_many(3)
    left, third = follower(1, friend), Node(3)
    right = Node(2, public=False, named=frozenset([(friend.public, SOCIAL)]))
    right.hold(friend.logs[SOCIAL])
    third.hold(friend.logs[0])
    meet(left, right)

    # when a third one tells
    meet(left, third)
    for number in range(3):
        right.write(f"{number}")
        meet(left, right, binding=material(f"link {number}"))

    assert (friend.public, SOCIAL) in left.ids()


def test_a_device_nobody_knows_gets_no_more_logs_than_are_taken_because_they_come_together() -> (
    None
):
    device = Device(10, 10)
    for log in range(1, 30):
        device.write(log=log)
    left, right = Node(1), Node(2, limits=Limits(logs=10))
    left.hold_device(device)

    meet(left, right)

    assert len(right.ids()) == 10


def test_logs_that_were_too_many_of_a_stranger_come_once_he_is_followed() -> None:
    # given a stranger who began more logs than are taken
    device = Device(10, 10)
    for log in range(1, 10):
        device.write(log=log)
    left, right = Node(1), Node(2, limits=Limits(logs=10))
    left.hold_device(device)
    meet(left, right)
    left.hold(*[[device.write(log=log)] for log in range(20, 30)])
    meet(left, right)
    assert len(right.ids()) == 10

    friend = Node(2, store=right.store, followed=frozenset({device.person.signing.public}))
    meet(left, friend)

    assert len(friend.ids()) == 20


def test_a_page_without_mentions_waits_for_the_log_that_was_told_before() -> None:
    # given a contact who, with a page of one mention, tells log 1 with log 0 ahead of it
    left, right, device = Node(0), Node(1, limits=Limits(page=1)), Device(20, 20)
    right.write("hello")
    meet(left, right)
    device.write_many(3)
    right.hold_device(device)
    # when a budget of nothing ends both requests
    left.policy = replace(left.policy, limits=Limits(receive=0))
    meet(left, right, binding=material("short"))
    # then neither arrival is processed, and both come the next time
    left.policy = replace(left.policy, limits=Limits())
    meet_often(left, right)
    assert {(device.public, 0), (device.public, 1)} <= left.holdings.catalogue.logs.keys()
