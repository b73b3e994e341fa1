"""Listeners, links and bare sockets on loopback, for tests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from transports.gate import Entry, Gate, GateLimits
from transports.wifi.tcp import TcpLink, dial
from transports.wifi.tcp_listener import TcpListener

OPEN = GateLimits(10_000, 10_000, 20_000, 20_000, 60_000, 60_000, 30_000)
"""A gate that is in nobody's way."""


def has_ipv6() -> bool:
    """Whether this machine has ``::1``."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


class Door:
    """A listener and the links that came through it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.listener: TcpListener
        self.links: list[TcpLink] = []
        self.entries: list[Entry] = []
        self._came = asyncio.Condition()
        self._queue: asyncio.Queue[TcpLink] = asyncio.Queue()

    def let_in(self, link: TcpLink, entry: Entry) -> None:
        self.gate.secured(entry)
        self.links.append(link)
        self.entries.append(entry)
        self._queue.put_nowait(link)

    async def next(self) -> TcpLink:
        return await self._queue.get()

    @property
    def port(self) -> int:
        return self.listener.port


@asynccontextmanager
async def door(host: str = "127.0.0.1", limits: GateLimits = OPEN) -> AsyncIterator[Door]:
    """Listen on loopback; every link is broken off at the end."""
    made = Door(Gate(limits))
    made.listener = await TcpListener.open([host], gate=made.gate, accepted=made.let_in)
    try:
        yield made
    finally:
        await made.listener.close()
        for link in made.links:
            await end(link)


@asynccontextmanager
async def joined(host: str = "127.0.0.1") -> AsyncIterator[tuple[TcpLink, TcpLink]]:
    """Both ends of one link."""
    async with door(host) as there:
        near = await dial(host, there.port)
        try:
            yield near, await there.next()
        finally:
            await end(near)


async def until(ready: Callable[[], bool]) -> None:
    """Let the loop go round until something is so."""
    while not ready():  # noqa: ASYNC110  what is waited for tells nobody
        await asyncio.sleep(0)


async def end(link: TcpLink) -> None:
    link.cut("the test is over")
    await link.close()
