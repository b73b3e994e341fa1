"""How single values are spelled in the five kinds of value of our CBOR; see ``mesh.rpc_spelling``.

Each value has one spelling, and whatever is read is checked against its type.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Protocol,
    TypeAlias,
)

from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

Held: TypeAlias = Any
"""A value of the type that a spelling is for."""
MAX_VALUE_BYTES: Final = 4 << 20
"""Of a row, or of an answer without the items of its lists."""
_LARGE: Final = re.compile("-?[1-9][0-9]{18,99}")
_LEAST, _MOST = -(1 << 64), (1 << 64) - 1


class Spelling(Protocol):
    """Writes values of one type, and reads them.

    Attributes:
        name: Tells it from every other.
    """

    @property
    def name(self) -> str: ...

    def write(self, value: Held) -> Value:
        """Return how ``value`` is spelled.

        Raises:
            InvalidError: It is too long.
        """
        ...

    def read(self, value: Value) -> Held:
        """Return what ``value`` spells.

        Raises:
            InvalidError: It is no spelling of this type.
        """
        ...


class Plain:
    """Stands for the type ``mesh.rows.Plain``, which is any ``Value``."""


class Stream:
    """Stands for a stream, whose bytes go another way."""


class Told:
    """Stands for a function that is told how far something is."""


@dataclass(frozen=True, slots=True)
class One:
    """Spells what has no parts."""

    name: str
    write: Callable[[Any], Value]
    read: Callable[[Value], Any]


def _write_int(value: int) -> Value:
    if _LEAST <= value <= _MOST:
        return int(value)
    if abs(value) >= 10**100:
        raise InvalidError("a number of more than 100 digits; check what was given")
    return str(value)


def _read_int(value: Value) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _LARGE.fullmatch(value) and not _LEAST <= int(value) <= _MOST:
        return int(value)
    raise InvalidError("no number where one belongs")


def _read_bool(value: Value) -> bool:
    if value not in (0, 1):
        raise InvalidError("neither 0 nor 1 where one of them belongs")
    return value == 1


def _write_float(value: float) -> Value:
    return float(value).hex()


def _read_float(value: Value) -> float:
    try:
        number = float.fromhex(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or number.hex() != value:
        raise InvalidError("no number where one with a fraction belongs")
    return number


def _read_bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise InvalidError("no bytes where some belong")
    return value


def write_text(value: str) -> str | bytes:
    """Return how a text is spelled, whatever is in it."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a character, which the port refuses in its own words
        return value.encode("utf-8", "surrogatepass")
    return value


def read_text(value: Value) -> str:
    """Return the text that is spelled so.

    Raises:
        InvalidError: It is none.
    """
    if isinstance(value, str):
        return value
    try:
        text = _read_bytes(value).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise InvalidError("no text where some belongs") from exc
    if write_text(text) != value:
        raise InvalidError("a text that has another spelling")
    return text


def _write_path(value: Path) -> Value:
    return os.fsencode(value)


def _read_path(value: Value) -> Path:
    raw = _read_bytes(value)
    path = Path(os.fsdecode(raw))
    if not path.is_absolute() or os.fsencode(path) != raw or b"\0" in raw:
        raise InvalidError("no path from the root where one belongs")
    return path


def _write_file(value: object) -> Value:
    return _write_path(value) if isinstance(value, Path) else 0


def _read_file(value: Value) -> Path | Stream:
    return Stream() if value == 0 else _read_path(value)


def _write_plain(value: Value) -> Value:
    return encode(value)


def _read_plain(value: Value) -> Value:
    return decode(_read_bytes(value), MAX_VALUE_BYTES)


def _read_told(value: Value) -> Told:
    if value != 0:
        raise InvalidError("no 0 where one belongs")
    return Told()


def _read_none(value: Value) -> None:
    if value is not None:
        raise InvalidError("something where nothing belongs")


ONES: Final[dict[type, Spelling]] = {
    NoneType: One("none", lambda _: None, _read_none),
    int: One("int", _write_int, _read_int),
    bool: One("bool", int, _read_bool),
    float: One("float", _write_float, _read_float),
    bytes: One("bytes", bytes, _read_bytes),
    str: One("text", write_text, read_text),
    Path: One("path", _write_path, _read_path),
    Plain: One("plain", _write_plain, _read_plain),
    Told: One("told", lambda _: 0, _read_told),
}
FILE: Final = One("file", _write_file, _read_file)
