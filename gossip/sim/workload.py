"""Who writes what, and when: drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

WRITING: Final = 2 / 3
"""The part of a trace in which is written; in the rest it still spreads."""


class Post(NamedTuple):
    """Something said to all.

    Attributes:
        born: When, seconds.
        author: By which node.
    """

    born: float
    author: int


class Letter(NamedTuple):
    """Something said to one.

    Attributes:
        born: When, seconds.
        source: By which node.
        destination: To which other one.
    """

    born: float
    source: int
    destination: int


def draw_posts(span: float, authors: Sequence[int], count: int, dice: Random) -> list[Post]:
    """Return ``count`` posts, ascending, each by any of ``authors`` at any moment of ``WRITING``.

    Args:
        span: How long the trace is, seconds.
        authors: Nodes; without any there are no posts.
        count: How many.
        dice: Decide.
    """
    last, written = span * WRITING, count if authors else 0
    return sorted(Post(dice.random() * last, dice.choice(authors)) for _ in range(written))


def draw_letters(span: float, nodes: Sequence[int], count: int, dice: Random) -> list[Letter]:
    """Return ``count`` letters, ascending, each from one of ``nodes`` to another."""
    last, written = span * WRITING, count if len(nodes) > 1 else 0
    pairs = [dice.sample(nodes, 2) for _ in range(written)]
    return sorted(Letter(dice.random() * last, *pair) for pair in pairs)
