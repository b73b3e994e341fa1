"""``demo``: the main job on one machine, told while it happens."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command
from mesh.port import PortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh.cli.parts import Part
    from mesh.demo import DemoResult, Event, Knows, Step

_STORY: Final = "Ann and Bob never meet. Cleo visits both, with a stick in her pocket."


@click.command(cls=Command)
@pass_call
def demo(call: Call) -> None:
    """Watch people who never meet get each other's news."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    screen = call.screen()
    screen.show(Sentence(_STORY, "bold"), Sentence("Three real homes and a real file, just now:"))
    with tempfile.TemporaryDirectory(prefix="passalong-demo-") as folder:
        result = _play(Path(folder), lambda event: screen.show(*_told(event)))
    screen.answer(result, *_ending(result))
    if not result.everyone_has_everything:
        raise PortError("the three homes differ; run it again with -vv and report it")


def _play(folder: Path, tell: Callable[[Event], None]) -> DemoResult:
    import asyncio  # noqa: PLC0415

    from mesh.demo import run_demo  # noqa: PLC0415

    return asyncio.run(run_demo(folder, tell))


def _told(event: Event) -> list[Part]:
    from mesh.demo import Step  # noqa: PLC0415

    return [_step(event)] if isinstance(event, Step) else _knowledge(event)


def _step(step: Step) -> Part:
    from mesh.cli.parts import Cell, Turn  # noqa: PLC0415
    from mesh.cli.wording import size_text  # noqa: PLC0415

    size = "" if step.bytes is None else f", {size_text(step.bytes)}"
    return Turn(Cell(f"{step.who:>5}", "bold cyan"), f"{step.what} ({step.seconds:.2f} s{size})")


def _knowledge(knows: Knows) -> list[Part]:
    from mesh.cli.parts import Cell, Sentence, Sheet  # noqa: PLC0415

    names = list(knows.posts)
    rows: list[list[str | Cell]] = [
        [Cell(reader, "bold cyan"), *(f"{held[author]:,}" for author in names)]
        for reader, held in knows.posts.items()
    ]
    columns = ["who holds", *(f"of {name}" for name in names)]
    title = Sentence(f"Posts {knows.when}:", "bold")
    sheet = Sheet(columns, rows, right=columns[1:])
    return [Sentence(""), title, sheet, Sentence("")]


def _ending(result: DemoResult) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    if not result.everyone_has_everything:
        return []
    told = f"Everyone holds all {result.posts:,} posts, verified, after {result.seconds:.1f} s."
    return [Sentence(told, "bold green"), Sentence("Now you: passalong init --name YOURS", "dim")]
