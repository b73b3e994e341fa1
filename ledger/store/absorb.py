"""How a batch changes a store: the same for every store, inside the store's transaction.

``ledger.chain`` says where a run goes; this module asks the store what ``chain`` needs to know,
turns the answers into ``Changes``, and hands those back to be written. Changes are collected
over the whole batch and written once, except around a fork, which is rare.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ledger.block import ZEROS, Block, check_body
from ledger.chain import (
    MAX_BRANCH_BLOCKS,
    BranchBlock,
    Conflict,
    Held,
    Log,
    Need,
    Placed,
    Refused,
    cut,
    grow,
    place,
)
from ledger.errors import InvalidError
from ledger.fork import ForkProof, Vouched
from ledger.run import SIGNED_EVERY, Run
from ledger.statement import select
from ledger.store.base import Absorbed, Arrival, Batch, LateBody, LogKey, What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.statement import Revocation


class PlacedBlock(NamedTuple):
    """A block to be stored, and the arrival it belongs to."""

    block: Block
    lsn: int


@dataclass(slots=True)
class Changes:
    """What is to be written. Drops come first, puts after."""

    cuts: list[tuple[LogKey, int]] = field(default_factory=list)
    branch_drops: list[tuple[LogKey, bytes]] = field(default_factory=list)
    logs: dict[LogKey, Log] = field(default_factory=dict)
    blocks: list[PlacedBlock] = field(default_factory=list)
    bodies: list[LateBody] = field(default_factory=list)
    branch_puts: list[PlacedBlock] = field(default_factory=list)
    signatures: list[tuple[LogKey, int, bytes]] = field(default_factory=list)
    proofs: list[ForkProof] = field(default_factory=list)
    revocation_drops: list[Revocation] = field(default_factory=list)
    revocations: list[Revocation] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)


class Ground(Protocol):
    """What a store lets ``Absorption`` see and do inside its transaction."""

    async def load(
        self, authors: Sequence[bytes]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        """Return all logs held of ``authors``, and the ids held at each one's (log 0, seq 1)."""
        ...

    async def held(self, key: LogKey, low: int, high: int) -> dict[int, Held]:
        """Return what the pieces hold at seq ``low`` .. ``high``."""
        ...

    async def read_all(self, key: LogKey, low: int, high: int) -> list[Block]:
        """Return the blocks of the pieces at seq ``low`` .. ``high``."""
        ...

    async def branch(self, key: LogKey) -> list[Block]:
        """Return the branch blocks of a forked log."""
        ...

    async def bodiless(self, key: LogKey, low: int, high: int) -> set[int]:
        """Return at which seq of the pieces a block without body is held."""
        ...

    async def proof(self, key: LogKey) -> ForkProof | None:
        """Return the proof kept of a log."""
        ...

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        """Return the statements held of a person."""
        ...

    async def write(self, changes: Changes) -> None:
        """Carry out ``changes``; visible to the calls above from then on."""
        ...


class Absorption:
    """One batch on its way into a store.

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

    async def take(self, batch: Batch) -> Absorbed:
        """Take the whole batch and write what it changes."""
        authors = {run.author for run in batch.runs} | {late.author for late in batch.bodies}
        authors |= {proof.author for proof in batch.proofs}
        self._logs, self._roots = await self._ground.load(sorted(authors))
        for revocation in batch.revocations:
            await self._revoke(revocation)
        for proof in batch.proofs:
            await self._convict(proof)
        for run in batch.runs:
            await self._take_run(run)
        for late in batch.bodies:
            await self._take_late(late)
        await self._flush()
        return self.outcome

    def _log(self, key: LogKey) -> Log:
        author, number = key
        roots = frozenset({ZEROS}) if number == 0 else self._roots.get(author, frozenset())
        return replace(self._logs.get(key) or Log(author, number), roots=roots)

    def _keep(self, log: Log) -> None:
        key = (log.author, log.number)
        self._logs[key] = self._changes.logs[key] = log

    async def _flush(self) -> None:
        changes, self._changes = self._changes, Changes()
        await self._ground.write(changes)

    def _arrive(self, what: What, key: LogKey, low: int, high: int, hops: int = 0) -> int:
        lsn, self.lsn = self.lsn, self.lsn + 1
        self._changes.arrivals.append(Arrival(lsn, what, *key, low, high, hops, self._seen))
        return lsn

    async def _take_run(self, run: Run) -> None:
        fork = self._log((run.author, run.log)).fork
        if fork is None or run.high < fork:
            await self._place(run, run)
        elif run.low >= fork:
            await self._branch(run)
        else:
            await self._place(Run(run.blocks[: fork - run.low], run.hops), run)
            await self._branch(Run(run.blocks[fork - run.low :], run.hops))

    async def _place(self, run: Run, whole: Run) -> None:
        """Place ``run``, which is ``whole`` or what of it comes before a known fork."""
        key = (run.author, run.log)
        log, held = self._log(key), dict[int, Held]()
        while isinstance(placement := place(log, run, held), Need):
            await self._flush()
            held |= await self._ground.held(key, placement.low, placement.high)
        match placement:
            case Placed():
                await self._apply(run, log, placement)
            case Refused(reason):
                self.outcome.refused.append((key, reason))
            case Conflict():
                await self._flush()
                await self._convict(await self._prove(whole, placement))
                await self._take_run(run)

    async def _apply(self, run: Run, before: Log, placed: Placed) -> None:
        key, log, new = (run.author, run.log), placed.log, 0
        for low, high in placed.new:
            lsn = self._arrive(What.BLOCKS, key, low, high, run.hops)
            fresh = run.blocks[low - run.low : high - run.low + 1]
            self._changes.blocks += [PlacedBlock(block, lsn) for block in fresh]
            lacking = sum(block.body is None for block in fresh)
            log = replace(log, bodies_missing=log.bodies_missing + lacking)
            new += len(fresh)
        self._count(key, new, len(run.blocks) - new)
        for piece in placed.joins:
            self._arrive(What.JOINED, key, piece.low, piece.high)
        if placed.sign is not None and run.blocks[-1].signature:
            self._changes.signatures.append((key, placed.sign, run.blocks[-1].signature))
        if log != before:
            self._keep(log)
        if new and run.log == 0 and run.low == 1:
            self._root(run.author, frozenset({run.id_at(1)}))
        if new < len(run.blocks) and before.bodies_missing:
            await self._fill(run)

    def _count(self, key: LogKey, new: int, known: int) -> None:
        self.outcome.new += new
        self.outcome.known += known
        if new and key not in self.outcome.grown:
            self.outcome.grown.append(key)

    def _root(self, author: bytes, ids: frozenset[bytes]) -> None:
        """(log 0, seq 1) has come or was forked: the author's other logs join, or part."""
        others = [key for key in self._logs if key[0] == author and key[1] != 0]
        was = {key: self._log(key).joined for key in others}
        self._roots[author] = ids
        for key in others:
            joined = self._log(key).joined
            if joined is not None and was[key] is None:
                self._arrive(What.JOINED, key, joined.low, joined.high)

    async def _fill(self, run: Run) -> None:
        """Bodies that were missing may be in a run whose blocks are known."""
        await self._flush()
        lacking = await self._ground.bodiless((run.author, run.log), run.low, run.high)
        for block in run.blocks:
            if block.header.seq in lacking and block.body is not None:
                self._add_body(LateBody(*block.header[:3], block.body))

    async def _take_late(self, late: LateBody) -> None:
        key = (late.author, late.log)
        await self._flush()
        lacking = await self._ground.bodiless(key, late.seq, late.seq)
        if late.seq not in lacking:
            return
        (block,) = await self._ground.read_all(key, late.seq, late.seq)
        try:
            check_body(block.header, late.body)
        except InvalidError as exc:
            self.outcome.refused.append((key, str(exc)))
            return
        self._add_body(late)

    def _add_body(self, late: LateBody) -> None:
        key = (late.author, late.log)
        log = self._log(key)
        self._keep(replace(log, bodies_missing=log.bodies_missing - 1))
        self._arrive(What.BODIES, key, late.seq, late.seq)
        self._changes.bodies.append(late)
        self.outcome.bodies += 1

    async def _prove(self, run: Run, conflict: Conflict) -> ForkProof:
        key, low = (run.author, run.log), conflict.held_from
        ours = await self._ground.read_all(key, low, low + SIGNED_EVERY - 1)
        for block in await self._ground.branch(key):
            if block.header.previous == ours[-1].id:
                ours.append(block)
        theirs = run.blocks[conflict.run_from - run.low :]
        return ForkProof.of(Vouched.of(ours), Vouched.of(theirs))

    async def _convict(self, proof: ForkProof) -> None:
        key = (proof.author, proof.log)
        await self._flush()
        known = await self._ground.proof(key)
        if known is not None and not proof.outweighs(known):
            return
        self._changes.proofs.append(proof)
        log = self._log(key)
        if log.fork is None or proof.seq < log.fork:
            await self._cut(log, proof.seq)

    async def _cut(self, log: Log, fork: int) -> None:
        """Move what is held from the fork on out of the pieces and into the branches."""
        key = (log.author, log.number)
        moved = await self._ground.read_all(key, fork, fork + MAX_BRANCH_BLOCKS)
        tips = await self._ground.held(key, fork - 1, fork - 1)
        after = cut(log, fork, tips)
        lsn = self._arrive(What.VERDICT, key, fork, fork)
        self._changes.cuts.append((key, fork))
        self.outcome.forks.append(key)
        await self._regrow(key, fork, moved, lsn)
        self._keep(after)
        await self._flush()
        lacking = await self._ground.bodiless(key, 1, fork - 1)
        self._keep(replace(after, bodies_missing=len(lacking)))

    async def _branch(self, run: Run) -> None:
        """Blocks from a fork on: kept if they belong to the two branches that are."""
        key = (run.author, run.log)
        fork = self._log(key).fork
        if fork is None:
            raise AssertionError("only a forked log has branches")
        await self._flush()
        lsn = self._arrive(What.BLOCKS, key, run.low, run.high, run.hops)
        new = await self._regrow(key, fork, run.blocks, lsn)
        if not new:
            self._changes.arrivals.pop()
        self._count(key, new, len(run.blocks) - new)

    async def _regrow(self, key: LogKey, fork: int, more: Sequence[Block], lsn: int) -> int:
        held = {block.id: block for block in await self._ground.branch(key)}
        pool = held | {b.id: b for b in more if b.id not in held or held[b.id].body is None}
        kept = grow(
            [BranchBlock(b.id, b.header.seq, b.header.previous) for b in pool.values()], fork
        )
        puts = [pool[ident] for ident in sorted(kept) if pool[ident] is not held.get(ident)]
        self._changes.branch_puts += [PlacedBlock(block, lsn) for block in puts]
        self._changes.branch_drops += [(key, ident) for ident in sorted(held.keys() - kept)]
        if key[1] == 0 and fork == 1:
            self._root(key[0], frozenset(i for i in kept if pool[i].header.seq == fork))
        return sum(block.id not in held for block in puts)

    async def _revoke(self, revocation: Revocation) -> None:
        await self._flush()
        held = await self._ground.revocations_of(revocation.person)
        kept = select([*held, revocation])
        if revocation not in held and revocation in kept:
            self._changes.revocation_drops += [r for r in held if r not in kept]
            self._arrive(What.STATEMENT, (revocation.device, 0), 0, 0)
            self._changes.revocations.append(revocation)
            self.outcome.revoked.append(revocation.device)
