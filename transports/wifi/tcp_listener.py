"""Waits for TCP connections, and makes links of those that the gate lets in.

Refused is who connects too often or with too many: at once, and without an answer. A link that
was handed over lives on when the listener is closed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from transports.base import LinkError
from transports.gate import Gate, Refusal
from transports.wifi.tcp import TcpLink
from transports.wifi.tcp_address import spell
from transports.wifi.tcp_connection import RESET_AT_ONCE, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transports.gate import Entry

Accepted: TypeAlias = "Callable[[TcpLink, Entry], object]"

EVERYWHERE: Final = ("::", "0.0.0.0")  # noqa: S104  a node is there to be met
"""All addresses of this device, IPv6 and IPv4."""
BACKLOG: Final = 512
"""Connections that may wait in the kernel: more come at once only in a flood."""
TURN: Final = 16
"""Connections that are judged before everybody else has a turn."""
PAUSE_S: Final = 1.0
"""Seconds without accepting after the system could not: out of files, out of memory."""
SECURE_S: Final = 10.0
"""Seconds after which a link is broken off that is still half open at the gate."""
_TRIES: Final = 16
_MISSING: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


class TcpListener:
    """Listening sockets, on one port; ``open`` makes one.

    Attributes:
        port: What it listens on.
        refused: How many connections the gate has refused.
        failed: How often the system could not accept one.
    """

    def __init__(self, sockets: Sequence[socket.socket], gate: Gate, accepted: Accepted) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self.refused = 0
        self.failed = 0
        self._gate = gate
        self._accepted = accepted
        self._sockets = sockets
        self._tasks = [asyncio.create_task(self._serve(one)) for one in sockets]

    @classmethod
    async def open(
        cls,
        hosts: Sequence[str] = EVERYWHERE,
        port: int = 0,
        *,
        gate: Gate,
        accepted: Accepted,
    ) -> Self:
        """Listen.

        Args:
            hosts: Own addresses; of ``EVERYWHERE`` one kind may be missing on this device.
            port: The same for all of them; 0 for one that is free.
            gate: Says who is let in. It is told when a link is gone, and must be told by whoever
                gets the link when that is ``secured``: within 10 seconds, or it is broken off.
            accepted: Called by the loop with each new link and its entry at the gate.

        Raises:
            LinkError: One of them cannot be listened on; the message says which and why.
        """
        found = [one for host in hosts for one in await _look_up(host, port)]
        found = [*dict.fromkeys(found)]  # a name may stand for one address twice
        may_lack = tuple(hosts) == EVERYWHERE
        for _ in range(_TRIES):
            if sockets := _bind_all(found, port, may_lack=may_lack):
                return cls(sockets, gate, accepted)
        raise LinkError("no port is free on all addresses at once: choose one")

    async def close(self) -> None:
        """Listen no more; what waits in the kernel is refused, links that are there stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._sockets:
            one.close()

    async def _serve(self, listening: socket.socket) -> None:
        while True:
            for _ in range(TURN):
                await self._accept(listening)
            await asyncio.sleep(0)  # in a flood nothing above ever waits

    async def _accept(self, listening: socket.socket) -> None:
        try:
            opened, peer = await asyncio.get_running_loop().sock_accept(listening)
        except ConnectionAbortedError:  # gone already, of which some systems tell here
            self.failed += 1
        except OSError:
            self.failed += 1
            await asyncio.sleep(PAUSE_S)
        else:
            await self._judge(opened, peer)

    async def _judge(self, opened: socket.socket, peer: tuple[Any, ...] | None) -> None:
        loop = asyncio.get_running_loop()
        # Of one that is gone again some systems do not tell the address.
        entry = self._gate.admit(str(peer[0]) if peer else None, loop.time())
        if isinstance(entry, Refusal):
            self.refused += 1
            _reset(opened)
            return
        connection = Connection()
        timer = loop.call_later(SECURE_S, _give_up, connection, entry)
        connection.on_lost = partial(self._lost, entry, timer)
        try:
            await loop.connect_accepted_socket(lambda: connection, opened)
        except OSError:  # it is gone again
            opened.close()
            self._lost(entry, timer)
        else:
            loop.call_soon(self._accepted, TcpLink(connection), entry)

    def _lost(self, entry: Entry, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._gate.left(entry)


def _give_up(connection: Connection, entry: Entry) -> None:
    if entry.is_half_open:
        connection.break_off("the other side did not set up a session in time")


def _reset(opened: socket.socket) -> None:
    """Close a connection such that nothing of it stays in the kernel either."""
    with suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
    opened.close()


async def _look_up(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Return families and addresses to bind, of one own address."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise LinkError(f"cannot listen on {host!r}: this device has no such address") from None
    return [(family, address) for family, _, _, _, address in found]


def _bind_all(
    found: Sequence[tuple[int, tuple[Any, ...]]], port: int, *, may_lack: bool
) -> list[socket.socket]:
    """Return sockets that listen on all of these, or none if another port is to be tried."""
    sockets: list[socket.socket] = []
    for family, (host, _, *rest) in found:
        chosen = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bind(family, (host, chosen, *rest)))
        except OSError as exc:
            if may_lack and exc.errno in _MISSING and (sockets or len(found) > 1):
                continue
            _close(sockets)
            if exc.errno == errno.EADDRINUSE and port == 0:
                return []
            reason = os.strerror(exc.errno) if exc.errno else str(exc)
            raise LinkError(f"cannot listen on {spell(host, port)}: {reason}") from exc
    return sockets


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.settimeout(0)
        if sys.platform != "win32":  # there it would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()
