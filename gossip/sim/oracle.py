"""What no engine can beat: everything known crosses every contact at once.

A message reaches every node to which a path of contacts in order of time leads, at the earliest
moment possible. Of each contact the first ``setup`` seconds are lost; a contact carries at its
very end, and any number of hops takes no time.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container

    from gossip.sim.trace import Trace

_Times: TypeAlias = "tuple[list[float], list[float]]"
"""When the contacts of a pair begin to carry, and when they end, both ascending."""


class Oracle:
    """Earliest arrivals over a trace.

    Args:
        trace: The contacts.
        setup: Seconds at the start of each in which nothing crosses; a contact that is no longer
            carries nothing.
    """

    def __init__(self, trace: Trace, setup: float) -> None:
        pairs: dict[tuple[int, int], _Times] = {}
        for start, end, left, right in trace.contacts:
            if end - start > setup:
                begins, ends = pairs.setdefault((left, right), ([], []))
                begins.append(start + setup)
                ends.append(end)
        self._near: dict[int, list[tuple[int, _Times]]] = {}
        for (left, right), times in pairs.items():
            self._near.setdefault(left, []).append((right, times))
            self._near.setdefault(right, []).append((left, times))

    def earliest(
        self, source: int, born: float, among: Container[int] | None = None
    ) -> dict[int, float]:
        """Return when each node that can be reached is reached, ``source`` itself included.

        Args:
            source: Who writes.
            born: When, seconds.
            among: Who takes it and passes it on; None: everybody.
        """
        best = {source: born}
        reached: dict[int, float] = {}
        todo = [(born, source)]
        while todo:
            now, node = heapq.heappop(todo)
            if node in reached:
                continue
            reached[node] = now
            for other, (begins, ends) in self._near.get(node, ()):
                if other in reached or (among is not None and other not in among):
                    continue
                at = bisect_left(ends, now)
                if at < len(ends):
                    then = max(now, begins[at])
                    if then < best.get(other, float("inf")):
                        best[other] = then
                        heapq.heappush(todo, (then, other))
        return reached
