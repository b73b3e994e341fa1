"""What an open home holds, in memory: for its meetings, and to let go what is beyond its cap.

While there is room and nobody meets, a batch that comes costs one question to the store. Once all
that is held was read, it is kept in mind, until the node cares about others than before.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gossip.mail_room import MailLimits
from mesh.holdings import Holdings
from mesh.mailbag import Dating, Mailbag
from mesh.readers import policy_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gossip.policy import Policy
    from ledger.store.base import Absorbed
    from mesh.meeting import Keeper
    from mesh.node import Node


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
        self._before = 0
        self._listeners: set[Callable[[], None]] = set()
        self._hearers: list[Callable[[Absorbed], None]] = []
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
        self._hearers.append(heard)

    def forget(self) -> None:
        """Look again at what the node cares about; called when that changes."""
        self._before = self.let_go
        self._holdings = None
        for stale in self._listeners:
            stale()

    async def heard(self, absorbed: Absorbed) -> None:
        """Learn what a batch changed, and make room; see ``Writer``.

        Raises:
            StoreError: It could not be read about, or nothing be let go.
        """
        node = self._node
        for heard in self._hearers:
            heard(absorbed)
        if self._holdings is not None:
            await self._holdings.learn(absorbed)
        elif await node.store.size() > node.quota.high_mark:
            self._holdings = await Holdings.open(node.store, await self.policy())
            await self._holdings.make_room()

    async def holdings(self) -> Holdings:
        """Return what all meetings share.

        Raises:
            StoreError: It could not be read.
        """
        bag = await self.mailbag()
        async with self._node.writer.alone:
            if self._holdings is None:
                self._holdings = await Holdings.open(self._node.store, await self.policy())
            self._holdings.mail = bag.mail
            return self._holdings

    async def keeper(self) -> Keeper:
        """Return who takes what a meeting brings."""
        return Dating(self._node.writer, await self.mailbag())

    async def mailbag(self) -> Mailbag:
        """Return the home's mail; there is one mailbag for as long as it is open."""
        async with self._opening:
            if self._bag is not None:
                await self._bag.settle()
                return self._bag
            limits = MailLimits(bytes=self._node.quota.mail_bytes)
            store, around = self._node.store, self._node.around
            self._bag = await Mailbag.open(store, self._node.me.device, around, limits)
            return self._bag

    @asynccontextmanager
    async def mail(self) -> AsyncIterator[Mailbag]:
        """Give the home's mail for something that keeps what it changes of it."""
        bag = await self.mailbag()
        try:
            yield bag
        except BaseException:
            self._bag = None  # it may believe to have what never reached the disk
            if self._holdings is not None and self._holdings.mail is not None:
                self.forget()
            raise
