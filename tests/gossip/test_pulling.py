"""Pulling: what one asks of another, seen in whole meetings; nothing is fetched twice."""

from collections import Counter as Tally
from typing import Any

import pytest

from gossip.control import Mode, Request, Want
from gossip.policy import Limits
from gossip.wire import Bodies, Data, RawRun
from ledger.block import decode_header
from ledger.store.base import ROLLED_BACK, LogKey
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.strategies import IDENTITY, SOCIAL, Device, forked

AUTHOR = 10
LOG: LogKey = (Device(AUTHOR).public, SOCIAL)


def asked(meeting: Meeting, side: int) -> list[Request]:
    wants = [message for message in meeting.messages(side) if isinstance(message, Want)]
    return [request for want in wants for request in want.requests]


def modes(meeting: Meeting, side: int) -> Tally[Mode]:
    return Tally(request.mode for request in asked(meeting, side))


def runs(meeting: Meeting, side: int) -> list[RawRun]:
    sent = [message for message in meeting.messages(side) if isinstance(message, Data)]
    return [run for data in sent for run in data.runs]


def stretches(meeting: Meeting, side: int, log: int = SOCIAL) -> list[tuple[int, int]]:
    """First and last seq of each run of a log that one side sent."""
    firsts = [(decode_header(run.blocks[0][0]), len(run.blocks)) for run in runs(meeting, side)]
    return [(head.seq, head.seq + count - 1) for head, count in firsts if head.log == log]


def author(count: int, text: str = "", number: int = AUTHOR, owner: int = AUTHOR) -> Device:
    device = Device(number, owner)
    device.write_many(count, text)
    return device


def giver(*devices: Device, **policy: Any) -> Node:  # noqa: ANN401
    node = Node(1, **policy)
    for device in devices:
        node.hold_device(device)
    return node


def two_branches(fork: int, left: int, right: int) -> tuple[Node, Node]:
    nodes = Node(1), Node(2)
    for node, branch in zip(nodes, forked(fork, left, right, number=AUTHOR), strict=True):
        node.hold([Device(AUTHOR).root], branch)
    return nodes


def is_quiet(meeting: Meeting) -> bool:
    return [len(end.sent) for end in meeting.ends] == [2, 2]


# --- forks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fork", "left", "right", "questions"),
    [(5, 3, 3, (2, 2)), (5, 3, 9, (2, 3)), (70, 10, 10, (3, 3)), (3, 4_998, 10, (3, 2))],
)
def test_a_fork_is_found_with_few_questions_by_each_side(
    fork: int, left: int, right: int, questions: tuple[int, int]
) -> None:
    # given two nodes with a branch each
    nodes = two_branches(fork, left, right)
    # when they meet
    meeting = meet(*nodes)
    # then the first that differs is found by comparing ids, and both convict at the same block
    assert tuple(modes(meeting, side)[Mode.IDS] for side in (0, 1)) == questions
    assert [node.holdings.catalogue.logs[LOG].fork for node in nodes] == [fork, fork]
    assert nodes[0].frontier() == nodes[1].frontier()
    assert is_quiet(meet(*nodes))


def test_both_branches_of_a_fork_are_held_by_both() -> None:
    nodes = two_branches(5, 3, 3)
    branches = forked(5, 3, 3, number=AUTHOR)
    meet(*nodes)
    for node in nodes:
        assert {b.id for branch in branches for b in branch} == set(node.ids()[LOG])


def test_a_node_that_was_set_back_notices_it_in_its_own_log() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    old = left.store.copy()
    left.write("two")
    meet(left, right)
    back = Node(1, store=old)
    assert now_run(back.store.note(ROLLED_BACK)) is None
    meet(back, right)
    assert now_run(back.store.note(ROLLED_BACK)) is not None
    assert back.ids() == right.ids()


# --- long logs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [221, 320, 1_000])
def test_of_a_long_log_the_newest_come_first_and_no_block_comes_twice(count: int) -> None:
    left, right = giver(author(count)), Node(2)
    meeting = meet(left, right)
    # 20 at least, from behind a seq that is signed, so that the older ones come without them
    first = (count - 20) // 64 * 64 + 1
    assert stretches(meeting, 0)[0] == (first, count)
    assert first <= count - 19
    assert min(stretches(meeting, 0)[1:])[0] == 1
    covered = [seq for low, high in stretches(meeting, 0) for seq in range(low, high + 1)]
    assert sorted(covered) == list(range(1, count + 1))
    assert right.ids() == left.ids()
    assert is_quiet(meet(left, right))


def test_how_much_is_to_come_is_known_before_it_comes() -> None:
    meeting = Meeting(giver(author(1_000)), Node(2)).start()
    counts = meeting.ends[1].session.counts
    while not runs(meeting, 0):
        assert meeting.step()
    assert (counts.wanted, counts.blocks_in) == (1_001, 0)
    meeting.settle()
    assert (counts.wanted, counts.blocks_in, counts.new) == (1_001, 1_001, 1_001)


# --- bodies -------------------------------------------------------------------------------------


def test_bodies_that_are_missing_come_and_no_others() -> None:
    device = author(100, "x" * 100)
    left, right = giver(device), Node(2)
    lacks = {*range(3, 10), 50, *range(90, 101)}
    right.hold(
        device.logs[IDENTITY],
        [b._replace(body=None) if b.header.seq in lacks else b for b in device.logs[SOCIAL]],
    )
    meeting = meet(left, right)
    (request,) = [one for one in asked(meeting, 1) if one.mode is Mode.BODIES]
    assert request.args == (3, 9, 50, 50, 90, 100)
    sent = [message for message in meeting.messages(0) if isinstance(message, Bodies)]
    assert [late.seq for message in sent for late in message.bodies] == sorted(lacks)
    assert runs(meeting, 0) == []
    assert left.frontier() == right.frontier()


def test_of_some_logs_the_headers_are_all_that_is_wanted() -> None:
    device = author(100, "a word that is not wanted")
    left, right = giver(device), Node(2, headers_only=frozenset({(device.public, SOCIAL)}))
    meeting = meet(left, right)
    assert modes(meeting, 1)[Mode.HEADERS] == 1
    assert not any(b"a word that is not wanted" in frame for frame in meeting.ends[0].sent)
    assert [block.body for block in now_run(right.store.read(LOG, 1, 100))] == [None] * 100
    assert is_quiet(meet(left, right))


# --- whose log it is ----------------------------------------------------------------------------


def test_a_device_nobody_knows_is_looked_at_and_fetched_if_it_is_of_a_friend() -> None:
    friend = author(3)
    right = Node(2, public=False, followed=frozenset({friend.person.signing.public}))
    left = giver(friend)
    meeting = meet(left, right)
    # the device block first; then, as it is a friend's, the rest in the friends' class
    assert [(one.args[:2], one.rank) for one in asked(meeting, 1)] == [((0, 1), 6), ((0, 0), 3)]
    assert {key: ids for key, ids in left.ids().items() if key in right.ids()} == right.ids()
    assert LOG in right.ids()


def test_of_a_device_that_is_nobody_s_only_its_device_block_comes() -> None:
    stranger, friend = author(3), Device(11, 11)
    right = Node(2, public=False, followed=frozenset({friend.person.signing.public}))
    left = giver(stranger)
    meeting = meet(left, right)
    assert right.ids() == {(stranger.public, IDENTITY): [stranger.root.id]}
    assert [one.args[:2] for one in asked(meeting, 1)] == [(0, 1)]
    # and it is not asked for again
    assert is_quiet(meet(left, right))


def test_one_who_follows_nobody_looks_at_no_stranger_s_device() -> None:
    right = Node(2, public=False)
    meeting = meet(giver(author(3)), right)
    assert (asked(meeting, 1), right.ids()) == ([], {})


@pytest.mark.parametrize("who", ["giver", "taker"])
def test_logs_of_somebody_blocked_do_not_travel(who: str) -> None:
    bad = author(3)
    blocked = frozenset({bad.person.signing.public})
    left = giver(bad, blocked=blocked if who == "giver" else frozenset())
    right = Node(2, blocked=blocked if who == "taker" else frozenset())
    # given a taker who knows whose device it is
    right.hold(bad.logs[IDENTITY])
    meeting = meet(left, right)
    assert asked(meeting, 1) == []
    assert set(right.ids()) == {(bad.public, IDENTITY)}
    # nor is anything of him told to a third
    blocker = left if who == "giver" else right
    assert asked(meet(blocker, Node(3)), 1) == []


def test_a_stranger_s_device_that_has_filled_its_place_gets_no_more_logs() -> None:
    device = Device(AUTHOR, AUTHOR)
    for log in range(1, 10):
        device.write(log=log)
    left, right = giver(device), Node(2, limits=Limits(logs=10))
    meet(left, right)
    assert len(right.ids()) == 10
    left.hold(*[[device.write(log=log)] for log in range(20, 30)])
    left.hold([device.write(log=5)])
    meet(left, right)
    assert len(right.ids()) == 10
    # what was taken before goes on
    assert len(right.ids()[device.public, 5]) == 2


def test_of_a_stranger_s_device_no_more_logs_come_in_one_page_and_more_once_he_is_followed() -> (
    None
):
    device = Device(AUTHOR, AUTHOR)
    for log in range(1, 30):
        device.write(log=log)
    left, right = giver(device), Node(2, limits=Limits(logs=10))
    meet(left, right)
    assert len(right.ids()) == 10
    friend = Node(2, store=right.store, followed=frozenset({device.person.signing.public}))
    meet(left, friend)
    assert friend.ids() == left.ids()


def test_logs_of_a_blocked_person_s_new_device_are_not_fetched() -> None:
    bad = author(3)
    right = Node(2, blocked=frozenset({bad.person.signing.public}))
    meet(giver(bad), right)
    assert set(right.ids()) == {(bad.public, IDENTITY)}


def test_a_friend_s_device_may_have_as_many_logs_as_it_likes() -> None:
    device = Device(AUTHOR, AUTHOR)
    for log in range(1, 20):
        device.write(log=log)
    followed = frozenset({device.person.signing.public})
    left, right = giver(device), Node(2, limits=Limits(logs=10), followed=followed)
    right.hold(device.logs[IDENTITY])
    meet(left, right)
    left.hold(*[[device.write(log=log)] for log in range(20, 30)])
    meet(left, right)
    assert right.ids() == left.ids()


# --- several at once ----------------------------------------------------------------------------


def test_of_two_who_hold_a_log_one_is_asked_and_the_other_after_three_seconds() -> None:
    device = author(50)
    node = Node(2)
    first, second = (Meeting(giver(device), node).start() for _ in range(2))
    # given the first, whose answer does not come
    while not asked(first, 1):
        assert first.step()
    # when the second tells of the same logs
    second.settle()
    assert asked(second, 1) == []
    second.pass_time(2.999)
    assert asked(second, 1) == []
    # then it is asked once the first has had its time
    second.pass_time(3.0)
    assert modes(second, 1)[Mode.FROM] == 2
    assert LOG in node.ids()


def test_what_another_has_brought_meanwhile_is_not_asked_for() -> None:
    device = author(50)
    node = Node(2)
    first, second = (Meeting(giver(device), node).start() for _ in range(2))
    while not asked(first, 1):
        assert first.step()
    second.settle()
    first.settle()
    second.pass_time(10.0)
    assert asked(second, 1) == []
    assert sum(meeting.ends[1].session.counts.blocks_in for meeting in (first, second)) == 51


def test_a_part_that_there_is_no_place_for_is_settled_and_not_asked_for_again() -> None:
    device = author(20)
    left, right = Node(1), Node(2)
    right.hold(*(device.logs[SOCIAL][at : at + 1] for at in (2, 4, 6, 8)))
    left.hold(device.logs[SOCIAL][10:12])
    meet(left, right)
    assert 11 not in [block.header.seq for block in now_run(right.store.read(LOG, 1, 20))]
    # it is a decision: told again it would only be declined again
    assert is_quiet(meet(left, right))
