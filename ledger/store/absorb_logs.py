"""The logs of a batch on its way into a store: what they were, and what they become."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ, ZEROS
from ledger.chain import Log, forget
from ledger.store.base import Absorbed, Arrival, Batch, Floor, LogKey, What
from ledger.store.ground import Changes, Ground

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT: Final = frozenset({ZEROS})


class BatchLogs:
    """The logs a batch touches, and what is to be written of it so far.

    Args:
        ground: The store, inside its transaction.
        lsn: The next serial number to give.
        seen: Now, ms since 1970.
    """

    def __init__(self, ground: Ground, lsn: int, seen: int) -> None:
        self.lsn = lsn
        self.outcome = Absorbed()
        self._ground = ground
        self._seen = seen
        self._changes = Changes()
        self._logs: dict[LogKey, Log] = {}
        self._roots: dict[bytes, frozenset[bytes]] = {}
        self._before: dict[LogKey, Log] = {}
        self._roots_before: dict[bytes, frozenset[bytes]] = {}
        self._touched: set[LogKey] = set()
        self._regrown: set[LogKey] = set()
        self._remeasured: set[LogKey] = set()
        self._numbers: dict[bytes, set[int]] = {}
        self._grown: set[LogKey] = set()
        self._leaving: set[bytes] = set()

    async def _load(self, batch: Batch) -> None:
        """Load the logs of the batch and those above them; others only where they may join."""
        keys = {(run.author, run.log) for run in batch.runs}
        keys |= {(late.author, late.log) for late in batch.bodies}
        keys |= {(proof.author, proof.log) for proof in batch.proofs}
        keys |= batch.floors.keys()
        keys |= {(author, 0) for author, _ in keys}
        self._logs, self._roots = await self._ground.load(keys)
        rooted = {
            run.author
            for run in batch.runs
            if run.log == 0 and run.low == 1 and run.id_at(1) not in self._roots.get(run.author, ())
        }
        self._leaving = {author for author, number in batch.floors if number == 0}
        rooted |= self._leaving
        self._logs |= await self._ground.load_whole(rooted)
        self._before, self._roots_before = dict(self._logs), dict(self._roots)
        for author, number in self._logs:
            self._numbers.setdefault(author, set()).add(number)

    def _log(self, key: LogKey) -> Log:
        return _rooted(key, self._logs, self._roots)

    def _changed(self) -> dict[LogKey, Log]:
        """Return the logs that are not what they were before the batch."""
        changed: dict[LogKey, Log] = {}
        for key in sorted(self._touched | self._regrown):
            log = self._log(key)
            is_new = key not in self._before
            was = _rooted(key, self._before, self._roots_before)
            if is_new or log != was or key in self._regrown:
                changed[key] = log
        return changed

    def _keep(self, log: Log) -> None:
        key = (log.author, log.number)
        self._numbers.setdefault(log.author, set()).add(log.number)
        self._touched.add(key)
        self._logs[key] = self._changes.logs[key] = log

    async def _flush(self) -> None:
        changes, self._changes = self._changes, Changes()
        await self._ground.write(changes)

    async def _measure(self) -> None:
        """Weigh again the logs of which branches came or went."""
        for key in sorted(self._remeasured - set(self.outcome.dropped)):
            size = await self._ground.measure(key)
            self._keep(replace(self._log(key), bytes=size))
        await self._flush()

    async def _forget(self, key: LogKey, floor: Floor) -> None:
        """Let go what is below a floor; nothing is left of a log that has nothing above it.

        All else of the batch is written by then.
        """
        log = self._log(key)
        self._changes.floors[key] = self.outcome.floors[key] = floor
        if log.fork is not None and self._stays(key[0]):
            await self._keep_verdict(log)
            return
        if floor.seq > max((piece.high for piece in log.pieces), default=0) or log.fork is not None:
            self._drop(key)
            return
        first = await self._ground.read_all(key, floor.seq, floor.seq)
        after = forget(log, floor.seq, first[0].header.previous if first else b"")
        self._changes.heads.append((key, floor.seq))
        self._keep(after)
        self._remeasured.add(key)
        if log.bodies_missing:
            await self._flush()
            missing = await self._ground.count_bodiless(key)
            self._keep(replace(after, bodies_missing=missing))

    def _stays(self, author: bytes) -> bool:
        """Whether the device is still held after this batch: what convicts it is kept so long."""
        return author not in self._leaving and self._log((author, 0)).bytes > 0

    async def _keep_verdict(self, log: Log) -> None:
        """Let go all blocks of a forked log, and keep its proof."""
        key = (log.author, log.number)
        branches = await self._ground.branch(key)
        if not branches and not log.pieces:
            return
        self._changes.branch_drops += [(key, block.id) for block in branches]
        self._changes.heads.append((key, MAX_SEQ + 1))
        self._keep(replace(log, pieces=(), bodies_missing=0, bytes=0))
        self._regrown.add(key)

    def _drop(self, key: LogKey) -> None:
        """Let go a log with all that is known of it; without log 0 the others are detached."""
        for shelf in (self._logs, self._changes.logs):
            shelf.pop(key, None)
        self._touched.discard(key)
        self._regrown.discard(key)
        self._changes.gone.append(key)
        self.outcome.dropped.append(key)
        self._numbers.get(key[0], set()).discard(key[1])
        if key[1] == 0:
            self._root(key[0], frozenset())

    def _arrive(self, what: What, key: LogKey, low: int, high: int, hops: int = 0) -> int:
        lsn, self.lsn = self.lsn, self.lsn + 1
        arrival = Arrival(lsn, what, *key, low, high, hops, self._seen)
        self._changes.arrivals.append(arrival)
        self.outcome.arrivals.append(arrival)
        return lsn

    def _count(self, key: LogKey, new: int, known: int) -> None:
        self.outcome.new += new
        self.outcome.known += known
        if new and key not in self._grown:
            self._grown.add(key)
            self.outcome.grown.append(key)

    def _root(self, author: bytes, ids: frozenset[bytes]) -> None:
        """(log 0, seq 1) has come or was forked: the author's other logs join, or part."""
        if self._roots.get(author) == ids:
            return
        others = [(author, number) for number in sorted(self._numbers.get(author, ())) if number]
        was = {key: self._log(key).joined for key in others}
        self._roots[author] = ids
        self._touched.update(others)
        for key in others:
            joined = self._log(key).joined
            if joined is not None and was[key] is None:
                self._arrive(What.JOINED, key, joined.low, joined.high)


def _rooted(
    key: LogKey, logs: Mapping[LogKey, Log], roots: Mapping[bytes, frozenset[bytes]]
) -> Log:
    """Return a log as it follows its roots, an empty one where none is held."""
    author, number = key
    above = _ROOT if number == 0 else roots.get(author, frozenset())
    log = logs.get(key)
    if log is None:
        return Log(author, number, above)
    return log if log.roots == above else replace(log, roots=above)
