"""Who is let in at the control socket, how many at once, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import os
import random
import select
import socket
import stat
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError
from mesh import __version__, control_socket
from mesh.control_socket import connected, listening
from mesh.home import HomeError
from mesh.node import Surroundings
from mesh.paths import CONTROL_KEY, CONTROL_SOCKET
from mesh.port import PortError
from mesh.rows import FeedRow
from mesh.rpc import reach
from mesh.rpc_frames import MAX_FRAME_BYTES, Call, Items
from mesh.rpc_greeting import (
    HELLO_BYTES,
    PROTOCOL,
    Hello,
    Verdict,
    client_proof,
    decode_hello,
    server_proof,
)
from mesh.rpc_line import Line, StoppedError, open_line
from mesh.rpc_methods import FINGERPRINT
from mesh.rpc_server import Limits, serve_port
from tests.mesh.rpc_places import Doing, line_to, names_in, reached, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

NONCE = bytes(range(32))
PATIENT = Limits(greeting_s=600.0, patience_s=600.0)


async def no_contacts() -> list[object]:
    return []


@asynccontextmanager
async def stranger(folder: Path) -> AsyncIterator[Streams]:
    """Give a connection on which nothing was said yet."""
    line = connected(folder)
    assert line is not None
    reader, writer = await asyncio.open_unix_connection(sock=line)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def hello_of(reader: asyncio.StreamReader) -> bytes:
    theirs = await reader.readexactly(HELLO_BYTES)
    return theirs + await reader.readexactly(theirs[-1])


async def assert_served(folder: Path) -> None:
    async with reached(folder) as port:
        assert await port.contacts() == []


# --- the greeting ---------------------------------------------------------------------------------


@given(
    protocol=st.integers(0, 65_535),
    fingerprint=st.binary(min_size=8, max_size=8),
    nonce=st.binary(min_size=32, max_size=32),
    version=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=255),
)
def test_a_hello_is_read_as_it_was_written(
    protocol: int, fingerprint: bytes, nonce: bytes, version: str
) -> None:
    hello = Hello(protocol, fingerprint, nonce, version)
    assert decode_hello(hello.encode()) == hello


@pytest.mark.parametrize("at", range(len(b"passalong/control/1")))
def test_a_hello_of_somebody_else_is_refused(at: int) -> None:
    raw = bytearray(Hello.own(NONCE).encode())
    raw[at] ^= 1
    with pytest.raises(InvalidError, match="nobody of passalong"):
        decode_hello(bytes(raw))


def test_a_hello_that_is_cut_or_longer_is_refused() -> None:
    raw = Hello.own(NONCE).encode()
    for wrong in (raw[:-1], raw + b"x", raw[: HELLO_BYTES - 1], b"", raw[:-1] + b"\n"):
        with pytest.raises(InvalidError):
            decode_hello(wrong)


def test_no_proof_serves_for_another_purpose() -> None:
    mine, theirs, key = b"server", b"client", bytes(32)
    proofs = {
        client_proof(key, mine, theirs),
        server_proof(key, mine, theirs),
        client_proof(key, theirs, mine),
        client_proof(bytes(31) + b"\1", mine, theirs),
        client_proof(key, b"server ", theirs),
    }
    assert len(proofs) == 5
    assert {len(proof) for proof in proofs} == {32}


async def test_both_sides_prove_the_key_over_what_both_have_said(tmp_path: Path) -> None:
    async with serving(tmp_path), stranger(tmp_path) as (reader, writer):
        theirs = await hello_of(reader)
        mine = Hello.own(NONCE).encode()
        key = (tmp_path / CONTROL_KEY).read_bytes()
        writer.write(mine + client_proof(key, theirs, mine))
        assert await reader.readexactly(33) == b"\0" + server_proof(key, theirs, mine)


async def test_every_greeting_has_another_nonce_and_every_node_another_key(tmp_path: Path) -> None:
    nonces, keys = set[bytes](), set[bytes]()
    around = random.Random(1)
    for _ in range(3):
        async with _served_with(tmp_path, around):
            keys.add((tmp_path / CONTROL_KEY).read_bytes())
            for _ in range(3):
                async with stranger(tmp_path) as (reader, _writer):
                    nonces.add(decode_hello(await hello_of(reader)).nonce)
    assert (len(keys), len(nonces)) == (3, 9)


def _served_with(folder: Path, dice: random.Random) -> AbstractAsyncContextManager[None]:
    around = Surroundings(lambda: 0, dice.randbytes, lambda: 0.0)
    return serve_port(Doing().port, folder, around)


async def test_a_proof_that_was_heard_once_does_not_let_in_again(tmp_path: Path) -> None:
    async with serving(tmp_path):
        said = b""
        for expected in (Verdict.WELCOME, Verdict.WRONG_KEY):
            async with stranger(tmp_path) as (reader, writer):
                theirs = await hello_of(reader)
                mine = Hello.own(NONCE).encode()
                key = (tmp_path / CONTROL_KEY).read_bytes()
                said = said or mine + client_proof(key, theirs, mine)
                writer.write(said)
                assert await reader.readexactly(1) == bytes((expected,))


async def test_a_wrong_key_is_refused_in_a_line_and_the_line_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, contacts=no_contacts):
        right = (tmp_path / CONTROL_KEY).read_bytes()
        (tmp_path / CONTROL_KEY).write_bytes(right[:-1] + bytes((right[-1] ^ 1,)))
        with pytest.raises(PortError, match="has another key than the home; restart it") as wrong:
            await reach(tmp_path)
        assert len(str(wrong.value).splitlines()) == 1
        async with stranger(tmp_path) as (reader, writer):
            await hello_of(reader)
            mine = Hello.own(NONCE).encode()
            writer.write(mine + bytes(32))
            assert await reader.read() == b"\1"
        (tmp_path / CONTROL_KEY).write_bytes(right)
        await assert_served(tmp_path)


@pytest.mark.parametrize(("key", "why"), [(None, "cannot be read"), (b"short", "is damaged")])
async def test_a_key_that_is_missing_or_damaged_is_told(
    tmp_path: Path, key: bytes | None, why: str
) -> None:
    async with serving(tmp_path):
        (tmp_path / CONTROL_KEY).unlink()
        if key is not None:
            (tmp_path / CONTROL_KEY).write_bytes(key)
        with pytest.raises(PortError, match=f"control.key {why}; restart the node"):
            await reach(tmp_path)


@asynccontextmanager
async def impostor(folder: Path, hello: bytes, then: bytes = b"") -> AsyncIterator[None]:
    """Listen at a home's socket, and say the same to all who come."""

    ended = asyncio.Event()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello)
        if then:
            await reader.readexactly(len(Hello.own(NONCE).encode()) + 32)
            writer.write(then)
        with suppress(OSError):
            await reader.read()
        writer.close()
        ended.set()

    (folder / CONTROL_KEY).write_bytes(bytes(32))
    server = await asyncio.start_unix_server(say, folder / CONTROL_SOCKET)
    try:
        yield
    finally:
        await ended.wait()
        server.close()


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (
            Hello(PROTOCOL + 1, FINGERPRINT, NONCE, "9.9.9"),
            f"is passalong 9.9.9, and this is {__version__}; update the older one, and restart",
        ),
        (
            Hello(PROTOCOL, bytes(8), NONCE, __version__),
            f"is of another build of {__version__}; restart it",
        ),
    ],
)
async def test_another_version_is_told_before_any_proof(
    tmp_path: Path, hello: Hello, why: str
) -> None:
    async with impostor(tmp_path, hello.encode()):
        with pytest.raises(PortError, match=why) as other:
            await reach(tmp_path)
    assert len(str(other.value).splitlines()) == 1


async def test_the_same_methods_of_another_version_are_used(tmp_path: Path) -> None:
    async with serving(tmp_path), stranger(tmp_path) as (reader, writer):
        theirs = await hello_of(reader)
        mine = Hello(PROTOCOL, FINGERPRINT, NONCE, "9.9.9").encode()
        writer.write(mine + client_proof((tmp_path / CONTROL_KEY).read_bytes(), theirs, mine))
        assert (await reader.readexactly(33))[:1] == b"\0"


async def test_a_client_of_another_version_is_not_let_in(tmp_path: Path) -> None:
    async with serving(tmp_path), stranger(tmp_path) as (reader, writer):
        theirs = await hello_of(reader)
        mine = Hello(PROTOCOL + 1, FINGERPRINT, NONCE, __version__).encode()
        writer.write(mine + client_proof((tmp_path / CONTROL_KEY).read_bytes(), theirs, mine))
        assert await reader.read(1) == b""


async def test_who_listens_and_does_not_know_the_key_is_not_believed(tmp_path: Path) -> None:
    async with impostor(tmp_path, Hello.own(NONCE).encode(), b"\0" + bytes(32)):
        with pytest.raises(PortError, match="does not know the home's key; stop it"):
            await reach(tmp_path)


async def test_who_listens_and_is_no_passalong_is_told(tmp_path: Path) -> None:
    async with impostor(tmp_path, b"HTTP/1.1 400 Bad Request\r\n" + bytes(200)):
        with pytest.raises(PortError, match="is no passalong; stop it"):
            await reach(tmp_path)


async def test_who_listens_and_says_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.rpc_line.ANSWER_S", 0.01)
    async with impostor(tmp_path, b"passalong"):
        with pytest.raises(PortError, match="does not answer; wait, or stop it"):
            await reach(tmp_path)


# --- garbage --------------------------------------------------------------------------------------


async def test_garbage_instead_of_a_greeting_closes_the_line_only(tmp_path: Path) -> None:
    dice = random.Random(11)
    async with serving(tmp_path, contacts=no_contacts):
        for size in (HELLO_BYTES + 32, 400, 1_000, 100_000):
            for garbage in (dice.randbytes(size), bytes(size), b"\xff" * size):
                async with stranger(tmp_path) as (reader, writer):
                    await hello_of(reader)
                    writer.write(garbage)
                    with pytest.raises((EOFError, OSError)):
                        await reader.readexactly(2)
        await assert_served(tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\0\0\0\0",
        b"\0\0\0\1\xff",
        b"\0\0\0\x0a\x83\0\x66whoami\x81\0",
        b"\0\0\0\x0b\x83\0\x67explode\x80",
        b"\0\0\0\x0a\x83\0\x66__init\x80",
        b"\0\0\0\2\x81\3",
        b"\0\0\0\2\x81",
    ],
)
async def test_garbage_instead_of_a_call_closes_the_line_only(tmp_path: Path, said: bytes) -> None:
    async with serving(tmp_path, contacts=no_contacts):
        async with line_to(tmp_path) as line:
            line._writer.write(said)
            line._writer.write_eof()
            assert await line._reader.read() == b""
        await assert_served(tmp_path)


async def test_something_else_than_a_wish_for_the_next_ends_what_is_yielded(
    tmp_path: Path,
) -> None:
    closed = asyncio.Event()

    async def changes() -> AsyncIterator[set[str]]:
        try:
            while True:
                yield {"feed"}
        finally:
            closed.set()

    async with serving(tmp_path, changes=changes), line_to(tmp_path) as line:
        await line.send(Call("changes", []))
        await line.send(Call("changes", []))
        assert await line._reader.read() == b""
    assert not closed.is_set()  # it had not even begun


# --- how many -------------------------------------------------------------------------------------


async def test_8_strangers_are_heard_at_once_and_the_9th_when_one_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path, PATIENT, contacts=no_contacts), AsyncExitStack() as stack:
        known = [await stack.enter_async_context(reached(tmp_path)) for _ in range(20)]
        held = [await stack.enter_async_context(stranger(tmp_path)) for _ in range(8)]
        for reader, _ in held:
            await hello_of(reader)
        ninth, _ = await stack.enter_async_context(stranger(tmp_path))
        greeting = asyncio.create_task(hello_of(ninth))
        # those who are known are served meanwhile, the ninth is not greeted
        for port in known:
            assert await port.contacts() == []
        assert not greeting.done()
        held[3][1].close()
        assert decode_hello(await greeting).is_ours


async def test_who_says_nothing_is_heard_no_longer(tmp_path: Path) -> None:
    brief = Limits(strangers=1, greeting_s=0.01)
    async with serving(tmp_path, brief, contacts=no_contacts):
        for said in (b"", b"passalong/control/1"):
            async with stranger(tmp_path) as (reader, writer):
                await hello_of(reader)
                writer.write(said)
                assert await reader.read(1) == b""
        await assert_served(tmp_path)


async def test_64_clients_are_served_at_once_and_the_65th_hears_why_not(tmp_path: Path) -> None:
    async with serving(tmp_path, PATIENT, contacts=no_contacts), AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(reached(tmp_path)) for _ in range(64)]
        with pytest.raises(PortError, match=r"too many commands use the node .*; try again"):
            await reach(tmp_path)
        # one call each, which ends its connection
        assert await asyncio.gather(*(port.contacts() for port in ports)) == [[]] * 64
        await assert_served(tmp_path)


async def test_a_client_that_takes_nothing_is_left_and_holds_up_nobody(tmp_path: Path) -> None:
    row = FeedRow(bytes(32), bytes(32), bytes(32), "Ada", 1, "x" * 8_000, None, [], 1, None)
    asked = asyncio.Event()

    async def feed(**_: object) -> list[FeedRow]:
        asked.set()
        return [row] * 2_000

    brief = Limits(patience_s=0.05)
    async with serving(tmp_path, brief, feed=feed, contacts=no_contacts):
        async with line_to(tmp_path) as slow:
            slow._reader._transport.pause_reading()  # type: ignore[attr-defined]
            await slow.send(Call("feed", [0, 0, None, None]))
            await asked.wait()
            await assert_served(tmp_path)
            await asyncio.to_thread(_wait_for_its_end, slow)
            slow._reader._transport.resume_reading()  # type: ignore[attr-defined]
            assert await _items_of(slow) < 100  # of 2,000
        await assert_served(tmp_path)


def _wait_for_its_end(line: Line) -> None:
    poll = select.poll()
    poll.register(line._writer.get_extra_info("socket"), select.POLLHUP)
    assert poll.poll(20_000)


async def _items_of(line: Line) -> int:
    count = 0
    try:
        while isinstance(said := await line.receive(), Items):
            count += len(said.items)
    except StoppedError:
        return count
    raise AssertionError


async def test_no_more_open_files_is_a_pause_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mesh.rpc_server._PAUSE_S", 0.001)
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(24, "Too many open files")] * 3

    async def failing(listener: socket.socket) -> object:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", failing)
    async with serving(tmp_path, contacts=no_contacts):
        await assert_served(tmp_path)
    assert caplog.text.count("Too many open files") == 3


# --- the socket -----------------------------------------------------------------------------------


async def test_socket_and_key_are_for_their_owner_only_and_gone_at_the_end(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with serving(tmp_path):
            for name in (CONTROL_SOCKET, CONTROL_KEY):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert names_in(tmp_path) == set()
    assert await reach(tmp_path) is None


async def test_the_socket_and_key_of_a_killed_node_are_in_nobodys_way(tmp_path: Path) -> None:
    # given what a node that was killed leaves
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / CONTROL_SOCKET))
    (tmp_path / CONTROL_KEY).write_bytes(b"old")
    # then nobody is there
    assert await reach(tmp_path) is None
    assert await open_line(tmp_path) is None
    # and the next node takes its place
    async with serving(tmp_path, contacts=no_contacts):
        await assert_served(tmp_path)


async def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / CONTROL_SOCKET).mkdir()
    assert await reach(tmp_path) is None
    with pytest.raises(HomeError) as refusal, listening(tmp_path):
        pass
    assert CONTROL_SOCKET in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("size", [60, 99, 100, 101, 104, 108, 150, 1_000])
async def test_a_path_of_any_length_will_do(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    folder = tmp_path_factory.mktemp("h")
    while (missing := size - len(str(folder / CONTROL_SOCKET))) > 1:
        folder /= "x" * min(200, missing - 1)
    folder.mkdir(parents=True, exist_ok=True)
    async with serving(folder, contacts=no_contacts):
        assert (folder / CONTROL_SOCKET).is_socket()
        await assert_served(folder)
    assert names_in(folder) == set()


async def test_a_path_too_long_where_there_is_no_short_way_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "_OPEN_FILES", str(tmp_path / "no proc"))
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with pytest.raises(HomeError, match="too long for a socket; use a shorter --home"):
        async with serving(folder):
            pass
    assert await reach(folder) is None
