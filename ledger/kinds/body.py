"""The outside of every body.

    open    salt 16 || CBOR [0, time, field, ...]
    sealed  salt 16 || CBOR [1, audience tag 16, ciphertext]

The salt is random and keeps a dropped body unguessable. ``time`` is a uint below 2^53, ms since
1970 as the author claims; nothing but display reads it. A whole body has at most 16,384 bytes.
The CBOR is the one deterministic spelling (``ledger.codec``), nothing after it.

A reference names a block: ``[author 32, log uint < 2^32, seq 1 .. 2^40-1, id 32]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.block import HASH_BYTES, MAX_BODY_BYTES, MAX_LOG, MAX_SEQ, SALT_BYTES
from ledger.codec import decode, encode, read_head
from ledger.errors import InvalidError, MeaninglessError
from ledger.keys import KEY_BYTES

if TYPE_CHECKING:
    from ledger.codec import Value

MAX_TIME: Final = (1 << 53) - 1
TAG_BYTES: Final = 16
_OPEN: Final = 0
_SEALED: Final = 1


class SealedError(MeaninglessError):
    """The body is sealed to a circle or group; only its readers can say what it means."""


class Reference(NamedTuple):
    """Names one block of any device.

    Attributes:
        author: Device key, 32 bytes.
        log: Which of its logs.
        seq: Position in the log.
        id: The block's id, 32 bytes.
    """

    author: bytes
    log: int
    seq: int
    id: bytes


def open_body(salt: bytes, time: int, *fields: object) -> bytes:
    """Return the bytes of an open body.

    Args:
        salt: 16 random bytes, used for nothing else.
        time: Now, ms since 1970.
        fields: What the kind asks for; each a ``Value`` (tuples are arrays).

    Raises:
        MeaninglessError: ``read_open`` would not take it: too large, text that is half a
            character, a number beyond 64 bits.
    """
    check_size(salt, SALT_BYTES, "the salt")
    try:
        body = salt + encode((_OPEN, time, *fields))
    except UnicodeEncodeError as exc:
        raise MeaninglessError("the text has half a character; type it again") from exc
    read_open(body)
    return body


def read_open(body: bytes) -> tuple[int, list[Value]]:
    """Return the time and the fields of an open body.

    Raises:
        SealedError: It is sealed.
        MeaninglessError: It is anything else. No other exception leaves this function.
    """
    if len(body) > MAX_BODY_BYTES:
        raise MeaninglessError(f"{len(body)} bytes where {MAX_BODY_BYTES} fit; shorten it")
    try:
        value = decode(body[SALT_BYTES:], MAX_BODY_BYTES)
    except InvalidError as exc:
        raise MeaninglessError(f"not a body: {exc}") from exc
    match value:
        case [int(version), int(time), *fields] if version == _OPEN:
            check_time(time)
            return time, fields
        case [int(version), bytes(tag), bytes()] if version == _SEALED and len(tag) == TAG_BYTES:
            raise SealedError("the body is sealed; its readers can open it")
        case _:
            raise MeaninglessError("not a body of a known version")


def peek_time(body: bytes) -> int | None:
    """Return the time of what begins like an open body, else None; its fields are not read."""
    try:
        major, count, at = read_head(body, SALT_BYTES)
        if major != 4 or count < 2 or body[at : at + 1] != b"\x00":
            return None
        major, time, _ = read_head(body, at + 1)
    except InvalidError:
        return None
    return time if major == 0 and time <= MAX_TIME else None


def check_time(time: int) -> None:
    """Refuse a time that is not ms since 1970, below 2^53.

    Raises:
        MeaninglessError: It is not.
    """
    check_range(time, 0, MAX_TIME, "the time")


def check_size(value: bytes, size: int, what: str) -> None:
    """Refuse bytes of another size.

    Raises:
        MeaninglessError: ``value`` has not ``size`` bytes.
    """
    if len(value) != size:
        raise MeaninglessError(f"{what} has {len(value)} bytes where {size} are needed")


def check_range(value: int, low: int, high: int, what: str) -> None:
    """Refuse a number out of range.

    Raises:
        MeaninglessError: ``value`` is not within ``low`` .. ``high``.
    """
    if not low <= value <= high:
        raise MeaninglessError(f"{what} is not within {low} .. {high}")


def check_reference(reference: Reference) -> None:
    """Refuse a reference that no block can have.

    Raises:
        MeaninglessError: A field has the wrong size or range.
    """
    check_size(reference.author, KEY_BYTES, "the author referred to")
    check_range(reference.log, 0, MAX_LOG, "the log referred to")
    check_range(reference.seq, 1, MAX_SEQ, "the seq referred to")
    check_size(reference.id, HASH_BYTES, "the id referred to")


def read_reference(value: Value) -> Reference:
    """Return the reference that ``value`` spells.

    Raises:
        MeaninglessError: It spells none.
    """
    match value:
        case [bytes(author), int(log), int(seq), bytes(ident)]:
            reference = Reference(author, log, seq, ident)
            check_reference(reference)
            return reference
        case _:
            raise MeaninglessError("a reference is an author, a log, a seq and an id")
