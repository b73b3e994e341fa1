"""Nodes that exchange bundles, for the tests of sealed ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from gossip.bundle import BundleReader
from gossip.bundle_header import Row, read_row
from gossip.bundle_notes import recall_heard
from gossip.notes import (
    bundles_note,
    frontier_note,
    recall,
    recall_told,
    seen_note,
    told_note,
)
from gossip.policy import Policy
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from mesh.addressing import Readers
from mesh.readers import Bearer, Reader
from mesh.sneakernet import export_bundle, import_bundle
from tests.gossip.held import WHEN
from tests.strategies import Device, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gossip.bundle_header import SealedHeader
    from gossip.bundle_notes import Heard
    from gossip.cursor import Seen
    from ledger.block import Block
    from ledger.run import Run
    from ledger.store.base import Store
    from mesh.rows import Exported, Imported


@dataclass
class Carrier:
    """A node with a store in memory that writes and reads bundles.

    Attributes:
        number: Decides its keys and its dice.
        owner: Number of its person; None for the same.
        blocked: Persons it blocks.
        persons: Whose devices are that are not persons themselves.
        store: What it holds.
        device: What it wrote.
        dice: Its randomness.
        groups: Closed groups it belongs to,
        members: and who belongs to them, as its ``Policy`` has both.
    """

    number: int
    owner: int | None = None
    blocked: frozenset[bytes] = frozenset()
    persons: dict[bytes, bytes] = field(default_factory=dict)
    groups: Mapping[int, bytes] = field(default_factory=dict)
    members: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    store: Store = field(init=False)
    device: Device = field(init=False)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        owner = self.number if self.owner is None else self.owner
        self.device = Device(self.number, owner)
        self.dice = random.Random(self.number)
        self.store = MemoryStore(new_run=lambda: self.dice.randbytes(8))

    @property
    def public(self) -> bytes:
        return self.device.public

    @property
    def person(self) -> bytes:
        return self.device.person.signing.public

    @property
    def reader(self) -> Reader:
        return Reader(self.public, self.person, self.device.keys.sealing_public)

    @property
    def bearer(self) -> Bearer:
        policy = Policy(
            self.public,
            self.person,
            blocked=self.blocked,
            groups=self.groups,
            members=self.members,
        )
        return Bearer(self.store, self.device.keys, policy, self.dice.randbytes)

    async def begin(self, posts: int = 0, text: str = "") -> Carrier:
        """Write the device block, and posts."""
        await self.keep(run_of([self.device.root]))
        if posts:
            await self.post(posts, text)
        return self

    async def post(self, count: int = 1, text: str = "") -> None:
        """Write posts."""
        blocks = self.device.write_many(count, text)
        await self.keep(run_of(blocks[-count:]))

    async def keep(self, run: Run) -> None:
        """Take in a run."""
        await self.store.absorb(Batch(runs=[run]), seen=WHEN, durable=True)

    async def set_back(self, store: MemoryStore) -> None:
        """Go on from an old copy of the store; what was written since is not known to it."""
        self.store = store.copy()

    def copy(self) -> MemoryStore:
        """Return a copy of the store as it is now."""
        assert isinstance(self.store, MemoryStore)
        return self.store.copy()

    # --- bundles ---

    async def give(
        self, *to: Carrier, seal: bool = True, max_bytes: int | None = None
    ) -> tuple[bytes, Exported]:
        """Return a bundle for others."""
        file = BytesIO()
        readers = Readers(
            self.bearer,
            [one.reader for one in to],
            seal,
            lambda device: self.persons.get(device, device),
        )
        done = await export_bundle(self.store, file, max_bytes=max_bytes, readers=readers)
        return file.getvalue(), done

    async def give_parts(
        self, folder: Path, *to: Carrier, part_bytes: int, max_bytes: int | None = None
    ) -> list[Path]:
        """Write a sealed bundle in parts; return the files."""
        readers = Readers(
            self.bearer, [one.reader for one in to], is_sealed=True, person=lambda device: device
        )
        done = await export_bundle(
            self.store,
            folder / "news.passalong",
            part_bytes=part_bytes,
            max_bytes=max_bytes,
            readers=readers,
        )
        files = [folder / f"news.{part}.passalong" for part in range(1, done.parts + 1)]
        assert names_in(folder) == sorted(file.name for file in files)
        assert sum(file.stat().st_size for file in files) == done.bytes
        return files

    async def take(self, raw: bytes | Path) -> Imported:
        """Take a bundle in; whatever it is, the store is sound afterwards."""
        done = await import_bundle(
            self.store,
            BytesIO(raw) if isinstance(raw, bytes) else raw,
            seen=WHEN,
            own=self.public,
            bearer=self.bearer,
        )
        assert await self.store.check() == []
        return done

    # --- what is noted ---

    async def seen(self, other: Carrier) -> Seen | None:
        """Return what it noted to have processed of another's store."""
        return recall(await self.store.note(seen_note(other.public)), self.bearer.policy.wants)

    async def told(self, other: Carrier) -> Seen | None:
        """Return what it noted another to have processed of its store."""
        return recall_told(await self.store.note(told_note(other.public)))

    async def heard(self, other: Carrier) -> Heard:
        """Return what it noted of another's bundles."""
        return recall_heard(await self.store.note(bundles_note(other.public)))

    async def notes(self, other: Carrier) -> list[bytes | None]:
        """Return all notes of another that bundles change."""
        names = (seen_note, told_note, bundles_note, frontier_note)
        return [await self.store.note(name(other.public)) for name in names]

    async def acknowledged(self, other: Carrier) -> list[bytes | None]:
        """Return the notes that say what each side has of the other."""
        return (await self.notes(other))[:2]


def opened(raw: bytes, reader: Carrier) -> tuple[SealedHeader, Row]:
    """Return what a sealed bundle says to a reader."""
    stream = BundleReader(reader.device.keys)
    for _ in stream.feed(raw):
        pass
    assert stream.header is not None
    assert stream.unsealed is not None
    row = stream.unsealed.row(stream.header.rows)
    assert row is not None
    return stream.header, read_row(row)


async def ids(store: Store) -> set[bytes]:
    """Return the ids of all blocks held, and which of them lack a body."""
    return {
        entry.block.id + (b"" if entry.block.body is None else b"+")
        async for page in store.entries()
        for entry in page
    }


def names_in(folder: Path) -> list[str]:
    """Return the names of all that is in a folder."""
    return sorted(file.name for file in folder.iterdir())


def raw_bytes(blocks: Sequence[Block]) -> int:
    """Return how many bytes blocks have."""
    return sum(len(b.raw) + len(b.signature) + len(b.body or b"") for b in blocks)
