"""How the two sides of the control socket make sure of each other, before anything else is read.

    server: hello             = C("control") || protocol u16 || fingerprint 8 || nonce 32
                                || size u8 || version
    client: hello || proof 32
    server: verdict u8 || proof 32                                    (the proof if welcome)

A proof is HMAC-SHA256, with the key of the home, over C("control-client") or C("control-server")
and both hellos, the server's first. Whoever cannot read the key has none, and none fits twice.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ledger.codec import context
from ledger.errors import InvalidError
from mesh import __version__
from mesh.rpc_methods import FINGERPRINT

PROTOCOL: Final = 1
"""Changes with this greeting, and with the frames after it."""
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 32
PROOF_BYTES: Final = 32
_MAGIC: Final = context("control")
_NONCE_AT: Final = len(_MAGIC) + 2 + len(FINGERPRINT)
HELLO_BYTES: Final = _NONCE_AT + NONCE_BYTES + 1
"""Of a hello without its version, whose size is the last of them."""


class Verdict(IntEnum):
    """What the server says to a client."""

    WELCOME = 0
    WRONG_KEY = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class Hello:
    """What each side says first.

    Attributes:
        protocol: Number of the protocol.
        fingerprint: Of methods and rows.
        nonce: Of this connection alone.
        version: Of passalong, printable ASCII.
    """

    protocol: int
    fingerprint: bytes
    nonce: bytes
    version: str

    @classmethod
    def own(cls, nonce: bytes) -> Hello:
        """Return what this version says."""
        return cls(PROTOCOL, FINGERPRINT, nonce, __version__)

    @property
    def is_ours(self) -> bool:
        """Whether it speaks as this version does."""
        return (self.protocol, self.fingerprint) == (PROTOCOL, FINGERPRINT)

    def encode(self) -> bytes:
        """Return its bytes."""
        version = self.version.encode("ascii")
        numbers = self.protocol.to_bytes(2, "big") + self.fingerprint
        return _MAGIC + numbers + self.nonce + len(version).to_bytes(1, "big") + version


def decode_hello(raw: bytes) -> Hello:
    """Read a hello.

    Raises:
        InvalidError: It is none. No other exception leaves this function.
    """
    if not raw.startswith(_MAGIC) or len(raw) < HELLO_BYTES:
        raise InvalidError("nobody of passalong")
    if len(raw) != HELLO_BYTES + raw[HELLO_BYTES - 1]:
        raise InvalidError("a version of another size")
    at = len(_MAGIC)
    version = raw[HELLO_BYTES:].decode("ascii", "replace")
    if not version.isascii() or not version.isprintable():
        raise InvalidError("a version that is no text")
    return Hello(
        int.from_bytes(raw[at : at + 2], "big"),
        raw[at + 2 : _NONCE_AT],
        raw[_NONCE_AT : HELLO_BYTES - 1],
        version,
    )


def client_proof(key: bytes, server: bytes, client: bytes) -> bytes:
    """Return the proof that a client knows the key, over both hellos."""
    return hmac.digest(key, context("control-client") + server + client, "sha256")


def server_proof(key: bytes, server: bytes, client: bytes) -> bytes:
    """Return the proof that a server knows the key, over both hellos."""
    return hmac.digest(key, context("control-server") + server + client, "sha256")


def is_proof(given: bytes, expected: bytes) -> bool:
    """Compare two proofs in a time that tells nothing of them."""
    return hmac.compare_digest(given, expected)
