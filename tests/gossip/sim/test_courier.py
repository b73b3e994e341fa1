"""Two groups and one courier, and a city that loses somebody: goals C5 and no single point."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest

from gossip.sim.air import Air
from gossip.sim.city import City, draw_city
from gossip.sim.node import finished
from gossip.sim.scenario import Scenario, simulate
from gossip.sim.trace import Trace
from gossip.sim.workload import Letter
from gossip.sim.world import Plan, World
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from tests.gossip.sim.places import give, place, shape
from tests.gossip.worlds import SECRET
from tests.strategies import GROUP, SOCIAL, Device, make_body

if TYPE_CHECKING:
    from gossip.sim.node import Node

GROUP_OF = 20
COURIER = 2 * GROUP_OF
HEADS = (0, GROUP_OF)
"""Whom of each group the courier meets; from there on it is the group's own affair."""
CIRCLE, COUNCIL, CROWD = 5, 2, 20
"""Authors on each side whom all follow, who write in the group that all belong to, and others."""
BLOCKS = 10_000
STAY = 30.0
RATE = 50_000.0
LETTERS = 10


@cache
def side_of(which: int) -> tuple[list[Device], list[Device], list[Device], list[Device]]:
    """Return a group's authors: of the circle, of the council, all others, and a forked two."""
    first = 1_000 * (1 + which)
    numbers = [first + one for one in range(CIRCLE + COUNCIL + CROWD)]
    made = [Device(number, number) for number in numbers]
    body = [make_body("hello", None, [], bytes(300), time=one) for one in range(200)]
    each = [(200, SOCIAL)] * CIRCLE + [(150, GROUP)] * COUNCIL + [(184, SOCIAL)] * CROWD
    for device, (count, log) in zip(made, each, strict=True):
        for said in body[:count]:
            device.write(body=said, log=log)
    forked = Device(first + 500, first + 500)
    forked.write_many(2)
    twin = forked.twin()
    forked.write("this")
    twin.write("that")
    circle, council = made[:CIRCLE], made[CIRCLE : CIRCLE + COUNCIL]
    return circle, council, made[CIRCLE + COUNCIL :], [forked, twin]


def revoked(which: int) -> Revocation:
    device = side_of(which)[0][0]
    last = device.logs[SOCIAL][-1]
    return Revocation.sign(device.person, device.public, [Cut(SOCIAL, 200, last.id)])


def settle(node: Node, which: int | None) -> None:
    """Have a node care about all that its group does, and hold it."""
    both = [device for side in (0, 1) for device in side_of(side)[0]]
    followed = frozenset(device.person.signing.public for device in both)
    shape(node, followed=followed, groups={GROUP: SECRET})
    if which is None:
        return
    for devices in side_of(which):
        give(node, *devices)
    node.keep(Batch(revocations=[revoked(which)]), 0.0)


def travelled(visits: int) -> World:
    """Have the courier go to and fro between the groups."""
    rows = []
    for at in range(visits):
        start = 2_000.0 * at
        rows += [(start, start + 5 + STAY, HEADS[0], COURIER)]
        rows += [(start + 1_000, start + 1_005 + STAY, HEADS[1], COURIER)]
    letters = [Letter(0.0, *pair) for pair in (HEADS, HEADS[::-1]) for _ in range(LETTERS)]
    world = World(place(COURIER + 1, *rows), [], Plan(air=Air(rate=RATE)), letters)
    for head, which in zip(HEADS, (0, 1), strict=True):
        settle(world.nodes[head], which)
    settle(world.nodes[COURIER], None)
    world.run()
    return world


def lacking(node: Node, which: int) -> int:
    """Return how many blocks of classes 2 and 3 of a group are not at ``node``."""
    circle, council, _, _ = side_of(which)
    wanted = {(d.public, SOCIAL): 200 for d in circle} | {(d.public, GROUP): 150 for d in council}
    held = node.held()
    return sum(count - held.get(key, 0) for key, count in wanted.items())


def test_all_of_classes_0_to_3_is_across_in_two_visits_of_one_courier() -> None:
    """10,000 blocks, of which one visit cannot bring all; what matters comes, both ways."""
    world = travelled(2)
    there, here = (world.nodes[head] for head in HEADS)
    blocks = sum(sum(n.held().values()) for n in (travelled(0).nodes[head] for head in HEADS))
    assert blocks >= BLOCKS
    for node, other in ((here, 0), (there, 1)):
        fork = side_of(other)[3][0].public
        assert node.shelf.catalogue.logs[fork, SOCIAL].fork == 3
        assert revoked(other) in finished(node._store.revocations())
        assert lacking(node, other) == 0
    assert len(world.received) == 2 * LETTERS


def test_after_one_visit_what_the_second_group_says_is_still_on_its_way() -> None:
    world = travelled(1)
    there, here = (world.nodes[head] for head in HEADS)
    assert lacking(here, 0) == 0
    assert lacking(there, 1) > 0
    crowd = [(device.public, SOCIAL) for device in side_of(0)[2]]
    assert 0 < sum(here.held().get(key, 0) for key in crowd) < CROWD * 184


# --- a city without one of its people -----------------------------------------------------------

PEOPLE = 30


def without(trace: Trace, gone: int) -> Trace:
    contacts = [c for c in trace.contacts if gone not in (c.left, c.right)]
    return Trace(trace.names, tuple(contacts))


def shares(asked: Scenario, days: float, contacts: float) -> list[float]:
    """Return what is delivered of what can be, without each of all people in turn."""
    trace = draw_city(City(PEOPLE, days, contacts), Random("city"))
    found = []
    for gone in range(PEOPLE):
        report = simulate(without(trace, gone), asked)
        assert report.mail is not None
        for spread in (report.posts, report.mail):
            found += [one for one in spread.ratios.values() if one is not None]
    return found


def test_without_any_one_of_thirty_people_the_others_get_what_can_be_had() -> None:
    found = shares(Scenario(seed=1, posts=12, mail=10, rate=20_000.0, latency=0.05), 0.5, 6.0)
    assert min(found) >= 0.95


@pytest.mark.soak
def test_without_any_one_of_thirty_people_a_whole_day_goes_on_as_well() -> None:
    found = shares(Scenario(seed=2, posts=60, mail=60, rate=20_000.0, latency=0.05), 1.0, 50.0)
    assert min(found) >= 0.95
