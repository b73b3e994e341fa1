"""How a fuzzer spoils bytes: by bits, by pieces, and by the values that they spell.

The same dice make the same bytes. Changes to bytes alone rarely come past the first length that a
deterministic encoding repeats; ``reshape`` reads the values, changes one and writes them again, so
that what lies deep is reached too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.codec import decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from ledger.codec import Value

MOST_STEPS: Final = 4
_MAX_PIECE: Final = 40
_NUMBERS: Final = (
    *(0, 1, 2, 23, 24, 63, 64, 255, 256, 16_384, 16_385, 65_535, 65_536),
    *((1 << bits) + more for bits in (32, 40, 53, 63) for more in (-1, 0)),
    *((1 << 64) - 1, -1, -24, -25, -(1 << 63), -(1 << 64)),
)
_SIZES: Final = (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128)
_TEXTS: Final = ("", "a", "post", "Z", "/", "\x00", "\u202e", "\u2800", "\u00e9" * 40, "\U0001f4af")


def mutate(data: bytes, dice: Random, others: Sequence[bytes], cbor_at: int | None) -> bytes:
    """Return ``data`` after 1 to ``MOST_STEPS`` changes.

    Args:
        data: What to spoil.
        dice: Decides everything.
        others: What to splice with, at least one.
        cbor_at: Where a CBOR value begins that takes the rest; None where there is none.
    """
    for _ in range(dice.randint(1, MOST_STEPS)):
        if cbor_at is not None and dice.randrange(2):
            data = reshape(data, dice, cbor_at)
        elif dice.randrange(5):
            data = dice.choice(_WAYS)(data, dice)
        else:
            data = splice(data, dice.choice(others), dice)
    return data


def splice(data: bytes, other: bytes, dice: Random) -> bytes:
    """Return a beginning of ``data`` and an end of ``other``."""
    return data[: dice.randint(0, len(data))] + other[dice.randint(0, len(other)) :]


def reshape(data: bytes, dice: Random, at: int) -> bytes:
    """Return ``data`` with one value changed in the CBOR at ``at``; any change if it is none."""
    try:
        value = decode(data[at:], len(data))
    except InvalidError:
        return dice.choice(_WAYS)(data, dice)
    return data[:at] + encode(_changed(value, dice))


def _flip(data: bytes, dice: Random) -> bytes:
    if not data:
        return data
    spoilt = bytearray(data)
    spoilt[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def _overwrite(data: bytes, dice: Random) -> bytes:
    at = dice.randint(0, len(data))
    piece = _piece(dice)
    return data[:at] + piece + data[at + len(piece) :]


def _insert(data: bytes, dice: Random) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + _piece(dice) + data[at:]


def _delete(data: bytes, dice: Random) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + data[at + dice.randint(1, _MAX_PIECE) :]


def _repeat(data: bytes, dice: Random) -> bytes:
    start, at = dice.randint(0, len(data)), dice.randint(0, len(data))
    return data[:at] + data[start : start + dice.randint(1, _MAX_PIECE)] + data[at:]


def _cut(data: bytes, dice: Random) -> bytes:
    return data[: dice.randint(0, len(data))]


def _piece(dice: Random) -> bytes:
    size = dice.choice((1, 1, 1, 2, 4, 8, dice.randint(1, _MAX_PIECE)))
    return dice.randbytes(size) if dice.randrange(4) else dice.choice((b"\x00", b"\xff")) * size


_WAYS: Final[Sequence[Callable[[bytes, Random], bytes]]] = (
    *(_flip, _flip, _overwrite, _insert),
    *(_delete, _repeat, _cut),
)


def _changed(value: Value, dice: Random) -> Value:
    if isinstance(value, list) and value and dice.randrange(12):
        return _changed_list(value, dice)
    if isinstance(value, bytes) and dice.randrange(6):
        return _changed_bytes(value, dice)
    if isinstance(value, int) and dice.randrange(2):
        near = value + dice.choice((-1, 1))
        return near if -(1 << 64) <= near < 1 << 64 else 0
    return _leaf(dice)


def _changed_list(items: list[Value], dice: Random) -> Value:
    at = dice.randrange(len(items))
    match dice.randrange(10):
        case 0:
            return items[:at] + items[at + 1 :]
        case 1:
            return [*items[:at], items[at], *items[at:]]
        case 2:
            return [*items[:at], _leaf(dice), *items[at:]]
        case 3:
            other = dice.randrange(len(items))
            swapped = list(items)
            swapped[at], swapped[other] = items[other], items[at]
            return swapped
        case _:
            return [*items[:at], _changed(items[at], dice), *items[at + 1 :]]


def _changed_bytes(value: bytes, dice: Random) -> bytes:
    match dice.randrange(4):
        case 0:
            return reshape(value, dice, 0)
        case 1:
            return value[: dice.choice(_SIZES)]
        case 2:
            return bytes(len(value))
        case _:
            return dice.choice(_WAYS)(value, dice)


def _leaf(dice: Random) -> Value:
    match dice.randrange(5):
        case 0:
            return dice.randbytes(dice.choice(_SIZES))
        case 1:
            return dice.choice(_TEXTS)
        case 2:
            return None
        case 3:
            return [_leaf(dice) for _ in range(dice.randrange(3))]
        case _:
            return dice.choice(_NUMBERS)
