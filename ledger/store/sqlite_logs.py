"""Which logs the SQLite store holds, and under which numbers.

Author keys are stored once and numbered; rows name them by number, and logs likewise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ, block_id
from ledger.chain import Log, Piece
from ledger.store.sqlite_rows import must_be, padded, place_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    import aiosqlite

    from ledger.store.base import LogKey

MANY: Final = 500
"""Parameters in one statement; SQLite's own limit was 999 for long."""

_LOG: Final = """
SELECT a.author, a.author_no, l.log, l.log_no, l.fork, l.bodies_missing, l.bytes,
       p.low, p.high, p.previous, p.tip, z.fork, r.header
"""
_PIECES_AND_ROOT: Final = """
LEFT JOIN pieces p ON p.log_no = l.log_no
LEFT JOIN logs z ON z.author_no = a.author_no AND z.log = 0
LEFT JOIN blocks r ON r.place = (z.log_no << 40) + 1
"""
_LOGS: Final = f"""
{_LOG} FROM authors a LEFT JOIN logs l ON l.author_no = a.author_no {_PIECES_AND_ROOT}
"""
_WANTED: Final = f"""
{_LOG} FROM wanted w
CROSS JOIN authors a ON a.author = w.author
LEFT JOIN logs l ON l.author_no = a.author_no AND l.log = w.log {_PIECES_AND_ROOT}
ORDER BY p.low
"""


class SqliteLogs:
    """The logs that are held, and the numbers of authors and logs that are known so far."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._numbers: dict[bytes, int] = {}
        self._log_numbers: dict[LogKey, int] = {}
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
        return place_of(number, max(low, 0)), place_of(number, min(high, MAX_SEQ))

    async def load(
        self, keys: Collection[LogKey]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        logs: dict[LogKey, Log] = {}
        roots: dict[bytes, frozenset[bytes]] = {}
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), MANY // 2):
            some = padded(wanted[start : start + MANY // 2], (b"", 0), MANY // 2)
            marks = ",".join(["(?,?)"] * len(some))
            rows = await self._db.execute_fetchall(
                f"WITH wanted (author, log) AS (VALUES {marks}) {_WANTED}",
                [item for key in some for item in key],
            )
            await self._collect(rows, logs, roots)
        self._stored = dict(logs)
        return logs, roots

    async def load_whole(self, authors: Collection[bytes]) -> dict[LogKey, Log]:
        logs: dict[LogKey, Log] = {}
        # an author without a number has no logs
        known = sorted(author for author in authors if author in self._numbers)
        for start in range(0, len(known), MANY):
            some = known[start : start + MANY]
            marks = ",".join("?" * len(some))
            rows = await self._db.execute_fetchall(
                f"{_LOGS} WHERE a.author IN ({marks}) ORDER BY p.low", some
            )
            await self._collect(rows, logs, {})
        self._stored |= logs
        return logs

    async def load_all(self) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        """As ``load``, of all logs."""
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
        for author, number, log, log_no, fork, missing, size, *piece, root_fork, root in rows:
            must_be((author, number, fork), bytes, int, int | None)
            self._numbers[author] = number
            if author not in roots:
                must_be((root,), bytes | None)
                roots[author] = frozenset({block_id(root)} if root else ())
                if root_fork == 1:
                    forked[number] = author
            if log is None:
                continue
            must_be((log, log_no, missing, size), int, int, int, int)
            key = (author, log)
            self._log_numbers[key] = log_no
            logs[key] = Log(author, log, fork=fork, bodies_missing=missing, bytes=size)
            if piece[0] is not None:
                must_be(piece, int, int, bytes, bytes)
                pieces.setdefault(key, []).append(Piece(*piece))
        for key, held in pieces.items():
            logs[key] = replace(logs[key], pieces=tuple(held))
        for number, ident in await self._firsts(list(forked)):
            roots[forked[number]] |= {ident}

    async def _firsts(self, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return the ids at (log 0, seq 1) of authors who forked that."""
        firsts: list[tuple[int, bytes]] = []
        for start in range(0, len(numbers), MANY):
            some = numbers[start : start + MANY]
            rows = await self._db.execute_fetchall(
                "SELECT author_no, id FROM branches WHERE log = 0 AND seq = 1"  # noqa: S608
                f" AND author_no IN ({','.join('?' * len(some))})",
                tuple(some),
            )
            for number, ident in rows:
                must_be((number, ident), int, bytes)
                firsts.append((number, ident))
        return firsts
