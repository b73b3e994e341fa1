"""The store on disk: one SQLite file, WAL, one connection, one transaction a batch.

Transactions are shielded: a caller that is cancelled cannot leave one half done. What must not be
lost is committed with ``synchronous=FULL``; what others can send again with ``NORMAL``, which a
power cut may take back, whole batches from the end, never a hole.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self, TypeVar

from ledger.errors import StoreError
from ledger.listeners import Listeners
from ledger.store.absorb import Absorption
from ledger.store.base import MAX_RUNS, Absorbed, Batch, Known
from ledger.store.check import check_store
from ledger.store.connection import AT_ONCE
from ledger.store.sqlite_check import check_tables
from ledger.store.sqlite_file import open_file, value
from ledger.store.sqlite_ground import SqliteGround
from ledger.store.sqlite_reading import SqliteReading
from ledger.store.sqlite_rows import KNOWN, to_known

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Unpack

    import aiosqlite

    from ledger.store.base import Marks

T = TypeVar("T")
SYNCHRONOUS: Final = "PRAGMA synchronous = "


class SqliteStore(SqliteReading):
    """Satisfies ``Store``. Open it with ``open``; one process at a time (``mesh.home`` locks).

    Args:
        db: An open connection.
        new_run: Gives 8 random bytes, the name of a run of this store.
    """

    def __init__(self, db: aiosqlite.Connection, new_run: Callable[[], bytes]) -> None:
        super().__init__(db)
        self._new_run = new_run
        self._run: bytes | None = None
        self._synchronous = ""
        self._next_lsn: int | None = None
        self._listeners: Listeners[Absorbed] = Listeners()

    @classmethod
    async def open(cls, path: Path, *, new_run: Callable[[], bytes]) -> Self:
        """Open or make the store at ``path``, bringing an older one up to date.

        Raises:
            StoreError: Not a store, damaged, of a newer version, or not writable.
        """
        return cls(await open_file(path), new_run)

    async def _synchronise(self, *, durable: bool) -> None:
        mode = "FULL" if durable else "NORMAL"
        if mode != self._synchronous:
            self._synchronous = ""
            await self._db.execute(SYNCHRONOUS + mode)
            self._synchronous = mode

    async def _transact(
        self,
        work: Callable[[], Coroutine[None, None, T]],
        *,
        durable: bool | None,
        tell: Callable[[T], None] | None = None,
    ) -> T:
        """Run ``work`` in one transaction, to its end even if the caller is cancelled.

        Args:
            work: What is to be done.
            durable: None where ``work`` itself sees to it how durable it is.
            tell: Called with the result once it is committed, before anything else is done.
        """

        async def whole() -> T:
            async with self._guard():
                if durable is not None:
                    await self._synchronise(durable=durable)
                run = self._run
                try:
                    result = await work()
                    if self._db.in_transaction:  # or it was committed as it was written
                        await self._db.commit()
                except BaseException:
                    self._forget(run)
                    await self._db.rollback()
                    raise
                if tell is not None:
                    tell(result)
                return result

        task = asyncio.ensure_future(whole())
        task.add_done_callback(_heard)
        return await asyncio.shield(task)

    def _forget(self, run: bytes | None) -> None:
        """What is remembered of the database may not have come to be, nor a run after ``run``."""
        self._ground = SqliteGround(self._db)
        self._next_lsn = None
        self._run = run

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        async def work() -> Absorbed:
            if self._next_lsn is None:
                self._next_lsn = 1 + await value(
                    self._db, "SELECT coalesce(max(lsn), 0) FROM arrivals"
                )
            absorption = Absorption(self._ground, self._next_lsn, seen)
            outcome = await absorption.take(batch)
            if outcome.arrivals:
                if self._run is None:
                    self._run = await self._begin_run(self._next_lsn)
                outcome.run = self._run
            self._next_lsn = absorption.lsn
            return outcome

        return await self._transact(work, durable=durable, tell=self._listeners.tell)

    def listen(self, heard: Callable[[Absorbed], None]) -> None:
        self._listeners.add(heard)

    async def _begin_run(self, lsn: int) -> bytes:
        run = self._new_run()
        await self._db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (lsn, run))
        await self._db.execute(
            "DELETE FROM runs WHERE first_lsn NOT IN"
            " (SELECT first_lsn FROM runs ORDER BY first_lsn DESC LIMIT ?)",
            (MAX_RUNS,),
        )
        return run

    async def mark(self, person: bytes, **marks: Unpack[Marks]) -> Known:
        async def work() -> Known:
            rows = await self._db.execute_fetchall(f"{KNOWN} WHERE person = ?", (person,))
            before = next((to_known(*row) for row in rows), Known(person))
            after = before.marked(marks)
            if after.is_marked:
                await self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", after)
            else:
                await self._db.execute("DELETE FROM known WHERE person = ?", (person,))
            return before

        return await self._transact(work, durable=True)

    async def set_note(self, name: str, value: bytes | None, *, durable: bool = True) -> None:
        mode = "FULL" if durable else "NORMAL"
        change: tuple[str, list[tuple[object, ...]]] = (
            ("DELETE FROM notes WHERE name = ?", [(name,)])
            if value is None
            else ("INSERT OR REPLACE INTO notes VALUES (?, ?)", [(name, value)])
        )

        async def work() -> None:
            turned = [] if mode == self._synchronous else [(SYNCHRONOUS + mode, None)]
            self._synchronous = ""
            await self._db.executemany(AT_ONCE, [*turned, change])
            self._synchronous = mode

        await self._transact(work, durable=None)

    async def check(self) -> list[str]:
        try:
            async with self._guard():
                wrong = await check_tables(self._db)
        except StoreError as exc:
            if self._closed:
                raise
            return [str(exc)]
        return wrong + await check_store(self)

    async def close(self) -> None:
        async with self._lock:
            if not self._closed:
                self._closed = True
                await self._db.close()


def _heard(task: asyncio.Future[T]) -> None:
    """Nobody may be left to hear how a transaction ended; that is no news to the event loop."""
    if not task.cancelled():
        task.exception()
