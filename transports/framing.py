"""Cuts frames for a stream of bytes, and finds them again in it.

On a stream a frame is its length, two bytes with the highest first, and then itself. Here are no
sockets and no waiting: bytes in, frames out, however the bytes were torn apart on their way. What
small links need, which tear one frame into many packets, is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transports.base import check_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_FRAME: Final = 65_535
"""The longest frame, in bytes: what two bytes of length can say."""
LENGTH_BYTES: Final = 2
"""What a frame takes on the stream besides its own bytes."""


class FramingError(Exception):
    """The bytes are no frames; from here on nothing can be made of them.

    Attributes:
        whole: The frames that came whole before the fault and were not returned yet.
    """

    def __init__(self, what: str, whole: Sequence[bytes]) -> None:
        super().__init__(what)
        self.whole = whole


def cut(frame: bytes) -> bytes:
    """Return what stands on the stream for one frame.

    Raises:
        ValueError: The frame is empty or longer than 65,535 bytes.
    """
    check_frame(frame, LONGEST_FRAME)
    return len(frame).to_bytes(LENGTH_BYTES, "big") + frame


class Joiner:
    """Finds the frames in what arrives of one stream.

    It holds no more than has arrived of one frame, length included: 65,537 bytes at most.
    """

    __slots__ = ("_begun", "_fault")

    def __init__(self) -> None:
        self._begun = bytearray()
        self._fault: str | None = None

    @property
    def pending(self) -> int:
        """How many bytes are held of a frame that is not whole yet."""
        return len(self._begun)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Return the frames that are whole now that these bytes have arrived too.

        Raises:
            FramingError: A frame of no bytes was announced, now or before.
        """
        frames: list[bytes] = []
        view = memoryview(data)
        if self._fault is not None:
            raise FramingError(self._fault, frames)
        at = self._go_on(view, frames) if self._begun else 0
        self._begun += self._split(view, at, frames)
        return frames

    def _go_on(self, view: memoryview, frames: list[bytes]) -> int:
        """Complete the frame that has begun, as far as possible; return how much that took."""
        begun = self._begun
        at = max(0, LENGTH_BYTES - len(begun))
        begun += view[:at]
        if len(begun) < LENGTH_BYTES:
            return len(view)
        lacking = LENGTH_BYTES + self._length(begun, 0, frames) - len(begun)
        begun += view[at : at + lacking]
        if len(view) - at < lacking:
            return len(view)
        frames.append(bytes(memoryview(begun)[LENGTH_BYTES:]))
        self._begun = bytearray()
        return at + lacking

    def _split(self, view: memoryview, at: int, frames: list[bytes]) -> memoryview:
        """Take the whole frames from ``at`` on; return what is left."""
        size = len(view)
        while at + LENGTH_BYTES <= size:
            end = at + LENGTH_BYTES + self._length(view, at, frames)
            if end > size:
                break
            frames.append(bytes(view[at + LENGTH_BYTES : end]))
            at = end
        return view[at:]

    def _length(self, data: bytearray | memoryview, at: int, frames: list[bytes]) -> int:
        length = data[at] << 8 | data[at + 1]
        if length == 0:
            self._fault = "a frame of no bytes was announced"
            self._begun = bytearray()
            raise FramingError(self._fault, frames)
        return length
