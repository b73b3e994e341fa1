"""Meetings of nodes that have no room for what they care for: they come to rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gossip.meetings import Meeting, Node, now_run
from tests.gossip.test_quota_meeting import CAP, THEIRS, blocks_sent, hold, is_within
from tests.gossip.test_room import (
    COUSIN,
    FRIEND,
    friend,
    held,
    is_exact,
    node_with,
    stranger,
)
from tests.gossip.worlds import part
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, make_body, material

# --- nodes that care for the same, and have no room for it --------------------------------------


def crowd(log: int) -> list[Device]:
    """Return a friend and a friend's friend who wrote too much, and a friend who did not."""
    devices = [friend(40), friend(8, COUSIN), friend(6, OTHER)]
    for device in devices[:2]:
        for number in range(140):
            device.write(log=log, body=make_body("x", None, [], bytes(500), time=number))
    return devices


OTHER = Device(52, 52)
CARES: dict[str, Any] = {
    "followed": frozenset({FRIEND.person.signing.public, OTHER.person.signing.public})
}


@pytest.mark.parametrize("log", [SOCIAL, 2, GROUP, IDENTITY])
@pytest.mark.parametrize("forked", [False, True])
def test_two_full_nodes_that_follow_the_same_do_not_feed_each_other_for_ever(
    log: int, *, forked: bool
) -> None:
    left, right = node_with(CAP, **CARES), node_with(70_000, number=2, seed=2, **CARES)
    devices, source = crowd(log), Node(3)
    for device in devices:
        source.hold_device(device)
    if forked:
        twin = devices[0].twin()
        del twin.logs[log][-3:]
        source.hold(twin.write_many(2, "otherwise", log=log))
    for node in (left, right):
        hold(node, source, 0)
    sent = [blocks_sent(hold(left, right, n)) for n in range(1, 12)]
    assert sent[-5:] == [0] * 5
    again = [blocks_sent(hold(node, source, n)) for n in (12, 13) for node in (left, right)]
    assert again[-2:] == [0, 0]
    for node in (left, right):
        assert is_within(node)
        assert len(held(node, OTHER)) == 6, "who wrote little keeps it"
        is_exact(node)


contents = st.lists(
    st.tuples(
        st.sampled_from([50, 51, 52, 60, 61, 62, 63]),
        st.sampled_from([IDENTITY, SOCIAL, SOCIAL, 2, GROUP, GROUP + 1]),
        st.integers(1, 70),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def filled(node: Node, written: list[tuple[int, int, int, bool]]) -> None:
    """Let a node take what devices wrote; each of them twice from some block on, if it forks."""
    for number, log, count, forks in written:
        device = Device(number, number)
        for time in range(count):
            device.write(log=log, body=make_body("x", None, [], bytes(500), time=time))
        node.hold_device(device)
        if forks and count > 3:
            twin = device.twin()
            del twin.logs[log][-2:]
            node.hold(twin.write_many(2, "otherwise", log=log))


@part(5)
@given(
    left_holds=contents,
    right_holds=contents,
    caps=st.tuples(*2 * [st.integers(8_000, 90_000)]),
    contacts=st.booleans(),
    grouped=st.booleans(),
)
def test_whatever_two_full_nodes_hold_they_come_to_rest(
    left_holds: list[tuple[int, int, int, bool]],
    right_holds: list[tuple[int, int, int, bool]],
    caps: tuple[int, int],
    *,
    contacts: bool,
    grouped: bool,
) -> None:
    cares: dict[str, Any] = {"groups": {GROUP: THEIRS}} if grouped else {}
    left, right = (node_with(cap, number=n + 1, seed=n, **cares) for n, cap in enumerate(caps))
    filled(left, left_holds)
    filled(right, right_holds)
    sent = [blocks_sent(hold(left, right, n, contacts=contacts)) for n in range(14)]
    assert sent[-3:] == [0, 0, 0]
    for node in (left, right):
        assert node.holdings.room.used <= node.policy.quota.high_mark
        is_exact(node)


def test_of_a_friend_of_whom_all_went_what_he_writes_from_then_on_comes() -> None:
    left, right = node_with(30_000, **CARES), Node(2)
    device = friend(30)
    for number in range(40):
        device.write(log=GROUP, body=make_body("x", None, [], bytes(500), time=number))
    right.hold_device(device)
    hold(left, right, 0)
    assert held(left, FRIEND) == []
    right.hold(device.write_many(3)[-3:])
    hold(left, right, 1)
    assert held(left, FRIEND) == [31, 32, 33]
    assert blocks_sent(hold(left, right, 2)) == 0


def test_a_verdict_that_outlived_its_log_is_told() -> None:
    left, right = node_with(30_000, **CARES), Node(2)
    device = friend(60)
    twin = device.twin()
    del twin.logs[SOCIAL][-3:]
    left.hold([device.root], device.logs[SOCIAL], twin.write_many(2, "otherwise"))
    key = (FRIEND.public, SOCIAL)
    assert held(left, FRIEND) == []
    hold(left, right, 0)
    assert right.holdings.catalogue.logs[key].fork == 58
    assert blocks_sent(hold(left, right, 1)) == 0


# --- who counts otherwise than before -----------------------------------------------------------


def outcast(**cares: Any) -> tuple[Node, Node, Device]:  # noqa: ANN401
    """Return a node that let a stranger go, one that holds him, and him."""
    left, right = node_with(CAP, **cares), Node(2)
    devices = [stranger(number) for number in range(60, 90)]
    for device in devices:
        right.hold_device(device)
    for number in range(3):
        hold(left, right, number)
    gone = now_run(left.store.floors())
    return left, right, next(one for one in devices if (one.public, 0) in gone)


@pytest.mark.parametrize("contacts", [True, False])
def test_a_stranger_that_went_and_then_writes_to_ones_group_is_held_with_his_log_0(
    *, contacts: bool
) -> None:
    left, right, device = outcast(groups={GROUP: THEIRS})
    right.hold(device.write_many(5, log=GROUP))
    for number in range(3, 6):
        hold(left, right, number, contacts=contacts)
    catalogue = left.holdings.catalogue
    assert held(left, device, 0) == [1]
    assert catalogue.logs[device.public, GROUP].head == 5
    assert held(left, device) == [], "as a stranger's, that is still let go"
    assert is_within(left)
    is_exact(left)
    assert blocks_sent(hold(left, right, 6, contacts=contacts)) == 0


def test_that_costs_being_told_again_once() -> None:
    left, right, device = outcast(groups={GROUP: THEIRS})
    right.hold(device.write_many(5, log=GROUP))
    for number in range(3, 6):
        hold(left, right, number)
    unchanged = hold(left, right, 6).bytes
    right.hold(device.write_many(1, log=GROUP)[-1:])
    hold(left, right, 7)
    assert left.holdings.catalogue.logs[device.public, GROUP].head == 6
    assert hold(left, right, 8).bytes == unchanged


@pytest.mark.parametrize("cut", range(200, 3_000, 311))
def test_a_cut_does_not_make_that_be_forgotten(cut: int) -> None:
    left, right, device = outcast(groups={GROUP: THEIRS})
    right.hold(device.write_many(5, log=GROUP))
    Meeting(left, right, cut=cut, binding=material("cut")).run()
    for number in range(3, 6):
        hold(left, right, number)
    assert left.holdings.catalogue.logs[device.public, GROUP].head == 5
