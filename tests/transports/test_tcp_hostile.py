"""What the other end of a connection may do, and what it gets from it."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.transports.joined_links import rest
from tests.transports.tcp_ends import Door, door, end, until
from transports.base import LinkClosedError
from transports.framing import LONGEST_FRAME, cut
from transports.gate import GateLimits
from transports.wifi.tcp import TcpLink, dial

pytestmark = pytest.mark.network
HOME = "127.0.0.1"
FILES = Path("/proc/self/fd")


@asynccontextmanager
async def before_a_stranger(there: Door) -> AsyncIterator[tuple[TcpLink, socket.socket]]:
    """A link, and a bare socket at its other end."""
    with socket.socket() as bare:
        bare.settimeout(0)
        await asyncio.get_running_loop().sock_connect(bare, (HOME, there.port))
        yield await there.next(), bare


async def say(bare: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(bare, data)


async def hear(bare: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(bare, 4096)


def reset(bare: socket.socket) -> None:
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bare.close()


async def reason(link: TcpLink) -> str:
    with pytest.raises(LinkClosedError) as received:
        await link.receive()
    with pytest.raises(LinkClosedError) as sent:
        await link.send(b"anybody there?")
    assert str(received.value) == str(sent.value)
    return str(received.value)


async def test_who_announces_an_empty_frame_is_broken_off_behind_what_came_whole() -> None:
    async with door() as there, before_a_stranger(there) as (link, bare):
        await say(bare, cut(b"one") + cut(b"two") + bytes(2) + cut(b"three"))
        assert await rest(link) == [b"one", b"two"]
        assert "sent no frames: a frame of no bytes" in await reason(link)
        with pytest.raises(ConnectionResetError):
            await hear(bare)
        assert there.gate.links == 0


async def test_garbage_is_taken_for_frames_or_refused_and_never_more() -> None:
    garbage = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 2_000
    async with door() as there, before_a_stranger(there) as (link, bare):
        await say(bare, garbage)
        bare.shutdown(socket.SHUT_WR)
        got = await rest(link)
        # "GE" is a length like any other
        assert got[0] == garbage[2 : 2 + 0x4745]
        assert "closed the link in the middle of a frame" in await reason(link)


async def test_half_a_frame_and_silence_hold_the_half_and_the_other_way_goes_on() -> None:
    async with door() as there, before_a_stranger(there) as (link, bare):
        await say(bare, cut(b"whole") + cut(bytes(LONGEST_FRAME))[:-1])
        assert await link.receive() == b"whole"
        await until(lambda: link._connection._joiner.pending > LONGEST_FRAME)
        assert link.waiting() == 0
        await link.send(b"hello")
        assert await hear(bare) == cut(b"hello")
        receiving = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        bare.close()
        with pytest.raises(LinkClosedError, match="in the middle of a frame"):
            await receiving


async def test_who_breaks_off_in_the_middle_leaves_what_came_whole() -> None:
    async with door() as there, before_a_stranger(there) as (link, bare):
        await say(bare, cut(b"one") + cut(b"two") + b"\0\5hal")
        assert await link.receive() == b"one"
        reset(bare)
        assert await rest(link) == [b"two"]
        assert "broke off the connection" in await reason(link)


async def test_who_breaks_off_while_much_is_sent_wakes_the_sender() -> None:
    async with door() as there, before_a_stranger(there) as (link, bare):

        async def flood() -> None:
            while True:
                await link.send(bytes(10_000))

        flooding = asyncio.create_task(flood())
        await until(lambda: link._connection.is_full)
        reset(bare)
        with pytest.raises(LinkClosedError):
            await flooding
        await link.close()
        assert there.gate.links == 0


async def test_who_breaks_off_at_once_takes_no_place() -> None:
    async with door() as there:
        for _ in range(50):
            with socket.socket() as bare:
                bare.settimeout(0)
                await asyncio.get_running_loop().sock_connect(bare, (HOME, there.port))
                reset(bare)
        for _ in range(50):
            assert await rest(await there.next()) == []
        await until(lambda: there.gate.links == 0)
        assert there.gate.half_open == 0
        # nor does a timer hold on to it
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert [timer for timer in timers if not timer.cancelled()] == []


@pytest.mark.slow
async def test_a_thousand_links_in_a_row_leave_nothing_behind() -> None:
    async def visit(number: int) -> None:
        near = await dial(HOME, there.port)
        far = await there.next()
        await near.send(number.to_bytes(2, "big"))
        assert await far.receive() == number.to_bytes(2, "big")
        await (near, far)[number % 2].close()
        await (far, near)[number % 2].close()
        there.links.clear()

    def held() -> tuple[int, int, int, int]:
        gc.collect()
        files = len([*FILES.iterdir()]) if FILES.exists() else 0
        return files, len(asyncio.all_tasks()), there.gate.links, there.gate.half_open

    async with door() as there:
        for number in range(10):
            await visit(number)
        before = held()
        for number in range(1_000):
            await visit(number)
        assert held() == before
        assert there.listener.refused == there.listener.failed == 0


async def test_a_flood_of_connects_does_not_disturb_those_who_are_in() -> None:
    limits = GateLimits(half_open_each=8, links_each=10, burst=12)
    async with door(limits=limits) as there:
        near = await dial(HOME, there.port)
        far = await there.next()
        flood = [socket.socket() for _ in range(300)]
        loop, at_once = asyncio.get_running_loop(), asyncio.Semaphore(50)

        async def knock(bare: socket.socket) -> None:
            bare.settimeout(0)
            async with at_once:
                await loop.sock_connect(bare, (HOME, there.port))
                await loop.sock_recv(bare, 1)

        knocking = [asyncio.create_task(knock(bare)) for bare in flood]
        for number in range(200):
            frame = number.to_bytes(2, "big")
            await near.send(frame)
            await far.send(await far.receive())
            assert await near.receive() == frame
        # when all of them are judged, nine more came in from there, and the rest was cut off
        await until(lambda: sum(task.done() for task in knocking) == 291)
        cut_off = [type(task.exception()) for task in knocking if task.done()]
        assert cut_off == [ConnectionResetError] * 291
        assert len(there.links) == there.gate.links == 10
        assert there.listener.refused == 291
        # and somebody at another address comes in all the same
        with socket.socket() as friend:
            friend.bind(("127.0.0.2", 0))
            friend.settimeout(0)
            await loop.sock_connect(friend, (HOME, there.port))
            await until(lambda: len(there.links) == 11)
            assert str(there.links[-1].info.address).startswith("127.0.0.2:")
        for task in knocking:
            task.cancel()
        await asyncio.gather(*knocking, return_exceptions=True)
        for bare in flood:
            bare.close()
        await end(near)
