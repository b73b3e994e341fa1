"""Clocks that are ten years off: mail lives its seven days by elapsed time, whatever they show."""

from __future__ import annotations

import pytest

from gossip.envelope import MAX_LIFE_MIN
from gossip.sim.node import finished
from gossip.sim.workload import Letter, Post
from gossip.sim.world import Plan, World
from tests.gossip.sim.places import arrivals, place, ran

TEN_YEARS_MS = 3_652 * 86_400_000
LIFE = MAX_LIFE_MIN * 60.0
WRITER, CARRIER, READER, OTHER = range(4)
SENT = 1.0
TAKEN = 5.0
"""When the carrier has it: whole minutes of what is left go on with it."""
ENDS = TAKEN + LIFE - 60.0

signs = [-1, 0, 1]
wrong = pytest.mark.parametrize("reader", signs)
wrongly = pytest.mark.parametrize("carrier", signs)


def sent(meets: float, carrier: int, reader: int, writer: int = 0) -> World:
    """Have a carrier meet the reader at a moment, and somebody else after that."""
    errors = {WRITER: writer, CARRIER: carrier, READER: reader}
    plan = Plan(errors_ms={node: sign * TEN_YEARS_MS for node, sign in errors.items()})
    trace = place(
        4,
        (0.0, 20.0, WRITER, CARRIER),
        (meets - 5.0, meets + 5.0, CARRIER, READER),
        (LIFE + 500.0, LIFE + 520.0, CARRIER, OTHER),
    )
    world = World(trace, [], plan, [Letter(SENT, WRITER, READER)])
    world.run()
    return world


def carried(world: World, node: int) -> int:
    box = world.nodes[node].mailbox
    assert box is not None
    return len(box.mail.carried)


@wrong
@wrongly
@pytest.mark.parametrize("meets", [100.0, ENDS - 60.0])
def test_mail_arrives_within_its_life_whatever_clocks_show(
    reader: int, carrier: int, meets: float
) -> None:
    for writer in signs:
        assert sent(meets, carrier, reader, writer).received == {0: meets}


@wrong
@wrongly
def test_mail_that_has_lived_seven_days_arrives_no_more(reader: int, carrier: int) -> None:
    world = sent(ENDS + 60.0, carrier, reader)
    assert world.received == {}
    assert carried(world, READER) == carried(world, OTHER) == 0


@wrongly
def test_a_carrier_lets_mail_go_after_its_life_and_not_before(carrier: int) -> None:
    """Nobody reads it; the carrier looks through its mail when it meets somebody."""
    for meets, left in ((ENDS - 60.0, 1), (ENDS + 120.0, 0)):
        plan = Plan(errors_ms={CARRIER: carrier * TEN_YEARS_MS})
        trace = place(4, (0.0, 20.0, WRITER, CARRIER), (meets - 5.0, meets + 5.0, CARRIER, OTHER))
        world = World(trace, [], plan, [Letter(SENT, WRITER, READER)])
        world.run()
        assert carried(world, CARRIER) == left
        assert carried(world, OTHER) == left


@wrong
def test_after_a_night_s_sleep_a_wrong_clock_still_counts_the_same_life(reader: int) -> None:
    """Carrier and reader are switched off for a day; the carrier's clock is ten years off."""
    night = [(LIFE / 3, LIFE / 2)]
    errors = {CARRIER: TEN_YEARS_MS, READER: reader * TEN_YEARS_MS}
    for meets, came in ((ENDS - 60.0, True), (ENDS + 60.0, False)):
        trace = place(3, (0.0, 20.0, WRITER, CARRIER), (meets - 5.0, meets + 5.0, CARRIER, READER))
        plan = Plan(errors_ms=errors, asleep={CARRIER: night, READER: night})
        world = World(trace, [], plan, [Letter(SENT, WRITER, READER)])
        world.run()
        assert (world.received == {0: meets}) is came


@wrong
def test_posts_of_a_node_ten_years_off_arrive_and_are_shown_as_seen_by_whoever_reads(
    reader: int,
) -> None:
    errors = {0: 10 * reader * TEN_YEARS_MS, 1: reader * TEN_YEARS_MS}
    world = ran(place(2, (0.0, 60.0, 0, 1)), [Post(30.0, 0)], Plan(errors_ms=errors))
    assert arrivals(world) == {(0, 1): 30.0}
    seen = [finished(node._store.arrivals())[0].seen for node in world.nodes]
    assert seen[0] - seen[1] == 9 * reader * TEN_YEARS_MS
