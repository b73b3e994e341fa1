"""A device's own writing: one writer, durable before anyone hears of it, in groups.

Whoever writes while a commit is under way is in the next one, so many writers share a disk's slow
sync. A commit runs to its end even if all who wait for it are cancelled: a sequence number that
may be on the disk is never used again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.block import (
    MAX_BODY_BYTES,
    ZEROS,
    Block,
    Counterparty,
    Header,
    body_hash,
    sign_block,
)
from ledger.errors import InvalidError, PassalongError, StoreError
from ledger.run import Run
from ledger.store.base import ROLLED_BACK, Batch
from mesh.vault import LockedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ledger.chain import Log
    from ledger.keys import SigningKey
    from ledger.store.base import Absorbed, Store

MAX_GROUP: Final = 500
"""Blocks in one commit; more save nothing."""


class RolledBackError(PassalongError):
    """This home is an old copy: the device has written more than it holds."""

    def __init__(self) -> None:
        super().__init__(
            "this home is an old copy of itself, and writing on would break your log; run"
            " `passalong restore --words-file FILE` to go on as a new device"
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A block to be written.

    Attributes:
        log: Which of the device's logs.
        kind: What the body means.
        body: At most 16,384 bytes.
        counterparty: Set in half-blocks.
    """

    log: int
    kind: str
    body: bytes
    counterparty: Counterparty | None = None


_Waiting: TypeAlias = "tuple[Draft, asyncio.Future[Block]]"


@dataclass(slots=True)
class _Head:
    seq: int
    id: bytes


@dataclass(slots=True)
class Heads:
    """Where a device's logs end; ``extend`` signs what comes next.

    Attributes:
        key: The device's; None while the home is locked.
        ends: By number of the log.
    """

    key: SigningKey | None
    ends: dict[int, _Head] = field(default_factory=dict)

    @classmethod
    def of(cls, key: SigningKey, logs: Iterable[Log]) -> Heads:
        """Take the ends from what a store holds of the device."""
        heads = cls.locked(key.public, logs)
        heads.key = key
        return heads

    @classmethod
    def locked(cls, device: bytes, logs: Iterable[Log]) -> Heads:
        """Do so without its key."""
        ends = {
            log.number: _Head(log.joined.high, log.joined.tip)
            for log in logs
            if log.author == device and log.joined is not None
        }
        return cls(None, ends)

    def extend(self, draft: Draft) -> Block:
        """Sign ``draft`` as the next block of its log.

        Raises:
            LockedError: The home is locked.
            InvalidError: The draft makes no block.
        """
        if self.key is None:
            raise LockedError
        end = self.ends.get(draft.log)
        if end is None:
            end = _Head(0, self.ends[0].id if draft.log else ZEROS)
        header = Header(
            self.key.public,
            draft.log,
            end.seq + 1,
            end.id,
            draft.counterparty,
            draft.kind,
            body_hash(draft.body),
            len(draft.body),
        )
        block = sign_block(self.key, header, draft.body)
        self.ends[draft.log] = _Head(header.seq, block.id)
        return block

    def copy(self) -> Heads:
        """Return heads that can be extended without changing these."""
        return Heads(self.key, dict(self.ends))


def runs_of(blocks: Iterable[Block]) -> list[Run]:
    """Return newly signed blocks as runs, one a log."""
    logs: dict[int, list[Block]] = {}
    for block in blocks:
        logs.setdefault(block.header.log, []).append(block)
    return [Run(tuple(written)) for _, written in sorted(logs.items())]


class Writer:
    """The only one that writes a device's logs.

    Attributes:
        heard: As given; may be set later, while nothing is being written.
        alone: Held while something is written or taken in, and told to ``heard``.

    Args:
        store: Where they are kept.
        heads: Where they end in it.
        now: Gives ms since 1970.
        heard: Called with the outcome of every batch, one after the other in their order.
    """

    def __init__(
        self,
        store: Store,
        heads: Heads,
        now: Callable[[], int],
        heard: Callable[[Absorbed], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._heads = heads
        self._now = now
        self.heard = heard
        self.alone = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._taking: set[asyncio.Task[Absorbed]] = set()

    async def write(self, draft: Draft) -> Block:
        """Write one block; returns once it would survive a power cut.

        Raises:
            LockedError: The home is locked.
            RolledBackError: The store is an old copy of itself.
            InvalidError: The body is too long, or the draft makes no block.
            StoreError: It could not be written; nothing was.
        """
        if len(draft.body) > MAX_BODY_BYTES:
            raise InvalidError(f"{len(draft.body)} bytes where {MAX_BODY_BYTES} fit; shorten it")
        future: asyncio.Future[Block] = asyncio.get_running_loop().create_future()
        self._waiting.append((draft, future))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all())
        return await future

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """Take in what others bring, while nothing is being written.

        It may show that this store is an old copy; what is written after it must know that, or
        it would be a fork.
        """
        taking = asyncio.create_task(self._absorb(batch, seen=seen, durable=durable))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return await asyncio.shield(taking)

    async def lock(self) -> None:
        """Forget the key; return once what was signed before is written. What waits is refused."""
        self._heads.key = None
        async with self.alone:
            pass

    def unlock(self, key: SigningKey) -> None:
        """Sign with ``key``, which is the device's."""
        self._heads.key = key

    async def _absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        async with self.alone:
            outcome = await self._store.absorb(batch, seen=seen, durable=durable)
            await self._tell(outcome)
            return outcome

    async def _tell(self, outcome: Absorbed) -> None:
        if self.heard is not None:
            await self.heard(outcome)

    async def close(self) -> None:
        """Finish what is being written, and what is being taken in though nobody waits for it."""
        await asyncio.gather(*self._taking, return_exceptions=True)
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            try:
                async with self.alone:
                    await self._commit(group)
            except PassalongError as exc:
                _fail(group, exc)
            except BaseException as exc:
                left, self._waiting = self._waiting, []
                _fail([*group, *left], exc)
                raise

    async def _commit(self, group: list[_Waiting]) -> None:
        if await self._store.note(ROLLED_BACK) is not None:
            raise RolledBackError
        heads, written = self._heads.copy(), list[tuple[Block, asyncio.Future[Block]]]()
        for draft, future in group:
            try:
                written.append((heads.extend(draft), future))
            except InvalidError as exc:
                _fail([(draft, future)], exc)
        if not written:
            return
        runs = runs_of(block for block, _ in written)
        outcome = await self._store.absorb(Batch(runs=runs), seen=self._now(), durable=True)
        if outcome.new != len(written):
            await self._store.set_note(ROLLED_BACK, b"\x01")
            raise StoreError("the store holds other blocks of this device; run `passalong check`")
        heads.key = self._heads.key  # which may have been forgotten meanwhile
        self._heads = heads
        try:
            await self._tell(outcome)
        finally:  # it is written, whatever becomes of that
            for block, future in written:
                if not future.done():
                    future.set_result(block)


def _fail(group: Iterable[_Waiting], exc: BaseException) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(exc)
