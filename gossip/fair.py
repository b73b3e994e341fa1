"""Whose turn it is: classes in order, authors in turn, nobody starved.

The first class that has work goes first, but every class that waits is owed a twentieth of what
the others get. Inside a class authors take turns by bytes (deficit round robin: Shreedhar and
Varghese, 1995), and the newest blocks of logs go ahead of their older ones.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, Generic, NamedTuple, TypeVar

from gossip.control import MAX_CLASS

J = TypeVar("J")

SHARE: Final = 20
"""A class that waits is owed one byte for so many of the others,"""
OWED_BYTES: Final = 32_768
"""and has its turn once it is owed so many."""
TURN_BYTES: Final = 16_384
"""By so many an author may be ahead of the others of its class."""


class Place(NamedTuple):
    """Where a job stands.

    Attributes:
        rank: Its class, 0 .. 6.
        older: Whether it is about a log's older blocks.
        author: Whose blocks it is about.
    """

    rank: int
    older: bool
    author: bytes


class _Line(Generic[J]):
    """Jobs of one class, newest or older, by author."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[bytes, deque[J]] = OrderedDict()
        self.debts: dict[bytes, int] = {}

    def put(self, author: bytes, job: J) -> None:
        self.waiting.setdefault(author, deque()).append(job)

    def take(self) -> tuple[bytes, J]:
        author = next(iter(self.waiting))
        while len(self.waiting) > 1 and self.debts.get(author, 0) > 0:
            self.debts[author] -= TURN_BYTES
            self.waiting.move_to_end(author)
            author = next(iter(self.waiting))
        job = self.waiting[author].popleft()
        self.waiting.move_to_end(author)
        if not self.waiting[author]:
            del self.waiting[author]
        if not self.waiting:
            self.debts.clear()
        return author, job


class FairQueue(Generic[J]):
    """Jobs waiting for their turn; one that is taken and not finished is put again."""

    def __init__(self) -> None:
        self._classes = [(_Line[J](), _Line[J]()) for _ in range(MAX_CLASS + 1)]
        self._owed = [0] * len(self._classes)

    def put(self, place: Place, job: J) -> None:
        """Add a job."""
        self._classes[place.rank][place.older].put(place.author, job)

    def _waits(self, rank: int) -> bool:
        return any(line.waiting for line in self._classes[rank])

    def __bool__(self) -> bool:
        return any(map(self._waits, range(len(self._classes))))

    def take(self, rank: int | None = None) -> tuple[Place, J] | None:
        """Return the next job, None if there is none.

        Args:
            rank: Of this class only, to go along with one that was just taken.
        """
        chosen = self._next() if rank is None else rank
        if chosen is None or not self._waits(chosen):
            return None
        newest, older = self._classes[chosen]
        is_older = not newest.waiting
        author, job = (older if is_older else newest).take()
        return Place(chosen, is_older, author), job

    def _next(self) -> int | None:
        ready = [rank for rank in range(len(self._classes)) if self._waits(rank)]
        if not ready:
            return None
        return next((rank for rank in ready if self._owed[rank] >= OWED_BYTES), ready[0])

    def spend(self, place: Place, size: int) -> None:
        """Count ``size`` bytes that were sent for a job."""
        debts = self._classes[place.rank][place.older].debts
        debts[place.author] = debts.get(place.author, 0) + size
        for rank in range(len(self._owed)):
            if rank == place.rank:
                self._owed[rank] = max(0, self._owed[rank] - size)
            else:
                self._owed[rank] = self._owed[rank] + size // SHARE if self._waits(rank) else 0
