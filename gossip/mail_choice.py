"""Which of the envelopes that a peer offers are asked for, and in which order.

What few others near here offer comes first, then the youngest. But the first few that are asked
for after an offer are this node's own mail, filled up to a multiple of four from anything that is
new to it, by chance and in an order by chance: the peer sees that they were asked for, and cannot
tell which of them has found its reader.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST: Final = 4
"""So many envelopes at least are asked for in the first class."""
MOST_TOGETHER: Final = 8
"""So many are under way at a time where they come fast,"""
FAST_S: Final = 1.0
"""that is sooner than this after they were asked for; else one: others may bring the next."""
ENDING_BYTES: Final = 2_048
"""Of which no more is to come, that is as good as here: the next is asked for."""
_FILL: Final = b"fill"
_ORDER: Final = b"order"


@dataclass(slots=True)
class Row:
    """Something offered.

    Attributes:
        index: Its number.
        page: Number of the message that offered it.
        name: What names it in this meeting.
        until: When its life ends, seconds of elapsed time; None of a token.
        is_single: Whether it goes on to nobody but its reader.
        is_mine: Whether this node is its reader.
        part: What has come of an envelope that was asked for.
        asked: Whether it is asked for.
        since: When it was.
        came: Whether it has come, and is not stored yet.
        is_ending: Whether little of it is still to come.
        is_second: Whether it was asked for a second time, from its start.
    """

    index: int
    page: int
    name: bytes
    until: int | None
    is_single: bool = False
    is_mine: bool = False
    part: bytearray = field(default_factory=bytearray)
    asked: bool = False
    since: float = 0.0
    came: bool = False
    is_ending: bool = False
    is_second: bool = False

    @property
    def is_envelope(self) -> bool:
        """Whether it is none of a token."""
        return self.until is not None

    @property
    def is_under_way(self) -> bool:
        """Whether it is an envelope that was asked for and has not come."""
        return self.asked and not self.came and self.is_envelope


class May(Protocol):
    """Says whether a row may be asked for now."""

    def __call__(self, row: Row, *, is_first: bool) -> bool: ...


class Choice:
    """Envelopes offered in one meeting that were not asked for yet.

    Args:
        secret: Known to this side alone; the dice.
        crowd: Says how many peers offered what a row may be.

    Attributes:
        together: How many are under way at a time.
    """

    def __init__(self, secret: bytes, crowd: Callable[[Row], int]) -> None:
        self._secret = secret
        self._crowd = crowd
        self._wanted: list[tuple[int, int, int, Row]] = []
        self._fill: list[tuple[bytes, int, Row]] = []
        self._mine: dict[int, Row] = {}
        self._first: list[Row] = []
        self._waiting: set[int] = set()
        self.together = 1

    def add(self, row: Row, *, is_wanted: bool) -> None:
        """Take a row that is new.

        Args:
            row: It.
            is_wanted: Whether it would be kept; another one may only fill up.
        """
        self._waiting.add(row.index)
        if row.is_mine:
            self._mine[row.index] = row
            return
        heappush(self._fill, (self._draw(_FILL, row), row.index, row))
        if is_wanted:
            self._queue(row)

    def _draw(self, what: bytes, row: Row) -> bytes:
        return hmac.digest(self._secret, what + row.name, "sha256")[:8]

    def _queue(self, row: Row) -> None:
        heappush(self._wanted, (self._crowd(row), -(row.until or 0), row.index, row))

    def offered(self) -> None:
        """Draw who is asked for first, after another offer."""
        mine = [row for row in self._mine.values() if row.index in self._waiting]
        self._mine = {row.index: row for row in mine}
        rest = sum(row.index in self._waiting for row in self._first)
        size = max(rest, -(-max(len(mine), 1) // FIRST) * FIRST)
        for row in self._first:
            if not row.is_mine and row.index in self._waiting:
                heappush(self._fill, (self._draw(_FILL, row), row.index, row))
        group = mine
        while len(group) < size and self._fill:
            *_, row = heappop(self._fill)
            if row.index in self._waiting:
                group.append(row)
        self._first = sorted(group, key=lambda row: (self._draw(_ORDER, row), row.index))

    def next(self, may: May) -> tuple[Row, bool] | None:
        """Return what is asked for next, and whether it is among the first; None if nothing is.

        Args:
            may: Whether a row may be asked for now; another is passed over this time.
        """
        for row in self._first:
            if row.index in self._waiting and may(row, is_first=True):
                self._waiting.discard(row.index)
                return row, True
        wanted = self._next_wanted(may)
        return None if wanted is None else (wanted, False)

    def _next_wanted(self, may: May) -> Row | None:
        passed: list[Row] = []
        found: Row | None = None
        while self._wanted and found is None:
            crowd, *_, row = heappop(self._wanted)
            if row.index not in self._waiting:
                continue
            if crowd < self._crowd(row):  # more have offered it meanwhile
                self._queue(row)
            elif may(row, is_first=False):
                found = row
                self._waiting.discard(row.index)
            elif row.index in self._waiting:
                passed.append(row)
        for row in passed:
            self._queue(row)
        return found

    def drop(self, row: Row) -> None:
        """Ask for a row no more."""
        self._waiting.discard(row.index)

    def came(self, row: Row, now: float) -> None:
        """Learn from how long something took how many to ask for together."""
        is_fast = now - row.since < FAST_S
        self.together = min(self.together + 1, MOST_TOGETHER) if is_fast else 1
