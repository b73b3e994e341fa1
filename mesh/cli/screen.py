"""Where an answer goes: one JSON document for a program, words for a person.

Whatever is written here is written whole and flushed before the call returns, so that a full disk
or a closed pipe is noticed by whoever still can do something about it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, TextIO

from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Part


def is_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at ``stream``."""
    return stream.isatty()


def document(value: object) -> object:
    """Return rows as JSON knows them: bytes as lowercase hex, dataclasses as objects."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: document(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [document(item) for item in value]
    if is_dataclass(value):
        return {item.name: document(getattr(value, item.name)) for item in fields(value)}
    return value


class Screen:
    """One standard stream, for one answer.

    Args:
        json: For a program.
        aside: On standard error, because standard output or input is a file this time.
    """

    def __init__(self, *, json: bool, aside: bool = False) -> None:
        self._json = json
        self._stream: TextIO | None = sys.stderr if aside else sys.stdout

    @property
    def exists(self) -> bool:
        """Whether there is anywhere to write; a closed stream takes nothing."""
        return self._stream is not None

    @property
    def is_drawn(self) -> bool:
        """Whether a person looks at it on a terminal."""
        return not self._json and self._stream is not None and is_terminal(self._stream)

    def answer(self, said: object, *parts: Part) -> None:
        """Write the answer: ``said`` as JSON, or ``parts`` for a person.

        Raises:
            BrokenPipeError: Whoever read it has had enough.
            PortError: It could not be written.
        """
        if self._json and self._stream is not None:
            self._write(json.dumps(document(said)) + "\n")
        else:
            self.show(*parts)

    def show(self, *parts: Part) -> None:
        """Write ``parts`` for a person before there is an answer; a program does not see them.

        Raises:
            BrokenPipeError: Whoever read them has had enough.
            PortError: They could not be written.
        """
        if self._stream is None or self._json:
            return
        if self.is_drawn:
            self._write(_drawn(self._stream, parts))
        else:
            self._write("".join(f"{line}\n" for part in parts for line in part.plain()))

    def _write(self, text: str) -> None:
        try:
            print(text, end="", file=self._stream, flush=True)
        except BrokenPipeError:
            raise
        except OSError as exc:
            raise PortError(
                f"it was done, but the answer could not be written ({exc.strerror});"
                " look before you repeat it"
            ) from exc


def _drawn(stream: TextIO, parts: tuple[Part, ...]) -> str:
    from rich.console import Console  # noqa: PLC0415

    from mesh.cli.parts import Copyable  # noqa: PLC0415

    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part.drawn(), soft_wrap=isinstance(part, Copyable))
    return captured.get()
