"""Bodies of branches that one node has and the other has not."""

import pytest

from ledger.block import Block
from tests.gossip.meetings import Node, meet, now_run
from tests.strategies import Device, material


def _forked() -> tuple[Device, Device]:
    one = Device(10, 10)
    one.write_many(2)
    other = one.twin()
    one.write("this")
    other.write_many(2, "that")
    return one, other


def _bare(blocks: list[Block]) -> list[Block]:
    return [block._replace(body=None) for block in blocks]


def _bodies(node: Node, device: Device) -> list[bool]:
    kept = now_run(node.store.branches((device.public, 1)))
    return sorted(block.body is not None for block in kept)


@pytest.mark.parametrize("contacts", [True, False])
def test_bodies_of_branches_come_from_who_has_them(*, contacts: bool) -> None:
    one, other = _forked()
    left, right = Node(0), Node(1)
    left.hold(one.logs[0], _bare(one.logs[1]), other.logs[1])
    right.hold(one.logs[0], one.logs[1], _bare(other.logs[1]))

    for number in range(2):
        meet(left, right, contacts=contacts, binding=material(f"{number}"))

    assert _bodies(left, one) == _bodies(right, one) == [True] * 3
    assert left.frontier() == right.frontier()


def test_who_wants_no_bodies_asks_for_no_branch_again() -> None:
    one, other = _forked()
    left = Node(0, headers_only=frozenset({(one.public, 1)}))
    right = Node(1)
    left.hold(one.logs[0], _bare(one.logs[1]), _bare(other.logs[1]))
    right.hold(one.logs[0], one.logs[1], other.logs[1])

    meeting = meet(left, right)

    assert [end.session.counts.blocks_in for end in meeting.ends] == [0, 0]
    assert _bodies(left, one) == [False] * 3
