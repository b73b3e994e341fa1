"""The server's side of the control socket: who may ask, and how many at once."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.errors import InvalidError
from mesh.control_socket import listening, new_key
from mesh.rpc_conversation import Conversation
from mesh.rpc_greeting import (
    HELLO_BYTES,
    KEY_BYTES,
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
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.node import Surroundings
    from mesh.port import NodePort

_PAUSE_S: Final = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much clients may take.

    Attributes:
        clients: Calls at a time; a call has a connection of its own.
        strangers: Connections at a time that have not shown to know the key; others wait.
        greeting_s: How long they have for it, seconds.
        patience_s: How long an answer waits for a client that does not take it, seconds.
    """

    clients: int = 64
    strangers: int = 8
    greeting_s: float = 2.0
    patience_s: float = 60.0


@asynccontextmanager
async def serve_port(
    port: NodePort, folder: Path, around: Surroundings, limits: Limits | None = None
) -> AsyncIterator[None]:
    """Let other processes of this user call ``port``, for as long as the context lasts.

    Args:
        port: Of the home in ``folder``.
        folder: The home, whose lock is held.
        around: Gives randomness.
        limits: How much clients may take.

    Raises:
        HomeError: The folder cannot be used.
    """
    with new_key(folder, around.random(KEY_BYTES)) as key, listening(folder) as listener:
        server = _Server(port, folder, key, around, limits or Limits())
        accepting = asyncio.create_task(server.accept(listener))
        try:
            yield
        finally:
            await server.end(accepting)


class _Server:
    def __init__(
        self, port: NodePort, folder: Path, key: bytes, around: Surroundings, limits: Limits
    ) -> None:
        self._port = port
        self._folder = folder
        self._key = key
        self._around = around
        self._limits = limits
        self._strangers = asyncio.Semaphore(limits.strangers)
        self._clients = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._strangers.acquire()
            try:
                line, _ = await loop.sock_accept(listener)
            except OSError as exc:  # no more open files, for now
                self._strangers.release()
                _log.warning("a command could not be let in: %s", exc)
                await asyncio.sleep(_PAUSE_S)
                continue
            task = asyncio.create_task(self._serve(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end(self, accepting: asyncio.Task[None]) -> None:
        """Let nobody in any more, and stop what is being done."""
        for task in (accepting, *self._tasks):
            task.cancel()
        await asyncio.gather(accepting, *self._tasks, return_exceptions=True)

    async def _serve(self, line: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(sock=line)
        except BaseException:
            line.close()
            self._strangers.release()
            raise
        try:
            if await self._is_let_in(reader, writer):
                self._clients += 1
                try:
                    await self._converse(reader, writer)
                finally:
                    self._clients -= 1
        except (InvalidError, EOFError, OSError) as exc:
            _log.debug("a command went away: %r", exc)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Conversation(self._port, self._folder, reader, writer, self._limits.patience_s)
        await talk.hold()

    async def _is_let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            async with asyncio.timeout(self._limits.greeting_s):
                verdict, proof = await self._greet(reader, writer)
                writer.write(bytes((verdict,)) + proof)
                await writer.drain()
        finally:
            self._strangers.release()
        return verdict is Verdict.WELCOME

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Verdict, bytes]:
        mine = Hello.own(self._around.random(NONCE_BYTES)).encode()
        writer.write(mine)
        theirs = await reader.readexactly(HELLO_BYTES)
        theirs += await reader.readexactly(theirs[-1])
        proof = await reader.readexactly(PROOF_BYTES)
        if not decode_hello(theirs).is_ours:
            raise InvalidError("another version, which should have noticed")
        if not is_proof(proof, client_proof(self._key, mine, theirs)):
            return Verdict.WRONG_KEY, b""
        if self._clients >= self._limits.clients:
            return Verdict.FULL, b""
        return Verdict.WELCOME, server_proof(self._key, mine, theirs)
