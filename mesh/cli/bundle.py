"""``bundle export``, ``import`` and ``inspect``: news that travels as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call, run
from mesh.cli.frame import Group
from mesh.cli.streams import source, target
from mesh.cli.values import STANDARD, size, utf8
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Part
    from mesh.port import File, NodePort, Progress
    from mesh.rows import Exported, Imported, Inspected, Stick

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
@click.option(
    "--to",
    type=utf8,
    multiple=True,
    metavar="PERSON",
    help="Only what this person lacks; may be given several times.",
)
@click.option(
    "--seal",
    is_flag=True,
    help="Only they can read it; without --to, only your own other devices.",
)
@click.option(
    "--parts",
    type=size,
    metavar="SIZE",
    help="In files of this size, from 100k: news.passalong becomes news.1.passalong, ...",
)
@pass_call
def export_command(
    call: Call,
    file: str,
    max_bytes: int | None,
    to: tuple[str, ...],
    seal: bool,
    parts: int | None,
) -> None:
    """Write what this home holds into FILE."""
    there = target(file)

    async def export(port: NodePort, progress: Progress) -> Exported:
        return await port.export_bundle(
            there, to=to, seal=seal, max_bytes=max_bytes, part_bytes=parts, progress=progress
        )

    try:
        done = call.ask(export, "writing the bundle")
    except BrokenPipeError as exc:
        raise PortError("nobody reads the bundle any more; run it again") from exc
    call.screen(file).answer(done, *_exported(done, file))


@bundle.command("import")
@file_argument
@pass_call
def import_command(call: Call, file: str) -> None:
    """Take in what FILE holds, or all bundles in a folder; safe to repeat."""
    here = source(file)
    if isinstance(here, Path) and here.is_dir():
        _import_folder(call, here)
        return

    async def take_in(port: NodePort, progress: Progress) -> Imported:
        return await port.import_bundle(here, progress=progress)

    done = call.ask(take_in, "taking in the bundle")
    call.screen(file).answer(done, *_imported(done))


def _import_folder(call: Call, folder: Path) -> None:
    async def take_in(port: NodePort, progress: Progress) -> Stick:
        return await port.import_folder(folder, progress=progress)

    done = call.ask(take_in, "taking in the bundles")
    call.screen().answer(done, *_stick(done))


@bundle.command("inspect")
@file_argument
@pass_call
def inspect_command(call: Call, file: str) -> None:
    """Show what FILE holds; nothing is stored, and only a sealed one needs a reader's --home."""
    found = _inspect(call, source(file))
    call.screen(file).answer(found, *_inspected(found, file))


def _inspect(call: Call, here: File) -> Inspected:
    from mesh.direct import inspect_file  # noqa: PLC0415

    async def open_it(port: NodePort, _: Progress) -> Inspected:
        return await port.inspect_bundle(here)

    doing = "reading the bundle"
    if call.folder is not None and not isinstance(here, Path):  # a pipe is read once
        return call.ask(open_it, doing)
    found = run(lambda progress: inspect_file(here, progress=progress), doing)
    if found.opened or call.folder is None:
        return found
    return call.ask(open_it, doing)


def _exported(done: Exported, file: str) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted, size_text  # noqa: PLC0415

    place = "standard output" if file == STANDARD else file
    if done.parts > 1:
        place = f"{file} in {done.parts:,} parts"
    held = [counted(done.blocks, "block")]
    held += [counted(done.envelopes, "envelope")] if done.envelopes else []
    return [Sentence(f"wrote {place}: {', '.join(held)}, {size_text(done.bytes)}")]


def _imported(done: Imported) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted  # noqa: PLC0415

    taken = [counted(done.new_blocks, "new block"), f"{done.known_blocks:,} known already"]
    taken += [counted(done.envelopes, "envelope")] if done.envelopes else []
    taken += [f"{done.blocked:,} of persons you blocked left out"] if done.blocked else []
    parts: list[Part] = [Sentence(", ".join(taken))]
    if done.refused:
        parts.append(Sentence(f"{done.refused:,} refused: they do not hold", "red"))
    if not done.complete:
        parts.append(Sentence(f"{_damaged(done.damage)} {_KEPT}", "bold yellow"))
    return [*parts, *(Sentence(f"warning: {warning}", "bold red") for warning in done.warnings)]


def _stick(done: Stick) -> list[Part]:
    from mesh.cli.parts import Sentence, Sheet  # noqa: PLC0415

    columns = ("file", "outcome", "new", "known", "refused")
    rows = [
        (
            row.file,
            row.outcome,
            *(
                ("", "", "")
                if row.imported is None
                else (
                    f"{row.imported.new_blocks:,}",
                    f"{row.imported.known_blocks:,}",
                    f"{row.imported.refused:,}",
                )
            ),
        )
        for row in done.files
    ]
    said = {warning for row in done.files if row.imported for warning in row.imported.warnings}
    if done.left_out:
        said.add(f"{done.left_out:,} more were left out; move those that were taken elsewhere")
    warnings = [Sentence(f"warning: {warning}", "bold red") for warning in sorted(said)]
    return [Sheet(columns, rows, "no bundles", right=columns[2:], fold="file"), *warnings]


def _damaged(damage: str | None) -> str:
    """Say that not all could be read."""
    return f"Not all of it could be read: {damage or 'it is damaged'}."


def _inspected(found: Inspected, file: str) -> list[Part]:
    from mesh.cli.parts import Facts, Sentence, Sheet  # noqa: PLC0415
    from mesh.cli.wording import key_text, size_text  # noqa: PLC0415

    names = ("blocks", "bodies", "statements", "proofs", "envelopes", "refused")
    facts = [("size", size_text(found.bytes))]
    if found.slots:
        facts.append(("sealed", f"for up to {found.slots} devices"))
    if found.writer is not None:
        facts.append(("from", key_text(found.writer)))
        facts.append(("export", f"{found.count:,}, part {found.part:,}"))
    if not found.opened:
        text = "Only a device that it is sealed to sees what is in it: add its --home."
        return [Facts(_title(file), facts), Sentence(text), *_state(found)]
    facts += [(name, f"{getattr(found, name):,}") for name in names]
    rows = [
        (key_text(log.author), str(log.log), f"{log.low:,} - {log.high:,}", f"{log.blocks:,}")
        for log in found.logs
    ]
    columns = ("device", "log", "seq", "blocks")
    sheet = Sheet(columns, rows, "no logs", right=columns[1:])
    return [Facts(_title(file), facts), sheet, *_state(found)]


def _state(found: Inspected) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    return [] if found.complete else [Sentence(_damaged(found.damage), "bold yellow")]


def _title(file: str) -> str:
    return "standard input" if file == STANDARD else file
