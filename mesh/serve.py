"""What a store gives to others: blocks in units that vouch for themselves, in order of worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gossip.packing import RUN_OVERHEAD_BYTES, Packer, block_bytes, branch_units
from gossip.wire import Proofs, Statements, encode_message
from ledger.store.base import What

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import Arrival, LogKey, Store
    from mesh.lacking import Lacking

PAGE_BLOCKS: Final = 256
STEP_BLOCKS: Final = 16
"""Blocks of a log taken in turn with those of the others when not all fit."""
LEAST_BYTES: Final = 256
"""The smallest open bundle one may ask for."""
_FRAME_BYTES: Final = 32
_LAST: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into a bundle.

    Attributes:
        evidence: Encoded statements and fork proofs.
        logs: The logs of which anything goes, in their order.
        hops: Of each log.
        lacking: What the readers lack; None for a bundle for everybody, in which all goes.
        lows: The first seq that goes of each log that fits; None where everything fits.
        left: Devices and logs of which a statement or proof does not fit.
    """

    evidence: Sequence[bytes]
    logs: Sequence[Log]
    hops: Mapping[LogKey, int]
    lacking: Lacking | None
    lows: Mapping[LogKey, int] | None
    left: AbstractSet[bytes | LogKey]

    def carries(self, arrival: Arrival) -> bool:
        """Say whether the bundle has all that a reader lacks of what arrived then."""
        key = (arrival.author, arrival.log)
        if self.lows is None or self.lacking is None:
            return True
        if arrival.what is What.STATEMENT:
            return arrival.author not in self.left
        if arrival.what is What.VERDICT and (key in self.left or key not in self.lows):
            return False
        if key not in self.lacking.spans:
            return True
        low = self.lows.get(key)
        if low is None:
            return False
        return not any(
            max(start, arrival.low) <= min(end, arrival.high, low - 1)
            for start, end in self.lacking.spans[key]
        )


def _anything(_: LogKey) -> bool:
    return True


async def plan(
    store: Store,
    room: int | None,
    lacking: Lacking | None = None,
    is_offered: Callable[[LogKey], bool] = _anything,
) -> Plan:
    """Choose what goes: evidence first, then the newest of each log.

    Args:
        store: What is held.
        room: Bytes for messages and their frames; None for no limit.
        lacking: What the readers lack; None for everything.
        is_offered: Says of a log whether it, and evidence of it, may go at all.
    """
    budget = _Budget(room)
    evidence: list[bytes] = []
    left: set[bytes | LogKey] = set()
    for about, raw in await _evidence(store, lacking, is_offered):
        if budget.take(len(raw) + _FRAME_BYTES):
            evidence.append(raw)
        else:
            left.add(about)
    logs, hops = await _by_recency(store)
    logs = [log for log in logs if is_offered((log.author, log.number))]
    if lacking is not None:
        logs = [log for log in logs if (log.author, log.number) in lacking.spans]
    lows = None if room is None else await _choose(store, logs, lacking, budget)
    return Plan(evidence, logs, hops, lacking, lows, left)


async def serve(
    store: Store, chosen: Plan, packer: Packer, mail: Sequence[bytes] = ()
) -> AsyncIterator[bytes]:
    """Yield encoded messages that carry what was chosen: evidence, then mail, then blocks.

    Args:
        store: What is served.
        chosen: As ``plan`` returns it.
        packer: Cuts messages; counts the blocks.
        mail: Messages of mail that go along.
    """
    for raw in (*chosen.evidence, *mail):
        yield raw
    for log in chosen.logs:
        key = (log.author, log.number)
        low = 1 if chosen.lows is None else chosen.lows.get(key)
        if low is not None:
            async for unit in _with_device_block(store, log, low, chosen.lacking):
                for raw in packer.add(unit, chosen.hops.get(key, 0)):
                    yield raw
    for raw in packer.flush():
        yield raw


async def _with_device_block(
    store: Store, log: Log, low: int, lacking: Lacking | None
) -> AsyncIterator[list[Block]]:
    if log.number == 0 and low > 1 and (lacking is None or lacking.has_device(log.author)):
        first = await _device_unit(store, log.author)
        if first:
            yield first
    async for unit in _units(store, log, low, _spans(log, lacking)):
        yield unit if lacking is None else lacking.stripped((log.author, log.number), unit)


def _spans(log: Log, lacking: Lacking | None) -> Sequence[tuple[int, int]]:
    if lacking is None:
        return [(piece.low, piece.high) for piece in log.pieces]
    return lacking.spans.get((log.author, log.number), ())


async def _device_unit(store: Store, device: bytes) -> list[Block]:
    """Return the unit that begins with the device block; empty where that is not held."""
    for log in await store.logs([(device, 0)]):
        async for unit in _units(store, log, 1, _spans(log, None)):
            return unit if unit[0].header.seq == 1 else []
    return []


async def _evidence(
    store: Store, lacking: Lacking | None, is_offered: Callable[[LogKey], bool]
) -> list[tuple[bytes | LogKey, bytes]]:
    """Return encoded statements and proofs, each with the device or log it is about."""
    statements = [
        (one.device, encode_message(Statements([(one.raw, one.signature)])))
        for one in await store.revocations()
        if is_offered((one.device, 0)) and (lacking is None or one.device in lacking.statements)
    ]
    proofs = [
        (key, encode_message(Proofs([proof.encode()])))
        for proof in await store.proofs()
        if is_offered(key := (proof.author, proof.log))
        and (lacking is None or key in lacking.proofs)
    ]
    return [*statements, *proofs]


class _Budget:
    """Bytes of a bundle that are left.

    Attributes:
        left: So many; None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.left = limit

    def take(self, size: int) -> bool:
        """Take ``size`` bytes of what is left, if it is."""
        if self.left is None:
            return True
        if size > self.left:
            return False
        self.left -= size
        return True


async def _choose(
    store: Store, logs: list[Log], lacking: Lacking | None, budget: _Budget
) -> dict[LogKey, int]:
    """Choose from which seq on each log goes: newest first, a few blocks of each log in turn.

    A device's block 1 of log 0 goes with any of its blocks, or the reader could join nothing.
    """
    lows: dict[LogKey, int] = {}
    waiting = [log for log in logs if log.pieces or log.fork]
    while waiting:
        still: list[Log] = []
        for log in waiting:
            key = (log.author, log.number)
            ahead = await _ahead(store, log, lacking, lows)
            blocks = await _step(store, log, lacking, lows.get(key, _LAST))
            fitting = _fitting(blocks, (budget.left or 0) - sum(map(_cost, ahead)))
            if not (fitting or (ahead and not blocks)):
                continue
            if not budget.take(sum(map(_cost, [*ahead, *fitting]))):
                continue
            if lacking is None or (log.author, 0) in lacking.spans:
                lows.setdefault((log.author, 0), _LAST)
            lows[key] = fitting[0].header.seq if fitting else _LAST
            if fitting and len(fitting) == len(blocks):
                still.append(log)
        waiting = still
    return lows


async def _ahead(
    store: Store, log: Log, lacking: Lacking | None, lows: dict[LogKey, int]
) -> list[Block]:
    """Return what goes along with the first blocks that go of a log, and of a device."""
    device = (log.author, 0)
    blocks: list[Block] = []
    if device not in lows and (lacking is None or device in lacking.spans):
        blocks += await store.branches(device)
        has_device = lacking is None or lacking.has_device(log.author)
        if has_device and (log.number or log.head != 1):
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


async def _step(store: Store, log: Log, lacking: Lacking | None, low: int) -> list[Block]:
    """Return the last blocks below ``low`` that may go, of one span."""
    span = next((span for span in reversed(_spans(log, lacking)) if span[0] < low), None)
    if span is None:
        return []
    high = min(low - 1, span[1])
    key = (log.author, log.number)
    blocks = await store.read(key, max(span[0], high - STEP_BLOCKS + 1), high)
    return blocks if lacking is None else lacking.stripped(key, blocks)


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
    for key, last in (await store.newest()).items():
        newest[key[0]] = max(newest.get(key[0], 0), last.lsn)
        hops[key] = last.hops
    logs = await store.logs()
    return sorted(logs, key=lambda log: (-newest.get(log.author, 0), log.author, log.number)), hops


async def _units(
    store: Store, log: Log, low: int, spans: Sequence[tuple[int, int]]
) -> AsyncIterator[list[Block]]:
    """Yield the log's blocks in ``spans`` from ``low`` on, cut after signatures; then branches."""
    key = (log.author, log.number)
    unit: list[Block] = []
    for start, high in spans:
        at = max(low, start)
        while at <= high and (blocks := await store.read(key, at, high, limit=PAGE_BLOCKS)):
            for block in blocks:
                if unit and unit[-1].id != block.header.previous:
                    unit = []
                unit.append(block)
                if block.signature:
                    yield unit
                    unit = []
            at = blocks[-1].header.seq + 1
    if log.fork is not None:
        for branch in branch_units(unit, await store.branches(key)):
            yield branch
