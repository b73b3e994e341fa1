"""A node that stays, over real sockets on loopback, and guests who come, go, and are gone.

The guests have homes on the disk. Some run beside the node that stays, in this process, so that
what they leave behind is seen as well; who is to be killed runs in a process of his own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.link import Link
from mesh.daemon import Options, run_node
from mesh.direct import init_home, open_port, real_world
from mesh.port import PortError
from tests.mesh.test_daemon import linked, place, stop_reading, stranger_at, until
from transports.base import LinkError
from transports.gate import GateLimits
from transports.wifi.tcp import TcpLink, dial

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

    from mesh.daemon import Reception
    from mesh.direct import DirectPort
    from mesh.port import NodePort

ROOT: Final = Path(__file__).parent.parent.parent
GATE: Final = GateLimits(a_minute=100_000, burst=100_000, half_open_each=32)
"""Everybody comes from one address here."""
PATIENCE_S: Final = 30.0
"""What has not happened by then never will."""
LOOK_S: Final = 0.02


class Guest(NamedTuple):
    """Somebody who comes now and then.

    Attributes:
        home: Of his node.
        device: Its key.
    """

    home: Path
    device: bytes


class Inn:
    """A node that stays, and what happens at its door.

    Args:
        port: The node.
        reception: Its door.
        guests: Those who have added it, and whom it has.
        dice: What they do.

    Attributes:
        done: How often each thing was done, by name.
    """

    def __init__(
        self, port: DirectPort, reception: Reception, guests: list[Guest], dice: Random
    ) -> None:
        self.port = port
        self.reception = reception
        self.guests = guests
        self.done: dict[str, int] = {}
        self.dice = dice
        self._said = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is there, nor half there."""
        return not (len(self.port.peers_here) or self.reception._links)

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so, of which nobody tells."""
        async with asyncio.timeout(PATIENCE_S):
            while not ready():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)

    async def round(self, guests: int, strangers: int) -> None:
        """Let some guests and strangers come at once, and all be gone in the end.

        Of the guests one may be killed: that takes a process, and a second to begin it.
        """
        first, *others = self.dice.sample(self.guests, guests)
        await asyncio.gather(
            self._do(self.dice.choice(VISITS), first),
            *(self._do(self.dice.choice(QUICK_VISITS), one) for one in others),
            *(self._do(self.dice.choice(TROUBLES)) for _ in range(strangers)),
            self.write(self.port),
        )
        await self.until(lambda: self.is_quiet)

    async def everybody(self) -> None:
        """Let everything happen once, and everybody come, one after the other."""
        for number, visit in enumerate(VISITS):
            await self._do(visit, self.guests[number % len(self.guests)])
        for trouble in TROUBLES:
            await self._do(trouble)
        for _ in range(2):
            for guest in self.guests:
                await pops_in(self, guest)
        await self.until(lambda: self.is_quiet)

    async def _do(self, deed: Callable[..., Coroutine[Any, Any, None]], *guest: Guest) -> None:
        await deed(self, *guest)
        self.done[deed.__name__] = self.done.get(deed.__name__, 0) + 1

    async def write(self, port: NodePort, most: int = 3) -> None:
        """Let somebody write a little."""
        for _ in range(self.dice.randint(1, most)):
            self._said += 1
            await port.post(f"{self._said} " * 20)

    @property
    def place(self) -> str:
        return place(self.port)

    async def pause(self, most: float = 0.1) -> None:
        """Wait for some moment."""
        await asyncio.sleep(self.dice.uniform(0, most))

    def rubbish(self) -> bytes:
        """Return what means nothing."""
        return self.dice.randbytes(self.dice.randint(1, 300))

    async def dialled(self) -> TcpLink:
        """Return a new link to it."""
        host, _, number = self.place.rpartition(":")
        return await dial(host, int(number))


# --- guests -------------------------------------------------------------------------------------


async def stays_a_while(inn: Inn, guest: Guest) -> None:
    """Run beside it, write, and leave once both hold the same."""
    async with run_node(guest.home, real_world(), Options(port=0, connect=(inn.place,))) as port:
        await until(port, lambda: linked(port))
        await inn.write(port)
        assert (await port.sync(inn.place)).complete


async def pops_in(inn: Inn, guest: Guest) -> None:
    """Write, visit it once, and leave."""
    async with open_port(guest.home) as port:
        await inn.write(port)
        assert (await port.sync(inn.place)).complete


async def is_visited(inn: Inn, guest: Guest) -> None:
    """Run, be dialled, and leave."""
    async with run_node(guest.home, real_world(), Options(port=0)) as port:
        await inn.write(port)
        assert (await inn.port.sync(place(port))).complete


async def loses_the_link(inn: Inn, guest: Guest) -> None:
    """Run beside it while the link is torn again and again, in the middle of anything."""
    async with run_node(guest.home, real_world(), Options(port=0, connect=(inn.place,))) as port:
        for _ in range(3):
            await inn.write(port, 10)
            await inn.pause(0.03)
            port.visits.cut()


async def hangs_up(inn: Inn, guest: Guest) -> None:
    """Have enough of a visit before it is over."""
    async with open_port(guest.home) as port:
        await inn.write(port, 10)
        with suppress(TimeoutError, PortError):
            async with asyncio.timeout(inn.dice.uniform(0, 0.05)):
                await port.sync(inn.place)


async def is_killed(inn: Inn, guest: Guest) -> None:
    """Be killed while linked, without a moment to say so."""
    command = [sys.executable, "-m", "mesh", "--home", str(guest.home), "run", "--port", "0"]
    with subprocess.Popen(  # noqa: ASYNC220  what waits for it is the kill
        [*command, "--connect", inn.place],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            await inn.until(lambda: inn.port.peers_here.linked(guest.device) is not None)
            await inn.pause()
        finally:
            child.kill()


QUICK_VISITS: Final = (stays_a_while, pops_in, is_visited, loses_the_link, hangs_up)
VISITS: Final = (*QUICK_VISITS, is_killed)


# --- strangers ----------------------------------------------------------------------------------


async def says_nothing(inn: Inn) -> None:
    """Connect, and break it off some time later."""
    link = await inn.dialled()
    await inn.pause()
    link.cut("enough")
    await link.close()


async def sends_rubbish(inn: Inn) -> None:
    """Send what is no beginning of a session."""
    link = await inn.dialled()
    with suppress(LinkError):
        async with asyncio.timeout(PATIENCE_S):
            await link.send(inn.rubbish())
            await link.receive()
    await link.close()


async def slams_the_door(inn: Inn) -> None:
    """Connect and be gone, many times at once."""
    links = await asyncio.gather(*(inn.dialled() for _ in range(10)), return_exceptions=True)
    for link in links:
        if not isinstance(link, BaseException):
            link.cut("enough")
            await link.close()


async def sets_up_and_is_silent(inn: Inn) -> None:
    """Set up a session, say nothing in it, and break it off."""
    link, session = await stranger_at(inn.place)
    await inn.pause()
    link.cut("enough")
    await session.close()


async def sets_up_and_says_goodbye(inn: Inn) -> None:
    """Set up a session and end it as one should."""
    _, session = await stranger_at(inn.place)
    await session.close()


async def talks_rubbish(inn: Inn) -> None:
    """Set up a session and say in it what means nothing."""
    _, session = await stranger_at(inn.place)
    with suppress(LinkError):
        async with asyncio.timeout(PATIENCE_S):
            await session.send(inn.rubbish())
            while True:
                await session.receive()
    await session.close()


async def reads_no_more(inn: Inn) -> None:
    """Set up a session, read nothing of what comes, and break it off."""
    link, session = await stranger_at(inn.place)
    stop_reading(link)
    await inn.pause()
    link.cut("enough")
    await session.close()


TROUBLES: Final = (
    *(says_nothing, sends_rubbish, slams_the_door, sets_up_and_is_silent),
    *(sets_up_and_says_goodbye, talks_rubbish, reads_no_more),
)


# --- homes --------------------------------------------------------------------------------------


async def settle(folder: Path, many: int) -> tuple[Path, list[Guest]]:
    """Make the home of a node that stays, and those of its guests; each knows the other."""
    hub = folder / "hub"
    await init_home(hub, "hub", real_world())
    guests: list[Guest] = []
    async with open_port(hub) as port:
        link = (await port.whoami()).link
        for number in range(many):
            home = folder / f"guest {number}"
            await init_home(home, f"Guest {number}", real_world())
            async with open_port(home) as guest:
                await guest.add_contact(link)
                theirs = (await guest.whoami()).link
            await port.add_contact(theirs)
            guests.append(Guest(home, Link.parse(theirs).device))
    return hub, guests
