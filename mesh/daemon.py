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
from transports.base import LinkError
from transports.gate import Gate, GateLimits
from transports.wifi.tcp import TRANSPORT
from transports.wifi.tcp_listener import TcpListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from random import Random

    from mesh.node import Surroundings
    from mesh.peers import Peers
    from mesh.visits import Visits
    from transports.gate import Entry
    from transports.wifi.tcp import TcpLink

log: Final = logging.getLogger("passalong")
SETTLE_S: Final = 3 * 60 * 60
"""How often carried mail is looked through."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between two attempts to reach an address; each is twice as long as the one before."""
END_S: Final = 1.5
"""How long links may take to end."""


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
            await link.close()

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            await self._listener.close()

    async def finish(self, seconds: float) -> None:
        """Wait for the meetings of those who came; ``Peers.stop`` ends them."""
        await self._tasks.finish(seconds)


async def keep_in_touch(visits: Visits, address: str, dice: Random) -> None:
    """Have a link to whoever is at ``address``, and another once it is gone, until cancelled."""
    wait = FIRST_WAIT_S
    while True:
        try:
            if await visits.stay(address):
                wait = FIRST_WAIT_S / 4
        except PassalongError as exc:
            log.info("%s", exc)
        await asyncio.sleep(wait * dice.uniform(0.5, 1.0))
        wait = min(2 * wait, LONGEST_WAIT_S)


@asynccontextmanager
async def run_node(
    folder: Path, around: Surroundings, options: Options
) -> AsyncIterator[DirectPort]:
    """Run the node whose home is ``folder`` for as long as the context lasts; give its port.

    Raises:
        PortError: The home cannot be opened.
    """
    config = load_config(folder / CONFIG)
    async with open_node(folder, around) as node:
        port = DirectPort(node, live=True)
        reception, tasks = Reception(port.peers_here, options.gate), Tasks()
        port.listening = lambda: [reception.row]
        if options.wifi:
            await reception.open(config.port if options.port is None else options.port)
        for address in dict.fromkeys((*config.connect, *options.connect)):
            tasks.begin(keep_in_touch(port.visits, address, SystemRandom()))
        tasks.begin(_settle(port))
        try:
            async with serve_port(port, folder, around):
                yield port
        finally:
            await reception.close()
            port.peers_here.stop()
            await asyncio.gather(reception.finish(END_S), port.visits.finish(END_S), tasks.cancel())


async def _settle(port: DirectPort) -> None:
    while True:
        await asyncio.sleep(SETTLE_S)
        try:
            await port.settle()
        except PassalongError as exc:
            log.warning("%s", exc)
