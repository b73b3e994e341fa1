"""The sneakernet file: bytes to messages and back. No paths, no disk.

    magic 8 | frame ...        frame = size 4 (big-endian) | checksum 8 | payload 1 .. 65,000

The first payload is the header ``[1, purpose]``, the last the trailer
``[15, frames between, blocks, envelopes]``; between them travel the messages of ``gossip.wire``.
Each checksum runs over all payloads so far, so a frame that is damaged, missing or out of place
ends the readable part; whatever came whole before it counts. It guards against bad media, not
against people: what is inside is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.number import MAX_MESSAGE_BYTES, Number
from ledger.codec import context, decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.codec import Value

MAGIC: Final = b"\x89pal\r\n\x1a\n"
"""Tells the file from a text, and shows when something rewrote its line ends."""
FRAME_HEAD_BYTES: Final = 12
VERSION: Final = 1
OPEN: Final = 0
SEALED: Final = 1
_CHECK_BYTES: Final = 8
_MAX_COUNT: Final = 1 << 53


class NotABundleError(InvalidError):
    """The bytes do not begin as a bundle does that this version reads."""


@dataclass(frozen=True, slots=True)
class Trailer:
    """What the writer says it wrote, for the reader to compare.

    Attributes:
        frames: Between header and trailer.
        blocks: Headers in them, bodies or not.
        envelopes: Pieces of carried mail.
    """

    frames: int
    blocks: int
    envelopes: int


class BundleWriter:
    """Turns messages into the bytes of an open bundle, one frame at a time."""

    def __init__(self) -> None:
        self._digest = sha256(context("bundle") + MAGIC).digest()
        self._frames = 0

    def begin(self) -> bytes:
        """Return the file's first bytes."""
        return MAGIC + self._frame(encode((VERSION, OPEN)))

    def message(self, raw: bytes) -> bytes:
        """Return the frame that carries one encoded message."""
        self._frames += 1
        return self._frame(raw)

    def end(self, blocks: int, envelopes: int = 0) -> bytes:
        """Return the file's last bytes."""
        trailer = (Number.TRAILER.value, self._frames, blocks, envelopes)
        return self._frame(encode(trailer))

    def _frame(self, payload: bytes) -> bytes:
        if not 1 <= len(payload) <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a payload of {len(payload)} bytes")
        self._digest = sha256(self._digest + payload).digest()
        return len(payload).to_bytes(4, "big") + self._digest[:_CHECK_BYTES] + payload


class BundleReader:
    """Takes a bundle's bytes in pieces of any size and yields its messages.

    Holds at most one frame and what was fed last. After ``close`` (or earlier, once ``ended``)
    ``trailer`` and ``damage`` say how it ended: a whole bundle has a trailer and no damage.
    """

    def __init__(self) -> None:
        self.purpose: int | None = None
        self.trailer: Trailer | None = None
        self.damage: str | None = None
        self.frames = 0
        self._buffer = bytearray()
        self._digest = sha256(context("bundle") + MAGIC).digest()
        self._is_magic_read = False

    @property
    def ended(self) -> bool:
        """Whether more bytes can change anything."""
        return self.damage is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield each whole message's bytes, in order.

        Raises:
            NotABundleError: Before the header was read: this is no bundle, or not one that this
                version reads.
        """
        if not self.ended:
            self._buffer += data
        at = self._skip_magic()
        while not self.ended:
            payload = self._next(at)
            if payload is None:
                break
            at += FRAME_HEAD_BYTES + len(payload)
            if self.purpose is None:
                self.purpose = _read_purpose(payload)
            elif not self._is_trailer(payload):
                self.frames += 1
                yield payload
        if self.ended:
            self._buffer.clear()
        del self._buffer[:at]

    def close(self) -> None:
        """Say that no more bytes come.

        Raises:
            NotABundleError: The file ended before its header did.
        """
        if self.purpose is None:
            raise NotABundleError("not a bundle: the file ends before its header does")
        if self.trailer is None and self.damage is None:
            self.damage = "the bundle is cut short"

    def _skip_magic(self) -> int:
        if self._is_magic_read:
            return 0
        start = bytes(self._buffer[: len(MAGIC)])
        if not MAGIC.startswith(start):
            raise NotABundleError("not a bundle: it does not begin like one")
        self._is_magic_read = len(start) == len(MAGIC)
        return len(MAGIC) if self._is_magic_read else 0

    def _next(self, at: int) -> bytes | None:
        """Return the payload of the frame at ``at`` once it is whole; note damage."""
        if self.trailer is not None:
            if len(self._buffer) > at:
                self.damage = "there are bytes after the bundle's end"
            return None
        head = self._buffer[at : at + FRAME_HEAD_BYTES]
        if not self._is_magic_read or len(head) < FRAME_HEAD_BYTES:
            return None
        size = int.from_bytes(head[:4], "big")
        if not 1 <= size <= MAX_MESSAGE_BYTES:
            self._spoil()
            return None
        end = at + FRAME_HEAD_BYTES + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[at + FRAME_HEAD_BYTES : end])
        digest = sha256(self._digest + payload).digest()
        if digest[:_CHECK_BYTES] != head[4:]:
            self._spoil()
            return None
        self._digest = digest
        return payload

    def _spoil(self) -> None:
        if self.purpose is None:
            raise NotABundleError("not a bundle: its header is damaged")
        self.damage = f"frame {self.frames + 1} is damaged"

    def _is_trailer(self, payload: bytes) -> bool:
        if payload[:2] != _TRAILER_START:
            return False
        match _lenient(payload):
            case [_, int(frames), int(blocks), int(envelopes)] if (
                frames == self.frames and 0 <= blocks < _MAX_COUNT and 0 <= envelopes < _MAX_COUNT
            ):
                self.trailer = Trailer(frames, blocks, envelopes)
            case _:
                self.damage = "the bundle's end is damaged"
        return True


_TRAILER_START: Final = b"\x84\x0f"


def _read_purpose(payload: bytes) -> int:
    match _lenient(payload):
        case [int(version), int(purpose), *_] if version >= 1 and purpose >= 0:
            if version > VERSION:
                raise NotABundleError("the bundle is of a newer version; update passalong")
            if purpose != OPEN:
                raise NotABundleError("the bundle is sealed, which this version cannot open")
            return purpose
        case _:
            raise NotABundleError("not a bundle: its header means nothing")


def _lenient(payload: bytes) -> Value:
    try:
        return decode(payload, MAX_MESSAGE_BYTES)
    except InvalidError:
        return None
