"""A link over one TCP connection, and how to open one.

Who is at the other side, and whether somebody listens in between, is not known here. What it takes
to be called is in ``tcp_listener``.
"""

from __future__ import annotations

import asyncio
from typing import Final

from transports.base import LinkError, LinkInfo, check_frame
from transports.framing import LONGEST_FRAME
from transports.wifi.tcp_address import check_address, spell
from transports.wifi.tcp_connect import connect, why_not
from transports.wifi.tcp_connection import Connection

TRANSPORT: Final = "wifi"
"""What ``info.transport`` says."""
HEAD_START_S: Final = 0.25
"""Seconds that one address of a host is tried before the next one is tried beside it."""


class TcpLink:
    """A ``Link`` over TCP; ``dial`` makes one, and a ``TcpListener`` does.

    Besides what the kernel holds, the bytes that wait to be sent are at most 64 KiB and one frame,
    and what arrived and was not received at most 128 KiB and one read of 64 KiB, where a frame
    counts as 64 bytes more than it has.
    """

    __slots__ = ("_connection", "_info", "_turn")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._info = LinkInfo(TRANSPORT, LONGEST_FRAME, address=connection.address)
        self._turn = asyncio.Lock()

    @property
    def info(self) -> LinkInfo:
        return self._info

    async def send(self, frame: bytes) -> None:
        check_frame(frame, LONGEST_FRAME)
        connection = self._connection
        async with self._turn:  # frames go in the order in which they were to be sent
            if connection.is_full and connection.gone is None:
                await connection.until(lambda: not connection.is_full or bool(connection.gone))
            connection.take(frame)

    async def receive(self) -> bytes:
        connection = self._connection
        if not connection.arrived and connection.gone is None:
            await connection.until(lambda: bool(connection.arrived or connection.gone))
        return connection.give()

    def waiting(self) -> int:
        return len(self._connection.arrived)

    async def close(self) -> None:
        """Close both ways; a second time changes nothing.

        Returns when the other side has everything that ``send`` took and knows of the end, or
        5 seconds later: then the connection is broken off. Everything here that waits for the link
        ends at once, and cancelling this changes nothing about the end.
        """
        self._connection.part()
        await self._connection.until(lambda: self._connection.is_over)

    def cut(self, why: str) -> None:
        """End it at once, without what is under way; ``why`` is what both methods say from now."""
        self._connection.break_off(why)


async def dial(host: str, port: int, *, patience_s: float = 5.0) -> TcpLink:
    """Open a link to who listens at a name or an address.

    A name's addresses are all tried, IPv6 and IPv4 by turns, each beside those before it after a
    quarter of a second; the first that answers is taken.

    Args:
        host: A name, an IPv4 or an IPv6 address, with ``%interface`` if it is link-local.
        port: 1 to 65,535.
        patience_s: Seconds that finding the addresses and connecting may take together.

    Raises:
        LinkError: There is no link; the message names the address and says why.
    """
    check_address(host, port)
    try:
        async with asyncio.timeout(patience_s):
            opened = await connect(host, port, HEAD_START_S)
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, sock=opened
            )
    except (OSError, UnicodeError) as exc:
        raise LinkError(f"cannot reach {spell(host, port)}: {why_not(exc)}") from exc
    return TcpLink(connection)
