"""What a session keeps from its handshake for new keys, whatever carries it.

New keys are a handshake inside the session that depends on a secret of the keys before. Who has a
key of today neither had those of an hour ago, nor has those of the next. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transports.noise import KEY_BYTES, Handshake, Keys, NoiseError
from transports.opening import context, derive
from transports.tickets import PSK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

REKEY_AFTER_S: Final = 3_600.0
REKEY_AFTER_RECORDS: Final = 1 << 32
REKEY_LEAST_S: Final = 10.0
"""Who asks for new keys more often only wants this side to compute."""
OUT_OF_TURN: Final = "new keys were offered out of turn"


class Secrets:
    """What is derived from a handshake besides the keys of its records."""

    __slots__ = ("binding", "rekey")

    def __init__(self, keys: Keys, network: str) -> None:
        self.binding = derive(keys.chain, context("binding", network) + keys.hash, KEY_BYTES)
        self.rekey = rekey_secret(keys, network)


def rekey_secret(keys: Keys, network: str) -> bytes:
    """Return what the next keys will depend on besides a fresh agreement."""
    return derive(keys.chain, context("rekey", network) + keys.hash, PSK_BYTES)


class Rekeying:
    """When a session's keys are replaced, and on what the next ones depend.

    Args:
        keys: What the handshake left.
        hello_bytes: What a request for new keys has, and its answer.
        is_initiator: Whether this side opened the session; then it asks for new keys.
        random: Gives so many random bytes.
        now: Seconds on any clock that never goes back.
        network: Name of the network.
        after_s: Seconds after which keys are replaced.

    Attributes:
        binding: 32 bytes that both sides know and nobody else, the same for the whole session.
        is_initiator: As given.
    """

    __slots__ = (
        "_after",
        "_hello_bytes",
        "_keyed_at",
        "_network",
        "_random",
        "_secret",
        "binding",
        "is_initiator",
    )

    def __init__(  # noqa: PLR0913  what new keys depend on
        self,
        keys: Keys,
        hello_bytes: int,
        *,
        is_initiator: bool,
        random: Callable[[int], bytes],
        now: float,
        network: str,
        after_s: float,
    ) -> None:
        secrets = Secrets(keys, network)
        self.binding = secrets.binding
        self.is_initiator = is_initiator
        self._secret = secrets.rekey
        self._network = network
        self._random = random
        self._hello_bytes = hello_bytes
        self._keyed_at = now
        self._after = after_s

    @property
    def due(self) -> float:
        """When the keys have served long enough."""
        return self._keyed_at + self._after

    def start(self) -> Handshake:
        """Return a handshake for new keys, as either side begins it."""
        return Handshake(
            is_initiator=self.is_initiator,
            prologue=context("rekey", self._network) + self.binding,
            seed=self._random(KEY_BYTES),
            psk=self._secret,
        )

    def check_offer(self, content: bytes, now: float, *, is_busy: bool) -> None:
        """Refuse a request for new keys that nobody may make now.

        Args:
            content: What it says.
            now: The moment.
            is_busy: Whether keys are being replaced already.

        Raises:
            NoiseError: It is out of turn, of a wrong size, or too soon after the last.
        """
        if self.is_initiator or is_busy:
            raise NoiseError(OUT_OF_TURN)
        self.check_size(content)
        if now - self._keyed_at < REKEY_LEAST_S:
            raise NoiseError("new keys were offered too soon")

    def check_size(self, content: bytes) -> None:
        """Refuse a request, or an answer, of a wrong size.

        Raises:
            NoiseError: It has one.
        """
        if len(content) != self._hello_bytes:
            raise NoiseError(OUT_OF_TURN)

    def replaced(self, keys: Keys, now: float) -> None:
        """Note that new keys serve from now on."""
        self._secret = rekey_secret(keys, self._network)
        self._keyed_at = now
