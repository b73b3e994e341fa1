"""A town of nodes that come and go, on links that break: all of it real but the disk and the air.

Time is virtual and everything is drawn from one seed. A house keeps its store from one life of its
node to the next; a node that is killed has no moment to put anything in order.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from ledger.store.memory import MemoryStore
from mesh.port import PortError
from mesh.tasks import Tasks
from tests.mesh.neighbours import Neighbour, Street, Wire, link_of
from tests.soak.residents import House, Resident, Road
from transports.base import LinkError
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets

if TYPE_CHECKING:
    import pytest

    from transports.secure import SecureLink

SILENCE_S: Final = 120.0
"""After so long nothing is left of a link whose other side is out of reach."""


@dataclass
class Rates:
    """How often things happen, as the mean seconds between two; of each house, or link."""

    visit: float = 1_800
    post: float = 7_200
    stop: float = 7_200
    kill: float = 7_200
    start: float = 1_800
    lock: float = 14_400
    unlock: float = 1_200
    stranger: float = 3_600
    break_: float = 900
    tick: float = 10


@dataclass
class Deeds:
    """How often things were done."""

    visits: int = 0
    failed: int = 0
    refused: int = 0
    stops: int = 0
    kills: int = 0
    locks: int = 0
    breaks: int = 0
    hostile: int = 0
    written: set[bytes] = field(default_factory=set, repr=False)


class Town(Street):
    """Houses in which nodes come and go.

    Args:
        seed: Decides everything.
        many: Houses.
        friends: How many on either side each has added.
        pubs: Every so many-th node never stops, and is never locked.

    Attributes:
        houses: All.
        done: What happened.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        seed: int,
        many: int,
        *,
        friends: int = 3,
        pubs: int = 10,
        rates: Rates | None = None,
    ) -> None:
        super().__init__(monkeypatch)
        self.dice = Random(seed)
        self.rates = rates or Rates()
        self.done = Deeds()
        self.strangers = Tasks()
        self._friends = friends
        self._pubs = pubs
        self._is_calm = False
        self.houses = [self._build(number, many) for number in range(many)]

    def _build(self, number: int, many: int) -> House:
        beside = (number + 1) % many
        keeps = [_place(beside)] if number % 4 == 0 else []
        return House(number, _place(number), keeps, MemoryStore())

    # --- lives ---

    async def open(self) -> None:
        """Let everybody found a home, write once and add his friends; nobody is linked yet."""
        for house in self.houses:
            await self.start(house)
        many = len(self.houses)
        for house in self.houses:
            assert house.inside is not None
            await self.post(house.inside)
            for step in range(1, self._friends + 1):
                for number in ((house.number + step) % many, (house.number - step) % many):
                    await house.inside.port.add_contact(link_of(number, number).encode())

    def is_pub(self, house: House) -> bool:
        return house.number % self._pubs == 0

    async def start(self, house: House) -> None:
        """Let a node run on what the house keeps."""
        house.lives += 1
        dice = Random(self.dice.random())
        store = house.store.copy(new_run=lambda: dice.randbytes(8))
        house.inside = resident = Resident(house.number, store, dice)
        self.who[house.place] = await resident.begin()
        resident.run(house.keeps)

    async def stop(self, house: House) -> None:
        """Let a node end in order."""
        if (resident := self._leave(house)) is not None:
            await resident.stop()
            house.store = resident.node.store.copy()  # type: ignore[attr-defined]

    async def kill(self, house: House, *, is_silent: bool) -> None:
        """Let a node be gone from one moment to the next; whether others notice at once or not."""
        if (resident := self._leave(house)) is None:
            return
        house.store = resident.node.store.copy()  # type: ignore[attr-defined]
        for road in resident.roads:
            if is_silent:
                road.fall_silent()
            else:
                road.cut("killed")
        await resident.clear()

    def _leave(self, house: House) -> Resident | None:
        resident, house.inside = house.inside, None
        self.who.pop(house.place, None)
        return resident

    # --- roads ---

    @override
    def lay(self) -> tuple[Road, Road]:
        if self._is_calm:
            here, there = Road.pair(latency=0.02, bandwidth=1_000_000)
        else:
            limits: list[int | None] = [None, None]
            if self.dice.random() < 0.3:
                limits[self.dice.randrange(2)] = int(10 ** self.dice.uniform(1, 5))
            here, there = Road.pair(
                latency=self.dice.uniform(0.002, 0.3),
                bandwidth=self.dice.choice([2_000, 20_000, 1_000_000]),
                cut_after=(limits[0], limits[1]),
            )
        here.far, there.far = there, here
        return here, there

    @override
    def arrive(self, neighbour: Neighbour, link: Wire) -> None:
        assert isinstance(neighbour, Resident)
        assert isinstance(link, Road)
        neighbour.take_in(link, f"198.51.100.{self.dice.randrange(256)}")

    def live_roads(self) -> list[Road]:
        """Return one end of each link that is not gone, and forget those that are."""
        self.links = [(here, there) for here, there in self.links if not here.is_over]  # type: ignore[attr-defined]
        self.dialled.clear()
        return [here for here, _ in self.links]  # type: ignore[misc]

    def break_one(self, road: Road) -> None:
        """Let a link die in one of several ways."""
        self.done.breaks += 1
        match self.dice.randrange(3):
            case 0:
                road.cut("out of reach")
            case 1:
                road.fall_silent()
            case _:
                road.jam()

    # --- deeds ---

    async def churn(self, seconds: float) -> None:
        """Let everybody do as he likes for so long."""
        loop, rates = asyncio.get_running_loop(), self.rates
        end = loop.time() + seconds
        while loop.time() < end:
            for house in self.houses:
                await self._draw(house)
            for road in self.live_roads():
                if self._happens(rates.break_):
                    loop.call_later(self.dice.uniform(0, rates.tick), self.break_one, road)
            await asyncio.sleep(rates.tick)

    def _happens(self, every: float) -> bool:
        return self.dice.random() < self.rates.tick / every

    async def _draw(self, house: House) -> None:
        """Begin what somebody does until the next tick."""
        rates, resident = self.rates, house.inside
        if resident is None:
            if self._happens(rates.start):
                await self.start(house)
            return
        if self._happens(rates.visit):
            resident.deeds.begin(self.visit(resident, self._somebody(house)))
        if self._happens(rates.post):
            resident.deeds.begin(self.post(resident))
        if self._happens(rates.stranger):
            self.strangers.begin(self.call(resident))
        if not self.is_pub(house):
            await self._turn(house, resident)

    async def _turn(self, house: House, resident: Resident) -> None:
        rates = self.rates
        if resident.node.is_locked and self._happens(rates.unlock):
            await resident.unlock()
        elif self._happens(rates.lock):
            self.done.locks += 1
            await resident.node.lock()
        if self._happens(rates.stop):
            self.done.stops += 1
            await self.stop(house)
        elif self._happens(rates.kill):
            self.done.kills += 1
            await self.kill(house, is_silent=self.dice.random() < 0.5)

    def _somebody(self, house: House) -> str:
        """Return where a friend lives, or a stranger."""
        many = len(self.houses)
        if self.dice.random() < 0.7:
            step = self.dice.randint(1, self._friends) * self.dice.choice([-1, 1])
            return _place((house.number + step) % many)
        return _place(self.dice.randrange(many))

    async def visit(self, resident: Resident, place: str) -> None:
        """Let somebody visit an address, at some moment until the next tick."""
        await self._any_moment()
        self.done.visits += 1
        try:
            done = await resident.port.sync(place)
        except PortError:
            self.done.refused += 1
        else:
            self.done.failed += not done.complete

    async def post(self, resident: Resident) -> None:
        """Let somebody write, unless his home is locked."""
        await self._any_moment()
        if not resident.node.is_locked:
            with suppress(PortError):
                posted = await resident.port.post(f"post {len(self.done.written)}")
                self.done.written.add(posted.id)

    async def _any_moment(self) -> None:
        if not self._is_calm:
            await asyncio.sleep(self.dice.uniform(0, self.rates.tick))

    async def call(self, resident: Resident) -> None:
        """Let a stranger dial who means no good, and hang up in the end."""
        self.done.hostile += 1
        here, there = self.lay()
        self.links.append((here, there))
        with suppress(LinkError):
            try:
                resident.take_in(there, f"203.0.113.{self.dice.randrange(256)}")
                await self._trouble(here)
                await asyncio.sleep(self.dice.uniform(0, 100))
            finally:
                here.cut("enough")

    async def _trouble(self, road: Road) -> None:
        match self.dice.randrange(4):
            case 0:  # says nothing at all
                pass
            case 1:  # sends rubbish
                for _ in range(3):
                    await road.send(self.dice.randbytes(self.dice.randint(1, 200)))
            case 2:  # sets up a session and says nothing in it
                await self._session(road)
            case _:  # sends rubbish in it
                session = await self._session(road)
                await session.send(self.dice.randbytes(100))

    async def _session(self, road: Road) -> SecureLink:
        loop = asyncio.get_running_loop()
        who = Credentials(bytes(32), {}, MemoryTickets(loop.time))
        return await secure(road, is_initiator=True, who=who, random=self.dice.randbytes)

    # --- quiet ---

    async def calm(self) -> None:
        """Let everybody be there, and linked in a ring, and nothing break any more."""
        await asyncio.sleep(self.rates.tick)
        self._is_calm = True
        await self.strangers.cancel()
        for house in self.houses:
            if house.inside is None:
                await self.start(house)
            elif house.inside.node.is_locked:
                await house.inside.unlock()
        await self._ring()  # now all hold the same
        await self._ring()  # and now nothing is left of how that came about

    async def _ring(self) -> None:
        """Break all links, and link everybody with the house beside."""
        for road in self.live_roads():
            road.cut("a new day")
        await asyncio.sleep(SILENCE_S)
        for house in self.houses:
            assert house.inside is not None
            beside = self.houses[(house.number + 1) % len(self.houses)].place
            if beside not in house.keeps:
                await self.visit(house.inside, beside)
        await asyncio.sleep(SILENCE_S)

    def stir(self) -> None:
        """Let things happen again."""
        self._is_calm = False

    async def close(self) -> None:
        """End everything."""
        await self.strangers.cancel()
        for house in self.houses:
            await self.stop(house)
        await asyncio.sleep(SILENCE_S)
        assert not self.live_roads()

    def residents(self) -> list[Resident]:
        """Return the nodes that run."""
        return [house.inside for house in self.houses if house.inside is not None]


def _place(number: int) -> str:
    return f"192.0.2.{number}:4000"
