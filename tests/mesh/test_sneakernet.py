"""From hand to hand: what one store gives to a file, another has after reading it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING

from gossip.wire import Data, encode_message
from ledger.store.memory import MemoryStore
from mesh.rows import BundledLog, Imported
from mesh.sneakernet import export_bundle, import_bundle, inspect_bundle
from tests.gossip.held import WHEN, bundle, frames, raw_run, revocation, shelf, varied
from tests.ledger.stores import derived, everything, log_of, open_sqlite, without_bodies
from tests.strategies import IDENTITY, SOCIAL, Device, forked, run_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ledger.store.base import Batch, Store

LATER = WHEN + 60_000


async def bundled(store: Store) -> BytesIO:
    """Return all that a store gives, as a file to be read."""
    file = BytesIO()
    await export_bundle(store, file)
    file.seek(0)
    return file


async def carried(store: Store, into: Store) -> Imported:
    """Carry all that ``store`` gives to another."""
    imported = await import_bundle(into, await bundled(store), seen=LATER)
    assert await into.check() == []
    return imported


def contents(path: Path) -> list[str]:
    """Return every row of a database file."""
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


# --- agreement ----------------------------------------------------------------------------------


async def test_an_empty_store_has_everything_after_one_import() -> None:
    here, there = await varied(), MemoryStore()
    imported = await carried(here, there)
    assert await derived(there) == await derived(here)
    assert await there.proofs() == await here.proofs()
    assert (imported.known_blocks, imported.refused, imported.damage) == (0, 0, None)
    assert imported.complete
    assert imported.warnings == []


async def test_a_store_on_disk_and_one_in_memory_give_the_same_bytes(tmp_path: Path) -> None:
    disk = await open_sqlite(tmp_path / "store.db")
    try:
        await varied(disk)
        assert (await bundled(disk)).read() == (await bundled(await varied())).read()
    finally:
        await disk.close()


async def test_what_is_imported_came_one_hop_further_and_now() -> None:
    device, there = Device(), MemoryStore()
    here = await shelf(run_of([device.root]), run_of(device.write_many(3), hops=4))
    await carried(here, there)
    arrivals = {(a.log, a.hops, a.seen) for a in await there.arrivals()}
    assert arrivals == {(IDENTITY, 1, LATER), (SOCIAL, 5, LATER)}


async def test_hops_end_at_255() -> None:
    here, there = await shelf(run_of([Device().root], hops=255)), MemoryStore()
    await carried(here, there)
    assert [arrival.hops for arrival in await there.arrivals()] == [255]


async def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    here, path = await varied(), tmp_path / "store.db"
    there = await open_sqlite(path)
    first = await carried(here, there)
    before = contents(path)
    again = await carried(here, there)
    assert contents(path) == before
    assert (again.new_blocks, again.known_blocks) == (0, first.new_blocks)
    await there.close()


async def test_carrying_back_what_came_from_there_changes_nothing() -> None:
    here, there = await varied(), MemoryStore()
    await carried(here, there)
    before = await everything(here)
    back = await carried(there, here)
    assert (back.new_blocks, back.refused) == (0, 0)
    assert await everything(here) == before


async def test_a_third_who_was_never_met_gets_everything() -> None:
    # given that one carries to another, and he to a third
    here, between, there = await varied(), MemoryStore(), MemoryStore()
    await carried(here, between)
    await carried(between, there)
    # then the third holds the same: segments, branches, proofs, statements
    assert await derived(there) == await derived(here)
    assert await there.proofs() == await here.proofs()
    logs = await there.logs()
    assert {log.fork for log in logs} == {None, 2, 70}
    assert max(len(log.detached) for log in logs) == 3
    assert await there.revocations() == [revocation()]


async def test_two_who_hold_one_branch_each_convict_the_author_when_they_exchange() -> None:
    # given a device that told each of two something else
    left, right = forked(5, 3, 2)
    one = await shelf(run_of([Device().root]), run_of(left))
    other = await shelf(run_of([Device().root]), run_of(right))
    # when each reads what the other wrote to a stick
    sticks = await bundled(one), await bundled(other)
    said = [
        await import_bundle(store, stick, seen=LATER)
        for store, stick in ((one, sticks[1]), (other, sticks[0]))
    ]
    assert [imported.new_blocks for imported in said] == [2, 3]
    assert [imported.refused for imported in said] == [0, 0]
    # then both hold both, and the same verdict
    assert await derived(one) == await derived(other)
    assert (await log_of(one, (Device().public, SOCIAL))).fork == 5
    assert await one.proofs() == await other.proofs()


async def test_bodies_that_were_missing_are_filled_in() -> None:
    device, there = Device(), MemoryStore()
    run = run_of(device.write_many(9))
    await shelf(run_of([device.root]), without_bodies(run), store=there)
    assert (await log_of(there, (device.public, SOCIAL))).bodies_missing == 9
    imported = await carried(await shelf(run_of([device.root]), run), there)
    assert (imported.new_blocks, imported.known_blocks) == (0, 10)
    assert (await log_of(there, (device.public, SOCIAL))).bodies_missing == 0


async def test_a_log_whose_bodies_fill_many_messages_arrives_with_all_of_them() -> None:
    device, there = Device(), MemoryStore()
    here = await shelf(run_of([device.root]), run_of(device.write_many(60, "x" * 16_000)))
    await carried(here, there)
    assert await derived(there) == await derived(here)
    assert (await log_of(there, (device.public, SOCIAL))).bodies_missing == 0


# --- what it says -------------------------------------------------------------------------------


async def test_an_export_says_what_went_and_an_import_what_came(tmp_path: Path) -> None:
    device, path = Device(), tmp_path / "bundle.pal"
    here = await shelf(run_of([device.root]), run_of(device.write_many(700)))
    # when it is exported to a file, and imported
    exported = await export_bundle(here, path)
    imported = await import_bundle(MemoryStore(), path, seen=LATER)
    # then both say the same
    assert (exported.blocks, exported.envelopes, exported.bytes) == (701, 0, path.stat().st_size)
    assert (imported.new_blocks, imported.envelopes) == (701, 0)


async def test_progress_is_told_along_the_way(tmp_path: Path) -> None:
    device, path = Device(), tmp_path / "bundle.pal"
    here = await shelf(run_of([device.root]), run_of(device.write_many(700)))
    told: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))

    # an export tells blocks, and does not know how many there will be
    await export_bundle(here, path, progress=progress)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (701, None)
    told.clear()
    # an import tells bytes, of the file's
    await import_bundle(MemoryStore(), path, seen=LATER, progress=progress)
    size = path.stat().st_size
    assert told == [(1 << 16, size), (size, size)]


async def test_a_bundle_can_be_looked_into_without_a_store(tmp_path: Path) -> None:
    path = tmp_path / "bundle.pal"
    exported = await export_bundle(await varied(), path)
    found = inspect_bundle(path)
    assert (found.bytes, found.blocks, found.bodies) == (exported.bytes, *[exported.blocks] * 2)
    assert (found.statements, found.proofs, found.refused) == (1, 2, 0)
    assert (found.complete, found.damage) == (True, None)
    assert BundledLog(Device(1).public, SOCIAL, 1, 150, 150) in found.logs
    assert BundledLog(Device(5).public, SOCIAL, 1, 40, 18) in found.logs
    assert [(log.author, log.log) for log in found.logs] == sorted(
        (log.author, log.number) for log in await (await varied()).logs()
    )


async def test_parts_of_a_newer_version_are_skipped_and_said() -> None:
    known = encode_message(Data([raw_run([Device().root])]))
    raw = bundle([b"\x82\x18\x2a\xf6", known, b"\x81\x18\x2b"])
    imported = await import_bundle(MemoryStore(), BytesIO(raw), seen=LATER)
    assert (imported.new_blocks, imported.refused, imported.complete) == (1, 0, True)
    assert imported.warnings == ["2 parts are of a newer version; update passalong"]


# --- privacy and economy ------------------------------------------------------------------------


async def test_a_bundle_does_not_tell_whom_one_follows_or_what_one_noted() -> None:
    here = await varied()
    before = (await bundled(here)).read()
    await here.mark(Device(1).person.signing.public, following=True)
    await here.set_note("private", b"something private")
    assert (await bundled(here)).read() == before


async def test_an_import_is_few_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    device, there = Device(), MemoryStore()
    stick = await bundled(await shelf(run_of([device.root]), run_of(device.write_many(2_500))))
    sizes: list[int] = []
    absorb = there.absorb

    async def counted(batch: Batch, *, seen: int, durable: bool) -> object:
        assert durable
        sizes.append(sum(len(run.blocks) for run in batch.runs))
        return await absorb(batch, seen=seen, durable=durable)

    monkeypatch.setattr(there, "absorb", counted)
    await import_bundle(there, stick, seen=LATER)
    # 192 blocks a message, about 1,000 a transaction
    assert sizes == [1 + 6 * 192, 6 * 192, 2_500 - 12 * 192]


async def test_a_bundle_is_hardly_larger_than_its_blocks() -> None:
    device = Device()
    store = await shelf(run_of([device.root]), run_of(device.write_many(2_500, "x" * 150)))
    stick = (await bundled(store)).read()
    blocks = [entry.block async for page in store.entries() for entry in page]
    raw = sum(len(b.raw) + len(b.signature) + len(b.body or b"") for b in blocks)
    assert len(stick) <= 1.03 * raw
    # a header, messages of 192 blocks (the last takes 4 more), a trailer
    assert len(frames(stick)) == 1 + 2_500 // 192 + 1
