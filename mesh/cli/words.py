"""Recovery words, numbered, in columns on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class Words:
    """The words, counted from 1 down each column."""

    words: Sequence[str]

    def plain(self) -> Iterator[str]:
        yield from (f"{number:2} {word}" for number, word in enumerate(self.words, 1))

    def drawn(self) -> RenderableType:
        from rich.panel import Panel  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 1), pad_edge=True)
        height = -(-len(self.words) // _COLUMNS)
        for row in range(height):
            cells: list[Text] = []
            for place in range(row, len(self.words), height):
                cells += [Text(f"{place + 1:2}", "dim"), Text(f"{self.words[place]:10}", "bold")]
            grid.add_row(*cells)
        title = Text("recovery words", "bold yellow")
        return Panel(grid, title=title, title_align="left", border_style="yellow", expand=False)
