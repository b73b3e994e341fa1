"""The tasks of something that runs: each is remembered until it ends, and none fails unnoticed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

log: Final = logging.getLogger("passalong")


class Tasks:
    """Tasks of one owner, who ends them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` from now on; should it fail, that is logged as the fault it is."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("this is a fault of passalong; report it", exc_info=fault)

    async def cancel(self) -> None:
        """End all now, those too that begin meanwhile."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
