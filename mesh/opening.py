"""The port of a home, whoever has it: the node that runs on it, or else this process."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mesh.home import NodeRunsError
from mesh.paths import CONTROL_SOCKET
from mesh.port import PortError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.node import Surroundings
    from mesh.port import NodePort
    from mesh.rpc import SocketPort


async def is_served(folder: Path) -> bool:
    """Say whether a node runs on the home ``folder``.

    Raises:
        PortError: One does, but is of no use.
    """
    running = await _reach(folder)
    if running is None:
        return False
    await running.close()
    return True


async def wipe_home(folder: Path, around: Surroundings | None = None) -> list[str]:
    """As ``mesh.direct.wipe_home``, once a node that runs there has ended.

    Raises:
        PortError: As there.
    """
    from mesh.direct import wipe_home as wipe_here  # noqa: PLC0415  slow, and needed here only

    running = None
    with suppress(PortError):  # of another version, or busy: it keeps the home locked
        running = await _reach(folder)
    if running is not None:
        try:
            with suppress(PortError):  # it may be gone before it has answered
                await running.port.stop()
        finally:
            await running.close()
    return await wipe_here(folder, around)


@asynccontextmanager
async def open_port(
    folder: Path, around: Surroundings | None = None, *, is_command: bool = False
) -> AsyncIterator[NodePort]:
    """Open the home in ``folder`` for as long as the context lasts.

    While the home is taken, it is waited for, and for a node that starts on it, whichever comes
    first; ``lock_wait_s`` of the home's settings says how long.

    Args:
        folder: The home.
        around: Clocks and randomness; None for the machine's.
        is_command: As ``mesh.direct.open_port`` takes it.

    Raises:
        PortError: There is none, another process keeps it, or it cannot be used.
    """
    async with AsyncExitStack() as stack:
        running = await _reach(folder)
        if running is None:
            port = await _opened(folder, around, stack, is_command=is_command)
        else:
            port = _used(running, stack)
        yield port


async def _opened(
    folder: Path, around: Surroundings | None, stack: AsyncExitStack, *, is_command: bool
) -> NodePort:
    from mesh.direct import open_port as open_here  # noqa: PLC0415  slow, and needed here only

    running: SocketPort | None = None

    async def is_running() -> bool:
        nonlocal running
        running = await _reach(folder)
        return running is not None

    try:
        return await stack.enter_async_context(
            open_here(folder, around, is_running, is_command=is_command)
        )
    except NodeRunsError:
        if running is None:
            raise
        return _used(running, stack)


async def _reach(folder: Path) -> SocketPort | None:
    try:
        if not (folder / CONTROL_SOCKET).exists():
            return None
    except OSError:  # whoever opens the home will say why
        return None
    from mesh.rpc import reach  # noqa: PLC0415  slow, and needed here only

    return await reach(folder)


def _used(running: SocketPort, stack: AsyncExitStack) -> NodePort:
    stack.push_async_callback(running.close)
    return running.port
