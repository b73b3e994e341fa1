"""What goes when there is no more room, and how fast strangers' things may come then.

While there is room all of this says nothing. Beyond the cap something goes of every class that has
more than its share, down to a little below the cap: what is worth least first. One's own blocks
never go. What went is remembered and not taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gossip.letting_go import LEAST_BLOCKS, Belongings, ByChance, ByMost, Chooser, Gone
from gossip.policy import FIRST_TO_GO, REST_CLASS
from gossip.strangers import MAX_DEVICES, Strangers

if TYPE_CHECKING:
    from random import Random

    from ledger.chain import Log
    from ledger.store.base import Floor, LogKey

__all__ = ["LEAST_BLOCKS", "MAX_DEVICES", "Room"]


@dataclass(slots=True)
class _Held:
    """What is held, by class and by whose it is.

    Attributes:
        own: Bytes of one's own blocks.
        classes: What others wrote.
    """

    own: int = 0
    classes: dict[int, dict[bytes, Belongings]] = field(
        default_factory=lambda: {rank: {} for rank in FIRST_TO_GO}
    )

    def bytes(self, rank: int) -> int:
        """Return the bytes of a class."""
        return sum(has.bytes for has in self.classes[rank].values())


class Room(Strangers):
    """How full a node is.

    Args:
        catalogue: What it holds.
        policy: What it cares about, and how much it may hold.
    """

    @property
    def used(self) -> int:
        """Bytes that are held, with what convicts somebody."""
        return self._catalogue.sizes.whole.all

    @property
    def is_tight(self) -> bool:
        """Whether what strangers wrote is taken in small parts only."""
        return self.used > self._policy.quota.low_mark

    def victims(self, dice: Random) -> dict[LogKey, Floor]:
        """Return what is to go, nothing while all is within the cap.

        It may not be all yet: ask again once it went.

        Args:
            dice: Chooses among strangers.
        """
        quota = self._policy.quota
        if self.used <= quota.high_mark:
            return {}
        held, gone = self._held(), Gone(self._catalogue)
        rest = max(quota.high_mark - held.own, 0)
        excess = self.used - held.own - quota.lowered(rest)
        shares, over = quota.shares(held.own), {rank: held.bytes(rank) for rank in FIRST_TO_GO}
        choosers = {rank: self._chooser(rank, held, gone, dice) for rank in FIRST_TO_GO}
        for parts in (shares, {rank: quota.lowered(share) for rank, share in shares.items()}):
            for rank, chooser in choosers.items():
                need = min(excess, over[rank] - parts[rank])
                saved = chooser.choose(need)
                excess, over[rank] = excess - saved, over[rank] - saved
                if not chooser.is_through:
                    return gone.floors
        return gone.floors

    def _chooser(self, rank: int, held: _Held, gone: Gone, dice: Random) -> Chooser:
        if rank == REST_CLASS:
            return ByChance(held.classes[rank], gone, rank, dice)
        return ByMost(held.classes[rank], gone, rank)

    def _held(self) -> _Held:
        """Return what is held; that of nobody who is cared for counts with the strangers'."""
        held, catalogue = _Held(), self._catalogue
        for key, log in catalogue.logs.items():
            size = self._freed(key, log)
            if self._is_own(key):
                held.own += size
            elif size:
                rank = catalogue.rank(key)
                rank = REST_CLASS if rank is None else rank
                person = key[0] if rank == REST_CLASS else catalogue.person(key[0]) or key[0]
                held.classes[rank].setdefault(person, Belongings()).add(log, size)
        return held

    def _freed(self, key: LogKey, log: Log) -> int:
        """Return the bytes that go with a log: what convicts a device goes with its log 0."""
        sizes = self._catalogue.sizes
        if not self._catalogue.holds(key[0]):
            return log.bytes + sizes.proof(key)
        return log.bytes + (sizes.of(key[0]).proof if key[1] == 0 else 0)

    def _is_own(self, key: LogKey) -> bool:
        """Whether this node's person wrote a log, on whatever device."""
        own, person = self._policy, self._catalogue.person(key[0])
        return key[0] == own.device or person == own.person
