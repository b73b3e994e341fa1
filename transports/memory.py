"""Two links joined in memory: for simulation, and to compare every other link with.

Distance is played with the timers of the running loop and nothing else: where the loop's clock
is virtual, a slow link costs no time. Not here: frames that are changed, doubled or overtaken,
which no link ever shows.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from transports.base import LinkClosedError, LinkInfo, check_frame

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX_BYTES: Final = 4
"""What a frame of n bytes takes on the wire besides its n bytes: a length, as on a stream."""


@dataclass(slots=True, eq=False)
class _End:
    """What one side has got: frames, and perhaps the news that the link is gone, and why.

    What comes after that news is lost, and the first reason stays.
    """

    arrived: deque[bytes] = field(default_factory=deque)
    gone: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def land(self, frame: bytes) -> None:
        if self.gone is None:
            self.arrived.append(frame)
            self.news.set()

    def finish(self, why: str) -> None:
        self.gone = self.gone or why
        self.news.set()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so, or the link is gone."""
        while self.gone is None and not ready():
            self.news.clear()
            await self.news.wait()


@dataclass(slots=True, eq=False)
class _Way:
    """One direction between two ends; sizes in bytes on the wire, times in seconds.

    Attributes:
        cut_after: How many bytes pass, at most.
        frames, total: How many frames, and bytes in them all, were taken from the sender.
        held: Bytes taken from the sender of which it does not know yet that they were received.
        free_at: When the last byte taken so far has left the sender, on the loop's clock.
        under_way: What happens on arrival, in order. Timers of one moment fire in any order, so
            each only says that the next may happen.
    """

    latency: float
    bandwidth: float
    window: int
    cut_after: float
    frames: int = 0
    total: int = 0
    held: int = 0
    free_at: float = -math.inf
    under_way: deque[Callable[[], None]] = field(default_factory=deque)

    def has_room(self, size: int) -> bool:
        # A frame longer than the window passes alone, or it would never pass.
        return self.held == 0 or self.held + size <= self.window

    def put(self, size: int, land: Callable[[], None], cut: Callable[[], None]) -> None:
        """Take a frame of ``size`` bytes; ``cut`` happens when the last byte allowed arrives."""
        allowed = max(0, self.cut_after - self.total)
        self.frames += 1
        self.total += size
        self.held += size
        if size <= allowed:
            self.carry(size, land)
        if size >= allowed:
            self.carry(allowed if size > allowed else 0, cut)

    def carry(self, size: float, on_arrival: Callable[[], None]) -> None:
        """Let something happen at the other end when ``size`` more bytes have arrived there."""
        loop = asyncio.get_running_loop()
        self.free_at = max(self.free_at, loop.time()) + size / self.bandwidth
        self.under_way.append(on_arrival)
        loop.call_at(self.free_at + self.latency, self._arrive)

    def _arrive(self) -> None:
        self.under_way.popleft()()

    def give_back(self, size: int, sender: _End) -> None:
        """Tell the sender, one latency from now, that ``size`` bytes were received."""
        asyncio.get_running_loop().call_later(self.latency, self._room, size, sender)

    def _room(self, size: int, sender: _End) -> None:
        self.held -= size
        sender.news.set()


class MemoryLink:
    """A ``Link`` to another one in the same process; make both with ``pair``."""

    def __init__(self, info: LinkInfo, ends: tuple[_End, _End], ways: tuple[_Way, _Way]) -> None:
        self._info = info
        self._end, self._far = ends
        self._out, self._in = ways
        self._turn = asyncio.Lock()

    @classmethod
    def pair(
        cls,
        *,
        latency: float = 0.0,
        bandwidth: float | None = None,
        window: int = 256 * 1024,
        max_frame: int = 65_000,
        cut_after: tuple[int | None, int | None] = (None, None),
        thin: bool = False,
    ) -> tuple[MemoryLink, MemoryLink]:
        """Return the two ends of one link.

        A frame of n bytes counts as n + 4 on the wire.

        Args:
            latency: Seconds that a byte travels, one way; so does the word that it was received.
            bandwidth: Bytes per second, each way; None for no limit.
            window: How many bytes may be sent and not yet received, each way, before ``send``
                waits. A longer frame passes when nothing else is under way.
            max_frame: The longest frame, in bytes.
            cut_after: How many bytes pass from the first end to the second, and from the second
                to the first. When the last of them arrives, the link is cut as by ``cut``: a
                frame of which it was not the last byte is lost. With 0, nothing of the first
                frame arrives. None for no limit.
            thin: What the links say of themselves.
        """
        info = LinkInfo("memory", max_frame, thin=thin)
        speed = math.inf if bandwidth is None else bandwidth
        there, back = (
            _Way(latency, speed, window, math.inf if cut is None else cut) for cut in cut_after
        )
        near, far = _End(), _End()
        return cls(info, (near, far), (there, back)), cls(info, (far, near), (back, there))

    @property
    def info(self) -> LinkInfo:
        return self._info

    @property
    def frames_sent(self) -> int:
        """How many frames this end has taken to send, arrived or not."""
        return self._out.frames

    @property
    def bytes_sent(self) -> int:
        """How many bytes on the wire those are, 4 for each frame included."""
        return self._out.total

    async def send(self, frame: bytes) -> None:
        check_frame(frame, self._info.max_frame)
        size = len(frame) + PREFIX_BYTES
        async with self._turn:  # so that a long frame's wait is not made longer by short ones
            await self._end.until(lambda: self._out.has_room(size))
            if self._end.gone is not None:
                raise LinkClosedError(self._end.gone)
            self._out.put(size, partial(self._far.land, frame), self.cut)

    async def receive(self) -> bytes:
        await self._end.until(lambda: bool(self._end.arrived))
        if not self._end.arrived:
            raise LinkClosedError(self._end.gone)
        frame = self._end.arrived.popleft()
        self._in.give_back(len(frame) + PREFIX_BYTES, self._far)
        return frame

    def waiting(self) -> int:
        return len(self._end.arrived)

    async def close(self) -> None:
        self._end.finish("this side closed the link")
        self._end.arrived.clear()
        self._out.carry(0, partial(self._far.finish, "the other side closed the link"))

    def cut(self) -> None:
        """Sever both ways at once: what has not arrived whole by now never does."""
        for end in (self._end, self._far):
            end.finish("the link was cut")
