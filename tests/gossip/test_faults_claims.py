"""Faults that were found once, and mended: what a meeting claims after it asked in vain."""

from collections.abc import Sequence

import pytest

from gossip.claims import Claims
from ledger.block import Block
from tests.gossip.meetings import Meeting, Node
from tests.strategies import SOCIAL, Device, material

KEY = (bytes(32), 1)


def without_bodies(blocks: Sequence[Block], *seqs: int) -> list[Block]:
    return [b._replace(body=None) if b.header.seq in seqs else b for b in blocks]


def test_a_claim_after_one_that_failed_keeps_others_waiting() -> None:
    claims = Claims()
    one, other = claims.enter(), claims.enter()
    assert claims.take(KEY, one, 0.0) is None
    claims.drop(KEY, one, failed=True)

    assert claims.take(KEY, one, 10.0) is None

    assert claims.take(KEY, other, 10.1) is not None


@pytest.mark.parametrize("in_vain", [False, True])
def test_a_block_comes_once_even_after_a_body_was_asked_for_in_vain(*, in_vain: bool) -> None:
    # given a node that lacks a body as its two peers do, and has asked one who lacks another, too
    author = Device(50, 50)
    blocks = list(author.write_many(2))
    left, right, node = (Node(number, live=True) for number in (1, 2, 3))
    for one, lacked in ((left, (1, 2) if in_vain else (1,)), (right, (1,)), (node, (1,))):
        one.hold(author.logs[0], without_bodies(blocks, *lacked))
    meetings = [Meeting(node, one, binding=material(f"{one.number}")) for one in (left, right)]
    for meeting in meetings:
        meeting.start().settle()
    counts = [meeting.ends[0].session.counts for meeting in meetings]
    before = sum(count.blocks_in for count in counts)

    # when both peers have a new block at once, over links of the same pace
    new = author.write("new")
    for one in (left, right):
        one.hold([new])
    while any([meeting.step() for meeting in meetings]):  # noqa: C419  each takes a step
        pass

    assert new.id in node.ids()[author.public, SOCIAL]
    assert sum(count.blocks_in for count in counts) - before == 1
