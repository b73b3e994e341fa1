"""A store and what is known of it in memory, as all meetings of a node share them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from gossip.catalogue import Catalogue, Changes
from gossip.claims import Claims
from gossip.effects import Answer, Arrivals, Bodiless, Branches, Query, Spans
from gossip.standing import MAX_MISSING
from ledger.run import SIGNED_EVERY
from ledger.store.base import Absorbed, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gossip.policy import Policy
    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import Batch, LogKey, Store

_SPANS: Final = 256


class Holdings:
    """What a node holds.

    Args:
        store: Where.
        policy: What the node cares about.

    Attributes:
        catalogue: The same in short.
        claims: What is being fetched by which meeting.
    """

    def __init__(self, store: Store, policy: Policy) -> None:
        self.policy = policy
        self.catalogue = Catalogue(policy)
        self.claims = Claims(policy.limits.patience)
        self._store = store
        self._alone = asyncio.Lock()
        self._learning = asyncio.Lock()
        self._unlearned: deque[Absorbed] = deque()
        self._listeners: set[Callable[[Mapping[LogKey, bool]], None]] = set()

    @classmethod
    async def open(cls, store: Store, policy: Policy) -> Self:
        """Read what ``store`` holds.

        Raises:
            StoreError: It cannot be read.
        """
        held = cls(store, policy)
        logs = {(log.author, log.number): log for log in await store.logs()}
        devices = [block async for page in store.devices() for block in page]
        revoked = {revocation.device for revocation in await store.revocations()}
        changes = await held._about(logs, revoked, devices)
        runs, newest = await store.runs(), await store.newest()
        held.catalogue.learn(replace(changes, runs=runs, newest=newest))
        return held

    def listen(self, heard: Callable[[Mapping[LogKey, bool]], None]) -> Callable[[], None]:
        """Call ``heard`` with the logs that changed, whenever some did; return how to stop that."""
        self._listeners.add(heard)
        return lambda: self._listeners.discard(heard)

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """Take a batch into the store, and notice what it changed, even if nobody waits for it.

        Raises:
            StoreError: The batch was not stored; or it was, and could not be read about: then that
                comes first next time.
        """
        return await asyncio.shield(self.take(batch, seen=seen, durable=durable))

    async def take(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """As ``absorb``, but may be cancelled between the two."""
        async with self._alone:
            await self._learn_all()
            absorbed = await self._store.absorb(batch, seen=seen, durable=durable)
            await self.learn(absorbed)
        return absorbed

    async def learn(self, absorbed: Absorbed) -> None:
        """Notice what a batch changed; called in the order in which batches were absorbed.

        Raises:
            StoreError: It could not be read about; that comes first next time.
        """
        if absorbed.arrivals or absorbed.logs:
            self._unlearned.append(absorbed)
        await self._learn_all()

    async def _learn_all(self) -> None:
        async with self._learning:
            while self._unlearned:
                await self._learn_next(self._unlearned[0])

    async def _learn_next(self, absorbed: Absorbed) -> None:
        devices = await self._new_devices(absorbed)
        about = await self._about(absorbed.logs, set(absorbed.revoked), devices)
        self._unlearned.popleft()
        changes = replace(about, arrivals=absorbed.arrivals, run=absorbed.run)
        changed = self.catalogue.learn(changes)
        for heard in list(self._listeners):
            heard(changed)

    async def _new_devices(self, absorbed: Absorbed) -> list[Block]:
        """Return the device blocks of devices of which none was known."""
        new = [
            key
            for key, log in absorbed.logs.items()
            if key[1] == 0 and log.head and not self.catalogue.has_device(key[0])
        ]
        came = {block.header.author: block for block in absorbed.devices}
        rest = [Span(key, 1, 1) for key in new if key[0] not in came]
        found = [rows[0] for rows in await self._spans(rest) if rows]
        return [came[key[0]] for key in new if key[0] in came] + found

    async def _about(
        self, logs: Mapping[LogKey, Log], revoked: set[bytes], devices: Iterable[Block]
    ) -> Changes:
        """Read what the catalogue wants to know of logs besides themselves: rarely anything."""
        forked = [key for key, log in logs.items() if log.fork is not None]
        proofs = await self._store.proofs(forked) if forked else []
        lacking = [key for key, log in logs.items() if log.bodies_missing and self._wants(key)]
        statements = await self._store.revocations(revoked) if revoked else []
        return Changes(
            logs=logs,
            missing={key: await self._store.bodiless(key, limit=MAX_MISSING) for key in lacking},
            proofs={(proof.author, proof.log): proof for proof in proofs},
            branches={key: await self._store.branches(key) for key in forked},
            statements={
                device: [s for s in statements if s.device == device] for device in revoked
            },
            devices=devices,
        )

    def _wants(self, key: LogKey) -> bool:
        return key not in self.policy.headers_only

    async def answer(self, query: Query) -> Answer:
        """Read what a session asks for."""
        match query:
            case Arrivals(before, limit):
                return await self._store.arrivals(before, limit=limit)
            case Spans(spans):
                return await self._spans(spans)
            case Bodiless(key, limit):
                return await self._store.bodiless(key, limit=limit)
            case Branches(key):
                return await self._branches(key)

    async def _spans(self, spans: Iterable[Span]) -> list[list[Block]]:
        todo = list(spans)
        found: list[list[Block]] = []
        for at in range(0, len(todo), _SPANS):
            found += await self._store.read_spans(todo[at : at + _SPANS])
        return found

    async def _branches(self, key: LogKey) -> list[Block]:
        """Return the kept branches, and before them what only they vouch for."""
        log = self.catalogue.logs.get(key)
        if log is None or log.fork is None:
            return []
        high = log.fork - 1
        before = await self._store.read(key, max(1, high - SIGNED_EVERY + 1), high)
        trunk: list[Block] = []
        for block in before:
            trunk = [] if block.signature else [*trunk, block]
        return [*trunk, *await self._store.branches(key)]
