"""The Noise protocol framework, revision 34: NN and NNpsk0 with 25519, ChaChaPoly and SHA256.

Two fresh keys agree on secrets, with or without a secret known before. Nothing here knows who is
at the other end, reads a clock or throws dice: the ephemeral secret is passed in.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

KEY_BYTES: Final = 32
TAG_BYTES: Final = bindings.crypto_aead_chacha20poly1305_ietf_ABYTES
MAX_MESSAGE_BYTES: Final = 65_535
MAX_COUNT: Final = (1 << 64) - 1
"""Noise keeps the last nonce for itself."""

_NN: Final = b"Noise_NN_25519_ChaChaPoly_SHA256"
_NNPSK0: Final = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
_NONCE_START: Final = bytes(4)


class NoiseError(Exception):
    """What came is not what the other side of this handshake or session would have sent."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a handshake leaves; never shown in a ``repr``.

    Attributes:
        send: Key of what this side sends.
        receive: Key of what it receives.
        hash: Of all that was said; whoever listened knows it too.
        chain: The secret from which other secrets are derived.
    """

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)
    hash: bytes
    chain: bytes = field(repr=False)


def public_of(secret: bytes) -> bytes:
    """Return the X25519 public key of a 32-byte secret."""
    return bindings.crypto_scalarmult_base(secret)


def agree(secret: bytes, public: bytes) -> bytes:
    """Return the X25519 of two keys, 32 bytes.

    Raises:
        NoiseError: ``public`` is of small order: anybody would know the result.
    """
    try:
        shared: bytes = bindings.crypto_scalarmult(secret, public)
    except CryptoError:
        shared = b""
    if not any(shared):
        raise NoiseError("a key of small order came instead of a fresh one")
    return shared


def seal(key: bytes, count: int, plain: bytes, bound: bytes | None = None) -> bytes:
    """Return ``plain`` encrypted as number ``count`` under ``key``, 16 bytes longer.

    Args:
        key: 32 bytes.
        count: Used once with this key, below 2^64 - 1.
        plain: Anything.
        bound: What the other side has to know as well.
    """
    if count >= MAX_COUNT:
        raise NoiseError("this key was used as often as it may be")
    nonce = _NONCE_START + count.to_bytes(8, "little")
    return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plain, bound, nonce, key)


def unseal(key: bytes, count: int, sealed: bytes, bound: bytes | None = None) -> bytes:
    """Return what ``seal`` encrypted with the same other arguments.

    Raises:
        NoiseError: It was not.
    """
    if len(sealed) < TAG_BYTES or count >= MAX_COUNT:
        raise NoiseError("it is too short to be genuine")
    nonce = _NONCE_START + count.to_bytes(8, "little")
    try:
        return bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, bound, nonce, key)
    except CryptoError:
        raise NoiseError("it is not genuine: made by somebody else, or changed") from None


class CipherState:
    """A key and how often it was used; without a key nothing is encrypted."""

    __slots__ = ("count", "key")

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key
        self.count = 0

    def encrypt(self, plain: bytes, bound: bytes = b"") -> bytes:
        """Return the next message."""
        if self.key is None:
            return plain
        sealed = seal(self.key, self.count, plain, bound)
        self.count += 1
        return sealed

    def decrypt(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """Return what the next message says.

        Raises:
            NoiseError: It is not genuine; the next one is still to come.
        """
        if self.key is None:
            return sealed
        plain = unseal(self.key, self.count, sealed, bound)
        self.count += 1
        return plain


class SymmetricState:
    """What was said so far, and the secrets that follow from it."""

    __slots__ = ("chain", "cipher", "hash")

    def __init__(self, name: bytes) -> None:
        short = len(name) <= KEY_BYTES
        self.hash = name.ljust(KEY_BYTES, b"\0") if short else hashlib.sha256(name).digest()
        self.chain = self.hash
        self.cipher = CipherState()

    def mix_hash(self, data: bytes) -> None:
        """Note what both sides know by now."""
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        """Let what follows depend on a secret."""
        self.chain, key = expand(self.chain, secret, 2)
        self.cipher = CipherState(key)

    def mix_key_and_hash(self, secret: bytes) -> None:
        """Let what follows depend on a secret, and note it."""
        self.chain, noted, key = expand(self.chain, secret, 3)
        self.mix_hash(noted)
        self.cipher = CipherState(key)

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt, if there is a key, and note it."""
        sealed = self.cipher.encrypt(plain, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        """Undo ``encrypt``."""
        plain = self.cipher.decrypt(sealed, self.hash)
        self.mix_hash(sealed)
        return plain


def expand(chain: bytes, secret: bytes, many: int) -> list[bytes]:
    """Return two or three secrets of 32 bytes: HKDF as Noise has it."""
    key = hmac.digest(chain, secret, "sha256")
    outs = [b""]
    for number in range(1, many + 1):
        outs.append(hmac.digest(key, outs[-1] + bytes([number]), "sha256"))
    return outs[1:]


class Handshake:
    """One side of a handshake: NN, or with ``psk`` NNpsk0. Two messages, then ``keys``.

    Args:
        is_initiator: Whether this side speaks first.
        prologue: What both sides have to agree on besides.
        seed: 32 random bytes for this handshake alone.
        psk: 32 bytes that both sides know already.
    """

    __slots__ = ("_has_psk", "_is_initiator", "_seed", "_state", "public", "remote")

    def __init__(
        self, *, is_initiator: bool, prologue: bytes, seed: bytes, psk: bytes | None = None
    ) -> None:
        self._is_initiator = is_initiator
        self._seed = seed
        self._has_psk = psk is not None
        self._state = SymmetricState(_NN if psk is None else _NNPSK0)
        self._state.mix_hash(prologue)
        if psk is not None:
            self._state.mix_key_and_hash(psk)
        self.public = b""
        self.remote = b""

    def write_first(self, payload: bytes = b"") -> bytes:
        """Return the initiator's message: its fresh key, then the payload.

        The payload is plain in NN and encrypted in NNpsk0.
        """
        return self._write_key() + self._state.encrypt(payload)

    def read_first(self, message: bytes) -> bytes:
        """Return the payload of the initiator's message.

        Raises:
            NoiseError: It does not hold; this handshake is of no more use.
        """
        return self._state.decrypt(self._read_key(message))

    def write_second(self, payload: bytes = b"") -> bytes:
        """Return the responder's answer.

        Raises:
            NoiseError: The initiator's key is of small order.
        """
        start = self._write_key()
        self._state.mix_key(agree(self._seed, self.remote))
        return start + self._state.encrypt(payload)

    def read_second(self, message: bytes) -> bytes:
        """Return the payload of the responder's answer.

        Raises:
            NoiseError: It does not hold; this handshake is of no more use.
        """
        sealed = self._read_key(message)
        self._state.mix_key(agree(self._seed, self.remote))
        return self._state.decrypt(sealed)

    def keys(self) -> Keys:
        """Return what both sides know after two messages."""
        first, second = expand(self._state.chain, b"", 2)
        send, receive = (first, second) if self._is_initiator else (second, first)
        return Keys(send, receive, self._state.hash, self._state.chain)

    def _write_key(self) -> bytes:
        self.public = public_of(self._seed)
        self._mix(self.public)
        return self.public

    def _read_key(self, message: bytes) -> bytes:
        if not KEY_BYTES <= len(message) <= MAX_MESSAGE_BYTES:
            raise NoiseError(f"a message of {len(message)} bytes where a fresh key is needed")
        self.remote = message[:KEY_BYTES]
        self._mix(self.remote)
        return message[KEY_BYTES:]

    def _mix(self, public: bytes) -> None:
        self._state.mix_hash(public)
        if self._has_psk:
            self._state.mix_key(public)
