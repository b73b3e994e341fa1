"""A QR code for a terminal: half blocks, dark on light whatever the terminal's colours are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

QUIET_ZONE: Final = 4
_BOTH, _UPPER, _LOWER, _NONE = "█", "▀", "▄", " "
_NO_ROOM: Final = "The window is too small for the QR code; make it larger, or send the link."


@dataclass(frozen=True, slots=True)
class QrCode:
    """The code of ``text``, which is smallest in upper-case letters, digits and ``:``."""

    text: str

    def plain(self) -> Iterator[str]:
        yield from ()

    def drawn(self) -> RenderableType:
        return self

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415

        rows = modules(self.text)
        if len(rows[0]) > options.max_width or not options.encoding.startswith("utf"):
            yield Text(_NO_ROOM, "dim")
            return
        coloured = console.color_system is not None and not console.no_color
        style = "#000000 on #ffffff" if coloured else ""
        for line in half_blocks(rows, dark_is_ink=coloured):
            yield Text(line, style, no_wrap=True)


def modules(text: str) -> list[list[bool]]:
    """Return the code row by row, True where dark, with the quiet zone around it."""
    import segno  # noqa: PLC0415

    code = segno.make(text, error="l", micro=False)
    return [[bool(dark) for dark in row] for row in code.matrix_iter(border=QUIET_ZONE)]


def half_blocks(rows: list[list[bool]], *, dark_is_ink: bool) -> Iterator[str]:
    """Yield lines of two rows each; ink stands for dark modules, or for light ones."""
    light = [False] * len(rows[0])
    signs = {(True, True): _BOTH, (True, False): _UPPER, (False, True): _LOWER}
    for upper, lower in zip_longest(rows[::2], rows[1::2], fillvalue=light):
        pairs = zip(upper, lower, strict=True)
        yield "".join(signs.get((a == dark_is_ink, b == dark_is_ink), _NONE) for a, b in pairs)
