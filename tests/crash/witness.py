"""Who remembers what a home announced, and looks at the home after each death.

A start after a crash must need no repair, so looking begins with an ordinary start; and because
it also writes, the next victim finds a home in which life went on.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from ledger.keys import PersonKey
from ledger.store.base import ROLLED_BACK
from ledger.store.memory import MemoryStore
from mesh.direct import DirectPort, init_home
from mesh.home import HomeError
from mesh.intake import Intake
from mesh.node import SOCIAL_LOG, open_node
from mesh.sneakernet import inspect_bundle
from tests.crash.deeds import Fact, export_of, seeded_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.store.base import Store
    from mesh.node import Node, Surroundings

LAST = 1 << 40
Place: TypeAlias = tuple[int, int]
"""Log and seq."""


@asynccontextmanager
async def awake(folder: Path, around: Surroundings) -> AsyncIterator[tuple[Node, DirectPort]]:
    """Open a home both ways: as faces do, and to look at its store."""
    async with open_node(folder, around) as node:
        yield node, DirectPort(node)


@dataclass
class Witness:
    """What one home announced.

    Attributes:
        own: Ids of the device's own blocks: announced, exported, or seen after a crash.
        exported: Blocks and bytes of the last export announced.
        imported: Whether an import was announced.
        founded: Device, person and words of an init that was announced.
        shown: Whether it was announced that the words are forgotten.
        wrong: What contradicted what, so far.
    """

    home: Path
    own: dict[Place, bytes] = field(default_factory=dict)
    exported: tuple[int, int] | None = None
    imported: bool = False
    founded: tuple[str, str, str] | None = None
    shown: bool = False
    wrong: list[str] = field(default_factory=list)
    _files: set[bytes] = field(default_factory=set)

    def hear(self, fact: Fact) -> None:
        """Remember a fact."""
        match fact.what, fact.value:
            case "posted", [int(seq), str(ident)]:
                self.note((SOCIAL_LOG, seq), bytes.fromhex(ident), "announced")
            case "exported", [int(blocks), int(size)]:
                self.exported = blocks, size
            case "imported", [bool(complete)]:
                self.imported = True
                self.expect(complete, "an import of a whole bundle was not complete")
            case "founded", [str(device), str(person), str(words)]:
                self.founded = device, person, words
            case "shown", _:
                self.shown = True
            case _:
                pass

    def expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)

    def note(self, place: Place, ident: bytes, how: str) -> None:
        """The device wrote a block: never may there be another one at its place."""
        before = self.own.setdefault(place, ident)
        self.expect(before == ident, f"fork: two blocks at {place}, the later one {how}")

    async def look(self, around: Surroundings) -> None:
        """Start the home, verify it, and go on in it."""
        async with awake(self.home, around) as (node, port):
            await self._look_at_own(node)
            checked = await port.check()
            self.expect(not checked.problems, f"check: {checked.problems}")
            rolled_back = await node.store.note(ROLLED_BACK)
            self.expect(rolled_back is None, "the home takes itself for an old copy")
            last = max((seq for log, seq in self.own if log == SOCIAL_LOG), default=0)
            posted = await port.post("life goes on")
            self.expect(posted.seq == last + 1, f"seq {posted.seq} was written after {last}")
            self.note((SOCIAL_LOG, posted.seq), posted.id, "posted after the crash")

    async def _look_at_own(self, node: Node) -> None:
        found = await blocks_of(node.store, node.secrets.keys.public)
        for place, ident in self.own.items():
            self.expect(place in found, f"lost: the block at {place}")
            self.expect(found.get(place, ident) == ident, f"fork: another block at {place}")
        for place, ident in found.items():
            self.note(place, ident, "found in the store")
        for log in {log for log, _ in found}:
            seqs = sorted(seq for number, seq in found if number == log)
            self.expect(seqs == list(range(1, len(seqs) + 1)), f"a hole in log {log}")

    async def look_at_export(self, around: Surroundings) -> None:
        """Whatever the crash, what has the file's final name is whole; and can be replaced."""
        target = export_of(self.home)
        if target.exists():
            self._inspect(target)
            await self._compare(target, around)
        async with awake(self.home, around) as (_, port):
            done = await port.export_bundle(target)
            self.exported = done.blocks, done.bytes
        self._inspect(target)
        left = [path.name for path in target.parent.iterdir() if path != target]
        self.expect(not left, f"left beside the export: {left}")

    def _inspect(self, target: Path) -> None:
        try:
            found = inspect_bundle(target)
        except Exception as exc:  # noqa: BLE001  whatever it is, it is not a whole bundle
            self.wrong.append(f"the exported file: {exc}")
            return
        self.expect(found.complete and not found.refused, f"exported in part: {found.damage}")
        blocks, size = self.exported or (0, 0)
        self.expect(found.blocks >= blocks, f"{found.blocks} blocks exported, not {blocks}")
        is_same = found.blocks != blocks or found.bytes == size
        self.expect(is_same, f"{found.bytes} bytes exported where {size} were announced")

    async def _compare(self, target: Path, around: Surroundings) -> None:
        digest = sha256(await asyncio.to_thread(target.read_bytes)).digest()
        if digest in self._files:
            return
        self._files.add(digest)
        async with awake(self.home, around) as (node, _):
            device = node.secrets.keys.public
        carried = MemoryStore()
        with target.open("rb") as stream:
            for batch in Intake(stream, None).batches():
                await carried.absorb(batch, seen=0, durable=True)
        for place, ident in (await blocks_of(carried, device)).items():
            self.expect(place in self.own, f"exported, but not in the store: {place}")
            self.note(place, ident, "exported")

    async def look_at_import(self, bundle: Path, uncut: object, around: Surroundings) -> None:
        """An import can be repeated, and then all is as if it had never been cut."""
        async with awake(self.home, around) as (node, port):
            device = node.secrets.keys.public
            if self.imported:
                now = await contents(node.store, device)
                self.expect(now == uncut, "an announced import is not all there")
            again = await port.import_bundle(bundle)
            self.expect(again.complete and not again.warnings, f"import again: {again}")
            now = await contents(node.store, device)
            self.expect(now == uncut, "the repeated import differs from the uncut one")

    async def look_at_init(self, around: Surroundings) -> bool:
        """Init works again; say whether there is a home to be looked at now."""
        folder = self.home / "new" / "home"
        try:
            first = await init_home(folder, "Ann", around)
        except HomeError as exc:
            is_in_order = self.founded is not None and "there is a home" in str(exc)
            self.expect(is_in_order, f"init again: {exc}")
            self.home = folder
            return is_in_order
        self.expect(not self.shown, "init again though the words were shown")
        person = PersonKey.from_words(" ".join(first.words)).signing.public
        self.expect(person == first.person, "the words are not the person's")
        if self.founded is not None:
            said = first.device.hex(), first.person.hex(), " ".join(first.words)
            self.expect(first.resumed and said == self.founded, "init lost what it announced")
        second = await init_home(folder, "Bob", around)
        same = (second.device, second.words) == (first.device, first.words)
        self.expect(second.resumed and same, "init resumed with other words")
        self.home = folder
        return True


async def blocks_of(store: Store, device: bytes) -> dict[Place, bytes]:
    """The ids of a device's blocks, which no fork has touched."""
    found: dict[Place, bytes] = {}
    for log in await store.logs():
        if log.author == device:
            key = (device, log.number)
            low = 1
            while blocks := await store.read(key, low, LAST):
                found |= {(log.number, block.header.seq): block.id for block in blocks}
                low = blocks[-1].header.seq + 1
    return found


async def contents(store: Store, but: bytes) -> object:
    """All that a store holds of others than ``but``, to be compared."""
    logs = [log for log in await store.logs() if log.author != but]
    blocks = []
    for log in logs:
        key, low = (log.author, log.number), 0
        while page := await store.read(key, low, LAST):
            blocks += page
            low = page[-1].header.seq + 1
        blocks += await store.branches(key)
    return logs, blocks, await store.proofs(), await store.revocations()


def life_after(seed: int) -> Surroundings:
    """The world in which a home is looked at after the crash of ``seed``."""
    return seeded_world(1_000_000 + seed)
