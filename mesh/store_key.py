"""The store key: it seals what a home keeps for its device alone.

    sealed = nonce 24 | XChaCha20-Poly1305(HKDF(store key, C(vault/seal)), what is sealed)

The purpose is bound to it as associated data, ``C(vault/seal) || purpose``: what was sealed for
one purpose opens for no other. C is ``ledger.codec.context``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.codec import context
from ledger.errors import InvalidError, StoreError
from ledger.keys import KEY_BYTES, hkdf

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_BYTES: Final = 16
NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
TAG_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
_SEAL: Final = context("vault/seal")
_NAME: Final = context("vault/name")


@dataclass(frozen=True, slots=True)
class StoreKey:
    """A store key; never shown in a ``repr``.

    Attributes:
        raw: 32 random bytes.
        name: What anybody may know it by; says nothing about it.
    """

    raw: bytes = field(repr=False)
    name: bytes = field(init=False)
    _sealing: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise InvalidError(f"a store key of {len(self.raw)} bytes where 32 are needed")
        object.__setattr__(self, "name", hkdf(self.raw, _NAME, NAME_BYTES))
        object.__setattr__(self, "_sealing", hkdf(self.raw, _SEAL))

    def seal(self, purpose: str, plain: bytes, random: Callable[[int], bytes]) -> bytes:
        """Return ``plain`` sealed for ``purpose``, 40 bytes longer."""
        nonce = random(NONCE_BYTES)
        return nonce + seal_box(self._sealing, nonce, plain, _SEAL + purpose.encode("utf-8"))

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed for ``purpose``.

        Raises:
            StoreError: It was changed, or sealed for another purpose or under another key.
        """
        nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        plain = open_box(self._sealing, nonce, box, _SEAL + purpose.encode("utf-8"))
        if plain is None:
            raise StoreError(
                f"{purpose} of this home cannot be opened: the store is damaged, or set back"
            )
        return plain


def seal_box(key: bytes, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
    """Return ``plain`` under ``key``, with ``bound`` bound to it."""
    box: bytes = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, bound, nonce, key)
    return box


def open_box(key: bytes, nonce: bytes, box: bytes, bound: bytes) -> bytes | None:
    """Return what is in a box; None if it does not hold."""
    if len(nonce) != NONCE_BYTES or len(box) < TAG_BYTES:
        return None
    try:
        plain: bytes = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(box, bound, nonce, key)
    except CryptoError:
        return None
    return plain
