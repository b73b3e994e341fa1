from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from mesh.cli.store import brief
from mesh.direct import DirectPort
from mesh.rows import Checked
from tests.mesh.cli_support import Passalong, carry, settle

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [["whoami"], ["feed"], ["contacts"], ["log"], ["check"], ["post", "x"]]


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    ann.json("post", "the well is dry")
    return ann


def test_the_log_lists_every_block(ann: Passalong) -> None:
    rows = ann.json("log")
    device = ann.json("whoami")["device"]
    assert [(row["log"], row["seq"], row["kind"]) for row in rows] == [
        (0, 1, "device"),
        (1, 1, "profile"),
        (1, 2, "post"),
    ]
    assert {row["author"] for row in rows} == {device}
    assert set(rows[0]) == {"id", "author", "log", "seq", "kind", "time", "body"}
    assert rows[2]["body"][0] == "the well is dry"
    assert isinstance(rows[2]["time"], int)


def test_the_log_begins_where_it_is_told(ann: Passalong) -> None:
    assert [row["seq"] for row in ann.json("log", "--from", "2")] == [2]


def test_the_log_of_another_person(
    ann: Passalong, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bob = settle(tmp_path / "bob", "Bob", capsys)
    carry(ann, bob)
    assert bob.json("log", "Ann") == ann.json("log")
    lines = bob("log", "Ann").out.splitlines()
    assert len(lines) == 4
    assert '"the well is dry"' in lines[-1]


def test_a_body_is_briefly_told() -> None:
    body = ["a\n\x1b", b"\x01\x02", b"\xab" * 32, [1, None]]
    assert brief(body) == '"a\\n\\u001b", 0102, abababab..., [1, none]'  # type: ignore[arg-type]


def test_check_says_that_all_is_well(ann: Passalong) -> None:
    assert ann.json("check") == {"blocks": 3, "logs": 2, "problems": []}
    assert ann("check").out == "all is well: 3 blocks in 2 logs\n"


def test_check_says_what_is_wrong_and_fails(
    ann: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(_: object) -> Checked:
        return Checked(3, 2, ["block 2 of log 1 does not verify"])

    monkeypatch.setattr(DirectPort, "check", check)
    outcome = ann("check", "--json")
    assert outcome.status == 1
    assert "does not verify" in outcome.out
    assert outcome.err.startswith("error: 1 problem")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_without_a_home_every_command_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    nowhere = Passalong(tmp_path / "none", capsys)
    assert nowhere(*args).status == 1
    assert "passalong init" in nowhere(*args).refusal
    assert not nowhere.home.exists()


@pytest.mark.parametrize("args", [*COMMANDS, ["init"]], ids=lambda args: args[0])
def test_a_home_that_is_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert Passalong(tmp_path / "file", capsys)(*args).refusal


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_a_store_that_is_garbage_is_refused(ann: Passalong, args: list[str]) -> None:
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (ann.home / name).unlink(missing_ok=True)
    (ann.home / "store.db").write_bytes(b"garbage " * 1_000)
    assert "store" in ann(*args).refusal


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_a_store_of_a_newer_version_is_refused(ann: Passalong, args: list[str]) -> None:
    db = sqlite3.connect(ann.home / "store.db")
    db.execute("PRAGMA user_version = 999")
    db.close()
    assert "newer" in ann(*args).refusal


def test_settings_that_make_no_sense_are_refused(ann: Passalong) -> None:
    (ann.home / "config.toml").write_text("feed_limit = 'many'\n")
    assert "feed_limit" in ann("feed").refusal
