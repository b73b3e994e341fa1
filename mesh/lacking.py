"""What readers lack of a store: seqs of logs, in ranges that vouch for themselves.

What arrived since a device last said what it had processed is turned into ranges of logs, less
what the device said it holds. Memory grows with the number of logs and of gaps in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ
from ledger.run import SIGNED_EVERY
from ledger.store.base import What

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from ledger.block import Block
    from ledger.chain import Log, Piece
    from ledger.store.base import Arrival, LogKey, Store
    from mesh.readers import Account

Spans = list[tuple[int, int]]
PAGE: Final = 512


@dataclass(slots=True)
class Lacking:
    """What goes to the readers.

    Attributes:
        spans: First and last seq of what goes of each log, ascending, each up to a signature; of
            a forked log the branches go too.
        bare: Seqs of those that only vouch for others and go without their bodies.
        proofs: Forked logs whose proof goes.
        statements: Devices about which statements go.
    """

    spans: dict[LogKey, Spans] = field(default_factory=dict)
    bare: dict[LogKey, Spans] = field(default_factory=dict)
    proofs: set[LogKey] = field(default_factory=set)
    statements: set[bytes] = field(default_factory=set)

    def has_device(self, device: bytes) -> bool:
        """Say whether the device's block (log 0, seq 1) goes."""
        spans = self.spans.get((device, 0), [])
        return bool(spans) and spans[0][0] == 1

    def stripped(self, key: LogKey, blocks: list[Block]) -> list[Block]:
        """Return blocks of a log as they go."""
        bare = self.bare.get(key)
        if not bare:
            return blocks
        return [
            block._replace(body=None)
            if any(low <= block.header.seq <= high for low, high in bare)
            else block
            for block in blocks
        ]

    def add(self, key: LogKey, low: int, high: int) -> None:
        """Note seqs of a log, the last that arrived first."""
        spans = self.spans.setdefault(key, [])
        if spans and low <= spans[-1][0] <= high + 1:  # arrivals come newest first
            spans[-1] = (low, max(high, spans[-1][1]))
        else:
            spans.append((low, high))


async def find_lacking(
    store: Store, accounts: Sequence[Account], is_offered: Callable[[LogKey], bool]
) -> Lacking:
    """Return what any of the devices lacks, as far as is known.

    Args:
        store: What is held.
        accounts: The devices.
        is_offered: Says of a log whether all of them may have it.
    """
    logs = {(log.author, log.number): log for log in await store.logs()}
    logs = {key: log for key, log in logs.items() if is_offered(key)}
    whole = Lacking()
    for account in accounts:
        one = await _lacked_by(store, account, logs)
        whole.proofs |= set(filter(is_offered, one.proofs))
        whole.statements |= {device for device in one.statements if is_offered((device, 0))}
        for key, spans in one.spans.items():
            whole.spans[key] = merged([*whole.spans.get(key, ()), *spans])
    lacked, whole.spans = whole.spans, {}
    for key, spans in lacked.items():
        log = logs[key]
        if log.fork is not None:
            whole.spans[key] = _before_fork(log, log.fork, spans)
        elif held := [span for piece in log.pieces for span in within(spans, piece)]:
            vouched = [(low, await _signed_from(store, log, high)) for low, high in held]
            whole.spans[key] = merged(vouched)
            whole.bare[key] = without(whole.spans[key], held)
    return whole


async def _lacked_by(store: Store, account: Account, logs: dict[LogKey, Log]) -> Lacking:
    if account.told:
        lacking = await _news(store, account)
    else:
        lacking = Lacking({key: [(1, MAX_SEQ)] for key in logs})
        lacking.proofs = {(proof.author, proof.log) for proof in await store.proofs()}
        lacking.statements = {one.device for one in await store.revocations()}
    for key in list(lacking.spans):
        held = await _held_by(store, account, logs.get(key))
        spans = without(merged(lacking.spans[key]), held)
        if spans and key in logs:
            lacking.spans[key] = spans
        else:
            del lacking.spans[key]
    return lacking


async def _news(store: Store, account: Account) -> Lacking:
    """Return what arrived and was neither processed nor brought by the device."""
    lacking, joined = Lacking(), Lacking()
    async for arrival in arrived(store, account.gaps):
        key = (arrival.author, arrival.log)
        match arrival.what:
            case What.STATEMENT:
                lacking.statements.add(arrival.author)
            case What.JOINED:
                joined.add(key, arrival.low, arrival.high)
            case What.VERDICT:
                lacking.proofs.add(key)
                lacking.add(key, arrival.low, arrival.high)
            case _:
                lacking.add(key, arrival.low, arrival.high)
    for key, spans in (await _not_brought(store, account, joined.spans)).items():
        for low, high in spans:
            lacking.add(key, low, high)
    lacking.spans = {key: merged(spans) for key, spans in lacking.spans.items()}
    return lacking


async def _not_brought(
    store: Store, account: Account, joined: Mapping[LogKey, Spans]
) -> dict[LogKey, Spans]:
    """Return what the device may lack of segments that were joined: it may have had no room."""
    brought = Lacking()
    gave = list(account.counts(account.heard.gave)) if joined else []
    async for arrival in arrived(store, gave[::-1]):
        key = (arrival.author, arrival.log)
        if arrival.what is What.BLOCKS and key in joined:
            brought.add(key, arrival.low, arrival.high)
    return {
        key: without(merged(spans), merged(brought.spans.get(key, ())))
        for key, spans in joined.items()
    }


async def arrived(store: Store, gaps: Sequence[tuple[int, int]]) -> AsyncIterator[Arrival]:
    """Yield what arrived under the lsns in ``gaps``, which are given highest first, so too."""
    for low, high in gaps:
        before = high + 1
        while before > low and (page := await store.arrivals(before, limit=PAGE)):
            for arrival in page:
                if arrival.lsn < low:
                    break
                yield arrival
            before = page[-1].lsn


async def _held_by(store: Store, account: Account, log: Log | None) -> Spans:
    """Return what the device said it holds of a log just as this store does.

    Its detached segments come without ids. If they are another branch, the blocks around them
    show it, which are sent.
    """
    entry = None if log is None else account.frontier.get((log.author, log.number))
    if entry is None or log is None or log.fork is not None or len(entry.ids) > 1:
        return []
    held = list(entry.ranges)
    if entry.ids:
        blocks = await store.read((log.author, log.number), entry.seq, entry.seq)
        if not blocks or blocks[0].id != entry.ids[0]:
            return []
        held = [(1, entry.seq), *held]
    below = MAX_SEQ if entry.missing is None else entry.missing - 1
    return [(low, min(high, below)) for low, high in held if low <= below]


def _before_fork(log: Log, fork: int, spans: Spans) -> Spans:
    """Return what goes of a forked log besides its branches.

    What comes right before the fork without a signature is vouched for by a branch only.
    """
    low = max(1, min(spans[0][0], fork - SIGNED_EVERY))
    return [(max(low, piece.low), piece.high) for piece in log.pieces if piece.high >= low]


async def _signed_from(store: Store, log: Log, seq: int) -> int:
    """Return the first seq from ``seq`` on that has a signature; the last of a piece has one."""
    last = next(piece.high for piece in log.pieces if piece.low <= seq <= piece.high)
    if seq == last:
        return last
    blocks = await store.read((log.author, log.number), seq, min(seq + SIGNED_EVERY, last))
    return next((block.header.seq for block in blocks if block.signature), last)


def within(spans: Spans, piece: Piece) -> Spans:
    """Return what of ``spans`` is in a piece."""
    return [
        (max(low, piece.low), min(high, piece.high))
        for low, high in spans
        if low <= piece.high and high >= piece.low
    ]


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return spans in order, those that touch joined."""
    found: Spans = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def without(spans: Spans, others: Spans) -> Spans:
    """Return what of ``spans`` is in none of ``others``; both ascend and do not touch."""
    left: Spans = []
    for low, high in spans:
        start = low
        for other_low, other_high in others:
            if other_high < start or other_low > high:
                continue
            if other_low > start:
                left.append((start, other_low - 1))
            start = other_high + 1
        if start <= high:
            left.append((start, high))
    return left
