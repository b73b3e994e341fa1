"""What an open home holds, in memory: for its meetings, and to let go what is beyond its cap.

While there is room and nobody meets, a batch that comes costs one question to the store. Once all
that is held was read, it is kept in mind, until the node cares about others than before.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gossip.mail_room import MailLimits
from ledger.listeners import Listeners
from mesh.holdings import Holdings
from mesh.mailbag import Dating, Mailbag
from mesh.readers import policy_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gossip.mail import Mail
    from gossip.policy import Policy
    from ledger.store.base import Absorbed, Batch
    from mesh.meeting import Keeper
    from mesh.node import Node

SETTLE_S: Final = 60.0
"""How often carried mail is looked through at most: lives are whole minutes."""


class Inventory:
    """The holdings and the mail of an open home; both are read when they are first needed.

    Args:
        node: Whose. Its writer tells what comes from now on.
        live: Whether it stays in its meetings once all is equal.
    """

    def __init__(self, node: Node, *, live: bool = False) -> None:
        self._node = node
        self._live = live
        self._holdings: Holdings | None = None
        self._bag: Mailbag | None = None
        self._opening = asyncio.Lock()
        self._settled = 0.0
        self._round = 0
        self._before = 0
        self._listeners: Listeners[()] = Listeners()
        self._hearers: Listeners[Absorbed] = Listeners()
        node.writer.heard = self.heard

    @property
    def let_go(self) -> int:
        """How often something of a log was let go."""
        return self._before + (0 if self._holdings is None else self._holdings.let_go)

    async def policy(self) -> Policy:
        """Return what the node cares about by now."""
        me = self._node.me
        policy = await policy_of(self._node.store, me.device, me.person, self._node.quota)
        return replace(policy, live=self._live)

    def listen(self, stale: Callable[[], None]) -> None:
        """Call ``stale`` whenever holdings that were given are those of this home no longer."""
        self._listeners.add(stale)

    def listen_for_batches(self, heard: Callable[[Absorbed], None]) -> None:
        """Call ``heard`` with what each batch came to."""
        self._hearers.add(heard)

    def forget(self) -> None:
        """Look again at what the node cares about; called when that changes."""
        self._before = self.let_go
        self._holdings = None
        self._round += 1
        self._listeners.tell()

    async def heard(self, absorbed: Absorbed) -> None:
        """Learn what a batch changed, and make room; see ``Writer``.

        Raises:
            StoreError: It could not be read about, or nothing be let go.
        """
        self._hearers.tell(absorbed)
        held, bag = self._holdings, self._bag
        if bag is not None and absorbed.mail and (held is None or held.mail is None):
            await bag.stored(absorbed.mail)
        if held is not None:
            await held.learn(absorbed)
        elif await self._node.store.size() > self._node.quota.high_mark:
            await self._read()

    async def _read(self) -> Holdings:
        """Return the holdings, read where they are not; called where nothing is being absorbed.

        Before a crash what came may have been durable, and what was to make room for it not.
        """
        while (held := self._holdings) is None:
            begun = self._round
            read = await Holdings.open(self._node.store, await self.policy())
            if begun == self._round:  # or the node cares about others by now
                self._holdings = read
                await read.make_room()
        return held

    async def holdings(self) -> Holdings:
        """Return what all meetings share.

        Raises:
            StoreError: It could not be read.
        """
        while True:
            bag = await self.mailbag()
            async with self._node.writer.alone:
                held = await self._read()
                if bag is self._bag:
                    held.mail = bag.mail
                    return held

    def are_current(self, holdings: Holdings) -> bool:
        """Say whether holdings that were given are still those of this home."""
        return holdings is self._holdings

    async def keeper(self) -> Keeper:
        """Return who takes what a meeting brings."""
        bag = await self.mailbag()
        return _Keeper(Dating(self._node.writer, bag), lambda: bag is self._bag)

    async def mailbag(self) -> Mailbag:
        """Return the home's mail; there is one mailbag for as long as it is open.

        What has lived goes first, but once a minute is often enough for that.
        """
        around = self._node.around
        async with self._opening:
            if self._bag is None:
                limits = MailLimits(bytes=self._node.quota.mail_bytes)
                async with self._node.writer.alone:
                    own = self._node.me.device
                    self._bag = await Mailbag.open(self._node.store, own, around, limits)
            elif around.steady() - self._settled >= SETTLE_S:
                await self._bag.settle()
            else:
                return self._bag
            self._settled = around.steady()
            return self._bag

    @asynccontextmanager
    async def mail(self) -> AsyncIterator[Mailbag]:
        """Give the home's mail for something that keeps what it changes of it."""
        bag = await self.mailbag()
        before = _contents(bag.mail)
        try:
            yield bag
        except BaseException:
            if bag is self._bag and _contents(bag.mail) != before:
                self._lose_mail()
            raise

    def _lose_mail(self) -> None:
        """Read the mail again: what is in mind may believe to have what never reached the disk."""
        self._bag = None
        if self._holdings is not None and self._holdings.mail is not None:
            self.forget()


@dataclass(frozen=True, slots=True)
class _Keeper:
    """A keeper for meetings that end when the mail is read again.

    What such a meeting still brings of mail is in nobody's mind any more, and nobody was told that
    it was kept: it is not.

    Attributes:
        keeper: Takes the batches.
        is_current: Says whether the mail is still that which the meeting knows.
    """

    keeper: Keeper
    is_current: Callable[[], bool]

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        if (batch.mail or batch.mail_drops) and not self.is_current():
            batch = replace(batch, mail=(), mail_drops=())
        return await self.keeper.absorb(batch, seen=seen, durable=durable)


def _contents(mail: Mail) -> object:
    """Return what tells whether anything about the mail was changed."""
    return dict(mail.carried), dict(mail.tokens), dict(mail.gone), set(mail.letters)
