"""Full and read-only disks, sticks pulled out, clocks that jump: a clear line, and nothing lost."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

import mesh.intake
from mesh.direct import open_port
from mesh.port import PortError
from tests.crash.bundles import write_bundle
from tests.crash.campaign import settle
from tests.crash.deeds import START_MS, export_of, seeded_world
from tests.crash.media import Disk, Pulled, mounted, pulled_out
from tests.crash.witness import Witness, awake, contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mesh.port import NodePort

WORLD = seeded_world(7)
LONG = "x" * 8_000
TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000


def assert_clear(exc: BaseException, *words: str) -> None:
    text = str(exc)
    assert "\n" not in text
    assert 10 < len(text) < 250
    assert any(word in text for word in words), text


async def assert_in_order(home: Path, *ids: bytes) -> None:
    """The home starts, has the blocks, and goes on."""
    witness = Witness(home)
    await witness.look(WORLD)
    assert not witness.wrong
    assert set(ids) <= set(witness.own.values())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


# --- full, and read-only ------------------------------------------------------------------------


async def post_until_full(port: NodePort) -> tuple[list[bytes], PortError]:
    posted: list[bytes] = []
    while len(posted) < 1_000:
        try:
            done = await port.post(LONG)
        except PortError as exc:
            return posted, exc
        posted.append(done.id)
    raise AssertionError("the disk is never full")


async def test_posts_on_a_full_disk_fail_clearly_and_go_on_when_there_is_space(disk: Disk) -> None:
    home = disk.folder / "home"
    await settle(home, 1)
    async with open_port(home, WORLD) as port:
        disk.fill(left=100_000)
        posted, failure = await post_until_full(port)
        assert_clear(failure, "the disk is full")
        again = await asyncio.gather(*(port.post(LONG) for _ in range(20)), return_exceptions=True)
        failed = [one for one in again if isinstance(one, BaseException)]
        assert failed
        for one in failed:
            assert isinstance(one, PortError)
            assert_clear(one, "the disk is full")
        disk.empty()
        posted += [one.id for one in again if not isinstance(one, BaseException)]
        posted.append((await port.post("at last")).id)
    await assert_in_order(home, *posted)


async def test_a_home_can_be_opened_and_exported_elsewhere_while_its_disk_is_full(
    disk: Disk, tmp_path: Path
) -> None:
    home = disk.folder / "home"
    await settle(home, 1)
    async with open_port(home, WORLD) as port:
        await post_until_full(port)
    disk.fill(left=0)
    async with open_port(home, WORLD) as port:
        assert (await port.export_bundle(tmp_path / "out.pal")).blocks > 3
        assert not (await port.check()).problems


@pytest.mark.parametrize("left", [0, 8_192, 20_000])
async def test_a_home_on_a_full_disk_is_not_called_damaged(disk: Disk, left: int) -> None:
    await settle(disk.folder / "home", 1)
    disk.fill(left=left)
    try:
        async with open_port(disk.folder / "home", WORLD) as port:
            await port.feed()
    except PortError as exc:
        assert_clear(exc, "full", "free some space")
        assert "damaged" not in str(exc)  # noqa: PT017


async def test_init_on_a_full_disk_fails_clearly_and_works_when_there_is_space(disk: Disk) -> None:
    for left in (0, 4_096, 40_960, 65_536):
        disk.fill(left=left)
        with pytest.raises(PortError) as failure:
            await settle(disk.folder / "home", 1)
        assert_clear(failure.value, "full")
        disk.empty()
    await settle(disk.folder / "home", 1)
    await assert_in_order(disk.folder / "home")


async def test_an_export_to_a_full_stick_leaves_the_older_file(disk: Disk, tmp_path: Path) -> None:
    home, target = tmp_path / "home", disk.folder / "news.pal"
    await settle(home, 1)
    async with open_port(home, WORLD) as port:
        await port.export_bundle(target)
        before = target.read_bytes()
        for _ in range(10):
            await port.post(LONG)
        for left in (0, 4_096, 20_000, 70_000):
            disk.fill(left=left)
            with pytest.raises(PortError) as failure:
                await port.export_bundle(target)
            assert_clear(failure.value, "full")
            assert target.read_bytes() == before
            disk.empty()
            assert [path.name for path in disk.folder.iterdir()] == ["news.pal"]
        await port.export_bundle(target)
        assert (await port.inspect_bundle(target)).complete


async def test_an_import_on_a_full_disk_keeps_what_it_had_and_can_be_repeated(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh.intake, "BATCH_BLOCKS", 25)
    home, bundle = disk.folder / "home", tmp_path / "others.pal"
    await write_bundle(bundle)
    await settle(home, 1)
    await settle(tmp_path / "uncut", 1)
    async with awake(tmp_path / "uncut", WORLD) as (node, port):
        await port.import_bundle(bundle)
        uncut = await contents(node.store, node.secrets.keys.public)
    async with awake(home, WORLD) as (node, port):
        disk.fill(left=20_000)
        with pytest.raises(PortError) as failure:
            await port.import_bundle(bundle)
        assert_clear(failure.value, "the disk is full")
        assert not (await port.check()).problems
        disk.empty()
        assert (await port.import_bundle(bundle)).complete
        assert await contents(node.store, node.secrets.keys.public) == uncut
    await assert_in_order(home)


async def test_a_home_on_a_read_only_disk_says_so_and_goes_on_when_it_is_not(disk: Disk) -> None:
    home = disk.folder / "home"
    await settle(home, 1)
    with disk.read_only():
        with pytest.raises(PortError) as failure:
            async with open_port(home, WORLD) as port:
                await port.post("in vain")
        assert_clear(failure.value, "cannot be written")
        with pytest.raises(PortError) as failure:
            await settle(disk.folder / "another", 1)
        assert_clear(failure.value, "cannot be written")
    await assert_in_order(home)


async def test_an_export_to_a_read_only_stick_says_so(disk: Disk, tmp_path: Path) -> None:
    await settle(tmp_path / "home", 1)
    async with open_port(tmp_path / "home", WORLD) as port:
        with disk.read_only():
            with pytest.raises(PortError) as failure:
                await port.export_bundle(disk.folder / "news.pal")
            assert_clear(failure.value, "cannot be written")
        await port.export_bundle(disk.folder / "news.pal")
    await assert_in_order(tmp_path / "home")


# --- the clock ----------------------------------------------------------------------------------


async def test_a_clock_that_jumps_ten_years_back_and_forth_harms_nothing(tmp_path: Path) -> None:
    home, posted = tmp_path / "home", []
    await settle(home, 1)
    for years in (1, -1, 0, -5, 3):
        around = replace(WORLD, now=partial(int, START_MS + years * TEN_YEARS_MS))
        async with open_port(home, around) as port:
            posted.append((await port.post(f"{years} decades away")).id)
            await port.export_bundle(export_of(home))
            assert (await port.import_bundle(export_of(home))).complete
            assert posted[-1] in {row.id for row in await port.feed()}
            await port.feed(nearby=True)
    await assert_in_order(home, *posted)


# --- the stick ----------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_stick_pulled_out_at_any_byte_of_an_export_leaves_the_older_file(
    tmp_path: Path,
) -> None:
    home, target = tmp_path / "home", tmp_path / "news.pal"
    await settle(home, 1)
    async with open_port(home, WORLD) as port:
        before = (await port.export_bundle(target), target.read_bytes())
        await port.post("newer")
        size = (await port.export_bundle(tmp_path / "whole.pal")).bytes
        for at in range(0, size, 3):
            with pulled_out(at), pytest.raises(PortError) as failure:
                await port.export_bundle(target)
            assert_clear(failure.value, "Input/output error")
            assert target.read_bytes() == before[1]
            stream = cast("BinaryIO", Pulled(io.BytesIO(), at))
            with pytest.raises(PortError) as failure:
                await port.export_bundle(stream)
            assert_clear(failure.value, "Input/output error")
        await port.export_bundle(target)
        assert (await port.inspect_bundle(target)).complete
    await assert_in_order(home)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["file", "stream", "short"])
async def test_a_stick_pulled_out_at_any_byte_of_an_import_costs_only_what_was_not_read(
    tmp_path: Path, how: str
) -> None:
    home, bundle = tmp_path / "home", tmp_path / "others.pal"
    await write_bundle(bundle)
    whole = bundle.read_bytes()
    await settle(home, 1)
    blocks = 0
    async with open_port(home, WORLD) as port:
        for at in range(0, len(whole), 97):
            try:
                if how == "file":
                    with pulled_out(at):
                        done = await port.import_bundle(bundle)
                else:
                    stream = Pulled(io.BytesIO(whole), at, short=how == "short")
                    done = await port.import_bundle(cast("BinaryIO", stream))
            except PortError as exc:
                assert_clear(exc, "Input/output error", "not a bundle")
                assert at < 60  # the header
                continue
            assert not done.complete
            assert done.damage is not None
            assert done.damage.count("\n") == 0
            assert done.new_blocks + done.known_blocks >= blocks  # all that is whole before it
            blocks = done.new_blocks + done.known_blocks
        assert blocks > 50
        assert not (await port.check()).problems
        assert (await port.import_bundle(bundle)).complete
    await assert_in_order(home)
