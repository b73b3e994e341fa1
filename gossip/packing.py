"""Pack vouched blocks into messages: many short runs together, each ending on a signature.

A *unit* is consecutive blocks of one log whose last has a verified signature; without it the
blocks before would not be vouched for at the other end, so a unit is never split. One that is too
long for a message goes headers first, bodies after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.wire import MAX_HOPS, MAX_MESSAGE_BYTES, Bodies, Data, RawRun, encode_message
from ledger.store.base import LateBody

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.block import Block
    from ledger.run import RawBlock

MAX_BLOCKS: Final = 200
"""In one message; more save nothing and make a reader wait longer for the first."""
BLOCK_OVERHEAD_BYTES: Final = 8
RUN_OVERHEAD_BYTES: Final = 8
BODY_OVERHEAD_BYTES: Final = 56
_ROOM: Final = MAX_MESSAGE_BYTES - 16


def block_bytes(block: Block) -> int:
    """Return at most how many bytes a block adds to a message."""
    body = len(block.body) if block.body is not None else 0
    return len(block.raw) + len(block.signature) + body + BLOCK_OVERHEAD_BYTES


class Packer:
    """Collects units and yields encoded messages, each at most ``MAX_MESSAGE_BYTES``."""

    def __init__(self) -> None:
        self._runs: list[tuple[list[Block], int]] = []
        self._size = 0
        self._count = 0
        self.blocks = 0

    def add(self, unit: Sequence[Block], hops: int) -> Iterator[bytes]:
        """Take a unit; yield the messages that became full."""
        size = RUN_OVERHEAD_BYTES + sum(map(block_bytes, unit))
        self.blocks += len(unit)
        if size > _ROOM:
            yield from self.flush()
            yield from _headers_first(unit, hops)
            return
        if self._size + size > _ROOM or self._count + len(unit) > MAX_BLOCKS:
            yield from self.flush()
        self._size += size
        self._count += len(unit)
        if self._runs and _follows(self._runs[-1][0][-1], unit[0]):
            blocks, before = self._runs[-1]
            self._runs[-1] = ([*blocks, *unit], max(before, hops))
            self._size -= RUN_OVERHEAD_BYTES
        else:
            self._runs.append((list(unit), hops))

    def flush(self) -> Iterator[bytes]:
        """Yield what is left, if anything is."""
        if self._runs:
            runs = [
                RawRun(list(map(_raw, blocks)), min(hops, MAX_HOPS)) for blocks, hops in self._runs
            ]
            yield encode_message(Data(runs))
        self._runs, self._size, self._count = [], 0, 0


def _headers_first(unit: Sequence[Block], hops: int) -> Iterator[bytes]:
    bare = [(block.raw, block.signature, None) for block in unit]
    yield encode_message(Data([RawRun(bare, min(hops, MAX_HOPS))]))
    late: list[LateBody] = []
    size = 0
    for block in unit:
        if block.body is None:
            continue
        needed = len(block.body) + BODY_OVERHEAD_BYTES
        if size + needed > _ROOM:
            yield encode_message(Bodies(late))
            late, size = [], 0
        header = block.header
        late.append(LateBody(header.author, header.log, header.seq, block.body))
        size += needed
    if late:
        yield encode_message(Bodies(late))


def _follows(last: Block, first: Block) -> bool:
    return (
        first.header.previous == last.id
        and first.header.log == last.header.log
        and first.header.author == last.header.author
    )


def _raw(block: Block) -> RawBlock:
    return block.raw, block.signature, block.body
