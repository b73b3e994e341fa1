"""One call of a client, from its first frame to the last; the client has shown to know the key.

A client that goes away ends its call, as if it were cancelled in its own process.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack, aclosing
from io import RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, cast

from ledger.codec import encode
from ledger.errors import InvalidError, PassalongError
from mesh.rpc_answers import frames_of
from mesh.rpc_frames import (
    PIECE_BYTES,
    Answer,
    Broken,
    Call,
    End,
    Far,
    Items,
    Next,
    Piece,
    Refused,
    Said,
    decode_asked,
    encode_frame,
    receive,
)
from mesh.rpc_methods import METHODS, SOURCE, TARGET
from mesh.rpc_spool import spooled
from mesh.rpc_values import Stream, Told, write_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterator
    from pathlib import Path

    from mesh.port import NodePort
    from mesh.rpc_methods import Method
    from mesh.rpc_spool import Spool
    from mesh.rpc_values import Held

TELL_S: Final = 0.1
"""How often a client is told how far it is, seconds."""
_END: Final = object()
_Failure: TypeAlias = Refused | Broken
_log = logging.getLogger(__name__)


class Conversation:
    """One call.

    Args:
        port: What is called.
        folder: Where streams are kept meanwhile.
        reader: From the client.
        writer: To the client.
        patience_s: How long an answer waits for a client that does not take it, seconds.
    """

    def __init__(
        self,
        port: NodePort,
        folder: Path,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        patience_s: float,
    ) -> None:
        self._port = port
        self._folder = folder
        self._reader = reader
        self._writer = writer
        self._patience_s: float | None = patience_s

    async def hold(self) -> None:
        """Read the call, do it, and answer.

        Raises:
            EOFError: The client went away.
            OSError: Likewise.
            InvalidError: It says what no client says.
            TimeoutError: It does not take the answer.
        """
        call = await self._heard()
        if not isinstance(call, Call) or call.method not in METHODS:
            raise InvalidError("a call of nothing there is")
        method = METHODS[call.method]
        given = method.read(call.arguments)
        if method.yields:
            await self._yield(method, given)
        else:
            await self._do(method, given)
        self._writer.close()
        async with asyncio.timeout(self._patience_s):
            await self._writer.wait_closed()

    async def _heard(self) -> Call | Piece | End | Next:
        return decode_asked(await receive(self._reader))

    async def _say(self, frame: Said) -> None:
        async with asyncio.timeout(self._patience_s):
            self._writer.write(encode_frame(frame))
            await self._writer.drain()

    async def _do(self, method: Method, given: dict[str, Any]) -> None:
        names = [name for name, value in given.items() if isinstance(value, Stream)]
        with ExitStack() as files:
            try:
                spools = {name: files.enter_context(spooled(self._folder)) for name in names}
                if SOURCE in spools:
                    given[SOURCE] = await self._take_in(spools[SOURCE])
            except PassalongError as exc:
                await self._refuse(exc)
                return
            if TARGET in spools:
                given[TARGET] = spools[TARGET].target()
            told = _Far()
            given |= {name: told for name, value in given.items() if isinstance(value, Told)}
            done = await self._attended(_outcome(self._called(method, given)), told)
            await self._tell(told)
            if not isinstance(done, _Failure) and TARGET in spools:
                await self._send(spools[TARGET])
            await self._answer(method, done)

    async def _called(self, method: Method, given: dict[str, Any]) -> Held:
        done = await getattr(self._port, method.name)(**given)
        target = given.get(TARGET)
        if isinstance(target, RawIOBase):
            target.flush()
        return done

    async def _take_in(self, spool: Spool) -> BinaryIO:
        while True:
            match await self._heard():
                case Piece(data):
                    spool.add(data)
                case End(error):
                    return spool.source(error)
                case _:
                    raise InvalidError("something else in the middle of a stream")

    async def _refuse(self, exc: PassalongError) -> None:
        """Say so to a client that may still be sending, and wait until it has understood."""
        await self._say(_refusal(exc))
        async with asyncio.timeout(self._patience_s):
            while await self._reader.read(PIECE_BYTES):
                pass

    async def _attended(self, work: Coroutine[Any, Any, Any], told: _Far | None = None) -> Held:
        """Do some work as long as the client is there.

        Raises:
            ConnectionAbortedError: It went away, or spoke out of turn.
        """
        doing = asyncio.create_task(work)
        gone = asyncio.create_task(self._reader.read(1))
        tasks: list[asyncio.Task[Any]] = [doing, gone]
        if told is not None:
            tasks.append(asyncio.create_task(self._keep_telling(told)))
        try:
            await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise ConnectionAbortedError
            return doing.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_telling(self, told: _Far) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            await self._tell(told)

    async def _tell(self, told: _Far) -> None:
        news = told.take()
        if news is not None:
            await self._say(news)

    async def _send(self, spool: Spool) -> None:
        """Send what was written; it lies on the disk for as long as its reader takes."""
        self._patience_s = None
        for piece in spool.pieces():
            await self._say(Piece(piece))

    async def _answer(self, method: Method, done: Held) -> None:
        if isinstance(done, _Failure):
            await self._say(done)
            return
        frames = frames_of(method.answer, done)
        try:
            while (frame := _following(frames)) is not None:
                await self._say(frame)
                await asyncio.sleep(0)  # others have their turn between two pages
        except InvalidError as exc:
            await self._say(_refusal(exc))

    async def _yield(self, method: Method, given: dict[str, Any]) -> None:
        items = cast("AsyncGenerator[Any]", getattr(self._port, method.name)(**given))
        async with aclosing(items):
            while True:
                if not isinstance(await self._heard(), Next):
                    raise InvalidError("something else where only the next is asked for")
                frame = await self._attended(_outcome(_item(method, items)))
                await self._say(frame)
                if not isinstance(frame, Items):
                    return


class _Far:
    """How far it is; may be told by any thread."""

    def __init__(self) -> None:
        self._now: Far | None = None

    def __call__(self, done: int, total: int | None) -> None:
        self._now = Far(done, total)

    def take(self) -> Far | None:
        """Return what was told since it was last asked."""
        now, self._now = self._now, None
        return now


async def _outcome(work: Awaitable[Any]) -> Held:
    """Return what comes of a call, or the frame that says why nothing does."""
    try:
        return await work
    except Exception as exc:  # noqa: BLE001  one call fails, the node goes on
        return _failure(exc)


async def _item(method: Method, items: AsyncGenerator[Any]) -> Items | Answer:
    item = await anext(items, _END)
    return Answer(None) if item is _END else Items(0, [encode(method.answer.write(item))])


def _following(frames: Iterator[Said]) -> Said | None:
    """Return the next frame of an answer; if the port answered what it may not, that it did."""
    try:
        return next(frames, None)
    except Exception as exc:  # noqa: BLE001  one call fails, the node goes on
        return _failure(exc)


def _failure(exc: Exception) -> Refused | Broken:
    match exc:
        case PassalongError():
            return _refusal(exc)
        case OSError():
            file = os.fsencode(exc.filename) if isinstance(exc.filename, str | bytes) else None
            return Broken(exc.errno or 0, exc.strerror or str(exc), file)
        case _:
            _log.error("a call failed", exc_info=exc)
            said = f"{type(exc).__name__}: {exc}"
            return _refusal(
                PassalongError(f"this is a fault of passalong ({said}); report it with -vv")
            )


def _refusal(exc: PassalongError) -> Refused:
    return Refused(write_text(str(exc)))
