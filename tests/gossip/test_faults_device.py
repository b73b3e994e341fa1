"""Faults that were found once, and mended: whose device it is comes to light late."""

from collections.abc import Sequence
from dataclasses import replace

from gossip.control import Greeting, Mode, New, Want
from gossip.policy import Limits
from ledger.block import Block
from ledger.statement import Revocation
from ledger.store.base import Batch
from tests.gossip.liars import Liar, claim
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.gossip.test_invariants import Watched
from tests.strategies import SOCIAL, Device, material

HIS_RUN = material("his run", 8)
HEADER_ONLY = 213
"""A budget that the header of a device block fits into, and its body does not."""


def meet_often(left: Node, right: Node) -> None:
    for number in range(3):
        meet(left, right, binding=material(f"link {number}"))


def without_bodies(blocks: Sequence[Block]) -> list[Block]:
    return [block._replace(body=None) for block in blocks]


def following(author: Device, *, public: bool = True, limits: Limits | None = None) -> Node:
    person = author.person.signing.public
    return Node(1, public=public, followed=frozenset({person}), limits=limits or Limits())


def test_a_device_block_whose_body_comes_late_keeps_no_followed_person_away() -> None:
    # given one who wants only what those write whom he follows, and got no body of a device block
    author = Device(10, 10)
    author.write_many(3)
    left, right = following(author, public=False), Node(2, limits=Limits(send=HEADER_ONLY))
    right.hold_device(author)
    meet(left, right)
    assert now_run(left.store.bodiless((author.public, 0))) == [1]

    # when the same peer has more to spend
    right.policy = replace(right.policy, limits=Limits())
    meet_often(left, right)

    assert now_run(left.store.bodiless((author.public, 0))) == []
    assert (author.public, SOCIAL) in left.holdings.catalogue.logs


def test_who_holds_back_the_body_of_a_device_block_keeps_no_followed_person_away() -> None:
    # given a liar who sends the device block without what says whose device it is
    author = Device(10, 10)
    author.write_many(3)
    left, right = following(author, public=False), Node(2)
    liar = Liar(left).begin(Greeting(HIS_RUN, 1, None))
    liar.say(New(0, 1, 1, last=True, mentions=[claim((author.public, 0), 1)]))
    assert [request.mode for request in liar.asked()] == [Mode.FROM]
    liar.send(without_bodies([author.root]))
    liar.done(0, Mode.FROM)
    liar.leave()

    # when an honest peer has all
    right.hold_device(author)
    meet_often(left, right)

    assert (author.public, SOCIAL) in left.holdings.catalogue.logs


def test_one_log_too_many_of_somebody_who_turns_out_to_be_followed_comes() -> None:
    # given one who takes two logs of anybody, from a peer who cannot say whose the device is
    author, logs = Device(10, 10), (1, 2, 3, 4)
    for log in logs:
        author.write("x", log=log)
    left, right = following(author, limits=Limits(logs=2)), Node(2)
    right.hold(without_bodies(author.logs[0]), *(author.logs[log] for log in logs))
    meet(left, right)
    assert not {*logs} <= left.holdings.catalogue.numbers(author.public)

    # when somebody else says so
    left.hold(author.logs[0])
    meet_often(left, right)

    assert {*logs} <= left.holdings.catalogue.numbers(author.public)


def test_a_statement_that_counts_once_a_device_began_twice_comes_with_the_proof_or_after_it() -> (
    None
):
    # given one who holds a device's other beginning, by which the statement could never count
    one, other, known = Device(10, 10), Device(10, 11), dict[bytes, Node]()
    left, right = Watched(1, known=known), Watched(2, known=known)
    left.hold(one.logs[0])
    left.hold(other.logs[0])
    left.absorb(Batch(revocations=[Revocation.sign(one.person, one.public, [])]))
    right.hold(other.logs[0])

    meet_often(left, right)

    assert right.frontier() == left.frontier()
    assert [said.person for said in right.holdings.catalogue.statements(one.public)] == [
        one.person.signing.public
    ]


def test_a_log_that_is_announced_before_its_device_is_told_is_taken_up_again() -> None:
    # given one who follows somebody and wants nothing else, and news before he has said HELLO
    devices = [Device(number, number) for number in range(20, 33)]
    author = devices[-1]
    author.write_many(3)
    followed = frozenset(device.person.signing.public for device in devices)
    left, right = Node(1, limits=Limits(page=1)), Node(2, public=False, followed=followed)
    for device in devices:
        left.hold_device(device)
    meeting = Meeting(left, right)
    meeting.start()
    left.hold([author.write("new")])

    meeting.settle()

    assert len(right.ids()[author.public, SOCIAL]) == 4


def test_a_device_block_of_which_no_body_is_wanted_is_asked_for_once() -> None:
    author = Device(10, 10)
    followed = frozenset({author.person.signing.public})
    headers_only = frozenset({(author.public, 0)})
    left = Node(1, public=False, followed=followed, headers_only=headers_only)
    right = Node(2)
    right.hold_device(author)

    asked = [want for want in meet(left, right).messages(0) if isinstance(want, Want)]

    modes = [request.mode for want in asked for request in want.requests]
    assert modes.count(Mode.HEADERS) == 1
    assert Mode.FROM not in modes
