"""What ``Absorption`` sees and does inside a transaction of the SQLite store.

Every method is one or a few statements for a whole batch, never one per block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.block import MAX_SEQ, Block, Header, block_id
from ledger.chain import Held
from ledger.store.sqlite_logs import MANY
from ledger.store.sqlite_rows import (
    block_at,
    must_be,
    padded,
    place_of,
    to_block,
    to_proof,
    to_revocation,
)
from ledger.store.sqlite_writing import SqliteWriting

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import LogKey, Span

_BLOCKS: Final = """
SELECT place, header, signature, body FROM blocks
WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?
"""
_MEASURE: Final = """
SELECT coalesce(sum(length(header) + coalesce(length(body), 0)), 0) FROM blocks
WHERE place BETWEEN ? AND ?
UNION ALL
SELECT coalesce(sum(length(header) + coalesce(length(body), 0)), 0) FROM branches
WHERE author_no = ? AND log = ?
"""
_BRANCH: Final = """
SELECT seq, header, signature, body FROM branches WHERE author_no = ? AND log = ? ORDER BY seq, id
"""
_SPANS: Final = """
SELECT s.at, b.place, b.header, b.signature, b.body
FROM s
CROSS JOIN authors a ON a.author = s.author
CROSS JOIN logs l ON l.author_no = a.author_no AND l.log = s.log
CROSS JOIN blocks b ON b.place BETWEEN (l.log_no << 40) + s.low AND (l.log_no << 40) + s.high
"""
_SPANS_TOGETHER: Final = 300
_NO_SPAN: Final = (b"", 0, 1, 0)
_BODILESS: Final = """
SELECT b.place
FROM authors a
CROSS JOIN logs l ON l.author_no = a.author_no
CROSS JOIN blocks b ON b.place BETWEEN l.log_no << 40 AND (l.log_no << 40) + ?
WHERE a.author = ? AND l.log = ? AND l.bodies_missing > 0 AND b.body IS NULL
ORDER BY b.place LIMIT ?
"""


class SqliteGround(SqliteWriting):
    """Satisfies ``Ground``; also answers the store's reads outside of a transaction."""

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
        return [block_at(key, place & MAX_SEQ, *row) for place, *row in rows]

    async def read_spans(self, spans: Sequence[Span]) -> list[list[Block]]:
        """See ``Store.read_spans``."""
        found: list[list[Block]] = [[] for _ in spans]
        for start in range(0, len(spans), _SPANS_TOGETHER):
            some = spans[start : start + _SPANS_TOGETHER]
            asked = padded([_row(span) for span in some], _NO_SPAN, _SPANS_TOGETHER)
            marks = ",".join(f"({at},?,?,?,?)" for at in range(len(asked)))
            rows = await self._db.execute_fetchall(
                f"WITH s (at, author, log, low, high) AS (VALUES {marks}) {_SPANS}",
                [item for row in asked for item in row],
            )
            for at, place, *row in rows:
                found[start + at].append(block_at(some[at].key, place & MAX_SEQ, *row))
        return [sorted(blocks, key=lambda block: block.header.seq) for blocks in found]

    async def seqs_without_body(self, key: LogKey, limit: int) -> list[int]:
        """See ``Store.bodiless``."""
        rows = await self._db.execute_fetchall(_BODILESS, (MAX_SEQ, *key, limit))
        return [place & MAX_SEQ for (place,) in rows]

    async def branch(self, key: LogKey) -> list[Block]:
        rows = await self._db.execute_fetchall(_BRANCH, (await self.number(key[0]), key[1]))
        return [block_at(key, *row) for row in rows]

    async def bodiless(self, key: LogKey, seqs: Collection[int]) -> dict[int, Header]:
        number, wanted = await self._log_number(key), sorted(seqs)
        found: dict[int, Header] = {}
        for start in range(0, len(wanted), MANY):
            places = [place_of(number, seq) for seq in wanted[start : start + MANY]]
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

    async def measure(self, key: LogKey) -> int:
        low, high = await self._span(key, 0, MAX_SEQ)
        rows = await self._db.execute_fetchall(
            _MEASURE, (low, high, await self.number(key[0]), key[1])
        )
        return sum(size for (size,) in rows)

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


def _row(span: Span) -> tuple[bytes, int, int, int]:
    """Return author, log, low and high; within what there is, so that no log runs into the next."""
    return (*span.key, min(max(span.low, 0), MAX_SEQ + 1), max(min(span.last, MAX_SEQ), -1))
