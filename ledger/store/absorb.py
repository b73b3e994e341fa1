"""How a batch changes a store: the same for every store, inside the store's transaction.

``ledger.chain`` says where a run goes; this module asks the store what ``chain`` needs to know,
turns the answers into ``Changes``, and hands those back to be written. Changes are collected
over the whole batch and written once, except around a fork, which is rare.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

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
from ledger.store.base import ROLLED_BACK, Absorbed, Arrival, Batch, LateBody, LogKey, What
from ledger.store.ground import Changes, Ground, PlacedBlock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ledger.statement import Revocation

_ROOT: Final = frozenset({ZEROS})


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
        self._numbers: dict[bytes, set[int]] = {}
        self._grown: set[LogKey] = set()
        self._statements: dict[bytes, list[Revocation]] = {}

    async def take(self, batch: Batch) -> Absorbed:
        """Take the whole batch and write what it changes.

        Raises:
            InvalidError: What the store holds contradicts itself: it is damaged.
        """
        authors = {run.author for run in batch.runs} | {late.author for late in batch.bodies}
        authors |= {proof.author for proof in batch.proofs}
        self._logs, self._roots = await self._ground.load(sorted(authors))
        for author, number in self._logs:
            self._numbers.setdefault(author, set()).add(number)
        for revocation in batch.revocations:
            await self._revoke(revocation)
        for proof in batch.proofs:
            await self._convict(proof)
        for run in batch.runs:
            await self._take_run(run)
        if batch.bodies:
            await self._take_bodies(batch.bodies)
        self._changes.notes.update(batch.notes)
        touched = [*self.outcome.grown, *self.outcome.forks]
        if any(author == batch.own for author, _ in touched):
            self._changes.notes[ROLLED_BACK] = b"\x01"
            self.outcome.rolled_back = True
        await self._flush()
        return self.outcome

    def _log(self, key: LogKey) -> Log:
        author, number = key
        roots = _ROOT if number == 0 else self._roots.get(author, frozenset())
        log = self._logs.get(key)
        if log is None:
            return Log(author, number, roots)
        return log if log.roots == roots else replace(log, roots=roots)

    def _keep(self, log: Log) -> None:
        key = (log.author, log.number)
        self._numbers.setdefault(log.author, set()).add(log.number)
        self._logs[key] = self._changes.logs[key] = log

    async def _flush(self) -> None:
        changes, self._changes = self._changes, Changes()
        await self._ground.write(changes)

    def _arrive(self, what: What, key: LogKey, low: int, high: int, hops: int = 0) -> int:
        lsn, self.lsn = self.lsn, self.lsn + 1
        self._changes.arrivals.append(Arrival(lsn, what, *key, low, high, hops, self._seen))
        return lsn

    async def _take_run(self, run: Run) -> None:
        """Place what comes before a known fork; the rest may belong to a branch."""
        fork = self._log((run.author, run.log)).fork
        if fork is None or run.high < fork:
            await self._place(run, run)
            return
        start = max(fork - run.low, 0)
        if start and not await self._place(Run(run.blocks[:start], run.hops), run):
            return
        await self._branch(Run(run.blocks[start:], run.hops))

    async def _place(self, run: Run, whole: Run) -> bool:
        """Place ``run``, which is ``whole`` or what of it comes before a known fork.

        Returns:
            False if it proved an earlier fork; all of ``whole`` was taken then.
        """
        key = (run.author, run.log)
        log, held = self._log(key), dict[int, Held]()
        while isinstance(placement := place(log, run, held), Need):
            await self._flush()
            held |= await self._ground.held(key, placement.low, placement.high)
            if not held.keys() >= set(range(placement.low, placement.high + 1)):
                raise InvalidError(f"no block where one is held, before seq {placement.high + 1}")
        match placement:
            case Placed():
                await self._apply(run, log, placement)
            case Refused(reason):
                self.outcome.refused.append((key, reason))
            case Conflict():
                await self._flush()
                await self._convict(await self._prove(whole, placement), prune=False)
                await self._take_run(whole)
                return False
        return True

    async def _apply(self, run: Run, before: Log, placed: Placed) -> None:
        key, log, new = (run.author, run.log), placed.log, 0
        for low, high in placed.new:
            lsn = self._arrive(What.BLOCKS, key, low, high, run.hops)
            fresh = run.blocks[low - run.low : high - run.low + 1]
            self._changes.blocks += [PlacedBlock(block, lsn) for block in fresh]
            lacking = sum(block.body is None for block in fresh)
            if lacking:
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
            await self._take_bodies(
                [LateBody(*b.header[:3], b.body) for b in run.blocks if b.body is not None]
            )

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
        for key in others:
            joined = self._log(key).joined
            if joined is not None and was[key] is None:
                self._arrive(What.JOINED, key, joined.low, joined.high)

    async def _take_bodies(self, bodies: Sequence[LateBody]) -> None:
        """Fill in the bodies that are missing; others are not looked at."""
        await self._flush()
        by_log: dict[LogKey, list[LateBody]] = {}
        for late in bodies:
            by_log.setdefault((late.author, late.log), []).append(late)
        for key, some in by_log.items():
            if self._log(key).fork is not None:
                await self._fill_branches(key, some)
            lacking = await self._ground.bodiless(key, {late.seq for late in some})
            filled: list[LateBody] = []
            for late in some:
                if late.seq not in lacking:
                    continue
                try:
                    check_body(lacking[late.seq], late.body)
                except InvalidError as exc:
                    self.outcome.refused.append((key, str(exc)))
                else:
                    del lacking[late.seq]
                    filled.append(late)
            self._fill(key, filled)

    def _fill(self, key: LogKey, bodies: Collection[LateBody]) -> None:
        if bodies:
            log = self._log(key)
            self._keep(replace(log, bodies_missing=log.bodies_missing - len(bodies)))
            for low, high in _ranges(late.seq for late in bodies):
                self._arrive(What.BODIES, key, low, high)
            self._changes.bodies += bodies
            self.outcome.bodies += len(bodies)

    async def _fill_branches(self, key: LogKey, bodies: Sequence[LateBody]) -> None:
        """As ``_take_bodies``, from the fork on, where two blocks may have one seq."""
        held = {block.id: block for block in await self._ground.branch(key)}
        filled: dict[bytes, Block] = {}
        for late in bodies:
            for ident, block in held.items():
                if block.header.seq == late.seq and block.body is None and _fits(block, late):
                    filled[ident] = block._replace(body=late.body)
        if filled:
            lsn = self.lsn
            for low, high in _ranges({block.header.seq for block in filled.values()}):
                self._arrive(What.BODIES, key, low, high)
            self._replant(key, held, held | filled, lsn)
            self.outcome.bodies += len(filled)

    async def _prove(self, run: Run, conflict: Conflict) -> ForkProof:
        key, low = (run.author, run.log), conflict.held_from
        ours = await self._ground.read_all(key, low, low + SIGNED_EVERY - 1)
        for block in await self._ground.branch(key):
            if ours and block.header.previous == ours[-1].id:
                ours.append(block)
        theirs = run.blocks[conflict.run_from - run.low :]
        return ForkProof.of(Vouched.of(ours), Vouched.of(theirs))

    async def _convict(self, proof: ForkProof, *, prune: bool = True) -> None:
        key = (proof.author, proof.log)
        await self._flush()
        known = await self._ground.proof(key)
        if known is not None and not proof.outweighs(known):
            return
        self._changes.proofs.append(proof)
        log = self._log(key)
        if log.fork is None or proof.seq < log.fork:
            await self._cut(log, proof.seq, prune=prune)

    async def _cut(self, log: Log, fork: int, *, prune: bool) -> None:
        """Move what is held from the fork on out of the pieces and into the branches.

        Args:
            log: What is held.
            fork: The new verdict.
            prune: Keep of the branches what belongs there; False where the run that proved the
                fork, and may hold blocks between, is taken next.
        """
        key = (log.author, log.number)
        moved = await self._ground.read_all(key, fork, fork + MAX_BRANCH_BLOCKS)
        tips = await self._ground.held(key, fork - 1, fork - 1)
        held = {block.id: block for block in await self._ground.branch(key)}
        pool = held | {block.id: block for block in moved}
        if fork - 1 not in tips and any(p.low < fork <= p.high for p in log.pieces):
            raise InvalidError(f"no block where one is held, at seq {fork - 1}")
        after = cut(log, fork, tips)
        kept = _branches(after, pool) if prune else frozenset(pool)
        self._changes.cuts.append((key, fork))
        self._keep(after)
        if key not in self.outcome.forks:
            self.outcome.forks.append(key)
        lsn = self._arrive(What.VERDICT, key, fork, fork)
        self._replant(key, held, {i: pool[i] for i in kept}, lsn)
        await self._flush()
        missing = await self._ground.count_bodiless(key)
        self._keep(replace(after, bodies_missing=missing))

    async def _branch(self, run: Run) -> None:
        """Blocks from a fork on: kept if they belong to the branches that are."""
        key = (run.author, run.log)
        await self._flush()
        held = {block.id: block for block in await self._ground.branch(key)}
        pool = held | {block.id: _richer(block, held.get(block.id)) for block in run.blocks}
        kept = {i: pool[i] for i in _branches(self._log(key), pool)}
        mine = [block for block in run.blocks if block.id in kept]
        new = [block.header.seq for block in mine if block.id not in held]
        filled = [
            block.header.seq
            for block in mine
            if block.body is not None and block.id in held and held[block.id].body is None
        ]
        lsn = self.lsn
        if new:
            self._arrive(What.BLOCKS, key, new[0], new[-1], run.hops)
        for low, high in _ranges(filled):
            self._arrive(What.BODIES, key, low, high)
        self._replant(key, held, kept, lsn)
        self._count(key, len(new), sum(block.id in held for block in run.blocks))
        self.outcome.bodies += len(filled)

    def _replant(
        self, key: LogKey, held: Mapping[bytes, Block], kept: Mapping[bytes, Block], lsn: int
    ) -> None:
        """Have ``kept`` where ``held`` was."""
        changed = [kept[ident] for ident in sorted(kept) if kept[ident] != held.get(ident)]
        self._changes.branch_puts += [PlacedBlock(block, lsn) for block in changed]
        self._changes.branch_drops += [(key, ident) for ident in sorted(held.keys() - kept.keys())]
        if key[1] == 0 and self._log(key).fork == 1:
            self._root(key[0], frozenset(i for i, b in kept.items() if b.header.seq == 1))

    async def _revoke(self, revocation: Revocation) -> None:
        person = revocation.person
        if person not in self._statements:
            self._statements[person] = await self._ground.revocations_of(person)
        held = self._statements[person]
        kept = select([*held, revocation])
        if revocation in held or revocation not in kept:
            return
        self._statements[person] = kept
        pending = self._changes.revocations
        for gone in held:
            if gone in kept:
                continue
            if gone in pending:
                pending.remove(gone)
            else:
                self._changes.revocation_drops.append(gone)
        pending.append(revocation)
        self._arrive(What.STATEMENT, (revocation.device, 0), 0, 0)
        if revocation.device not in self.outcome.revoked:
            self.outcome.revoked.append(revocation.device)


def _branches(log: Log, pool: Mapping[bytes, Block]) -> frozenset[bytes]:
    """Choose which of ``pool`` are kept of the branches of ``log``, which is forked."""
    fork = log.fork or 1
    trunk = next((piece.tip for piece in log.pieces if piece.high == fork - 1), None)
    shape = [BranchBlock(b.id, b.header.seq, b.header.previous) for b in pool.values()]
    return grow(shape, fork, trunk)


def _fits(block: Block, late: LateBody) -> bool:
    try:
        check_body(block.header, late.body)
    except InvalidError:
        return False
    return True


def _richer(block: Block, held: Block | None) -> Block:
    """The same block with whatever signature and body one of the two has."""
    if held is None:
        return block
    body = block.body if held.body is None else held.body
    return held._replace(signature=held.signature or block.signature, body=body)


def _ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges
