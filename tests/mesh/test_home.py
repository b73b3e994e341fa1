"""A lock holds while its process lives, and no longer; every failure says what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from ledger.errors import PassalongError
from mesh import home
from mesh.home import HomeError, explain, locked, make_folder
from mesh.paths import HOME_VARIABLE, LOCK, default_home
from tests.mesh.places import HOLD, disk, make_read_only, process


async def take(folder: Path, wait_s: float = 0) -> None:
    async with locked(folder, wait_s):
        pass


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# --- the lock -----------------------------------------------------------------------------------


async def test_one_process_at_a_time_uses_a_home(tmp_path: Path) -> None:
    with process(HOLD, tmp_path), pytest.raises(HomeError, match="another passalong is using"):
        await take(tmp_path)


async def test_one_use_at_a_time_in_this_process_too(tmp_path: Path) -> None:
    async with locked(tmp_path, 0):
        with pytest.raises(HomeError, match="another passalong"):
            await take(tmp_path)
    await take(tmp_path)


async def test_who_waits_gets_the_lock_when_the_other_is_done(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as other:
        waiting = asyncio.create_task(take(tmp_path, 20))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        # when the other one ends in good order
        other.communicate("go\n")
        # then the wait is over
        await waiting


async def test_a_wait_ends_after_its_time(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with process(HOLD, tmp_path):
        begun = loop.time()
        with pytest.raises(HomeError):
            await take(tmp_path, 0.2)
        assert 0.2 <= loop.time() - begun < 5


async def test_a_lock_ends_with_the_process_that_was_killed(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / LOCK).exists()
    await take(tmp_path)


async def test_a_lock_file_that_lies_about_means_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"12345")
    await take(tmp_path)


async def test_a_failure_inside_frees_the_lock(tmp_path: Path) -> None:
    async def fail() -> None:
        async with locked(tmp_path, 0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await take(tmp_path)


async def test_who_stops_waiting_leaves_nothing_open(tmp_path: Path) -> None:
    async with locked(tmp_path, 0):
        before = open_files()
        waiting = asyncio.create_task(take(tmp_path, 20))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert open_files() == before


async def test_a_process_that_is_started_meanwhile_does_not_inherit_the_lock(
    tmp_path: Path,
) -> None:
    async with locked(tmp_path, 0):
        child = await asyncio.create_subprocess_exec("sleep", "30", close_fds=False)
    try:
        await take(tmp_path)
    finally:
        child.kill()
        await child.wait()


async def test_a_home_that_is_not_there_or_a_file_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="is not there; check the path"):
        await take(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="is in the way of a folder"):
        await take(tmp_path / "file")


async def test_a_home_on_a_disk_that_is_read_only_cannot_be_locked(tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as place:
        await take(place)
        make_read_only(place)
        with pytest.raises(HomeError, match="cannot be written; check its permissions"):
            await take(place)


# --- the folder ---------------------------------------------------------------------------------


def test_a_new_home_is_closed_to_others(tmp_path: Path) -> None:
    make_folder(tmp_path / "home")
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_every_new_folder_above_a_home_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(home, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b" / "c")
    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_a_folder_that_is_there_may_become_a_home_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("something")
    tmp_path.chmod(0o750)
    make_folder(tmp_path)
    assert (tmp_path / "mine").read_text() == "something"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_file_in_the_place_of_a_home_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HomeError, match="is in the way of a folder; use another path"):
            make_folder(folder)


def test_a_home_stands_where_the_variable_says_or_among_the_persons_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.setenv(HOME_VARIABLE, "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_home() == tmp_path / "data" / "passalong"


# --- what it says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "what_to_do"),
    [
        (errno.ENOSPC, "the disk of /place is full; free some space and try again"),
        (errno.EDQUOT, "the disk of /place is full; free some space and try again"),
        (errno.EROFS, "/place cannot be written; check its permissions"),
        (errno.EACCES, "/place cannot be written; check its permissions"),
        (errno.EPERM, "/place cannot be written; check its permissions"),
        (errno.ENOENT, "/place is not there; check the path"),
        (errno.ENOTDIR, "/place is in the way of a folder; use another path"),
        (errno.EEXIST, "/place is in the way of a folder; use another path"),
        (errno.EFBIG, "/place became larger than its disk allows; use --max-bytes"),
        (errno.EIO, "/place: Input/output error; try again or use another disk"),
        (errno.ENAMETOOLONG, "/place: File name too long; try again or use another disk"),
    ],
)
def test_an_error_of_the_file_system_says_what_to_do(
    tmp_path: Path, number: int, what_to_do: str
) -> None:
    said = explain(OSError(number, os.strerror(number)), tmp_path)
    assert isinstance(said, PassalongError)
    assert str(said).replace(str(tmp_path), "/place") == what_to_do


def test_an_error_without_a_number_is_said_as_it_is(tmp_path: Path) -> None:
    assert "strange; try again" in str(explain(OSError("strange"), tmp_path))
