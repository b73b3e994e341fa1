"""Bundles in parts: each can be read alone, in any order; all of them together are one export."""

from __future__ import annotations

import random
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ledger.store.memory import MemoryStore
from mesh.home import HomeError
from mesh.parts import LEAST_PART_BYTES, part_name
from mesh.rows import Imported
from mesh.sneakernet import BundleError, export_bundle, import_bundle, inspect_bundle
from mesh.stick_folder import MAX_FILES, find_bundles, import_folder
from tests.gossip.held import WHEN, varied
from tests.ledger.stores import derived
from tests.mesh.sticks import Carrier, ids, names_in, opened
from tests.strategies import Device, run_of

if TYPE_CHECKING:
    from pathlib import Path


async def wrote(posts: int = 1_500, text: str = "x" * 300) -> tuple[Carrier, Carrier]:
    """Return one who wrote much, and one who has nothing of it."""
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    for _ in range(posts // 100):
        await ann.post(100, text)
    return ann, ben


async def all_of(ann: Carrier, ben: Carrier) -> set[bytes]:
    return await ids(ann.store) | {ben.device.root.id + b"+"}


# --- agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_parts_in_any_order_are_one_export(tmp_path: Path, seed: int) -> None:
    ann, ben = await wrote()
    files = await ann.give_parts(tmp_path, ben, part_bytes=120_000)
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) <= 120_000
    random.Random(seed).shuffle(files)
    waiting = files
    # some wait for room: of a log four segments are kept apart
    while waiting:
        again = []
        for place, file in enumerate(waiting, 1):
            assert await ben.seen(ann) is None, place
            if (await ben.take(file)).refused:
                again.append(file)
        assert len(again) < len(waiting)
        waiting = again
    seen = await ben.seen(ann)
    assert seen is not None
    assert seen.ranges == ((1, (await ann.store.runs())[-1].last),)
    assert await ids(ben.store) == await all_of(ann, ben)
    # nothing goes back, and nothing comes again
    raw, done = await ben.give(ann)
    assert done.blocks == 1
    await ann.take(raw)
    assert (await ann.give(ben))[1].blocks == 0


async def test_while_a_part_is_missing_nothing_is_covered_and_blocks_are_kept(
    tmp_path: Path,
) -> None:
    ann, _ = await wrote(600)
    files = await ann.give_parts(tmp_path, Carrier(2), part_bytes=LEAST_PART_BYTES)
    for missing in range(len(files)):
        ben = await Carrier(2).begin()
        for place, file in enumerate(files):
            if place != missing:
                took = await ben.take(file)
                assert took.complete
                assert took.new_blocks > 0
        assert await ben.seen(ann) is None
        assert len((await ben.heard(ann)).unfinished) == 1
        await ben.take(files[missing])
        assert (await ben.seen(ann)) is not None
        assert (await ben.heard(ann)).unfinished == ()


async def test_a_part_that_is_cut_does_not_count_and_the_whole_one_does(tmp_path: Path) -> None:
    ann, ben = await wrote(600)
    files = await ann.give_parts(tmp_path, ben, part_bytes=LEAST_PART_BYTES)
    for file in files:
        raw = file.read_bytes()
        assert not (await ben.take(raw[: len(raw) // 2])).complete
    assert await ben.seen(ann) is None
    assert (await ben.heard(ann)).count == 0
    for file in files:
        await ben.take(file)
    assert await ids(ben.store) == await all_of(ann, ben)
    assert await ben.seen(ann) is not None


async def test_parts_of_two_exports_do_not_make_one(tmp_path: Path) -> None:
    ann, ben = await wrote(600)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = await ann.give_parts(tmp_path / "a", ben, part_bytes=LEAST_PART_BYTES)
    other = await ann.give_parts(tmp_path / "b", ben, part_bytes=LEAST_PART_BYTES)
    assert len(one) == len(other) >= 3
    for file in [one[0], *other[1:]]:
        await ben.take(file)
    assert await ben.seen(ann) is None
    # the older one still completes
    for file in one[1:]:
        await ben.take(file)
    assert await ben.seen(ann) is not None


async def test_each_part_is_read_alone_and_says_which_it_is(tmp_path: Path) -> None:
    ann, ben = await wrote(600)
    files = await ann.give_parts(tmp_path, ben, part_bytes=LEAST_PART_BYTES)
    headers = []
    for number, file in enumerate(files, 1):
        found = inspect_bundle(file, keys=ben.device.keys)
        assert (found.complete, found.part, found.count) == (True, number, 1)
        assert found.blocks > 0
        header, _ = opened(file.read_bytes(), ben)
        headers.append(header)
    assert len({header.export for header in headers}) == 1
    # each is sealed anew
    assert len({file.read_bytes()[12:60] for file in files}) == len(files)


async def test_bodies_too_long_for_a_message_are_in_one_part_with_their_headers(
    tmp_path: Path,
) -> None:
    ann, _ = await wrote(0)
    await ann.post(150, "y" * 8_000)
    files = await ann.give_parts(tmp_path, Carrier(2), part_bytes=LEAST_PART_BYTES)
    assert len(files) > 10
    # each part alone brings bodies: none stands without the header that names it
    for file in files[1:]:
        ben = await Carrier(2).begin()
        took = await ben.take(file)
        assert took.refused == 0
        held = await ids(ben.store)
        assert any(one.endswith(b"+") for one in held - {ben.device.root.id + b"+"})
    # and backwards too nothing is left out
    ben = await Carrier(2).begin()
    for file in files[::-1]:
        await ben.take(file)
    assert await ids(ben.store) == await all_of(ann, ben)
    assert await ben.seen(ann) is not None


async def test_an_open_bundle_may_be_in_parts_too(tmp_path: Path) -> None:
    ann = await Carrier(11).begin()
    for _ in range(6):
        await ann.post(100, "x" * 300)
    await varied(ann.store)
    done = await export_bundle(ann.store, tmp_path / "news.passalong", part_bytes=LEAST_PART_BYTES)
    assert done.parts >= 3
    store = MemoryStore()
    for part in range(done.parts, 0, -1):
        file = tmp_path / f"news.{part}.passalong"
        took = await import_bundle(store, file, seen=WHEN)
        assert (took.complete, took.refused) == (True, 0)
        assert inspect_bundle(file).blocks > 0
    assert await derived(store) == await derived(ann.store)


@pytest.mark.parametrize("limit", [150_000, 300_000, 900_000])
async def test_parts_together_keep_to_a_size(tmp_path: Path, limit: int) -> None:
    ann, ben = await wrote()
    files = await ann.give_parts(tmp_path, ben, part_bytes=200_000, max_bytes=limit)
    assert sum(file.stat().st_size for file in files) <= limit
    for file in files:
        await ben.take(file)
    assert len(await ids(ben.store)) > 5


# --- refusal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, LEAST_PART_BYTES - 1])
async def test_parts_that_are_too_small_are_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(BundleError, match="at least 100,000 bytes"):
        await export_bundle(MemoryStore(), tmp_path / "x.passalong", part_bytes=size)
    assert names_in(tmp_path) == []


async def test_a_part_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = await wrote(600)
    read, calls = ann.store.read, [0]

    async def failing(*args: object, **options: object) -> object:
        calls[0] += 1
        if calls[0] > 3:
            raise OSError(5, "the disk is gone")
        return await read(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ann.store, "read", failing)
    with pytest.raises((OSError, HomeError)):
        await ann.give_parts(tmp_path, ben, part_bytes=LEAST_PART_BYTES)
    for name in names_in(tmp_path):
        assert not name.startswith(".")
        assert inspect_bundle(tmp_path / name).complete


def test_parts_are_named_after_the_bundle(tmp_path: Path) -> None:
    names = [part_name(tmp_path / name, 2).name for name in ("news.passalong", "news", "a.b.c")]
    assert names == ["news.2.passalong", "news.2", "a.b.2.c"]


# --- a stick ------------------------------------------------------------------------------------


async def test_a_stick_with_all_sorts_of_files_gives_what_it_has(tmp_path: Path) -> None:
    ann, ben = await wrote(300)
    cleo = await Carrier(3).begin(3)
    raw, _ = await ann.give(ben)
    open_ = BytesIO()
    await export_bundle(cleo.store, open_)
    contents = {
        "a damaged.passalong": raw[:9_000],
        "b for others.passalong": (await cleo.give(ann))[0],
        "c nothing.passalong": b"hello",
        "d open.passalong": open_.getvalue(),
        "e sealed.passalong": raw,
        "not this.txt": raw,
        ".hidden.passalong": raw,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.passalong").mkdir()
    (tmp_path / "link.passalong").symlink_to("/dev/zero")
    (tmp_path / "other link.passalong").symlink_to(tmp_path / "not this.txt")
    found = await import_folder(tmp_path, ben.take)
    assert [(row.file[0], row.outcome) for row in found.files] == [
        ("a", "damaged"),
        ("b", "sealed for others"),
        ("c", "not a bundle"),
        ("d", "taken"),
        ("e", "taken"),
    ]
    assert found.left_out == 0
    assert await ids(ben.store) >= await ids(ann.store) | await ids(cleo.store)


async def test_a_stick_with_all_parts_gives_all_of_them_whatever_their_names(
    tmp_path: Path,
) -> None:
    ann, ben = await wrote()
    files = await ann.give_parts(tmp_path, ben, part_bytes=LEAST_PART_BYTES)
    for place, number in enumerate(random.Random(3).sample(range(len(files)), len(files))):
        files[number].rename(tmp_path / f"x{place:02}.passalong")
    found = await import_folder(tmp_path, ben.take)
    assert {row.outcome for row in found.files} == {"taken"}
    assert [row.imported.refused for row in found.files if row.imported] == [0] * len(files)
    assert sum(row.imported.new_blocks for row in found.files if row.imported) == 1_501
    assert await ben.seen(ann) is not None


async def test_a_stick_without_anything_to_take_is_refused(tmp_path: Path) -> None:
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    with pytest.raises(BundleError, match="no bundle in"):
        await import_folder(tmp_path, ben.take)
    (tmp_path / "x.passalong").write_bytes(b"hello")
    (tmp_path / "y.passalong").write_bytes((await ann.give(Carrier(9)))[0])
    with pytest.raises(BundleError, match=r"none of 2 bundles.*not a bundle; sealed for others"):
        await import_folder(tmp_path, ben.take)
    with pytest.raises(HomeError, match="is not there"):
        await import_folder(tmp_path / "gone", ben.take)


def test_of_very_many_files_the_first_are_taken(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 3):
        (tmp_path / f"{number:05}.passalong").touch()
    files, left_out = find_bundles(tmp_path)
    assert ([file.name for file in files][-1], left_out) == (f"{MAX_FILES - 1:05}.passalong", 3)


async def test_what_waits_for_ever_does_not_hold_up_a_stick(tmp_path: Path) -> None:
    taken = []

    async def take(file: Path) -> Imported:
        taken.append(file.name)
        return Imported(0, 0, 0, 0, 1, complete=True, damage=None, warnings=[])

    for name in ("a", "b"):
        (tmp_path / f"{name}.passalong").touch()
    found = await import_folder(tmp_path, take)
    assert [row.outcome for row in found.files] == ["taken", "taken"]
    assert len(taken) == 4


async def test_two_carriers_with_overlapping_bundles_bring_everything_once() -> None:
    ann, ben = await wrote(300)
    cleo, dora = await Carrier(3).begin(5), await Carrier(4).begin(5)
    other = Device(9, 9)
    for one in (cleo, dora):
        await one.take((await ann.give(one))[0])
        await one.keep(run_of([other.root]))
    sticks = [(await one.give(ben))[0] for one in (cleo, dora)]
    took = [await ben.take(raw) for raw in sticks]
    assert [one.new_blocks for one in took] == [301 + 6 + 1, 6]
    # each carrier is sent what only the other had, and Ben's own
    assert [(await ben.give(one))[1].blocks for one in (cleo, dora)] == [7, 7]
