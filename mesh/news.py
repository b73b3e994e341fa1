"""What has changed at a node, for faces that show it: which subjects, not what about them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, get_args

from mesh.port import Subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from collections.abc import Set as AbstractSet

SUBJECTS: Final[frozenset[Subject]] = frozenset(get_args(Subject))


class News:
    """Tells everybody who watches what has changed.

    Of each watcher only the subjects are kept that he was not told of yet, however long he takes.
    """

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()

    def tell(self, *subjects: Subject) -> None:
        """Say that something about ``subjects`` is not what it was."""
        for watcher in self._watchers:
            watcher.hear(subjects)

    async def watch(self) -> AsyncIterator[AbstractSet[Subject]]:
        """Yield the subjects that changed, at first all, until closed."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                yield await watcher.next()
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self._untold: set[Subject] = set(SUBJECTS)
        self._is_news = asyncio.Event()
        self._is_news.set()

    def hear(self, subjects: tuple[Subject, ...]) -> None:
        self._untold.update(subjects)
        self._is_news.set()

    async def next(self) -> frozenset[Subject]:
        await self._is_news.wait()
        self._is_news.clear()
        untold, self._untold = self._untold, set()
        return frozenset(untold)
