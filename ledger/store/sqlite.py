"""The store on disk: one SQLite file, WAL, one connection, one transaction a batch.

Transactions are shielded: a caller that is cancelled cannot leave one half done. What must not be
lost is committed with ``synchronous=FULL``; what others can send again with ``NORMAL``, which a
power cut may take back, whole batches from the end, never a hole.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self, TypeVar

from ledger.block import ZEROS
from ledger.chain import Log
from ledger.errors import InvalidError, StoreError
from ledger.store.absorb import Absorption
from ledger.store.base import Absorbed, Arrival, Batch, Entry, Known, LogKey, What
from ledger.store.check import check_store
from ledger.store.sqlite_check import check_tables
from ledger.store.sqlite_file import SqliteTrouble, damaged, explain, open_file, value
from ledger.store.sqlite_ground import (
    SqliteGround,
    id_prefix,
    must_be,
    to_block,
    to_proof,
    to_revocation,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine
    from pathlib import Path

    import aiosqlite

    from ledger.block import Block
    from ledger.fork import ForkProof
    from ledger.statement import Revocation

T = TypeVar("T")

MAX_RUNS: Final = 64
_ENTRIES: Final = """
SELECT b.place, b.header, b.signature, b.body, a.hops, a.seen
FROM blocks b JOIN arrivals a ON a.lsn = b.lsn JOIN logs l ON l.log_no = b.place >> 40
WHERE b.place > ? AND (? IS NULL OR l.log = ?) ORDER BY b.place LIMIT ?
"""
_BRANCH_ENTRIES: Final = """
SELECT b.author_no, b.log, b.seq, b.id, b.header, b.signature, b.body, a.hops, a.seen
FROM branches b JOIN arrivals a ON a.lsn = b.lsn
WHERE (b.author_no, b.log, b.seq, b.id) > (?, ?, ?, ?) AND (? IS NULL OR b.log = ?)
ORDER BY b.author_no, b.log, b.seq, b.id LIMIT ?
"""


class SqliteStore:
    """Satisfies ``Store``. Open it with ``open``; one process at a time (``mesh.home`` locks).

    Args:
        db: An open connection.
        new_run: Gives 8 random bytes, the name of a run of this store.
    """

    def __init__(self, db: aiosqlite.Connection, new_run: Callable[[], bytes]) -> None:
        self._db = db
        self._ground = SqliteGround(db)
        self._lock = asyncio.Lock()
        self._new_run = new_run
        self._run_begun = False
        self._synchronous = ""
        self._next_lsn: int | None = None
        self._closed = False

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
            await self._db.execute(f"PRAGMA synchronous = {mode}")
            self._synchronous = mode

    async def _transact(self, work: Callable[[], Coroutine[None, None, T]], *, durable: bool) -> T:
        """Run ``work`` in one transaction, to its end even if the caller is cancelled."""

        async def whole() -> T:
            async with self._guard():
                await self._synchronise(durable=durable)
                begun = self._run_begun
                try:
                    result = await work()
                    await self._db.commit()
                except BaseException:
                    self._forget(run_begun=begun)
                    await self._db.rollback()
                    raise
                return result

        task = asyncio.ensure_future(whole())
        task.add_done_callback(_heard)
        return await asyncio.shield(task)

    def _forget(self, *, run_begun: bool) -> None:
        """What is remembered of the database may not have come to be."""
        self._ground = SqliteGround(self._db)
        self._next_lsn = None
        self._run_begun = run_begun

    @asynccontextmanager
    async def _guard(self) -> AsyncIterator[None]:
        async with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            try:
                yield
            except SqliteTrouble as exc:
                raise explain(exc) from exc
            except InvalidError as exc:
                raise damaged(str(exc)) from exc

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        async def work() -> Absorbed:
            if self._next_lsn is None:
                self._next_lsn = 1 + await value(
                    self._db, "SELECT coalesce(max(lsn), 0) FROM arrivals"
                )
            absorption = Absorption(self._ground, self._next_lsn, seen)
            outcome = await absorption.take(batch)
            if absorption.lsn > self._next_lsn and not self._run_begun:
                await self._begin_run(self._next_lsn)
            self._next_lsn = absorption.lsn
            return outcome

        return await self._transact(work, durable=durable)

    async def _begin_run(self, lsn: int) -> None:
        await self._db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (lsn, self._new_run()))
        await self._db.execute(
            "DELETE FROM runs WHERE first_lsn NOT IN"
            " (SELECT first_lsn FROM runs ORDER BY first_lsn DESC LIMIT ?)",
            (MAX_RUNS,),
        )
        self._run_begun = True

    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        async with self._guard():
            if keys is None:
                logs, roots = await self._ground.load_all()
            else:
                logs, roots = await self._ground.load(sorted({key[0] for key in keys}))
        wanted = sorted(logs if keys is None else logs.keys() & set(keys))
        return [_rooted(logs[key], roots) for key in wanted]

    async def read(self, key: LogKey, low: int, high: int, *, limit: int = 256) -> list[Block]:
        async with self._guard():
            return await self._ground.read_all(key, low, high, limit)

    async def branches(self, key: LogKey) -> list[Block]:
        async with self._guard():
            return await self._ground.branch(key)

    async def find(self, prefix: bytes) -> list[Block]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT header, signature, body FROM blocks WHERE id_prefix = ?"
                " UNION ALL SELECT header, signature, body FROM branches",
                (id_prefix(prefix),),
            )
            blocks = [to_block(*row) for row in rows]
        found = [block for block in blocks if block.id.startswith(prefix)]
        return sorted(found, key=lambda block: block.id)[:16]

    async def entries(
        self, log: int | None = None, *, page: int = 512
    ) -> AsyncIterator[list[Entry]]:
        heads = {(log.author, log.number): log.head for log in await self.logs()}
        last = -1
        while True:
            async with self._guard():
                rows = await self._db.execute_fetchall(_ENTRIES, (last, log, log, page))
                found: list[Entry] = []
                for place, header, signature, body, hops, seen in rows:
                    _must_follow(is_after=place > last)
                    last, block = place, to_block(header, signature, body)
                    author, number, seq, *_ = block.header
                    joined = seq <= heads.get((author, number), 0)
                    found.append(Entry(block, joined, hops, seen))
            if not found:
                break
            yield found
        async for branches in self._branch_entries(log, page):
            yield branches

    async def _branch_entries(self, log: int | None, page: int) -> AsyncIterator[list[Entry]]:
        last: tuple[int, int, int, bytes] = (-1, -1, -1, b"")
        while True:
            async with self._guard():
                rows = await self._db.execute_fetchall(_BRANCH_ENTRIES, (*last, log, log, page))
                found: list[Entry] = []
                for row in rows:
                    must_be(row[:4], int, int, int, bytes)
                    _must_follow(is_after=tuple(row[:4]) > last)
                    last = tuple(row[:4])
                    found.append(Entry(to_block(*row[4:7]), False, *row[7:]))  # noqa: FBT003
            if not found:
                return
            yield found

    async def arrivals(self, before: int | None = None, *, limit: int = 512) -> list[Arrival]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT lsn, what, author, log, low, high, hops, seen FROM arrivals"
                " JOIN authors USING (author_no) WHERE ? IS NULL OR lsn < ?"
                " ORDER BY lsn DESC LIMIT ?",
                (before, before, limit),
            )
            return [_arrival(row) for row in rows]

    async def proofs(self) -> list[ForkProof]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT proof FROM proofs JOIN authors USING (author_no) ORDER BY author, log"
            )
            return [to_proof(raw) for (raw,) in rows]

    async def revocations(self) -> list[Revocation]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT statement, signature FROM revocations ORDER BY person, device"
            )
            return [to_revocation(raw, signature) for raw, signature in rows]

    async def known(self) -> list[Known]:
        async with self._guard():
            rows = await self._db.execute_fetchall("SELECT person FROM following ORDER BY person")
            for row in rows:
                must_be(row, bytes)
        return [Known(person, following=True) for (person,) in rows]

    async def set_following(self, person: bytes, *, following: bool) -> bool:
        sql = (
            "INSERT OR IGNORE INTO following VALUES (?)"
            if following
            else "DELETE FROM following WHERE person = ?"
        )
        return await self._change(sql, (person,)) > 0

    async def note(self, name: str) -> bytes | None:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT value FROM notes WHERE name = ?", (name,)
            )
            for row in rows:
                must_be(row, bytes)
        return next((value for (value,) in rows), None)

    async def set_note(self, name: str, value: bytes | None) -> None:
        if value is None:
            await self._change("DELETE FROM notes WHERE name = ?", (name,))
        else:
            await self._change("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    async def _change(self, sql: str, row: tuple[object, ...]) -> int:
        async def work() -> int:
            cursor = await self._db.execute(sql, row)
            return cursor.rowcount

        return await self._transact(work, durable=True)

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


def _must_follow(*, is_after: bool) -> None:
    """Refuse rows out of order: a damaged file may give the same ones for ever."""
    if not is_after:
        raise InvalidError("blocks out of order")


def _arrival(row: sqlite3.Row) -> Arrival:
    must_be(row, int, int, bytes, int, int, int, int, int)
    if row[1] not in set(What):
        raise InvalidError(f"an arrival of the unknown sort {row[1]}")
    return Arrival(row[0], What(row[1]), *row[2:])


def _heard(task: asyncio.Future[T]) -> None:
    """Nobody may be left to hear how a transaction ended; that is no news to the event loop."""
    if not task.cancelled():
        task.exception()


def _rooted(log: Log, roots: dict[bytes, frozenset[bytes]]) -> Log:
    above = roots.get(log.author, frozenset()) if log.number else frozenset({ZEROS})
    return Log(log.author, log.number, above, log.pieces, log.fork, log.bodies_missing)
