"""What a node comes to offer, because it blocks fewer, is told to contacts."""

from dataclasses import replace

from gossip.control import New, Root, Vector
from gossip.policy import Policy
from tests.gossip.meetings import Meeting, Node, meet
from tests.gossip.test_invariants import Watched
from tests.strategies import GROUP, Device, material

OTHER = GROUP + 1


def test_who_is_no_longer_blocked_is_told_to_contacts() -> None:
    device, known = Device(10, 10), dict[bytes, Node]()
    device.write_many(3)
    left = Watched(0, known=known)
    right = Watched(1, known=known, blocked=frozenset({device.person.signing.public}))
    right.hold_device(device)
    right.write("x")
    meet(left, right)
    assert (device.public, 1) not in left.holdings.catalogue.logs

    right.reopen(right.store.copy(), replace(right.policy, blocked=frozenset()))

    meet(left, right, binding=material("another"))
    assert (device.public, 1) in left.holdings.catalogue.logs


def _pages(meeting: Meeting) -> int:
    return sum(
        isinstance(message, New | Root | Vector)
        for side in (0, 1)
        for message in meeting.messages(side)
    )


def test_the_same_offer_said_in_another_order_tells_nothing_again() -> None:
    left, right = Node(0), Node(1, groups={GROUP: b"one", OTHER: b"other"})
    left.write("x")
    right.write("x")
    meet(left, right)
    assert _pages(meet(left, right)) == 0

    right.policy = replace(right.policy, groups={OTHER: b"other", GROUP: b"one"})

    assert _pages(meet(left, right, binding=material("another"))) == 0


def test_an_offer_is_the_same_to_those_who_may_have_the_same() -> None:
    groups = {GROUP: b"one", OTHER: b"other"}
    peer, another = Node(2).peer, Node(3).peer
    policy = Policy(b"d", b"p", groups=groups, members={b"one": frozenset({peer.device})})
    assert policy.offers(peer, frozenset()) == policy.offers(another, frozenset({b"one"}))
    assert policy.offers(peer, frozenset()) != policy.offers(another, frozenset())
    # a group of the peer's that this node is not in changes nothing
    assert policy.offers(peer, frozenset({b"his"})) == policy.offers(peer, frozenset())
    assert replace(policy, blocked=frozenset({b"x"})).offers(peer, frozenset()) != policy.offers(
        peer, frozenset()
    )
