"""Stores that hold something, and bundles of it, for the tests of gossip and mesh."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from gossip.bundle import FRAME_HEAD_BYTES, MAGIC
from gossip.bundle_open import BundleWriter
from gossip.wire import RawRun
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, forked, items, person_key, run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.block import Block
    from ledger.run import Run
    from ledger.store.base import Store

WHEN = 1_700_000_000_000
"""When everything arrives, unless a test says otherwise; ms since 1970."""


async def shelf(*runs: Run, store: Store | None = None) -> Store:
    """Return a store that took ``runs``, each in a batch of its own."""
    kept: Store = MemoryStore() if store is None else store
    for run in runs:
        await kept.absorb(Batch(runs=[run]), seen=WHEN, durable=False)
    return kept


def runs_of(*logs: Sequence[Block]) -> list[Run]:
    """Return each log as a receiver verifies it."""
    return [run_of(blocks) for blocks in logs]


def raw_run(blocks: Sequence[Block], hops: int = 0) -> RawRun:
    """Return blocks as they travel."""
    return RawRun(items(blocks), hops)


def revocation(owner: int = 1, device: int = 1, log: int = SOCIAL) -> Revocation:
    """Return a statement of person ``owner`` that cuts a log of one of his devices at seq 1."""
    gone = Device(device, owner)
    return Revocation.sign(person_key(owner), gone.public, [Cut(log, 1, gone.write().id)])


async def varied(store: Store | None = None) -> Store:
    """Return a store with all that there is: long, short, detached, rootless, forked, revoked."""
    long, group, short = Device(1, 1), Device(2, 2), Device(3, 3)
    rootless, gaps = Device(4, 4), Device(5, 5)
    left, right = forked(70, 5, 3, number=6)
    early, late = forked(2, 2, 2, log=IDENTITY, number=7)
    rootless.write_many(3)
    gaps.write_many(40)
    kept = await shelf(
        run_of(long.logs[IDENTITY]),
        run_of(long.write_many(150, "long"), hops=2),
        *runs_of(group.logs[IDENTITY], group.write_many(5, log=GROUP), group.write_many(3)),
        *runs_of(short.logs[IDENTITY], short.write_many(1)),
        run_of(rootless.logs[SOCIAL]),
        run_of(gaps.logs[IDENTITY]),
        *(run_of(gaps.logs[SOCIAL][a:b]) for a, b in [(0, 5), (10, 12), (20, 21), (30, 40)]),
        run_of(Device(6).logs[IDENTITY]),
        run_of(left),
        run_of(right),
        run_of(early),
        run_of(late),
        store=store,
    )
    await kept.absorb(Batch(revocations=[revocation()]), seen=WHEN, durable=False)
    return kept


def bundle(messages: Iterable[bytes], blocks: int = 0) -> bytes:
    """Return the bytes of a bundle of ``messages``."""
    writer = BundleWriter()
    start = writer.begin()
    return start + b"".join([writer.message(raw) for raw in messages]) + writer.end(blocks)


def frames(raw: bytes) -> list[bytes]:
    """Return the frames of a whole bundle, header and trailer among them."""
    found: list[bytes] = []
    stream = BytesIO(raw[len(MAGIC) :])
    while head := stream.read(FRAME_HEAD_BYTES):
        found.append(head + stream.read(int.from_bytes(head[:4], "big")))
    return found
