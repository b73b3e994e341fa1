"""What a person types, checked where it comes in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mesh.port import PortError

STANDARD: Final = "-"
"""The FILE that is standard input or output."""
_SIZE: Final = re.compile(r"(\d{1,15})([kKmMgG]?)[bB]?", re.ASCII)
_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def utf8(text: str) -> str:
    """Return ``text`` if all of it is text.

    Raises:
        PortError: The bytes that were typed are not UTF-8.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as exc:
        raise PortError("the text is not UTF-8; convert it, for example with iconv") from exc


def size(text: str) -> int:
    """Return the bytes that ``500k``, ``10M``, ``1G`` or a plain number mean (powers of 1000).

    Raises:
        ValueError: It is none of these, or 0.
    """
    found = _SIZE.fullmatch(text)
    number = int(found[1]) * _FACTORS[found[2].lower()] if found else 0
    if number == 0:
        raise ValueError(f"{text!r} is not a size; write for example 500k, 10M or 1G")
    return number


def folder(text: str) -> Path:
    """Return the folder that ``text`` names.

    Raises:
        ValueError: It names none.
    """
    if not text:
        raise ValueError("an empty name is no folder; name one, or leave --home out")
    return Path(text)
