"""What an answer is made of: each part as plain lines, and as rich draws it on a terminal.

Every string is made harmless here, on its way out, whoever it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mesh.cli.harmless import harmless, harmless_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.text import Text


class Part(Protocol):
    """Something that can be shown both ways."""

    def plain(self) -> Iterator[str]:
        """Yield its lines for a file or a pipe."""
        ...

    def drawn(self) -> RenderableType:
        """Return it for a terminal."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text and rich's style for it."""

    text: str
    style: str = ""

    def drawn(self) -> Text:
        """Return it for a terminal."""
        from rich.text import Text  # noqa: PLC0415

        return Text(harmless(self.text), self.style)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line of words."""

    text: str
    style: str = ""

    def plain(self) -> Iterator[str]:
        yield harmless(self.text)

    def drawn(self) -> RenderableType:
        return Cell(self.text, self.style).drawn()


@dataclass(frozen=True, slots=True)
class Prose:
    """Text of several lines, indented so that it cannot pass for anything around it."""

    text: str
    style: str = ""
    indent: int = 4

    def plain(self) -> Iterator[str]:
        space = " " * self.indent
        yield from (f"{space}{line}".rstrip() for line in harmless_lines(self.text))

    def drawn(self) -> RenderableType:
        from rich.padding import Padding  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        return Padding(
            Text("\n".join(harmless_lines(self.text)), self.style), (0, 2, 0, self.indent)
        )


@dataclass(frozen=True, slots=True)
class Copyable:
    """A text without spaces that people copy: on a line of its own, never cut into several."""

    name: str
    text: str

    def plain(self) -> Iterator[str]:
        yield f"{self.name}  {harmless(self.text)}"

    def drawn(self) -> RenderableType:
        return Cell(self.text).drawn()


@dataclass(frozen=True, slots=True)
class Heading:
    """Cells on one line, two spaces apart."""

    cells: Sequence[Cell]

    def plain(self) -> Iterator[str]:
        yield "  ".join(harmless(cell.text) for cell in self.cells)

    def drawn(self) -> RenderableType:
        from rich.text import Text  # noqa: PLC0415

        return Text("  ").join(cell.drawn() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Turn:
    """Who, and beside it what they did."""

    who: Cell
    what: str

    def plain(self) -> Iterator[str]:
        yield f"{harmless(self.who.text)}  {harmless(self.what)}"

    def drawn(self) -> RenderableType:
        from rich.table import Table  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2))
        grid.add_row(self.who.drawn(), Cell(self.what).drawn())
        return grid


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are, one a line."""

    title: str
    rows: Sequence[tuple[str, str | Cell]]

    def plain(self) -> Iterator[str]:
        width = max(len(name) for name, _ in self.rows)
        for name, value in self.rows:
            yield f"{name:{width}}  {harmless(_cell(value).text)}"

    def drawn(self) -> RenderableType:
        from rich.panel import Panel  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in self.rows:
            grid.add_row(Text(name), _cell(value).drawn())
        title = Text(harmless(self.title), "bold")
        return Panel(grid, title=title, title_align="left", border_style="dim", expand=False)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of cells under the names of their columns; ``empty`` is said where there is no row.

    Attributes:
        right: Columns of numbers.
        fold: The column that is broken into lines where there is no room.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    empty: str = "nothing"
    right: Sequence[str] = ()
    fold: str = ""

    def plain(self) -> Iterator[str]:
        if not self.rows:
            yield self.empty
            return
        lines = [[harmless(_cell(value).text) for value in row] for row in self.rows]
        table = [[name.upper() for name in self.columns], *lines]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            yield "  ".join(map(self._aligned, self.columns, line, widths)).rstrip()

    def _aligned(self, column: str, text: str, width: int) -> str:
        return text.rjust(width) if column in self.right else text.ljust(width)

    def drawn(self) -> RenderableType:
        from rich import box  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        if not self.rows:
            return Text(self.empty, "dim")
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            header_style="bold",
            border_style="dim",
        )
        for name in self.columns:
            flexible = name == self.fold
            table.add_column(
                name,
                justify="right" if name in self.right else "left",
                no_wrap=not flexible,
                overflow="fold" if flexible else "ellipsis",
            )
        for row in self.rows:
            table.add_row(*(_cell(value).drawn() for value in row))
        return table


@dataclass(frozen=True, slots=True)
class Entry:
    """A heading, and what stands under it, indented.

    Attributes:
        notes: A line each, below the text, and less indented: no text can pass for a note.
    """

    heading: Heading
    text: str
    notes: Sequence[Cell] = field(default=())

    def plain(self) -> Iterator[str]:
        yield from self.heading.plain()
        yield from Prose(self.text).plain()
        yield from (f"  [{harmless(note.text)}]" for note in self.notes)
        yield ""

    def drawn(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415

        notes = [Prose(harmless(note.text), note.style, 2).drawn() for note in self.notes]
        return Group(self.heading.drawn(), Prose(self.text).drawn(), *notes, "")


def _cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)
