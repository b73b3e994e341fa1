"""Who wants whose posts."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gossip.sim.trace import Trace


def nearest(trace: Trace, count: int) -> list[tuple[int, ...]]:
    """Return for each node the ``count`` others that are nearest to it.

    Those it meets most often come first, then those they meet, and so on; where that leads to
    fewer, there are fewer.
    """
    met: list[Counter[int]] = [Counter() for _ in trace.names]
    for contact in trace.contacts:
        met[contact.left][contact.right] += 1
        met[contact.right][contact.left] += 1
    ordered = [[one for _, one in sorted((-near[one], one) for one in near)] for near in met]
    return [tuple(_walk(node, ordered, count)) for node in range(len(met))]


def _walk(start: int, ordered: Sequence[Sequence[int]], count: int) -> Iterator[int]:
    known, todo = {start}, deque([start])
    while todo:
        for other in ordered[todo.popleft()]:
            if len(known) > count:
                return
            if other not in known:
                known.add(other)
                todo.append(other)
                yield other


def audience(
    follows: Sequence[Sequence[int]] | None, among: frozenset[int]
) -> Callable[[int], frozenset[int]]:
    """Return what gives those ``among`` nodes that want an author's posts, himself included."""
    if follows is None:
        return lambda _: among
    wanted: dict[int, set[int]] = {}
    for reader, authors in enumerate(follows):
        for author in authors:
            wanted.setdefault(author, set()).add(reader)
    return lambda author: among & (wanted.get(author, set()) | {author})
