"""Standard input and output as files, and text that is read from either."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mesh.cli.values import STANDARD
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.port import File

MAX_TEXT_BYTES: Final = 1 << 16
"""Far more than a post or 24 words take; what is longer is something else."""


def source(name: str) -> File:
    """Return what FILE ``name`` is read from."""
    return _standard_input() if name == STANDARD else Path(name)


def target(name: str) -> File:
    """Return what FILE ``name`` is written to.

    Raises:
        PortError: Standard output is a terminal, or closed.
    """
    if name != STANDARD:
        return Path(name)
    if sys.stdout is None:
        raise PortError("standard output is closed; name a file")
    if sys.stdout.isatty():
        raise PortError("a bundle is no text for a terminal; name a file, or pipe it on")
    return sys.stdout.buffer


def read_text(name: str, what: str) -> str:
    """Return the text of FILE ``name``, without the line's end after it.

    Args:
        name: A path, or ``-``.
        what: Named where it is refused.

    Raises:
        PortError: It cannot be read, is too long, or is not UTF-8.
    """
    stream = source(name)
    if not isinstance(stream, Path):
        return _text(stream.read(MAX_TEXT_BYTES + 1), what)
    try:
        with stream.open("rb") as file:
            return _text(file.read(MAX_TEXT_BYTES + 1), what)
    except OSError as exc:
        raise PortError(f"{name} cannot be read: {exc.strerror}; check the path") from exc


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise PortError("standard input is closed; name a file")
    if sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("reading from the keyboard; end with Ctrl-D on a line of its own\n")
        sys.stderr.flush()
    return sys.stdin.buffer


def _text(raw: bytes, what: str) -> str:
    if len(raw) > MAX_TEXT_BYTES:
        raise PortError(f"{what} is longer than {MAX_TEXT_BYTES:,} bytes; check what was given")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PortError(f"{what} is not UTF-8; convert it, for example with iconv") from exc
    return text.removesuffix("\n").removesuffix("\r")
