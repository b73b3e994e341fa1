"""A store and what is known of it in memory, as all meetings of a node share them."""

from __future__ import annotations

import asyncio
from collections import deque
from random import SystemRandom
from typing import TYPE_CHECKING, Self

from gossip.claims import Claims
from gossip.shelf import Shelf
from ledger.listeners import Listeners
from ledger.store.base import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from gossip.carried import MailNews
    from gossip.effects import Answer, Query
    from gossip.mail import Mail
    from gossip.policy import Policy
    from ledger.store.base import Absorbed, LogKey, MailRow, Store


class Holdings:
    """What a node holds.

    Args:
        store: Where.
        policy: What the node cares about.
        dice: Chooses among strangers when there is no more room.
        mail: What mail it carries, if any.

    Attributes:
        catalogue: The same in short.
        room: How full it is.
        mail: What mail it carries; None if it carries none.
        claims: What is being fetched by which meeting.
        let_go: How often something of a log was let go.
    """

    def __init__(
        self, store: Store, policy: Policy, dice: Random | None = None, mail: Mail | None = None
    ) -> None:
        self._dice = dice or SystemRandom()
        self.policy = policy
        self.mail = mail
        self._shelf = Shelf(store, policy)
        self.catalogue = self._shelf.catalogue
        self.room = self._shelf.room
        self.claims = Claims(policy.limits.patience)
        self.let_go = 0
        self._store = store
        self._alone = asyncio.Lock()
        self._learning = asyncio.Lock()
        self._unlearned: deque[Absorbed] = deque()
        self._listeners: Listeners[Mapping[LogKey, bool]] = Listeners()
        self._readers: Listeners[MailNews] = Listeners()

    @classmethod
    async def open(cls, store: Store, policy: Policy) -> Self:
        """Read what ``store`` holds.

        Raises:
            StoreError: It cannot be read.
        """
        held = cls(store, policy)
        await held._shelf.read_all()
        return held

    def listen(self, heard: Callable[[Mapping[LogKey, bool]], None]) -> Callable[[], None]:
        """Call ``heard`` with the logs that changed, whenever some did; return how to stop that."""
        return self._listeners.add(heard)

    async def _spread(self, mail: Mail, rows: Sequence[MailRow]) -> None:
        """Let all meetings know that mail came, and whoever waits for it."""
        news = mail.stored(rows)
        if news.stale:
            await self._store.absorb(Batch(mail_drops=news.stale), seen=0, durable=False)
        try:
            self._listeners.tell({})
        finally:
            self._readers.tell(news)

    def listen_for_mail(self, told: Callable[[MailNews], None]) -> Callable[[], None]:
        """Call ``told`` with news of mail, once it is stored; return how to stop that."""
        return self._readers.add(told)

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
        if absorbed.is_news:
            self._unlearned.append(absorbed)
        if absorbed.mail and self.mail is not None:
            await self._spread(self.mail, absorbed.mail)
        await self._learn_all()
        await self.make_room()

    async def make_room(self) -> None:
        """Let go what is beyond the cap; called where nothing else is being absorbed.

        Raises:
            StoreError: It could not be let go, or not be read about; that comes first next time.
        """
        while (batch := self._shelf.let_go(self._dice)) is not None:
            self._unlearned.append(await self._store.absorb(batch, seen=0, durable=False))
            self.let_go += len(batch.floors)
            await self._learn_all()

    async def _learn_all(self) -> None:
        async with self._learning:
            while self._unlearned:
                await self._learn_next(self._unlearned[0])

    async def _learn_next(self, absorbed: Absorbed) -> None:
        changes = await self._shelf.changes(absorbed)
        self._unlearned.popleft()
        self._listeners.tell(self.catalogue.learn(changes))

    async def answer(self, query: Query) -> Answer:
        """Read what a session asks for.

        Raises:
            StoreError: It could not be read.
        """
        return await self._shelf.answer(query)
