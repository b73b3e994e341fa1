"""A session over a stream after its handshake: sealing, opening, and new keys every hour.

The side that opened the session asks for new keys; what is under way meanwhile keeps the old ones.
Each direction turns to its new key behind one certain record, so nothing has to wait. Pure: the
time and what arrives are passed in, what is to be sent is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transports.noise import KEY_BYTES, TAG_BYTES, Handshake, Keys, NoiseError
from transports.opening import NETWORK, context, derive
from transports.records import REKEY, REKEYED, STREAM_OVERHEAD_BYTES, TURN, StreamRecords
from transports.tickets import IDENT_BYTES, PSK_BYTES, Ticket, TicketPair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Say: TypeAlias = tuple[int, bytes]
    """Kind and content of a record to send."""

REKEY_AFTER_S: Final = 3_600.0
REKEY_AFTER_RECORDS: Final = 1 << 32
REKEY_LEAST_S: Final = 10.0
"""Who asks for new keys more often only wants this side to compute."""
HELLO_BYTES: Final = KEY_BYTES + TAG_BYTES
_OUT_OF_TURN: Final = "new keys were offered out of turn"


class Secrets:
    """What is derived from a handshake besides the keys of its records."""

    __slots__ = ("binding", "rekey")

    def __init__(self, keys: Keys, network: str) -> None:
        self.binding = derive(keys.chain, context("binding", network) + keys.hash, KEY_BYTES)
        self.rekey = rekey_secret(keys, network)


def rekey_secret(keys: Keys, network: str) -> bytes:
    """Return what the next keys will depend on besides a fresh agreement."""
    return derive(keys.chain, context("rekey", network) + keys.hash, PSK_BYTES)


def tickets_of(keys: Keys, name: bytes, network: str, *, is_initiator: bool) -> TicketPair:
    """Return what both sides of a session with somebody recognised keep for the next."""
    said = derive(keys.chain, context("ticket", network) + keys.hash, 2 * (IDENT_BYTES + PSK_BYTES))
    half = IDENT_BYTES + PSK_BYTES
    first, second = (
        Ticket(part[:IDENT_BYTES], part[IDENT_BYTES:], name) for part in (said[:half], said[half:])
    )
    return TicketPair(first, second) if is_initiator else TicketPair(second, first)


class StreamSession:
    """One side of a session over a stream.

    Args:
        keys: What the handshake left.
        is_initiator: Whether this side opened the session; then it asks for new keys.
        random: Gives so many random bytes.
        now: Seconds on the clock that ``tick`` gets.
        network: Name of the network.
        rekey_after_s: Seconds after which keys are replaced.

    Attributes:
        binding: 32 bytes that both sides know and nobody else, the same for the whole session.
    """

    overhead: Final = STREAM_OVERHEAD_BYTES
    is_strict: Final = True
    """Whether a record that does not hold ends the session."""

    __slots__ = (
        "_handshake",
        "_is_initiator",
        "_keyed_at",
        "_network",
        "_next",
        "_random",
        "_records",
        "_rekey_after",
        "_secret",
        "binding",
    )

    def __init__(
        self,
        keys: Keys,
        *,
        is_initiator: bool,
        random: Callable[[int], bytes],
        now: float,
        network: str = NETWORK,
        rekey_after_s: float = REKEY_AFTER_S,
    ) -> None:
        secrets = Secrets(keys, network)
        self.binding = secrets.binding
        self._secret = secrets.rekey
        self._network = network
        self._is_initiator = is_initiator
        self._random = random
        self._records = StreamRecords(keys.send, keys.receive)
        self._keyed_at = now
        self._rekey_after = rekey_after_s
        self._handshake: Handshake | None = None
        self._next: Keys | None = None

    def seal(self, kind: int, content: bytes) -> bytes:
        """Return the next record; what comes behind a turn has the new key."""
        record = self._records.seal(kind, content)
        if kind == (TURN if self._is_initiator else REKEYED) and self._next is not None:
            self._records.turn_sending(self._next.send)
            if self._is_initiator:
                self._next = None
        return record

    def open(self, record: bytes, _now: float) -> bytes | None:
        """Return what the next record says, its kind first; None if there is nothing new in it.

        Raises:
            NoiseError: It does not hold.
        """
        return self._records.open(record)

    def hear(self, kind: int, content: bytes, now: float) -> Sequence[Say]:
        """Take what is neither a frame nor about the link, and return what is to be answered.

        Raises:
            NoiseError: It is out of turn, or does not hold. No other exception leaves this
                function.
        """
        if kind == REKEY:
            return self._offered(content, now)
        if kind == REKEYED:
            return self._accepted(content, now)
        return self._turned(now) if kind == TURN else ()

    def due(self) -> float | None:
        """Return when ``tick`` has something to do: seconds, or None for nothing."""
        if not self._is_initiator or self._handshake is not None or self._next is not None:
            return None
        return self._keyed_at + self._rekey_after

    def tick(self, now: float) -> Sequence[Say]:
        """Return what is to be sent because it is late."""
        due = self.due()
        worn = max(self._records.sent, self._records.received) >= REKEY_AFTER_RECORDS
        if due is None or (now < due and not worn):
            return ()
        self._handshake = self._start()
        return ((REKEY, self._handshake.write_first()),)

    def _start(self) -> Handshake:
        return Handshake(
            is_initiator=self._is_initiator,
            prologue=context("rekey", self._network) + self.binding,
            seed=self._random(KEY_BYTES),
            psk=self._secret,
        )

    def _offered(self, content: bytes, now: float) -> Sequence[Say]:
        if self._is_initiator or self._next is not None or len(content) != HELLO_BYTES:
            raise NoiseError(_OUT_OF_TURN)
        if now - self._keyed_at < REKEY_LEAST_S:
            raise NoiseError("new keys were offered too soon")
        handshake = self._start()
        handshake.read_first(content)
        answer = handshake.write_second()
        self._next = handshake.keys()
        return ((REKEYED, answer),)

    def _accepted(self, content: bytes, now: float) -> Sequence[Say]:
        if self._handshake is None or len(content) != HELLO_BYTES:
            raise NoiseError(_OUT_OF_TURN)
        self._handshake.read_second(content)
        self._next, self._handshake = self._handshake.keys(), None
        self._replace(self._next, now)
        return ((TURN, b""),)

    def _turned(self, now: float) -> Sequence[Say]:
        if self._is_initiator or self._next is None:
            raise NoiseError(_OUT_OF_TURN)
        self._replace(self._next, now)
        self._next = None
        return ()

    def _replace(self, keys: Keys, now: float) -> None:
        self._records.turn_receiving(keys.receive)
        self._secret = rekey_secret(keys, self._network)
        self._keyed_at = now
