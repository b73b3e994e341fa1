"""What a fork changes: the verdict, and the branches that are kept from there on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.chain import MAX_BRANCH_BLOCKS, BranchBlock, Conflict, Log, cut, grow
from ledger.errors import InvalidError
from ledger.fork import ForkProof, Vouched
from ledger.run import SIGNED_EVERY, Run
from ledger.store.absorb_logs import BatchLogs
from ledger.store.base import LogKey, What
from ledger.store.ground import PlacedBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.block import Block


class BatchForks(BatchLogs):
    """The forks that a batch proves, and its blocks from a fork on."""

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
        self._regrown.add(key)
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
        self._remeasured.add(key)
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
        for low, high in ranges(filled):
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
        gone = sorted(held.keys() - kept.keys())
        self._changes.branch_drops += [(key, ident) for ident in gone]
        if changed or gone:
            self._regrown.add(key)
            self._remeasured.add(key)
        if key[1] == 0 and self._log(key).fork == 1:
            self._root(key[0], frozenset(i for i, b in kept.items() if b.header.seq == 1))


def _branches(log: Log, pool: Mapping[bytes, Block]) -> frozenset[bytes]:
    """Choose which of ``pool`` are kept of the branches of ``log``, which is forked."""
    fork = log.fork or 1
    trunk = next((piece.tip for piece in log.pieces if piece.high == fork - 1), None)
    shape = [BranchBlock(b.id, b.header.seq, b.header.previous) for b in pool.values()]
    return grow(shape, fork, trunk)


def _richer(block: Block, held: Block | None) -> Block:
    """The same block with whatever signature and body one of the two has."""
    if held is None:
        return block
    body = block.body if held.body is None else held.body
    return held._replace(signature=held.signature or block.signature, body=body)


def ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Return (low, high) of each stretch of consecutive ``seqs``, ascending."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges
