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
from transports.rekeying import OUT_OF_TURN, REKEY_AFTER_RECORDS, REKEY_AFTER_S, Rekeying
from transports.tickets import IDENT_BYTES, PSK_BYTES, Ticket, TicketPair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Say: TypeAlias = tuple[int, bytes]
    """Kind and content of a record to send."""

HELLO_BYTES: Final = KEY_BYTES + TAG_BYTES


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

    __slots__ = ("_handshake", "_next", "_records", "_rekeying", "binding")

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
        self._rekeying = Rekeying(
            keys,
            HELLO_BYTES,
            is_initiator=is_initiator,
            random=random,
            now=now,
            network=network,
            after_s=rekey_after_s,
        )
        self.binding = self._rekeying.binding
        self._records = StreamRecords(keys.send, keys.receive)
        self._handshake: Handshake | None = None
        self._next: Keys | None = None

    def seal(self, kind: int, content: bytes) -> bytes:
        """Return the next record; what comes behind a turn has the new key."""
        record = self._records.seal(kind, content)
        is_initiator = self._rekeying.is_initiator
        if kind == (TURN if is_initiator else REKEYED) and self._next is not None:
            self._records.turn_sending(self._next.send)
            if is_initiator:
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
        is_asking = self._handshake is not None or self._next is not None
        return None if is_asking or not self._rekeying.is_initiator else self._rekeying.due

    def tick(self, now: float) -> Sequence[Say]:
        """Return what is to be sent because it is late."""
        due = self.due()
        worn = max(self._records.sent, self._records.received) >= REKEY_AFTER_RECORDS
        if due is None or (now < due and not worn):
            return ()
        self._handshake = self._rekeying.start()
        return ((REKEY, self._handshake.write_first()),)

    def _offered(self, content: bytes, now: float) -> Sequence[Say]:
        self._rekeying.check_offer(content, now, is_busy=self._next is not None)
        handshake = self._rekeying.start()
        handshake.read_first(content)
        answer = handshake.write_second()
        self._next = handshake.keys()
        return ((REKEYED, answer),)

    def _accepted(self, content: bytes, now: float) -> Sequence[Say]:
        if self._handshake is None:
            raise NoiseError(OUT_OF_TURN)
        self._rekeying.check_size(content)
        self._handshake.read_second(content)
        self._next, self._handshake = self._handshake.keys(), None
        self._replace(self._next, now)
        return ((TURN, b""),)

    def _turned(self, now: float) -> Sequence[Say]:
        if self._rekeying.is_initiator or self._next is None:
            raise NoiseError(OUT_OF_TURN)
        self._replace(self._next, now)
        self._next = None
        return ()

    def _replace(self, keys: Keys, now: float) -> None:
        self._records.turn_receiving(keys.receive)
        self._rekeying.replaced(keys, now)
