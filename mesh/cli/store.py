"""``log`` and ``check``: the blocks as they stand, and whether all of them still hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command
from mesh.cli.values import utf8
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Cell
    from mesh.rows import LogRow, Plain

_SHORT_HEX: Final = 8


@click.command(cls=Command)
@click.argument("person", type=utf8, metavar="[PERSON]", required=False)
@click.option(
    "--from", "first", type=click.IntRange(min=1), default=1, metavar="SEQ", help="From here on."
)
@pass_call
def log(call: Call, person: str | None, first: int) -> None:
    """Show the blocks of a person's devices, yours if none is named."""
    from mesh.cli.parts import Sheet  # noqa: PLC0415

    rows = call.ask(lambda port, _: port.log(person, first=first), "reading the logs")
    columns = ("device", "log", "seq", "id", "kind", "time", "body")
    sheet = Sheet(columns, [_line(row) for row in rows], "no blocks", ("log", "seq"), fold="body")
    call.screen().answer(rows, sheet)


@click.command(cls=Command)
@pass_call
def check(call: Call) -> None:
    """Verify the whole store again."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted  # noqa: PLC0415

    found = call.ask(lambda port, _: port.check(), "verifying the store")
    held = f"{counted(found.blocks, 'block')} in {counted(found.logs, 'log')}"
    wrong = [Sentence(problem, "red") for problem in found.problems]
    good = [] if wrong else [Sentence(f"all is well: {held}", "green")]
    call.screen().answer(found, *wrong, *good)
    if wrong:
        raise PortError(
            f"{counted(len(wrong), 'problem')} in {held}: {found.problems[0]}; keep a copy,"
            " `passalong restore --words-file FILE` into a new home, and import a bundle that has"
            " your posts"
        )


def _line(row: LogRow) -> list[str | Cell]:
    from mesh.cli.parts import Cell  # noqa: PLC0415
    from mesh.cli.wording import id_text, moment  # noqa: PLC0415

    return [
        Cell(id_text(row.author), "cyan"),
        f"{row.log:,}",
        f"{row.seq:,}",
        Cell(id_text(row.id), "dim"),
        Cell(row.kind, "bold"),
        "" if row.time is None else moment(row.time),
        Cell("missing, sealed or of no meaning", "dim") if row.body is None else brief(row.body),
    ]


def brief(value: Plain) -> str:
    """Return a body's fields on a line: text quoted, bytes as their first digits."""
    if isinstance(value, list):
        return ", ".join(
            f"[{brief(one)}]" if isinstance(one, list) else brief(one) for one in value
        )
    if isinstance(value, bytes):
        digits = value.hex()
        return digits if len(value) <= _SHORT_HEX else f"{digits[:_SHORT_HEX]}..."
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "none" if value is None else str(value)
