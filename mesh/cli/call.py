"""One call of the command: its options that every command knows, and the way to the node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mesh.cli.screen import Screen
    from mesh.port import NodePort, Progress

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """What stood before or after the command.

    Attributes:
        folder: As ``--home`` says; None if it does not.
        json: Whether the answer is for a program.
        verbosity: How often ``-v`` stood there.
    """

    folder: Path | None = None
    json: bool = False
    verbosity: int = 0

    @property
    def home(self) -> Path:
        """The home folder."""
        from mesh.paths import default_home  # noqa: PLC0415

        return self.folder or default_home()

    def screen(self, file: str | None = None) -> Screen:
        """Return where the answer goes: standard output, or error where FILE ``file`` is ``-``."""
        from mesh.cli.screen import Screen  # noqa: PLC0415
        from mesh.cli.values import STANDARD  # noqa: PLC0415

        return Screen(json=self.json, aside=file == STANDARD)

    def ask(self, question: Callable[[NodePort, Progress], Awaitable[T]], doing: str | None) -> T:
        """Open the home, put a question to its node, and return the answer.

        Args:
            question: Given the node, and whom to tell how far it is.
            doing: What a person sees who waits for more than a second; None where he sees enough.

        Raises:
            PortError: Refused or failed.
        """
        from mesh.opening import open_port  # noqa: PLC0415

        async def work(progress: Progress) -> T:
            async with open_port(self.home, is_command=True) as port:
                return await question(port, progress)

        return run(work, doing)


def run(work: Callable[[Progress], Awaitable[T]], doing: str | None) -> T:
    """Run ``work`` to its end, showing a bar on a terminal once it takes longer than a second."""
    import asyncio  # noqa: PLC0415

    from mesh.cli.waiting import waiting  # noqa: PLC0415

    async def whole() -> T:
        if doing is None:
            return await work(lambda _done, _total: None)
        with waiting(doing) as progress:
            return await work(progress)

    return asyncio.run(whole())


pass_call = click.make_pass_decorator(Call, ensure=True)
