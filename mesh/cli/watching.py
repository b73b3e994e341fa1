"""``peers --watch``: who is around, as it changes, until Ctrl-C."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from mesh.cli.network import peers_sheet
from mesh.port import PortError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from mesh.cli.call import Call
    from mesh.cli.screen import Screen
    from mesh.port import NodePort, Progress
    from mesh.rows import PeerRow

REFRESH_S: Final = 1.0


def watch_peers(call: Call) -> None:
    """Show peers whenever they change: a table that is drawn anew, or a JSON array a line.

    Raises:
        PortError: No node runs there: nobody would ever come, and none could be started meanwhile.
    """
    screen = call.screen()

    async def watch(port: NodePort, _progress: Progress) -> None:
        if not (await port.status()).running:
            raise PortError("no node runs here; start it with `passalong run`, then watch")
        with _shown(screen) as show:
            async for _ in _moments(port, often=screen.is_drawn):
                show(await port.peers())

    with suppress(KeyboardInterrupt):  # that is how it ends
        call.ask(watch, None)


async def _moments(port: NodePort, *, often: bool) -> AsyncIterator[None]:
    """Yield when peers come and go, and every second where a person looks."""
    async with aclosing(port.changes()) as changes:  # type: ignore[type-var]
        news = asyncio.ensure_future(anext(changes))
        try:
            while True:
                done, _ = await asyncio.wait([news], timeout=REFRESH_S if often else None)
                if not done:
                    yield
                    continue
                if "peers" in news.result():
                    yield
                news = asyncio.ensure_future(anext(changes))
        finally:
            news.cancel()
            await asyncio.gather(news, return_exceptions=True)  # it is in the middle of changes


@contextmanager
def _shown(screen: Screen) -> Iterator[Callable[[list[PeerRow]], None]]:
    if not screen.is_drawn:
        yield lambda rows: screen.answer(rows, peers_sheet(rows))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(markup=False, emoji=False), auto_refresh=False) as live:
        yield lambda rows: live.update(peers_sheet(rows).drawn(), refresh=True)
