"""What a sealed bundle says inside: who wrote it, which export it is, and a row for each reader.

    header = [device 32, export 8, count, part, rows, frontier, ...]
    row    = [runs, covers, base, heard, seen, ...]                   sealed to its device
    end    = [15, frames, blocks, envelopes, last, signature 64]

The writer signs the header together with the file's first payload, so that it stands in no other
file, and the end together with all before it: any other reader knows the file key too, and could
leave something out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.cursor import Seen, decode_seen
from gossip.frontier import decode_entry
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.sealing import MAX_SLOTS
from ledger.codec import Value, context, decode, encode
from ledger.errors import InvalidError
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.frontier import FrontierEntry
    from ledger.keys import SigningKey

NAME_BYTES: Final = 8
"""Of a run of a store, and of an export."""
MAX_PARTS: Final = 9_999
MAX_ROW_BYTES: Final = 4_096
MAX_ROW_RUNS: Final = 64
MAX_ENTRIES: Final = 4_096
MAX_FRONTIER_BYTES: Final = 30_000
"""A writer puts no more of a frontier into a header; the rows need the rest of the frame."""
MAX_COUNT: Final = 1 << 53
_HEADER: Final = context("bundle")
_END: Final = context("bundle/end")

Ranges = tuple[tuple[int, int], ...]
Run = tuple[bytes, int]
"""How a run of a store is called to a contact, and the last lsn it gave."""


class Row(NamedTuple):
    """What is said to one device that reads the bundle.

    Attributes:
        runs: The newest runs of the writer's store as called to that device, ascending.
        covers: lsns of the newest of them of which all news are in the export, in all its parts,
            or came from that device.
        base: How far the reader's store had come by what the writer knows of it; the writer left
            out what it knew to be there, so ``covers`` counts only in a store that came as far.
            None if nothing was left out.
        heard: The highest count of the reader's exports that the writer took in, 0 for none.
        seen: What the writer has processed of the reader's store.
    """

    runs: tuple[Run, ...]
    covers: Ranges
    base: Run | None
    heard: int
    seen: Seen | None

    def encode(self) -> bytes:
        """Return the bytes that are sealed."""
        runs, covers = chain.from_iterable(self.runs), chain.from_iterable(self.covers)
        seen = self.seen and self.seen.fields()
        return encode((list(runs), list(covers), self.base, self.heard, seen))


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """The first chunk of a sealed bundle.

    Attributes:
        device: The writer's key.
        export: Random name of the export, the same in all its parts.
        count: Which of the device's exports it is, from 1.
        part: Which of its parts, from 1.
        rows: Sealed rows.
        frontier: What the writer holds; empty where all readers know.
    """

    device: bytes
    export: bytes
    count: int
    part: int
    rows: tuple[bytes, ...]
    frontier: tuple[FrontierEntry, ...] = ()

    def encode(self) -> bytes:
        """Return its bytes, not yet signed."""
        held = [entry.encode() for entry in self.frontier]
        return encode((self.device, self.export, self.count, self.part, self.rows, held))

    def sign(self, key: SigningKey, bound: bytes) -> bytes:
        """Return the chunk: the header and the device's signature over it.

        Args:
            key: The device's.
            bound: H of the file's first payload.
        """
        raw = self.encode()
        return raw + key.sign(_HEADER + bound + raw)


class End(NamedTuple):
    """The last chunk of a sealed bundle.

    Attributes:
        frames: Between the file's first frame and its last.
        blocks: Headers in them.
        envelopes: Pieces of carried mail.
        is_last: Whether it is the last part of its export.
    """

    frames: int
    blocks: int
    envelopes: int
    is_last: bool

    def sign(self, key: SigningKey, digest: bytes) -> bytes:
        """Return the chunk; ``digest`` is over all payloads before it."""
        return encode((*self.numbers(), key.sign(_END + digest + encode(self.numbers()))))

    def numbers(self) -> tuple[int, ...]:
        """Return what is signed of it, besides what came before."""
        return Number.TRAILER.value, self.frames, self.blocks, self.envelopes, int(self.is_last)


def read_header(chunk: bytes, bound: bytes) -> SealedHeader:
    """Read and check the first chunk.

    Raises:
        InvalidError: Malformed, or not signed by the device it names for this file. No other
            exception leaves this function.
    """
    raw, signature = chunk[:-SIGNATURE_BYTES], chunk[-SIGNATURE_BYTES:]
    match decode(raw, MAX_MESSAGE_BYTES):
        case [bytes(device), bytes(export), int(count), int(part), list(rows), list(held), *_] if (
            len(device) == KEY_BYTES
            and len(export) == NAME_BYTES
            and 1 <= count < MAX_COUNT
            and 1 <= part <= MAX_PARTS
            and len(rows) <= MAX_SLOTS
            and len(held) <= MAX_ENTRIES
        ):
            sealed = tuple(map(_sealed_row, rows))
            if not verify(device, _HEADER + bound + raw, signature):
                raise InvalidError("a sealed bundle that its writer did not sign")
            return SealedHeader(device, export, count, part, sealed, tuple(map(_entry, held)))
        case _:
            raise InvalidError("not the header of a sealed bundle")


def read_row(raw: bytes) -> Row:
    """Read a row that was opened.

    Raises:
        InvalidError: Malformed. No other exception leaves this function.
    """
    match decode(raw, MAX_ROW_BYTES):
        case [list(runs), list(covers), base, int(heard), seen, *_] if 0 <= heard < MAX_COUNT:
            return Row(
                read_runs(runs),
                read_ranges(covers),
                None if base is None else _base(base),
                heard,
                None if seen is None else decode_seen(seen),
            )
        case _:
            raise InvalidError("not a row of a sealed bundle")


def read_end(chunk: bytes, device: bytes, digest: bytes) -> End:
    """Read and check the last chunk.

    Args:
        chunk: What the stream gave.
        device: Who wrote the bundle.
        digest: Over all payloads before.

    Raises:
        InvalidError: Malformed, or not signed over just these payloads.
    """
    match decode(chunk, MAX_MESSAGE_BYTES):
        case [
            Number.TRAILER,
            int(frames),
            int(blocks),
            int(envelopes),
            int(last),
            bytes(signature),
        ] if min(frames, blocks, envelopes) >= 0 and last in (0, 1):
            end = End(frames, blocks, envelopes, last == 1)
        case _:
            raise InvalidError("not the end of a sealed bundle")
    if max(end[:3]) >= MAX_COUNT or chunk != _rejoin(end, signature):
        raise InvalidError("not the end of a sealed bundle")
    if not verify(device, _END + digest + encode(end.numbers()), signature):
        raise InvalidError("the end of a sealed bundle that its writer did not sign")
    return end


def _rejoin(end: End, signature: bytes) -> bytes:
    return encode((*end.numbers(), signature))


def read_runs(values: Sequence[Value]) -> tuple[Run, ...]:
    """Read runs as a row has them: name, last lsn, and so on, ascending.

    Raises:
        InvalidError: Malformed.
    """
    runs = tuple(map(_base, zip(values[::2], values[1::2], strict=False)))
    if len(values) % 2 or len(runs) > MAX_ROW_RUNS:
        raise InvalidError(f"not at most {MAX_ROW_RUNS} runs")
    if any(before[1] >= after[1] for before, after in pairwise(runs)):
        raise InvalidError("runs ascend")
    return runs


def read_ranges(values: Sequence[Value]) -> Ranges:
    """Read ranges of lsns as a seen has them, or none.

    Raises:
        InvalidError: Malformed, or more than ``gossip.cursor.MAX_RANGES``.
    """
    return decode_seen([bytes(NAME_BYTES), list(values)]).ranges if values else ()


def _base(value: object) -> Run:
    match value:
        case [bytes(name), int(last)] | (bytes(name), int(last)) if (
            len(name) == NAME_BYTES and 1 <= last < MAX_COUNT
        ):
            return name, last
        case _:
            raise InvalidError("a run is a name and its last lsn")


def _sealed_row(value: Value) -> bytes:
    if not isinstance(value, bytes) or len(value) > MAX_ROW_BYTES:
        raise InvalidError(f"a row is at most {MAX_ROW_BYTES} bytes")
    return value


def _entry(value: Value) -> FrontierEntry:
    if not isinstance(value, bytes):
        raise InvalidError("a frontier entry stands as bytes")
    return decode_entry(value)
