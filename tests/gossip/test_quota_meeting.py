"""Meetings of nodes that have no more room: bounded, and what is not let go comes all the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from gossip.effects import End
from gossip.session import Session
from gossip.wire import Data
from ledger.store.base import NEVER, Batch, Floor
from mesh.holdings import Holdings
from tests.gossip.meetings import Meeting, Node, Side, now_run
from tests.gossip.test_room import (
    COUSIN,
    FRIEND,
    friend,
    held,
    is_exact,
    node_with,
    quota,
    stranger,
)
from tests.strategies import GROUP, SOCIAL, Device, make_body, material, run_of

if TYPE_CHECKING:
    from gossip.policy import Peer

CAP = 100_000
THEIRS = material("a group", 16)
HOUR_S = 3_600.0


class Invited(Meeting):
    """A meeting for which a person asked."""

    @override
    def _end(self, node: Node, peer: Peer | None, binding: bytes, *, is_initiator: bool) -> Side:
        side = super()._end(node, peer, binding, is_initiator=is_initiator)
        side.session = Session(replace(side.session._setting, is_invited=True))
        return side


def hold(
    left: Node, right: Node, number: float, kind: type[Meeting] = Meeting, *, contacts: bool = True
) -> Meeting:
    """Let two nodes meet; meetings are an hour apart."""
    binding = material(f"quota meeting {number}")
    meeting = kind(left, right, binding=binding, contacts=contacts)
    meeting.now = number * HOUR_S
    meeting.run()
    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    return meeting


def blocks_sent(meeting: Meeting) -> int:
    return sum(
        len(raw.blocks)
        for side in (0, 1)
        for message in meeting.messages(side)
        if isinstance(message, Data)
        for raw in message.runs
    )


def full_of(node: Node, *numbers: int, count: int = 10) -> list[Device]:
    devices = [stranger(number, count) for number in numbers]
    for device in devices:
        node.hold_device(device)
    return devices


def is_within(node: Node) -> bool:
    return node.holdings.catalogue.bytes <= node.policy.quota.high_mark


@pytest.mark.parametrize("contacts", [True, False])
def test_two_full_nodes_do_not_feed_each_other_for_ever(*, contacts: bool) -> None:
    left, right = node_with(CAP, number=1), node_with(CAP, number=2, seed=2)
    full_of(left, *range(60, 85))
    full_of(right, *range(85, 110))
    sent = [blocks_sent(hold(left, right, n, contacts=contacts)) for n in range(30)]
    assert sum(sent) <= 50 * 11
    assert sent[-10:] == [0] * 10
    for node in (left, right):
        assert is_within(node)
        is_exact(node)


def test_what_went_is_not_fetched_again() -> None:
    left, right = node_with(CAP), Node(2)
    full_of(left, *range(60, 90))
    for number in range(60, 90):
        right.hold_device(stranger(number))
    gone = now_run(left.store.floors())
    assert gone
    for number in range(5):
        hold(left, right, number)
    assert gone.items() <= now_run(left.store.floors()).items()
    assert not gone.keys() & left.holdings.catalogue.logs.keys()


def test_a_full_node_asks_for_nothing_at_last_however_many_strangers_it_hears_of() -> None:
    left, right = node_with(30_000), Node(2)
    full_of(right, *range(60, 260), count=1)
    sent = [blocks_sent(hold(left, right, n, contacts=False)) for n in range(12)]
    assert sent[-1] == 0
    assert sum(sent) <= 2 * 400


def followed_now(node: Node, device: Device) -> None:
    """Follow somebody, as after a restart of the program."""
    followed = node.policy.followed | {device.person.signing.public}
    node.policy = replace(node.policy, followed=followed)
    node.holdings = now_run(Holdings.open(node.store, node.policy))
    node.holdings._dice = Random(1)


def test_what_went_is_fetched_when_its_author_is_followed() -> None:
    left, right = node_with(CAP), Node(2)
    devices = {number: stranger(number) for number in range(60, 90)}
    full_of(left, *devices)
    for device in devices.values():
        right.hold_device(device)
    hold(left, right, 0)
    lost = next(d for d in devices.values() if (d.public, SOCIAL) in now_run(left.store.floors()))
    assert held(left, lost) == []
    followed_now(left, lost)
    for number in range(1, 3):
        hold(left, right, number)
    assert len(held(left, lost)) == 10
    assert held(left, lost, 0) == [1]
    is_exact(left)


def test_of_a_friend_what_is_above_the_floor_comes_and_nothing_below() -> None:
    left, right = node_with(200_000), Node(2)
    left.hold_device(friend(400))
    low = held(left, FRIEND)[0]
    assert low > 1
    right.hold_device(friend(410))
    hold(left, right, 0)
    assert held(left, FRIEND) == list(range(low, 411))
    assert blocks_sent(hold(left, right, 1)) == 0


def test_between_a_full_node_and_another_all_that_was_not_let_go_is_equal() -> None:
    left, right = node_with(CAP), Node(2)
    followed = FRIEND.person.signing.public
    right.policy = replace(right.policy, followed=frozenset({followed}))
    right.hold_device(friend(60))
    for number in range(60, 80):
        right.hold_device(stranger(number, 3))
    for number in range(12):
        hold(left, right, number)
    assert is_within(left)
    floors, here, there = now_run(left.store.floors()), left.ids(), right.ids()
    for key, ids in there.items():
        floor = floors.get(key, Floor(1, 6))
        assert floor.seq == NEVER or here[key] == ids
    assert here[FRIEND.public, SOCIAL] == there[FRIEND.public, SOCIAL]
    is_exact(left)


# --- while room is short ------------------------------------------------------------------------


MEGABYTE = 1_000_000


def tight(**parts: float) -> Node:
    """Return a node with a little room left, because its own person wrote a lot."""
    shares = {"strangers": 0.3, "circle": 0.3, "wider": 0.2, "slack": 0.3} | parts
    node = node_with(MEGABYTE, quota=quota(MEGABYTE, **shares))
    for number in range(41):
        node.device.write(body=make_body("x", None, [], bytes(15_000), time=number))
    node.hold_device(node.device)
    assert node.holdings.room.is_tight
    assert is_within(node)
    return node


def test_of_a_new_stranger_few_blocks_come_at_first_and_twice_as_many_each_time() -> None:
    # what is asked for ends on a block that is signed: every 64th, and the last
    left, right = tight(link_part=1.0), Node(2)
    long, short = stranger(60, 400), stranger(61, 16)
    for device in (long, short):
        right.hold_device(device)
    counts = [0]
    for number in range(3):
        hold(left, right, number)
        counts.append(len(held(left, long)))
    assert counts[1] <= 64
    assert all(b <= max(64, 2 * a + 66) for a, b in pairwise(counts))
    assert counts[1] < counts[2] < counts[3]
    assert len(held(left, short)) == 16
    assert is_within(left)
    is_exact(left)


def test_while_there_is_room_all_of_a_stranger_comes_at_once() -> None:
    left, right = node_with(1 << 22), Node(2)
    right.hold_device(stranger(60, 200))
    hold(left, right, 0)
    assert len(held(left, stranger(60))) == 200


def test_a_friends_blocks_come_however_short_room_is() -> None:
    left, right = tight(), Node(2)
    right.hold_device(friend(60))
    hold(left, right, 0)
    assert held(left, FRIEND)[-1] == 60
    assert len(held(left, FRIEND)) > 30


def test_a_link_brings_no_more_than_its_part_in_an_hour() -> None:
    left, right = tight(), Node(2)
    before = left.holdings.catalogue.bytes
    full_of(right, *range(60, 100), count=12)
    meeting = Meeting(left, right, binding=material("one"))
    meeting.now = 0.0
    meeting.run()
    part = int(MEGABYTE * 0.3 * 0.125)
    assert part <= left.holdings.catalogue.bytes - before <= 2 * part
    held_then = len(left.holdings.catalogue.logs)
    meeting = Meeting(left, right, binding=material("two"))
    meeting.now = 60.0
    meeting.run()
    assert len(left.holdings.catalogue.logs) == held_then
    assert is_within(left)


def test_whom_a_person_asked_to_meet_brings_all() -> None:
    left, other, right = tight(), tight(), Node(2)
    device = stranger(60, 100)
    right.hold_device(device)
    hold(left, right, 0, Invited)
    hold(other, right, 0)
    assert (len(held(left, device)), len(held(other, device))) == (100, 64)
    assert is_within(left)
    assert blocks_sent(hold(left, right, 1)) == 0


def test_a_file_that_is_imported_brings_all() -> None:
    left, device = tight(), stranger(60, 30)
    left.absorb(Batch(runs=[run_of(blocks) for _, blocks in sorted(device.logs.items())]))
    key = (device.public, SOCIAL)
    came = len(held(left, device)) == 30
    assert came or now_run(left.store.floors())[key] == Floor(NEVER, 6)
    assert is_within(left)


def test_what_had_to_wait_comes_once_there_is_room() -> None:
    left, right = tight(), Node(2)
    device = stranger(60, 100)
    right.hold_device(device)
    hold(left, right, 0)
    assert len(held(left, device)) < 100
    left.policy = replace(left.policy, quota=quota(1 << 24))
    left.holdings = now_run(Holdings.open(left.store, left.policy))
    hold(left, right, 1)
    assert len(held(left, device)) == 100
    assert left.frontier()[device.public, SOCIAL] == right.frontier()[device.public, SOCIAL]


@pytest.mark.parametrize("cut", range(0, 12_000, 997))
def test_a_cut_meeting_of_a_full_node_leaves_it_sound(cut: int) -> None:
    left, right = tight(), Node(2)
    full_of(right, *range(60, 64))
    Meeting(left, right, cut=cut, binding=material("cut")).run()
    assert is_within(left)
    is_exact(left)
    for number in range(1, 4):
        hold(left, right, number)
    is_exact(left)


# --- what had to wait -----------------------------------------------------------------------------


def ballast(node: Node) -> Device:
    """Fill a node with what a friend's friend wrote in a group that it is not in."""
    device = COUSIN.twin()
    for number in range(40):
        device.write(log=GROUP, body=make_body("x", None, [], bytes(16_000), time=number))
    node.hold_device(device)
    assert node.holdings.room.is_tight
    assert is_within(node)
    return device


def unballast(node: Node) -> None:
    node.absorb(Batch(floors={(COUSIN.public, GROUP): Floor(NEVER, 5)}))
    assert not node.holdings.room.is_tight


@pytest.mark.parametrize("contacts", [True, False])
def test_what_was_put_off_while_room_was_short_comes_once_there_is_room(*, contacts: bool) -> None:
    shares = {"wider": 0.65, "circle": 0.1, "slack": 0.3}
    left, right = node_with(MEGABYTE, quota=quota(MEGABYTE, **shares)), Node(2)
    ballast(left)
    # a long one of which a part comes, and more than a link may bring in an hour
    devices = [stranger(60, 150), *full_of(right, *range(61, 75), count=12)]
    right.hold_device(devices[0])
    hold(left, right, 0, contacts=contacts)
    counts = [len(held(left, device)) for device in devices]
    assert counts[0] < 150
    assert 0 in counts
    assert now_run(left.store.floors()) == {}
    unballast(left)
    hold(left, right, 0.1, contacts=contacts)
    assert [len(held(left, device)) for device in devices] == [150, *[12] * 14]
    assert blocks_sent(hold(left, right, 1, contacts=contacts)) == 0
    is_exact(left)


def test_of_a_log_that_was_put_off_the_rest_comes_once_there_is_room() -> None:
    shares = {"wider": 0.65, "circle": 0.1, "slack": 0.3}
    left, right = node_with(MEGABYTE, quota=quota(MEGABYTE, **shares)), Node(2)
    ballast(left)
    device = stranger(60, 150)
    right.hold_device(device)
    hold(left, right, 0)
    assert len(held(left, device)) == 64
    unballast(left)
    hold(left, right, 0.1)
    assert len(held(left, device)) == 150


def test_whoever_was_not_begun_with_in_this_hour_is_begun_with_in_the_next() -> None:
    left, right = tight(), Node(2)
    devices = full_of(right, *range(60, 100), count=12)
    came = []
    for number in range(4):
        hold(left, right, number)
        came.append(sum(bool(held(left, device)) for device in devices))
    assert came[0] < came[1] < came[2] < len(devices)


def test_a_new_author_brings_little_over_a_link_however_large_his_blocks_are() -> None:
    left, right = tight(), Node(2)
    device = Device(60, 60)
    for number in range(200):
        device.write(body=make_body("x", None, [], bytes(1_000), time=number))
    right.hold_device(device)
    hold(left, right, 0)
    # what is asked for ends on a signature, every 64th block
    assert len(held(left, device)) == 64
    room, key = left.holdings.room, (device.public, SOCIAL)
    assert left.holdings.catalogue.logs[key].bytes > 65_536
    assert room.allowance(key, right.device.public, 3_599) == 0
    assert room.allowance(key, right.device.public, 3_600) == 65
