"""Records: what a session's frames are sealed in, on a stream and in datagrams.

On a stream every record comes once and in order, so a record is nothing but what is sealed: its
number is known. A datagram says its number; it may be lost, overtaken or come twice, and is
opened once.
"""

from __future__ import annotations

from typing import Final

from transports.noise import TAG_BYTES, NoiseError, seal, unseal

DATA: Final = 0
PING: Final = 1
PONG: Final = 2
WHO: Final = 3
REKEY: Final = 4
REKEYED: Final = 5
TURN: Final = 6
CLOSE: Final = 7
PROBE: Final = 8
PROBED: Final = 9
PROOF: Final = 10
"""What a record is: its first byte inside. Others are skipped."""

MAX_FRAME_BYTES: Final = 65_000
MAX_RECORD_BYTES: Final = 65_535
STREAM_OVERHEAD_BYTES: Final = 1 + TAG_BYTES

FIRST: Final = 0x70
SECOND: Final = 0x71
RECORD: Final = 0x72
"""What a datagram is: its first byte. No DHT message begins so, and nothing of STUN or TURN."""
SESSION_BYTES: Final = 4
COUNTER_BYTES: Final = 6
HEAD_BYTES: Final = 1 + SESSION_BYTES + COUNTER_BYTES
DATAGRAM_OVERHEAD_BYTES: Final = HEAD_BYTES + STREAM_OVERHEAD_BYTES
WINDOW: Final = 2_048
MAX_COUNTER: Final = (1 << 8 * COUNTER_BYTES) - 1

KIND: Final = [bytes([kind]) for kind in range(PROOF + 1)]


class StreamRecords:
    """Records of a session over a stream, each way.

    Args:
        send: The key of what this side sends.
        receive: The key of what it receives.
    """

    __slots__ = ("_last", "_receive", "_send", "received", "sent")

    def __init__(self, send: bytes, receive: bytes) -> None:
        self._send = send
        self._receive = receive
        self._last = b""
        self.sent = 0
        self.received = 0

    def seal(self, kind: int, content: bytes) -> bytes:
        """Return the next record."""
        record = seal(self._send, self.sent, KIND[kind] + content)
        self.sent += 1
        return record

    def open(self, record: bytes) -> bytes | None:
        """Return what a record says, its kind first; None if it is the last one once more.

        That happens where a sender was stopped and could not know whether its record had gone.

        Raises:
            NoiseError: It is not the next one: somebody changes what passes.
        """
        if not STREAM_OVERHEAD_BYTES <= len(record) <= MAX_RECORD_BYTES:
            raise NoiseError(f"a record of {len(record)} bytes")
        if record[-TAG_BYTES:] == self._last:
            return None
        said = unseal(self._receive, self.received, record)
        self._last = record[-TAG_BYTES:]
        self.received += 1
        return said

    def turn_sending(self, key: bytes) -> None:
        """Seal what follows with another key."""
        self._send, self.sent = key, 0

    def turn_receiving(self, key: bytes) -> None:
        """Open what follows with another key."""
        self._receive, self.received = key, 0


class Window:
    """Which of the newest 2,048 counters came already."""

    __slots__ = ("newest", "seen")

    def __init__(self) -> None:
        self.newest = -1
        self.seen = 0

    def is_new(self, counter: int) -> bool:
        """Say whether a datagram of this counter may still be opened."""
        age = self.newest - counter
        return age < 0 or (age < WINDOW and not self.seen >> age & 1)

    def note(self, counter: int) -> bool:
        """Note one that was opened; say whether it is the newest."""
        age = self.newest - counter
        if age >= 0:
            self.seen |= 1 << age
            return False
        self.seen = (self.seen << min(-age, WINDOW) | 1) & ((1 << WINDOW) - 1)
        self.newest = counter
        return True


class DatagramOut:
    """Seals datagrams under one key.

    Args:
        key: 32 bytes.
        session: By which 4 bytes the other side knows them.
    """

    __slots__ = ("_head", "_key", "sent")

    def __init__(self, key: bytes, session: bytes) -> None:
        self._key = key
        self._head = bytes([RECORD]) + session
        self.sent = 0

    def seal(self, kind: int, content: bytes) -> bytes:
        """Return the next datagram.

        Raises:
            NoiseError: The key was used as often as it may be.
        """
        if self.sent > MAX_COUNTER:
            raise NoiseError("this key was used as often as it may be")
        head = self._head + self.sent.to_bytes(COUNTER_BYTES, "big")
        datagram = head + seal(self._key, self.sent, KIND[kind] + content, head)
        self.sent += 1
        return datagram


class DatagramIn:
    """Opens datagrams under one key, each once."""

    __slots__ = ("_key", "_window")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._window = Window()

    @property
    def newest(self) -> int:
        """The highest counter that came; -1 before any did."""
        return self._window.newest

    def open(self, datagram: bytes) -> tuple[bytes, bool]:
        """Return what it says, its kind first, and whether it is the newest of all.

        Raises:
            NoiseError: It is not genuine, or came before, or too late.
        """
        head = datagram[:HEAD_BYTES]
        counter = int.from_bytes(head[1 + SESSION_BYTES :], "big")
        if not DATAGRAM_OVERHEAD_BYTES <= len(datagram) <= MAX_RECORD_BYTES:
            raise NoiseError(f"a datagram of {len(datagram)} bytes")
        if not self._window.is_new(counter):
            raise NoiseError("it came before, or too late")
        said = unseal(self._key, counter, datagram[HEAD_BYTES:], head)
        return said, self._window.note(counter)


def session_of(datagram: bytes) -> bytes | None:
    """Return for which session a datagram is: the 4 bytes that its receiver chose.

    None for a message that opens a session, and for anything else.
    """
    if len(datagram) > SESSION_BYTES and datagram[0] in (SECOND, RECORD):
        return datagram[1 : 1 + SESSION_BYTES]
    return None
