"""Scopes: what differs is found by digests, and a name that is only said back opens nothing."""

from typing import Any

import pytest

from gossip.control import (
    BUCKET_BYTES,
    BUCKETS,
    DECOYS,
    MAX_SCOPES,
    ROOT_BYTES,
    Buckets,
    Root,
    ScopeRoot,
    Vector,
)
from gossip.effects import Send
from gossip.policy import PUBLIC, Limits
from gossip.scopes import SMALL, Scopes
from gossip.standing import Salt
from gossip.talk import ProtocolError, Setting, Talk
from gossip.wire import Message, decode_message
from tests.gossip.meetings import BINDING, Meeting, Node, meet
from tests.strategies import GROUP, Device, material

CLOSED = material("closed group", 16)
SALT = Salt(BINDING)


def scopes(node: Node, *, is_initiator: bool = True, contact: bool = False) -> Scopes:
    held = node.holdings
    peer = Node(2).peer if contact else None
    setting = Setting(held.catalogue, held.claims, node.policy, BINDING, is_initiator, peer)
    return Scopes(Talk(setting, 1))


def holding(count: int, first: int = 100, **policy: Any) -> Node:  # noqa: ANN401
    """A node with device blocks of so many devices."""
    node = Node(1, **policy)
    for number in range(first, first + count):
        node.hold([Device(number, 50).root])
    return node


def root_of(node: Node, scope: bytes = PUBLIC, *, of_initiator: bool = False) -> ScopeRoot:
    """What the other side would say of a scope if it held what ``node`` holds."""
    digest = node.holdings.catalogue.digest(scope)
    name = SALT.scope(scope, of_initiator=of_initiator)
    return ScopeRoot(name, SALT.root(scope, digest.root()), digest.count)


def of_sort(meeting: Meeting, side: int, sort: type[Message]) -> list[Message]:
    return [message for message in meeting.messages(side) if isinstance(message, sort)]


# --- what differs -------------------------------------------------------------------------------


def test_scopes_that_are_equal_do_not_differ() -> None:
    node = holding(3)
    ours = scopes(node)
    assert ours.root(Root(tells=False, scopes=[root_of(node)])) == []
    assert ours.is_settled


@pytest.mark.parametrize("count", [1, SMALL])
def test_small_scopes_that_differ_are_told_whole(count: int) -> None:
    node = holding(3)
    (found,) = scopes(node).root(
        Root(tells=True, scopes=[ScopeRoot(b"", bytes(ROOT_BYTES), count)])
    )
    assert found.shared == sorted(node.holdings.catalogue.digest(PUBLIC))
    assert (found.lacking, found.is_ours, found.is_theirs) == ([], True, True)


def test_to_one_who_holds_nothing_all_keys_are_told_in_full() -> None:
    node = holding(3)
    (found,) = scopes(node).root(Root(tells=True, scopes=[ScopeRoot(b"", bytes(ROOT_BYTES), 0)]))
    assert found.lacking == sorted(node.holdings.catalogue.digest(PUBLIC))
    assert (found.shared, found.is_theirs) == ([], False)


def test_one_who_holds_nothing_waits_for_everything() -> None:
    (found,) = scopes(Node(1)).root(Root(tells=True, scopes=[ScopeRoot(b"", bytes(ROOT_BYTES), 9)]))
    assert (found.shared, found.lacking, found.is_ours, found.is_theirs) == ([], [], False, True)


def test_of_large_scopes_only_what_is_in_buckets_that_differ_is_told() -> None:
    # given two who hold 300 logs, and one of them three more
    left, right = holding(300), Node(2)
    for number in range(100, 400):
        right.hold([Device(number, 50).root])
    new = [Device(number, 50) for number in range(400, 403)]
    for device in new:
        left.hold([device.root])
    meeting = meet(left, right, contacts=False)
    assert [len(of_sort(meeting, side, Buckets)) for side in (0, 1)] == [1, 1]
    vectors = [page for page in of_sort(meeting, 0, Vector) if isinstance(page, Vector)]
    assert 3 <= sum(len(page.mentions) for page in vectors) <= 12
    assert left.ids() == right.ids()


def test_a_bucket_that_is_empty_there_holds_what_is_lacking_there() -> None:
    node = holding(SMALL + 1)
    ours = scopes(node)
    assert ours.root(Root(tells=True, scopes=[ScopeRoot(b"", bytes(ROOT_BYTES), 1)])) == []
    assert (ours.is_settled, ours.awaited) == (False, [b""])
    found = ours.buckets(Buckets(b"", bytes(BUCKETS * BUCKET_BYTES)))
    assert sorted(found.lacking) == sorted(node.holdings.catalogue.digest(PUBLIC))
    assert (found.shared, ours.is_settled) == ([], True)
    with pytest.raises(ProtocolError):
        ours.buckets(Buckets(b"", bytes(BUCKETS * BUCKET_BYTES)))


def test_roots_are_compared_once() -> None:
    ours = scopes(Node(1))
    ours.root(Root(tells=False, scopes=[]))
    with pytest.raises(ProtocolError):
        ours.root(Root(tells=False, scopes=[]))


# --- who is told --------------------------------------------------------------------------------


def closed_node(count: int = 3) -> Node:
    node = Node(1, groups={GROUP: CLOSED})
    device = Device(10, 10)
    device.write_many(count, log=GROUP)
    node.hold_device(device)
    return node


@pytest.mark.parametrize("is_initiator", [True, False])
def test_who_says_a_group_s_name_back_has_shown_nothing(*, is_initiator: bool) -> None:
    # given a stranger who says back whatever names he was told
    ours = scopes(closed_node(), is_initiator=is_initiator)
    ours.send_root(tells=True)
    said = [scope.ours for scope in ours._scopes.values()]
    assert len(said) == 2
    echo = [ScopeRoot(one.scope, bytes(ROOT_BYTES), 0) for one in said if one.scope]
    # then no scope is compared, and none is opened to him
    assert ours.root(Root(tells=True, scopes=echo)) == []
    assert ours._talk.scopes == set()
    assert not ours._talk.may_offer(CLOSED)


@pytest.mark.parametrize("is_initiator", [True, False])
def test_who_says_the_other_side_s_name_belongs(*, is_initiator: bool) -> None:
    node = closed_node()
    ours = scopes(node, is_initiator=is_initiator)
    assert (
        ours.root(Root(tells=True, scopes=[root_of(node, CLOSED, of_initiator=not is_initiator)]))
        == []
    )
    assert ours._talk.scopes == {CLOSED}
    assert ours._talk.may_offer(CLOSED)


def test_an_echo_gets_nothing_of_a_group_in_a_whole_meeting() -> None:
    # given one who belongs to another group whose log has the same number
    left, right = closed_node(), Node(2, groups={GROUP: material("another", 16)})
    meeting = meet(left, right, contacts=False)
    assert set(right.ids()) == {(Device(10).public, 0)}
    assert not any(GROUP.to_bytes(4, "big") in frame for frame in meeting.ends[0].sent)


def test_a_name_that_nobody_knows_is_passed_over() -> None:
    ours = scopes(holding(1))
    assert (
        ours.root(Root(tells=True, scopes=[ScopeRoot(material("?", 16), bytes(ROOT_BYTES), 9)]))
        == []
    )
    assert ours.is_settled


def test_of_more_groups_than_fit_into_a_message_the_first_are_named() -> None:
    groups = {GROUP + number: material(f"group {number}", 16) for number in range(100)}
    ours = scopes(Node(1, groups=groups))
    ours.send_root(tells=True)
    assert len(ours._scopes) == MAX_SCOPES - DECOYS + 1
    (sent,) = ours._talk.take_effects()
    assert isinstance(sent, Send)
    root = decode_message(sent.frame)
    assert isinstance(root, Root)
    assert len(root.scopes) <= MAX_SCOPES


@pytest.mark.parametrize("contacts", [True, False])
def test_strangers_get_what_changed_last_and_contacts_everything(*, contacts: bool) -> None:
    left, right = holding(40, limits=Limits(recent=25)), Node(2)
    for _ in range(2):
        meet(left, right, contacts=contacts)
    newest = {(Device(number, 50).public, 0) for number in range(115, 140)}
    assert set(right.ids()) == (set(left.ids()) if contacts else newest)
    assert Limits().recent == 1_000
