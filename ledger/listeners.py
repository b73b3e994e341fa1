"""Those who want to know of something: each is told, even if another cannot take it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


class Listeners(Generic[P]):
    """Functions that are called with whatever is told, each once however often it was added."""

    def __init__(self) -> None:
        self._heard: dict[Callable[P, None], None] = {}

    def __len__(self) -> int:
        return len(self._heard)

    def add(self, heard: Callable[P, None]) -> Callable[[], None]:
        """Call ``heard`` from now on; return how to stop that."""
        self._heard[heard] = None
        return partial(self._forget, heard)

    def _forget(self, heard: Callable[P, None]) -> None:
        self._heard.pop(heard, None)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all who listen now.

        Raises:
            ExceptionGroup: Some could not take it; all were called.
        """
        faults: list[Exception] = []
        for heard in list(self._heard):
            try:
                heard(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001  the others have no part in it
                faults.append(exc)
        if faults:
            raise ExceptionGroup("some who listen failed", faults)
