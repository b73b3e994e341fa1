"""A store and its catalogue, kept in agreement: what is read after a batch, and for a session.

Every way of running the engine stands on this: ``mesh.holdings`` adds locks and listeners, the
simulator calls it as it is. The store is whatever satisfies ``Store``; nothing here waits for
anything else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from gossip.catalogue import Catalogue, Changes
from gossip.effects import Answer, Arrivals, Bodiless, Branches, EnvelopesOf, Query, Spans
from gossip.policy import REST_CLASS
from gossip.room import Room
from gossip.standing import MAX_MISSING
from ledger.run import SIGNED_EVERY
from ledger.store.base import Batch, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

    from gossip.policy import Policy
    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import Absorbed, Floor, LogKey, Store

MAX_FLOORS: Final = 1 << 16
"""Logs of which one remembers that they were let go."""
WANTS_NOTE: Final = "floors/wants"
"""Note that says for what one wanted when they were."""
_SPANS: Final = 256


class Shelf:
    """What a node holds.

    Args:
        store: Where.
        policy: What the node cares about.

    Attributes:
        catalogue: The same in short.
        room: How full it is.
    """

    def __init__(self, store: Store, policy: Policy) -> None:
        self.policy = policy
        self.catalogue = Catalogue(policy)
        self.room = Room(self.catalogue, policy)
        self._store = store

    @classmethod
    async def open(cls, store: Store, policy: Policy) -> Self:
        """Read what ``store`` holds.

        Raises:
            StoreError: It cannot be read.
        """
        held = cls(store, policy)
        await held.read_all()
        return held

    async def read_all(self) -> None:
        """Bring an empty catalogue up to what the store holds.

        Raises:
            StoreError: It cannot be read.
        """
        logs = {(log.author, log.number): log for log in await self._store.logs()}
        devices = [block async for page in self._store.devices() for block in page]
        revoked = {revocation.device for revocation in await self._store.revocations()}
        changes = await self._about(logs, revoked, devices)
        runs, newest = await self._store.runs(), await self._store.newest()
        floors = await self._floors()
        self.catalogue.learn(replace(changes, runs=runs, newest=newest, floors=floors))

    async def _floors(self) -> dict[LogKey, Floor]:
        """Return what was let go, unless more may be wanted now, or it is too much to remember."""
        floors, wants = await self._store.floors(), self.policy.wants
        if floors and (await self._store.note(WANTS_NOTE) != wants or len(floors) > MAX_FLOORS):
            batch = Batch(lift=True, notes={WANTS_NOTE: wants})
            await self._store.absorb(batch, seen=0, durable=False)
            return {}
        return floors

    async def changes(self, absorbed: Absorbed) -> Changes:
        """Return what the catalogue has to learn of a batch; it has learnt of those before.

        Raises:
            StoreError: It could not be read about.
        """
        devices = await self._new_devices(absorbed)
        about = await self._about(absorbed.logs, set(absorbed.revoked), devices)
        news = replace(about, arrivals=absorbed.arrivals, run=absorbed.run)
        return replace(
            news, dropped=absorbed.dropped, floors=absorbed.floors, lifted=absorbed.lifted
        )

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

    def let_go(self, dice: Random) -> Batch | None:
        """Return the batch that makes room, None where there is enough.

        Whoever takes it lets the catalogue learn that, and asks again.

        Args:
            dice: Chooses among strangers.
        """
        floors = self.room.victims(dice)
        if not floors:
            return None
        notes = {WANTS_NOTE: self.policy.wants}
        if len(floors) + len(self.catalogue.floors) <= MAX_FLOORS:
            return Batch(floors=floors, notes=notes)
        return Batch(floors=self._remembered() | floors, notes=notes, lift=True)

    def _remembered(self) -> dict[LogKey, Floor]:
        """Return half of what was let go: strangers' logs that went first are forgotten first."""
        floors = sorted(self.catalogue.floors.items(), key=lambda one: one[1].rank != REST_CLASS)
        return dict(floors[-MAX_FLOORS // 2 :])

    def _wants(self, key: LogKey) -> bool:
        return key not in self.policy.headers_only

    async def answer(self, query: Query) -> Answer:
        """Read what a session asks for.

        Raises:
            StoreError: It could not be read.
        """
        match query:
            case Arrivals(before, limit):
                return await self._store.arrivals(before, limit=limit)
            case Spans(spans):
                return await self._spans(spans)
            case Bodiless(key, limit):
                return await self._store.bodiless(key, limit=limit)
            case Branches(key):
                return await self._branches(key)
            case EnvelopesOf(idents):
                return await self._store.envelopes(idents)

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
