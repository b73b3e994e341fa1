"""How long frames of bulk are: about what the link takes in a second.

A frame is there only once all of it is. On a slow link a long one keeps the peer waiting, holds up
what is urgent, and is lost as a whole where the link is cut. So a meeting begins with a short
frame; while the link takes frames at once they soon have full length.
"""

from __future__ import annotations

from typing import Final

FIRST_BYTES: Final = 2_048
"""Of the first frames, while nothing is known of the link."""
LEAST_BYTES: Final = 1_024
"""Shorter ones would save nothing any more."""
SOON_S: Final = 0.25
"""A frame that has left by then may be followed by one that is"""
GROWTH: Final = 4
"""times as long;"""
LATE_S: Final = 1.0
"""one that took longer, by no more than left in a second."""


class Pace:
    """How fast the link is, as far as its frames tell.

    Args:
        limit: Longest message the peer takes, bytes.

    Attributes:
        limit: It.
        size: Bytes that the next frame should have at most.
        is_known: Whether the link has taken a frame.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = min(FIRST_BYTES, limit)
        self.is_known = False

    def took(self, size: int, seconds: float) -> None:
        """Note that a frame of ``size`` bytes kept the link busy for ``seconds``."""
        self.is_known = True
        if seconds <= SOON_S:
            self.size = max(self.size, min(GROWTH * size, self.limit))
        elif seconds > LATE_S:
            self.size = max(LEAST_BYTES, min(self.size, int(size / seconds)))

    @property
    def is_slow(self) -> bool:
        """Whether not even a first frame leaves in a second."""
        return self.size < FIRST_BYTES
