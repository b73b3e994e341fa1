"""Messages between nodes, and their bytes: CBOR arrays ``[number, ...]``.

The same messages travel over a link and in a bundle. Reading returns a message whose every field
has the right type and size, or raises; whether runs, statements and proofs hold is for
``ledger.run``, ``ledger.statement`` and ``ledger.fork`` to say. Numbers are never reused
(docs/protocol.md, messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gossip.control import Control
from gossip.control_reader import READ, read_control
from gossip.control_writer import encode_control
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.postal import (
    NUMBERS,
    Envelopes,
    Leave,
    Notice,
    Offers,
    Pieces,
    Post,
    Take,
    Tokens,
    encode_postal,
    read_postal,
)
from ledger.block import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_LOG, MAX_SEQ
from ledger.codec import Value, decode, encode, read_head
from ledger.errors import InvalidError
from ledger.fork import MAX_PROOF_BYTES
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES
from ledger.statement import MAX_STATEMENT_BYTES
from ledger.store.base import LateBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.run import RawBlock

MAX_HOPS: Final = 255


class RawRun(NamedTuple):
    """Consecutive blocks of one log as they travel; nothing checked but sizes.

    Attributes:
        blocks: Header, signature (64 bytes or none) and body (or None) of each, at least one.
        hops: How many devices passed them on, 0 .. 255, as the sender claims.
    """

    blocks: Sequence[RawBlock]
    hops: int


@dataclass(frozen=True, slots=True)
class Data:
    """Runs of blocks, many short ones together."""

    runs: Sequence[RawRun]


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies whose headers went before, because a run was too long for one message."""

    bodies: Sequence[LateBody]


@dataclass(frozen=True, slots=True)
class Statements:
    """Person statements, each with its signature."""

    statements: Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Proofs:
    """Fork proofs."""

    proofs: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed message of a number that this version does not read."""

    number: int


Bulk: TypeAlias = Data | Bodies | Statements | Proofs
Message: TypeAlias = Bulk | Control | Post | Notice | Unknown


def encode_message(message: Bulk | Control | Post | Notice) -> bytes:
    """Return the bytes of ``message``; keeping to ``MAX_MESSAGE_BYTES`` is the caller's."""
    match message:
        case Data(runs):
            flat = [[run.hops, *(part for block in run.blocks for part in block)] for run in runs]
            return encode((Number.DATA.value, flat))
        case Bodies(bodies):
            return encode((Number.BODIES.value, bodies))
        case Statements(statements):
            return encode((Number.STATEMENTS.value, statements))
        case Proofs(proofs):
            return encode((Number.PROOFS.value, proofs))
        case Offers() | Take() | Leave() | Envelopes() | Pieces() | Tokens():
            return encode_postal(message)
        case _:
            return encode_control(message)


def decode_message(raw: bytes) -> Message:
    """Read one message.

    Raises:
        InvalidError: Longer than ``MAX_MESSAGE_BYTES``, not the one spelling, or a field is not
            what its message asks for. No other exception leaves this function.
    """
    if len(raw) > MAX_MESSAGE_BYTES:
        raise InvalidError(f"a message of {len(raw)} bytes; {MAX_MESSAGE_BYTES} are allowed")
    if raw[:2] == _DATA_START:
        return _decode_data(raw)
    match decode(raw, MAX_MESSAGE_BYTES):
        case [Number.BODIES, [_, *_] as rows]:
            return Bodies([_late(row) for row in rows])
        case [Number.STATEMENTS, [_, *_] as rows]:
            return Statements([_statement(row) for row in rows])
        case [Number.PROOFS, [_, *_] as rows]:
            return Proofs([_proof(row) for row in rows])
        case [int(number), *fields] if number >= 0 and number not in _READ:
            return _read_other(number, fields)
        case _:
            raise InvalidError("not a message, or its fields are wrong")


def _read_other(number: int, fields: list[Value]) -> Control | Post | Notice | Unknown:
    if number in READ:
        return read_control(number, fields)
    return read_postal(number, fields) if number in NUMBERS else Unknown(number)


_READ: Final = (Number.DATA, Number.BODIES, Number.STATEMENTS, Number.PROOFS)
_DATA_START: Final = b"\x82\x06"
_EMPTY: Final = 0x40
_SHORT: Final = 0x58
_NULL: Final = 0xF6


def _decode_data(raw: bytes) -> Data:
    """Read DATA by its known shape: this is where the time of a sync goes."""
    major, count, at = read_head(raw, 2)
    if major != 4 or not 1 <= count <= len(raw):
        raise InvalidError("DATA holds no runs")
    runs: list[RawRun] = []
    for _ in range(count):
        run, at = _decode_run(raw, at)
        runs.append(run)
    if at != len(raw):
        raise InvalidError("bytes after the last run")
    return Data(runs)


def _decode_run(raw: bytes, at: int) -> tuple[RawRun, int]:
    major, parts, at = read_head(raw, at)
    blocks, rest = divmod(parts - 1, 3)
    if major != 4 or rest or not 1 <= blocks <= len(raw):
        raise InvalidError("a run is hops and then header, signature and body of each block")
    major, hops, at = read_head(raw, at)
    if major != 0 or hops > MAX_HOPS:
        raise InvalidError(f"hops is not a number up to {MAX_HOPS}")
    items: list[RawBlock] = []
    try:
        for _ in range(blocks):
            item, at = _decode_block(raw, at)
            items.append(item)
    except IndexError as exc:
        raise InvalidError("cut short") from exc
    return RawRun(items, hops), at


def _decode_block(raw: bytes, at: int) -> tuple[RawBlock, int]:
    """Read header, signature and body; most of them are 24 to 255 bytes, which is read at once."""
    if raw[at] == _SHORT and raw[at + 1] >= 24:
        end = at + 2 + raw[at + 1]
        header, at = raw[at + 2 : end], end
    else:
        header, at = _string(raw, at, MAX_HEADER_BYTES)
    if raw[at] == _EMPTY:
        signature, at = b"", at + 1
    elif raw[at] == _SHORT and raw[at + 1] == SIGNATURE_BYTES:
        signature, at = raw[at + 2 : at + 66], at + 66
    else:
        raise InvalidError("a signature is 64 bytes or none")
    if raw[at] == _NULL:
        return (header, signature, None), at + 1
    if raw[at] == _SHORT and raw[at + 1] >= 24:
        end = at + 2 + raw[at + 1]
        return (header, signature, raw[at + 2 : end]), end  # no run ends beyond the message
    body, at = _string(raw, at, MAX_BODY_BYTES)
    return (header, signature, body), at


def _string(raw: bytes, at: int, limit: int) -> tuple[bytes, int]:
    major, size, at = read_head(raw, at)
    end = at + size
    if major != 2 or size > limit or end > len(raw):
        raise InvalidError(f"not a byte string of at most {limit} bytes")
    return raw[at:end], end


def _late(row: Value) -> LateBody:
    match row:
        case [bytes(author), int(log), int(seq), bytes(body)] if (
            len(author) == KEY_BYTES
            and 0 <= log <= MAX_LOG
            and 1 <= seq <= MAX_SEQ
            and len(body) <= MAX_BODY_BYTES
        ):
            return LateBody(author, log, seq, body)
        case _:
            raise InvalidError("a late body is an author, a log, a seq and the body")


def _statement(row: Value) -> tuple[bytes, bytes]:
    match row:
        case [bytes(raw), bytes(signature)] if (
            len(raw) <= MAX_STATEMENT_BYTES and len(signature) == SIGNATURE_BYTES
        ):
            return raw, signature
        case _:
            raise InvalidError("a statement is its bytes and 64 bytes of signature")


def _proof(row: Value) -> bytes:
    if not isinstance(row, bytes) or len(row) > MAX_PROOF_BYTES:
        raise InvalidError(f"a proof is at most {MAX_PROOF_BYTES} bytes")
    return row
