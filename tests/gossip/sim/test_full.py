"""Full buffers side by side (P12): what went is not taken back, so they come to an end.

A node takes every item at most once, whoever offers it and however often: of two nodes an item
goes over the air once at most, of three twice. What is counted are whole items, each time that a
node was given one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.mail_room import MailLimits
from gossip.policy import Quota
from gossip.sim.mailbox import Sealed
from gossip.sim.workload import Letter
from gossip.sim.world import Plan, World
from ledger.store.base import MailWhat
from tests.gossip.sim.places import deposit, give, place, shape
from tests.gossip.worlds import part
from tests.strategies import Device, material

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.effects import Keep
    from gossip.sim.node import Node
    from gossip.sim.trace import Trace
    from ledger.store.base import Absorbed

DAY = 86_400.0
NOBODY = [Letter(2 * DAY, 0, 1)]
"""Never sent: a world without letters carries no mail."""
CAP = 60_000
links = pytest.mark.parametrize(
    ("live", "again"),
    [(True, 60.0), (False, 1_800.0)],
    ids=["one long link", "a link every half hour"],
)
company = pytest.mark.parametrize("nodes", [2, 3], ids=["two", "three"])


class Fed(World):
    """A world that counts what each node is given, and looks whether it keeps within its bounds.

    Attributes:
        envelopes: How often each node was given each envelope.
        blocks: How often each node was given each block.
        latest: When anything was given last.
    """

    def __init__(self, trace: Trace, plan: Plan) -> None:
        super().__init__(trace, [], plan, NOBODY)
        self.envelopes: Counter[tuple[int, bytes]] = Counter()
        self.blocks: Counter[tuple[int, bytes]] = Counter()
        self.latest = 0.0

    @override
    def _kept(self, node: Node, effect: Keep) -> Absorbed:
        batch = effect.batch
        came = [row.ident for row in batch.mail if row.what is MailWhat.CARRIED and row.content]
        written = [block.id for run in batch.runs for block in run.blocks]
        self.envelopes.update((node.number, ident) for ident in came)
        self.blocks.update((node.number, ident) for ident in written)
        self.latest = self._agenda.now if came or written else self.latest
        absorbed = super()._kept(node, effect)
        is_within(node)
        return absorbed


def is_within(node: Node) -> None:
    """See that a node holds no more than it may (P8)."""
    quota = node.policy.quota
    assert node.shelf.catalogue.bytes <= quota.high_mark
    if node.mailbox is None:
        return
    mail, limits = node.mailbox.mail, node.mailbox.mail.limits
    foreign = [one for one in mail.carried.values() if one.depositor != mail.own]
    assert len(foreign) <= limits.envelopes
    assert sum(one.size for one in foreign) <= limits.bytes
    assert max(len(mail.gone), len(mail.tokens)) <= limits.memory


def beside(nodes: int, plan: Plan, fill: Callable[[Node], None]) -> Fed:
    """Let nodes that are filled be near one another for a day."""
    trace = place(nodes, *((0.0, DAY, a, b) for a, b in combinations(range(nodes), 2)))
    world = Fed(trace, plan)
    for node in world.nodes:
        fill(node)
        is_within(node)
    world.run()
    return world


def fill_with_mail(node: Node) -> None:
    for number in range(60):
        sealed = Sealed.of(99, 100 * node.number + number, 300)
        by = material(f"of {node.number}: {number % 3}")
        deposit(node, sealed, by, 2_000 + 7 * number % 100)


def fill_with_blocks(node: Node) -> None:
    shape(node, quota=Quota(cap=CAP))
    for number in range(20):
        author = Device(100 + 20 * node.number + number, 100 + 20 * node.number + number)
        author.write_many(10)
        give(node, author)


def most(given: Counter[tuple[int, bytes]]) -> int:
    """Return how often the item that went over the air most did."""
    times: Counter[bytes] = Counter()
    for (_, item), count in given.items():
        times[item] += count
    return max(times.values(), default=0)


@links
@company
def test_full_nodes_do_not_feed_each_other_mail_for_ever(
    nodes: int,
    live: bool,  # noqa: FBT001
    again: float,
) -> None:
    plan = Plan(live=live, again=again, mail=MailLimits(envelopes=20, memory=200))
    world = beside(nodes, plan, fill_with_mail)
    assert world.envelopes
    assert set(world.envelopes.values()) == {1}
    assert most(world.envelopes) <= nodes - 1
    assert world.latest < DAY / 4
    passed = world.first.envelopes + world.later.envelopes
    assert sum(world.envelopes.values()) <= passed <= 60 * nodes * (nodes - 1)


@links
@company
def test_full_nodes_do_not_feed_each_other_blocks_for_ever(
    nodes: int,
    live: bool,  # noqa: FBT001
    again: float,
) -> None:
    world = beside(nodes, Plan(live=live, again=again), fill_with_blocks)
    assert world.blocks
    assert set(world.blocks.values()) == {1}
    assert most(world.blocks) <= nodes - 1
    assert world.first.blocks + world.later.blocks == sum(world.blocks.values())
    held = {len(node.shelf.catalogue.logs) for node in world.nodes}
    assert min(held) > 10


@part(4)
@given(st.integers(0, 1 << 32), st.integers(2, 4))
@example(4, 3)
@example(4, 4)
@example(86_400_000, 3)
def test_no_envelope_is_taken_often_whatever_buffers_are_like(seed: int, nodes: int) -> None:
    """Any shares, lives and depositors; some hold the same letters, and one is switched off.

    Once a node may take it in vain, where there is no room and one is drawn, and once to carry it.
    """
    dice = Random(seed)
    room = dice.randint(4, 20)
    pool = [Sealed.of(seed, number, 100) for number in range(3 * room)]
    share, strangers = dice.choice([0.1, 0.3, 0.5]), dice.choice([0.1, 0.5])
    limits = MailLimits(envelopes=room, share=share, strangers=strangers, memory=200)
    plan = Plan(live=False, again=7_200.0, strangers=dice.random() < 0.4, mail=limits)
    plan = replace(plan, asleep={0: [(DAY / 3, DAY / 2)]})
    event("strangers", plan.strangers)

    def fill(node: Node) -> None:
        known = [material(f"of {node.number}: {one}") for one in range(dice.randint(1, 6))]
        for sealed in dice.sample(pool, 2 * room):
            deposit(node, sealed, dice.choice(known), dice.randint(300, 3_000))

    world = beside(nodes, plan, fill)
    event("most", most(world.envelopes))
    assert max(world.envelopes.values(), default=0) <= 2
    assert most(world.envelopes) <= 2 * (nodes - 1)
