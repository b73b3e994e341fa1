"""What a radio, a LAN or two ends in memory must offer to whoever talks over them.

A transport finds devices and hands out links. A link carries whole frames between two devices,
in order, until it closes. Nothing here knows what a frame means or who is at the other end:
that is proven inside the frames, never by an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class LinkError(Exception):
    """A link could not be opened or used; the message says why, in one line."""


class LinkClosedError(LinkError):
    """The link is gone, the message says by whom or why; another one may be opened."""


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """What is known of a link without asking the other side; for display and planning only.

    Attributes:
        transport: Short name of what carries it, such as ``"wifi"``.
        max_frame: The longest frame that ``send`` takes, in bytes.
        metered: Whether the bytes may cost somebody money.
        thin: Whether bytes are dear, as over Bluetooth: send what matters and leave the rest.
        address: Where the other side was met, or None. Anybody can claim any: never an identity.
    """

    transport: str
    max_frame: int
    metered: bool = False
    thin: bool = False
    address: str | None = None


class Link(Protocol):
    """One open connection: whole frames, in order, each way, until it closes.

    Several tasks may send at a time: each frame stays whole. What a link holds in memory is
    bounded, however much the other side sends and however little this side receives.
    """

    @property
    def info(self) -> LinkInfo:
        """What is known of this link; the same as long as it lives."""

    async def send(self, frame: bytes) -> None:
        """Send one frame of 1 to ``info.max_frame`` bytes.

        Returns when the link has taken the frame: a sender that is too fast waits here. That is
        no delivery; only an answer is. When this is cancelled, the frame is sent whole or not
        at all.

        Raises:
            ValueError: The frame is empty or longer than ``info.max_frame``.
            LinkClosedError: The link is gone; it has not taken the frame.
        """

    async def receive(self) -> bytes:
        """Return the next whole frame; when this is cancelled, the frame stays for the next call.

        Raises:
            LinkClosedError: This side closed the link; or it ended otherwise, and every frame
                that arrived whole before has been returned.
        """

    def waiting(self) -> int:
        """Return how many frames ``receive`` would return without waiting: those arrived whole.

        None, once this side has closed the link.
        """

    async def close(self) -> None:
        """Close both ways; a second time changes nothing.

        What ``send`` took before still goes to the other side, as far as that is possible. Every
        ``send`` and ``receive`` that waits, here and on the other side, ends with LinkClosedError.
        """


class Transport(Protocol):
    """A way of meeting devices."""

    @property
    def name(self) -> str:
        """What the links' ``info.transport`` says."""

    def links(self) -> AsyncIterator[Link]:
        """Yield links as devices come within reach, until cancelled."""


def check_frame(frame: bytes, max_frame: int) -> None:
    """Refuse what no link sends.

    Raises:
        ValueError: The frame is empty or longer than ``max_frame`` bytes.
    """
    if not 1 <= len(frame) <= max_frame:
        raise ValueError(f"a frame has 1 to {max_frame} bytes here, not {len(frame)}")
