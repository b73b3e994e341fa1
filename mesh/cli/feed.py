"""How posts look: who, when and which, the text indented below, and what must be known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mesh.cli.parts import Cell, Entry, Heading, Sentence
from mesh.cli.wording import ago, counted, id_text, key_text, moment, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.cli.parts import Part
    from mesh.rows import FeedRow

_MARKS: Final = {
    "forked": "this device's log was continued in two ways; do not rely on it",
    "revoked": "its person has revoked the device that wrote this",
    "detached": "older posts of this log are missing here",
}
_NOTHING: Final = (
    "No posts of you or of whom you follow; see what others wrote: passalong feed --all"
)
_NOBODY: Final = 'No posts here yet. Write one: passalong post "..."'


def entries(rows: Sequence[FeedRow], now: int | None, *, everyone: bool) -> list[Part]:
    """Return what is shown of ``rows``, in their order.

    Args:
        rows: Posts.
        now: Times are told from there, ms since 1970; None for dates.
        everyone: Whether all persons were asked for.
    """
    if not rows:
        return [Sentence(_NOBODY if everyone else _NOTHING, "dim")]
    return [Entry(_heading(row, now), row.text, _notes(row)) for row in rows]


def _heading(row: FeedRow, now: int | None) -> Heading:
    cells = [
        Cell(row.name or "(no name)", "bold cyan" if row.name else "dim"),
        Cell(key_text(row.author), "cyan"),
        Cell(moment(row.time) if now is None else ago(row.time, now), "dim"),
        Cell(f"post {id_text(row.id)}", "dim"),
    ]
    if row.hops:
        cells.append(Cell(counted(row.hops, "hop"), "dim"))
    return Heading(cells)


def _notes(row: FeedRow) -> list[Cell]:
    notes = [
        Cell(f"attached: {one.name}, {one.type}, {size_text(one.size)}", "dim")
        for one in row.attachments
    ]
    if row.reply_to is not None:
        notes.insert(0, Cell(f"answers post {id_text(row.reply_to)}", "dim"))
    if row.mark is not None:
        meaning = _MARKS.get(row.mark)
        notes.append(Cell(f"{row.mark}: {meaning}" if meaning else row.mark, "bold red"))
    return notes
