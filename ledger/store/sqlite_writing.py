"""How what a batch changes is written to the SQLite store: few statements, all in one trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ
from ledger.errors import StoreError
from ledger.store.connection import TOGETHER
from ledger.store.ground import Changes
from ledger.store.sqlite_logs import MANY, SqliteLogs
from ledger.store.sqlite_rows import SEQ_BITS, id_prefix, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiosqlite

    from ledger.store.base import LogKey

_LAST_NUMBERS: Final = """
SELECT (SELECT coalesce(max(author_no), 0) FROM authors),
       (SELECT coalesce(max(log_no), 0) FROM logs)
"""
_MAX_LOGS: Final = 1 << 23
_NOTHING: Final = Changes()


class SqliteWriting(SqliteLogs):
    """Writes changes, inside a transaction of the store."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        super().__init__(db)
        self._statements: list[tuple[str, list[tuple[object, ...]]]] = []

    async def write(self, changes: Changes) -> None:
        if changes == _NOTHING:
            return
        await self._number_new(changes)
        await self._drop(changes)
        self._write_logs(changes)
        self._write_blocks(changes)
        self._write_evidence(changes)
        self._write_notes(changes)
        self._write_mail(changes)
        statements, self._statements = self._statements, []
        if statements:
            await self._db.executemany(TOGETHER, statements)

    def _many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            self._statements.append((sql, rows))

    async def _number_new(self, changes: Changes) -> None:
        """Number the authors and logs that are new; they are few next to the blocks."""
        authors = {key[0] for key in changes.logs} | {a.author for a in changes.arrivals}
        new = sorted(author for author in authors if author not in self._numbers)
        for start in range(0, len(new), MANY):
            some = new[start : start + MANY]
            rows = await self._db.execute_fetchall(
                "SELECT author, author_no FROM authors"  # noqa: S608  question marks only
                f" WHERE author IN ({','.join('?' * len(some))})",
                tuple(some),
            )
            self._numbers |= {known: number for known, number in rows}  # noqa: C416  rows of Row
        unknown = [author for author in new if author not in self._numbers]
        logs = [key for key in changes.logs if key not in self._log_numbers]
        if not unknown and not logs:
            return
        rows = await self._db.execute_fetchall(_LAST_NUMBERS)
        for last_author, last_log in rows:
            self._numbers |= {author: n for n, author in enumerate(unknown, last_author + 1)}
            self._log_numbers |= {key: n for n, key in enumerate(logs, last_log + 1)}
            if last_log + len(logs) >= _MAX_LOGS:
                raise StoreError("the store holds 8 million logs, which is all it can")
        self._many("INSERT INTO authors VALUES (?, ?)", [(self._numbers[a], a) for a in unknown])

    async def _drop(self, changes: Changes) -> None:
        numbers = self._numbers
        self._many(
            "DELETE FROM blocks WHERE place BETWEEN ? AND ?",
            [await self._span(key, fork, MAX_SEQ) for key, fork in changes.cuts],
        )
        self._many("DELETE FROM floors WHERE rank >= ?", [(0,)] if changes.lift else [])
        for key, low in changes.heads:
            span = await self._span(key, 0, low - 1)
            self._many("DELETE FROM blocks WHERE place BETWEEN ? AND ?", [span])
        await self._drop_logs(changes.gone)
        self._many(
            "DELETE FROM branches WHERE author_no = ? AND log = ? AND id = ?",
            [(numbers[key[0]], key[1], ident) for key, ident in changes.branch_drops],
        )
        self._many(
            "DELETE FROM revocations WHERE person = ? AND device = ?",
            [(gone.person, gone.device) for gone in changes.revocation_drops],
        )

    async def _drop_logs(self, keys: Sequence[LogKey]) -> None:
        spans: list[tuple[object, ...]] = [await self._span(key, 0, MAX_SEQ) for key in keys]
        numbers: list[tuple[object, ...]] = [(await self._log_number(key),) for key in keys]
        places: list[tuple[object, ...]] = [
            (self._numbers.get(author, -1), log) for author, log in keys
        ]
        self._many("DELETE FROM blocks WHERE place BETWEEN ? AND ?", spans)
        self._many("DELETE FROM pieces WHERE log_no = ?", numbers)
        self._many("DELETE FROM logs WHERE log_no = ?", numbers)
        self._many("DELETE FROM branches WHERE author_no = ? AND log = ?", places)
        self._many("DELETE FROM proofs WHERE author_no = ? AND log = ?", places)
        for key in keys:
            self._log_numbers.pop(key, None)
            self._stored.pop(key, None)

    def _write_logs(self, changes: Changes) -> None:
        heads: list[tuple[object, ...]] = []
        gone: list[tuple[object, ...]] = []
        put: list[tuple[object, ...]] = []
        for key, log in changes.logs.items():
            number = self._log_numbers[key]
            before = self._stored.get(key)
            if before is None or before.bytes != log.bytes or before != log:
                place = (number, self._numbers[key[0]], key[1])
                heads.append((*place, log.fork, log.bodies_missing, log.bytes))
            was = before.pieces if before else ()
            stay = {piece.low for piece in log.pieces}
            gone += [(number, piece.low) for piece in was if piece.low not in stay]
            put += [(number, *piece) for piece in log.pieces if piece not in was]
            self._stored[key] = log
        self._many("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?, ?)", heads)
        self._many("DELETE FROM pieces WHERE log_no = ? AND low = ?", gone)
        self._many("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?)", put)

    def _write_blocks(self, changes: Changes) -> None:
        numbers = self._log_numbers
        rows: list[tuple[object, ...]] = []
        for block, lsn in changes.blocks:
            _, raw, ident, signature, body = block
            author, log, seq, *_ = block.header
            place = numbers[author, log] << SEQ_BITS | seq
            rows.append((place, id_prefix(ident), lsn, raw, signature or None, body))
        self._many("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._many(
            "UPDATE blocks SET body = ? WHERE place = ?",
            [(b.body, place_of(numbers[b.author, b.log], b.seq)) for b in changes.bodies],
        )
        self._many(
            "UPDATE blocks SET signature = ? WHERE place = ?",
            [(sig, place_of(numbers[key], seq)) for key, seq, sig in changes.signatures],
        )

    def _write_evidence(self, changes: Changes) -> None:
        numbers = self._numbers
        self._many(
            "INSERT INTO branches VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET signature = excluded.signature, body = excluded.body",
            [
                (
                    *(numbers[b.header.author], b.header.log, b.header.seq),
                    *(b.id, lsn, b.raw, b.signature or None, b.body),
                )
                for b, lsn in changes.branch_puts
            ],
        )
        self._many(
            "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?)",
            [(numbers[p.author], p.log, p.encode()) for p in changes.proofs],
        )
        self._many(
            "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?)",
            [(r.person, r.device, r.raw, r.signature) for r in changes.revocations],
        )
        self._many(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(a.lsn, a.what, numbers[a.author], *a[3:]) for a in changes.arrivals],
        )

    def _write_notes(self, changes: Changes) -> None:
        notes = changes.notes.items()
        self._many(
            "DELETE FROM notes WHERE name = ?", [(name,) for name, value in notes if value is None]
        )
        self._many(
            "INSERT OR REPLACE INTO notes VALUES (?, ?)",
            [(name, value) for name, value in notes if value is not None],
        )

    def _write_mail(self, changes: Changes) -> None:
        self._many("DELETE FROM mail WHERE what = ? AND ident = ?", list(changes.mail_drops))
        self._many(
            "INSERT INTO mail (what, ident, tag, lock, hops, copies, until, depositor, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET hops = excluded.hops,"
            " copies = excluded.copies, until = excluded.until, depositor = excluded.depositor",
            list(changes.mail),
        )
        self._many(
            "INSERT OR REPLACE INTO floors VALUES (?, ?, ?, ?)",
            [(*key, *floor) for key, floor in changes.floors.items()],
        )
