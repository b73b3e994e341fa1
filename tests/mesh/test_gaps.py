"""Rules whose breach nothing else in this folder reports, as planted faults have shown."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ledger.block import SALT_BYTES
from ledger.keys import PersonKey
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from mesh.direct import DirectPort, confirm_words, init_home
from mesh.node import open_node
from mesh.paths import STORE
from mesh.sneakernet import export_bundle, import_bundle
from tests.gossip.held import WHEN, bundle, shelf
from tests.mesh.places import World
from tests.strategies import IDENTITY, SOCIAL, Device, run_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.store.base import Absorbed, Batch


@pytest.fixture
def world() -> World:
    return World()


async def test_a_home_counts_as_made_once_it_would_survive_a_power_cut(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given ears for what is asked of the store
    asked: list[bool] = []
    absorb = SqliteStore.absorb

    async def noted(store: SqliteStore, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        asked.append(durable)
        return await absorb(store, batch, seen=seen, durable=durable)

    monkeypatch.setattr(SqliteStore, "absorb", noted)
    # when a home is made
    await init_home(tmp_path / "home", "Ada", world.around)
    # then its device and keys were written so that they last
    assert asked == [True]


async def test_words_that_were_shown_are_nowhere_in_the_home(tmp_path: Path, world: World) -> None:
    home = tmp_path / "home"
    new = await init_home(home, "Ada", world.around)
    entropy = PersonKey.from_words(" ".join(new.words)).entropy
    sealed = await note_of(home, "words to show")
    assert sealed is not None
    for stands, sought in ((False, entropy), (True, sealed)):
        assert any(sought in path.read_bytes() for path in home.iterdir()) is stands
    await confirm_words(home, world.around)
    for sought in (entropy, sealed):
        assert not any(sought in path.read_bytes() for path in home.iterdir())


async def note_of(home: Path, name: str) -> bytes | None:
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    try:
        return await store.note(name)
    finally:
        await store.close()


async def test_of_two_posts_that_say_the_same_neither_can_be_guessed_from_the_other(
    tmp_path: Path, world: World
) -> None:
    await init_home(tmp_path / "home", "Ada", world.around)
    async with open_node(tmp_path / "home", world.around) as node:
        for _ in range(2):
            await DirectPort(node).post("same")
        entries = [entry async for page in node.store.entries() for entry in page]
    salts = {(entry.block.body or b"")[:SALT_BYTES] for entry in entries}
    assert len(salts) == len(entries) == 4
    assert bytes(SALT_BYTES) not in salts


async def test_a_bundle_with_something_after_its_end_is_not_complete() -> None:
    for more, complete in ((b"", True), (b"\0", False)):
        raw = BytesIO(bundle([]) + more)
        imported = await import_bundle(MemoryStore(), raw, seen=WHEN)
        assert (imported.complete, imported.damage is None) == (complete, complete)


async def test_a_small_bundle_has_the_device_block_even_if_no_more_of_log_0_fits() -> None:
    # given a device whose newest block of log 0 is larger than the bundle
    device = Device()
    device.write("x" * 16_000, log=IDENTITY)
    device.write_many(3)
    runs = [[device.root], device.logs[IDENTITY][1:], device.logs[SOCIAL]]
    held = await shelf(*map(run_of, runs))
    file = BytesIO()
    await export_bundle(held, file, max_bytes=3_000)
    # when it is read
    other = MemoryStore()
    await import_bundle(other, BytesIO(file.getvalue()), seen=WHEN)
    # then the posts are there and joined
    logs = await other.logs()
    assert [(log.number, log.head) for log in logs] == [(IDENTITY, 1), (SOCIAL, 3)]
