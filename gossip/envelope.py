"""A sealed piece of mail as carriers see it, and the token that tells that it was read.

    envelope = [1, tag 16, lock 32, ciphertext]        id = H(C(envelope) || envelope)
    lock     = H(C(token) || token 16)

Only its writer and its reader know whose tag it is, and only its reader can show the token. What
is inside is none of a carrier's business.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from ledger.codec import context, decode, encode
from ledger.errors import InvalidError

VERSION: Final = 1
TAG_BYTES: Final = 16
LOCK_BYTES: Final = 32
TOKEN_BYTES: Final = 16
ID_BYTES: Final = 32
MAX_CIPHERTEXT_BYTES: Final = 8_192
MAX_ENVELOPE_BYTES: Final = MAX_CIPHERTEXT_BYTES + 56
MAX_HOPS: Final = 10
"""How often an envelope is passed on at most; a writer begins with 7 to 10."""
MAX_LIFE_MIN: Final = 7 * 24 * 60
"""Minutes that an envelope lives at most, by the elapsed time of those who carry it."""
MAX_COPIES: Final = 64
"""How many carriers an envelope that a stranger brought is given on to, all in all."""
_ID: Final = context("envelope")
_LOCK: Final = context("token")
_TAG_AT: Final = 3
"""After an array of four, a version below 24, and 16 bytes."""


class Envelope(NamedTuple):
    """What a carrier can read.

    Attributes:
        id: Hash of its bytes, 32 bytes.
        tag: By which its reader knows it, 16 bytes.
        lock: Hash of the token that its reader will show, 32 bytes.
        raw: Its bytes, at most ``MAX_ENVELOPE_BYTES``.
    """

    id: bytes
    tag: bytes
    lock: bytes
    raw: bytes


class Parcel(NamedTuple):
    """An envelope on its way from one device to another.

    Attributes:
        raw: The envelope's bytes.
        hops: How often it may be passed on after this time, 0 .. ``MAX_HOPS``.
        life: Minutes that it has to live, 1 .. ``MAX_LIFE_MIN``.
        copies: To how many carriers it may go on from here, 1 .. ``MAX_COPIES``; 0 for any number.
    """

    raw: bytes
    hops: int
    life: int
    copies: int


class Piece(NamedTuple):
    """A part of an envelope that is too long for one message on a slow link.

    Attributes:
        row: Index of the row by which it was taken.
        offset: Where in the envelope's bytes it begins.
        size: How many bytes those are.
        data: The part.
        hops: As in ``Parcel``.
        life: As in ``Parcel``.
        copies: As in ``Parcel``.
    """

    row: int
    offset: int
    size: int
    data: bytes
    hops: int
    life: int
    copies: int

    @property
    def is_last(self) -> bool:
        """Whether the envelope ends with it."""
        return self.offset + len(self.data) == self.size


class Receipt(NamedTuple):
    """That an envelope was read.

    Attributes:
        tag: The envelope's, 16 bytes.
        token: What opens its lock, 16 bytes.
        life: Minutes that the envelope would have to live.
    """

    tag: bytes
    token: bytes
    life: int


def lock_of(token: bytes) -> bytes:
    """Return the lock that ``token`` opens."""
    return sha256(_LOCK + token).digest()


def encode_envelope(tag: bytes, token: bytes, ciphertext: bytes) -> bytes:
    """Return the bytes of an envelope whose reader will show ``token``."""
    return encode((VERSION, tag, lock_of(token), ciphertext))


def tag_at_start(data: bytes | bytearray) -> bytes | None:
    """Return the tag of an envelope that begins with ``data``, None if none does."""
    is_start = data[:1] == b"\x84" and data[2:_TAG_AT] == b"\x50"
    tag = bytes(data[_TAG_AT : _TAG_AT + TAG_BYTES])
    return tag if is_start and len(tag) == TAG_BYTES else None


def decode_envelope(raw: bytes) -> Envelope:
    """Read an envelope.

    One of a later version is carried like any other, as long as it has this shape.

    Raises:
        InvalidError: Not one.
    """
    match decode(raw, MAX_ENVELOPE_BYTES):
        case [int(version), bytes(tag), bytes(lock), bytes(ciphertext)] if (
            1 <= version < 24
            and len(tag) == TAG_BYTES
            and len(lock) == LOCK_BYTES
            and 1 <= len(ciphertext) <= MAX_CIPHERTEXT_BYTES
        ):
            return Envelope(sha256(_ID + raw).digest(), tag, lock, raw)
        case _:
            raise InvalidError("an envelope is a version, a tag, a lock and a ciphertext")
