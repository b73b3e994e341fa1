"""One signed entry of a device's log: header, body, identifier.

The chain runs over headers; a header names its body by hash and size, so a body can be dropped
while the chain still verifies. A ``Header`` cannot be built from bytes that contradict
themselves. Not here: how blocks follow one another (``ledger.run``, ``ledger.chain``), and what
a body means (``ledger.kinds``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.codec import context, encode, encode_uint, read_head
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from ledger.keys import SigningKey

VERSION: Final = 1
HASH_BYTES: Final = 32
SALT_BYTES: Final = 16
MAX_SEQ: Final = (1 << 40) - 1
MAX_LOG: Final = (1 << 32) - 1
MAX_BODY_BYTES: Final = 16_384
MAX_EXT_BYTES: Final = 32
MAX_HEADER_BYTES: Final = 258
"""What it has with every field at its limit."""
ZEROS: Final = bytes(HASH_BYTES)
DEVICE_KIND: Final = "device"
"""Kind of (log 0, seq 1); the only kind that block validity knows."""

ID_CONTEXT: Final = context("id")
BLOCK_CONTEXT: Final = context("block")
BODY_CONTEXT: Final = context("body")
_KIND: Final = re.compile(rb"[a-z0-9./-]{1,32}")
_START: Final = b"\x8a\x01\x58\x20"
_HASH: Final = b"\x58\x20"
_PAIR: Final = b"\x82\x58\x20"
_NO_EXT: Final = b"\x40"
_NUMBER: Final = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].|\x1a(?!\x00\x00).{4})"
_TAIL: Final = (
    rb"\xf6([\x61-\x77][a-z0-9./-]{1,23})\x58\x20(.{32})"
    rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\x3f].)\x40"
)
_USUAL_TAIL: Final = re.compile(_TAIL, re.DOTALL)
"""What most headers end with: no counterparty, kind, body hash, size, no ext."""
_USUAL: Final = re.compile(
    rb"\x8a\x01\x58\x20(.{32})" + _NUMBER + _NUMBER + rb"\x58\x20(.{32})" + _TAIL, re.DOTALL
)
"""What most headers are, read at once."""


class Counterparty(NamedTuple):
    """Whom a half-block is for, and what it answers.

    Attributes:
        person: 32 bytes; zeros in a proposal to anyone.
        proposal: Id of the proposal an agreement answers; zeros in a proposal.
    """

    person: bytes
    proposal: bytes


class Header(NamedTuple):
    """The signed part of a block.

    Attributes:
        author: Device key, 32 bytes.
        log: Which of the device's logs, below 2^32.
        seq: Position in the log, 1 .. 2^40 - 1.
        previous: Id of the block before; at seq 1 zeros in log 0, else the id of (log 0, seq 1).
        counterparty: Set in half-blocks.
        kind: What the body means.
        body_hash: SHA-256 over the context and the body.
        body_size: Bytes, at most ``MAX_BODY_BYTES``.
        ext: At most ``MAX_EXT_BYTES``; empty in version 1, carried whatever it is.
    """

    author: bytes
    log: int
    seq: int
    previous: bytes
    counterparty: Counterparty | None
    kind: str
    body_hash: bytes
    body_size: int
    ext: bytes = b""


class Block(NamedTuple):
    """A vouched block.

    Attributes:
        header: The fields of ``raw``.
        raw: The header's bytes, as signed.
        id: SHA-256 over the context and ``raw``.
        signature: 64 bytes that were verified, or empty.
        body: The bytes the header names, or None where they were dropped or never came.
    """

    header: Header
    raw: bytes
    id: bytes
    signature: bytes
    body: bytes | None


def block_id(raw: bytes) -> bytes:
    """Return the identifier of the block whose header's bytes are ``raw``."""
    return sha256(ID_CONTEXT + raw).digest()


def body_hash(body: bytes) -> bytes:
    """Return what a header holds of ``body``."""
    return sha256(BODY_CONTEXT + body).digest()


def check_body(header: Header, body: bytes) -> None:
    """Refuse a body that is not the one the header names.

    Raises:
        InvalidError: Its size or hash differs.
    """
    if len(body) != header.body_size or body_hash(body) != header.body_hash:
        raise InvalidError("the body is not the one its header names")


def encode_header(header: Header) -> bytes:
    """Return the header's one spelling."""
    return encode((VERSION, *header))


def log_prefix(author: bytes, log: int) -> bytes:
    """Return the bytes with which every header of a log begins; its seq follows."""
    return _START + author + encode(log)


def prefix_after(start: bytes, seq: int, previous: bytes) -> bytes:
    """Return the bytes with which the header at ``seq`` begins, if it follows ``previous``.

    Args:
        start: The log's ``log_prefix``.
        seq: Its place.
        previous: Id of the block before.
    """
    return start + encode_uint(seq) + _HASH + previous


def decode_header(raw: bytes) -> Header:
    """Read a header.

    Raises:
        InvalidError: Not the one spelling of a header of version 1, or it contradicts itself.
            No other exception leaves this function.
    """
    usual = _USUAL.fullmatch(raw)
    if usual is not None:
        author, log, seq, previous, kind, digest, size = usual.groups()
        what, bytes_ = _usual_kind(kind), _number(size)
        return _checked(
            Header(author, _number(log), _number(seq), previous, None, what, digest, bytes_)
        )
    if len(raw) > MAX_HEADER_BYTES:
        raise InvalidError(f"a header of {len(raw)} bytes where at most {MAX_HEADER_BYTES} fit")
    if raw[:4] != _START:
        raise InvalidError("not a block header of version 1")
    log, at = _uint(raw, 4 + HASH_BYTES, MAX_LOG, "log")
    seq, at = _uint(raw, at, MAX_SEQ, "seq")
    if seq < 1:
        raise InvalidError("seq 0; the first block of a log is 1")
    if raw[at : at + 2] != _HASH:
        raise InvalidError("previous is not 32 bytes")
    at += 2 + HASH_BYTES
    return decode_tail(raw, at, raw[4 : 4 + HASH_BYTES], log, seq, raw[at - HASH_BYTES : at])


def decode_tail(raw: bytes, at: int, author: bytes, log: int, seq: int, previous: bytes) -> Header:
    """Read what follows the prefix, which ends at ``at`` and is known to say the given fields.

    Raises:
        InvalidError: As ``decode_header``.
    """
    usual = _USUAL_TAIL.fullmatch(raw, at)
    if usual is not None:
        kind, digest, size = usual.groups()
        what, bytes_ = _usual_kind(kind), _number(size)
        header = Header(author, log, seq, previous, None, what, digest, bytes_)
        return header if seq > 1 and previous != ZEROS else _checked(header)
    counterparty = None
    if raw[at : at + 1] == b"\xf6":
        at += 1
    else:
        counterparty, at = _counterparty(raw, at)
    kind, at = _kind(raw, at)
    end = at + 2 + HASH_BYTES
    if raw[at : at + 2] != _HASH:
        raise InvalidError("body hash is not 32 bytes")
    digest = raw[at + 2 : end]
    body_size, at = _uint(raw, end, MAX_BODY_BYTES, "body size")
    ext = b"" if raw[at:] == _NO_EXT else _ext(raw, at)
    return _checked(Header(author, log, seq, previous, counterparty, kind, digest, body_size, ext))


def _number(spelled: bytes) -> int:
    return spelled[0] if len(spelled) == 1 else int.from_bytes(spelled[1:], "big")


@lru_cache(maxsize=256)
def _usual_kind(spelled: bytes) -> str:
    kind, end = _kind(spelled, 0)
    if end != len(spelled):
        raise InvalidError("kind is longer than it says")
    return kind


def _kind(raw: bytes, at: int) -> tuple[str, int]:
    major, size, at = read_head(raw, at)
    end = at + size
    if major != 3 or end > len(raw):
        raise InvalidError("kind is not a text")
    return _kind_text(raw[at:end]), end


@lru_cache(maxsize=256)
def _kind_text(kind: bytes) -> str:
    if not _KIND.fullmatch(kind):
        raise InvalidError("kind is not 1 to 32 of a-z 0-9 . / -")
    return kind.decode("ascii")


def _ext(raw: bytes, at: int) -> bytes:
    major, size, at = read_head(raw, at)
    if major != 2 or size > MAX_EXT_BYTES or at + size != len(raw):
        raise InvalidError(f"ext is not the last {MAX_EXT_BYTES} bytes or fewer")
    return raw[at:]


def _checked(header: Header) -> Header:
    """A log starts where it says: zeros lead to (log 0, seq 1) only, which is the device block."""
    _, log, seq, previous, *_ = header
    if seq > 1 and previous != ZEROS:
        return header
    if seq < 1:
        raise InvalidError("seq 0; the first block of a log is 1")
    is_first = log == 0 and seq == 1
    if is_first != (previous == ZEROS):
        raise InvalidError("only the first block of log 0 follows nothing")
    if is_first and (header.kind != DEVICE_KIND or header.counterparty is not None):
        raise InvalidError("log 0 does not begin with a device block")
    return header


def _counterparty(raw: bytes, at: int) -> tuple[Counterparty, int]:
    end = at + 3 + HASH_BYTES
    if raw[at : at + 3] != _PAIR or raw[end : end + 2] != _HASH:
        raise InvalidError("counterparty is neither null nor a person and a proposal")
    person, proposal = raw[at + 3 : end], raw[end + 2 : end + 2 + HASH_BYTES]
    if person == ZEROS and proposal != ZEROS:
        raise InvalidError("an agreement that names nobody")
    return Counterparty(person, proposal), end + 2 + HASH_BYTES


def _uint(raw: bytes, at: int, limit: int, name: str) -> tuple[int, int]:
    if at < len(raw) and raw[at] < 24:
        return raw[at], at + 1  # no limit is lower
    major, value, at = read_head(raw, at)
    if major != 0 or value > limit:
        raise InvalidError(f"{name} is not a number up to {limit}")
    return value, at


def sign_block(key: SigningKey, header: Header, body: bytes) -> Block:
    """Sign ``header``, whose body is ``body``.

    Raises:
        InvalidError: The fields contradict each other, the body or the key.
    """
    raw = encode_header(header)
    if decode_header(raw).author != key.public:
        raise InvalidError("a block is signed by its author only")
    check_body(header, body)
    return Block(header, raw, block_id(raw), key.sign(BLOCK_CONTEXT + raw), body)
