"""Who is who, kept in mind: the whole store is read for it once, then only what came since.

What the blocks mean is ``ledger.views.people``'s to say; here is only which are to be read, and
when. Nothing is read, nor heard of, before somebody asks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.store.base import MAX_SPAN, Entry, Span
from ledger.views.people import KINDS, Census

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ledger.chain import Log
    from ledger.store.base import Absorbed, Arrival, LogKey, Store
    from ledger.views.people import People
    from ledger.views.weight import Place

MAX_PENDING: Final = 10_000
"""Blocks to be read; with more it costs less to read the store as a whole."""
PAGE_BLOCKS: Final = 512
"""Blocks in memory at once, as ``Store.entries`` has them."""
_PAGE_SPANS: Final = 300


class _Came(NamedTuple):
    span: Span
    joined: bool

    @property
    def length(self) -> int:
        return self.span.high - self.span.low + 1


class Register:
    """Answers who is who.

    Blocks, late bodies and what they join only add to a ``Census``. All else that may change it
    (a fork, a statement, what is let go) has it made anew, by whoever asks next.

    In memory a person with one device and one name takes about 900 bytes, so 10,000 take 9 MB; each
    further profile of his takes 230 and its text, and there are no more of those than the store has
    room for. What is still to be read takes 230 bytes a batch and log, 2.3 MB at most.

    Args:
        store: What is asked about; it is listened to as long as it is open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alone = asyncio.Lock()
        self._listens = False
        self._census: Census | None = None
        self._people: People | None = None
        self._is_stale = True
        self._pending: list[_Came] = []
        self._count = 0

    async def people(self) -> People:
        """Return who is who, as of now; the same object as long as nothing came.

        Raises:
            StoreError: It cannot be read; what is to be read stays so.
        """
        async with self._alone:
            census = self._census
            if census is None or self._is_stale:
                census = await self._read_all()
            elif not self._pending and self._people is not None:
                return self._people
            await self._read_pending(census)
            self._people = census.people()
            return self._people

    async def _read_all(self) -> Census:
        """Read everything; what comes meanwhile is heard of, as it may be missed."""
        if not self._listens:
            self._store.listen(self._heard)
            self._listens = True
        self._census, self._is_stale = None, False
        self._pending, self._count = [], 0
        logs = {(log.author, log.number): log for log in await self._store.logs()}
        forks = {key: log.fork for key, log in logs.items() if log.fork is not None}
        census = Census(forks, await self._store.revocations())
        async for page in self._store.entries(kinds=KINDS):
            census.add(page)
        for (author, number), log in logs.items():
            if log.pieces or (log.fork and await self._store.branches((author, number))):
                census.meet(author)
        named = [_Came(span, joined=True) for span in _joined(census.named, logs)]
        self._pending += named
        self._count += len(named)
        self._census = census
        return census

    async def _read_pending(self, census: Census) -> None:
        """Add what came; a page is forgotten once it was added, as it may be added twice."""
        while self._pending:
            page = _page(self._pending)
            read = await self._store.read_spans([came.span for came in page])
            census.add(
                Entry(block, came.joined, hops=0, seen=0)  # which nobody's name depends on
                for came, blocks in zip(page, read, strict=True)
                for block in blocks
            )
            del self._pending[: len(page)]
            self._count -= sum(came.length for came in page)

    def _heard(self, absorbed: Absorbed) -> None:
        if self._is_stale:
            return
        is_forked = any(log.fork is not None for log in absorbed.logs.values())
        if absorbed.revoked or absorbed.floors or is_forked:
            self._go_stale()
            return
        for arrival in absorbed.arrivals:
            log = absorbed.logs[arrival.author, arrival.log]
            self._pending += _cut_up(arrival, joined=arrival.high <= log.head)
            self._count += arrival.high - arrival.low + 1
        if self._count > MAX_PENDING:
            self._go_stale()

    def _go_stale(self) -> None:
        self._is_stale = True
        self._pending.clear()


def _joined(places: Iterable[Place], logs: Mapping[LogKey, Log]) -> Iterator[Span]:
    """Yield those places at which a joined block is held."""
    for author, number, seq in places:
        log = logs.get((author, number))
        if log is not None and seq <= log.head:
            yield Span((author, number), seq, seq)


def _cut_up(arrival: Arrival, *, joined: bool) -> Iterator[_Came]:
    key = (arrival.author, arrival.log)
    for low in range(arrival.low, arrival.high + 1, MAX_SPAN):
        yield _Came(Span(key, low, min(arrival.high, low + MAX_SPAN - 1)), joined)


def _page(pending: Sequence[_Came]) -> list[_Came]:
    """Return the first of them, as many as may be read at once."""
    page: list[_Came] = []
    room = PAGE_BLOCKS
    for came in pending[:_PAGE_SPANS]:
        room -= came.length
        if room < 0:
            break
        page.append(came)
    return page
