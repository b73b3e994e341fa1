"""How the database came to be what it is: one SQL script per version, applied in order.

A script, once released, is never changed; ``PRAGMA user_version`` counts those applied.

Layout, and why (docs/decisions/0005): one row per block, its key the number of its log and its
seq in one integer, so that a log lies together and a long body needs no page of its own; no index
on the hash (an id is found by its first 4 bytes as an integer); the raw header as it was signed;
a body that can be dropped; a signature that is there was verified (NULL: the chain vouches).
"""

from __future__ import annotations

from typing import Final

_V1: Final = """
CREATE TABLE authors (author_no INTEGER PRIMARY KEY, author BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE logs (
    log_no INTEGER PRIMARY KEY, author_no INTEGER NOT NULL REFERENCES authors,
    log INTEGER NOT NULL, fork INTEGER, bodies_missing INTEGER NOT NULL,
    UNIQUE (author_no, log)) STRICT;
CREATE TABLE pieces (
    log_no INTEGER NOT NULL REFERENCES logs, low INTEGER NOT NULL,
    high INTEGER NOT NULL, previous BLOB NOT NULL, tip BLOB NOT NULL,
    PRIMARY KEY (log_no, low)) STRICT, WITHOUT ROWID;
CREATE TABLE blocks (
    place INTEGER PRIMARY KEY, id_prefix INTEGER NOT NULL, lsn INTEGER NOT NULL,
    header BLOB NOT NULL, signature BLOB, body BLOB) STRICT;
CREATE INDEX blocks_by_id ON blocks (id_prefix);
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

_V2: Final = """
CREATE TABLE mail (
    mail_no INTEGER PRIMARY KEY, what INTEGER NOT NULL, ident BLOB NOT NULL, tag BLOB NOT NULL,
    lock BLOB NOT NULL, hops INTEGER NOT NULL, copies INTEGER NOT NULL, until INTEGER NOT NULL,
    depositor BLOB NOT NULL, content BLOB NOT NULL, UNIQUE (what, ident)) STRICT;
CREATE TABLE floors (
    author BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, rank INTEGER NOT NULL,
    PRIMARY KEY (author, log)) STRICT, WITHOUT ROWID;
ALTER TABLE logs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE logs SET bytes =
    (SELECT coalesce(sum(length(header) + coalesce(length(body), 0)), 0) FROM blocks
     WHERE place BETWEEN log_no << 40 AND (log_no << 40) + (1 << 40) - 1)
  + (SELECT coalesce(sum(length(header) + coalesce(length(body), 0)), 0) FROM branches b
     WHERE b.author_no = logs.author_no AND b.log = logs.log);
"""

_V3: Final = """
CREATE TABLE known (
    person BLOB PRIMARY KEY, following INTEGER NOT NULL, muted INTEGER NOT NULL,
    blocked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO known SELECT person, 1, 0, 0 FROM following;
DROP TABLE following;
"""

_V4: Final = "ALTER TABLE known ADD COLUMN added INTEGER NOT NULL DEFAULT 0;"

MIGRATIONS: Final = (_V1, _V2, _V3, _V4)
APPLICATION_ID: Final = 0x50_41_4C_47
"""``PALG``: says whose file this is (``PRAGMA application_id``)."""
