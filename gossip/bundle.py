"""The sneakernet file: its bytes to messages. No paths, no disk.

    magic 8 | frame ...        frame = size 4 (big-endian) | checksum 8 | payload 1 .. 65,000

The first payload is the header ``[1, purpose, ...]``, the last the trailer
``[15, frames between, blocks, envelopes]``; between them travel the messages of ``gossip.wire``.
Each checksum runs over all payloads so far, so a frame that is damaged, missing or out of place
ends the readable part; whatever came whole before it counts. It guards against bad media, not
against people: what is inside is signed. ``gossip.bundle_open`` and ``gossip.bundle_sealed`` write
bundles.

In a sealed bundle all payloads after the first are chunks of a stream (``gossip.sealing``): what
its writer says of himself (``gossip.bundle_header``), the messages, and the end.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.bundle_header import End, SealedHeader, read_end, read_header
from gossip.number import MAX_MESSAGE_BYTES
from gossip.sealing import CHUNK_OVERHEAD_BYTES, SEALED, VERSION, Start, read_start, unseal
from ledger.codec import context, decode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gossip.sealing import Unsealed
    from ledger.codec import Value
    from ledger.keys import DeviceKeys

MAGIC: Final = b"\x89pal\r\n\x1a\n"
"""Tells the file from a text, and shows when something rewrote its line ends."""
FRAME_HEAD_BYTES: Final = 12
OPEN: Final = 0
CHECK_BYTES: Final = 8
MAX_CHUNK_BYTES: Final = MAX_MESSAGE_BYTES + CHUNK_OVERHEAD_BYTES
_MAX_COUNT: Final = 1 << 53


class NotABundleError(InvalidError):
    """The bytes do not begin as a bundle does that this version reads."""


class SealedForOthersError(NotABundleError):
    """A sealed bundle without a slot for this device."""

    def __init__(self) -> None:
        super().__init__("the bundle is sealed for others; ask for one that is sealed to you")


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


class BundleReader:
    """Takes a bundle's bytes in pieces of any size and yields its messages.

    Holds at most one frame and what was fed last. After ``close`` (or earlier, once ``ended``)
    ``trailer`` and ``damage`` say how it ended: a whole bundle has a trailer and no damage.

    Args:
        keys: Opens what is sealed to a device; without them, or where they do not fit, only the
            frames of a sealed bundle are checked, and it has neither messages nor a trailer.

    Attributes:
        purpose: ``OPEN`` or ``SEALED``, once that was read.
        start: The header of a sealed bundle.
        header: What its writer says in it, once it was opened.
        end: What its writer says at the end.
        frames: Whole ones after the first, but for the trailer.
    """

    def __init__(self, keys: DeviceKeys | None = None) -> None:
        self.purpose: int | None = None
        self.start: Start | None = None
        self.unsealed: Unsealed | None = None
        self.header: SealedHeader | None = None
        self.end: End | None = None
        self.trailer: Trailer | None = None
        self.damage: str | None = None
        self.frames = 0
        self._keys = keys
        self._buffer = bytearray()
        self._digest = self._before = sha256(context("bundle") + MAGIC).digest()
        self._is_magic_read = False

    @property
    def ended(self) -> bool:
        """Whether more bytes can change anything."""
        return self.damage is not None

    @property
    def is_locked(self) -> bool:
        """Whether it is sealed, and not to this device."""
        return self.purpose == SEALED and self.unsealed is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield each whole message's bytes, in order.

        Raises:
            NotABundleError: Before the header was read: this is no bundle, or not one that this
                version reads, or one whose writer did not sign it.
        """
        if not self.ended:
            self._buffer += data
        at = self._skip_magic()
        while not self.ended:
            payload = self._next(at)
            if payload is None:
                break
            at += FRAME_HEAD_BYTES + len(payload)
            message = self._take(payload)
            if message is not None:
                yield message
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
        is_open_end = self.is_locked and not self._buffer  # where it ends only its readers see
        if self.trailer is None and self.damage is None and not is_open_end:
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
        if not 1 <= size <= (MAX_CHUNK_BYTES if self.purpose == SEALED else MAX_MESSAGE_BYTES):
            self._spoil()
            return None
        end = at + FRAME_HEAD_BYTES + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[at + FRAME_HEAD_BYTES : end])
        digest = sha256(self._digest + payload).digest()
        if digest[:CHECK_BYTES] != head[4:]:
            self._spoil()
            return None
        self._before, self._digest = self._digest, digest
        return payload

    def _spoil(self) -> None:
        if self.purpose is None:
            raise NotABundleError("not a bundle: its header is damaged")
        self.damage = f"frame {self.frames + 1} is damaged"

    def _take(self, payload: bytes) -> bytes | None:
        """Take a whole frame; return its message if it carries one."""
        if self.purpose is None:
            self._begin(payload)
            return None
        if self.purpose == SEALED:
            return self._take_chunk(payload)
        if self._is_trailer(payload):
            return None
        self.frames += 1
        return payload

    def _begin(self, payload: bytes) -> None:
        self.purpose, fields = _read_purpose(payload)
        if self.purpose == SEALED:
            try:
                self.start = read_start(fields)
            except InvalidError as exc:
                raise NotABundleError(f"not a bundle: {exc}") from exc
            if self._keys is not None:
                self.unsealed = unseal(self.start, payload, self._keys)

    def _take_chunk(self, payload: bytes) -> bytes | None:
        if self.unsealed is None:
            self.frames += 1
            return None
        found = self.unsealed.pull(payload)
        if found is None:
            self._spoil()
            return None
        plain, is_final = found
        if is_final:
            self._end(plain)
            return None
        self.frames += 1
        if self.header is not None:
            return plain
        try:
            self.header = read_header(plain, self.unsealed.bound)
        except InvalidError as exc:
            raise NotABundleError(f"the bundle cannot be trusted: {exc}") from exc
        return None

    def _end(self, plain: bytes) -> None:
        end = None
        if self.header is not None:
            with suppress(InvalidError):
                end = read_end(plain, self.header.device, self._before)
        if end is None or end.frames != self.frames:
            self.damage = "the bundle's end is damaged"
            return
        self.end = end
        self.trailer = Trailer(*end[:3])

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


def _read_purpose(payload: bytes) -> tuple[int, list[Value]]:
    """Return what the first frame says the bundle is for, and the fields after that."""
    match _lenient(payload):
        case [int(version), int(purpose), *fields] if version >= 1 and purpose >= 0:
            if version > VERSION or purpose > SEALED:
                raise NotABundleError("the bundle is of a newer version; update passalong")
            return purpose, fields
        case _:
            raise NotABundleError("not a bundle: its header means nothing")


def _lenient(payload: bytes) -> Value:
    try:
        return decode(payload, MAX_MESSAGE_BYTES)
    except InvalidError:
        return None
