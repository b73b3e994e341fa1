"""What a connection holds, to the byte: with a transport on paper, and with a real one."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from typing_extensions import override

from tests.transports.joined_links import ended
from tests.transports.tcp_ends import Door, door, end, joined, until
from transports.base import LinkClosedError
from transports.framing import LONGEST_FRAME, cut
from transports.wifi import tcp_connection
from transports.wifi.tcp import TcpLink, dial
from transports.wifi.tcp_connection import (
    DISCARD_BYTES,
    FRAME_WEIGHT,
    READ_BYTES,
    RESUME_MARK,
    SEND_MARK,
    UNREAD_MARK,
    Connection,
)


class Paper(asyncio.Transport):
    """A transport that only notes what it was told."""

    def __init__(self) -> None:
        super().__init__({"socket": socket.socket(), "peername": ("127.0.0.1", 1)})
        self.notes: list[str] = []
        self.reads = True

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.notes.append(f"limits {high} {low}")

    @override
    def pause_reading(self) -> None:
        self.reads = False

    @override
    def resume_reading(self) -> None:
        self.reads = True

    @override
    def is_reading(self) -> bool:
        return self.reads

    @override
    def is_closing(self) -> bool:
        return "abort" in self.notes

    @override
    def abort(self) -> None:
        self.notes.append("abort")

    @override
    def write_eof(self) -> None:
        self.notes.append("eof")


@asynccontextmanager
async def on_paper() -> AsyncIterator[tuple[Connection, Paper, TcpLink]]:
    connection, paper = Connection(), Paper()
    connection.connection_made(paper)
    try:
        yield connection, paper, TcpLink(connection)
    finally:
        connection.connection_lost(None)
        paper.get_extra_info("socket").close()


def arrive(connection: Connection, data: bytes) -> None:
    """Let bytes arrive as the loop does."""
    while data:
        buffer = connection.get_buffer(-1)
        part, data = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(part)] = part
        connection.buffer_updated(len(part))


@pytest.mark.parametrize("size", [1, 998, 60_000])
async def test_reading_stops_above_the_upper_mark_and_goes_on_at_the_lower(size: int) -> None:
    weight = size + FRAME_WEIGHT
    async with on_paper() as (connection, paper, link):
        came = 0
        while paper.is_reading():
            arrive(connection, cut(bytes(size)))
            came += 1
        assert came == link.waiting() == UNREAD_MARK // weight + 1
        while not paper.is_reading():
            await link.receive()
        assert link.waiting() == RESUME_MARK // weight


async def test_a_read_takes_64_kib_and_nothing_is_kept_of_it() -> None:
    async with on_paper() as (connection, paper, _link):
        assert len(connection.get_buffer(-1)) == READ_BYTES == 64 * 1024
        connection.buffer_updated(1)
        assert not connection._read
        assert paper.is_reading()


async def test_what_arrives_after_the_end_is_read_up_to_a_bound_and_dropped() -> None:
    async with on_paper() as (connection, paper, link):
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        arrive(connection, bytes(DISCARD_BYTES))
        assert paper.is_reading()
        arrive(connection, bytes(1))
        assert not paper.is_reading()
        assert link.waiting() == 0
        connection.connection_lost(None)
        await closing


async def test_what_the_other_side_waits_to_send_is_not_taken_once_the_link_is_closed() -> None:
    async with on_paper() as (connection, paper, link):
        # given a link that is full both ways
        arrive(connection, cut(bytes(60_000)) * 3)
        connection.pause_writing()
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        # then it is read again only when what was to go has gone
        assert not paper.is_reading()
        assert paper.notes[-2:] == ["limits 0 None", "eof"]
        connection.resume_writing()
        assert paper.is_reading()
        connection.connection_lost(None)
        await closing


async def test_many_short_frames_in_one_read_weigh_what_they_take() -> None:
    async with on_paper() as (connection, paper, link):
        arrive(connection, cut(b"x") * (READ_BYTES // 3))
        assert link.waiting() == READ_BYTES // 3
        while not paper.is_reading():
            await link.receive()
        assert link.waiting() == RESUME_MARK // (1 + FRAME_WEIGHT)


async def test_who_waits_and_is_cancelled_leaves_no_trace() -> None:
    async with on_paper() as (connection, _paper, link):
        connection.pause_writing()
        for _ in range(10):
            waiting = [
                asyncio.create_task(link.send(b"never")),
                asyncio.create_task(link.receive()),
            ]
            await asyncio.sleep(0)
            assert len(connection._waiters) == 2
            for task in waiting:
                task.cancel()
            assert await ended(waiting) == [asyncio.CancelledError] * 2
            assert connection._waiters == []


# --- over loopback ------------------------------------------------------------------------------


async def until_stuck(link: TcpLink, frame: bytes) -> tuple[asyncio.Task[None], list[bytes]]:
    """A sender that the other side lets wait, and what it has sent."""
    sent: list[bytes] = []

    async def flood() -> None:
        for _ in count():
            await link.send(frame)
            sent.append(frame)

    task = asyncio.create_task(flood())
    before = -1
    while len(sent) != before or not link._connection.is_full:
        before = len(sent)
        done, _ = await asyncio.wait([task], timeout=0.2)
        assert not done
    return task, sent


async def until_not_read(link: TcpLink) -> None:
    transport: Any = link._connection._transport
    await until(lambda: not transport.is_reading())


@asynccontextmanager
async def before_a_bare_socket(there: Door) -> AsyncIterator[tuple[TcpLink, socket.socket]]:
    """A link of which the other end is a socket that reads when it is told to, and holds little."""
    with socket.socket() as bare:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bare.settimeout(0)
        await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", there.port))
        link = await there.next()
        yield link, bare
        await end(link)


async def all_of(bare: socket.socket) -> bytes:
    """Everything until the end, as a bare socket reads it."""
    loop, got = asyncio.get_running_loop(), b""
    while data := await loop.sock_recv(bare, 1 << 20):
        got += data
    return got


@pytest.mark.network
@pytest.mark.parametrize("size", [1, 1000, LONGEST_FRAME])
async def test_a_slow_reader_makes_the_sender_wait_and_gets_exactly_what_was_taken(
    size: int,
) -> None:
    async with door() as there, before_a_bare_socket(there) as (link, bare):
        task, sent = await until_stuck(link, bytes(size))
        transport: Any = link._connection._transport
        # so much waits here, and the kernel holds a window and about as much again
        assert SEND_MARK < transport.get_write_buffer_size() <= SEND_MARK + 2 + size
        assert sum(map(len, map(cut, sent))) < SEND_MARK + 2 + size + 4 * SEND_MARK
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        closing = asyncio.create_task(link.close())
        assert await all_of(bare) == b"".join(map(cut, sent))
        bare.close()
        await closing


@pytest.mark.network
async def test_who_sends_on_and_on_is_read_only_up_to_the_mark() -> None:
    async with door() as there, before_a_bare_socket(there) as (link, bare):
        flood = asyncio.create_task(
            asyncio.get_running_loop().sock_sendall(bare, cut(bytes(998)) * 40_000)
        )
        await until_not_read(link)
        assert not flood.done()
        assert link.waiting() * (998 + FRAME_WEIGHT) > UNREAD_MARK
        assert link.waiting() * 1000 <= UNREAD_MARK + READ_BYTES
        for _ in range(40_000):
            await link.receive()
        await flood


@pytest.mark.network
async def test_last_words_arrive_though_the_other_side_talks_without_listening() -> None:
    async with door() as there, before_a_bare_socket(there) as (link, bare):
        loop = asyncio.get_running_loop()
        # given much that is unread here, and much that is unread there
        talking = asyncio.create_task(loop.sock_sendall(bare, cut(bytes(998)) * 600))
        await until_not_read(link)
        words = [bytes([number]) * 60_000 for number in range(4)]
        for word in words[:2]:
            await link.send(word)
        # when the link is closed
        closing = asyncio.create_task(link.close())
        # then everything arrives that was sent, and the end behind it
        assert await all_of(bare) == b"".join(map(cut, words[:2]))
        bare.close()
        await asyncio.gather(talking, return_exceptions=True)
        await closing


@pytest.mark.network
async def test_who_does_not_read_the_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_connection, "LINGER_S", 0.1)
    async with door() as there, before_a_bare_socket(there) as (link, bare):
        task, _sent = await until_stuck(link, bytes(1000))
        await link.close()
        assert await asyncio.gather(task, return_exceptions=True)
        assert there.gate.links == 0
        with pytest.raises(ConnectionResetError):
            await all_of(bare)


@pytest.mark.network
async def test_a_close_that_is_cancelled_still_ends_the_link() -> None:
    async with joined() as (near, far):
        closing = asyncio.create_task(near.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(LinkClosedError, match="the other side closed the link"):
            await far.receive()
        with pytest.raises(LinkClosedError, match="this side closed the link"):
            await near.receive()
        await near.close()


@pytest.mark.network
async def test_an_idle_link_takes_less_than_four_kib() -> None:
    async with door() as there:
        near = [await dial("127.0.0.1", there.port) for _ in range(10)]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            near += [await dial("127.0.0.1", there.port) for _ in range(100)]
            for link in near:
                far = await there.next()
                await link.send(bytes(50_000))
                await far.receive()
            each = (tracemalloc.get_traced_memory()[0] - before) / 200
        finally:
            tracemalloc.stop()
        assert each < 4096
        for link in near:
            await end(link)
