"""What ``Absorption`` sees and does inside a transaction of the SQLite store.

Author keys are stored once and numbered; rows name them by number. Every method is one or a few
statements for a whole batch, never one per block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.block import Block, Header, block_id, decode_header
from ledger.chain import Held, Log, Piece
from ledger.fork import ForkProof, decode_proof
from ledger.statement import Revocation, decode_revocation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    import aiosqlite

    from ledger.store.base import LogKey
    from ledger.store.ground import Changes

_MANY: Final = 500
"""Parameters in one statement; SQLite's own limit was 999 for long."""

_LOGS: Final = """
SELECT a.author, a.author_no, l.log, l.fork, l.bodies_missing, p.low, p.high, p.previous, p.tip,
       r.header
FROM authors a
LEFT JOIN logs l ON l.author_no = a.author_no
LEFT JOIN pieces p ON p.author_no = a.author_no AND p.log = l.log
LEFT JOIN blocks r ON r.author_no = a.author_no AND r.log = 0 AND r.seq = 1
"""
_BLOCKS: Final = """
SELECT b.header, b.signature, c.body FROM blocks b
LEFT JOIN bodies c ON c.author_no = b.author_no AND c.log = b.log AND c.seq = b.seq
WHERE b.author_no = ? AND b.log = ? AND b.seq BETWEEN ? AND ? ORDER BY b.seq LIMIT ?
"""
_LACKING: Final = """
FROM blocks b LEFT JOIN bodies c ON c.author_no = b.author_no AND c.log = b.log AND c.seq = b.seq
WHERE c.seq IS NULL AND b.author_no = ? AND b.log = ?
"""
_BRANCH: Final = """
SELECT header, signature, body FROM branches WHERE author_no = ? AND log = ? ORDER BY seq, id
"""


def id_prefix(ident: bytes) -> int:
    """Return the first 4 bytes of an id as the integer that is indexed."""
    return int.from_bytes(ident[:4], "big")


def to_block(header: bytes, signature: bytes | None, body: bytes | None) -> Block:
    """Return the block of one row."""
    return Block(decode_header(header), header, block_id(header), signature or b"", body)


def trusted(public: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001
    """Stand in for ``keys.verify`` where the bytes were verified before they were stored."""
    return True


class SqliteGround:
    """Satisfies ``Ground``; also answers the store's reads outside of a transaction."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._numbers: dict[bytes, int] = {}
        self._stored: dict[LogKey, Log] = {}

    async def number(self, author: bytes) -> int:
        """Return the author's number, or -1 for an author without one."""
        if author not in self._numbers:
            rows = await self._db.execute_fetchall(
                "SELECT author_no FROM authors WHERE author = ?", (author,)
            )
            for (number,) in rows:
                self._numbers[author] = number
        return self._numbers.get(author, -1)

    async def load(
        self, authors: Sequence[bytes]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        logs: dict[LogKey, Log] = {}
        roots: dict[bytes, frozenset[bytes]] = {}
        for start in range(0, len(authors), _MANY):
            some = authors[start : start + _MANY]
            marks = ",".join("?" * len(some))
            rows = await self._db.execute_fetchall(
                f"{_LOGS} WHERE a.author IN ({marks}) ORDER BY p.low",
                tuple(some),
            )
            await self._collect(rows, logs, roots)
        self._stored = dict(logs)
        return logs, roots

    async def load_all(self) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        """As ``load``, of all authors."""
        logs: dict[LogKey, Log] = {}
        roots: dict[bytes, frozenset[bytes]] = {}
        rows = await self._db.execute_fetchall(f"{_LOGS} ORDER BY p.low")
        await self._collect(rows, logs, roots)
        return logs, roots

    async def _collect(
        self,
        rows: Iterable[sqlite3.Row],
        logs: dict[LogKey, Log],
        roots: dict[bytes, frozenset[bytes]],
    ) -> None:
        pieces: dict[LogKey, list[Piece]] = {}
        forked: dict[int, bytes] = {}
        for author, number, log, fork, missing, low, high, previous, tip, root in rows:
            self._numbers[author] = number
            if author not in roots:
                roots[author] = frozenset({block_id(root)} if root else ())
            if log is None:
                continue
            key = (author, log)
            logs[key] = Log(author, log, fork=fork, bodies_missing=missing)
            if low is not None:
                pieces.setdefault(key, []).append(Piece(low, high, previous, tip))
            if log == 0 and fork == 1:
                forked[number] = author
        for key, held in pieces.items():
            log = logs[key]
            logs[key] = Log(*key, log.roots, tuple(held), log.fork, log.bodies_missing)
        for number, ident in await self._firsts(list(forked)):
            roots[forked[number]] |= {ident}

    async def _firsts(self, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return the ids at (log 0, seq 1) of authors who forked that."""
        firsts: list[tuple[int, bytes]] = []
        for start in range(0, len(numbers), _MANY):
            some = numbers[start : start + _MANY]
            rows = await self._db.execute_fetchall(
                "SELECT author_no, id FROM branches WHERE log = 0 AND seq = 1"  # noqa: S608
                f" AND author_no IN ({','.join('?' * len(some))})",
                tuple(some),
            )
            firsts += [(number, ident) for number, ident in rows]
        return firsts

    async def held(self, key: LogKey, low: int, high: int) -> dict[int, Held]:
        rows = await self._db.execute_fetchall(
            "SELECT seq, header, signature FROM blocks"
            " WHERE author_no = ? AND log = ? AND seq BETWEEN ? AND ?",
            (await self.number(key[0]), key[1], low, high),
        )
        return {seq: Held(block_id(raw), signature is not None) for seq, raw, signature in rows}

    async def read_all(self, key: LogKey, low: int, high: int, limit: int = -1) -> list[Block]:
        number = await self.number(key[0])
        rows = await self._db.execute_fetchall(_BLOCKS, (number, key[1], low, high, limit))
        return [to_block(*row) for row in rows]

    async def branch(self, key: LogKey) -> list[Block]:
        rows = await self._db.execute_fetchall(_BRANCH, (await self.number(key[0]), key[1]))
        return [to_block(*row) for row in rows]

    async def bodiless(self, key: LogKey, seqs: Collection[int]) -> dict[int, Header]:
        number, wanted = await self.number(key[0]), sorted(seqs)
        found: dict[int, Header] = {}
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            rows = await self._db.execute_fetchall(
                f"SELECT b.seq, b.header {_LACKING} AND b.seq IN ({','.join('?' * len(some))})",
                (number, key[1], *some),
            )
            found |= {seq: decode_header(raw) for seq, raw in rows}
        return found

    async def count_bodiless(self, key: LogKey) -> int:
        rows = await self._db.execute_fetchall(
            f"SELECT count(*) {_LACKING}",
            (await self.number(key[0]), key[1]),
        )
        return sum(count for (count,) in rows)

    async def proof(self, key: LogKey) -> ForkProof | None:
        rows = await self._db.execute_fetchall(
            "SELECT proof FROM proofs WHERE author_no = ? AND log = ?",
            (await self.number(key[0]), key[1]),
        )
        return next((decode_proof(raw, trusted) for (raw,) in rows), None)

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        rows = await self._db.execute_fetchall(
            "SELECT statement, signature FROM revocations WHERE person = ? ORDER BY device",
            (person,),
        )
        return [decode_revocation(raw, signature, trusted) for raw, signature in rows]

    async def write(self, changes: Changes) -> None:
        await self._number_new(changes)
        await self._drop(changes)
        await self._write_logs(changes)
        await self._write_blocks(changes)
        await self._write_evidence(changes)

    async def _many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            await self._db.executemany(sql, rows)

    async def _number_new(self, changes: Changes) -> None:
        authors = {key[0] for key in changes.logs} | {a.author for a in changes.arrivals}
        new = sorted(author for author in authors if author not in self._numbers)
        await self._many("INSERT OR IGNORE INTO authors (author) VALUES (?)", [(a,) for a in new])
        for start in range(0, len(new), _MANY):
            some = new[start : start + _MANY]
            rows = await self._db.execute_fetchall(
                "SELECT author, author_no FROM authors"  # noqa: S608  question marks only
                f" WHERE author IN ({','.join('?' * len(some))})",
                tuple(some),
            )
            self._numbers |= {known: number for known, number in rows}  # noqa: C416  rows of Row

    async def _drop(self, changes: Changes) -> None:
        numbers = self._numbers
        cuts = [(numbers[key[0]], key[1], fork) for key, fork in changes.cuts]
        for table in ("blocks", "bodies"):
            sql = f"DELETE FROM {table} WHERE author_no = ? AND log = ? AND seq >= ?"  # noqa: S608
            await self._many(sql, list(cuts))
        await self._many(
            "DELETE FROM branches WHERE author_no = ? AND log = ? AND id = ?",
            [(numbers[key[0]], key[1], ident) for key, ident in changes.branch_drops],
        )
        await self._many(
            "DELETE FROM revocations WHERE person = ? AND device = ?",
            [(gone.person, gone.device) for gone in changes.revocation_drops],
        )

    async def _write_logs(self, changes: Changes) -> None:
        heads: list[tuple[object, ...]] = []
        gone: list[tuple[object, ...]] = []
        put: list[tuple[object, ...]] = []
        for key, log in changes.logs.items():
            place = (self._numbers[key[0]], key[1])
            before = self._stored.get(key)
            if before is None or (before.fork, before.bodies_missing) != (
                log.fork,
                log.bodies_missing,
            ):
                heads.append((*place, log.fork, log.bodies_missing))
            was = before.pieces if before else ()
            stay = {piece.low for piece in log.pieces}
            gone += [(*place, piece.low) for piece in was if piece.low not in stay]
            put += [(*place, *piece) for piece in log.pieces if piece not in was]
            self._stored[key] = log
        await self._many("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?)", heads)
        await self._many("DELETE FROM pieces WHERE author_no = ? AND log = ? AND low = ?", gone)
        await self._many("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?)", put)

    async def _write_blocks(self, changes: Changes) -> None:
        rows: list[tuple[object, ...]] = []
        bodies: list[tuple[object, ...]] = []
        for block, lsn in changes.blocks:
            header = block.header
            place = (self._numbers[header.author], header.log, header.seq)
            rows.append((*place, id_prefix(block.id), lsn, block.raw, block.signature or None))
            if block.body is not None:
                bodies.append((*place, block.body))
        bodies += [(self._numbers[b.author], b.log, b.seq, b.body) for b in changes.bodies]
        await self._many("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        await self._many("INSERT INTO bodies VALUES (?, ?, ?, ?)", bodies)
        await self._many(
            "UPDATE blocks SET signature = ? WHERE author_no = ? AND log = ? AND seq = ?",
            [(sig, self._numbers[key[0]], key[1], seq) for key, seq, sig in changes.signatures],
        )

    async def _write_evidence(self, changes: Changes) -> None:
        numbers = self._numbers
        await self._many(
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
        await self._many(
            "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?)",
            [(numbers[p.author], p.log, p.encode()) for p in changes.proofs],
        )
        await self._many(
            "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?)",
            [(r.person, r.device, r.raw, r.signature) for r in changes.revocations],
        )
        await self._many(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(a.lsn, a.what, numbers[a.author], *a[3:]) for a in changes.arrivals],
        )
        notes = changes.notes.items()
        await self._many(
            "DELETE FROM notes WHERE name = ?", [(name,) for name, value in notes if value is None]
        )
        await self._many(
            "INSERT OR REPLACE INTO notes VALUES (?, ?)",
            [(name, value) for name, value in notes if value is not None],
        )
