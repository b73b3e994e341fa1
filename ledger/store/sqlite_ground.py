"""What ``Absorption`` sees and does inside a transaction of the SQLite store.

Author keys are stored once and numbered; rows name them by number. Every method is one or a few
statements for a whole batch, never one per block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ, Block, Header, block_id, decode_header
from ledger.chain import Held, Log, Piece
from ledger.errors import InvalidError, StoreError
from ledger.fork import ForkProof, decode_proof
from ledger.statement import Revocation, decode_revocation
from ledger.store.connection import TOGETHER
from ledger.store.ground import Changes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence
    from types import UnionType

    import aiosqlite

    from ledger.store.base import LogKey

_MANY: Final = 500
"""Parameters in one statement; SQLite's own limit was 999 for long."""

_LOGS: Final = """
SELECT a.author, a.author_no, l.log, l.log_no, l.fork, l.bodies_missing,
       p.low, p.high, p.previous, p.tip, r.header
FROM authors a
LEFT JOIN logs l ON l.author_no = a.author_no
LEFT JOIN pieces p ON p.log_no = l.log_no
LEFT JOIN logs z ON z.author_no = a.author_no AND z.log = 0
LEFT JOIN blocks r ON r.place = (z.log_no << 40) + 1
"""
_BLOCKS: Final = """
SELECT place, header, signature, body FROM blocks
WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?
"""
_LAST_NUMBERS: Final = """
SELECT (SELECT coalesce(max(author_no), 0) FROM authors),
       (SELECT coalesce(max(log_no), 0) FROM logs)
"""
SEQ_BITS: Final = 40
_BYTES: Final = (bytes, type(None))
_MAX_LOGS: Final = 1 << 23
_BRANCH: Final = """
SELECT seq, header, signature, body FROM branches WHERE author_no = ? AND log = ? ORDER BY seq, id
"""


def id_prefix(ident: bytes) -> int:
    """Return the first 4 bytes of an id as the integer that is indexed."""
    return int.from_bytes(ident[:4], "big")


def must_be(row: Iterable[object], *kinds: type | UnionType) -> None:
    """Refuse a row whose values are not of ``kinds``; only damage makes one.

    Raises:
        InvalidError: One is not.
    """
    for value, kind in zip(row, kinds, strict=True):
        if not isinstance(value, kind):
            raise InvalidError(f"{type(value).__name__} in a place for something else")


def to_block(header: bytes, signature: bytes | None, body: bytes | None) -> Block:
    """Return the block of one row.

    Raises:
        InvalidError: The row is damaged.
    """
    if type(header) is not bytes or type(signature) not in _BYTES or type(body) not in _BYTES:
        raise InvalidError("a block that is not bytes")
    return Block(decode_header(header), header, block_id(header), signature or b"", body)


def _block_at(
    key: LogKey, seq: int, header: bytes, signature: bytes | None, body: bytes | None
) -> Block:
    block = to_block(header, signature, body)
    if block.header[:3] != (*key, seq):
        raise InvalidError(f"another block stands at seq {seq}")
    return block


def to_proof(raw: bytes) -> ForkProof:
    """Return the fork proof of one row, which was verified before it was stored.

    Raises:
        InvalidError: The row is damaged.
    """
    must_be((raw,), bytes)
    return decode_proof(raw, _trusted)


def to_revocation(raw: bytes, signature: bytes) -> Revocation:
    """Return the person statement of one row, which was verified before it was stored.

    Raises:
        InvalidError: The row is damaged.
    """
    must_be((raw, signature), bytes, bytes)
    return decode_revocation(raw, signature, _trusted)


def _trusted(public: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001
    return True


def _place(log_number: int, seq: int) -> int:
    """Return the key of a block's row."""
    return log_number << SEQ_BITS | seq


_NOTHING: Final = Changes()


class SqliteGround:
    """Satisfies ``Ground``; also answers the store's reads outside of a transaction."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._numbers: dict[bytes, int] = {}
        self._log_numbers: dict[LogKey, int] = {}
        self._stored: dict[LogKey, Log] = {}
        self._statements: list[tuple[str, list[tuple[object, ...]]]] = []

    async def number(self, author: bytes) -> int:
        """Return the author's number, or -1 for an author without one."""
        if author not in self._numbers:
            rows = await self._db.execute_fetchall(
                "SELECT author_no FROM authors WHERE author = ?", (author,)
            )
            for (number,) in rows:
                self._numbers[author] = number
        return self._numbers.get(author, -1)

    async def _log_number(self, key: LogKey) -> int:
        if key not in self._log_numbers:
            rows = await self._db.execute_fetchall(
                "SELECT log_no FROM logs JOIN authors USING (author_no)"
                " WHERE author = ? AND log = ?",
                key,
            )
            for (number,) in rows:
                self._log_numbers[key] = number
        return self._log_numbers.get(key, -1)

    async def _span(self, key: LogKey, low: int, high: int) -> tuple[int, int]:
        """Return the first and last place of ``low`` .. ``high``; nowhere for an unknown log."""
        number = await self._log_number(key)
        if low > MAX_SEQ:
            return 1, 0
        return _place(number, max(low, 0)), _place(number, min(high, MAX_SEQ))

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
        for author, number, log, log_no, fork, missing, *piece, root in rows:
            must_be((author, number, fork), bytes, int, int | None)
            self._numbers[author] = number
            if author not in roots:
                must_be((root,), bytes | None)
                roots[author] = frozenset({block_id(root)} if root else ())
            if log is None:
                continue
            must_be((log, log_no, missing), int, int, int)
            key = (author, log)
            self._log_numbers[key] = log_no
            logs[key] = Log(author, log, fork=fork, bodies_missing=missing)
            if piece[0] is not None:
                must_be(piece, int, int, bytes, bytes)
                pieces.setdefault(key, []).append(Piece(*piece))
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
            for number, ident in rows:
                must_be((number, ident), int, bytes)
                firsts.append((number, ident))
        return firsts

    async def held(self, key: LogKey, low: int, high: int) -> dict[int, Held]:
        rows = await self._db.execute_fetchall(
            "SELECT place, header, signature FROM blocks WHERE place BETWEEN ? AND ?",
            await self._span(key, low, high),
        )
        held: dict[int, Held] = {}
        for place, raw, signature in rows:
            must_be((raw,), bytes)
            held[place & MAX_SEQ] = Held(block_id(raw), signature is not None)
        return held

    async def read_all(self, key: LogKey, low: int, high: int, limit: int = -1) -> list[Block]:
        span = await self._span(key, low, high)
        rows = await self._db.execute_fetchall(_BLOCKS, (*span, limit))
        return [_block_at(key, place & MAX_SEQ, *row) for place, *row in rows]

    async def branch(self, key: LogKey) -> list[Block]:
        rows = await self._db.execute_fetchall(_BRANCH, (await self.number(key[0]), key[1]))
        return [_block_at(key, *row) for row in rows]

    async def bodiless(self, key: LogKey, seqs: Collection[int]) -> dict[int, Header]:
        number, wanted = await self._log_number(key), sorted(seqs)
        found: dict[int, Header] = {}
        for start in range(0, len(wanted), _MANY):
            places = [_place(number, seq) for seq in wanted[start : start + _MANY]]
            rows = await self._db.execute_fetchall(
                "SELECT place, header FROM blocks WHERE body IS NULL"  # noqa: S608  marks only
                f" AND place IN ({','.join('?' * len(places))})",
                places,
            )
            found |= {place & MAX_SEQ: to_block(raw, None, None).header for place, raw in rows}
        return found

    async def count_bodiless(self, key: LogKey) -> int:
        rows = await self._db.execute_fetchall(
            "SELECT count(*) FROM blocks WHERE body IS NULL AND place BETWEEN ? AND ?",
            await self._span(key, 0, MAX_SEQ),
        )
        return sum(count for (count,) in rows)

    async def proof(self, key: LogKey) -> ForkProof | None:
        rows = await self._db.execute_fetchall(
            "SELECT proof FROM proofs WHERE author_no = ? AND log = ?",
            (await self.number(key[0]), key[1]),
        )
        return next((to_proof(raw) for (raw,) in rows), None)

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        rows = await self._db.execute_fetchall(
            "SELECT statement, signature FROM revocations WHERE person = ? ORDER BY device",
            (person,),
        )
        return [to_revocation(raw, signature) for raw, signature in rows]

    async def write(self, changes: Changes) -> None:
        if changes == _NOTHING:
            return
        await self._number_new(changes)
        await self._drop(changes)
        self._write_logs(changes)
        self._write_blocks(changes)
        self._write_evidence(changes)
        self._write_notes(changes)
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
        for start in range(0, len(new), _MANY):
            some = new[start : start + _MANY]
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
        self._many(
            "DELETE FROM branches WHERE author_no = ? AND log = ? AND id = ?",
            [(numbers[key[0]], key[1], ident) for key, ident in changes.branch_drops],
        )
        self._many(
            "DELETE FROM revocations WHERE person = ? AND device = ?",
            [(gone.person, gone.device) for gone in changes.revocation_drops],
        )

    def _write_logs(self, changes: Changes) -> None:
        heads: list[tuple[object, ...]] = []
        gone: list[tuple[object, ...]] = []
        put: list[tuple[object, ...]] = []
        for key, log in changes.logs.items():
            number = self._log_numbers[key]
            before = self._stored.get(key)
            if before is None or (before.fork, before.bodies_missing) != (
                log.fork,
                log.bodies_missing,
            ):
                place = (number, self._numbers[key[0]], key[1])
                heads.append((*place, log.fork, log.bodies_missing))
            was = before.pieces if before else ()
            stay = {piece.low for piece in log.pieces}
            gone += [(number, piece.low) for piece in was if piece.low not in stay]
            put += [(number, *piece) for piece in log.pieces if piece not in was]
            self._stored[key] = log
        self._many("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?)", heads)
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
            [(b.body, _place(numbers[b.author, b.log], b.seq)) for b in changes.bodies],
        )
        self._many(
            "UPDATE blocks SET signature = ? WHERE place = ?",
            [(sig, _place(numbers[key], seq)) for key, seq, sig in changes.signatures],
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
