"""What a secure link is made of: what seals and opens, and what a handshake found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from transports.base import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transports.base import Link


class CutError(LinkClosedError):
    """The link ended without a word from the other side; what it sent last may be missing."""


class Session(Protocol):
    """What seals and opens records; ``StreamSession`` and ``DatagramSession``."""

    binding: bytes

    @property
    def overhead(self) -> int: ...
    @property
    def is_strict(self) -> bool: ...
    def seal(self, kind: int, content: bytes) -> bytes: ...
    def open(self, record: bytes, now: float, /) -> bytes | None: ...
    def hear(self, kind: int, content: bytes, now: float) -> Sequence[tuple[int, bytes]]: ...
    def due(self) -> float | None: ...
    def tick(self, now: float) -> Sequence[tuple[int, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Met:
    """What a handshake found out.

    Attributes:
        peer: The name of the other side, if it was recognised.
        shown: The device key that it showed to everybody, if it did; proven.
        was_resumed: Whether a ticket was used.
        sent, received: Bytes of the handshake, each way.
    """

    peer: bytes | None
    shown: bytes | None
    was_resumed: bool
    sent: int
    received: int


def received_already(link: Link) -> bytes | None:
    """Return a frame that ``receive`` gives without waiting; None if it wants to wait after all."""
    receiving = link.receive()
    try:
        receiving.send(None)
    except StopIteration as done:
        frame: bytes = done.value
        return frame
    except LinkClosedError:
        return None
    receiving.close()
    return None
