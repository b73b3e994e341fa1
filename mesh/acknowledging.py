"""What a sealed bundle acknowledges, once all of a part was read and is in the store for good.

Nothing is acknowledged by a part that was cut or damaged, or of which anything was refused: what
was whole is kept, and the rest is told again. The last frame is signed by the writer over all
before it, so no other reader of the bundle can speak for him.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gossip import cursor
from gossip.bundle_header import Row, read_row
from gossip.bundle_notes import processed, reaches
from gossip.cursor import Seen
from gossip.notes import (
    COUNT,
    bundles_note,
    frontier_note,
    recall_count,
    remember,
    remember_count,
    remember_frontier,
    seen_note,
    told_note,
)
from ledger.errors import InvalidError
from ledger.kinds.device import person_of
from ledger.store.base import Batch, What
from mesh.lacking import arrived
from mesh.readers import account_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gossip.bundle import BundleReader
    from gossip.bundle_header import Ranges, SealedHeader
    from ledger.store.base import Absorbed, Arrival, LogKey, Store
    from mesh.readers import Account, Bearer

MAX_COUNT_STEP: Final = 1 << 20
"""So far a reader may push this device's count, which an old copy of a store has lost."""


@dataclass(slots=True)
class Contents:
    """What a bundle held, by log: enough to tell what of this store its writer must have.

    Attributes:
        blocks: Seqs whose headers came.
        bodies: Seqs whose bodies did.
        forks: s of the logs whose proof came.
        statements: lsns under which statements of the bundle arrived here.
    """

    blocks: dict[LogKey, Ranges] = field(default_factory=dict)
    bodies: dict[LogKey, Ranges] = field(default_factory=dict)
    forks: dict[LogKey, int] = field(default_factory=dict)
    statements: set[int] = field(default_factory=set)

    def add(self, batch: Batch, absorbed: Absorbed) -> None:
        """Take what came in a batch, and what became of it."""
        for run in batch.runs:
            key = (run.author, run.log)
            self.blocks[key] = cursor.add(self.blocks.get(key, ()), run.low, run.high)
            for low, high in _with_bodies(block.body is not None for block in run.blocks):
                self._add_bodies(key, run.low + low, run.low + high)
        for late in batch.bodies:
            self._add_bodies((late.author, late.log), late.seq, late.seq)
        for proof in batch.proofs:
            self.forks[proof.author, proof.log] = proof.seq
        self.statements |= {one.lsn for one in absorbed.arrivals if one.what is What.STATEMENT}

    def _add_bodies(self, key: LogKey, low: int, high: int) -> None:
        self.bodies[key] = cursor.add(self.bodies.get(key, ()), low, high)

    def has(self, arrival: Arrival, fork: int | None) -> bool:
        """Say whether the writer must have what arrived here then.

        Args:
            arrival: What.
            fork: Where its log is forked, as this store knows.
        """
        key = (arrival.author, arrival.log)
        if arrival.what is What.STATEMENT:
            return arrival.lsn in self.statements
        if fork is not None and (self.forks.get(key) != fork or arrival.high >= fork):
            return arrival.what is What.VERDICT and self.forks.get(key) == fork
        if arrival.what is What.BLOCKS and not _within(self.blocks, key, arrival):
            return False
        # of headers that came alone the writer may lack the bodies that are held here
        return arrival.what in (What.BLOCKS, What.BODIES) and _within(self.bodies, key, arrival)


def _with_bodies(has_body: Iterable[bool]) -> list[tuple[int, int]]:
    """Return the ranges of places where a body is."""
    found: list[tuple[int, int]] = []
    for place, has in enumerate(has_body):
        if has and found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        elif has:
            found.append((place, place))
    return found


def _within(held: Mapping[LogKey, Ranges], key: LogKey, arrival: Arrival) -> bool:
    return any(low <= arrival.low and arrival.high <= high for low, high in held.get(key, ()))


async def acknowledge(bearer: Bearer, reader: BundleReader, contents: Contents) -> Batch | None:
    """Return the notes that change because a part was read to its end.

    Args:
        bearer: This node.
        reader: It has read the part, all of which was taken.
        contents: What was in it.

    Returns:
        The notes, of which None are to be removed; None if it acknowledges nothing.
    """
    header, end, row = reader.header, reader.end, _row(reader)
    if header is None or end is None or row is None or header.device == bearer.policy.device:
        return None
    person = await person_of_writer(bearer.store, header.device)
    account = await account_of(bearer, header.device, person or header.device)
    notes: dict[str, bytes | None] = {}
    if header.count >= account.heard.count:
        held = remember_frontier(header.frontier) if header.frontier and person else None
        notes[frontier_note(header.device)] = held
    if header.count > account.heard.count:
        account = _heard_anew(account, header, row)
    if reaches(account.heard.runs, row.runs[-1]):
        account = await _with_gift(bearer.store, account, contents)
    account = _with_part(account, header, row, is_last=end.is_last)
    if account.seen is not None:
        notes[seen_note(header.device)] = remember(account.seen, bearer.policy.wants)
    notes[bundles_note(header.device)] = account.heard.encode()
    notes[told_note(header.device)] = _told(account)
    count = recall_count(await bearer.store.note(COUNT))
    if count < row.heard <= count + MAX_COUNT_STEP:
        notes[COUNT] = remember_count(row.heard)
    return Batch(notes=notes)


def _with_part(account: Account, header: SealedHeader, row: Row, *, is_last: bool) -> Account:
    """Note a part, and what is processed of its writer's store if none is missing."""
    heard, is_complete = account.heard.with_part(header, is_last=is_last)
    if not is_complete:
        return replace(account, heard=heard)
    seen = account.seen
    if row.base is None or reaches(account.named, row.base):
        seen = processed(seen, row, is_newer=header.count > heard.done)
    heard = replace(heard, done=max(heard.done, header.count))
    return replace(account, heard=heard, seen=seen)


def _row(reader: BundleReader) -> Row | None:
    if reader.header is None or reader.unsealed is None:
        return None
    raw = reader.unsealed.row(reader.header.rows)
    try:
        row = None if raw is None else read_row(raw)
    except InvalidError:
        return None
    return row if row is not None and row.runs else None


async def person_of_writer(store: Store, device: bytes) -> bytes | None:
    """Return whose device it is; None while its device block is not held.

    Nobody knows such a device; what it holds is not noted, which may be long.
    """
    blocks = await store.read((device, 0), 1, 1)
    return person_of(device, blocks[0].body) if blocks else None


def _heard_anew(account: Account, header: SealedHeader, row: Row) -> Account:
    """Take what a newer export than any before says of its writer.

    What he said before and what came from him counts no longer, unless his store still is what it
    was then, or has gone on since.
    """
    before = account.heard
    gave = before.gave if before.base is None or reaches(row.runs, before.base) else None
    heard = replace(before, count=header.count, runs=row.runs, gave=gave)
    return replace(account, heard=heard).with_told(row.seen)


async def _with_gift(store: Store, account: Account, contents: Contents) -> Account:
    """Note as the writer's all of this store that was in his bundle."""
    gave = account.counts(account.heard.gave)
    told = account.told
    for low, high in gave:
        told = cursor.add(told, low, high)
    forks: Mapping[LogKey, int | None] = {
        (log.author, log.number): log.fork for log in await store.logs()
    }
    async for arrival in arrived(store, cursor.unseen(told, account.lsn)):
        if contents.has(arrival, forks.get((arrival.author, arrival.log))):
            gave = cursor.add(gave, arrival.lsn, arrival.lsn)
            told = cursor.add(told, arrival.lsn, arrival.lsn)
    run = account.named[-1][0] if account.named else b""
    heard = replace(account.heard, gave=Seen(run, gave) if gave else None)
    return replace(account, heard=heard, told=told)


def _told(account: Account) -> bytes | None:
    if not account.told or not account.named:
        return None
    return Seen(account.named[-1][0], account.told).encode()
