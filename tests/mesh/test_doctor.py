from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh import doctor
from mesh.doctor import RELEASED_MS, Finding, examine
from tests.mesh.cli_support import Passalong, settle

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = RELEASED_MS + 1


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "ann", "Ann", capsys)


def _findings(folder: Path, now: int = NOW, encoding: str = "utf-8") -> dict[str, Finding]:
    return {row.name: row for row in asyncio.run(examine(folder, now, encoding))}


def test_a_machine_without_a_home_can_be_examined(tmp_path: Path) -> None:
    rows = _findings(tmp_path / "a" / "b")
    assert rows["home"].advice == "passalong init"
    assert {row.state for row in rows.values()} == {"ok", "warn"}
    assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_good_home_is_found_good_and_stays_as_it_was(ann: Passalong) -> None:
    before = {path.name for path in ann.home.iterdir()}
    answer = ann.json("doctor")
    assert answer["ok"] is True
    assert {"name", "state", "detail", "advice"} == set(answer["checks"][0])
    assert {row["name"] for row in answer["checks"]} >= {"home", "permissions", "store", "radios"}
    assert {path.name for path in ann.home.iterdir()} == before


def test_people_get_a_table(ann: Passalong) -> None:
    lines = ann("doctor").out.splitlines()
    assert lines[0].split() == ["WHAT", "FOUND", "WHAT", "TO", "DO"]
    assert any(line.startswith("ok") and "Python" in line for line in lines)


def _garbage(home: Path) -> None:
    for name in ("store.db-wal", "store.db-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "store.db").write_bytes(b"garbage " * 1_000)


def _newer(home: Path) -> None:
    db = sqlite3.connect(home / "store.db")
    db.execute("PRAGMA user_version = 999")
    db.close()


@pytest.mark.parametrize("spoil", [_garbage, _newer])
def test_a_store_that_does_not_open_fails(ann: Passalong, spoil: Callable[[Path], None]) -> None:
    spoil(ann.home)
    outcome = ann("doctor", "--json")
    assert outcome.status == 1
    assert '"ok": false' in outcome.out
    assert outcome.err.startswith("error: store: ")
    assert outcome.err.count("\n") == 1


def test_a_home_that_is_a_file_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    outcome = Passalong(tmp_path / "file", capsys)("doctor")
    assert outcome.status == 1
    assert "is not a folder" in outcome.err


def test_a_home_that_is_open_to_others_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    rows = _findings(tmp_path)
    assert rows["permissions"].state == "warn"
    assert "chmod 700" in rows["permissions"].advice


def test_a_home_in_use_is_a_warning(ann: Passalong) -> None:
    with (ann.home / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = _findings(ann.home)
    assert rows["store"].state == "warn"


def test_a_clock_before_this_version_is_a_warning(tmp_path: Path) -> None:
    rows = _findings(tmp_path, RELEASED_MS - 1)
    assert rows["clock"].state == "warn"


@pytest.mark.parametrize(
    ("encoding", "state"), [("UTF-8", "ok"), ("utf8", "ok"), ("ascii", "warn")]
)
def test_the_terminals_encoding(tmp_path: Path, encoding: str, state: str) -> None:
    assert _findings(tmp_path, encoding=encoding)["terminal"].state == state


def test_a_full_disk_fails_and_a_nearly_full_one_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, state in ((0, "fail"), (50_000_000, "warn")):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        assert _findings(tmp_path)["disk"].state == state


def test_another_distribution_with_our_names_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {"app": ["intruder", "passalong"], "mesh": ["passalong"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: owners)
    rows = _findings(tmp_path)
    assert rows["package app"].state == "fail"
    assert "intruder" in rows["package app"].detail


def test_a_package_that_is_found_elsewhere_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_root_of", lambda name: Path("/x") if name == "app" else _ROOT)
    assert "is found in" in _findings(tmp_path)["package app"].detail


_ROOT = Path(doctor.__file__).parent.parent


def test_missing_and_broken_packages_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(doctor, "_NEEDED", ("click", "nothing_of_this_name"))
    monkeypatch.setattr("importlib.import_module", missing)
    rows = _findings(tmp_path)
    assert rows["packages"].advice == "pip install nothing_of_this_name"
    assert rows["libsodium"].advice == "pip install pynacl"
    assert rows["cbor2"].state == "fail"


def test_an_old_python_or_sqlite_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 0))
    monkeypatch.setattr(doctor, "OLDEST_SQLITE", (99, 0))
    rows = _findings(tmp_path)
    assert (rows["Python"].state, rows["SQLite"].state) == ("fail", "fail")


def test_a_disk_without_wal_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_journal_mode", lambda _: "delete")
    assert _findings(tmp_path)["SQLite"].state == "warn"
