"""What cannot be done without: the bare loops that a round's work is compared with.

No node can do with less than one library call a step: sign, verify, hash, CBOR, and a batched
insert into the most compact table (one row a block, keyed by its place, no other index).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import cbor2
from nacl import bindings

from bench.measure import lap
from ledger.block import BLOCK_CONTEXT, BODY_CONTEXT, ID_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ledger.block import Block

SIGNATURES: Final = 2_000
MESSAGE_BLOCKS: Final = 200
PAGE_BLOCKS: Final = 256
TABLE: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE bare (
    author INTEGER NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (author, log, seq)) STRICT, WITHOUT ROWID;
"""
INSERT: Final = "INSERT INTO bare VALUES (?, ?, ?, ?)"
_READ: Final = "SELECT raw FROM bare WHERE author = ? AND log = ? AND seq >= ? LIMIT ?"
_Row = tuple[int, int, int, bytes]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """CPU seconds a block (``sign``, ``verify``: a signature).

    Attributes:
        sign: One Ed25519 signature.
        verify: One check of it.
        hash: SHA-256 of header and of body.
        decode: Of the message that carries the block, and of its header.
        encode: Of the message.
        insert: In the order given, so many a commit, each commit durable.
        read: By log, a page at a time.
        seal: ChaCha20-Poly1305 of its share of a message, sealed and opened.
    """

    sign: float
    verify: float
    hash: float
    decode: float
    encode: float
    insert: float
    read: float
    seal: float

    def take_in(self, signatures_per_block: float) -> float:
        """Return what taking in one block costs at least."""
        return self.decode + self.hash + self.verify * signatures_per_block + self.insert

    def give_out(self) -> float:
        """Return what handing out one block costs at least."""
        return self.read + self.encode


def measure_ceiling(folder: Path, blocks: Sequence[Block], per_commit: int) -> Ceiling:
    """Measure it now, with ``blocks``, on the disk of ``folder``."""
    sign, verify = _signatures(blocks[:SIGNATURES])
    decode, encode = _codec(blocks)
    insert, read = _table(folder / "ceiling.db", blocks, per_commit)
    return Ceiling(sign, verify, _hashes(blocks), decode, encode, insert, read, _seal(blocks))


def _signatures(blocks: Sequence[Block]) -> tuple[float, float]:
    public, secret = bindings.crypto_sign_seed_keypair(bytes(32))
    messages = [BLOCK_CONTEXT + block.raw for block in blocks]
    with lap() as signing:
        signed = [bindings.crypto_sign(message, secret) for message in messages]
    with lap() as verifying:
        for one in signed:
            bindings.crypto_sign_open(one, public)
    return signing.cpu / len(blocks), verifying.cpu / len(blocks)


def _hashes(blocks: Sequence[Block]) -> float:
    with lap() as taken:
        for block in blocks:
            sha256(ID_CONTEXT + block.raw).digest()
            sha256(BODY_CONTEXT + (block.body or b"")).digest()
    return taken.cpu / len(blocks)


def _codec(blocks: Sequence[Block]) -> tuple[float, float]:
    with lap() as encoding:
        messages = [
            cbor2.dumps([6, [[0, *(part for b in some for part in (b.raw, b.signature, b.body))]]])
            for some in _cut(blocks, MESSAGE_BLOCKS)
        ]
    with lap() as decoding:
        for message in messages:
            cbor2.loads(message)
        for block in blocks:
            cbor2.loads(block.raw)
    return decoding.cpu / len(blocks), encoding.cpu / len(blocks)


def _seal(blocks: Sequence[Block]) -> float:
    key, nonce = bytes(32), bytes(12)
    frames = [
        b"".join(part for b in some for part in (b.raw, b.signature, b.body or b""))
        for some in _cut(blocks, MESSAGE_BLOCKS)
    ]
    with lap() as taken:
        for frame in frames:
            sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(frame, b"", nonce, key)
            bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, b"", nonce, key)
    return taken.cpu / len(blocks)


def _cut(blocks: Sequence[Block], size: int) -> Iterator[Sequence[Block]]:
    return (blocks[start : start + size] for start in range(0, len(blocks), size))


def _table(path: Path, blocks: Sequence[Block], per_commit: int) -> tuple[float, float]:
    path.unlink(missing_ok=True)
    numbers: dict[bytes, int] = {}
    rows = [row(block, numbers.setdefault(block.header.author, len(numbers))) for block in blocks]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(TABLE)
        with lap() as inserting:
            for start in range(0, len(rows), per_commit):
                db.execute("BEGIN IMMEDIATE")
                db.executemany(INSERT, rows[start : start + per_commit])
                db.execute("COMMIT")
        with lap() as reading:
            read = sum(map(len, _pages(db, sorted({(one, log) for one, log, _, _ in rows}))))
    assert read == len(rows)
    path.unlink()
    return inserting.cpu / len(rows), reading.cpu / len(rows)


def row(block: Block, author: int) -> _Row:
    """Return the block's row; ``author`` is its device's number."""
    header = block.header
    return author, header.log, header.seq, block.raw + block.signature + (block.body or b"")


def _pages(db: sqlite3.Connection, logs: Sequence[tuple[int, int]]) -> Iterator[list[object]]:
    for log in logs:
        low = 1
        while page := db.execute(_READ, (*log, low, PAGE_BLOCKS)).fetchall():
            yield page
            low += len(page)
