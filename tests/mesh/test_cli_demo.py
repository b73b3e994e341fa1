from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh import demo
from mesh.cli import screen as screens
from tests.mesh.cli_support import Passalong

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Passalong:
    monkeypatch.setattr(demo, "POSTS", 2)
    return Passalong(tmp_path / "none", capsys)


@pytest.mark.parametrize("drawn", [False, True])
def test_the_demonstration_tells_its_story(
    command: Passalong, monkeypatch: pytest.MonkeyPatch, *, drawn: bool
) -> None:
    monkeypatch.setattr(screens, "is_terminal", lambda _: drawn)
    monkeypatch.setenv("TERM", "dumb")
    outcome = command("demo")
    assert (outcome.status, outcome.err) == (0, "")
    assert "never meet" in outcome.out
    assert "Everyone holds all 7 posts" in outcome.out
    assert not command.home.exists()


def test_the_demonstration_answers_with_what_it_measured(command: Passalong) -> None:
    answer = command.json("demo")
    assert answer["everyone_has_everything"] is True
    assert answer["posts"] == 7
    assert answer["before"]["posts"]["Bob"] == {"Ann": 0, "Bob": 2, "Cleo": 0}
    assert answer["after"]["posts"]["Bob"] == {"Ann": 2, "Bob": 3, "Cleo": 2}


def test_a_demonstration_that_fails_says_so(
    command: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def disagree(_: object) -> bool:
        return False

    monkeypatch.setattr(demo.Demo, "_agree", disagree)
    outcome = command("demo", "--json")
    assert outcome.status == 1
    assert outcome.err.startswith("error: ")
