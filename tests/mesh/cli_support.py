"""The command line, called in this process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mesh.cli.entry import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    Capture: TypeAlias = "pytest.CaptureFixture[str] | pytest.CaptureFixture[bytes]"

Answer: TypeAlias = Any
"""A JSON document."""


@dataclass(frozen=True)
class Outcome:
    """What a call ended in."""

    status: int
    out: str
    err: str

    @property
    def answer(self) -> Answer:
        """The one JSON document on standard output of a call that was done."""
        assert (self.status, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The one line on standard error of a call that failed."""
        assert self.status != 0
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        return self.err.removeprefix("error: ").rstrip("\n")


class Passalong:
    """The command, with a home of its own."""

    def __init__(self, home: Path, capsys: Capture) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *args: str, typed: bytes | None = None) -> Outcome:
        """Call it with ``args``; ``typed`` is what standard input holds."""
        return self.bare("--home", str(self.home), *args, typed=typed)

    def bare(self, *args: str, typed: bytes | None = None) -> Outcome:
        """Call it with ``args`` and nothing else."""
        before = sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(typed or b""), "utf-8")
        try:
            status = main(list(args))
        finally:
            sys.stdin = before
        seen = self._capsys.readouterr()
        return Outcome(status, _text(seen.out), _text(seen.err))

    def json(self, *args: str, typed: bytes | None = None) -> Answer:
        """Call it with ``args`` for its JSON answer."""
        return self(*args, "--json", typed=typed).answer


def _text(seen: str | bytes) -> str:
    return seen if isinstance(seen, str) else seen.decode()


def settle(home: Path, name: str, capsys: Capture) -> Passalong:
    """Return the command with a new home of a person called ``name``."""
    command = Passalong(home, capsys)
    command.json("init", "--name", name)
    return command


def carry(giver: Passalong, taker: Passalong) -> None:
    """Bring all that one home holds to another."""
    stick = str(giver.home.parent / "stick.passalong")
    giver.json("bundle", "export", stick)
    taker.json("bundle", "import", stick)
