"""Person and device keys: recovery words, signing, certificates.

A person is a root Ed25519 key kept as 24 recovery words; a device has its own Ed25519 key, which
writes its logs, and an X25519 key to which others seal. The person certifies the device.
Randomness comes in as an argument.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, Self

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.codec import context
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from mnemonic import Mnemonic

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
WORDS: Final = 24
_SHOWN: Final = 20  # characters of a word that is none; the longest that is one has 8
NOBODY: Final = bytes(KEY_BYTES)
CERTIFICATE_CONTEXT: Final = context("person")
PERSON_SEED_LABEL: Final = context("seed/person")
BITCOIN_SEED_LABEL: Final = context("seed/bitcoin")
"""Reserved: a later treasury derives its keys under this label from the same words."""


def hkdf(secret: bytes, label: bytes, length: int = 32) -> bytes:
    """Derive ``length`` <= 255 * 32 bytes from ``secret``: HKDF-SHA256 without salt (RFC 5869)."""
    key = hmac.digest(bytes(32), secret, "sha256")
    block, out = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + label + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` is ``public``'s over ``message``.

    Ed25519 as libsodium checks it (RFC 8032; canonical encodings, S below the order, no key of
    small order).
    """
    if len(signature) != SIGNATURE_BYTES or len(public) != KEY_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except CryptoError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key made from a 32-byte seed; never shown in a ``repr``."""

    seed: bytes = field(repr=False)
    public: bytes = field(init=False)
    _secret: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != KEY_BYTES:
            raise InvalidError(f"a seed of {len(self.seed)} bytes where 32 are needed")
        public, secret = bindings.crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "public", public)
        object.__setattr__(self, "_secret", secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``, which begins with its context."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """What one device keeps secret: its signing key and the key others seal to."""

    signing: SigningKey
    sealing_secret: bytes = field(repr=False)

    @classmethod
    def from_random(cls, random: bytes) -> Self:
        """Make the keys of a new device from 64 random bytes."""
        if len(random) != 2 * KEY_BYTES:
            raise InvalidError(f"{len(random)} random bytes where 64 are needed")
        return cls(SigningKey(random[:KEY_BYTES]), random[KEY_BYTES:])

    @property
    def public(self) -> bytes:
        """The device's Ed25519 public key, which names it."""
        return self.signing.public

    @property
    def sealing_public(self) -> bytes:
        """The device's X25519 public key."""
        return bindings.crypto_scalarmult_base(self.sealing_secret)


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person's root key; it exists on a device only while it signs.

    Attributes:
        entropy: 32 bytes, the same information as the 24 words (BIP 39, English list).
    """

    entropy: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.entropy) != KEY_BYTES:
            raise InvalidError(f"{len(self.entropy)} bytes of entropy where 32 are needed")

    @classmethod
    def from_words(cls, words: str) -> Self:
        """Read 24 recovery words, in any case and spacing.

        Raises:
            InvalidError: Not 24 words of the list, or their checksum does not hold.
        """
        spoken = words.lower().split()
        if len(spoken) != WORDS:
            raise InvalidError(f"{len(spoken)} words where {WORDS} are needed; check the list")
        listed = set(_word_list().wordlist)
        strange = [word[:_SHOWN] for word in spoken if word not in listed]
        if strange:
            raise InvalidError(f"{strange[0]!r} is not a recovery word; check its spelling")
        try:
            return cls(bytes(_word_list().to_entropy(spoken)))
        except ValueError as exc:
            raise InvalidError("the words do not fit together; check their order") from exc

    @property
    def words(self) -> list[str]:
        """The 24 recovery words."""
        return _word_list().to_mnemonic(self.entropy).split()

    @property
    def signing(self) -> SigningKey:
        """The root key itself."""
        return SigningKey(hkdf(self.entropy, PERSON_SEED_LABEL))

    def certify(self, device: bytes) -> bytes:
        """Return the certificate that makes ``device`` this person's."""
        return self.signing.sign(CERTIFICATE_CONTEXT + device)


def is_certified(person: bytes, device: bytes, certificate: bytes) -> bool:
    """Say whether ``certificate`` makes ``device`` a device of ``person``."""
    message = CERTIFICATE_CONTEXT + device
    return len(device) == KEY_BYTES and verify(person, message, certificate)


@cache
def _word_list() -> Mnemonic:
    from mnemonic import Mnemonic  # noqa: PLC0415  reads a file of 2,048 words; most runs need none

    return Mnemonic("english")


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of ``data``, 32 bytes."""
    return hashlib.sha256(data).digest()
