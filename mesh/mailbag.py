"""The mail that a home carries, for as long as the home is open: minutes or months.

Whoever changes ``mail`` has the changes kept by ``keep``, or puts them into a batch of his own that
``dated`` has seen, so that with all mail is kept how much time had passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gossip.control import MAIL_RUN_BYTES
from gossip.envelope import MAX_LIFE_MIN
from gossip.mail import Mail
from ledger.store.base import Batch, MailWhat
from mesh.elapsed import ELAPSED, Elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gossip.carried import MailChanges
    from gossip.mail_room import MailLimits
    from ledger.store.base import Absorbed, MailRow, Store
    from mesh.meeting import Keeper
    from mesh.node import Surroundings


@dataclass(frozen=True, slots=True)
class Mailbag:
    """The mail of an open home.

    Attributes:
        mail: What it carries. Every ``now`` it is given is one of ``now`` here; meetings that share
            it run by the steady clock of the node's surroundings.
        store: Where that is kept.
        elapsed: How much time has passed.
    """

    mail: Mail
    store: Store
    elapsed: Elapsed

    @classmethod
    async def open(
        cls, store: Store, own: bytes, around: Surroundings, limits: MailLimits | None = None
    ) -> Mailbag:
        """Read the mail that ``store`` holds, but for the envelopes themselves.

        Args:
            store: Where it is kept.
            own: This node's device.
            around: Clocks and randomness.
            limits: How much is carried.

        Raises:
            StoreError: It cannot be read.
        """
        rows = await store.mail()
        elapsed = Elapsed.resume(await store.note(ELAPSED), around, _least(rows))
        mail = Mail(own, around.random(MAIL_RUN_BYTES), limits, *elapsed.origin)
        mail.load(rows, await store.mail_sizes() if rows else {})
        bag = cls(mail, store, elapsed)
        await bag.settle()
        return bag

    @property
    def now(self) -> float:
        """The moment, seconds by the steady clock."""
        return self.elapsed.now

    async def settle(self) -> None:
        """Let go what has lived, and keep how much time has passed.

        To be called before mail is used after a while, and every few hours in a process that runs
        for months: of what passed since the last time at most a day counts if it is killed.
        """
        await self.keep(self.mail.expire(self.now), durable=False)

    async def keep(self, changes: MailChanges, *, durable: bool = True) -> None:
        """Store changes of the mail, and how much time has passed."""
        batch = self.dated(Batch(mail=changes.puts, mail_drops=changes.drops))
        if batch.mail or batch.mail_drops or batch.notes:
            await self.stored((await self.store.absorb(batch, seen=0, durable=durable)).mail)

    def dated(self, batch: Batch) -> Batch:
        """Return a batch that also keeps how much time has passed, if it matters to any mail."""
        mail = self.mail
        if not (mail.carried or mail.tokens or mail.gone):
            return batch
        return replace(batch, notes={**batch.notes, ELAPSED: self.elapsed.note()})

    async def stored(self, rows: Sequence[MailRow]) -> None:
        """Note that rows are in the store; drop those that were let go meanwhile."""
        news = self.mail.stored(rows)
        if news.stale:
            await self.store.absorb(Batch(mail_drops=news.stale), seen=0, durable=False)


@dataclass(frozen=True, slots=True)
class Dating:
    """A keeper for meetings that keeps with all mail how much time had passed.

    Attributes:
        keeper: Takes the batches.
        mailbag: Of the same node.
    """

    keeper: Keeper
    mailbag: Mailbag

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """As a store does."""
        if batch.mail or batch.mail_drops:
            batch = self.mailbag.dated(batch)
        return await self.keeper.absorb(batch, seen=seen, durable=durable)


def _least(rows: Iterable[MailRow]) -> int:
    """Return how many seconds must have passed: no envelope lives longer than is allowed.

    So a note that was lost, or is older than the mail, makes nothing live for ever.
    """
    ends = (row.until for row in rows if row.what is MailWhat.CARRIED)
    return max(0, max(ends, default=0) - 60 * MAX_LIFE_MIN)
