"""Bounds of a meeting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip.claims import PATIENCE_S
from gossip.control import MIN_FRAME_BYTES
from gossip.number import MAX_MESSAGE_BYTES

MAX_PAGE: Final = 256
"""So many of the longest mentions fit into the shortest frame."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a meeting.

    Attributes:
        frame: Longest message taken, bytes.
        window: Bytes of bulk under way.
        receive: Bytes of bulk taken in one meeting, or None.
        send: Bytes of bulk sent in one meeting, or None.
        page: Mentions in a page.
        logs: Logs of a device nobody knows that are taken.
        newest: Blocks of a log that are fetched ahead of its older ones,
        newest_above: if more than so many are missing.
        recent: Logs that strangers are told of, those that changed last.
        asks: Requests about one mention of a log.
        unwanted: Blocks that were not asked for until a peer is left.
        greeting: Seconds to wait for HELLO.
        silence: Seconds to wait for anything that was asked for.
        stall: Seconds to wait for what is due from the peer without being asked for, or for one
            answer while others come: the peer may be waiting for others itself.
        settle: Seconds in which small news is gathered: lsns without mentions, cursors to save.
        patience: Seconds until another is asked for the same.
    """

    frame: int = MAX_MESSAGE_BYTES
    window: int = 1 << 20
    receive: int | None = None
    send: int | None = None
    page: int = MAX_PAGE
    logs: int = 256
    newest: int = 20
    newest_above: int = 200
    recent: int = 1_000
    asks: int = 24
    unwanted: int = 512
    greeting: float = 10.0
    silence: float = 30.0
    stall: float = 120.0
    settle: float = 1.0
    patience: float = PATIENCE_S

    def __post_init__(self) -> None:
        if not MIN_FRAME_BYTES <= self.frame <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a frame limit is {MIN_FRAME_BYTES} to {MAX_MESSAGE_BYTES} bytes")
        if self.window < self.frame:
            raise ValueError(f"a window of {self.window} bytes, less than a frame has")
        if not 1 <= self.page <= MAX_PAGE:
            raise ValueError(f"a page has 1 to {MAX_PAGE} mentions, not {self.page}")
