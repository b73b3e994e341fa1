from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from mesh import __version__
from mesh.cli import social
from tests.mesh.cli_support import Passalong, settle

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    "init",
    "restore",
    "whoami",
    "post",
    "feed",
    "follow",
    "unfollow",
    "mute",
    "unmute",
    "block",
    "unblock",
    "contacts",
    "log",
    "check",
    "lock",
    "unlock",
    "wipe",
    "doctor",
    "demo",
)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return Passalong(tmp_path / "home", capsys)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([], "passalong --help"),
        (["bundle"], "passalong bundle --help"),
        (["dance"], "dance"),
        (["bundle", "dance"], "dance"),
        (["post"], "TEXT"),
        (["post", "a", "b"], "b"),
        (["post", "-5"], "-5"),
        (["feed", "--limt", "3"], "--limt"),
        (["feed", "--limit", "x"], "x"),
        (["feed", "--limit", "-1"], "-1"),
        (["feed", "--limit"], "--limit"),
        (["log", "--from", "0"], "0"),
        (["restore"], "--words-file"),
        (["follow"], "PERSON"),
        (["bundle", "export"], "FILE"),
        (["whoami", "--home"], "--home"),
        (["whoami", "--home", ""], "--home"),
        (["feed", "\x1b[31m\n"], "\ufffd[31m"),
    ],
)
def test_wrong_usage_is_one_line_and_two(command: Passalong, args: list[str], named: str) -> None:
    for given in (args, ["--json", *args]):
        outcome = command.bare(*given)
        assert outcome.status == 2
        assert named in outcome.refusal
        assert outcome.refusal.endswith("--help")


def test_home_and_json_stand_before_or_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    answer = ann.json("whoami")
    options = (["--home", str(ann.home)], ["--json"])
    for places in itertools.product((0, 1), repeat=2):
        args = ["whoami"]
        for option, place in zip(options, places, strict=True):
            args = args + option if place else option + args
        assert ann.bare(*args).answer == answer


def test_options_may_stand_between_a_group_and_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    file = str(tmp_path / "file")
    outcome = ann.bare("bundle", "--home", str(ann.home), "--json", "export", file)
    assert outcome.answer["blocks"] == 2


def test_the_home_named_last_is_the_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    args = ("--home", str(tmp_path / "none"), "whoami", "--json", "--home", str(ann.home))
    assert ann.bare(*args).answer["name"] == "Ann"


def test_the_home_comes_from_the_environment_where_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    monkeypatch.setenv("PASSALONG_HOME", str(ann.home))
    assert ann.bare("whoami", "--json").answer["name"] == "Ann"


def test_help_and_version_are_done(command: Passalong) -> None:
    for args in (["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)):
        outcome = command.bare(*args)
        assert (outcome.status, outcome.err) == (0, "")
        assert "--home DIR" in outcome.out
    assert command.bare("--version").out == f"passalong {__version__}\n"


def test_every_command_has_a_line_of_help_that_is_whole(command: Passalong) -> None:
    text = command.bare("--help").out
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "..." not in text.partition("Commands:")[2]


def test_a_fault_of_ours_is_one_line_and_a_traceback_only_if_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = settle(tmp_path / "ann", "Ann", capsys)

    def broken(_: object) -> str:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(social, "_state", broken)
    monkeypatch.setattr("mesh.direct.DirectPort.contacts", _one_contact)
    outcome = ann("contacts")
    assert outcome.status == 1
    assert "ZeroDivisionError" in outcome.refusal
    assert "Traceback" not in ann("contacts", "-v").err
    traced = ann("contacts", "-vv")
    assert traced.status == 1
    assert "Traceback" in traced.err
    assert traced.err.splitlines()[-1] == outcome.err.rstrip("\n")
    assert "Traceback" in ann("-v", "contacts", "-v").err


async def _one_contact(_: object) -> list[object]:
    from mesh.rows import ContactRow  # noqa: PLC0415

    state = {"following": True, "verified": False, "muted": False, "blocked": False, "added": False}
    return [ContactRow(bytes(32), "Bob", **state)]
