"""``bundle export``, ``import`` and ``inspect``: news that travels as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call, run
from mesh.cli.frame import Group
from mesh.cli.streams import source, target
from mesh.cli.values import STANDARD, size
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Part
    from mesh.port import Exported, Imported, Inspected, NodePort, Progress

_KEPT: Final = "What was whole is kept; get another copy for the rest."

file_argument = click.argument("file", metavar="FILE")


@click.group(cls=Group)
def bundle() -> None:
    """Carry news as a file; FILE - is standard input or output."""


@bundle.command("export")
@file_argument
@click.option(
    "--max-bytes",
    type=size,
    metavar="N",
    help="No larger than this, newest first; 500k, 10M and 1G will do.",
)
@pass_call
def export_command(call: Call, file: str, max_bytes: int | None) -> None:
    """Write what this home holds into FILE."""
    there = target(file)

    async def export(port: NodePort, progress: Progress) -> Exported:
        return await port.export_bundle(there, max_bytes=max_bytes, progress=progress)

    try:
        done = call.ask(export, "writing the bundle")
    except BrokenPipeError as exc:
        raise PortError("nobody reads the bundle any more; run it again") from exc
    call.screen(file).answer(done, *_exported(done, file))


@bundle.command("import")
@file_argument
@pass_call
def import_command(call: Call, file: str) -> None:
    """Take in what FILE holds; safe to repeat."""
    here = source(file)

    async def take_in(port: NodePort, progress: Progress) -> Imported:
        return await port.import_bundle(here, progress=progress)

    done = call.ask(take_in, "taking in the bundle")
    call.screen(file).answer(done, *_imported(done))


@bundle.command("inspect")
@file_argument
@pass_call
def inspect_command(call: Call, file: str) -> None:
    """Show what FILE holds; nothing is stored, and no home is needed."""
    from mesh.direct import inspect_file  # noqa: PLC0415

    here = source(file)
    found = run(lambda progress: inspect_file(here, progress=progress), "reading the bundle")
    call.screen(file).answer(found, *_inspected(found, file))


def _exported(done: Exported, file: str) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted, size_text  # noqa: PLC0415

    place = "standard output" if file == STANDARD else file
    held = [counted(done.blocks, "block")]
    held += [counted(done.envelopes, "envelope")] if done.envelopes else []
    return [Sentence(f"wrote {place}: {', '.join(held)}, {size_text(done.bytes)}")]


def _imported(done: Imported) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted  # noqa: PLC0415

    taken = [counted(done.new_blocks, "new block"), f"{done.known_blocks:,} known already"]
    taken += [counted(done.envelopes, "envelope")] if done.envelopes else []
    parts: list[Part] = [Sentence(", ".join(taken))]
    if done.refused:
        parts.append(Sentence(f"{done.refused:,} refused: they do not hold", "red"))
    if not done.complete:
        parts.append(Sentence(f"{_damaged(done.damage)} {_KEPT}", "bold yellow"))
    return [*parts, *(Sentence(f"warning: {warning}", "bold red") for warning in done.warnings)]


def _damaged(damage: str | None) -> str:
    """Say that not all could be read."""
    return f"Not all of it could be read: {damage or 'it is damaged'}."


def _inspected(found: Inspected, file: str) -> list[Part]:
    from mesh.cli.parts import Facts, Sentence, Sheet  # noqa: PLC0415
    from mesh.cli.wording import key_text, size_text  # noqa: PLC0415

    names = ("blocks", "bodies", "statements", "proofs", "envelopes", "refused")
    facts = [("size", size_text(found.bytes))]
    facts += [(name, f"{getattr(found, name):,}") for name in names]
    rows = [
        (key_text(log.author), str(log.log), f"{log.low:,} - {log.high:,}", f"{log.blocks:,}")
        for log in found.logs
    ]
    columns = ("device", "log", "seq", "blocks")
    state = [] if found.complete else [Sentence(_damaged(found.damage), "bold yellow")]
    title = "standard input" if file == STANDARD else file
    return [Facts(title, facts), Sheet(columns, rows, "no logs", right=columns[1:]), *state]
