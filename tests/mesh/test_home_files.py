"""A file appears under its name whole, or what stood there before still does."""

from __future__ import annotations

import os
import resource
import signal
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pytest

from mesh import home
from mesh.home import HomeError, whole_file
from tests.mesh.places import disk, fill, make_read_only, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = b"what stood there", b"what comes" * 1_000


class FailureError(Exception):
    """Something went wrong while the file was written."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give a file that is to be replaced, alone in its folder."""
    path = tmp_path / "stick" / "bundle.pal"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def nothing_changes(path: Path) -> Iterator[None]:
    """Check that ``path`` stays as it is, and that nothing is left beside it."""
    names, held = names_in(path.parent), path.read_bytes()
    yield
    assert path.read_bytes() == held
    assert names_in(path.parent) == names


def write(path: Path, data: bytes = NEW) -> None:
    with whole_file(path) as file:
        file.write(data)


def write_slowly(path: Path, pieces: int) -> None:
    with whole_file(path) as file:
        for _ in range(pieces):
            file.write(bytes(1 << 10))


# --- agreement ----------------------------------------------------------------------------------


def test_a_new_file_replaces_the_old_one_and_nothing_else_is_left(target: Path) -> None:
    write(target)
    assert target.read_bytes() == NEW
    assert names_in(target.parent) == [target.name]


def test_until_it_is_whole_nobody_sees_it(target: Path) -> None:
    with whole_file(target) as file:
        file.write(NEW)
        file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW


def test_its_bytes_are_durable_before_its_name_and_its_name_before_it_counts(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given ears for what happens on the disk
    happened: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        happened.append(f"sync {kind}, {target.read_bytes() == NEW}")
        sync(descriptor)

    def noted_replace(source: Path, place: Path) -> None:
        happened.append("rename")
        replace(source, place)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    # when a file is written
    write(target)
    # then it is synced under its other name, renamed, and its folder is synced
    assert happened == ["sync file, False", "rename", "sync folder, True"]


def test_what_a_killed_writer_left_is_no_obstacle(target: Path) -> None:
    script = """
    import sys
    from pathlib import Path
    from mesh.home import whole_file

    with whole_file(Path(sys.argv[1])) as file:
        file.write(b"half")
        file.flush()
        print("half", flush=True)
        sys.stdin.readline()
    """
    with process(script, target) as writer:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert target.read_bytes() == OLD
    write(target)
    assert names_in(target.parent) == [target.name]


# --- refusal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1, len(NEW)])
@pytest.mark.parametrize("failure", [FailureError, KeyboardInterrupt, GeneratorExit])
def test_a_failure_while_writing_leaves_the_old_file(
    target: Path, written: int, failure: type[BaseException]
) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(NEW[:written])
        raise failure

    with nothing_changes(target), pytest.raises(failure), whole_file(target) as file:
        fail(file)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_after_writing_leaves_the_old_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with nothing_changes(target), pytest.raises(HomeError, match="Input/output error; try again"):
        write(target)


def test_a_folder_that_cannot_be_synced_is_said(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(home, "sync_folder", fail)
    with pytest.raises(HomeError, match="try again"):
        write(target)
    assert names_in(target.parent) == [target.name]


@pytest.mark.parametrize("number", [22, 95])
def test_a_file_system_that_cannot_sync_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fail)
    home.sync_folder(tmp_path)


def test_a_disk_that_becomes_full_leaves_the_old_file(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "256k") as place:
        target = place / "bundle.pal"
        target.write_bytes(OLD)
        with nothing_changes(target), pytest.raises(HomeError, match="is full; free some space"):
            write(target, bytes(1 << 20))
        with nothing_changes(target), pytest.raises(HomeError, match="is full"):
            write_slowly(target, 1 << 10)
        # once there is room it goes on
        write(target)
        assert target.read_bytes() == NEW


def test_a_disk_that_is_full_from_the_first_byte_leaves_the_old_file(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "256k") as place:
        target = place / "bundle.pal"
        target.write_bytes(OLD)
        fill(place)
        with nothing_changes(target), pytest.raises(HomeError, match="is full"):
            write(target)


def test_a_file_that_the_disk_finds_too_large_leaves_the_old_file(target: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with nothing_changes(target), pytest.raises(HomeError, match="use --max-bytes"):
            write(target, bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_is_read_only_is_left_alone(tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as place:
        target = place / "bundle.pal"
        target.write_bytes(OLD)
        make_read_only(place)
        with nothing_changes(target), pytest.raises(HomeError, match="cannot be written"):
            write(target)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="is a folder; name a file"):
        write(tmp_path)
    assert names_in(tmp_path) == []


def test_a_pipe_or_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(HomeError, match="is a device or a pipe; name a file, or - for a pipe"):
            write(tmp_path / name)
    assert names_in(tmp_path) == ["link", "pipe"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone/bundle.pal", "is not there; check the path"),
        ("file/bundle.pal", "is in the way of a folder"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=why):
        write(tmp_path / name)
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("left", ["link", "pipe", "second name"])
def test_what_a_stranger_left_on_the_stick_is_not_written_through(
    tmp_path: Path, left: str
) -> None:
    precious, target = tmp_path / "precious", tmp_path / "news.passalong"
    precious.write_bytes(b"mine")
    partial = tmp_path / ".news.passalong.partial"
    match left:
        case "link":
            partial.symlink_to(precious)
        case "pipe":
            os.mkfifo(partial)
        case _:
            partial.hardlink_to(precious)
    with pytest.raises(HomeError, match="remove it"), whole_file(target) as file:
        file.write(b"bundle")
    assert precious.read_bytes() == b"mine"
    assert not target.exists()
