"""Text in bodies: how long, and which characters a line of it may hold.

A *line* (a name, a file's name) holds none of these, which would break a line, steer a terminal,
or turn the reading direction so that a name looks like another:

    U+0000-001F, 007F-009F      controls
    U+2028, 2029                line and paragraph separators
    U+061C, 200E, 200F, 202A-202E, 2066-2069
                                marks that set the direction of writing

A line that must *show* something holds at least one character that is none of the above, none of
``BLANK`` (spaces, joiners, fillers, variation selectors, tags).
"""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import MeaninglessError

_CONTROL: Final = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
BLANK: Final = (
    "\u0020\u00a0\u00ad\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200d\u202f"
    "\u205f-\u2065\u206a-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Ranges of characters that leave no mark, as inside the brackets of a regular expression."""
_MARK: Final = re.compile(f"[^{BLANK}]")


def check_text(text: str, most: int, what: str, *, least: int = 0) -> None:
    """Refuse text that is too long or too short.

    Args:
        text: Any text.
        most: Bytes it may have in UTF-8.
        what: What to call it in an error.
        least: Bytes it must have.

    Raises:
        MeaninglessError: It has more or fewer, or half a character, which UTF-8 cannot spell.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as exc:
        raise MeaninglessError(f"{what} has half a character; type it again") from exc
    if size < least:
        raise MeaninglessError(f"{what} is empty; write something")
    if size > most:
        raise MeaninglessError(f"{what} has {size} bytes where {most} fit; shorten it")


def check_line(text: str, most: int, what: str) -> None:
    """Refuse text that is no line, or too long.

    Raises:
        MeaninglessError: More than ``most`` bytes, or a character that no line holds.
    """
    check_text(text, most, what)
    found = _CONTROL.search(text)
    if found is not None:
        code = ord(found.group())
        raise MeaninglessError(f"{what} has a control character, U+{code:04X}; leave it out")


def shows(text: str) -> bool:
    """Say whether anything of ``text``, a line, can be seen."""
    return _MARK.search(text) is not None
