"""Paths that a client names and the server opens, who may stand elsewhere."""

from __future__ import annotations

import os
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mesh.rpc_values import Held

_STANDARD: Final = {"/dev/stdin": "0", "/dev/stdout": "1", "/dev/stderr": "2"}
_OPEN_FILES: Final = "/dev/fd/"
_SELF: Final = "/proc/self/"
_BEFORE: Final = r"(?<![^\s'\"(])"
_AFTER: Final = r"(?![^\s'\"):;,])"


class Typed:
    """The paths of one call, as a person typed them."""

    def __init__(self) -> None:
        self._typed: list[tuple[re.Pattern[str], str]] = []

    def whole(self, path: Path) -> Path:
        """Return what the server opens for ``path``.

        Raises:
            OSError: The folder that this process is in is gone.
        """
        whole = _own(path) or path.absolute()
        if whole != path:
            self._typed.append((_named(str(whole), _AFTER), str(path)))
        if not path.is_absolute():
            self._typed.append((_named(f"{Path.cwd()}/", ""), ""))
        return whole

    def text(self, text: str) -> str:
        """Return what the server says, with the paths as they were typed."""
        for whole, typed in self._typed:
            text = whole.sub(lambda _, typed=typed: typed, text)  # type: ignore[misc]
        return text

    def answer(self, value: Held) -> Held:
        """Return an answer of the server, with the paths as they were typed."""
        if not self._typed:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.answer(one) for one in value]
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{one.name: self.answer(getattr(value, one.name)) for one in fields(value)}
            )
        return value


def _named(path: str, after: str) -> re.Pattern[str]:
    """Return what finds ``path`` where a text names it, and not within another path."""
    return re.compile(_BEFORE + re.escape(path) + after)


def _own(path: Path) -> Path | None:
    """Return by what path another process finds an open file of this one, if ``path`` is one."""
    text, own = str(path), f"/proc/{os.getpid()}/"
    if text in _STANDARD:
        return Path(f"{own}fd/{_STANDARD[text]}")
    for beginning, there in ((_OPEN_FILES, "fd/"), (_SELF, "")):
        if text.startswith(beginning):
            return Path(f"{own}{there}{text.removeprefix(beginning)}")
    return None
