"""A node that runs: it listens, keeps in touch, and answers faces, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from ledger.errors import PassalongError
from mesh.config import load_config
from mesh.direct import DirectPort
from mesh.node import open_node
from mesh.paths import CONFIG
from mesh.rows import TransportRow
from mesh.rpc_server import serve_port
from mesh.tasks import Tasks
from mesh.visits import END_S
from transports.base import LinkError
from transports.gate import Gate, GateLimits
from transports.wifi.tcp import TRANSPORT
from transports.wifi.tcp_address import parse_address, spell
from transports.wifi.tcp_listener import TcpListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from random import Random

    from mesh.config import Config
    from mesh.node import Surroundings
    from mesh.peers import Peers
    from mesh.visits import Visits
    from transports.gate import Entry
    from transports.wifi.tcp import TcpLink

log: Final = logging.getLogger("passalong")
SETTLE_EVERY_S: Final = 3 * 60 * 60
"""How often carried mail is looked through."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between two attempts to reach an address; each is twice as long as the one before."""
STAYED_S: Final = 5.0
"""Who was there for less is not looked for at once when he is gone."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is told.

    Attributes:
        port: TCP port to listen on; None for that of ``config.toml``, 0 for any that is free.
        wifi: Whether to listen at all.
        connect: Addresses to keep in touch with, besides those of ``config.toml``.
        gate: How many are let in.
    """

    port: int | None = None
    wifi: bool = True
    connect: tuple[str, ...] = ()
    gate: GateLimits = field(default_factory=GateLimits)


class AddressError(PassalongError):
    """An address to keep in touch with is none."""


class Reception:
    """Lets in whoever comes over TCP.

    Args:
        peers: Hold the meetings.
        limits: How many are let in.
    """

    def __init__(self, peers: Peers, limits: GateLimits) -> None:
        self._peers = peers
        self._tasks = Tasks()
        self._gate = Gate(limits)
        self._listener: TcpListener | None = None
        self._problem: str | None = None
        self._links: dict[TcpLink, Entry] = {}

    async def open(self, port: int) -> None:
        """Listen on ``port``; where that cannot be, ``row`` says why."""
        try:
            self._listener = await TcpListener.open(
                port=port, gate=self._gate, accepted=self._accepted
            )
        except LinkError as exc:
            self._problem = str(exc)
            log.warning("%s", exc)

    @property
    def row(self) -> TransportRow:
        """How it is."""
        if self._listener is not None:
            return TransportRow(TRANSPORT, "listening", self._listener.port, None)
        return TransportRow(TRANSPORT, "failed" if self._problem else "off", None, self._problem)

    def _accepted(self, link: TcpLink, entry: Entry) -> None:
        self._links[link] = entry
        self._tasks.begin(self._welcome(link, entry))

    async def _welcome(self, link: TcpLink, entry: Entry) -> None:
        try:
            session = await self._peers.secure(link, is_initiator=False)
            self._gate.secured(entry)
            await self._peers.hold(await self._peers.enter(session, is_initiator=False))
        except LinkError as exc:
            log.debug("%s: %s", link.info.address, exc)
        except PassalongError as exc:
            log.warning("%s", exc)
        finally:
            del self._links[link]

    async def close(self) -> None:
        """Listen no more; who has not set up a session yet is sent away."""
        if self._listener is not None:
            await self._listener.close()
        self._cut([link for link, entry in self._links.items() if entry.is_half_open])

    async def finish(self) -> None:
        """Break off what is left of those who came; ``Peers.end`` ends it without haste."""
        self._cut(list(self._links))
        await self._tasks.cancel()

    def _cut(self, links: list[TcpLink]) -> None:
        for link in links:
            link.cut("this node ends")


async def keep_in_touch(visits: Visits, address: str, dice: Random) -> None:
    """Have a link to whoever is at ``address``, and another once it is gone, until cancelled."""
    wait, loop = FIRST_WAIT_S, asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            if await visits.stay(address) and loop.time() - began >= STAYED_S:
                wait = FIRST_WAIT_S / 4
        except PassalongError as exc:
            log.info("%s", str(exc))
        except Exception:
            log.exception("this is a fault of passalong; report it")
        await asyncio.sleep(wait * dice.uniform(0.5, 1.0))
        wait = min(2 * wait, LONGEST_WAIT_S)


@asynccontextmanager
async def run_node(
    folder: Path, around: Surroundings, options: Options
) -> AsyncIterator[DirectPort]:
    """Run the node whose home is ``folder`` for as long as the context lasts; give its port.

    Raises:
        PortError: The home cannot be opened, or an address is none.
    """
    config = load_config(folder / CONFIG)
    places = _places(config, options)
    async with open_node(folder, around) as node:
        port = DirectPort(node, live=True)
        reception, tasks = Reception(port.peers_here, options.gate), Tasks()
        port.listening = lambda: [reception.row]
        if options.wifi:
            await reception.open(config.port if options.port is None else options.port)
        for address in places:
            tasks.begin(keep_in_touch(port.visits, address, SystemRandom()))
        tasks.begin(_settle(port))
        try:
            async with serve_port(port, folder, around):
                yield port
        finally:
            await reception.close()
            await port.peers_here.end(END_S)
            port.visits.cut()
            await asyncio.gather(reception.finish(), port.visits.finish(), tasks.cancel())


def _places(config: Config, options: Options) -> list[str]:
    """Return the addresses to keep in touch with, each once.

    Raises:
        AddressError: One of them is none.
    """
    try:
        spelled = [spell(*parse_address(one)) for one in (*config.connect, *options.connect)]
    except LinkError as exc:
        raise AddressError(f"{exc} (in --connect, or connect of {CONFIG})") from exc
    return list(dict.fromkeys(spelled))


async def _settle(port: DirectPort) -> None:
    while True:
        await asyncio.sleep(SETTLE_EVERY_S)
        try:
            await port.settle()
        except PassalongError as exc:
            log.warning("%s", exc)
