"""Short frames that are sent one right after the other leave together, and none is held up."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from typing_extensions import override

from tests.transports.tcp_ends import joined
from tests.transports.test_tcp_bounds import Paper
from transports.base import LinkClosedError
from transports.framing import cut
from transports.wifi import tcp_connection
from transports.wifi.tcp import TcpLink
from transports.wifi.tcp_connection import JOIN_BYTES, JOIN_TURNS, Connection


class Written(Paper):
    """A transport that notes what it was given, and in how many parts."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.waiting = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.parts.append(bytes(data))
        self.notes.append("write")

    @override
    def get_write_buffer_size(self) -> int:
        return self.waiting


@asynccontextmanager
async def written() -> AsyncIterator[tuple[Connection, Written, TcpLink]]:
    connection, paper = Connection(), Written()
    connection.connection_made(paper)
    try:
        yield connection, paper, TcpLink(connection)
    finally:
        connection.connection_lost(None)
        paper.get_extra_info("socket").close()


async def turns(many: int) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _turns_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(tcp_connection, "JOIN_S", 60.0)


async def test_frames_of_one_turn_leave_in_one_part_and_in_order() -> None:
    frames = [b"one", b"two", b"three"]
    async with written() as (_, paper, link):
        for frame in frames:
            await link.send(frame)
        assert paper.parts == []
        await turns(JOIN_TURNS + 1)
        assert paper.parts == [b"".join(map(cut, frames))]


async def test_a_frame_waits_a_few_turns_for_the_next_and_no_longer() -> None:
    async with written() as (_, paper, link):
        await link.send(b"one")
        await turns(JOIN_TURNS - 1)
        await link.send(b"two")
        assert paper.parts == []
        await turns(2)
        assert paper.parts == [cut(b"one") + cut(b"two")]
        await link.send(b"three")
        await turns(JOIN_TURNS + 1)
        assert paper.parts[1:] == [cut(b"three")]


async def test_where_a_turn_takes_long_a_frame_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_connection, "JOIN_S", 0.0)
    async with written() as (_, paper, link):
        await link.send(b"one")
        await turns(2)
        assert paper.parts == [cut(b"one")]


async def test_what_fills_a_packet_leaves_at_once_with_all_that_waited() -> None:
    async with written() as (_, paper, link):
        await link.send(b"short")
        await link.send(bytes(JOIN_BYTES - 9))
        assert paper.parts == []
        await link.send(b"x")
        assert paper.parts == [cut(b"short") + cut(bytes(JOIN_BYTES - 9)) + cut(b"x")]
        long = bytes(60_000)
        await link.send(b"ahead")
        await link.send(long)
        assert paper.parts[1:] == [cut(b"ahead") + cut(long)]
        await turns(JOIN_TURNS + 1)
        assert len(paper.parts) == 2


async def test_nothing_waits_for_more_behind_what_waits_to_be_sent() -> None:
    # or more than the mark and one frame would wait here
    async with written() as (_, paper, link):
        paper.waiting = 1
        await link.send(b"one")
        await link.send(b"two")
        assert paper.parts == [cut(b"one"), cut(b"two")]


async def test_however_many_frames_are_sent_in_a_turn_the_loop_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with written() as (_, paper, link):
        asked = Mock(wraps=asyncio.get_running_loop().call_soon)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon", asked)
        for _ in range(10):
            await link.send(b"short")
            await link.send(bytes(JOIN_BYTES))
        await link.send(b"last")
        assert len(paper.parts) == 10
        assert asked.call_count == 1
        monkeypatch.undo()
        monkeypatch.setattr(tcp_connection, "JOIN_S", 60.0)
        await turns(JOIN_TURNS + 1)
        assert paper.parts[10:] == [cut(b"last")]


async def test_what_waits_for_more_goes_ahead_of_the_end() -> None:
    async with written() as (connection, paper, link):
        await link.send(b"last words")
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        assert paper.parts == [cut(b"last words")]
        assert paper.notes[-3:] == ["write", "limits 0 None", "eof"]
        if hasattr(socket, "TCP_CORK"):
            opened = paper.get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)
        await turns(JOIN_TURNS + 1)
        assert len(paper.parts) == 1
        connection.connection_lost(None)
        await closing


async def test_what_waits_for_more_when_the_connection_is_broken_off_is_not_written() -> None:
    async with written() as (connection, paper, link):
        await link.send(b"never")
        connection.break_off("for a test")
        await turns(JOIN_TURNS + 1)
        assert paper.parts == []
        with pytest.raises(LinkClosedError, match="for a test"):
            await link.send(b"neither")


async def test_a_connection_that_is_lost_while_a_frame_waits_is_told_to_the_next_sender() -> None:
    async with written() as (connection, paper, link):
        await link.send(b"taken")
        connection.connection_lost(ConnectionResetError())
        await turns(JOIN_TURNS + 1)
        assert paper.parts == []
        with pytest.raises(LinkClosedError, match="the other side broke off"):
            await link.send(b"never")


@pytest.mark.network
async def test_all_that_was_sent_right_before_the_end_arrives() -> None:
    async with joined() as (near, far):
        frames = [bytes([number]) * (1 + number * number) for number in range(60)]
        for frame in frames:
            await near.send(frame)
        closing = asyncio.create_task(near.close())
        assert [await far.receive() for _ in frames] == frames
        with pytest.raises(LinkClosedError):
            await far.receive()
        await closing
