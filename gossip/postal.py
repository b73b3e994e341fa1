"""Messages about mail that is carried, and their bytes: who has what, who takes it, and it.

An envelope is offered by a *row*, from which only one who holds it, or whose mail it is, can tell
what is offered (``gossip.mail_names``). Rows are counted from 0 in each direction of a meeting;
that number is the row's *index*. Formats: docs/protocol.md, mail in a meeting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from gossip.envelope import (
    MAX_COPIES,
    MAX_ENVELOPE_BYTES,
    MAX_HOPS,
    MAX_LIFE_MIN,
    TAG_BYTES,
    TOKEN_BYTES,
    Parcel,
    Piece,
    Receipt,
)
from gossip.number import Number
from ledger.codec import Value, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME_BYTES: Final = 12
TOKEN_NAME_BYTES: Final = 5
LIFE_BYTES: Final = 2
ROW_BYTES: Final = NAME_BYTES + LIFE_BYTES
MAX_ROWS: Final = 256
"""In one message,"""
MAX_OFFERED: Final = 1 << 13
"""and in one direction of a meeting."""
TOKEN_CLASS: Final = 0
FIRST_CLASS: Final = 1
CARRIED_CLASS: Final = 4
REST_CLASS: Final = 6
CLASSES: Final = (TOKEN_CLASS, FIRST_CLASS, CARRIED_CLASS, REST_CLASS)
"""In which something is taken: tokens in the first and the last, envelopes in the others."""
_MAX_SERIAL: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Offers:
    """What the sender carries and the receiver may lack.

    Attributes:
        last: Whether all that it carried before the meeting is offered by now.
        low: First serial of the sender's mail covered: of all that came to it there and was not
            seen the rows were told by now. 0 to strangers.
        high: Last serial covered; 0 to strangers.
        envelopes: Rows of envelopes.
        singles: Rows of envelopes that go on to none but their reader.
        receipts: Names of tokens.
    """

    last: bool
    low: int
    high: int
    envelopes: Sequence[bytes] = ()
    singles: Sequence[bytes] = ()
    receipts: Sequence[bytes] = ()

    @property
    def count(self) -> int:
        """How many rows it has."""
        return len(self.envelopes) + len(self.singles) + len(self.receipts)


@dataclass(frozen=True, slots=True)
class Take:
    """What the sender wants of what was offered to it.

    Attributes:
        rank: Class, one of ``CLASSES``. What is first, 1, is the sender's own mail, and other.
        rows: Indices.
        offsets: For some of them, in order of rows, at which byte to begin.
    """

    rank: int
    rows: Sequence[int]
    offsets: Mapping[int, int] = field(default_factory=dict)


class Why(IntEnum):
    """Why something that was taken does not go."""

    UNWANTED = 0
    GONE = 1
    LATER = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Leave:
    """What does not go.

    Attributes:
        why: It is not wanted any more, and the rows are the receiver's; or it is gone, or a
            budget has no room for it, or it is shorter than what the receiver has of it, and they
            are the sender's.
        rows: Indices.
    """

    why: Why
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Envelopes, with what travels outside of them."""

    parcels: Sequence[Parcel]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of envelopes that are too long to travel at once."""

    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was read."""

    receipts: Sequence[Receipt]


Post: TypeAlias = Envelopes | Pieces | Tokens
"""What brings mail; bulk."""
Notice: TypeAlias = Offers | Take | Leave
"""What steers it."""
NUMBERS: Final = frozenset(
    (
        Number.ENVELOPES,
        Number.TOKENS,
        Number.OFFERS,
        Number.TAKE,
        Number.LEAVE,
        Number.PIECES,
    )
)


_WHYS: Final = frozenset(Why)


def encode_postal(message: Post | Notice) -> bytes:
    """Return the bytes of ``message``; keeping to the frame limit is the caller's."""
    return encode(_fields(message))


def _fields(message: Post | Notice) -> tuple[object, ...]:
    match message:
        case Offers(last, low, high, envelopes, singles, receipts):
            rows = (b"".join(envelopes), b"".join(singles), b"".join(receipts))
            return (Number.OFFERS.value, int(last), low, high, *rows)
        case Take(rank, rows, offsets):
            begun = [part for row, at in sorted(offsets.items()) for part in (row, at)]
            return (Number.TAKE.value, rank, list(rows), begun)
        case Leave(why, rows):
            return (Number.LEAVE.value, why.value, list(rows))
        case Envelopes(parcels):
            return (Number.ENVELOPES.value, parcels)
        case Pieces(pieces):
            return (Number.PIECES.value, pieces)
        case Tokens(receipts):
            return (Number.TOKENS.value, receipts)


def read_postal(number: int, fields: Sequence[Value]) -> Post | Notice:
    """Return the message of ``number``, which is in ``NUMBERS``.

    Raises:
        InvalidError: A field is not what the message asks for. No other exception leaves this
            function.
    """
    match number, fields:
        case Number.OFFERS, [
            0 | 1 as last,
            int(low),
            int(high),
            bytes(envelopes),
            bytes(singles),
            bytes(receipts),
        ] if low == high == 0 or 1 <= low <= high < _MAX_SERIAL:
            rows = (_cut(envelopes, ROW_BYTES), _cut(singles, ROW_BYTES))
            return _counted(Offers(bool(last), low, high, *rows, _cut(receipts, TOKEN_NAME_BYTES)))
        case Number.TAKE, [int(rank), [_, *_] as rows, list(begun)] if rank in CLASSES:
            taken = _indices(rows)
            return Take(rank, taken, _offsets(begun, taken))
        case Number.LEAVE, [int(why), [_, *_] as rows] if why in _WHYS:
            return Leave(Why(why), _indices(rows))
        case Number.ENVELOPES, [[_, *_] as rows]:
            return Envelopes([_parcel(row) for row in rows])
        case Number.PIECES, [[_, *_] as rows]:
            return Pieces([_piece(row) for row in rows])
        case Number.TOKENS, [[_, *_] as rows]:
            return Tokens([_receipt(row) for row in rows])
        case _:
            raise InvalidError("a message about mail whose fields are wrong")


def _counted(offers: Offers) -> Offers:
    if offers.count > MAX_ROWS:
        raise InvalidError(f"{offers.count} rows where {MAX_ROWS} fit")
    return offers


def _cut(rows: bytes, size: int) -> list[bytes]:
    if len(rows) % size:
        raise InvalidError(f"rows are {size} bytes each")
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _indices(rows: Sequence[Value]) -> list[int]:
    found = [row for row in rows if isinstance(row, int) and 0 <= row < MAX_OFFERED]
    if len(found) != len(rows) or len(found) > MAX_ROWS or len(set(found)) != len(found):
        raise InvalidError(f"not up to {MAX_ROWS} different rows below {MAX_OFFERED}")
    return found


def _offsets(begun: Sequence[Value], taken: Sequence[int]) -> dict[int, int]:
    numbers = [part for part in begun if isinstance(part, int)]
    rows, offsets = numbers[::2], numbers[1::2]
    if len(numbers) != len(begun) or len(rows) != len(offsets) or not set(rows) <= set(taken):
        raise InvalidError("offsets are of rows that are taken")
    if rows != sorted(set(rows)) or any(not 0 < at < MAX_ENVELOPE_BYTES for at in offsets):
        raise InvalidError(f"an offset is 1 to {MAX_ENVELOPE_BYTES - 1}, of each row once")
    return dict(zip(rows, offsets, strict=True))


def _piece(row: Value) -> Piece:
    match row:
        case [
            int(index),
            int(offset),
            int(size),
            bytes(data),
            int(hops),
            int(life),
            int(copies),
        ] if (
            0 <= index < MAX_OFFERED
            and 0 <= offset < offset + len(data) <= size <= MAX_ENVELOPE_BYTES
            and _is_carriage(hops, life, copies)
        ):
            return Piece(index, offset, size, data, hops, life, copies)
        case _:
            raise InvalidError("not a piece of an envelope")


def _is_carriage(hops: int, life: int, copies: int) -> bool:
    is_right = 0 <= hops <= MAX_HOPS and 1 <= life <= MAX_LIFE_MIN
    return is_right and 0 <= copies <= MAX_COPIES


def _parcel(row: Value) -> Parcel:
    match row:
        case [bytes(raw), int(hops), int(life), int(copies)] if len(
            raw
        ) <= MAX_ENVELOPE_BYTES and _is_carriage(hops, life, copies):
            return Parcel(raw, hops, life, copies)
        case _:
            raise InvalidError("not an envelope with hops, life and copies")


def _receipt(row: Value) -> Receipt:
    match row:
        case [bytes(tag), bytes(token), int(life)] if (
            len(tag) == TAG_BYTES and len(token) == TOKEN_BYTES and 1 <= life <= MAX_LIFE_MIN
        ):
            return Receipt(tag, token, life)
        case _:
            raise InvalidError("not a tag, a token and a life")
