"""Ports that do what a test says, served at the socket of a home that is a bare folder."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast

from mesh.rpc import reach
from mesh.rpc_line import Line, open_line
from mesh.rpc_server import Limits, serve_port
from tests.mesh.places import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mesh.port import NodePort


async def until(is_so: Callable[[], bool]) -> None:
    """Let others work until something is so."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  who makes it so tells nobody
            await asyncio.sleep(0)


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


class Doing:
    """A port with some methods."""

    def __init__(self, **methods: Callable[..., object]) -> None:
        vars(self).update(methods)

    @property
    def port(self) -> NodePort:
        """The same, as if it had all."""
        return cast("NodePort", self)


def serving(
    folder: Path, limits: Limits | None = None, **methods: Callable[..., object]
) -> AbstractAsyncContextManager[None]:
    """Serve a port with these methods."""
    return serve_port(Doing(**methods).port, folder, World().around, limits)


@asynccontextmanager
async def reached(folder: Path) -> AsyncIterator[NodePort]:
    """Give the port that is served there."""
    running = await reach(folder)
    assert running is not None
    try:
        yield running.port
    finally:
        await running.close()


@asynccontextmanager
async def line_to(folder: Path) -> AsyncIterator[Line]:
    """Give a connection that knows the key, and has not asked yet."""
    line = await open_line(folder)
    assert line is not None
    try:
        yield line
    finally:
        await line.close()
