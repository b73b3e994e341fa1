"""A home's cap, kept whatever comes in: also of a file, which nobody measures out.

While there is room this costs one question to the store a batch. Only once there is none is all
that is held read into memory, and from then on kept in mind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.holdings import Holdings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gossip.policy import Policy, Quota
    from ledger.store.base import Absorbed, Store


class MakingRoom:
    """Lets go what is beyond the cap, after each batch that a writer takes.

    Args:
        store: What is held.
        quota: How much may be.
        policy: Gives what the node cares about by now.

    """

    def __init__(self, store: Store, quota: Quota, policy: Callable[[], Awaitable[Policy]]) -> None:
        self._store = store
        self._quota = quota
        self._policy = policy
        self._holdings: Holdings | None = None
        self._before = 0

    def forget(self) -> None:
        """Look again at what the node cares about; called when that changes."""
        self._before = self.let_go
        self._holdings = None

    @property
    def let_go(self) -> int:
        """How often something of a log was let go."""
        return self._before + (0 if self._holdings is None else self._holdings.let_go)

    async def heard(self, absorbed: Absorbed) -> None:
        """Learn what a batch changed, and make room; see ``Writer``.

        Raises:
            StoreError: It could not be read about, or nothing be let go.
        """
        if self._holdings is not None:
            await self._holdings.learn(absorbed)
        elif await self._store.size() > self._quota.high_mark:
            self._holdings = await Holdings.open(self._store, await self._policy())
            await self._holdings.make_room()
