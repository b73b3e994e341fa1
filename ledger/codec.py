"""Deterministic CBOR, both ways (RFC 8949, section 4.2.1).

What passalong signs, hashes or sends is built from five things: integers of at most 64 bits,
byte strings, UTF-8 text, arrays and ``null``. Writing is cbor2's. Reading is our own
(docs/decisions/0002): it takes the one deterministic spelling and nothing else, so a tag that
would make a general decoder compile a stranger's pattern, or follow a shared reference, is
refused before anything happens.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import cbor2

from ledger.errors import InvalidError

Value: TypeAlias = "int | bytes | str | list[Value] | None"

NETWORK: Final = "passalong"
"""Name of the network; part of every signature and keyed hash, so a test network never mixes."""

MAX_DEPTH: Final = 8
_LEAST: Final = (24, 1 << 8, 1 << 16, 1 << 32)
_NULL: Final = 22
_SMALL: Final = [bytes((value,)) for value in range(24)]
_BYTES: Final = 0x40
_ARRAY: Final = 0x80
_SHORT: Final = 24
"""So much more than these, or than 0, is a head that does not say its argument itself."""
_OTHER: Final = 0xFF


def context(what: str) -> bytes:
    """Return the ASCII prefix of one use of a signature or hash, ``<network>/<what>/1``."""
    return f"{NETWORK}/{what}/1".encode("ascii")


def encode(value: object) -> bytes:
    """Return the deterministic bytes of ``value``: a ``Value``, or one with tuples as arrays."""
    return cbor2.dumps(value, canonical=True)


def encode_uint(value: int) -> bytes:
    """Return ``encode(value)`` of a number that is not negative, faster where it is small."""
    if value < 24:
        return _SMALL[value]
    return b"\x18" + value.to_bytes(1, "big") if value < 1 << 8 else encode(value)


def decode(data: bytes, limit: int) -> Value:
    """Read exactly one value.

    Args:
        data: The whole encoding, nothing after it.
        limit: Most bytes accepted.

    Raises:
        InvalidError: Anything but the deterministic encoding of a ``Value``, nested at most
            ``MAX_DEPTH`` deep. No other exception leaves this function.
    """
    if len(data) > limit:
        raise InvalidError(f"{len(data)} bytes where at most {limit} are allowed")
    value, end = _read(data, 0, MAX_DEPTH)
    if end != len(data):
        raise InvalidError(f"{len(data) - end} bytes after the end of the value")
    return value


def read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Read one head at ``at``: major type, argument, and where its content begins.

    Raises:
        InvalidError: Cut short, of indefinite length, or not the shortest spelling.
    """
    if at >= len(data):
        raise InvalidError("cut short")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise InvalidError("a length that is not definite")
    end = at + (1 << info - 24)
    if end > len(data):
        raise InvalidError("cut short")
    value = int.from_bytes(data[at:end], "big")
    if value < _LEAST[info - 24]:
        raise InvalidError("not the shortest spelling")
    return major, value, end


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    major, value, at = read_head(data, at)
    match major:
        case 0:
            return value, at
        case 1:
            return -1 - value, at
        case 2 | 3:
            return _read_string(data, at, value, text=major == 3)
        case 4:
            return _read_array(data, at, value, depth)
        case 7 if value == _NULL:
            return None, at
        case _:
            raise InvalidError("a kind of value that has no place here")


def _read_string(data: bytes, at: int, size: int, *, text: bool) -> tuple[Value, int]:
    end = at + size
    if end > len(data):
        raise InvalidError("cut short")
    if not text:
        return data[at:end], end
    try:
        return data[at:end].decode("utf-8"), end
    except UnicodeDecodeError as exc:
        raise InvalidError("text that is not UTF-8") from exc


def _read_array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    """Read items; most are small numbers, short strings and short arrays, read without a detour."""
    if depth == 0:
        raise InvalidError(f"nested deeper than {MAX_DEPTH}")
    size = len(data)
    if count > size - at:
        raise InvalidError("cut short")
    items: list[Value] = []
    item: Value
    for _ in range(count):
        head = data[at] if at < size else _OTHER
        if head < _SHORT:
            item, at = head, at + 1
        elif _BYTES <= head < _BYTES + _SHORT:
            item, at = _read_string(data, at + 1, head - _BYTES, text=False)
        elif _ARRAY <= head < _ARRAY + _SHORT:
            item, at = _read_array(data, at + 1, head - _ARRAY, depth - 1)
        else:
            item, at = _read(data, at, depth - 1)
        items.append(item)
    return items, at
