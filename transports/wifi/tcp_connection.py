"""One TCP connection as the loop sees it: frames, bounds in both directions, and an end that comes.

The loop calls this, and a link asks it; neither waits for the other here. Several bounds stand
behind one another on the way of a frame: what waits to be sent, what the two kernels hold, and
what arrived and was not received.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from transports.base import LinkClosedError
from transports.framing import FramingError, Joiner, cut
from transports.wifi.tcp_address import spell_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEND_MARK: Final = 64 * 1024
"""While more than so many bytes wait here to be sent, no frame is taken. What is taken cannot be
overtaken by what is more urgent; so this is small. In the kernel at most about as many wait."""
JOIN_BYTES: Final = 1_400
"""Frames that are sent one right after the other leave together as long as they have no more bytes
than this: what the network carries in one packet anywhere."""
JOIN_TURNS: Final = 4
"""So many turns of the loop a frame waits for the next one: to answer takes as many."""
JOIN_S: Final = 0.001
"""No longer than this, seconds, if the turns are long ones."""
UNREAD_MARK: Final = 128 * 1024
"""While frames that nobody has received weigh more than this in bytes, nothing more is read."""
RESUME_MARK: Final = UNREAD_MARK // 2
"""When they weigh no more than this, reading goes on."""
READ_BYTES: Final = 64 * 1024
"""So many bytes are read at a time, at most."""
FRAME_WEIGHT: Final = 64
"""What a frame weighs in memory besides its bytes: short ones must not slip through the bounds."""
LINGER_S: Final = 5.0
"""Seconds after which a connection that was closed here is broken off, if the other side has not
read what was sent to it."""
DISCARD_BYTES: Final = 1024 * 1024
"""Of what still arrives after that, so much is read, in bytes, so that the end gets through."""
RESET_AT_ONCE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Connection(asyncio.BufferedProtocol):
    """What is known of one connection, and what waits in it; for ``TcpLink`` and who makes one.

    Attributes:
        arrived: The frames that nobody has received yet.
        gone: Why the link is gone, if it is; the first reason stays.
        is_full: Whether so much waits to be sent that no frame is taken.
        on_lost: Called once, when nothing is left of the connection.
    """

    __slots__ = (
        "_discarded",
        "_joiner",
        "_keeps",
        "_kept",
        "_kept_bytes",
        "_kept_since",
        "_linger_timer",
        "_read",
        "_transport",
        "_waiters",
        "_weight",
        "arrived",
        "gone",
        "is_full",
        "on_lost",
    )

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.gone: str | None = None
        self.is_full = False
        self.on_lost: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._joiner = Joiner()
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._kept_since = 0.0
        self._keeps = False
        self._read = bytearray()
        self._weight = 0
        self._discarded = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._linger_timer: asyncio.TimerHandle | None = None

    # --- what the loop tells --------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=SEND_MARK, low=SEND_MARK)
        opened = transport.get_extra_info("socket")
        with suppress(OSError):  # it may be gone already; then the loop will say so
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SEND_MARK)
            if hasattr(socket, "TCP_QUICKACK"):  # what is answered acknowledges as well
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        self._read = bytearray(READ_BYTES)
        return self._read

    @override
    def buffer_updated(self, nbytes: int) -> None:
        data, self._read = self._read, bytearray()
        if self.gone is not None:
            self._discard(nbytes)
            return
        try:
            self._land(self._joiner.feed(memoryview(data)[:nbytes]))
        except FramingError as fault:
            self._land(fault.whole)
            self.break_off(f"the other side sent no frames: {fault}")
        if self._weight > UNREAD_MARK and self._transport is not None:
            self._transport.pause_reading()

    @override
    def eof_received(self) -> bool:
        where = " in the middle of a frame" if self._joiner.pending else ""
        self.break_off(f"the other side closed the link{where}")  # nobody reads what waits here
        return False

    @override
    def pause_writing(self) -> None:
        self.is_full = True

    @override
    def resume_writing(self) -> None:
        self.is_full = False
        self._wake()
        if self._linger_timer is not None and self._transport is not None:
            self._transport.resume_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.finish(_why_lost(exc))
        self._transport = None
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._wake()
        if self.on_lost is not None:
            self.on_lost()

    # --- what the link asks for -----------------------------------------------------------------

    @property
    def address(self) -> str | None:
        """Where the other end is, as ``parse_address`` reads it."""
        if self._transport is None:
            return None
        return spell_peer(self._transport.get_extra_info("peername"))

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of the connection."""
        return self._transport is None

    def take(self, frame: bytes) -> None:
        """Take a frame to send.

        Raises:
            LinkClosedError: The link is gone.
        """
        if self.gone is None and self._transport is not None:
            self._keep(cut(frame), self._transport)
        if self.gone is not None:
            raise LinkClosedError(self.gone)

    def give(self) -> bytes:
        """Return the first of ``arrived``, and go on reading when there is room again.

        Raises:
            LinkClosedError: None is left, and the link is gone.
        """
        if not self.arrived:
            raise LinkClosedError(self.gone)
        frame = self.arrived.pop(0)
        self._weight -= len(frame) + FRAME_WEIGHT
        if self._weight <= RESUME_MARK and self._transport is not None:
            self._transport.resume_reading()
        return frame

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so."""
        loop = asyncio.get_running_loop()
        while not ready():
            waiter = loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def finish(self, why: str) -> None:
        """Let nothing pass any more."""
        self.gone = self.gone or why
        self._wake()

    def part(self) -> None:
        """End it from this side: what was taken still goes, what arrived is dropped."""
        self.finish("this side closed the link")
        self.arrived.clear()
        self._weight = 0
        if self._transport is None or self._linger_timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._linger_timer = loop.call_later(LINGER_S, self.break_off, "it was not read to its end")
        with suppress(OSError):  # it is broken already
            if hasattr(socket, "TCP_CORK"):  # the last bytes and the end leave together
                opened = self._transport.get_extra_info("socket")
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self._let_go(self._transport)
        # Were it closed with something unread, the kernel would throw away what is yet to go. So
        # reading goes on; but not before, as that would take what the other side waits to send.
        self._transport.set_write_buffer_limits(high=0)
        if not self.is_full:
            self._transport.resume_reading()
        with suppress(OSError):  # it is broken already
            self._transport.write_eof()

    def break_off(self, why: str) -> None:
        """End it at once, whatever is under way; the other side is told."""
        self.finish(why)
        self._kept.clear()
        if self._transport is not None and not self._transport.is_closing():
            opened = self._transport.get_extra_info("socket")
            with suppress(OSError):  # it is broken already
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
            self._transport.abort()

    # --------------------------------------------------------------------------------------------

    def _keep(self, data: bytes, transport: asyncio.Transport) -> None:
        """Send it, at the latest in a few turns of the loop."""
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes > JOIN_BYTES or transport.get_write_buffer_size():
            self._let_go(transport)
            if transport.is_closing():
                self.finish("the connection was lost")
        elif not self._keeps:
            loop = asyncio.get_running_loop()
            self._keeps, self._kept_since = True, loop.time()
            loop.call_soon(self._wait_for_more, loop, JOIN_TURNS)

    def _wait_for_more(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns > 1 and loop.time() - self._kept_since < JOIN_S:
            loop.call_soon(self._wait_for_more, loop, turns - 1)
            return
        self._keeps = False
        if self._transport is not None:
            self._let_go(self._transport)

    def _let_go(self, transport: asyncio.Transport) -> None:
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        if kept:
            transport.write(kept[0] if len(kept) == 1 else b"".join(kept))

    def _land(self, frames: Sequence[bytes]) -> None:
        if frames:
            self.arrived.extend(frames)
            self._weight += sum(map(len, frames)) + FRAME_WEIGHT * len(frames)
            self._wake()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > DISCARD_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _why_lost(exc: Exception | None) -> str:
    if isinstance(exc, ConnectionResetError | BrokenPipeError):
        return "the other side broke off the connection"
    detail = f": {exc.strerror}" if isinstance(exc, OSError) and exc.strerror else ""
    return f"the connection was lost{detail}"
