"""A town whose nodes come and go for hours: in the end all hold the same, and nothing has grown.

Looked at when all is quiet: everybody is there and linked in a ring, and all that was written has
come to everybody. Then it is known exactly what there has to be, hour after hour.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from ledger.store.base import MAX_RUNS
from mesh import visits
from tests.soak import census
from tests.soak.residents import GATE
from tests.soak.town import Rates, Town
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections import Counter

log: Final = logging.getLogger("soak")
FRIENDS: Final = 3
"""On either side, of everybody."""
MAX_ADDRESSES: Final = 4
LOG_BYTES: Final = 640
"""Of a log a node may have the newest that it knows in mind twice: as it was read, and as it became
since. That may take so much besides what the store has of it."""
BLOCK_BYTES: Final = 1_280
"""What a block of some 300 bytes takes in a store in memory, with all that is known about it."""
A_NODE: Final = (
    *("mesh.node.Node", "mesh.direct.DirectPort", "mesh.peers.Peers", "mesh.visits.Visits"),
    *("mesh.daemon.Reception", "mesh.inventory.Inventory", "mesh.holdings.Holdings"),
    *("mesh.mailbag.Mailbag", "mesh.writer.Writer", "mesh.news._Watcher", "gossip.mail.Mail"),
    *("mesh.acquaintances.Acquaintances", "mesh.tickets.KeptTickets", "mesh.strangers.Strangers"),
    *("gossip.catalogue.Catalogue", "transports.gate.Gate"),
)
"""What there is one of in a node that runs."""
A_MEETING: Final = (
    *("mesh.presence.Presence", "mesh.meeting.Meeting", "gossip.session.Session"),
    *("transports.secure_link.SecureLink", "transports.stream_session.StreamSession"),
    *("transports.memory.MemoryLink", "gossip.pulling.Pulling", "gossip.serving.Serving"),
)
"""What there is one of at either end of a link."""
BOUNDED: Final = (
    *("transports.gate._Visitor", "transports.tickets.Ticket", "mesh.tickets._Held"),
    *("gossip.strangers._Hour", "mesh.register._Came", "ledger.store.base.Span"),
)
"""What is remembered up to a bound, and so not always the same."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was at one moment.

    Attributes:
        hours: When.
        tasks: Of asyncio.
        due: How many there have to be.
        nodes, ends, blocks: Nodes that run, ends of links, blocks in all stores together.
        objects: Of each type of ours.
        stores: Bytes of all objects of the stores.
        rest: Bytes of all objects but those of the stores.
    """

    hours: float
    tasks: int
    due: int
    nodes: int
    ends: int
    blocks: int
    objects: Counter[str]
    stores: int
    rest: int

    def row(self) -> str:
        """Return it as a line of a table."""
        ours = sum(self.objects.values())
        return (
            f"{self.hours:6.1f} h {self.nodes:4} nodes {self.ends:4} ends {self.tasks:5} tasks"
            f" {self.blocks:7} blocks {ours:7} objects {self.stores:10} B stores"
            f" {self.rest:10} B rest"
        )


@pytest.fixture(autouse=True)
def _few_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "MAX_ADDRESSES", MAX_ADDRESSES)


@pytest.fixture(autouse=True)
def _nobody_remembers(caplog: pytest.LogCaptureFixture) -> None:
    """Keep no record of what is said in passing: what went wrong holds on to whom it happened."""
    caplog.set_level(logging.INFO, log.name)
    caplog.set_level(logging.WARNING, "passalong")


async def look(town: Town, before: Counter[str]) -> Sample:
    """Take a sample while all is quiet; what was there ``before`` does not count."""
    residents = town.residents()
    stores = [one.node.store._has for one in residents]  # type: ignore[attr-defined]
    ends = sum(len(one.peers) for one in residents)
    assert ends == 2 * len(town.live_roads())
    census.sweep()
    weight, objects = census.weight(*stores), census.objects()
    objects.subtract(before)
    return Sample(
        asyncio.get_running_loop().time() / 3_600,
        len(asyncio.all_tasks()),
        1 + _tasks_due(town),
        len(residents),
        ends,
        sum(len(log) for store in stores for log in store.blocks.values()),
        objects,
        weight,
        census.whole() - weight,
    )


def _tasks_due(town: Town) -> int:
    """Return how many tasks there have to be, from what the owners of tasks say they do.

    A meeting has one at either end, which holds it: of whoever welcomes, visits, or keeps in
    touch. A node has one that settles its mail, and one that looks on.
    """
    keeping = sum(len(house.keeps) for house in town.houses)
    ends = sum(len(one.peers) for one in town.residents())
    holding = sum(
        len(one.reception._tasks) + len(one.port.visits._tasks) for one in town.residents()
    )
    assert holding + keeping == ends
    return ends + 2 * len(town.houses)


async def assert_all_hold_the_same(town: Town) -> None:
    first, *others = [await one.ids() for one in town.residents()]
    assert all(one == first for one in others)
    assert town.done.written <= first
    assert len(first) == len(town.houses) + len(town.done.written)


async def assert_bounds_hold(town: Town) -> None:
    for one in town.residents():
        assert one.reception._gate.remembered <= GATE.remembered
        assert one.reception._gate.links == len(one.reception._links)
        assert not one.reception._gate.half_open
        assert not len(one.peers._strangers)
        assert len(await one.port.visits._met_at()) <= MAX_ADDRESSES
        assert len(one.peers._tickets._held) <= 2 * FRIENDS  # type: ignore[union-attr]
        assert len(await one.node.store.runs()) <= MAX_RUNS


async def live(town: Town, samples: int, seconds: float) -> list[Sample]:
    """Let the town live, and look at it so many times."""
    taken: list[Sample] = []
    census.sweep()
    before = census.objects()
    await town.open()
    for _ in range(samples):
        await town.churn(seconds)
        await town.calm()
        await assert_all_hold_the_same(town)
        await assert_bounds_hold(town)
        taken.append(await look(town, before))
        log.info("%s", taken[-1].row())
        town.stir()
    await town.close()
    assert len(asyncio.all_tasks()) == 1
    return taken


def assert_nothing_grows(taken: list[Sample]) -> None:
    first, *_ = taken
    for one in taken:
        count, logs = one.objects, 2 * one.nodes * one.nodes
        assert one.tasks == one.due == first.tasks
        assert {kind: count[kind] for kind in A_NODE} == dict.fromkeys(A_NODE, one.nodes)
        assert {kind: count[kind] for kind in A_MEETING} == dict.fromkeys(A_MEETING, one.ends)
        assert count["ledger.block.Block"] == one.blocks
        assert count["ledger.chain.Log"] <= 2 * logs
        assert count["transports.gate._Visitor"] <= one.nodes * (GATE.remembered + 1)
        assert count["mesh.tickets._Held"] <= one.nodes * 2 * FRIENDS
        assert count["transports.tickets.Ticket"] <= 2 * one.nodes * 2 * FRIENDS
        assert count["gossip.strangers._Hour"] <= one.nodes * (2 * FRIENDS + 1)
        assert _others(one) == _others(first)
        assert one.rest - first.rest <= one.nodes * 2 * one.nodes * LOG_BYTES


def _others(sample: Sample) -> dict[str, int]:
    """Return what there must be the same number of, however much is stored."""
    return {
        kind: count
        for kind, count in sample.objects.items()
        if not kind.startswith("ledger.") and kind not in BOUNDED
    }


def test_what_comes_and_goes_for_hours_leaves_nothing_and_all_hold_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rates = Rates(
        visit=300, post=1_200, stop=1_800, kill=1_800, start=600, lock=1_800, stranger=300
    )
    town = Town(monkeypatch, 1, 10, friends=FRIENDS, pubs=5, rates=rates)
    taken, _ = run_virtual(live(town, 3, 3_600))
    assert_nothing_grows(taken)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    done = town.done
    assert min(done.visits, done.breaks, done.hostile, len(done.written)) > 25
    assert min(done.stops, done.kills, done.locks) > 5


@pytest.mark.soak
def test_a_day_in_a_town_of_a_hundred(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rates = Rates(visit=600, stranger=1_800, break_=600)
    town = Town(monkeypatch, 1, 100, friends=FRIENDS, rates=rates)
    taken, seconds = run_virtual(live(town, 4, 6 * 3_600))
    assert seconds > 24 * 3_600
    assert_nothing_grows(taken)
    first, *_, last = taken
    assert last.blocks - first.blocks > 30_000
    assert last.stores - first.stores <= BLOCK_BYTES * (last.blocks - first.blocks)
    assert last.rest - first.rest <= BLOCK_BYTES // 20 * (last.blocks - first.blocks)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
