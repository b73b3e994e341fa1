"""What sealed bundles of a device have brought so far: which of them, and what of this store.

Pure: ``take`` says what the notes are after a part was imported whole. A count that was seen
before, or a lower one, acknowledges nothing; old exports may still be completed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from gossip.bundle_header import MAX_COUNT, MAX_PARTS, NAME_BYTES, read_runs
from gossip.cursor import Seen, add, decode_seen
from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from gossip.bundle_header import Row, Run, SealedHeader

MAX_UNFINISHED: Final = 8
"""Exports of a device of which parts are missing; of more the oldest are forgotten."""
MAX_NOTE_BYTES: Final = 1 << 14
_PARTS_BYTES: Final = (MAX_PARTS + 7) // 8


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An export of which parts are missing.

    Attributes:
        count: Which of the device's exports.
        export: Its name.
        last: Number of its last part, 0 while that is not known.
        parts: A bit for each part that was imported whole, that of the first the lowest.
    """

    count: int
    export: bytes
    last: int
    parts: int

    @property
    def is_complete(self) -> bool:
        """Whether no part is missing."""
        every = (1 << self.last) - 1
        return bool(every) and self.parts & every == every


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known from a device's bundles.

    Attributes:
        count: The highest count of them.
        done: The highest count of those that were imported whole.
        runs: Of the device's store, as the newest bundle named them.
        gave: What of this store came from that device.
        unfinished: Ascending by count.
    """

    count: int = 0
    done: int = 0
    runs: tuple[Run, ...] = ()
    gave: Seen | None = None
    unfinished: tuple[Unfinished, ...] = ()

    @property
    def base(self) -> Run | None:
        """How far the device's store had come by its newest bundle."""
        return self.runs[-1] if self.runs else None

    def encode(self) -> bytes:
        """Return the note."""
        gave = self.gave and self.gave.fields()
        unfinished = [
            (
                one.count,
                one.export,
                one.last,
                one.parts.to_bytes(_PARTS_BYTES, "little").rstrip(b"\0"),
            )
            for one in self.unfinished
        ]
        runs = list(chain.from_iterable(self.runs))
        return encode((self.count, self.done, runs, gave, unfinished))

    def with_part(self, header: SealedHeader, *, is_last: bool) -> tuple[Heard, bool]:
        """Note a part that was imported whole; say also whether that completes its export."""
        found = [one for one in self.unfinished if _is(one, header)]
        before = found[0] if found else Unfinished(header.count, header.export, 0, 0)
        now = replace(
            before,
            last=header.part if is_last else before.last,
            parts=before.parts | 1 << header.part - 1,
        )
        rest = [one for one in self.unfinished if not _is(one, header)]
        if now.is_complete:
            heard = replace(self, unfinished=tuple(rest))
            return heard, True
        kept = sorted([*rest, now], key=lambda one: (one.count, one.export))[-MAX_UNFINISHED:]
        return replace(self, unfinished=tuple(kept)), False

    def reached(self, run: Run | None) -> bool:
        """Say whether the device's newest bundle was written when its store was as far as that."""
        return run is None or reaches(self.runs, run)


def _is(one: Unfinished, header: SealedHeader) -> bool:
    return (one.count, one.export) == (header.count, header.export)


def reaches(runs: tuple[Run, ...], run: Run) -> bool:
    """Say whether a store with ``runs`` has been as far as ``run``."""
    return any(name == run[0] and last >= run[1] for name, last in runs)


def processed(before: Seen | None, row: Row, *, is_newer: bool) -> Seen | None:
    """Return what is processed of the writer's store once all of an export was imported.

    Args:
        before: What was processed before.
        row: What the export says to this device.
        is_newer: Whether no later export was imported whole.
    """
    if not row.runs:
        return before
    newest, ranges = row.runs[-1][0], tuple[tuple[int, int], ...]()
    if before is not None:
        last = dict(row.runs).get(before.run)
        if last is None and not is_newer:
            return before
        if last is not None:
            ranges = before.ranges if before.run == newest else before.clipped(last)
    for low, high in row.covers:
        ranges = add(ranges, low, high)
    return Seen(newest, ranges) if ranges else before


def recall_heard(note: bytes | None) -> Heard:
    """Return what ``Heard.encode`` gave; where that is damaged, as if nothing had been heard."""
    try:
        match decode(note or b"", MAX_NOTE_BYTES):
            case [int(count), int(done), list(runs), gave, list(unfinished)] if (
                0 <= done <= count < MAX_COUNT
            ):
                return Heard(
                    count,
                    done,
                    read_runs(runs),
                    None if gave is None else decode_seen(gave),
                    tuple(map(_unfinished, unfinished)),
                )
            case _:
                return Heard()
    except InvalidError:
        return Heard()


def _unfinished(value: Value) -> Unfinished:
    match value:
        case [int(count), bytes(export), int(last), bytes(parts)] if (
            1 <= count < MAX_COUNT
            and len(export) == NAME_BYTES
            and 0 <= last <= MAX_PARTS
            and len(parts) <= _PARTS_BYTES
        ):
            return Unfinished(count, export, last, int.from_bytes(parts, "little"))
        case _:
            raise InvalidError("not an export of which parts are missing")
