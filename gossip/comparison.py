"""Finding the first block at which two nodes' copies of one log differ, by a few ids at a time.

Both copies are chains, so once they differ they differ for ever after: the search narrows a range
64-fold with every answer. Answers are not verified; in the end the blocks themselves come, and
they prove a fork or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gossip.control import ID_BYTES, MAX_IDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.control import Ids


@dataclass(slots=True)
class Comparison:
    """A search in ranges that both hold.

    Attributes:
        ranges: Those still to be looked at, ascending.
        low: The copies are the same up to here, in the range being narrowed.
        high: And differ here; 0 while it is not known whether they differ at all.
        found: First seq that differs, once it is known.
        is_fetched: Whether the blocks there were asked for, or the search was given up.
    """

    ranges: list[tuple[int, int]]
    low: int = 0
    high: int = 0
    found: int | None = None
    is_fetched: bool = False
    _question: tuple[int, int, int] | None = field(default=None)

    def question(self) -> tuple[int, int, int] | None:
        """Return what to ask next: first seq, step, how many; None when the search is over."""
        if self.found is not None:
            return None
        if not self.high:
            if not self.ranges:
                return None
            self._question = (self.ranges[0][1], 1, 1)
            return self._question
        step = max(1, (self.high - self.low) // (MAX_IDS + 1))
        count = min(MAX_IDS, (self.high - 1 - self.low) // step)
        self._question = (self.low + step, step, count)
        return self._question

    def seqs(self) -> list[int]:
        """Return the seqs that were asked about."""
        low, step, count = self._question or (0, 1, 0)
        return [low + step * number for number in range(count)]

    def answer(self, theirs: Ids, mine: Sequence[bytes | None]) -> bool:
        """Take the answer to the last question.

        Args:
            theirs: What the peer says.
            mine: What would be said here of the ids at ``seqs()``; None where none is any more.

        Returns:
            False if it is no answer to the question: the search cannot go on.
        """
        seqs = self.seqs()
        shown = [theirs.ids[at : at + ID_BYTES] for at in range(0, len(theirs.ids), ID_BYTES)]
        asked = self._question[:2] if self._question is not None else None
        self._question = None
        if (theirs.low, theirs.step) != asked or not len(shown) == len(seqs) == len(mine):
            return False
        if None in mine:
            return False
        same = [m == t for m, t in zip(mine, shown, strict=True)]
        if not self.high:
            self._probe(is_same=same[0])
        else:
            first = next((seq for seq, equal in zip(seqs, same, strict=True) if not equal), None)
            self.low = max([self.low, *(s for s in seqs if first is None or s < first)])
            self.high = first or self.high
        if self.high and self.high - self.low == 1:
            self.found = self.high
        return True

    def _probe(self, *, is_same: bool) -> None:
        low, high = self.ranges.pop(0)
        if not is_same:
            self.low, self.high = low - 1, high
