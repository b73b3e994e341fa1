"""A session in datagrams after its handshake: sealing, opening, and new keys every hour.

Datagrams are lost, come twice and overtake each other, so keys are told apart by the four bytes
in front by which each side wants to be reached. An old key opens what is still under way for 10 s
after the first datagram of the new one. Pure: the time and what arrives are passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transports.noise import KEY_BYTES, TAG_BYTES, Handshake, Keys, NoiseError
from transports.opening import NETWORK
from transports.recognition import ANSWER
from transports.records import (
    DATAGRAM_OVERHEAD_BYTES,
    PING,
    PROBE,
    PROBED,
    RECORD,
    REKEY,
    REKEYED,
    SESSION_BYTES,
    WHO,
    DatagramIn,
    DatagramOut,
)
from transports.rekeying import OUT_OF_TURN, REKEY_AFTER_RECORDS, REKEY_AFTER_S, Rekeying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transports.stream_session import Say

OLD_KEY_S: Final = 10.0
AGAIN_S: Final = 1.0
"""After so long an unanswered request for new keys is sent again."""
SETTLING_S: Final = 5.0
LOOK_EVERY_S: Final = 0.5
"""So often, at first, the initiator looks whether its last words have to be said again."""
PROBE_BYTES: Final = 8
HELLO_BYTES: Final = KEY_BYTES + SESSION_BYTES + TAG_BYTES
_NOT_OURS: Final = "it is no record of this session"


class DatagramSession:
    """One side of a session in datagrams.

    Args:
        keys: What the handshake left.
        own: The 4 bytes by which this side is reached.
        remote: Those by which the other one is.
        is_initiator: Whether this side opened the session; then it asks for new keys.
        random: Gives so many random bytes.
        now: Seconds on the clock that ``tick`` gets.
        network: Name of the network.
        rekey_after_s: Seconds after which keys are replaced.

    Attributes:
        binding: 32 bytes that both sides know and nobody else, the same for the whole session.
        last_words: What the initiator said last of who it is; said again if it got lost.
        is_newest: Whether what was opened last is newer than all before.
    """

    overhead: Final = DATAGRAM_OVERHEAD_BYTES
    is_strict: Final = False

    __slots__ = (
        "_answered",
        "_asked",
        "_in",
        "_look_until",
        "_looked_at",
        "_next_out",
        "_old_until",
        "_out",
        "_random",
        "_rekeying",
        "binding",
        "is_newest",
        "last_words",
    )

    def __init__(  # noqa: PLR0913  what a session depends on
        self,
        keys: Keys,
        own: bytes,
        remote: bytes,
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
        self._random = random
        self._out = DatagramOut(keys.send, remote)
        self._in = {own: DatagramIn(keys.receive)}
        self._looked_at = now
        self._look_until = now + SETTLING_S if is_initiator else now
        self._asked: _Asked | None = None
        self._answered: tuple[bytes, bytes] | None = None
        self._next_out: DatagramOut | None = None
        self._old_until: float | None = None
        self.last_words: Say | None = None
        self.is_newest = False

    @property
    def own(self) -> tuple[bytes, ...]:
        """The 4 bytes by which this side is reached now; the last one is the newest."""
        return tuple(self._in)

    def seal(self, kind: int, content: bytes) -> bytes:
        """Return the next datagram."""
        return self._out.seal(kind, content)

    def open(self, record: bytes, now: float) -> bytes:
        """Return what a datagram says, its kind first.

        Raises:
            NoiseError: It is not genuine, or came before, or too late. No other exception leaves
                this function.
        """
        self._forget(now)
        own = record[1 : 1 + SESSION_BYTES]
        opener = self._in.get(own)
        if opener is None or record[0] != RECORD:
            raise NoiseError(_NOT_OURS)
        said, is_newest = opener.open(record)
        is_last = own == self.own[-1]
        self.is_newest = is_newest and is_last
        if is_last and len(self._in) > 1 and self._old_until is None:
            self._old_until = now + OLD_KEY_S
            if self._next_out is not None:  # the initiator has the new key: it was used
                self._out, self._next_out = self._next_out, None
        return said

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
        if kind == PROBE and len(content) == PROBE_BYTES:
            return ((PROBED, content),)
        if kind == WHO and content[:1] == bytes([ANSWER]) and self.last_words is not None:
            return (self.last_words,)
        return ()

    def due(self) -> float | None:
        """Return when ``tick`` has something to do: seconds, or None for nothing."""
        if self._looked_at < self._look_until:
            return self._looked_at + LOOK_EVERY_S
        if self._old_until is not None:
            return self._old_until
        if not self._rekeying.is_initiator or len(self._in) > 1:
            return None
        return self._rekeying.due if self._asked is None else self._asked.again_at

    def tick(self, now: float) -> Sequence[Say]:
        """Return what is to be sent because it is late."""
        self._forget(now)
        self._looked_at = now
        due = self.due()
        is_worn = self._rekeying.is_initiator and self._asked is None and len(self._in) == 1
        is_worn = is_worn and self._records >= REKEY_AFTER_RECORDS
        if due is None or self._old_until is not None or (now < due and not is_worn):
            return ()
        if self._asked is None:
            handshake, own = self._rekeying.start(), self._fresh()
            self._asked = _Asked(handshake.write_first(own), own, handshake)
        self._asked.again_at = now + AGAIN_S
        return ((REKEY, self._asked.content),)

    @property
    def _records(self) -> int:
        return max(self._out.sent, *(opener.newest + 1 for opener in self._in.values()))

    def _forget(self, now: float) -> None:
        if self._old_until is not None and now >= self._old_until:
            del self._in[self.own[0]]
            self._old_until = None

    def _fresh(self) -> bytes:
        while (own := self._random(SESSION_BYTES)) in self._in:
            pass
        return own

    def _offered(self, content: bytes, now: float) -> Sequence[Say]:
        if self._answered is not None and self._answered[0] == content:
            return ((REKEYED, self._answered[1]),)
        self._rekeying.check_offer(content, now, is_busy=len(self._in) > 1)
        handshake, own = self._rekeying.start(), self._fresh()
        remote = handshake.read_first(content)
        answer = handshake.write_second(own)
        self._answered = (content, answer)
        keys = self._replace(handshake, own, now)
        self._next_out = DatagramOut(keys.send, remote)
        return ((REKEYED, answer),)

    def _accepted(self, content: bytes, now: float) -> Sequence[Say]:
        asked = self._asked
        if asked is None:
            raise NoiseError(OUT_OF_TURN)
        self._rekeying.check_size(content)
        try:
            remote = asked.handshake.read_second(content)
        finally:
            self._asked = None
        keys = self._replace(asked.handshake, asked.own, now)
        self._out = DatagramOut(keys.send, remote)
        return ((PING, bytes(PROBE_BYTES)),)  # so that the other side turns too

    def _replace(self, handshake: Handshake, own: bytes, now: float) -> Keys:
        keys = handshake.keys()
        self._in[own] = DatagramIn(keys.receive)
        self._rekeying.replaced(keys, now)
        return keys


class _Asked:
    """A request for new keys that was not answered yet."""

    __slots__ = ("again_at", "content", "handshake", "own")

    def __init__(self, content: bytes, own: bytes, handshake: Handshake) -> None:
        self.content = content
        self.own = own
        self.handshake = handshake
        self.again_at = 0.0
