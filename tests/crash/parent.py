"""The process that forks victims, and what every campaign of kills does with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.deeds import Fact
from tests.crash.phases import Board

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

ROOT = Path(__file__).parents[2]
MOST_WRONG = 10
"""When so much is wrong a campaign stops."""


class Parent:
    """Forks victims, until it is ended.

    Attributes:
        board: Where a victim writes what it is doing.

    Args:
        module: What it runs.
        folder: Where the board is put.
    """

    def __init__(self, module: str, folder: Path) -> None:
        self.board = Board(folder / "board")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder / "board")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        self._process.communicate()
        self.board.close()

    def facts(self, job: str) -> Iterator[Fact]:
        """Have a job done, and yield all that is said of it; the last fact is how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{job}\n")
        self._process.stdin.flush()
        while True:
            line = self._process.stdout.readline()
            assert line, "the victims' parent died"
            fact = Fact(*json.loads(line))
            yield fact
            if fact.what == "ended":
                return


def wrong_of(seeds: range, kill: Callable[[int], list[str]]) -> list[str]:
    """Run the kills of ``seeds`` until too much is wrong to go on; return what is."""
    wrong: list[str] = []
    for seed in seeds:
        if len(wrong) < MOST_WRONG:
            wrong += [f"kill {seed}: {what}" for what in kill(seed)]
    return wrong


def show(table: str, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Print the figures of a campaign past pytest; nothing may be wrong."""
    with capsys.disabled():
        sys.stdout.write(f"\n{table}\n")
    assert not wrong, "\n".join(wrong)
