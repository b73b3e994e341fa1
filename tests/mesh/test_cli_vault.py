from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import TYPE_CHECKING

import click
import pytest

from mesh.doctor import Finding, examine
from mesh.home import HomeError, locked
from mesh.paths import LOCK, STORE, VAULT
from tests.mesh.cli_support import Passalong, settle
from tests.mesh.places import HOLD, process
from tests.mesh.vaults import OTHER, PASSPHRASE, make_cheap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCKED = "the home is locked; run `passalong unlock`"


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_cheap(monkeypatch, tmp_path / "login")
    return tmp_path / "login"


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "home", "Ann", capsys)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    return str(path)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let a person type; gives what she was asked."""

    def typing(*lines: str) -> list[str]:
        asked: list[str] = []
        left = list(lines)

        def prompt(text: str) -> str:
            asked.append(text)
            return left.pop(0)

        monkeypatch.setattr(click.termui, "hidden_prompt_func", prompt)
        monkeypatch.setattr(click.termui, "visible_prompt_func", prompt)
        monkeypatch.setattr("mesh.cli.passphrase.has_keyboard", lambda: True)
        monkeypatch.setattr("mesh.cli.vault.has_keyboard", lambda: True)
        return asked

    return typing


# --- lock and unlock ----------------------------------------------------------------------------


def test_a_home_is_locked_and_unlocked_by_a_file(ann: Passalong, file: str, login: Path) -> None:
    answer = ann.json("lock", "--passphrase-file", file)
    assert answer == {"locked": True, "has_passphrase": True}
    assert ann("post", "refused").refusal == LOCKED
    assert ann.json("whoami")["name"] == "Ann"
    answer = ann.json("unlock", "--passphrase-file", file)
    assert answer == {"locked": False, "has_passphrase": True}
    assert ann.json("post", "now")["seq"] == 2
    # with a passphrase set, lock just locks
    assert ann.json("lock") == {"locked": True, "has_passphrase": True}
    assert ann("post", "refused").refusal == LOCKED
    assert not [path for path in login.rglob("*") if path.is_file()]


def test_standard_input_gives_the_passphrase_and_the_answer_goes_aside(ann: Passalong) -> None:
    outcome = ann("lock", "--passphrase-file", "-", "--json", typed=f"{PASSPHRASE}\n".encode())
    assert (outcome.status, outcome.out) == (0, "")
    assert '"locked": true' in outcome.err
    outcome = ann("unlock", "--passphrase-file", "-", typed=PASSPHRASE.encode())
    assert (outcome.status, outcome.out) == (0, "")
    assert ann.json("post", "now")["seq"] == 2


def test_at_the_keyboard_a_new_passphrase_is_typed_twice_and_not_shown(
    ann: Passalong, keyboard: Callable[..., list[str]]
) -> None:
    asked = keyboard(PASSPHRASE, PASSPHRASE)
    outcome = ann("lock")
    assert outcome.status == 0
    assert len(asked) == 2
    assert PASSPHRASE not in outcome.out + outcome.err
    asked = keyboard(PASSPHRASE)
    assert ann("unlock").status == 0
    assert len(asked) == 1
    assert ann.json("post", "now")["seq"] == 2


def test_two_that_differ_are_asked_for_again(
    ann: Passalong, keyboard: Callable[..., list[str]]
) -> None:
    asked = keyboard(PASSPHRASE, OTHER, PASSPHRASE, PASSPHRASE)
    assert ann("lock").status == 0
    assert len(asked) == 4
    keyboard(PASSPHRASE)
    assert ann("unlock").status == 0


def test_a_passphrase_is_changed_and_forgotten(ann: Passalong, file: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(OTHER)
    ann.json("lock", "--passphrase-file", file)
    assert ann("lock", "--new-passphrase", "--passphrase-file", str(other)).refusal == LOCKED
    ann.json("unlock", "--passphrase-file", file)
    ann.json("lock", "--new-passphrase", "--passphrase-file", str(other))
    assert "not the passphrase" in ann("unlock", "--passphrase-file", file).refusal
    answer = ann.json("unlock", "--forget-passphrase", "--passphrase-file", str(other))
    assert answer == {"locked": False, "has_passphrase": False}
    assert ann.json("post", "open")["seq"] == 2
    assert "nothing is locked" in ann("unlock").refusal


def test_a_passphrase_that_is_set_is_not_set_again_unasked(ann: Passalong, file: str) -> None:
    ann.json("lock", "--passphrase-file", file)
    ann.json("unlock", "--passphrase-file", file)
    assert "--new-passphrase" in ann("lock", "--passphrase-file", file).refusal
    assert ann.json("post", "still unlocked")["seq"] == 2


@pytest.mark.parametrize("typed", [b"", b"\n", b"\xff\xfe", b"x" * 2_000, b"x" * 100_000])
def test_what_is_no_passphrase_locks_nothing(ann: Passalong, typed: bytes) -> None:
    assert ann("lock", "--passphrase-file", "-", typed=typed).refusal
    assert ann.json("post", "open")["seq"] == 2


def test_without_a_keyboard_or_a_file_it_says_what_to_do(ann: Passalong, file: str) -> None:
    assert "use --passphrase-file FILE" in ann("lock").refusal
    ann.json("lock", "--passphrase-file", file)
    assert "use --passphrase-file FILE" in ann("unlock").refusal


def test_without_a_place_for_the_key_it_says_what_to_do(
    ann: Passalong, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.json("lock", "--passphrase-file", file)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    assert "start `passalong run` first" in ann("unlock", "--passphrase-file", file).refusal
    assert ann("post", "refused").refusal == LOCKED


@pytest.mark.parametrize("command", ["lock", "unlock", "wipe"])
def test_without_a_home_nothing_is_locked_or_wiped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, file: str
) -> None:
    nobody = Passalong(tmp_path / "none", capsys)
    given = ["--yes"] if command == "wipe" else ["--passphrase-file", file]
    refusal = nobody(command, *given).refusal
    assert "no home" in refusal or "no passphrase" in refusal
    assert not nobody.home.exists()


def test_no_passphrase_and_no_key_is_in_a_traceback(
    ann: Passalong, file: str, tmp_path: Path
) -> None:
    ann.json("lock", "--passphrase-file", file)
    (tmp_path / "wrong").write_text(OTHER)
    outcome = ann("-vv", "unlock", "--passphrase-file", str(tmp_path / "wrong"))
    assert outcome.status == 1
    assert "Traceback" in outcome.err
    for secret in (PASSPHRASE, OTHER):
        assert secret not in outcome.err


# --- init ---------------------------------------------------------------------------------------


def test_init_with_a_passphrase_makes_a_locked_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    bob = Passalong(tmp_path / "bob", capsys)
    answer = bob.json("init", "--name", "Bob", "--passphrase-file", file)
    assert len(answer["words"]) == 24
    assert bob("post", "refused").refusal == LOCKED
    bob.json("unlock", "--passphrase-file", file)
    assert bob.json("post", "now")["seq"] == 2
    assert "there is a home in" in bob("init", "--passphrase-file", file).refusal


def test_init_says_that_the_home_is_locked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    locked_home, open_home = (Passalong(tmp_path / name, capsys) for name in ("a", "b"))
    assert "passalong unlock" in locked_home("init", "--passphrase-file", file).out
    assert "passalong unlock" not in open_home("init").out


def test_init_takes_the_passphrase_from_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = Passalong(tmp_path / "bob", capsys)
    monkeypatch.setattr(sys, "stdout", None)
    outcome = bob("init", "--passphrase-file", "-", typed=PASSPHRASE.encode())
    assert outcome.status == 0
    assert "shown once" in outcome.err


# --- wipe ---------------------------------------------------------------------------------------


def test_a_home_is_wiped(ann: Passalong) -> None:
    assert ann.json("wipe", "--yes") == {"wiped": True, "left": []}
    assert not ann.home.exists()
    assert "no home" in ann("whoami").refusal
    assert "no home" in ann("wipe", "--yes").refusal
    assert ann.json("init", "--name", "Eve")["name"] == "Eve"


@pytest.mark.parametrize("by", ["name", "digits"])
def test_who_wipes_types_whose_home_it_is(
    ann: Passalong, keyboard: Callable[..., list[str]], by: str
) -> None:
    digits = ann.json("whoami")["person"][:8]
    for wrong in ("Bob", "ann", digits[:7], "y", "yes", f"{digits[:-1]}g"):
        asked = keyboard(wrong)
        assert "nothing was wiped" in ann("wipe").refusal
        assert f"Ann or {digits}" in asked[0]
    assert ann.json("post", "still there")["seq"] == 2
    keyboard(digits.upper() if by == "digits" else "Ann ")
    assert ann("wipe").status == 0
    assert not ann.home.exists()


def test_nobody_is_asked_who_is_not_there(ann: Passalong) -> None:
    assert "use --yes" in ann("wipe").refusal
    assert ann.json("post", "still there")["seq"] == 2


def test_a_locked_home_is_wiped_and_the_logins_key_with_it(
    ann: Passalong, file: str, login: Path
) -> None:
    ann.json("lock", "--passphrase-file", file)
    ann.json("unlock", "--passphrase-file", file)
    assert [path for path in login.rglob("*") if path.is_file()]
    ann.json("wipe", "--yes")
    assert not [path for path in login.rglob("*") if path.is_file()]


def test_what_is_not_ours_stays_and_is_named(ann: Passalong) -> None:
    (ann.home / "photo.jpg").write_bytes(b"mine")
    (ann.home / "config.toml").write_text("room_mb = 9\n")
    outcome = ann("wipe", "--yes")
    assert "photo.jpg" in outcome.out
    assert [path.name for path in ann.home.iterdir()] == ["photo.jpg"]


def test_a_folder_that_is_no_home_is_not_wiped(ann: Passalong, tmp_path: Path) -> None:
    ann.home = tmp_path / "other"
    ann.home.mkdir()
    for name in ("config.toml", "photo.jpg", LOCK):
        (ann.home / name).write_bytes(b"mine")
    assert "no home" in ann("wipe", "--yes").refusal
    (ann.home / "photo.jpg").unlink()
    database = sqlite3.connect(ann.home / STORE)
    database.execute("CREATE TABLE t (a)")
    database.close()
    assert "no home" in ann("wipe", "--yes").refusal
    assert len(list(ann.home.iterdir())) == 3


def test_a_vault_of_another_program_is_not_wiped(ann: Passalong, tmp_path: Path) -> None:
    ann.home = tmp_path / "other"
    ann.home.mkdir()
    (ann.home / VAULT).write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n" * 20)
    (ann.home / "config.toml").write_bytes(b"theirs")
    assert "no home" in ann("wipe", "--yes").refusal
    assert (ann.home / VAULT).read_bytes().startswith(b"$ANSIBLE")
    assert (ann.home / "config.toml").read_bytes() == b"theirs"


def test_a_home_that_another_process_uses_is_not_wiped(ann: Passalong) -> None:
    (ann.home / "config.toml").write_text("lock_wait_s = 0\n")
    with process(HOLD, ann.home):
        assert "another passalong is using" in ann("wipe", "--yes").refusal
        assert (ann.home / VAULT).exists()
    assert ann.json("post", "still there")["seq"] == 2


@pytest.mark.parametrize("damaged", [VAULT, STORE])
def test_a_damaged_home_is_wiped_for_yes_alone(
    ann: Passalong, keyboard: Callable[..., list[str]], damaged: str
) -> None:
    (ann.home / damaged).write_bytes(b"damaged" * 1_000)
    keyboard("Ann")
    refusal = ann("wipe").refusal
    assert "to wipe it all the same use --yes" in refusal
    assert ann.json("wipe", "--yes") == {"wiped": True, "left": []}


async def test_who_waited_for_the_lock_of_a_home_that_was_wiped_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath("home").mkdir()
    waiting: list[asyncio.Task[None]] = []

    async def waits() -> None:
        async with locked(tmp_path / "home", 10):
            pass

    async with locked(tmp_path / "home", 0):
        waiting.append(asyncio.create_task(waits()))
        await asyncio.sleep(0)
        (tmp_path / "home" / LOCK).unlink()
    with pytest.raises(HomeError, match="was wiped"):
        await waiting[0]


def test_a_home_that_a_link_leads_to_is_wiped(
    ann: Passalong, capsys: pytest.CaptureFixture[str]
) -> None:
    link = ann.home.with_name("link")
    link.symlink_to(ann.home)
    assert Passalong(link, capsys).json("wipe", "--yes") == {"wiped": True, "left": []}
    assert not ann.home.exists()


# --- doctor -------------------------------------------------------------------------------------


def keys_row(home: Path) -> Finding:
    rows = asyncio.run(examine(home, 1_800_000_000_000, "utf-8"))
    (row,) = [row for row in rows if row.name == "keys"]
    return row


def test_doctor_says_whether_a_passphrase_guards_the_keys(
    ann: Passalong, file: str, tmp_path: Path
) -> None:
    assert keys_row(tmp_path / "none").state == "ok"
    row = keys_row(ann.home)
    assert (row.state, "passalong lock" in row.advice) == ("warn", True)
    ann.json("lock", "--passphrase-file", file)
    assert keys_row(ann.home).state == "ok"
    (ann.home / VAULT).write_bytes(b"damaged")
    assert keys_row(ann.home).state == "fail"
