"""The file of the SQLite store: whose it is, of which version, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING, Final

import aiosqlite

from ledger.errors import StoreError
from ledger.store.connection import Connection
from ledger.store.migrations import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from pathlib import Path

SqliteTrouble: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second where it quotes a damaged file in its message."""
_READ_ONLY: Final = "store.db cannot be written; check its permissions and its folder's"
_ADVICE: Final = {
    "full": "the disk is full; free some space and try again, nothing was lost",
    "readonly": _READ_ONLY,
    "unable to open": "store.db cannot be opened; check that it is a file, and its permissions and"
    " its folder's",
    "locked": "another program has the store open; close it and try again",
}
_MAY_NOT_WRITE: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_CANNOT_WRITE: Final = tuple(
    f"SQLITE_IOERR_{what}" for what in ("WRITE", "FSYNC", "DIR_FSYNC", "TRUNCATE", "SHM", "DELETE")
)
_UNWRITABLE: Final = (
    "the disk could not be written, it may be full; free some space and try again, nothing was lost"
)
_DAMAGE: Final = ("malformed", "not a database", "disk I/O", "corrupt", "codec can't decode")


def explain(exc: Exception) -> StoreError:
    """Say in a line what a person can do about what SQLite raised."""
    text = " ".join(str(exc).split())
    if getattr(exc, "sqlite_errorname", "").startswith(_CANNOT_WRITE):
        return StoreError(_UNWRITABLE)
    for sign, advice in _ADVICE.items():
        if sign in text:
            return StoreError(advice)
    if any(sign in text for sign in _DAMAGE):
        return damaged(text)
    return StoreError(f"the store failed ({text}); run `passalong check`")


def damaged(reason: str) -> StoreError:
    """Say what to do about a store whose bytes are not what was written."""
    return StoreError(
        f"the store is damaged ({reason}); keep a copy, `passalong restore --words-file FILE` into"
        " a new home, and import a bundle that has your posts"
    )


async def open_file(path: Path) -> aiosqlite.Connection:
    """Open or make the file at ``path``, bringing an older one up to date.

    Raises:
        StoreError: Not a store, damaged, of a newer version, or not writable.
    """
    try:
        # SQLite opens a file that it may only read without a word
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # aiosqlite leaves its thread alone with a loop that may end where this fails
        sqlite3.connect(path).close()
        db = await aiosqlite.connect(path, isolation_level="IMMEDIATE", factory=Connection)
    except sqlite3.Error as exc:
        raise explain(exc) from exc
    except OSError as exc:
        said = _READ_ONLY if exc.errno in _MAY_NOT_WRITE else _ADVICE["unable to open"]
        raise StoreError(said) from exc
    try:
        await _prepare(db)
    except BaseException as exc:
        await db.close()
        if isinstance(exc, SqliteTrouble):
            raise explain(exc) from exc
        raise
    return db


async def value(db: aiosqlite.Connection, sql: str) -> int:
    """Return the only value of a query's only row."""
    rows = await db.execute_fetchall(sql)
    return int(next(iter(rows))[0])


async def _prepare(db: aiosqlite.Connection) -> None:
    version = await value(db, "PRAGMA user_version")
    application = await value(db, "PRAGMA application_id")
    tables = await value(db, "SELECT count(*) FROM sqlite_master")
    is_new = not (application or version or tables)
    if application != APPLICATION_ID and not is_new:
        raise StoreError("store.db belongs to another program; use another home")
    if version > len(MIGRATIONS):
        raise StoreError("the store was written by a newer passalong; update passalong")
    if version < 1 and not is_new:
        raise damaged(f"version {version}")
    await db.execute("PRAGMA journal_mode = WAL")
    await db.execute("PRAGMA secure_delete = ON")
    await db.execute("PRAGMA synchronous = FULL")
    await _sync_what_was_left(db)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        await db.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")


async def _sync_what_was_left(db: aiosqlite.Connection) -> None:
    """Make durable what a process wrote that died before it synced; only then is it handed on.

    A checkpoint syncs the log first and copies after; where the disk is full only the copying
    fails, and the home can still be read.
    """
    try:
        await db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorname != "SQLITE_FULL":
            raise
