"""Those who want to know of something: each is told, even if another cannot take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


class Listeners(Generic[P]):
    """Functions that are called with whatever is told."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[P, None]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, heard: Callable[P, None]) -> Callable[[], None]:
        """Call ``heard`` from now on; return how to stop that."""
        key = object()
        self._listeners[key] = heard

        def forget() -> None:
            self._listeners.pop(key, None)

        return forget

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all who listen now.

        Raises:
            ExceptionGroup: Some could not take it; all were called.
        """
        faults: list[Exception] = []
        for heard in list(self._listeners.values()):
            try:
                heard(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001  the others have no part in it
                faults.append(exc)
        if faults:
            raise ExceptionGroup("some who listen failed", faults)
