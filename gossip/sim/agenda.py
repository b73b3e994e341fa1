"""Virtual time: what is still to happen, in order."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Deed: TypeAlias = "Callable[[], None]"

_USUAL: Final = 0
_LAST: Final = 1


class Agenda:
    """What is still to happen.

    Attributes:
        now: The moment, seconds from the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._later: list[tuple[float, int, int, Deed]] = []
        self._at_once: deque[Deed] = deque()
        self._settled: deque[Deed] = deque()
        self._count = 0

    def at(self, when: float, deed: Deed, *, last: bool = False) -> None:
        """Do ``deed`` at ``when``, or now if that is over.

        Args:
            when: The moment.
            deed: What.
            last: Only after all else that happens at that very moment.
        """
        self._count += 1
        moment = max(when, self.now)
        heappush(self._later, (moment, _LAST if last else _USUAL, self._count, deed))

    def at_once(self, deed: Deed) -> None:
        """Do ``deed`` now, after what was to be done at once before."""
        self._at_once.append(deed)

    def when_settled(self, deed: Deed) -> None:
        """Do ``deed`` now, when nothing is to be done at once any more."""
        self._settled.append(deed)

    def step(self, until: float) -> bool:
        """Let one thing happen, and what follows from it at once.

        Args:
            until: Nothing later than this.

        Returns:
            Whether anything was left to happen.
        """
        self._settle()
        if not self._later or self._later[0][0] > until:
            return False
        self.now, _, _, deed = heappop(self._later)
        deed()
        self._settle()
        return True

    def _settle(self) -> None:
        at_once, settled = self._at_once, self._settled
        while at_once or settled:
            (at_once or settled).popleft()()
