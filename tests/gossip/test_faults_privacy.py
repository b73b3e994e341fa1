"""Faults that were found once, and mended: what others learnt that was none of their business."""

import pytest

from gossip.control import DECOYS, Root, Want
from gossip.effects import End
from tests.gossip.meetings import Meeting, Node, meet
from tests.strategies import Device, material


def many_groups(count: int) -> dict[int, bytes]:
    return {(1 << 31) + number: material(f"group {number}") for number in range(count)}


def met_stranger(left: Node, right: Node) -> Meeting:
    left.write("a")
    right.write("b")
    return meet(left, right, contacts=False)


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("count", [60, 61, 64, 200])
def test_a_node_of_very_many_closed_groups_can_meet_anybody(count: int, *, contacts: bool) -> None:
    left, right = Node(1, groups=many_groups(count)), Node(2)
    left.write("a")
    right.write("b")

    meeting = meet(left, right, contacts=contacts)

    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    assert left.frontier() == right.frontier()


def test_a_stranger_does_not_learn_whether_one_belongs_to_closed_groups() -> None:
    said = []
    for groups in ({}, many_groups(1), many_groups(DECOYS - 1), many_groups(DECOYS)):
        meeting = met_stranger(Node(1, groups=groups), Node(2))
        said += [message for message in meeting.messages(0) if isinstance(message, Root)]

    assert [len(root.scopes) for root in said] == [1 + DECOYS] * 4
    names = {scope.scope for root in said for scope in root.scopes[1:]}
    assert len({scope.scope for scope in said[0].scopes}) == 1 + DECOYS
    assert all(len(name) == 16 for name in names)


def test_a_stranger_does_not_learn_whom_one_follows() -> None:
    ranks = []
    author = Device(9, 9)
    author.write_many(3)
    for followed in (frozenset[bytes](), frozenset({author.person.signing.public})):
        left, right = Node(1, followed=followed), Node(2)
        left.hold(author.logs[0])
        right.hold_device(author)
        meeting = meet(left, right, contacts=False)
        wants = [message for message in meeting.messages(0) if isinstance(message, Want)]
        ranks.append([request.rank for want in wants for request in want.requests])

    assert ranks[0] == ranks[1] != []


def test_logs_of_a_blocked_person_s_new_device_are_not_fetched() -> None:
    # given a device of somebody blocked that was never heard of
    device = Device(10, 10)
    device.write_many(3)
    left, right = Node(1), Node(2, blocked=frozenset({device.person.signing.public}))
    left.hold_device(device)

    meet(left, right)

    assert (device.public, 1) not in right.ids()
