from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

ROOT = Path(__file__).parent.parent.parent
PASSALONG = [sys.executable, "-m", "mesh"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}

pytestmark = pytest.mark.slow


def _run(
    *args: str | bytes, out: int | BinaryIO = subprocess.PIPE, typed: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PASSALONG, *args],
        env=ENVIRONMENT,
        check=False,
        timeout=50,
        input=typed,
        stdout=out,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def home(tmp_path: Path) -> str:
    home = str(tmp_path / "ann")
    assert _run("--home", home, "init", "--name", "Ann").returncode == 0
    return home


def test_answers_go_to_standard_output_and_failures_to_standard_error(home: str) -> None:
    done = _run("--home", home, "whoami", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["name"] == "Ann"
    failed = _run("--home", home, "follow", "Zoe")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.startswith(b"error: ")
    wrong = _run("--home", home, "fed")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count(b"\n")) == (2, b"", 1)


def test_bytes_that_are_no_text_are_refused(home: str) -> None:
    failed = _run("--home", home, "post", b"caf\xe9")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"UTF-8" in failed.stderr


def test_a_bundle_goes_through_a_pipe(home: str, tmp_path: Path) -> None:
    bob = str(tmp_path / "bob")
    _run("--home", bob, "init")
    wrote = _run("--home", home, "bundle", "export", "-")
    took = _run("--home", bob, "bundle", "import", "-", typed=wrote.stdout)
    assert (took.returncode, took.stdout) == (0, b"")
    assert took.stderr == b"2 new blocks, 0 known already\n"


@pytest.mark.parametrize("args", [["feed"], ["log", "--json"], ["--help"], ["doctor"]])
def test_a_reader_who_has_had_enough_ends_it_quietly(home: str, args: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    ended = _run("--home", home, *args, out=theirs)
    os.close(theirs)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_bundle_nobody_reads_is_a_failure(home: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    args = ["--home", home, "bundle", "export", "-"]
    ended = _run(*args, out=theirs)
    os.close(theirs)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)
    assert ended.stderr.startswith(b"error: ")


def test_words_that_nobody_could_read_come_again(tmp_path: Path) -> None:
    home = str(tmp_path / "new")
    with Path("/dev/full").open("wb") as full:
        lost = _run("--home", home, "init", out=full)
    assert (lost.returncode, lost.stderr.count(b"\n")) == (1, 1)
    assert b"init again" in lost.stderr
    shown = _run("--home", home, "init", "--json")
    assert len(json.loads(shown.stdout)["words"]) == 24


def test_a_full_disk_behind_standard_output_is_a_failure(home: str) -> None:
    with Path("/dev/full").open("wb") as full:
        args = ["--home", home, "whoami"]
        ended = _run(*args, out=full)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)


def test_ctrl_c_is_one_line_and_one(home: str) -> None:
    # given a command that waits for the home, which another one holds
    with (Path(home) / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (Path(home) / "config.toml").write_text("lock_wait_s = 60\n")
        process = subprocess.Popen(
            [*PASSALONG, "--home", home, "feed"],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # a test run in the background of a shell ignores it, and so would its children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        _wait_until_it_waits(process, Path(home) / "lock")
        # when the person has enough of it
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    # then it ends with a word
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"error: interrupted")
    assert err.count(b"\n") == 1


def _open_files(pid: int) -> list[str]:
    """Return what a process has open; what it closes meanwhile is left out."""
    files: list[str] = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            files.append(os.readlink(descriptor))  # noqa: PTH115  a pipe is no path
    return files


def _wait_until_it_waits(process: subprocess.Popen[bytes], lock: Path) -> None:
    """Return once the process has the lock file open, which it does to wait for it."""
    while not any(target == str(lock) for target in _open_files(process.pid)):
        assert process.poll() is None
        time.sleep(0.02)


def test_on_a_terminal_there_are_frames_and_colours(home: str) -> None:
    master, terminal = pty.openpty()
    ended = _run("--home", home, "whoami", out=terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:
        pass
    os.close(master)
    assert ended.returncode == 0
    assert "╭─".encode() in shown
    assert "▀".encode() in shown


def test_help_imports_little() -> None:
    code = (
        "import sys; from mesh.cli.entry import main; main(['--help']);"
        "heavy = {'rich', 'asyncio', 'segno', 'nacl', 'cbor2', 'sqlite3'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, check=False, capture_output=True, timeout=50
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
