"""How a batch changes a store: the same for every store, inside the store's transaction.

``ledger.chain`` says where a run goes; this module asks the store what ``chain`` needs to know,
turns the answers into ``Changes``, and hands those back to be written. Changes are collected
over the whole batch and written once, except around a fork, which is rare.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.chain import Conflict, Held, Need, Placed, Refused, place
from ledger.errors import InvalidError
from ledger.run import Run
from ledger.statement import select
from ledger.store.absorb_bodies import BatchBodies
from ledger.store.base import ROLLED_BACK, Absorbed, Batch, LateBody, What
from ledger.store.ground import Ground, PlacedBlock, block_bytes

if TYPE_CHECKING:
    from ledger.chain import Log
    from ledger.statement import Revocation


class Absorption(BatchBodies):
    """One batch on its way into a store.

    Args:
        ground: The store, inside its transaction.
        lsn: The next serial number to give.
        seen: Now, ms since 1970.
    """

    def __init__(self, ground: Ground, lsn: int, seen: int) -> None:
        super().__init__(ground, lsn, seen)
        self._statements: dict[bytes, list[Revocation]] = {}

    async def take(self, batch: Batch) -> Absorbed:
        """Take the whole batch and write what it changes.

        Raises:
            InvalidError: What the store holds contradicts itself: it is damaged.
        """
        await self._load(batch)
        for revocation in batch.revocations:
            await self._revoke(revocation)
        for proof in batch.proofs:
            await self._convict(proof)
        for run in batch.runs:
            await self._take_run(run)
        if batch.bodies:
            await self._take_bodies(batch.bodies)
        self._changes.notes.update(batch.notes)
        self._changes.mail += batch.mail
        self.outcome.mail = batch.mail
        self._changes.mail_drops += batch.mail_drops
        touched = [*self.outcome.grown, *self.outcome.forks]
        if any(author == batch.own for author, _ in touched):
            self._changes.notes[ROLLED_BACK] = b"\x01"
            self.outcome.rolled_back = True
        self._changes.lift = self.outcome.lifted = batch.lift
        await self._flush()
        for key, floor in batch.floors.items():
            await self._forget(key, floor)
        await self._flush()
        await self._measure()
        self.outcome.logs = self._changed()
        return self.outcome

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
            size = sum(map(block_bytes, fresh))
            lacking += log.bodies_missing
            log = replace(log, bodies_missing=lacking, bytes=log.bytes + size)
            new += len(fresh)
        self._count(key, new, len(run.blocks) - new)
        for piece in placed.joins:
            self._arrive(What.JOINED, key, piece.low, piece.high)
        if placed.sign is not None and run.blocks[-1].signature:
            self._changes.signatures.append((key, placed.sign, run.blocks[-1].signature))
        if log != before or log.bytes != before.bytes:
            self._keep(log)
        if new and run.log == 0 and run.low == 1:
            self._root(run.author, frozenset({run.id_at(1)}))
            self.outcome.devices += run.blocks[:1] if run.blocks[0].body is not None else ()
        if new < len(run.blocks) and before.bodies_missing:
            await self._take_bodies(
                [LateBody(*b.header[:3], b.body) for b in run.blocks if b.body is not None]
            )

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
        concerned = {revocation.device} | {gone.device for gone in held if gone not in kept}
        self.outcome.revoked += sorted(concerned - set(self.outcome.revoked))
