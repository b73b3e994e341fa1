"""The ``passalong:`` link: what one must know of a device to recognise it and seal to it.

``passalong:`` and base32 (RFC 4648, lower case, no padding) of: version 1 | person 32 | device 32 |
sealing key 32 | certificate 64 | the first 4 bytes of SHA-256 over a context and all before.
Letter case does not matter, so a QR code may use its compact upper-case alphabet.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from ledger.codec import context
from ledger.errors import InvalidError
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES, is_certified

SCHEME: Final = "passalong:"
MAX_LINK_CHARACTERS: Final = 1_024
_VERSION: Final = b"\x01"
_CHECK_BYTES: Final = 4
_SIZE: Final = 1 + 3 * KEY_BYTES + SIGNATURE_BYTES + _CHECK_BYTES


@dataclass(frozen=True, slots=True)
class Link:
    """A device of a person, certified.

    Attributes:
        person: Root key, 32 bytes.
        device: Device key, 32 bytes.
        sealing: The device's X25519 key, 32 bytes.
        certificate: The person's signature over the device, 64 bytes.
    """

    person: bytes
    device: bytes
    sealing: bytes
    certificate: bytes

    def encode(self) -> str:
        """Return the link's text, in lower case."""
        raw = _VERSION + self.person + self.device + self.sealing + self.certificate
        return SCHEME + base64.b32encode(raw + _check(raw)).decode("ascii").rstrip("=").lower()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a link.

        Raises:
            InvalidError: Not a link, mistyped, of another version, or its certificate is wrong.
        """
        text = text.strip()
        if not text.lower().startswith(SCHEME) or len(text) > MAX_LINK_CHARACTERS:
            raise InvalidError("not a passalong: link; copy the whole of it")
        raw = _decode_letters(text[len(SCHEME) :])
        if raw[-_CHECK_BYTES:] != _check(raw[:-_CHECK_BYTES]):
            raise InvalidError("the link is incomplete or mistyped; copy it again")
        if raw[:1] != _VERSION or len(raw) != _SIZE:
            raise InvalidError("the link is of a newer version; update passalong")
        person, device, sealing, certificate = raw[1:33], raw[33:65], raw[65:97], raw[97:161]
        link = cls(person, device, sealing, certificate)
        if not is_certified(link.person, link.device, link.certificate):
            raise InvalidError("the link's certificate is wrong; ask for a new link")
        return link


def _decode_letters(letters: str) -> bytes:
    try:
        digits = letters.encode("ascii").upper()
        raw = base64.b32decode(digits + b"=" * (-len(digits) % 8))
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise InvalidError("the link has letters that no link has; copy it again") from exc
    if base64.b32encode(raw).rstrip(b"=") != digits:
        raise InvalidError("the link is incomplete or mistyped; copy it again")
    return raw


def _check(raw: bytes) -> bytes:
    return sha256(context("link") + raw).digest()[:_CHECK_BYTES]
