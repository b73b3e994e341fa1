"""What only the SQLite store can have wrong: its tables do not fit together.

``ledger.store.check`` verifies what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.block import block_id
from ledger.store.sqlite_rows import id_prefix

if TYPE_CHECKING:
    import aiosqlite

_STRAYS: Final = (
    (
        "blocks of no known log",
        (
            "SELECT count(*) FROM blocks LEFT JOIN logs l ON l.log_no = place >> 40"
            " WHERE l.log IS NULL"
        ),
    ),
    (
        "pieces of no known log",
        "SELECT count(*) FROM pieces LEFT JOIN logs l USING (log_no) WHERE l.log IS NULL",
    ),
    (
        "logs of no known author",
        "SELECT count(*) FROM logs LEFT JOIN authors a USING (author_no) WHERE a.author IS NULL",
    ),
    (
        "arrivals of no known author",
        (
            "SELECT count(*) FROM arrivals LEFT JOIN authors a USING (author_no)"
            " WHERE a.author IS NULL"
        ),
    ),
    (
        "branch blocks of a log that is not forked there",
        (
            "SELECT count(*) FROM branches b LEFT JOIN logs l USING (author_no, log)"
            " WHERE l.fork IS NULL OR b.seq < l.fork"
        ),
    ),
    (
        "blocks that never arrived",
        "SELECT count(*) FROM blocks LEFT JOIN arrivals a USING (lsn) WHERE a.lsn IS NULL",
    ),
    (
        "branch blocks that never arrived",
        "SELECT count(*) FROM branches LEFT JOIN arrivals a USING (lsn) WHERE a.lsn IS NULL",
    ),
    (
        "blocks that cannot be found by their id",
        "SELECT count(*) FROM blocks WHERE id_prefix IS NOT prefix_of(header)",
    ),
    (
        "branch blocks under another id",
        "SELECT count(*) FROM branches WHERE id IS NOT id_of(header)",
    ),
)


async def check_tables(db: aiosqlite.Connection) -> list[str]:
    """Return what is wrong with the file and between its tables, one line each.

    Raises:
        sqlite3.Error: The file is damaged so that SQLite cannot go on.
    """
    rows = await db.execute_fetchall("PRAGMA integrity_check")
    wrong = [f"SQLite: {' '.join(line.split())}" for (line,) in rows if line != "ok"]
    if wrong:
        return wrong
    await db.create_function("id_of", 1, block_id, deterministic=True)
    await db.create_function("prefix_of", 1, lambda raw: id_prefix(block_id(raw)))
    for what, query in _STRAYS:
        for (count,) in await db.execute_fetchall(query):
            wrong += [f"{count} {what}"] if count else []
    return wrong
