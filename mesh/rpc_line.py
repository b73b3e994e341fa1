"""A connection of a command to the node that runs on its home, both sure of each other."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ledger.errors import InvalidError
from mesh import __version__
from mesh.control_socket import connected, read_key
from mesh.port import PortError
from mesh.rpc_frames import Asked, Said, decode_said, encode_frame, receive
from mesh.rpc_greeting import (
    HELLO_BYTES,
    NONCE_BYTES,
    PROOF_BYTES,
    Hello,
    Verdict,
    client_proof,
    decode_hello,
    is_proof,
    server_proof,
)

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_S: Final = 10.0
"""How long a node may take to say hello, seconds."""


class StoppedError(PortError):
    """The node went away in the middle."""

    def __init__(self) -> None:
        super().__init__("the node stopped; see what was done, and run it again for the rest")


class MisunderstoodError(PortError):
    """The node says what this version does not know."""

    def __init__(self) -> None:
        super().__init__("the node says what this command does not understand; restart the node")


class NotNowError(Exception):
    """The node let nobody in this time."""


class Line:
    """A connection to a node that has shown to know the key of the home."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, frame: Asked) -> None:
        """Send a frame; returning is room in the buffer, not delivery.

        Raises:
            StoppedError: The node is gone.
            InvalidError: The frame is too long.
        """
        raw = encode_frame(frame)
        try:
            self._writer.write(raw)
            await self._writer.drain()
        except OSError as exc:
            raise StoppedError from exc

    async def receive(self) -> Said:
        """Return the next frame of the node.

        Raises:
            StoppedError: There is none any more.
            MisunderstoodError: It is none of this version.
        """
        try:
            return decode_said(await receive(self._reader))
        except (EOFError, OSError) as exc:
            raise StoppedError from exc
        except InvalidError as exc:
            raise MisunderstoodError from exc

    async def close(self) -> None:
        """Close it at once, which ends the call."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


async def open_line(folder: Path) -> Line | None:
    """Return a connection; None if no node runs.

    Raises:
        PortError: One does, but it is of no use.
        NotNowError: It let nobody in.
    """
    try:
        there = connected(folder)
        if there is None:
            return None
        reader, writer = await asyncio.open_unix_connection(sock=there)
    except OSError as exc:
        raise NotNowError from exc
    line = Line(reader, writer)
    try:
        async with asyncio.timeout(ANSWER_S):
            await _greet(folder, reader, writer)
    except BaseException as exc:
        await line.close()
        if isinstance(exc, TimeoutError):
            raise PortError(
                f"the node that runs on {folder} does not answer; wait, or stop it and start anew"
            ) from exc
        if isinstance(exc, EOFError | OSError):
            raise NotNowError from exc
        raise
    return line


async def _greet(folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    theirs = await reader.readexactly(HELLO_BYTES)
    theirs += await reader.readexactly(theirs[-1])
    try:
        hello = decode_hello(theirs)
    except InvalidError as exc:
        raise PortError(f"who listens in {folder} is no passalong; stop it") from exc
    if not hello.is_ours:
        raise PortError(_other_version(folder, hello.version))
    key = read_key(folder)
    mine = Hello.own(os.urandom(NONCE_BYTES)).encode()
    writer.write(mine + client_proof(key, theirs, mine))
    (verdict,) = await reader.readexactly(1)
    if verdict != Verdict.WELCOME:
        raise PortError(_turned_away(folder, verdict))
    proof = await reader.readexactly(PROOF_BYTES)
    if not is_proof(proof, server_proof(key, theirs, mine)):
        raise PortError(f"who listens in {folder} does not know the home's key; stop it")


def _other_version(folder: Path, version: str) -> str:
    if version == __version__:
        return f"the node that runs on {folder} is of another build of {version}; restart it"
    return (
        f"the node that runs on {folder} is passalong {version}, and this is {__version__};"
        " update the older one, and restart the node"
    )


def _turned_away(folder: Path, verdict: int) -> str:
    if verdict == Verdict.FULL:
        return f"too many commands use the node that runs on {folder}; try again"
    return f"the node that runs on {folder} has another key than the home; restart it"
