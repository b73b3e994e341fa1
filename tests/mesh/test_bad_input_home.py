"""Homes that cannot be used: one clear line that says why, and nothing about them changes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ledger.errors import StoreError
from mesh.direct import init_home, open_port, restore_home
from mesh.home import HomeError
from mesh.paths import CONFIG, LOCK, STORE
from mesh.port import PortError
from tests.mesh.places import HOLD, World, disk, fill, make_read_only, process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesh.port import NodePort


@pytest.fixture
def world() -> World:
    """Give a clock and dice."""
    return World()


@pytest.fixture
async def home(tmp_path: Path, world: World) -> Path:
    """Give a home that holds something."""
    folder = tmp_path / "home"
    await settle(folder, world)
    return folder


async def settle(folder: Path, world: World) -> None:
    await init_home(folder, "Ada", world.around)
    async with open_port(folder, world.around) as port:
        for number in range(50):
            await port.post(f"post {number} {'x' * 200}")


def files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir() if path.name != LOCK}


async def use(folder: Path, world: World) -> None:
    """Read all of a home and write to it."""
    async with open_port(folder, world.around) as port:
        await port.whoami()
        await port.feed()
        await port.post("one more")


async def refused(folder: Path, world: World, kind: type[PortError], why: str) -> None:
    """Check that a home is refused in one line by whatever one tries."""
    words = " ".join(["abandon"] * 23 + ["art"])
    for attempt in (
        use(folder, world),
        init_home(folder, "Eve", world.around),
        restore_home(folder, words, None, world.around),
    ):
        with pytest.raises(kind, match=why) as refusal:
            await attempt
        assert len(str(refusal.value).splitlines()) == 1


# --- the folder ---------------------------------------------------------------------------------


async def test_a_file_where_the_home_should_be_is_in_the_way(tmp_path: Path, world: World) -> None:
    (tmp_path / "home").write_text("precious")
    with pytest.raises(HomeError, match="there is no home in"):
        await use(tmp_path / "home", world)
    for folder in (tmp_path / "home", tmp_path / "home" / "below"):
        with pytest.raises(HomeError, match="is in the way of a folder; use another path"):
            await init_home(folder, "Ada", world.around)
    assert (tmp_path / "home").read_text() == "precious"


async def test_a_home_that_another_process_uses_is_left_alone(home: Path, world: World) -> None:
    (home / CONFIG).write_text("lock_wait_s = 0\n")
    before = files(home)
    with process(HOLD, home):
        await refused(home, world, HomeError, "another passalong is using .*; wait for it or stop")
    assert files(home) == before
    await use(home, world)


async def test_a_home_on_a_disk_that_is_read_only_is_left_alone(
    tmp_path: Path, world: World
) -> None:
    with disk(tmp_path / "disk", "4m") as place:
        await settle(place / "home", world)
        before = files(place / "home")
        make_read_only(place)
        await refused(place / "home", world, HomeError, "cannot be written; check its permissions")
        with pytest.raises(HomeError, match="cannot be written"):
            await init_home(place / "new", "Eve", world.around)
        assert files(place / "home") == before


async def post_until_refused(port: NodePort) -> tuple[int, str]:
    """Return how many posts there was room for, and what was said of the next."""
    for count in range(3_000):
        outcome = await asyncio.gather(port.post("x" * 1_000), return_exceptions=True)
        if isinstance(outcome[0], PortError):
            return count, str(outcome[0])
    raise AssertionError("the disk has no end")


async def test_a_disk_that_becomes_full_loses_nothing_and_goes_on_with_room(
    tmp_path: Path, world: World
) -> None:
    with disk(tmp_path / "disk", "2m") as place:
        await settle(place / "home", world)
        async with open_port(place / "home", world.around) as port:
            fill(place)
            written, said = await post_until_refused(port)
            assert said.startswith("the disk is full; free some space")
            with pytest.raises(PortError, match="is full"):
                await port.export_bundle(place / "bundle.pal")
            assert not (place / "bundle.pal").exists()
            # with room it goes on, in the same home and after a new start
            (place / "ballast").unlink()
            await port.post("room again")
        async with open_port(place / "home", world.around) as port:
            checked = await port.check()
            assert checked.problems == []
            assert len(await port.feed()) == 50 + written + 1


async def test_a_home_that_is_opened_on_a_full_disk_loses_nothing(
    tmp_path: Path, world: World
) -> None:
    with disk(tmp_path / "disk", "2m") as place:
        await settle(place / "home", world)
        fill(place)
        with pytest.raises(StoreError, match="it may be full; free some space"):
            await use(place / "home", world)
        (place / "ballast").unlink()
        await use(place / "home", world)


async def test_a_home_begun_on_a_full_disk_can_be_begun_again(tmp_path: Path, world: World) -> None:
    with disk(tmp_path / "disk", "1m") as place:
        fill(place)
        with pytest.raises(PortError) as refusal:
            await init_home(place / "home", "Ada", world.around)
        assert len(str(refusal.value).splitlines()) == 1
        assert "full" in str(refusal.value)
        (place / "ballast").unlink()
        assert (await init_home(place / "home", "Ada", world.around)).name == "Ada"


# --- the database -------------------------------------------------------------------------------


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1000")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 252006")


def text(path: Path) -> None:
    path.write_text("this is not a database, but a long enough text " * 100)


def headless(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[:100] = bytes(100)
    path.write_bytes(bytes(raw))


def scrambled(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4_096:] = bytes(byte ^ 0x55 for byte in raw[4_096:])
    path.write_bytes(bytes(raw))


def halved(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (newer, "written by a newer passalong; update passalong"),
        (foreign, "belongs to another program; use another home"),
        (text, "the store is damaged"),
        (headless, "the store is damaged|belongs to another program"),
        (scrambled, "the store is damaged"),
        (halved, "the store is damaged"),
    ],
)
async def test_a_database_that_cannot_be_used_is_left_as_it_is(
    home: Path, world: World, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(home / STORE)
    before = files(home)
    await refused(home, world, StoreError, why)
    assert files(home) == before


async def test_a_folder_where_the_database_should_be_is_said(home: Path, world: World) -> None:
    (home / STORE).unlink()
    (home / STORE).mkdir()
    await refused(home, world, PortError, "cannot be written|is in the way|check")


async def test_a_damaged_page_is_found_by_a_check_and_the_rest_is_still_given(
    home: Path, tmp_path: Path, world: World
) -> None:
    # given a home in which one post's text was changed on the disk
    raw = (home / STORE).read_bytes()
    assert raw.count(b"post 30 ") == 1
    (home / STORE).write_bytes(raw.replace(b"post 30 ", b"post 99 "))
    # when it is checked
    async with open_port(home, world.around) as port:
        (problem,) = (await port.check()).problems
        assert "the body is not the one its header names" in problem
        file = BytesIO()
        await port.export_bundle(file)
    # then nobody else takes that block
    await init_home(tmp_path / "other", "Ben", world.around)
    async with open_port(tmp_path / "other", world.around) as port:
        file.seek(0)
        imported = await port.import_bundle(file)
        assert imported.refused > 0
        assert not any("post 99" in row.text for row in await port.feed(everyone=True))
        assert (await port.check()).problems == []


async def test_a_home_that_was_deleted_meanwhile_is_not_there(home: Path, world: World) -> None:
    shutil.rmtree(home)
    with pytest.raises(HomeError, match="there is no home in"):
        await use(home, world)
