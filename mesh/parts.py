"""Writes messages into one bundle, or into several of at most a given size.

    news.passalong -> news.1.passalong, news.2.passalong, ...

Each part is a whole bundle and can be read alone, before or after any other.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from gossip.bundle import FRAME_HEAD_BYTES
from gossip.bundle_header import MAX_PARTS
from gossip.number import Number
from gossip.postal import Envelopes
from gossip.sealing import CHUNK_OVERHEAD_BYTES
from gossip.wire import Data, decode_message
from ledger.errors import PassalongError
from mesh.home import explain, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from gossip.bundle_open import BundleWriter
    from mesh.port import File

LEAST_PART_BYTES: Final = 100_000
"""Of a part; the header of a sealed one and a longest unit without bodies fit."""
FRAME_OVERHEAD_BYTES: Final = FRAME_HEAD_BYTES + CHUNK_OVERHEAD_BYTES
END_BYTES: Final = 160
"""More than the end of a sealed bundle takes."""
_BODIES_START: Final = bytes((0x82, Number.BODIES))


class BundleError(PassalongError):
    """A bundle cannot be written or read where it was asked for."""


@contextmanager
def open_target(target: File) -> Iterator[BinaryIO]:
    """Open a bundle for writing; a stream whose reader went away says so by itself."""
    if isinstance(target, Path):
        with whole_file(target) as file:
            yield file
        return
    try:
        yield target
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise explain(exc, Path("the bundle")) from exc


def part_name(path: Path, part: int) -> Path:
    """Return where a part of the bundle ``path`` goes."""
    return path.with_name(f"{path.stem}.{part}{path.suffix}")


class PartWriter:
    """Writes a bundle, all at once or in parts; a context, within which an error removes the part.

    Args:
        target: The file, or what parts are named after.
        limit: Longest part, bytes, at least ``LEAST_PART_BYTES``; None for one file.
        make: Gives the writer of a part, from its number, from 1.

    Attributes:
        part: The number of the part that is being written.
        size: Bytes written so far.
    """

    def __init__(
        self, target: File, limit: int | None, make: Callable[[int], BundleWriter]
    ) -> None:
        self.part = 0
        self.size = 0
        self._target = target
        self._limit = limit
        self._make = make
        self._stack = ExitStack()
        self._left = 0
        self._headers = b""

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._stack.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, exc, trace)

    def _begin(self) -> None:
        self.part += 1
        if self.part > MAX_PARTS:
            raise BundleError(f"more than {MAX_PARTS:,} parts; make them larger")
        target = self._target
        if self._limit is not None and isinstance(target, Path):
            target = part_name(target, self.part)
        self._file = self._stack.enter_context(open_target(target))
        self._writer = self._make(self.part)
        self._blocks = self._envelopes = 0
        self._left = (self._limit or 0) - END_BYTES
        self._write(self._writer.begin())

    def message(self, raw: bytes) -> None:
        """Write an encoded message, into the next part if this one has no room for it."""
        if self._limit is None:
            self._write(self._writer.message(raw))
            return
        headers, envelopes = _count(raw)
        if headers:
            self._headers = raw
        if len(raw) + FRAME_OVERHEAD_BYTES > self._left:
            self._finish(is_last=False)
            self._stack.close()
            self._begin()
            if raw.startswith(_BODIES_START):  # without their headers they would mean nothing
                self._blocks += _count(self._headers)[0]
                self._write(self._writer.message(self._headers))
        self._blocks += headers
        self._envelopes += envelopes
        self._write(self._writer.message(raw))

    def end(self, blocks: int, envelopes: int = 0) -> None:
        """Write the end of the last part; ``blocks`` and ``envelopes`` are how many went in all."""
        if self._limit is None:  # else they were counted part by part
            self._blocks, self._envelopes = blocks, envelopes
        self._finish(is_last=True)

    def _finish(self, *, is_last: bool) -> None:
        self._write(self._writer.end(self._blocks, self._envelopes, is_last=is_last))
        self._file.flush()

    def _write(self, raw: bytes) -> None:
        self._left -= len(raw)
        self.size += self._file.write(raw)


def _count(raw: bytes) -> tuple[int, int]:
    """Return how many headers and how many envelopes a message has."""
    match decode_message(raw):
        case Data(runs):
            return sum(len(run.blocks) for run in runs), 0
        case Envelopes(parcels):
            return 0, len(parcels)
        case _:
            return 0, 0
