"""Twenty nodes in a mesh full of cycles, all meetings open, people writing."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from gossip.session import State
from ledger.store.base import Batch
from mesh.meeting import Meeting
from tests.gossip.meetings import Node
from tests.strategies import run_of
from tests.virtual_time import run_virtual
from transports.memory import MemoryLink

NODES = 20
EDGES = 40
POSTS = 16


@dataclass
class Mesh:
    """Nodes, and the meetings that are open between them."""

    nodes: list[Node]
    links: list[MemoryLink] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)

    def join(self, left: Node, right: Node, dice: Random, group: asyncio.TaskGroup) -> None:
        here, there = MemoryLink.pair(latency=dice.uniform(0.005, 0.1), bandwidth=100_000)
        binding = dice.randbytes(32)
        self.links.append(here)
        for node, peer, link in ((left, right.peer, here), (right, left.peer, there)):
            held = node.holdings
            one = Meeting(
                link,
                held,
                held,
                clock=lambda: 0,
                binding=binding,
                is_initiator=link is here,
                secret=bytes(32),
                peer=peer,
            )
            self.meetings.append(one)
            group.create_task(one.hold())

    async def write(self, node: Node, text: str) -> None:
        blocks = (
            [] if (node.device.public, 0) in node.holdings.catalogue.logs else [node.device.root]
        )
        for block in [*blocks, node.device.write(text)]:
            await node.holdings.absorb(Batch(runs=[run_of([block])]), seen=0, durable=True)

    def copies(self) -> float:
        """How often a block travelled to a node that did not write it, on average."""
        held = sum(map(len, self.nodes[0].ids().values()))
        came = sum(one.session.counts.blocks_in for one in self.meetings)
        return came / (held * (len(self.nodes) - 1))


def edges(dice: Random) -> list[tuple[int, int]]:
    """A ring and as many chords: every node in many cycles, connected without any one edge."""
    found = {(number, (number + 1) % NODES) for number in range(NODES)}
    while len(found) < EDGES:
        left, right = sorted(dice.sample(range(NODES), 2))
        if (right, left) not in found:
            found.add((left, right))
    return sorted(found)


async def live(seed: int, dies: int | None) -> Mesh:
    """Let people write for half a minute; in the middle, while a post travels, a link dies."""
    dice = Random(seed)
    mesh = Mesh([Node(number, live=True) for number in range(NODES)])
    async with asyncio.TaskGroup() as group:
        for left, right in edges(dice):
            mesh.join(mesh.nodes[left], mesh.nodes[right], dice, group)
        await asyncio.sleep(2)
        for number in range(POSTS):
            await mesh.write(dice.choice(mesh.nodes), f"post {number} " * 10)
            if number == POSTS // 2 and dies is not None:
                await asyncio.sleep(0.03)
                mesh.links[dies].cut()
            await asyncio.sleep(dice.uniform(0, 1))
        await asyncio.sleep(20)
        states = [one.session.state for one in mesh.meetings]
        assert states.count(State.LIVE) == len(states) - (2 if dies is not None else 0)
        for link in mesh.links:
            await link.close()
    return mesh


def assert_all_hold_the_same(mesh: Mesh) -> None:
    first, *others = [node.ids() for node in mesh.nodes]
    assert all(other == first for other in others)
    written = {
        block.id for node in mesh.nodes for log in node.device.logs.values() for block in log
    }
    assert {ident for ids in first.values() for ident in ids} <= written
    assert sum(
        len(log)
        for node in mesh.nodes
        for log in node.device.logs.values()
        if len(node.device.logs) > 1
    ) == (sum(map(len, first.values())))


@pytest.mark.parametrize("seed", range(3))
def test_in_a_live_mesh_a_block_reaches_every_node_about_once(seed: int) -> None:
    mesh, _ = run_virtual(live(seed, None))
    assert_all_hold_the_same(mesh)
    assert mesh.copies() <= 1.3


@pytest.mark.parametrize("dies", range(EDGES))
def test_nothing_is_missing_when_any_link_dies_while_a_post_travels(dies: int) -> None:
    mesh, _ = run_virtual(live(dies, dies))
    assert_all_hold_the_same(mesh)
    assert mesh.copies() <= 1.3
