"""What a store gives to others: blocks in units that vouch for themselves, in order of worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.packing import RUN_OVERHEAD_BYTES, Packer, block_bytes, branch_units
from gossip.wire import Proofs, Statements, encode_message
from ledger.store.base import What

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import LogKey, Store

PAGE_BLOCKS: Final = 256
STEP_BLOCKS: Final = 16
"""Blocks of a log taken in turn with those of the others when not all fit."""
LEAST_BYTES: Final = 256
"""The smallest bundle one may ask for."""
_FRAME_BYTES: Final = 24
_LAST: Final = 1 << 40


async def serve(store: Store, packer: Packer, max_bytes: int | None) -> AsyncIterator[bytes]:
    """Yield encoded messages that carry what ``store`` holds, evidence first.

    Args:
        store: What is served.
        packer: Cuts messages; counts the blocks.
        max_bytes: Of a bundle made of the messages; None for no limit.
    """
    budget = _Budget(max_bytes)
    for raw in await _evidence(store):
        if budget.take(len(raw) + _FRAME_BYTES):
            yield raw
    logs, hops = await _by_recency(store)
    lows = None if max_bytes is None else await _choose(store, logs, budget)
    for log in logs:
        key = (log.author, log.number)
        low = 1 if lows is None else lows.get(key)
        if low is not None:
            async for unit in _with_device_block(store, log, low):
                for raw in packer.add(unit, hops.get(key, 0)):
                    yield raw
    for raw in packer.flush():
        yield raw


async def _with_device_block(store: Store, log: Log, low: int) -> AsyncIterator[list[Block]]:
    if log.number == 0 and low > 1:
        first = await _device_unit(store, log.author)
        if first:
            yield first
    async for unit in _units(store, log, low):
        yield unit


async def _device_unit(store: Store, device: bytes) -> list[Block]:
    """Return the unit that begins with the device block; empty where that is not held."""
    for log in await store.logs([(device, 0)]):
        async for unit in _units(store, log, 1):
            return unit if unit[0].header.seq == 1 else []
    return []


async def _evidence(store: Store) -> list[bytes]:
    statements = [
        encode_message(Statements([(revocation.raw, revocation.signature)]))
        for revocation in await store.revocations()
    ]
    return statements + [encode_message(Proofs([p.encode()])) for p in await store.proofs()]


class _Budget:
    """Bytes of a bundle that are left.

    Attributes:
        left: So many; None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.left = None if limit is None else limit - LEAST_BYTES // 2

    def take(self, size: int) -> bool:
        """Take ``size`` bytes of what is left, if it is."""
        if self.left is None:
            return True
        if size > self.left:
            return False
        self.left -= size
        return True


async def _choose(store: Store, logs: list[Log], budget: _Budget) -> dict[LogKey, int]:
    """Choose from which seq on each log goes: newest first, a few blocks of each log in turn.

    A device's block 1 of log 0 goes with any of its blocks, or the reader could join nothing.
    """
    lows: dict[LogKey, int] = {}
    waiting = [log for log in logs if log.pieces or log.fork]
    while waiting:
        still: list[Log] = []
        for log in waiting:
            key = (log.author, log.number)
            ahead = await _ahead(store, log, lows)
            blocks = await _step(store, log, lows.get(key, _LAST))
            fitting = _fitting(blocks, (budget.left or 0) - sum(map(_cost, ahead)))
            if not (fitting or (ahead and not blocks)):
                continue
            if not budget.take(sum(map(_cost, [*ahead, *fitting]))):
                continue
            lows.setdefault((log.author, 0), _LAST)
            lows[key] = fitting[0].header.seq if fitting else _LAST
            if fitting and len(fitting) == len(blocks):
                still.append(log)
        waiting = still
    return lows


async def _ahead(store: Store, log: Log, lows: dict[LogKey, int]) -> list[Block]:
    """Return what goes along with the first blocks that go of a log, and of a device."""
    device = (log.author, 0)
    blocks: list[Block] = []
    if device not in lows:
        blocks += await store.branches(device)
        if log.number or log.head != 1:
            blocks += await _device_unit(store, log.author)
    if log.number and (log.author, log.number) not in lows:
        blocks += await store.branches((log.author, log.number))
    return blocks


def _fitting(blocks: list[Block], room: int) -> list[Block]:
    """Return the last of ``blocks``, as many as fit into ``room``."""
    for count, block in enumerate(reversed(blocks)):
        room -= _cost(block)
        if room < 0:
            return blocks[len(blocks) - count :]
    return blocks


async def _step(store: Store, log: Log, low: int) -> list[Block]:
    """Return the last blocks below ``low``, of one piece."""
    piece = next((piece for piece in reversed(log.pieces) if piece.low < low), None)
    if piece is None:
        return []
    high = min(low - 1, piece.high)
    return await store.read((log.author, log.number), max(piece.low, high - STEP_BLOCKS + 1), high)


def _cost(block: Block) -> int:
    """Return at most what a block takes of a bundle, its share of frames and of late bodies too.

    The worst is a unit barely too long for a message, of 64 blocks: 56 bytes more for each body.
    """
    size = block_bytes(block)
    return size + size // 14 + RUN_OVERHEAD_BYTES


async def _by_recency(store: Store) -> tuple[list[Log], dict[LogKey, int]]:
    """Return all logs, devices that wrote last first, log 0 of each ahead; and each log's hops."""
    newest: dict[bytes, int] = {}
    hops: dict[LogKey, int] = {}
    before: int | None = None
    while page := await store.arrivals(before):
        before = page[-1].lsn
        for arrival in page:
            newest.setdefault(arrival.author, arrival.lsn)
            if arrival.what is What.BLOCKS:
                hops.setdefault((arrival.author, arrival.log), arrival.hops)
    logs = await store.logs()
    return sorted(logs, key=lambda log: (-newest.get(log.author, 0), log.author, log.number)), hops


async def _units(store: Store, log: Log, low: int) -> AsyncIterator[list[Block]]:
    """Yield the log's blocks from ``low`` on, cut after signatures; then its branches."""
    key = (log.author, log.number)
    unit: list[Block] = []
    while blocks := await store.read(key, low, _LAST, limit=PAGE_BLOCKS):
        for block in blocks:
            if unit and unit[-1].id != block.header.previous:
                unit = []
            unit.append(block)
            if block.signature:
                yield unit
                unit = []
        low = blocks[-1].header.seq + 1
    if log.fork is not None:
        for branch in branch_units(unit, await store.branches(key)):
            yield branch
