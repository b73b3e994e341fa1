"""A store in memory: the reference the SQLite store is compared with, and the simulator's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from ledger.block import ZEROS
from ledger.listeners import Listeners
from ledger.store.absorb import Absorption
from ledger.store.base import (
    MAX_RUNS,
    Absorbed,
    Arrival,
    Batch,
    Entry,
    Floor,
    Known,
    LogKey,
    MailRow,
    MailWhat,
    Newest,
    Span,
    StoreRun,
    What,
    runs_of,
)
from ledger.store.check import check_store
from ledger.store.memory_ground import Contents, MemoryGround

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from typing import Unpack

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import Marks
    from ledger.store.ground import PlacedBlock


def _zeros() -> bytes:
    return bytes(8)


class MemoryStore:
    """Satisfies ``Store``; gone when the process ends.

    Args:
        new_run: Gives 8 bytes, the name of a run of this store.
        contents: What it holds from the start; only ``copy`` has some.
    """

    def __init__(
        self, *, new_run: Callable[[], bytes] = _zeros, contents: Contents | None = None
    ) -> None:
        self._has = contents or Contents()
        self._new_run = new_run
        self._run: bytes | None = None
        self._listeners: Listeners[Absorbed] = Listeners()

    def copy(self, *, new_run: Callable[[], bytes] | None = None) -> Self:
        """Return this store as a copy that is opened again: its next arrival begins a run.

        Args:
            new_run: Names the runs of the copy; None: whatever names this store's.
        """
        return type(self)(new_run=new_run or self._new_run, contents=self._has.copy())

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:  # noqa: ARG002
        ground = MemoryGround(self._has)
        first = len(self._has.arrivals) + 1
        outcome = await Absorption(ground, first, seen).take(batch)
        if outcome.arrivals:
            if self._run is None:
                self._run = self._new_run()
                self._has.runs = [*self._has.runs, (first, self._run)][-MAX_RUNS:]
            outcome.run = self._run
        self._listeners.tell(outcome)
        return outcome

    def listen(self, heard: Callable[[Absorbed], None]) -> None:
        self._listeners.add(heard)

    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        wanted = self._has.logs if keys is None else self._has.logs.keys() & set(keys)
        return [self._rooted(key) for key in sorted(wanted)]

    def _rooted(self, key: LogKey) -> Log:
        roots = MemoryGround(self._has).roots(key[0]) if key[1] else frozenset({ZEROS})
        return replace(self._has.logs[key], roots=roots)

    async def read(self, key: LogKey, low: int, high: int, *, limit: int = 256) -> list[Block]:
        return (await MemoryGround(self._has).read_all(key, low, high))[:limit]

    async def read_spans(self, spans: Sequence[Span]) -> list[list[Block]]:
        ground = MemoryGround(self._has)
        return [await ground.read_all(span.key, span.low, span.last) for span in spans]

    async def bodiless(self, key: LogKey, *, limit: int = 256) -> list[int]:
        log = self._has.logs.get(key)
        if log is None or not log.bodies_missing:
            return []
        held = self._has.blocks.get(key, {})
        return sorted(seq for seq, placed in held.items() if placed.block.body is None)[:limit]

    async def devices(self, *, page: int = 512) -> AsyncIterator[list[Block]]:
        held = self._has.blocks
        found = [held[key][1].block for key in sorted(held) if key[1] == 0 and 1 in held[key]]
        for start in range(0, len(found), page):
            yield found[start : start + page]

    async def branches(self, key: LogKey) -> list[Block]:
        return await MemoryGround(self._has).branch(key)

    async def find(self, prefix: bytes) -> list[Block]:
        everywhere = [
            placed.block
            for shelf in (self._has.blocks, self._has.branches)
            for held in shelf.values()
            for placed in held.values()
        ]
        found = [block for block in everywhere if block.id.startswith(prefix)]
        return sorted(found, key=lambda block: block.id)[:16]

    async def entries(
        self, log: int | None = None, *, kinds: Collection[str] | None = None, page: int = 512
    ) -> AsyncIterator[list[Entry]]:
        found = [
            self._entry(key, placed)
            for key in sorted(self._has.blocks)
            if log is None or key[1] == log
            for _, placed in sorted(self._has.blocks[key].items())
        ]
        found += [
            self._entry(key, placed)
            for key in sorted(self._has.branches)
            if log is None or key[1] == log
            for placed in sorted(
                self._has.branches[key].values(),
                key=lambda placed: (placed.block.header.seq, placed.block.id),
            )
        ]
        if kinds is not None:
            found = [entry for entry in found if entry.block.header.kind in kinds]
        for start in range(0, len(found), page):
            yield found[start : start + page]

    def _entry(self, key: LogKey, placed: PlacedBlock) -> Entry:
        arrival = self._has.arrivals[placed.lsn - 1]
        joined = placed.block.header.seq <= self._rooted(key).head
        return Entry(placed.block, joined, arrival.hops, arrival.seen)

    async def arrivals(self, before: int | None = None, *, limit: int = 512) -> list[Arrival]:
        end = len(self._has.arrivals)
        if before is not None:
            end = min(max(before - 1, 0), end)
        return self._has.arrivals[max(end - limit, 0) : end][::-1]

    async def newest(self) -> dict[LogKey, Newest]:
        newest: dict[LogKey, Newest] = {}
        for arrival in self._has.arrivals:
            key = (arrival.author, arrival.log)
            if arrival.what == What.BLOCKS:
                newest[key] = Newest(arrival.lsn, arrival.hops)
            else:
                newest[key] = newest.get(key, Newest(0, 0))._replace(lsn=arrival.lsn)
        return newest

    async def runs(self) -> list[StoreRun]:
        return runs_of(self._has.runs, len(self._has.arrivals))

    async def proofs(self, keys: Collection[LogKey] | None = None) -> list[ForkProof]:
        wanted = self._has.proofs if keys is None else self._has.proofs.keys() & set(keys)
        return [self._has.proofs[key] for key in sorted(wanted)]

    async def revocations(self, devices: Collection[bytes] | None = None) -> list[Revocation]:
        held = sorted(self._has.revocations.items())
        return [one for (_, device), one in held if devices is None or device in devices]

    async def known(self) -> list[Known]:
        return [known for _, known in sorted(self._has.known.items())]

    async def mark(self, person: bytes, **marks: Unpack[Marks]) -> Known:
        before = self._has.known.pop(person, Known(person))
        after = before.marked(marks)
        if after.is_marked:
            self._has.known[person] = after
        return before

    async def note(self, name: str) -> bytes | None:
        return self._has.notes.get(name)

    async def notes(self, names: Collection[str]) -> dict[str, bytes]:
        return {name: self._has.notes[name] for name in names if name in self._has.notes}

    async def set_note(
        self,
        name: str,
        value: bytes | None,
        *,
        durable: bool = True,  # noqa: ARG002
    ) -> None:
        if value is None:
            self._has.notes.pop(name, None)
        else:
            self._has.notes[name] = value

    async def mail(self) -> list[MailRow]:
        return [
            row if row.what is MailWhat.TOKEN else row._replace(content=b"")
            for _, row in sorted(self._has.mail.items())
        ]

    async def mail_sizes(self) -> dict[bytes, int]:
        return {
            ident: len(row.content)
            for (what, ident), row in sorted(self._has.mail.items())
            if what is MailWhat.CARRIED
        }

    async def envelopes(self, idents: Sequence[bytes]) -> list[bytes]:
        mail = self._has.mail
        held = (MailWhat.CARRIED, MailWhat.LETTER)
        return [
            next((mail[what, one].content for what in held if (what, one) in mail), b"")
            for one in idents
        ]

    async def floors(self) -> dict[LogKey, Floor]:
        return dict(sorted(self._has.floors.items()))

    async def size(self) -> int:
        proofs = sum(len(proof.encode()) for proof in self._has.proofs.values())
        return proofs + sum(log.bytes for log in self._has.logs.values())

    async def check(self) -> list[str]:
        return await check_store(self)

    async def close(self) -> None:
        """Nothing to finish."""
