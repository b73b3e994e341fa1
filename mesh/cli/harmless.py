"""Text of strangers, made harmless for a terminal.

A name or a post may hold anything that is Unicode: escape sequences that move the cursor or
retitle the window, marks that turn the direction of what follows, characters nobody sees. Each of
these is shown as U+FFFD. What scripts need to be written right stays (joiners, combining marks).
"""

from __future__ import annotations

import unicodedata
from typing import Final

REPLACEMENT: Final = "\ufffd"
_JOINERS: Final = frozenset("\u200c\u200d")
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that look like nothing at all."""
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def harmless(text: str) -> str:
    """Return ``text`` as one line without anything that acts on a terminal."""
    return "".join(map(_shown, text.replace("\r\n", "\n").translate(_ONE_LINE)))


def harmless_lines(text: str) -> list[str]:
    """Return the lines of ``text``, at least one, each harmless."""
    return [harmless(line) for line in text.replace("\r\n", "\n").split("\n")]


_ONE_LINE: Final = {ord("\n"): " ", ord("\t"): " "}


def _shown(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if character in _BLANKS:
        return REPLACEMENT
    unsafe = unicodedata.category(character) in _UNSAFE and character not in _JOINERS
    return REPLACEMENT if unsafe else character
