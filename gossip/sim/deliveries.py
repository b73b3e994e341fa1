"""When which post reached whom."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Deliveries:
    """When which post reached whom; for the first time, if he lost it in a crash.

    Args:
        forgetful: Nodes that crash, and may get the same post again.

    Attributes:
        posts: Number of the post, one entry a delivery.
        nodes: Whom it reached.
        times: When, seconds.
    """

    def __init__(self, forgetful: frozenset[int] = frozenset()) -> None:
        self.posts = array("L")
        self.nodes = array("L")
        self.times = array("d")
        self._forgetful = forgetful
        self._came: set[tuple[int, int]] = set()

    def add(self, post: int, node: int, now: float) -> None:
        """Note that ``post`` reached ``node``, unless it did before."""
        if node in self._forgetful:
            if (post, node) in self._came:
                return
            self._came.add((post, node))
        self.posts.append(post)
        self.nodes.append(node)
        self.times.append(now)

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        return zip(self.posts, self.nodes, self.times, strict=True)

    def __len__(self) -> int:
        return len(self.posts)
