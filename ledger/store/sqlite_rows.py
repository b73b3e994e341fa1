"""What rows of the SQLite store say: blocks, proofs and statements made of their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ledger.block import Block, block_id, decode_header
from ledger.errors import InvalidError
from ledger.fork import ForkProof, decode_proof
from ledger.statement import Revocation, decode_revocation
from ledger.store.base import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import UnionType

    from ledger.store.base import LogKey

Row = TypeVar("Row")

SEQ_BITS: Final = 40
KNOWN: Final = "SELECT person, following, muted, blocked, added FROM known"
_BYTES: Final = (bytes, type(None))


def padded(rows: Sequence[Row], nothing: Row, most: int) -> list[Row]:
    """Return ``rows`` and ``nothing`` some times, so that their number is one of few.

    SQLite keeps each different statement it prepared, and one of many rows is large.

    Args:
        rows: What to ask for, at least one.
        nothing: A row that no answer fits.
        most: How many rows a statement may have.
    """
    count = min(1 << (len(rows) - 1).bit_length(), most)
    return [*rows, *[nothing] * (count - len(rows))]


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


def block_at(
    key: LogKey, seq: int, header: bytes, signature: bytes | None, body: bytes | None
) -> Block:
    """Return the block of one row, which must be the one that belongs there.

    Raises:
        InvalidError: The row is damaged.
    """
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


def to_known(person: bytes, *marks: int) -> Known:
    """Return what is kept of a person, made of a row of ``KNOWN``.

    Raises:
        InvalidError: The row is damaged.
    """
    must_be((person, *marks), bytes, int, int, int, int)
    return Known(person, *map(bool, marks))


def _trusted(public: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001
    return True


def place_of(log_number: int, seq: int) -> int:
    """Return the key of a block's row."""
    return log_number << SEQ_BITS | seq
