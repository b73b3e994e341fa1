"""Two ends of one link, of whatever kind, and what tests do with them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import count
from typing import Any, ClassVar, TypeAlias

from transports.base import Link, LinkClosedError

Scenario: TypeAlias = Callable[[Link, Link], Awaitable[None]]


def numbered(number: int, size: int = 1000) -> bytes:
    """A frame of ``size`` bytes that differs from those of other numbers."""
    return number.to_bytes(4, "big") * (size // 4)


async def received(link: Link, many: int) -> list[bytes]:
    return [await link.receive() for _ in range(many)]


async def send_all(link: Link, frames: Iterable[bytes]) -> None:
    for frame in frames:
        await link.send(frame)


async def until_the_end(link: Link) -> list[bytes]:
    """The frames before the one that says ``end``."""
    frames = []
    while (frame := await link.receive()) != b"end":
        frames.append(frame)
    return frames


async def rest(link: Link) -> list[bytes]:
    """Everything that still arrives until the link ends."""
    frames = []
    with suppress(LinkClosedError):
        while True:
            frames.append(await link.receive())
    return frames


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> list[object]:
    """What tasks end with: results, or exceptions with theirs instead."""
    return [
        type(result) if isinstance(result, BaseException) else result
        for result in await asyncio.gather(*tasks, return_exceptions=True)
    ]


class JoinedLinks(ABC):
    """Scenarios with two ends of one link; what follows is to be chosen for a kind of link.

    Attributes:
        holds: How many bytes of frames, at most, one direction takes that nobody receives. Every
            link takes ten frames of 100 bytes.
        patience: Seconds after which what has not happened is believed to wait for ever.
        moment: Seconds of the pauses between frames.
    """

    holds: ClassVar[int]
    patience: ClassVar[float] = 0.3
    moment: ClassVar[float] = 0.001

    @abstractmethod
    def pair(self) -> AbstractAsyncContextManager[tuple[Link, Link]]:
        """Join two ends for as long as the context lasts."""

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        asyncio.run(asyncio.wait_for(main, 60))

    def meet(self, scenario: Scenario) -> None:
        async def meeting() -> None:
            async with self.pair() as (near, far):
                await scenario(near, far)

        self.run(meeting())

    @asynccontextmanager
    async def full(self, link: Link) -> AsyncIterator[tuple[list[bytes], asyncio.Task[None]]]:
        """A sender that has sent until it had to wait: what it sent, and itself."""
        sent: list[bytes] = []
        waited = asyncio.Event()

        async def flood() -> None:
            for number in count():
                await link.send(numbered(number))
                sent.append(numbered(number))
                assert waited.is_set() or sum(map(len, sent)) <= self.holds, "no end of it"

        task = asyncio.create_task(flood())
        done, _ = await asyncio.wait([task], timeout=self.patience)
        assert not done, task.exception()
        waited.set()
        yield sent, task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
