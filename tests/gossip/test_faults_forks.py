"""Faults that were found once, and mended: forks, gaps and bodies that never came."""

from collections.abc import Sequence
from typing import Any

import pytest
from typing_extensions import override

from gossip.control import Greeting, Mention, Mode, New, Want
from gossip.wire import Bodies
from ledger.block import Block
from ledger.store.base import LateBody
from tests.gossip.liars import Liar, claim
from tests.gossip.meetings import Node, Side, meet, now_run
from tests.gossip.test_invariants import WatchedMeeting
from tests.gossip.test_invariants_equal import people
from tests.gossip.worlds import Author, Piece, World
from tests.strategies import GROUP, SOCIAL, Device, forked, material

HIS_RUN = material("his run", 8)
WITH_IDS = ("comparing", "comparison", "control", "control_reader", "serving", "standing")


def meet_often(left: Node, right: Node, **how: Any) -> None:  # noqa: ANN401
    for number in range(3):
        meet(left, right, binding=material(f"link {number}"), **how)


def without_bodies(blocks: Sequence[Block], *seqs: int) -> list[Block]:
    return [b._replace(body=None) if b.header.seq in seqs else b for b in blocks]


def test_a_body_that_is_refused_does_not_hide_a_fork_that_was_told_meanwhile() -> None:
    # given a node that lacks a body, and asks for it
    node, author = Node(1), Device(5)
    mine, other = forked(2, 2, 2, number=5)
    node.hold(author.logs[0])
    node.hold(without_bodies(mine, 2))
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.say(New(0, 1, 9, last=True, mentions=[claim((author.public, SOCIAL), 3)]))
    assert [request.mode for request in liar.asked()] == [Mode.BODIES]

    # when the peer has found out about a fork since, says so, and sends the other branch's body
    liar.mention(Mention(0, 2, plain=False, check=b"fork", evidence=b"s = "))
    liar.say(Bodies([LateBody(author.public, SOCIAL, 2, other[1].body or b"")]))
    liar.done(0, Mode.BODIES)

    assert Mode.EVIDENCE in [request.mode for request in liar.asked()]


def test_blocks_before_a_fork_that_only_the_branches_vouch_for_are_sent() -> None:
    # given two who hold both branches, one from before the fork on and one from a gap on
    left, right = Node(1), Node(2)
    for node in (left, right):
        node.hold(Device(5).logs[0])
    for blocks in forked(10, 3, 3, number=5):
        left.hold(blocks[2:])
        right.hold(blocks)

    meet_often(left, right)

    assert left.frontier() == right.frontier()


def test_what_there_is_no_room_for_does_not_hide_what_there_is_room_for() -> None:
    # given one who holds as many pieces as may be, and one who could lengthen the last of them
    left, right, author = Node(1), Node(2), Device(5, 5)
    blocks = author.write_many(100)
    for node in (left, right):
        node.hold(author.logs[0])
    for low in (9, 29, 49, 69):
        left.hold(blocks[low : low + 2])
    right.hold(blocks[19:21])
    right.hold(blocks[71:80])

    meet_often(left, right)

    held = set(left.ids()[author.public, SOCIAL])
    assert {block.id for block in blocks[71:80]} <= held


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("common", [(3,), (1, 2, 3), (1,)])
def test_a_body_above_one_that_both_lack_comes(common: tuple[int, ...], *, contacts: bool) -> None:
    left, right, author = Node(1), Node(2), Device(9, 9)
    blocks = author.write_many(8)
    for node, seqs in ((left, (*common, 7)), (right, common)):
        node.hold(author.logs[0])
        node.hold(without_bodies(blocks, *seqs))

    meet_often(left, right, contacts=contacts)

    assert now_run(left.store.bodiless((author.public, SOCIAL))) == list(common)


def tips_that_look_alike(author: Device) -> tuple[Block, Block]:
    """Two next blocks of a log whose ids begin with the same two bytes."""
    tips: dict[bytes, Block] = {}
    for number in range(10_000):
        block = author.twin().write(f"try {number}")
        if block.id[:2] in tips:
            return tips[block.id[:2]], block
        tips[block.id[:2]] = block
    raise AssertionError("never twice the same two bytes")


@pytest.mark.parametrize("are_alike", [False, True])
def test_whoever_makes_two_tips_begin_with_the_same_bytes_is_found_out(
    monkeypatch: pytest.MonkeyPatch, *, are_alike: bool
) -> None:
    # given that so few bytes of ids are told that anybody can make two that begin alike
    for module in WITH_IDS:
        monkeypatch.setattr(f"gossip.{module}.ID_BYTES", 2)
    author = Device(9, 9)
    author.write_many(5, "trunk")
    tip, alike = tips_that_look_alike(author)
    other = alike if are_alike else author.twin().write("another")
    left, right = Node(1), Node(2)
    for node, last in ((left, tip), (right, other)):
        node.hold(author.logs[0], [*author.logs[SOCIAL], last])

    meet_often(left, right)

    for node in (left, right):
        assert node.holdings.catalogue.logs[author.public, SOCIAL].fork == 6


class Stuttering(WatchedMeeting):
    """A meeting in which every frame comes twice, before the store was read or written."""

    @override
    def _deliver(self, source: Side, target: Side) -> bool:
        if source.out and target.session.counts.frames_in:
            source.out.insert(1, source.out[0])
            super()._deliver(source, target)
        return super()._deliver(source, target)


def test_answers_that_come_twice_settle_nothing_that_is_under_way() -> None:
    # given two who hold other parts of the same logs, so that much is compared and asked for
    author = Author(number=10, identity=2, social=64, group=700, revoked=1)
    theirs = (Piece(0, 0, SOCIAL, 16, 50), Piece(0, 0, GROUP, 101, 295), Piece(0, 0, GROUP, 400))
    mine = (
        Piece(0, 0, 0, 0, 1, bodies=False),
        Piece(0, 0, SOCIAL, 0, 40, bodies=False),
        Piece(0, 0, GROUP, 64, 208),
    )
    world = World(
        authors=(author,), nodes=(mine, (*theirs, Piece(0, 0, 0))), knows_revoked=frozenset({1})
    )
    left, right = people(world)

    # when all that is said is said twice
    meeting = Stuttering(left, right)
    meeting.run()
    meeting.sever()

    # then nobody believes that he has what he has not, and later everything is there
    left.is_sound()
    right.is_sound()
    meet_often(left, right)
    assert left.frontier() == right.frontier()


def test_who_holds_more_sees_that_the_peer_holds_another_block() -> None:
    # given a peer who holds less of the log than the other branch has, and wants none of it
    one, other = Device(10, 10), Device(10, 10)
    one.write("this")
    other.write_many(2, "that")
    behind, ahead = Node(0, public=False), Node(1)
    behind.hold_device(one)
    ahead.hold_device(other)

    meet(behind, ahead)

    assert ahead.holdings.catalogue.logs[one.public, 1].fork == 1


def test_who_holds_more_of_many_logs_asks_for_nothing() -> None:
    devices = [Device(10 + number, 10 + number) for number in range(300)]
    behind, ahead = Node(0), Node(1)
    for device in devices:
        ahead.hold_device(device)
        device.write_many(3)
        behind.hold(device.logs[0], device.logs[1][:2])
        ahead.hold(device.logs[1])

    meeting = meet(behind, ahead, contacts=False)

    wants = [m for m in meeting.messages(1) if isinstance(m, Want)]
    assert wants == []
    assert behind.frontier() == ahead.frontier()
