"""Whoever writes too much loses his own things, and the cap is kept whatever he does."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from gossip.letting_go import LEAST_BLOCKS
from gossip.policy import (
    CIRCLE_CLASS,
    GROUP_CLASS,
    REST_CLASS,
    WIDER_CLASS,
)
from ledger.store.base import NEVER, Batch, Floor
from tests.gossip.meetings import Node, now_run
from tests.gossip.test_room import (
    COUSIN,
    FRIEND,
    held,
    is_exact,
    node_with,
    stranger,
    writes,
)
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    make_body,
    material,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block
    from ledger.store.base import LogKey

CAP = 100_000
OTHER = 2
"""A log that is neither log 0 nor log 1, nor of a group."""
EVIDENCE = GROUP + 1
"""A group's log; this node is not in it."""


def is_kept(node: Node) -> None:
    """The cap is, but for what the node's own person wrote."""
    own = node.policy.person
    catalogue = node.holdings.catalogue
    mine = sum(log.bytes for key, log in catalogue.logs.items() if catalogue.person(key[0]) == own)
    assert node.holdings.room.used <= max(node.policy.quota.high_mark, mine)
    assert node.holdings.room.victims(Random(1)) == {}
    is_exact(node)


def floors(node: Node) -> dict[LogKey, Floor]:
    return now_run(node.store.floors())


def forks(device: Device, before: int, count: int, log: int = SOCIAL) -> Sequence[Block]:
    """Return what a device writes in ``log`` besides what it wrote from block ``before`` on."""
    twin = device.twin()
    twin.logs[log] = twin.logs[log][:before]
    for number in range(count):
        twin.write(log=log, body=make_body("other", None, [], bytes(500), time=number))
    return twin.logs[log]


# --- who fills a log ----------------------------------------------------------------------------

CLASSES = [(COUSIN, WIDER_CLASS), (FRIEND, CIRCLE_CLASS)]


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_another_open_log_is_shortened_like_log_1(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 400, OTHER)
    node = node_with(CAP)
    node.hold_device(device)
    kept = held(node, device, OTHER)
    assert kept == list(range(kept[0], 401))
    assert len(kept) >= LEAST_BLOCKS
    assert floors(node) == {(device.public, OTHER): Floor(kept[0], rank)}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_log_of_evidence_goes_as_a_whole_and_log_0_stays(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 200, EVIDENCE)
    node = node_with(CAP)
    node.hold_device(device)
    assert held(node, device, EVIDENCE) == []
    assert held(node, device, IDENTITY) == [1]
    assert floors(node) == {(device.public, EVIDENCE): Floor(NEVER, rank)}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_log_0_that_is_too_long_goes_with_the_whole_device(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 3)
    writes(device, 3, EVIDENCE)
    writes(device, 200, IDENTITY)
    node = node_with(CAP)
    node.hold_device(device)
    assert not any(author == device.public for author, _ in node.holdings.catalogue.logs)
    assert floors(node)[device.public, IDENTITY] == Floor(NEVER, rank)
    assert floors(node).keys() == {(device.public, log) for log in device.logs}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_forked_log_goes_as_a_whole_and_its_author_stays_convicted(
    who: Device, rank: int
) -> None:
    device = who.twin()
    writes(device, 200)
    node = node_with(CAP)
    node.hold([device.root], device.logs[SOCIAL], forks(device, 195, 5))
    key, catalogue = (device.public, SOCIAL), node.holdings.catalogue
    log, standing = catalogue.logs[key], catalogue.standing(key)
    assert (held(node, device), log.fork, log.bytes) == ([], 196, 0)
    assert [proof.seq for proof in now_run(node.store.proofs())] == [196]
    assert standing is not None
    assert standing.evidence
    assert floors(node) == {key: Floor(NEVER, rank)}
    is_kept(node)


def test_what_convicts_somebody_counts_and_goes_with_his_device() -> None:
    # given a friend who forks one log after the other, each of blocks that go
    device, node = FRIEND.twin(), node_with(20_000)
    node.hold([device.root])
    catalogue, proven = node.holdings.catalogue, []
    for log in range(OTHER, OTHER + 40):
        writes(device, 20, log)
        node.hold(device.logs[log], forks(device, 18, 2, log))
        is_kept(node)
        if not catalogue.holds(device.public):
            break
        proven.append(len(catalogue.proofs))
    # then he is let go as a whole in the end, with all that convicts him
    assert proven == list(range(1, len(proven) + 1))
    assert 10 < len(proven) < 39
    assert now_run(node.store.proofs()) == []


def test_evidence_of_a_friend_goes_after_all_that_is_open() -> None:
    device = FRIEND.twin()
    writes(device, 60, EVIDENCE)
    writes(device, 20, OTHER)
    writes(device, 60)
    node = node_with(CAP)
    node.hold_device(device)
    assert len(held(node, device, EVIDENCE)) == 60
    assert held(node, device)[-1] == 60
    assert len(held(node, device)) < 60
    is_kept(node)
    writes(device, 74, EVIDENCE)
    node.hold_device(device)
    assert held(node, device) == held(node, device, OTHER) == []
    assert len(held(node, device, EVIDENCE)) == 134
    assert floors(node)[device.public, SOCIAL] == Floor(61, CIRCLE_CLASS)
    is_kept(node)


@pytest.mark.parametrize("log", [SOCIAL, OTHER, EVIDENCE, IDENTITY])
@pytest.mark.parametrize("fork", [False, True])
def test_one_who_writes_too_much_loses_his_own_things_and_nobody_else_s(
    log: int, *, fork: bool
) -> None:
    friends = [Device(number, number) for number in range(52, 57)]
    everybody = frozenset(one.person.signing.public for one in [FRIEND, *friends])
    node = node_with(CAP, followed=everybody)
    for one in friends:
        writes(one, 6)
        writes(one, 4, EVIDENCE)
        node.hold_device(one)
    before = node.ids()
    device = FRIEND.twin()
    for _ in range(6):
        writes(device, 60, log)
        node.hold_device(device)
        if fork:
            node.hold(forks(device, len(device.logs[log]) - 2, 3, log))
        is_kept(node)
    assert floors(node)
    assert {author for author, _ in floors(node)} == {device.public}
    assert {key: ids for key, ids in node.ids().items() if key[0] != device.public} == before


def test_many_devices_of_one_person_count_as_one() -> None:
    many = [Device(number, 50) for number in range(100, 120)]
    small = Device(52, 52)
    both = frozenset({FRIEND.person.signing.public, small.person.signing.public})
    node = node_with(CAP, followed=both)
    writes(small, 40)
    node.hold_device(small)
    for device in many:
        writes(device, 10)
        node.hold_device(device)
    assert len(held(node, small)) == 40
    assert {author for author, _ in floors(node)} <= {one.public for one in many}
    assert floors(node)
    is_kept(node)


def test_of_a_log_with_gaps_the_newest_that_are_held_stay() -> None:
    device = FRIEND.twin()
    writes(device, 300)
    blocks = device.logs[SOCIAL]
    node = node_with(CAP)
    node.hold([device.root], blocks[:150], blocks[294:296], blocks[298:])
    kept = held(node, device)
    assert kept == [*range(kept[0], 151), 295, 296, 299, 300]
    assert len(kept) == 77
    is_kept(node)


def test_what_a_file_brings_again_goes_first() -> None:
    device = FRIEND.twin()
    writes(device, 400)
    node = node_with(200_000)
    node.hold_device(device)
    low = held(node, device)[0]
    node.hold(device.logs[SOCIAL][: low - 1])
    kept = held(node, device)
    assert kept == list(range(kept[0], 401))
    assert floors(node)[device.public, SOCIAL].seq == kept[0] >= low
    # when older ones come than those that stayed, and the log goes on beyond a gap
    writes(device, 10)
    other = node_with(200_000)
    other.absorb(Batch(floors={(device.public, SOCIAL): Floor(401, CIRCLE_CLASS)}))
    other.hold(*(device.logs[log][:400] for log in (IDENTITY, SOCIAL)))
    assert held(other, device) == []
    assert floors(other)[device.public, SOCIAL] == Floor(401, CIRCLE_CLASS)
    is_kept(other)


def test_of_what_was_let_go_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.shelf.MAX_FLOORS", 40)
    node = node_with(CAP)
    friend = FRIEND.twin()
    writes(friend, 200)
    node.hold_device(friend)
    mine, last = (friend.public, SOCIAL), floors(node)
    for number in range(60, 160):
        node.hold_device(stranger(number))
        after = floors(node)
        assert len(after) <= 40 + len(after.keys() - last.keys())
        assert after[mine].rank == CIRCLE_CLASS, "strangers' are forgotten first"
        last = after
    assert {key for key in last if key != mine} <= {
        (Device(number).public, log) for number in range(60, 160) for log in (0, SOCIAL)
    }
    assert 10 < len(last) <= 42
    is_kept(node)


def test_strangers_however_many_make_nobody_else_s_things_go() -> None:
    member = Device(61, 61)
    node = node_with(CAP, groups={GROUP: material("a group", 16)})
    kept = [FRIEND.twin(), COUSIN.twin(), member]
    for device, log in zip(kept, (SOCIAL, SOCIAL, GROUP), strict=True):
        writes(device, 12, log)
        node.hold_device(device)
    before = node.ids()
    for number in range(70, 130):
        node.hold_device(stranger(number, 14))
    after = node.ids()
    assert {key: after[key] for key in before} == before
    assert len(floors(node)) > 20
    is_kept(node)


# --- log 0 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["named", "group"])
def test_log_0_goes_with_the_strangers_only_if_no_log_of_the_device_is_wanted(how: str) -> None:
    device = Device(60, 60)
    writes(device, 3)
    writes(device, 3, GROUP)
    cares: dict[str, Any] = {"groups": {GROUP: material("a group", 16)}}
    if how == "named":
        cares = {"named": frozenset({(device.public, GROUP)})}
    node = node_with(CAP, **cares)
    node.hold_device(device)
    for number in range(70, 99):
        node.hold_device(stranger(number, 12))
    for number in range(100, 129):
        node.hold_device(stranger(number, 12))
    assert held(node, device) == []
    assert (held(node, device, IDENTITY), held(node, device, GROUP)) == ([1], [1, 2, 3])
    assert floors(node)[device.public, SOCIAL] == Floor(NEVER, REST_CLASS)
    is_kept(node)


def test_log_0_of_a_device_that_fills_a_group_goes_with_the_group_s_things() -> None:
    device, member = Device(60, 60), Device(61, 61)
    node = node_with(CAP, groups={GROUP: material("a group", 16)})
    writes(member, 10, GROUP)
    node.hold_device(member)
    writes(device, 1, GROUP)
    writes(device, 160, IDENTITY)
    node.hold_device(device)
    assert len(held(node, member, GROUP)) == 10
    assert not any(author == device.public for author, _ in node.holdings.catalogue.logs)
    assert set(floors(node).values()) == {Floor(NEVER, GROUP_CLASS)}
    is_kept(node)


def test_where_log_0_went_the_other_logs_are_known_to_be_detached() -> None:
    blocked = Device(60, 60)
    node = node_with(CAP, blocked=frozenset({blocked.person.signing.public}))
    writes(blocked, 5)
    node.hold_device(blocked)
    key, catalogue = (blocked.public, SOCIAL), node.holdings.catalogue
    assert catalogue.scope(key) is None
    node.absorb(Batch(floors={(blocked.public, IDENTITY): Floor(NEVER, REST_CLASS)}))
    assert catalogue.logs[key].joined is None
    assert catalogue.person(blocked.public) is None
    assert catalogue.scope(key) == b""
    assert key in list(catalogue.digest(b""))
    is_exact(node)
    anew = Node(1, store=node.store, blocked=node.policy.blocked).holdings.catalogue
    assert anew.standing(key) == catalogue.standing(key)
    assert anew.digest(b"").root() == catalogue.digest(b"").root()
