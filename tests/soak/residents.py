"""Nodes that run in houses whose stores outlive them, and roads between them that can go silent.

All of a node is real but its disk; it runs as ``mesh.daemon.run_node`` has it run.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from mesh.daemon import Reception, _settle, keep_in_touch
from mesh.tasks import Tasks
from mesh.visits import END_S
from tests.gossip.held import WHEN
from tests.mesh.neighbours import Neighbour, Wire
from transports.base import LinkError
from transports.gate import Entry, GateLimits

if TYPE_CHECKING:
    from random import Random

    from ledger.store.memory import MemoryStore
    from mesh.direct import DirectPort

GATE: Final = GateLimits(half_open=16, links=60, links_each=20, remembered=64)
"""So small that every bound is reached."""


class Road(Wire):
    """One end of a link that can also be left without a word, as by walking away.

    Attributes:
        far: The other end.
    """

    far: Road

    @override
    async def close(self) -> None:
        if self.is_dead:
            self._link._end.finish("this side closed the link")
        else:
            await self._link.close()

    @override
    def cut(self, why: str) -> None:
        if self.is_dead:
            self._link._end.finish(why)
        else:
            self._link.cut()

    @property
    def is_over(self) -> bool:
        """Whether both ends know that it is gone."""
        return self._link._end.gone is not None and self._link._far.gone is not None

    def fall_silent(self) -> None:
        """Let nothing pass any more, and nobody know."""
        self.is_dead = self.far.is_dead = True

    def jam(self) -> None:
        """Let nobody read at the other side, nor hear what comes from there."""
        self.is_full = self.far.is_dead = True


class Resident(Neighbour):
    """A node that runs, as ``mesh.daemon.run_node`` has it run.

    Attributes:
        reception: Lets in whoever dials it.
        deeds: What its person is doing with it.
    """

    def __init__(self, number: int, store: MemoryStore, dice: Random) -> None:
        super().__init__(number, store=store, dice=dice)
        self.dice = dice
        self.reception = Reception(self.peers, GATE)
        self.deeds = Tasks()
        self.running = Tasks()
        self._secrets = self.node.secrets

    @override
    def _now(self) -> int:
        return WHEN + int(asyncio.get_running_loop().time() * 1_000)

    def run(self, keeps: list[str]) -> None:
        """Do what a node does by itself."""
        for place in keeps:
            self.running.begin(keep_in_touch(self.port.visits, place, self.dice))
        self.running.begin(_settle(self.port))
        self.running.begin(_look_on(self.port))

    @property
    def roads(self) -> list[Road]:
        """This end of each link."""
        ends = [*self.port.visits._links, *self.reception._links]
        assert all(isinstance(one, Road) for one in ends)
        return ends  # type: ignore[return-value]

    def take_in(self, road: Road, address: str) -> None:
        """Welcome a link as a listener hands it over; raises LinkError if the gate refuses."""
        entry = self.reception._gate.admit(address, asyncio.get_running_loop().time())
        if not isinstance(entry, Entry):
            raise LinkError(entry.value)
        self.reception._links[road] = entry  # type: ignore[index]
        self.reception._tasks.begin(self._welcome(road, entry))

    async def _welcome(self, road: Road, entry: Entry) -> None:
        try:
            await self.reception._welcome(road, entry)  # type: ignore[arg-type]
        finally:
            self.reception._gate.left(entry)

    async def unlock(self) -> None:
        """Use the keys again, as a passphrase would have it."""
        async with self.node._turning:
            self.node._secrets = self._secrets
            self.node.writer.unlock(self._secrets.keys.signing)
            self.node._turned.tell()

    async def stop(self) -> None:
        """End in order, as ``run_node`` does."""
        await self.deeds.cancel()
        await self.reception.close()
        await self.peers.end(END_S)
        self.port.visits.cut()
        await asyncio.gather(
            self.reception.finish(), self.port.visits.finish(), self.running.cancel()
        )
        await self.node.writer.close()

    async def clear(self) -> None:
        """Take away what a process leaves that was killed: nothing of it reaches anybody."""
        for tasks in (self.deeds, self.running, self.port.visits._tasks, self.reception._tasks):
            await tasks.cancel()
        await self.peers.end(0)
        await self.node.writer.close()


async def _look_on(port: DirectPort) -> None:
    """Watch what changes, as a face does."""
    async for _ in port.changes():
        await asyncio.sleep(1)


@dataclass(eq=False)
class House:
    """Where somebody lives.

    Attributes:
        number: Of the device and the person.
        place: Its address.
        keeps: With whom it keeps in touch by itself.
        store: What is kept while nothing runs.
        inside: The node, while it runs.
        lives: How many nodes have run here.
    """

    number: int
    place: str
    keeps: list[str]
    store: MemoryStore
    inside: Resident | None = None
    lives: int = 0
