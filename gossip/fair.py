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
        return author, self._pop(author)

    def take_even(self) -> J | None:
        """Return a job of the first author who is not ahead of the others, if there is one."""
        author = next((a for a in self.waiting if self.debts.get(a, 0) <= 0), None)
        return None if author is None else self._pop(author)

    def _pop(self, author: bytes) -> J:
        job = self.waiting[author].popleft()
        if not self.waiting[author]:
            del self.waiting[author]
        return job


class FairQueue(Generic[J]):
    """Jobs waiting for their turn; one that is taken and not finished is put back."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, bool], _Line[J]] = {}
        self._waiting = [0] * (MAX_CLASS + 1)
        self._owed = [0] * (MAX_CLASS + 1)

    def _line(self, rank: int, *, older: bool) -> _Line[J]:
        """Return a line; most meetings need one or two of them."""
        line = self._lines.get((rank, older))
        if line is None:
            line = self._lines[rank, older] = _Line()
        return line

    def put(self, place: Place, job: J) -> None:
        """Add a job."""
        self._waiting[place.rank] += 1
        self._line(place.rank, older=place.older).put(place.author, job)

    def put_back(self, place: Place, job: J) -> None:
        """Add what is left of a job that was taken: its author's turn is not over for that."""
        self._waiting[place.rank] += 1
        line = self._line(place.rank, older=place.older)
        line.waiting.setdefault(place.author, deque()).appendleft(job)
        line.waiting.move_to_end(place.author, last=False)

    def __bool__(self) -> bool:
        return any(self._waiting)

    @property
    def rank(self) -> int | None:
        """The class whose turn it is, None if nothing waits."""
        return self._next()

    def take(self) -> tuple[Place, J] | None:
        """Return the next job and its place, None if there is none."""
        rank = self._next()
        if rank is None:
            return None
        is_older, line = self._first(rank)
        author, job = line.take()
        self._waiting[rank] -= 1
        return Place(rank, is_older, author), job

    def _first(self, rank: int) -> tuple[bool, _Line[J]]:
        """Return the line of a class that goes first, and whether it is that of older blocks."""
        newest = self._line(rank, older=False)
        is_older = not newest.waiting
        return is_older, self._line(rank, older=True) if is_older else newest

    def take_along(self, rank: int) -> J | None:
        """Return another job of a class, to go along with one that was just taken.

        None if all that wait there are of authors who are ahead of others.
        """
        job = self._first(rank)[1].take_even()
        self._waiting[rank] -= job is not None
        return job

    def _next(self) -> int | None:
        if not any(self._waiting):
            return None
        ready = [rank for rank, jobs in enumerate(self._waiting) if jobs]
        return next((rank for rank in ready if self._owed[rank] >= OWED_BYTES), ready[0])

    def spend(self, place: Place, size: int) -> None:
        """Count ``size`` bytes that were sent for a job."""
        line = self._line(place.rank, older=place.older)
        if line.waiting.keys() <= {place.author}:
            line.debts.clear()  # nobody to be ahead of
        line.debts[place.author] = line.debts.get(place.author, 0) + size
        for rank in range(len(self._owed)):
            if rank == place.rank:
                has_way = not any(self._waiting[:rank])
                self._owed[rank] = 0 if has_way else self._owed[rank] - size
            else:
                self._owed[rank] = self._owed[rank] + size // SHARE if self._waiting[rank] else 0
