"""A bar on standard error for whoever waits longer than a second at a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichProgress

    from mesh.port import Progress

PATIENCE_S: Final = 1.0


@contextmanager
def waiting(doing: str) -> Iterator[Progress]:
    """Show ``doing`` from a second on until the end; yields whom to tell how far it is."""
    bar = _Bar(doing)
    timer = Timer(PATIENCE_S, bar.show)
    timer.daemon = True
    if sys.stderr is not None and sys.stderr.isatty():
        timer.start()
    try:
        yield bar.tell
    finally:
        timer.cancel()
        bar.remove()


class _Bar:
    """Drawn by a thread of its own: a node that computes does not stop it."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._lock = Lock()
        self._drawn: RichProgress | None = None
        self._over = False
        self._told: tuple[int, int | None] = (0, None)

    def tell(self, done: int, total: int | None) -> None:
        self._told = (done, total)
        drawn = self._drawn
        if drawn is not None:
            drawn.update(drawn.task_ids[0], **_fields(done, total))

    def show(self) -> None:
        with self._lock:
            if not self._over:
                self._drawn = _draw(self._doing, *self._told)

    def remove(self) -> None:
        with self._lock:
            self._over = True
            drawn, self._drawn = self._drawn, None
        if drawn is not None:
            drawn.stop()


def _draw(doing: str, done: int, total: int | None) -> RichProgress:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    words = [
        TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[far]}")
    ]
    drawn = Progress(
        words[0],
        BarColumn(),
        words[1],
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
    )
    drawn.add_task(doing, **_fields(done, total))
    drawn.start()
    return drawn


def _fields(done: int, total: int | None) -> dict[str, Any]:
    far = f"{done / total:.0%}" if total else f"{done:,}" if done else ""
    return {"completed": done, "total": total, "far": far}
