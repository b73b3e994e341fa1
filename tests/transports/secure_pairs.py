"""Devices that know each other or not, and somebody between them who hears everything."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Literal, TypeAlias, TypeVar

import pytest

from ledger.keys import SigningKey
from tests.virtual_time import run_virtual
from transports.base import Link, LinkClosedError
from transports.memory import MemoryLink
from transports.secure import Credentials, SecureLink, Shown, secure
from transports.tickets import MemoryTickets, Ticket

T = TypeVar("T")
Mode: TypeAlias = Literal["stream", "datagram"]
Change: TypeAlias = Callable[[int, int, bytes], Iterable[bytes]]
"""What becomes of a frame: given 0 or 1 for whose it is, its number from 0, and the frame."""
THERE, BACK = 0, 1


def name_of(person: str) -> bytes:
    return SigningKey(sha256(person.encode()).digest()).public


def pair_key(one: str, other: str) -> bytes:
    return sha256("&".join(sorted((one, other))).encode()).digest()


@dataclass
class Device:
    """One device: whom it knows, and the tickets it keeps."""

    person: str
    knows: tuple[str, ...] = ()
    visible: bool = False
    now: float = 0.0
    groups: tuple[Ticket, ...] = ()
    tickets: MemoryTickets = field(init=False)

    def __post_init__(self) -> None:
        self.tickets = MemoryTickets(lambda: self.now, self.groups)

    @property
    def who(self) -> Credentials:
        keys = {name_of(other): pair_key(self.person, other) for other in self.knows}
        signing = SigningKey(sha256(self.person.encode()).digest())
        shown = Shown(signing.public, signing.sign) if self.visible else None
        return Credentials(name_of(self.person), keys, self.tickets, shown)

    def ticket(self, person: str) -> Ticket:
        ticket = self.tickets.newest(name_of(person))
        assert ticket is not None
        return ticket


def relay(_way: int, _number: int, frame: bytes) -> Iterable[bytes]:
    return (frame,)


class Wire:
    """Two links and somebody who passes on, changes, and keeps what goes from one to the other."""

    def __init__(self, change: Change = relay, max_frame: int = 65_535) -> None:
        self.near, one = MemoryLink.pair(max_frame=max_frame)
        other, self.far = MemoryLink.pair(max_frame=max_frame)
        self.ends = (one, other)
        self.change = change
        self.said: list[tuple[int, bytes]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        self._tasks = [asyncio.create_task(self._pass(way)) for way in (THERE, BACK)]
        yield self
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def passed_all(self) -> None:
        """Wait until what both sides said before they closed has been passed on."""
        await asyncio.gather(*self._tasks)

    async def _pass(self, way: int) -> None:
        source, target = self.ends[way], self.ends[1 - way]
        number = 0
        with suppress(LinkClosedError):
            while True:
                frame = await source.receive()
                self.said.append((way, frame))
                for changed in self.change(way, number, frame):
                    await target.send(changed)
                number += 1
        await target.close()

    def bytes_said(self) -> list[bytes]:
        return [frame for _, frame in self.said]

    def shape(self) -> list[tuple[int, int]]:
        return [(way, len(frame)) for way, frame in self.said]


async def met(
    near: Device,
    far: Device,
    links: tuple[Link, Link] | Wire | None = None,
    *,
    ticket: Ticket | None = None,
    mode: Mode = "stream",
    seed: int = 1,
    dice: tuple[Callable[[int], bytes], Callable[[int], bytes]] | None = None,
) -> tuple[SecureLink, SecureLink]:
    """Hold a handshake from ``near`` to ``far``.

    Raises:
        ExceptionGroup: It failed; one error of each side that did.
    """
    links = links or MemoryLink.pair(max_frame=65_535)
    one, other = (links.near, links.far) if isinstance(links, Wire) else links
    here, there = dice or (Random(2 * seed).randbytes, Random(2 * seed + 1).randbytes)
    ends = await asyncio.gather(
        secure(one, is_initiator=True, who=near.who, random=here, ticket=ticket, mode=mode),
        secure(other, is_initiator=False, who=far.who, random=there, mode=mode),
        return_exceptions=True,
    )
    a, b = ends
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        raise BaseExceptionGroup("no session", [e for e in ends if isinstance(e, BaseException)])
    return a, b


async def parted(*links: Link) -> None:
    for link in links:
        await link.close()


def at_once(main: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, inside of a loop or without one."""
    with pytest.raises(StopIteration) as done:
        main.send(None)
    value: T = done.value.value
    return value


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time; a day of it is no end at all."""

    async def bounded() -> T:
        async with asyncio.timeout(86_400):
            return await main

    return run_virtual(bounded())[0]
