"""Sending blocks that were read, as far as the byte budget goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.cargo import Cargo
from gossip.pace import LEAST_BYTES
from gossip.packing import BODY_OVERHEAD_BYTES, FRAME_OVERHEAD_BYTES, Packer, unit_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gossip.fair import FairQueue, Place
    from gossip.jobs import Job
    from gossip.mail_giving import Errand
    from gossip.outlet import Outlet
    from gossip.talk import Talk
    from gossip.wanted import Range
    from ledger.block import Block
    from ledger.store.base import LogKey

_FIRST_MEAN_BYTES: Final = 400


class Shipping:
    """Puts frames into the outlet, and has them paid for in the queue.

    Args:
        talk: The session's surroundings.
        outlet: Where frames go.
        queue: Whose places they count for.

    Attributes:
        mean: About how many bytes a block has, of those sent lately.
    """

    def __init__(self, talk: Talk, outlet: Outlet, queue: FairQueue[Job | Errand]) -> None:
        self._talk = talk
        self._outlet = outlet
        self._queue = queue
        self.mean = _FIRST_MEAN_BYTES
        self._apart: dict[LogKey, list[Range]] = {}

    def units(self, units: Sequence[tuple[Job, list[Block]]]) -> set[int]:
        """Send ``units``, all of one class; return the logs the budget had no room for.

        Of a unit that does not fit headers go, and as many bodies as do: the rest comes next time.
        """
        broke = set[int]()
        going: list[tuple[list[Block], int]] = []
        spent: dict[Place, int] = {}
        left = before = self._outlet.left
        hops = self._talk.setting.catalogue.hops
        for job, unit in units:
            if job.request.index in broke:
                continue
            fitting, size = unit, unit_bytes(unit, self._talk.frame)
            if left is not None:
                fitting, most = _what_fits(unit, left)
                size, left = min(size, most), left - most
                if fitting is not unit:
                    broke.add(job.request.index)
            if not fitting:
                continue
            spent[job.place] = spent.get(job.place, 0) + size
            self.mean = (7 * self.mean + size // len(fitting)) // 8
            going.append((fitting, hops(job.key)))
        if going:
            size = 0 if before is None or left is None else before - left
            self._outlet.load(units[0][0].request.rank, Cargo(self._packer(), going, size=size))
        for place, size in spent.items():
            self._queue.spend(place, size)
        self._talk.counts.blocks_out += sum(len(unit) for unit, _ in going)
        self._outlet.is_spent |= bool(broke)
        return broke

    def _packer(self) -> Packer:
        return Packer(self._talk.frame, self._outlet.pace, self._follow)

    def _follow(self, blocks: Sequence[Block]) -> None:
        """Note that the bodies of blocks follow without being asked for."""
        for author, log, seq, *_ in (block.header for block in blocks if block.body is not None):
            ranges = self._apart.setdefault((author, log), [])
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))

    def _is_due(self, job: Job, block: Block) -> bool:
        """Whether the body of a block is held, and not on its way behind its header."""
        seq = block.header.seq
        follow = self._apart.get(job.key, ())
        return block.body is not None and not any(low <= seq <= high for low, high in follow)

    def bodies(self, job: Job, blocks: Iterable[Block]) -> bool:
        """Send bodies that are not on their way; say whether the budget had room for all."""
        left, size = self._outlet.left, 0
        going: list[Block] = []
        due = [block for block in blocks if self._is_due(job, block)]
        for block in due:
            needed = len(block.body or b"") + BODY_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES
            if left is not None and size + needed > left:
                self._outlet.is_spent = True
                break
            size += needed
            going.append(block)
        if going:
            self._queue.spend(job.place, size)
            cargo = Cargo(self._packer(), bodies=going, size=size)
            self._outlet.load(job.place.rank, cargo)
        return len(going) == len(due)

    def frames(
        self, place: Place, frames: Iterable[bytes], then: Callable[[], None] | None = None
    ) -> bool:
        """Put frames of what waited at ``place``; say whether the budget had room for all.

        Args:
            place: Where it waited.
            frames: They.
            then: Called once the link has taken the last of them.
        """
        frames = list(frames)
        for number, frame in enumerate(frames, 1):
            left = self._outlet.left
            if left is not None and len(frame) > left:
                self._outlet.is_spent = True
                return False
            self._queue.spend(place, len(frame))
            self._outlet.put(place.rank, frame, then if number == len(frames) else None)
        return True


def _what_fits(unit: list[Block], room: int) -> tuple[list[Block], int]:
    """Return a unit without the bodies that do not fit into ``room`` bytes, and its size at most.

    Nothing if not even the headers do. However slow the link turns out to be, there is room for
    bodies that travel alone.
    """
    if (size := unit_bytes(unit, LEAST_BYTES)) <= room:
        return unit, size
    bare = [block._replace(body=None) for block in unit]
    size = unit_bytes(bare, room)
    if size > room:
        return [], 0
    for at, block in enumerate(unit):
        size += len(block.body or b"") + 2 * BODY_OVERHEAD_BYTES
        if size > room:
            return [*unit[:at], *bare[at:]], room
    return unit, size
