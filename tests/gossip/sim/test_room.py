"""A simulated node keeps its cap as any other does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossip.mail_room import MailLimits
from gossip.policy import Quota
from gossip.sim.commons import Commons
from gossip.sim.node import Identity, Node
from ledger.store.base import Batch
from tests.gossip.test_room import stranger, writes
from tests.strategies import SOCIAL, Device, forked, run_of

CAP = 30_000


def small_node(**wants: object) -> Node:
    """Return a node that may hold ``CAP`` bytes."""
    commons = Commons()
    node = Node(0, 1, Identity.of(1, 0), commons, mail=MailLimits(), **wants)  # type: ignore[arg-type]
    node.policy = replace(node.policy, quota=Quota(CAP))
    node.restart()
    return node


def take(node: Node, device: Device) -> None:
    runs = [run_of(blocks) for _, blocks in sorted(device.logs.items())]
    node.keep(Batch(runs=runs), 0.0)
    assert node.shelf.room.used <= node.policy.quota.high_mark


def test_of_strangers_some_go_and_it_goes_on() -> None:
    node = small_node()
    for number in range(60, 80):
        take(node, stranger(number, 6))
    held = {author for author, _ in node.held()}
    assert 2 <= len(held) < 12
    assert node.policy.device in held


def test_what_came_before_a_crash_and_should_have_gone_goes_as_it_starts_again() -> None:
    node = small_node(may_crash=True)
    devices = [stranger(number, 6) for number in range(60, 80)]
    for at, device in enumerate(devices):
        runs = [run_of(blocks) for _, blocks in sorted(device.logs.items())]
        node.keep(Batch(runs=runs), 0.0, durable=at == len(devices) - 1)
    kept = node.held()
    node.crash()
    node.restart()
    assert node.shelf.room.used <= node.policy.quota.high_mark
    assert node.policy.device in {author for author, _ in node.held()}
    assert node.held() != kept


def test_of_those_it_wants_what_they_wrote_too_much_goes() -> None:
    friend = Device(50, 50)
    node = small_node(wants=[friend.public])
    writes(friend, 100)
    take(node, friend)
    assert 0 < node.held()[friend.public, SOCIAL] < 100
    assert node.held()[friend.public, 0] == 1


def test_a_log_that_two_nodes_hold_takes_what_it_takes_at_each() -> None:
    left, right = forked(1, 3, 1, number=60)
    commons = Commons()
    nodes = [Node(n, 1, Identity.of(1, n), commons) for n in range(2)]
    for node, more in zip(nodes, ((left, right), (left[:1], right)), strict=True):
        node.keep(Batch(runs=[run_of(Device(60).logs[0]), *map(run_of, more)]), 0.0)
    key = (Device(60).public, SOCIAL)
    whole, part = (node.shelf.catalogue.logs[key] for node in nodes)
    assert whole == part
    assert whole.bytes > part.bytes > 0


@pytest.mark.parametrize("cap", [100_000, 1 << 30])
def test_how_much_mail_it_carries_follows_from_its_quota(cap: int) -> None:
    assert MailLimits().bytes == Quota().mail_bytes
    assert Quota(cap).mail_bytes == cap // 10
    node = small_node()
    assert node.mailbox is not None
    assert node.mailbox.mail.limits.bytes == Quota().mail_bytes
