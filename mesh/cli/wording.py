"""Moments, sizes, counts and keys in words. No clock here: ``now`` is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
KEY_DIGITS: Final = 16
"""Of a person or a device: enough that nobody makes a second one that looks the same."""
ID_DIGITS: Final = 8
"""Of a block: a command that is given too few says so."""


def key_text(key: bytes) -> str:
    """Return the digits by which a person or a device is shown."""
    return key.hex()[:KEY_DIGITS]


def id_text(ident: bytes) -> str:
    """Return the digits by which a block is shown."""
    return ident.hex()[:ID_DIGITS]


def moment(time: int) -> str:
    """Return ``time``, ms since 1970, on the calendar and clock of this place."""
    try:
        return f"{datetime.fromtimestamp(time / 1000, tz=UTC).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return "at no date"


def ago(time: int, now: int) -> str:
    """Return how long before ``now`` a ``time`` of the last week was; its date else."""
    past = now - time
    if not 0 <= past < 7 * _DAY:
        return moment(time)
    if past < _MINUTE:
        return "just now"
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if past >= unit:
            return f"{counted(past // unit, name)} ago"
    raise AssertionError


def size_text(size: int) -> str:
    """Return a size in bytes, kB, MB or GB (powers of 1000)."""
    if size < 1_000:
        return counted(size, "byte")
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1_000
        if amount < 999.95 or unit == "GB":
            break
    return f"{amount:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """Return ``1 block``, ``2 blocks`` and so on."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
