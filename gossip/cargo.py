"""Blocks that wait to be sent, and become frames only when one may go: then the pace is known."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gossip.packing import Packer
    from ledger.block import Block


class Cargo:
    """Units, with the hops each has passed, and bodies that go ahead of them.

    Args:
        packer: Makes the frames.
        units: They.
        bodies: Blocks whose bodies go alone.
        size: At most how many bytes all frames have together.

    Attributes:
        left: How many of them are left; counts only under a byte budget.
        is_over: Whether nothing is known to be left.
    """

    def __init__(
        self,
        packer: Packer,
        units: Iterable[tuple[Sequence[Block], int]] = (),
        *,
        bodies: Iterable[Block] = (),
        size: int = 0,
    ) -> None:
        self._packer = packer
        self._units = deque(units)
        self._made: Iterator[bytes] = packer.bodies(bodies)
        self.left = size
        self.is_over = False

    def take(self) -> bytes | None:
        """Return the next frame, None if there is none."""
        while (frame := next(self._made, None)) is None:
            if self.is_over:
                return None
            self._made = self._next()
        self.left -= len(frame)
        return frame

    def _next(self) -> Iterator[bytes]:
        if self._units:
            return self._packer.add(*self._units.popleft())
        self.is_over = True
        return self._packer.flush()
