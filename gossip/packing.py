"""Pack vouched blocks into messages: many short runs together, each ending on a signature.

A *unit* is consecutive blocks of one log whose last has a verified signature; without it the
blocks before would not be vouched for at the other end, so a unit is never split. One that is too
long for a message, or for the link it goes over, goes headers first, bodies after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.number import MAX_MESSAGE_BYTES
from gossip.wire import MAX_HOPS, Bodies, Data, RawRun, encode_message
from ledger.block import MAX_SEQ
from ledger.store.base import LateBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gossip.pace import Pace
    from ledger.block import Block
    from ledger.run import RawBlock

MAX_BLOCKS: Final = 200
"""In one message; more save nothing and make a reader wait longer for the first."""
BLOCK_OVERHEAD_BYTES: Final = 8
RUN_OVERHEAD_BYTES: Final = 8
BODY_OVERHEAD_BYTES: Final = 56
FRAME_OVERHEAD_BYTES: Final = 16
MOST_WHOLE: Final = 2
"""So many times as long as a frame should be a unit may be without being taken apart."""


def block_bytes(block: Block) -> int:
    """Return at most how many bytes a block adds to a message."""
    _, raw, _, signature, body = block
    return len(raw) + len(signature) + len(body or b"") + BLOCK_OVERHEAD_BYTES


def unit_bytes(unit: Sequence[Block], limit: int) -> int:
    """Return at most how many bytes a unit takes, in messages of at most ``limit`` bytes."""
    size = FRAME_OVERHEAD_BYTES + RUN_OVERHEAD_BYTES + sum(map(block_bytes, unit))
    if size <= limit or len(unit) == 1:  # a block alone fits into any message
        return size
    return size + len(unit) * (BODY_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES)


class Packer:
    """Collects units and yields encoded messages.

    Args:
        limit: Longest message, bytes; the longest unit's bare headers must fit.
        pace: How long messages should be at most; it may change between two of them. A block, or
            the headers of a unit, may be longer.
        apart: Told the blocks of a unit whose bodies follow its headers.
    """

    def __init__(
        self,
        limit: int = MAX_MESSAGE_BYTES,
        pace: Pace | None = None,
        apart: Callable[[Sequence[Block]], None] = lambda _: None,
    ) -> None:
        self._limit = limit
        self._pace = pace
        self._apart = apart
        self._runs: list[tuple[list[Block], int]] = []
        self._size = 0
        self._count = 0
        self.blocks = 0

    def add(self, unit: Sequence[Block], hops: int) -> Iterator[bytes]:
        """Take a unit; yield the messages that became full."""
        size = RUN_OVERHEAD_BYTES + sum(map(block_bytes, unit))
        self.blocks += len(unit)
        room = self._room()
        if size > room and size > self._most_whole(len(unit), room):
            yield from self.flush()
            yield from self._headers_first(unit, hops)
            return
        if self._size + size > room or self._count + len(unit) > MAX_BLOCKS:
            yield from self.flush()
        self._size += size
        self._count += len(unit)
        if self._runs and _follows(self._runs[-1][0][-1], unit[0]):
            blocks, before = self._runs[-1]
            blocks.extend(unit)
            self._runs[-1] = (blocks, max(before, hops))
            self._size -= RUN_OVERHEAD_BYTES
        else:
            self._runs.append((list(unit), hops))

    def _room(self) -> int:
        """Return the bytes of blocks that the next message has room for."""
        size = self._limit if self._pace is None else min(self._pace.size, self._limit)
        return size - FRAME_OVERHEAD_BYTES

    def _most_whole(self, blocks: int, room: int) -> int:
        """Return up to how many bytes a unit of so many blocks goes whole."""
        most = self._limit - FRAME_OVERHEAD_BYTES
        return most if blocks == 1 or self._pace is None else min(most, MOST_WHOLE * room)

    def _headers_first(self, unit: Sequence[Block], hops: int) -> Iterator[bytes]:
        self._apart(unit)
        bare = [(block.raw, block.signature, None) for block in unit]
        yield encode_message(Data([RawRun(bare, min(hops, MAX_HOPS))]))
        yield from self.bodies(unit)

    def bodies(self, blocks: Iterable[Block]) -> Iterator[bytes]:
        """Yield messages with the bodies that are held of ``blocks``."""
        return pack_bodies(blocks, self._room)

    def flush(self) -> Iterator[bytes]:
        """Yield what is left, if anything is."""
        if self._runs:
            runs = [
                RawRun(list(map(_raw, blocks)), min(hops, MAX_HOPS)) for blocks, hops in self._runs
            ]
            yield encode_message(Data(runs))
        self._runs, self._size, self._count = [], 0, 0


def pack_bodies(blocks: Iterable[Block], room: Callable[[], int]) -> Iterator[bytes]:
    """Yield messages with the bodies that are held of ``blocks``.

    Each has at most ``room()`` + ``FRAME_OVERHEAD_BYTES`` bytes, if a body alone does.
    """
    late: list[LateBody] = []
    size = 0
    for block in blocks:
        if block.body is None:
            continue
        needed = len(block.body) + BODY_OVERHEAD_BYTES
        if late and size + needed > room():
            yield encode_message(Bodies(late))
            late, size = [], 0
        header = block.header
        late.append(LateBody(header.author, header.log, header.seq, block.body))
        size += needed
    if late:
        yield encode_message(Bodies(late))


def signed_units(
    blocks: Iterable[Block], together: int = 0, until: int = MAX_SEQ
) -> Iterator[list[Block]]:
    """Cut linked blocks after signatures; what follows the last one is left out.

    Args:
        blocks: In order of seq.
        together: No cut is made before a unit has so many bytes,
        until: but for the first one after the block with this seq.
    """
    unit: list[Block] = []
    signed = size = 0
    for block in blocks:
        if unit and unit[-1].id != block.header.previous:
            if signed:
                yield unit[:signed]
            unit, signed, size = [], 0, 0
        unit.append(block)
        size += len(block.raw) + len(block.body or b"")
        if block.signature:
            signed = len(unit)
            if size >= together or block.header.seq >= until:
                yield unit
                unit, signed, size = [], 0, 0
    if signed:
        yield unit[:signed]


def branch_units(trunk: Sequence[Block], kept: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield the branches of a fork in units, with the blocks before it that they vouch for.

    Args:
        trunk: Blocks before the fork that follow the last signature there.
        kept: The branches' blocks, by seq and id.
    """
    fork = kept[0].header.seq if kept else 0
    roots = [block for block in kept if block.header.seq == fork]
    following = {block.header.previous: block for block in kept if block.header.seq > fork}
    for root in roots:
        branch = [root]
        while (block := following.get(branch[-1].id)) is not None:
            branch.append(block)
        if trunk and trunk[-1].id == root.header.previous:
            branch, trunk = [*trunk, *branch], ()
        yield from signed_units(branch)


def _follows(last: Block, first: Block) -> bool:
    author, log, _, previous, *_ = first.header
    return previous == last.id and last.header[:2] == (author, log)


def _raw(block: Block) -> RawBlock:
    return block.raw, block.signature, block.body
