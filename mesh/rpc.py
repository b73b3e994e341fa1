"""NodePort over the control socket of a home on which a node runs: the client's side.

Each call has a connection of its own, so one that ends, breaks or is slow is no matter to others.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from ledger.errors import InvalidError
from mesh.home import explain
from mesh.port import PortError
from mesh.rpc_answers import Gathered, read_item
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
)
from mesh.rpc_line import ANSWER_S, Line, MisunderstoodError, NotNowError, StoppedError, open_line
from mesh.rpc_methods import METHODS, PROGRESS, SOURCE, TARGET
from mesh.rpc_paths import Typed
from mesh.rpc_values import read_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mesh.port import NodePort
    from mesh.rpc_methods import Method
    from mesh.rpc_values import Held

CALLS: Final = 16
"""Calls of one port at a time; others wait."""
_PAUSE_S: Final = 0.02


async def reach(folder: Path) -> SocketPort | None:
    """Return a port of the node that runs on the home ``folder``, to be closed; None if none does.

    Raises:
        PortError: One does, but not of this version, or it does not answer.
    """
    try:
        line = await open_line(folder)
    except NotNowError:
        return None
    return None if line is None else SocketPort(folder, line)


class SocketPort:
    """Satisfies ``NodePort``: has each of its methods.

    Args:
        folder: The home.
        line: A first connection.
    """

    def __init__(self, folder: Path, line: Line) -> None:
        self._folder = folder
        self._spare: Line | None = line
        self._calls = asyncio.Semaphore(CALLS)

    @property
    def port(self) -> NodePort:
        """The same, as what it is."""
        return cast("NodePort", self)

    async def close(self) -> None:
        """Close what is open and not in use."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.close()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Line]:
        line, self._spare = self._spare, None
        if line is None:
            line = await self._another_line()
        try:
            yield line
        finally:
            await line.close()

    async def _another_line(self) -> Line:
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    with suppress(NotNowError):
                        line = await open_line(self._folder)
                        if line is None:
                            raise StoppedError
                        return line
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError as exc:
            raise PortError(f"the node that runs on {self._folder} is too busy; wait") from exc

    async def call(self, method: Method, given: dict[str, Any]) -> Held:
        """Call a method that returns."""
        typed = Typed()
        sent = method.write(_with_whole_paths(given, typed))
        async with self._calls, self._line() as line:
            await line.send(Call(method.name, sent))
            answer = await _Exchange(line, method, given, typed).hold()
        return typed.answer(answer)

    async def watch(self, method: Method, given: dict[str, Any]) -> AsyncIterator[Any]:
        """Call a method that yields."""
        typed = Typed()
        sent = method.write(_with_whole_paths(given, typed))
        async with self._line() as line:
            await line.send(Call(method.name, sent))
            while True:
                await line.send(Next())
                match await line.receive():
                    case Items(0, [raw]):
                        yield typed.answer(_item(method, raw))
                    case Answer(None):
                        return
                    case said:
                        raise _failure(said, typed)


def _with_whole_paths(given: dict[str, Any], typed: Typed) -> dict[str, Any]:
    return {
        name: typed.whole(value) if isinstance(value, Path) else value
        for name, value in given.items()
    }


def _item(method: Method, raw: bytes) -> Held:
    try:
        return read_item(method.answer, raw)
    except InvalidError as exc:
        raise MisunderstoodError from exc


class _Exchange:
    """What is said after a call, until its answer is there."""

    def __init__(self, line: Line, method: Method, given: dict[str, Any], typed: Typed) -> None:
        self._line = line
        self._given = given
        self._typed = typed
        self._answer = Gathered(method.answer)

    async def hold(self) -> Held:
        try:
            return await self._hold()
        except InvalidError as exc:
            raise MisunderstoodError from exc

    async def _hold(self) -> Held:
        source = self._given.get(SOURCE)
        if source is None or isinstance(source, Path):
            said = await self._line.receive()
        else:
            said = await self._pour(source)
        while not isinstance(said, Answer):
            self._take(said)
            said = await self._line.receive()
        if TARGET in self._given and not isinstance(self._given[TARGET], Path):
            _put(self._given[TARGET], b"")
        return self._answer.end(said)

    def _take(self, said: Said) -> None:
        match said:
            case Items():
                self._answer.add(said)
            case Far(done, total) if self._given.get(PROGRESS) is not None:
                self._given[PROGRESS](done, total)
            case Piece(data) if TARGET in self._given:
                _put(self._given[TARGET], data)
            case _:
                raise _failure(said, self._typed)

    async def _pour(self, source: BinaryIO) -> Said:
        """Send a stream, and return what the node says then, or even before."""
        said = asyncio.create_task(self._line.receive())
        try:
            while not said.done():
                try:
                    data = source.read(PIECE_BYTES)
                except OSError as exc:
                    await self._line.send(End(exc.errno or errno.EIO))
                    break
                await self._line.send(Piece(data) if data else End(None))
                if not data:
                    break
                await asyncio.sleep(0)  # to hear what it says
            return await said
        finally:
            said.cancel()


def _put(target: BinaryIO, data: bytes) -> None:
    try:
        if data:
            target.write(data)
        else:
            target.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise explain(exc, Path("the bundle")) from exc


def _failure(said: Said, typed: Typed) -> Exception:
    match said:
        case Refused(text):
            return PortError(typed.text(read_text(text)))
        case Broken(error, text, file):
            name = None if file is None else typed.text(os.fsdecode(file))
            return OSError(error, text, name)
        case _:
            return MisunderstoodError()


def _caller(method: Method) -> Callable[..., Any]:
    def watch(self: SocketPort, *args: object, **kwargs: object) -> AsyncIterator[Any]:
        return self.watch(method, method.bound(*args, **kwargs))

    async def call(self: SocketPort, *args: object, **kwargs: object) -> Held:
        return await self.call(method, method.bound(*args, **kwargs))

    return watch if method.yields else call


for _method in METHODS.values():
    setattr(SocketPort, _method.name, _caller(_method))
