"""A bundle for imports: long logs, a fork and a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from mesh.sneakernet import export_bundle
from tests.strategies import IDENTITY, SOCIAL, Device, run_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.block import Block
    from mesh.rows import Exported


async def write_bundle(path: Path) -> Exported:
    """Write to ``path`` what five devices wrote, one of them a forker and one revoked.

    Its messages are small, so that an import takes several transactions.
    """
    store = MemoryStore()
    for number, count in enumerate((40, 15, 30, 3)):
        device = Device(number, owner=number)
        device.write_many(count, f"news of {number} " * (1 + number * 9))
        await _absorb(store, device.logs[IDENTITY], device.logs[SOCIAL])
    trunk = Device(8, owner=8)
    trunk.write_many(20, "trunk")
    twin = trunk.twin()
    trunk.write_many(6, "one thing")
    twin.write_many(4, "another")
    await _absorb(store, trunk.logs[IDENTITY], trunk.logs[SOCIAL])
    await _absorb(store, twin.logs[SOCIAL])
    gone = Device(1, owner=1)
    cut = Cut(IDENTITY, 1, gone.root.id)
    statement = Revocation.sign(gone.person, gone.public, [cut])
    await store.absorb(Batch(revocations=[statement]), seen=0, durable=True)
    with mock.patch("gossip.packing.MAX_BLOCKS", 10):
        return await export_bundle(store, path)


async def _absorb(store: MemoryStore, *logs: list[Block]) -> None:
    runs = [run_of(blocks, hops=1) for blocks in logs]
    await store.absorb(Batch(runs=runs), seen=0, durable=True)
