"""Which of the envelopes that a peer offers are asked for, and in which order.

What few others near here offer comes first, then the youngest. But one after each offer, and else
every fourth, is drawn: it is one of this node's own, and where there is none anything that is new
to it. So its own comes early, and the peer sees nothing by which he could tell it from what was
drawn by chance.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY: Final = 4
"""Of so many envelopes that are asked for one at least is drawn."""
MOST_VAIN: Final = 2
"""So many that nobody but a reader would keep are asked for in a meeting, whosever they are;"""
VAIN_BYTE: Final = 256 // 4
"""and only every fourth of them is among those that may be drawn, by chance: they cost much."""
MOST_TOGETHER: Final = 8
"""So many are under way at a time where they come fast,"""
FAST_S: Final = 1.0
"""that is sooner than this after they were asked for; else one: others may bring the next."""
ENDING_BYTES: Final = 2_048
"""Of which no more is to come, that is as good as here: the next is asked for."""


MOST_PASSED: Final = 256
"""So many that another meeting takes are passed over at a time; the others are looked at later."""


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
        since: When it was asked for.
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
    since: float = 0.0
    is_ending: bool = False
    is_second: bool = False

    @property
    def is_envelope(self) -> bool:
        """Whether it is none of a token."""
        return self.until is not None


class May(Protocol):
    """Says whether a row may be asked for now."""

    def __call__(self, row: Row, *, is_drawn: bool) -> bool: ...


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
        self._mine: list[tuple[bytes, int, Row]] = []
        self._fill: list[tuple[bytes, int, Row]] = []
        self._waiting: dict[int, bool] = {}
        self._vain = self._since = 0
        self._is_due = False
        self.together = 1

    def add(self, row: Row, *, is_wanted: bool) -> None:
        """Take a row that is new.

        Args:
            row: It.
            is_wanted: Whether it would be carried on; another one that is not for this node may
                only fill up.
        """
        self._waiting[row.index] = is_wanted
        self._draw(row)
        if is_wanted:
            self._queue(row)

    def _draw(self, row: Row) -> None:
        lot = hmac.digest(self._secret, row.name, "sha256")
        if row.is_mine:
            heappush(self._mine, (lot[:8], row.index, row))
        elif self._waiting[row.index] or lot[8] < VAIN_BYTE:
            heappush(self._fill, (lot[:8], row.index, row))

    def _queue(self, row: Row) -> None:
        heappush(self._wanted, (self._crowd(row), -(row.until or 0), row.index, row))

    def offered(self) -> None:
        """Note that an offer is at its end."""
        self._is_due = True

    def next(self, may: May) -> tuple[Row, bool] | None:
        """Return what is asked for next, and whether it was drawn; None if nothing is.

        Args:
            may: Whether a row may be asked for now; another is passed over this time.
        """
        is_drawn = self._is_due or self._since >= EVERY - 1
        row = self._drawn(may) if is_drawn else self._best(may)
        if row is None:
            is_drawn = not is_drawn
            row = self._drawn(may) if is_drawn else self._best(may)
        if row is None:
            return None
        self._is_due &= not is_drawn
        self._since = 0 if is_drawn else self._since + 1
        self._vain += not self._waiting.pop(row.index)
        return row, is_drawn

    def _drawn(self, may: May) -> Row | None:
        """Return one of this node's own, or, where there is none, anything by chance."""
        for lots in (self._mine, self._fill):
            passed: list[Row] = []
            found: Row | None = None
            while lots and found is None and len(passed) < MOST_PASSED:
                *_, row = heappop(lots)
                if row.index in self._waiting and self._may_draw(row):
                    if may(row, is_drawn=True):
                        found = row
                    elif row.index in self._waiting:
                        passed.append(row)
            for row in passed:
                self._draw(row)
            if found is not None:
                return found
        return None

    def _may_draw(self, row: Row) -> bool:
        return row.is_mine or self._waiting[row.index] or self._vain < MOST_VAIN

    def _best(self, may: May) -> Row | None:
        """Return what the fewest offer, and of that the youngest."""
        passed: list[Row] = []
        found: Row | None = None
        while self._wanted and found is None and len(passed) < MOST_PASSED:
            crowd, *_, row = heappop(self._wanted)
            if row.index not in self._waiting:
                continue
            if crowd < self._crowd(row):  # more have offered it meanwhile
                self._queue(row)
            elif may(row, is_drawn=False):
                found = row
            elif row.index in self._waiting:
                passed.append(row)
        for row in passed:
            self._queue(row)
        return found

    def drop(self, row: Row) -> None:
        """Ask for a row no more."""
        self._waiting.pop(row.index, None)

    def came(self, row: Row, now: float) -> None:
        """Learn from how long something took how many to ask for together."""
        is_fast = now - row.since < FAST_S
        self.together = min(self.together + 1, MOST_TOGETHER) if is_fast else 1
