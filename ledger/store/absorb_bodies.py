"""How bodies that come later are filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.block import Block, check_body
from ledger.errors import InvalidError
from ledger.store.absorb_forks import BatchForks, ranges
from ledger.store.base import LateBody, LogKey, What

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class BatchBodies(BatchForks):
    """The bodies that a batch brings without their blocks."""

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
            lacking, size = log.bodies_missing - len(bodies), sum(len(b.body) for b in bodies)
            self._keep(replace(log, bodies_missing=lacking, bytes=log.bytes + size))
            for low, high in ranges(late.seq for late in bodies):
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
            for low, high in ranges({block.header.seq for block in filled.values()}):
                self._arrive(What.BODIES, key, low, high)
            self._replant(key, held, held | filled, lsn)
            self.outcome.bodies += len(filled)


def _fits(block: Block, late: LateBody) -> bool:
    try:
        check_body(block.header, late.body)
    except InvalidError:
        return False
    return True
