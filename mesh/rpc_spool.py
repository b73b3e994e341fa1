"""Streams of a client, as files on the disk of the home.

A port reads and writes streams in calls that wait; what waits for a client would hold up the whole
node. So a stream is on the disk before it is read, and is sent when it was written. The file has
no name, and is gone with the call, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from io import RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from typing_extensions import Buffer, override

from ledger.errors import PassalongError
from mesh.home import explain
from mesh.rpc_frames import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SpoolError(PassalongError):
    """What is piped is too long for the disk of the home."""


class Spool:
    """A stream of a client; it takes at most half of the room that there is on the disk."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._size = 0

    def write(self, piece: bytes) -> int:
        """Write what comes next.

        Raises:
            SpoolError: There is no more room.
            OSError: It cannot be written.
        """
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_bavail * disk.f_frsize < self._size + len(piece):
            raise SpoolError(
                f"the disk of {self._folder} has too little room for what is piped; free some"
                " space, or name a file"
            )
        self._size += len(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        """Write what was kept back.

        Raises:
            OSError: It cannot be written.
        """
        if not self._file.closed:
            self._file.flush()

    def add(self, piece: bytes) -> None:
        """Write what came next.

        Raises:
            SpoolError: There is no more room.
            HomeError: It cannot be written.
        """
        try:
            self.write(piece)
        except OSError as exc:
            raise explain(exc, self._folder) from exc

    def source(self, error: int | None) -> BinaryIO:
        """Return all that came, to be read from its beginning.

        Args:
            error: Number of the error that reading ends in; None for its end.

        Raises:
            HomeError: It cannot be written.
        """
        try:
            self._file.seek(0)
        except OSError as exc:
            raise explain(exc, self._folder) from exc
        return self._file if error is None else cast("BinaryIO", _Failing(self._file, error))

    def target(self) -> BinaryIO:
        """Return what may be written, once."""
        return cast("BinaryIO", _Target(self))

    def pieces(self) -> Iterator[bytes]:
        """Yield all that was written, from its beginning."""
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece


class _Target(RawIOBase):
    """A stream that is written into a spool."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self._spool = spool

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer, /) -> int:
        return self._spool.write(bytes(data))

    @override
    def flush(self) -> None:
        self._spool.flush()


class _Failing(RawIOBase):
    """A stream that fails where it ends."""

    def __init__(self, file: BinaryIO, error: int) -> None:
        super().__init__()
        self._file = file
        self._error = error

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    @override
    def read(self, size: int = -1, /) -> bytes:
        if piece := self._file.read(size):
            return piece
        raise OSError(self._error, os.strerror(self._error))


@contextmanager
def spooled(folder: Path) -> Iterator[Spool]:
    """Give an empty spool.

    Raises:
        HomeError: The disk takes no file.
    """
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed below
    except OSError as exc:
        raise explain(exc, folder) from exc
    try:
        yield Spool(cast("BinaryIO", file), folder)
    finally:
        file.close()
