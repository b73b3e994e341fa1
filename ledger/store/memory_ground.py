"""What ``Absorption`` sees and does of a store in memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ledger.block import MAX_SEQ
from ledger.chain import Held, Log
from ledger.store.ground import Changes, PlacedBlock, block_bytes

if TYPE_CHECKING:
    from collections.abc import Collection

    from ledger.block import Block, Header
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import Arrival, Floor, Known, LogKey, MailRow, MailWhat


@dataclass(slots=True)
class Contents:
    """All that a store in memory holds."""

    logs: dict[LogKey, Log] = field(default_factory=dict)
    blocks: dict[LogKey, dict[int, PlacedBlock]] = field(default_factory=lambda: defaultdict(dict))
    branches: dict[LogKey, dict[bytes, PlacedBlock]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    proofs: dict[LogKey, ForkProof] = field(default_factory=dict)
    revocations: dict[tuple[bytes, bytes], Revocation] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    runs: list[tuple[int, bytes]] = field(default_factory=list)
    known: dict[bytes, Known] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    mail: dict[tuple[MailWhat, bytes], MailRow] = field(default_factory=dict)
    floors: dict[LogKey, Floor] = field(default_factory=dict)

    def copy(self) -> Contents:
        """Return the same, to be changed independently; what is held never changes itself."""
        twin = replace(
            self,
            logs=dict(self.logs),
            proofs=dict(self.proofs),
            revocations=dict(self.revocations),
            arrivals=list(self.arrivals),
            runs=list(self.runs),
            known=dict(self.known),
            notes=dict(self.notes),
            mail=dict(self.mail),
            floors=dict(self.floors),
        )
        twin.blocks = defaultdict(dict, {key: dict(held) for key, held in self.blocks.items()})
        twin.branches = defaultdict(dict, {key: dict(held) for key, held in self.branches.items()})
        return twin


class MemoryGround:
    """Satisfies ``Ground``; also answers the store's reads."""

    def __init__(self, contents: Contents) -> None:
        self._has = contents

    def roots(self, author: bytes) -> frozenset[bytes]:
        """Return the ids held at (log 0, seq 1)."""
        key = (author, 0)
        placed = [self._has.blocks.get(key, {}).get(1), *self._has.branches.get(key, {}).values()]
        return frozenset(p.block.id for p in placed if p is not None and p.block.header.seq == 1)

    async def load(
        self, keys: Collection[LogKey]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        logs = {key: self._has.logs[key] for key in keys if key in self._has.logs}
        return logs, {author: self.roots(author) for author in {author for author, _ in keys}}

    async def load_whole(self, authors: Collection[bytes]) -> dict[LogKey, Log]:
        if not authors:
            return {}
        return {key: log for key, log in self._has.logs.items() if key[0] in authors}

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

    async def measure(self, key: LogKey) -> int:
        shelves = (self._has.blocks.get(key, {}), self._has.branches.get(key, {}))
        return sum(block_bytes(placed.block) for shelf in shelves for placed in shelf.values())

    async def proof(self, key: LogKey) -> ForkProof | None:
        return self._has.proofs.get(key)

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        return [r for r in self._has.revocations.values() if r.person == person]

    async def write(self, changes: Changes) -> None:
        self._drop(changes)
        has = self._has
        has.logs |= changes.logs
        has.floors |= changes.floors
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
        for row in changes.mail:
            shelf = (row.what, row.ident)
            held = has.mail.get(shelf, row)
            has.mail[shelf] = row._replace(content=held.content, tag=held.tag, lock=held.lock)

    def _drop(self, changes: Changes) -> None:
        for name in changes.notes:
            self._has.notes.pop(name, None)
        for shelf in changes.mail_drops:
            self._has.mail.pop(shelf, None)
        if changes.lift:
            self._has.floors.clear()
        self._drop_blocks(changes)
        for key, ident in changes.branch_drops:
            del self._has.branches[key][ident]
        for gone in changes.revocation_drops:
            del self._has.revocations[gone.person, gone.device]

    def _drop_blocks(self, changes: Changes) -> None:
        has = self._has
        for key in changes.gone:
            for shelf in (has.logs, has.blocks, has.branches, has.proofs):
                shelf.pop(key, None)
        spans = [(key, 0, low - 1) for key, low in changes.heads]
        spans += [(key, fork, MAX_SEQ) for key, fork in changes.cuts]
        for key, low, high in spans:
            for seq in [seq for seq in has.blocks[key] if low <= seq <= high]:
                del has.blocks[key][seq]

    def _amend(self, changes: Changes) -> None:
        for late in changes.bodies:
            held = self._has.blocks[late.author, late.log]
            placed = held[late.seq]
            held[late.seq] = placed._replace(block=placed.block._replace(body=late.body))
        for key, seq, signature in changes.signatures:
            placed = self._has.blocks[key][seq]
            block = placed.block._replace(signature=signature)
            self._has.blocks[key][seq] = placed._replace(block=block)
