"""From a passphrase to a key: argon2id (RFC 9106), as libsodium has it.

Slow and hungry by design, so it is for a thread of its own and never for the start of a command.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.errors import InvalidError, PassalongError
from ledger.keys import KEY_BYTES

SALT_BYTES: Final = 16
MAX_PASSPHRASE_BYTES: Final = 1_024
LEAST_MEMORY: Final = 8 << 10
MOST_MEMORY: Final = 256 << 20
"""A phone opens what a laptop wrote."""
MOST_PASSES: Final = 16


class PassphraseError(PassalongError):
    """A passphrase is missing, wrong, or none that can be used."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one try of a passphrase costs.

    Attributes:
        passes: Over the memory, 1 .. ``MOST_PASSES``.
        memory: Bytes, ``LEAST_MEMORY`` .. ``MOST_MEMORY``.

    Raises:
        InvalidError: Out of range; whoever changed a file must not make a node run out of memory.
    """

    passes: int
    memory: int

    def __post_init__(self) -> None:
        if not (1 <= self.passes <= MOST_PASSES and LEAST_MEMORY <= self.memory <= MOST_MEMORY):
            raise InvalidError(f"{self.passes} passes over {self.memory} bytes are out of range")


USUAL: Final = Cost(6, 128 << 20)
"""As much work as libsodium's MODERATE in half its memory: a phone of 2 GB has that to spare."""


def check_passphrase(passphrase: str) -> bytes:
    """Return the bytes of a passphrase, the same for every keyboard that typed it.

    Raises:
        PassphraseError: It is empty, too long, or not text.
    """
    try:
        raw = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    except UnicodeEncodeError:
        raise PassphraseError("the passphrase has half a character; type it again") from None
    if not raw.strip():
        raise PassphraseError("an empty passphrase guards nothing; choose five words or more")
    if len(raw) > MAX_PASSPHRASE_BYTES:
        raise PassphraseError(f"the passphrase is longer than {MAX_PASSPHRASE_BYTES:,} bytes")
    return raw


def stretch(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """Return the 32-byte key that a passphrase gives.

    Raises:
        PassphraseError: It is none, or this machine lacks the memory.
    """
    raw = check_passphrase(passphrase)
    kind = bindings.crypto_pwhash_ALG_ARGON2ID13
    try:
        key: bytes = bindings.crypto_pwhash_alg(
            KEY_BYTES, raw, salt, cost.passes, cost.memory, kind
        )
    except (CryptoError, RuntimeError):
        need = f"{cost.memory >> 20} MiB"
        raise PassphraseError(
            f"a passphrase takes {need} of memory; close something and try again"
        ) from None
    return key
