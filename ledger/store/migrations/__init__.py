"""How the database came to be what it is: one SQL script per version, applied in order.

A script, once released, is never changed; ``PRAGMA user_version`` counts those applied.

Layout, and why: one compact row per block in the order of its log, no index on the hash (an id
is found by its first 4 bytes as an integer), the raw header as it was signed, bodies apart so
that they can be dropped; a signature that is there was verified (NULL: the chain vouches).
"""

from __future__ import annotations

from typing import Final

_V1: Final = """
CREATE TABLE authors (author_no INTEGER PRIMARY KEY, author BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE logs (
    author_no INTEGER NOT NULL REFERENCES authors, log INTEGER NOT NULL,
    fork INTEGER, bodies_missing INTEGER NOT NULL,
    PRIMARY KEY (author_no, log)) STRICT, WITHOUT ROWID;
CREATE TABLE pieces (
    author_no INTEGER NOT NULL, log INTEGER NOT NULL, low INTEGER NOT NULL,
    high INTEGER NOT NULL, previous BLOB NOT NULL, tip BLOB NOT NULL,
    PRIMARY KEY (author_no, log, low)) STRICT, WITHOUT ROWID;
CREATE TABLE blocks (
    author_no INTEGER NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL,
    id_prefix INTEGER NOT NULL, lsn INTEGER NOT NULL, header BLOB NOT NULL, signature BLOB,
    PRIMARY KEY (author_no, log, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_id ON blocks (id_prefix);
CREATE TABLE bodies (
    author_no INTEGER NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (author_no, log, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE branches (
    author_no INTEGER NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, id BLOB NOT NULL,
    lsn INTEGER NOT NULL, header BLOB NOT NULL, signature BLOB, body BLOB,
    PRIMARY KEY (author_no, log, seq, id)) STRICT, WITHOUT ROWID;
CREATE TABLE proofs (
    author_no INTEGER NOT NULL, log INTEGER NOT NULL, proof BLOB NOT NULL,
    PRIMARY KEY (author_no, log)) STRICT, WITHOUT ROWID;
CREATE TABLE revocations (
    person BLOB NOT NULL, device BLOB NOT NULL, statement BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (person, device)) STRICT, WITHOUT ROWID;
CREATE TABLE arrivals (
    lsn INTEGER PRIMARY KEY, what INTEGER NOT NULL, author_no INTEGER NOT NULL,
    log INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    hops INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;
CREATE TABLE runs (first_lsn INTEGER PRIMARY KEY, run BLOB NOT NULL) STRICT;
CREATE TABLE following (person BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final = (_V1,)
APPLICATION_ID: Final = 0x50_41_4C_47
"""``PALG``: says whose file this is (``PRAGMA application_id``)."""
