"""A store in memory: the reference the SQLite store is compared with, and the simulator's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ledger.block import ZEROS, Block, Header
from ledger.chain import Held, Log
from ledger.store.absorb import Absorption
from ledger.store.base import Absorbed, Arrival, Batch, Entry, Known, LogKey
from ledger.store.check import check_store
from ledger.store.ground import Changes, PlacedBlock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from ledger.fork import ForkProof
    from ledger.statement import Revocation


@dataclass(slots=True)
class _Contents:
    logs: dict[LogKey, Log] = field(default_factory=dict)
    blocks: dict[LogKey, dict[int, PlacedBlock]] = field(default_factory=lambda: defaultdict(dict))
    branches: dict[LogKey, dict[bytes, PlacedBlock]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    proofs: dict[LogKey, ForkProof] = field(default_factory=dict)
    revocations: dict[tuple[bytes, bytes], Revocation] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    following: set[bytes] = field(default_factory=set)
    notes: dict[str, bytes] = field(default_factory=dict)


class MemoryStore:
    """Satisfies ``Store``; gone when the process ends."""

    def __init__(self) -> None:
        self._has = _Contents()

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:  # noqa: ARG002
        ground = _MemoryGround(self._has)
        return await Absorption(ground, len(self._has.arrivals) + 1, seen).take(batch)

    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        wanted = self._has.logs if keys is None else self._has.logs.keys() & set(keys)
        return [self._rooted(key) for key in sorted(wanted)]

    def _rooted(self, key: LogKey) -> Log:
        roots = _MemoryGround(self._has).roots(key[0]) if key[1] else frozenset({ZEROS})
        return replace(self._has.logs[key], roots=roots)

    async def read(self, key: LogKey, low: int, high: int, *, limit: int = 256) -> list[Block]:
        return (await _MemoryGround(self._has).read_all(key, low, high))[:limit]

    async def branches(self, key: LogKey) -> list[Block]:
        return await _MemoryGround(self._has).branch(key)

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
        self, log: int | None = None, *, page: int = 512
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

    async def proofs(self) -> list[ForkProof]:
        return [self._has.proofs[key] for key in sorted(self._has.proofs)]

    async def revocations(self) -> list[Revocation]:
        return [self._has.revocations[key] for key in sorted(self._has.revocations)]

    async def known(self) -> list[Known]:
        return [Known(person, following=True) for person in sorted(self._has.following)]

    async def set_following(self, person: bytes, *, following: bool) -> bool:
        before = len(self._has.following)
        (self._has.following.add if following else self._has.following.discard)(person)
        return len(self._has.following) != before

    async def note(self, name: str) -> bytes | None:
        return self._has.notes.get(name)

    async def set_note(self, name: str, value: bytes | None) -> None:
        if value is None:
            self._has.notes.pop(name, None)
        else:
            self._has.notes[name] = value

    async def check(self) -> list[str]:
        return await check_store(self)

    async def close(self) -> None:
        """Nothing to finish."""


class _MemoryGround:
    def __init__(self, contents: _Contents) -> None:
        self._has = contents

    def roots(self, author: bytes) -> frozenset[bytes]:
        key = (author, 0)
        placed = [self._has.blocks.get(key, {}).get(1), *self._has.branches.get(key, {}).values()]
        return frozenset(p.block.id for p in placed if p is not None and p.block.header.seq == 1)

    async def load(
        self, authors: Sequence[bytes]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        wanted = set(authors)
        logs = {key: log for key, log in self._has.logs.items() if key[0] in wanted}
        return logs, {author: self.roots(author) for author in wanted}

    async def held(self, key: LogKey, low: int, high: int) -> dict[int, Held]:
        return {
            block.header.seq: Held(block.id, bool(block.signature))
            for block in await self.read_all(key, low, high)
        }

    async def read_all(self, key: LogKey, low: int, high: int) -> list[Block]:
        held = self._has.blocks.get(key, {})
        narrow = high - low < len(held)
        seqs = range(low, high + 1) if narrow else sorted(held)
        return [held[seq].block for seq in seqs if seq in held and low <= seq <= high]

    async def branch(self, key: LogKey) -> list[Block]:
        blocks = [placed.block for placed in self._has.branches.get(key, {}).values()]
        return sorted(blocks, key=lambda block: (block.header.seq, block.id))

    async def bodiless(self, key: LogKey, seqs: Collection[int]) -> dict[int, Header]:
        held = self._has.blocks.get(key, {})
        blocks = [held[seq].block for seq in seqs if seq in held]
        return {block.header.seq: block.header for block in blocks if block.body is None}

    async def count_bodiless(self, key: LogKey) -> int:
        held = self._has.blocks.get(key, {})
        return sum(placed.block.body is None for placed in held.values())

    async def proof(self, key: LogKey) -> ForkProof | None:
        return self._has.proofs.get(key)

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        return [r for r in self._has.revocations.values() if r.person == person]

    async def write(self, changes: Changes) -> None:
        self._drop(changes)
        has = self._has
        has.logs |= changes.logs
        for placed in changes.blocks:
            header = placed.block.header
            has.blocks[header.author, header.log][header.seq] = placed
        for placed in changes.branch_puts:
            branch = has.branches[placed.block.header.author, placed.block.header.log]
            was = branch.get(placed.block.id, placed)
            branch[placed.block.id] = PlacedBlock(placed.block, was.lsn)
        self._amend(changes)
        has.proofs |= {(proof.author, proof.log): proof for proof in changes.proofs}
        has.revocations |= {(r.person, r.device): r for r in changes.revocations}
        has.arrivals += changes.arrivals
        has.notes |= {name: value for name, value in changes.notes.items() if value is not None}

    def _drop(self, changes: Changes) -> None:
        for name in changes.notes:
            self._has.notes.pop(name, None)
        for key, fork in changes.cuts:
            for seq in [seq for seq in self._has.blocks[key] if seq >= fork]:
                del self._has.blocks[key][seq]
        for key, ident in changes.branch_drops:
            del self._has.branches[key][ident]
        for gone in changes.revocation_drops:
            del self._has.revocations[gone.person, gone.device]

    def _amend(self, changes: Changes) -> None:
        for late in changes.bodies:
            held = self._has.blocks[late.author, late.log]
            placed = held[late.seq]
            held[late.seq] = placed._replace(block=placed.block._replace(body=late.body))
        for key, seq, signature in changes.signatures:
            placed = self._has.blocks[key][seq]
            block = placed.block._replace(signature=signature)
            self._has.blocks[key][seq] = placed._replace(block=block)
