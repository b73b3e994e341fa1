"""In which order things go of those who are in one class, and have more than its share.

Of strangers some device by chance. Of persons one cares about always something of whoever has
most, so nobody can make others' things go by what he writes himself: his own go first. Of what
he has the older half of an open log goes, as long as it has blocks enough; then open logs as they
are; then evidence, each log as a whole; and last a device with its log 0, and what convicts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gossip.policy import FIRST_GROUP_LOG
from gossip.sizes import count
from ledger.store.base import NEVER, Floor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from gossip.catalogue import Catalogue
    from ledger.chain import Log
    from ledger.store.base import LogKey

LEAST_BLOCKS: Final = 32
"""So many of the newest blocks of a log that is shortened are kept."""
WORTH_SHORTENING: Final = LEAST_BLOCKS * 4 // 3
"""A log is shortened if it has more blocks than these: else it would save next to nothing."""


@dataclass(slots=True)
class Belongings:
    """What is held of somebody in one class.

    Attributes:
        logs: His logs of which there is something to let go.
        bytes: Of them, with what convicts a device where its log 0 is among them.
    """

    logs: list[Log] = field(default_factory=list)
    bytes: int = 0

    def add(self, log: Log, size: int) -> None:
        """Take in a log."""
        self.logs.append(log)
        self.bytes += size


class Gone:
    """What goes, of all classes.

    Args:
        catalogue: What is held.

    Attributes:
        floors: What was chosen so far.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.floors: dict[LogKey, Floor] = {}
        self._catalogue = catalogue

    def device(self, device: bytes, rank: int) -> int:
        """Let a device go with all its logs; return the bytes that saves."""
        catalogue, saved = self._catalogue, self._catalogue.sizes.of(device).proof
        for number in catalogue.numbers(device):
            key = (device, number)
            saved += 0 if key in self.floors else catalogue.logs[key].bytes
            self.floors[key] = Floor(NEVER, rank)
        return saved

    def log(self, log: Log, seq: int, rank: int) -> int:
        """Let go what a log has below ``seq``; return the bytes that saves, about.

        What a file brought again of what was let go before goes first.
        """
        key, sizes = (log.author, log.number), self._catalogue.sizes
        seq = max(seq, self._catalogue.floor(key, rank))
        self.floors[key] = Floor(seq, rank)
        if log.pieces and seq <= log.pieces[-1].high:
            return log.bytes * sum(_below(log, seq)) // count(log)
        return log.bytes + (0 if self._catalogue.holds(log.author) else sizes.proof(key))


class Chooser(Protocol):
    """Chooses what goes of one class.

    Attributes:
        is_through: Whether one can tell what else would go; if not, what was chosen goes first.
    """

    is_through: bool

    def choose(self, need: int) -> int:
        """Choose until ``need`` bytes are saved; return how many are."""
        ...


class ByChance:
    """Chooses among strangers: whole devices, but for a log 0 that counts in a better class.

    Args:
        owners: What is held of each.
        gone: Where it goes.
        rank: The class.
        dice: Chooses.
    """

    is_through = True

    def __init__(
        self, owners: dict[bytes, Belongings], gone: Gone, rank: int, dice: Random
    ) -> None:
        self._owners = owners
        self._left = sorted(owners)
        self._gone = gone
        self._rank = rank
        self._dice = dice

    def choose(self, need: int) -> int:
        """Choose until ``need`` bytes are saved; return how many are."""
        saved, left = 0, self._left
        while left and saved < need:
            at = self._dice.randrange(len(left))
            left[at], left[-1] = left[-1], left[at]
            saved += self._let_go(left.pop())
        return saved

    def _let_go(self, device: bytes) -> int:
        logs = self._owners[device].logs
        if any(log.number == 0 for log in logs):
            return self._gone.device(device, self._rank)
        return sum(self._gone.log(log, NEVER, self._rank) for log in logs)


class _Step(NamedTuple):
    """Something that may go: of a log what is below a seq; of log 0 the device."""

    log: Log
    seq: int


class ByMost:
    """Chooses always something of whoever has most.

    Args:
        owners: What is held of each.
        gone: Where it goes.
        rank: The class.
    """

    def __init__(self, owners: dict[bytes, Belongings], gone: Gone, rank: int) -> None:
        self.is_through = True
        self._gone = gone
        self._rank = rank
        self._order = [(-has.bytes, who) for who, has in owners.items()]
        heapify(self._order)
        self._steps = {who: steps(has.logs) for who, has in owners.items()}

    def choose(self, need: int) -> int:
        """Choose until ``need`` bytes are saved; return how many are."""
        saved = 0
        while saved < need and self._order and self.is_through:
            saved += self._next()
        return saved

    def _next(self) -> int:
        size, who = heappop(self._order)
        for step in self._steps[who]:
            if step is None:
                self.is_through = False
                return 0
            saved = self._let_go(step)
            heappush(self._order, (size + saved, who))
            return saved
        return 0

    def _let_go(self, step: _Step) -> int:
        if step.log.number == 0:
            return self._gone.device(step.log.author, self._rank)
        return self._gone.log(step.log, step.seq, self._rank)


def steps(logs: list[Log]) -> Iterator[_Step | None]:
    """Yield what goes of a person's logs; None where one has to see first what that saved."""
    held = sorted(logs, key=lambda log: (-log.bytes, log.author, log.number))
    halves = [(log, middle) for log in held if (middle := _middle(log)) is not None]
    for log, middle in halves:
        if log.bytes < halves[0][0].bytes // 2:
            break
        yield _Step(log, middle)
    if halves:
        yield None
    yield from (_Step(log, _end(log)) for log in held if 0 < log.number < FIRST_GROUP_LOG)
    yield from (_Step(log, NEVER) for log in held if log.number >= FIRST_GROUP_LOG)
    yield from (_Step(log, NEVER) for log in held if log.number == 0)


def _middle(log: Log) -> int | None:
    """Return from where on an open log is kept, None if it cannot be shortened."""
    if not 0 < log.number < FIRST_GROUP_LOG or log.fork is not None:
        return None
    held = count(log)
    if held <= WORTH_SHORTENING:
        return None
    left = held // 2 if held // 2 > WORTH_SHORTENING else LEAST_BLOCKS
    for piece in reversed(log.pieces):
        size = piece.high - piece.low + 1
        if left <= size:
            return piece.high - left + 1
        left -= size
    return None


def _end(log: Log) -> int:
    """Return the seq of what is yet to be written of an open log: that is still wanted."""
    return log.pieces[-1].high + 1 if log.pieces and log.fork is None else NEVER


def _below(log: Log, seq: int) -> Iterable[int]:
    return (min(piece.high + 1, seq) - piece.low for piece in log.pieces if piece.low < seq)
