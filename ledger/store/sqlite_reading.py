"""What one reads of the SQLite store, page by page; nothing here changes it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ledger.block import ZEROS
from ledger.errors import InvalidError, StoreError
from ledger.store.base import (
    Arrival,
    Entry,
    Floor,
    LogKey,
    MailRow,
    MailWhat,
    Newest,
    Span,
    StoreRun,
    What,
    runs_of,
)
from ledger.store.sqlite_file import SqliteTrouble, damaged, explain
from ledger.store.sqlite_ground import SqliteGround
from ledger.store.sqlite_rows import (
    KNOWN,
    block_at,
    id_prefix,
    must_be,
    to_block,
    to_known,
    to_proof,
    to_revocation,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Collection, Sequence

    import aiosqlite

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import Known

_MANY: Final = 500
"""Parameters in one statement."""
_ENTRIES: Final = """
SELECT b.place, b.header, b.signature, b.body, a.hops, a.seen
FROM blocks b JOIN arrivals a ON a.lsn = b.lsn JOIN logs l ON l.log_no = b.place >> 40
WHERE b.place > ? AND (? IS NULL OR l.log = ?) AND {of_kinds} ORDER BY b.place LIMIT ?
"""
_BRANCH_ENTRIES: Final = """
SELECT b.author_no, b.log, b.seq, b.id, b.header, b.signature, b.body, a.hops, a.seen
FROM branches b JOIN arrivals a ON a.lsn = b.lsn
WHERE (b.author_no, b.log, b.seq, b.id) > (?, ?, ?, ?) AND (? IS NULL OR b.log = ?)
    AND {of_kinds}
ORDER BY b.author_no, b.log, b.seq, b.id LIMIT ?
"""
_NEWEST: Final = """
WITH n AS (
    SELECT author_no, log, max(lsn) AS lsn, max(CASE what WHEN ? THEN lsn END) AS blocks
    FROM arrivals GROUP BY author_no, log)
SELECT a.author, n.log, n.lsn, coalesce(b.hops, 0)
FROM n JOIN authors a USING (author_no) LEFT JOIN arrivals b ON b.lsn = n.blocks
"""
_MAIL: Final = """
SELECT what, ident, tag, lock, hops, copies, until, depositor,
       CASE what WHEN ? THEN content ELSE x'' END
FROM mail ORDER BY what, ident
"""
_MAIL_SIZES: Final = "SELECT ident, length(content) FROM mail WHERE what = ? ORDER BY ident"
_DEVICES: Final = """
SELECT a.author, b.header, b.signature, b.body
FROM authors a
CROSS JOIN logs l ON l.author_no = a.author_no AND l.log = 0
CROSS JOIN blocks b ON b.place = (l.log_no << 40) + 1
WHERE a.author > ? ORDER BY a.author LIMIT ?
"""
_SIZE: Final = """
SELECT (SELECT coalesce(sum(bytes), 0) FROM logs)
     + (SELECT coalesce(sum(length(proof)), 0) FROM proofs)
"""


class SqliteReading:
    """The reads of ``SqliteStore``, one at a time.

    Args:
        db: An open connection.
    """

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._ground = SqliteGround(db)
        self._lock = asyncio.Lock()
        self._closed = False

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

    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        async with self._guard():
            if keys is None:
                logs, roots = await self._ground.load_all()
            else:
                logs, roots = await self._ground.load(keys)
        return [_rooted(logs[key], roots) for key in sorted(logs)]

    async def read(self, key: LogKey, low: int, high: int, *, limit: int = 256) -> list[Block]:
        async with self._guard():
            return await self._ground.read_all(key, low, high, limit)

    async def read_spans(self, spans: Sequence[Span]) -> list[list[Block]]:
        async with self._guard():
            return await self._ground.read_spans(spans)

    async def bodiless(self, key: LogKey, *, limit: int = 256) -> list[int]:
        async with self._guard():
            return await self._ground.seqs_without_body(key, limit)

    async def devices(self, *, page: int = 512) -> AsyncIterator[list[Block]]:
        last = b""
        while True:
            async with self._guard():
                found: list[Block] = []
                for author, *row in await self._db.execute_fetchall(_DEVICES, (last, page)):
                    must_be((author,), bytes)
                    _must_follow(is_after=author > last)
                    last = author
                    found.append(block_at((author, 0), 1, *row))
            if not found:
                return
            yield found

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
        self, log: int | None = None, *, kinds: Collection[str] | None = None, page: int = 512
    ) -> AsyncIterator[list[Entry]]:
        mentions = _mentions(kinds)
        heads = {(log.author, log.number): log.head for log in await self.logs()}
        last = -1
        while True:
            async with self._guard():
                rows = await self._db.execute_fetchall(
                    _ENTRIES.format(of_kinds=_of_kinds(mentions)), (last, log, log, *mentions, page)
                )
                found: list[Entry] = []
                for place, header, signature, body, hops, seen in rows:
                    _must_follow(is_after=place > last)
                    last, block = place, to_block(header, signature, body)
                    author, number, seq, *_ = block.header
                    joined = seq <= heads.get((author, number), 0)
                    found.append(Entry(block, joined, hops, seen))
            if not found:
                break
            if some := _only(found, kinds):
                yield some
        async for branches in self._branch_entries(log, mentions, page):
            if some := _only(branches, kinds):
                yield some

    async def _branch_entries(
        self, log: int | None, mentions: Sequence[bytes], page: int
    ) -> AsyncIterator[list[Entry]]:
        last: tuple[int, int, int, bytes] = (-1, -1, -1, b"")
        while True:
            async with self._guard():
                rows = await self._db.execute_fetchall(
                    _BRANCH_ENTRIES.format(of_kinds=_of_kinds(mentions)),
                    (*last, log, log, *mentions, page),
                )
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

    async def newest(self) -> dict[LogKey, Newest]:
        newest: dict[LogKey, Newest] = {}
        async with self._guard():
            for row in await self._db.execute_fetchall(_NEWEST, (What.BLOCKS,)):
                must_be(row, bytes, int, int, int)
                author, log, lsn, hops = row
                newest[author, log] = Newest(lsn, hops)
        return newest

    async def runs(self) -> list[StoreRun]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT first_lsn, run, (SELECT max(lsn) FROM arrivals) FROM runs"
                " ORDER BY first_lsn"
            )
            for row in rows:
                must_be(row, int, bytes, int)
        newest = max((row[2] for row in rows), default=0)
        return runs_of([(first, run) for first, run, _ in rows], newest)

    async def proofs(self, keys: Collection[LogKey] | None = None) -> list[ForkProof]:
        async with self._guard():
            if keys is not None:
                found = [await self._ground.proof(key) for key in sorted(set(keys))]
                return [proof for proof in found if proof is not None]
            rows = await self._db.execute_fetchall(
                "SELECT proof FROM proofs JOIN authors USING (author_no) ORDER BY author, log"
            )
            return [to_proof(raw) for (raw,) in rows]

    async def revocations(self, devices: Collection[bytes] | None = None) -> list[Revocation]:
        if devices is not None and len(devices) > _MANY:
            return [one for one in await self.revocations() if one.device in devices]
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT statement, signature FROM revocations ORDER BY person, device"
                if devices is None
                else "SELECT statement, signature FROM revocations WHERE device IN"  # noqa: S608
                f" ({','.join('?' * len(devices))}) ORDER BY person, device",  # question marks only
                tuple(devices or ()),
            )
            return [to_revocation(raw, signature) for raw, signature in rows]

    async def known(self) -> list[Known]:
        async with self._guard():
            rows = await self._db.execute_fetchall(f"{KNOWN} ORDER BY person")
            return [to_known(*row) for row in rows]

    async def note(self, name: str) -> bytes | None:
        return (await self.notes((name,))).get(name)

    async def notes(self, names: Collection[str]) -> dict[str, bytes]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT name, value FROM notes WHERE name IN"  # noqa: S608  question marks only
                f" ({','.join('?' * len(names))})",
                tuple(names),
            )
            for row in rows:
                must_be(row, str, bytes)
            return {row[0]: row[1] for row in rows}

    async def mail(self) -> list[MailRow]:
        async with self._guard():
            rows = await self._db.execute_fetchall(_MAIL, (MailWhat.TOKEN,))
            return [_mail_row(row) for row in rows]

    async def mail_sizes(self) -> dict[bytes, int]:
        async with self._guard():
            rows = await self._db.execute_fetchall(_MAIL_SIZES, (MailWhat.CARRIED,))
            for row in rows:
                must_be(row, bytes, int)
            return {row[0]: row[1] for row in rows}

    async def floors(self) -> dict[LogKey, Floor]:
        async with self._guard():
            rows = await self._db.execute_fetchall(
                "SELECT author, log, seq, rank FROM floors ORDER BY author, log"
            )
            for row in rows:
                must_be(row, bytes, int, int, int)
            return {(author, log): Floor(seq, rank) for author, log, seq, rank in rows}

    async def size(self) -> int:
        async with self._guard():
            ((size,),) = await self._db.execute_fetchall(_SIZE)
            return int(size)

    async def envelopes(self, idents: Sequence[bytes]) -> list[bytes]:
        found: dict[bytes, bytes] = {}
        async with self._guard():
            for start in range(0, len(idents), _MANY):
                some = idents[start : start + _MANY]
                rows = await self._db.execute_fetchall(
                    "SELECT ident, content FROM mail WHERE what IN (?, ?)"  # noqa: S608  marks only
                    f" AND ident IN ({','.join('?' * len(some))})",
                    (MailWhat.CARRIED, MailWhat.LETTER, *some),
                )
                for row in rows:
                    must_be(row, bytes, bytes)
                    found[row[0]] = row[1]
        return [found.get(ident, b"") for ident in idents]


def _mentions(kinds: Collection[str] | None) -> list[bytes]:
    """Return what a header has in it that is of one of these kinds; others may have it too."""
    return [kind.encode() for kind in kinds or ()]


def _of_kinds(mentions: Sequence[bytes]) -> str:
    return f"({' OR '.join(['instr(b.header, ?)'] * len(mentions))})" if mentions else "TRUE"


def _only(found: list[Entry], kinds: Collection[str] | None) -> list[Entry]:
    if kinds is None:
        return found
    return [entry for entry in found if entry.block.header.kind in kinds]


def _must_follow(*, is_after: bool) -> None:
    """Refuse rows out of order: a damaged file may give the same ones for ever."""
    if not is_after:
        raise InvalidError("blocks out of order")


def _arrival(row: sqlite3.Row) -> Arrival:
    must_be(row, int, int, bytes, int, int, int, int, int)
    if row[1] not in set(What):
        raise InvalidError(f"an arrival of the unknown sort {row[1]}")
    return Arrival(row[0], What(row[1]), *row[2:])


def _mail_row(row: sqlite3.Row) -> MailRow:
    must_be(row, int, bytes, bytes, bytes, int, int, int, bytes, bytes)
    if row[0] not in set(MailWhat):
        raise InvalidError(f"mail of the unknown sort {row[0]}")
    return MailRow(MailWhat(row[0]), *row[1:])


def _rooted(log: Log, roots: dict[bytes, frozenset[bytes]]) -> Log:
    above = roots.get(log.author, frozenset()) if log.number else frozenset({ZEROS})
    return replace(log, roots=above)
