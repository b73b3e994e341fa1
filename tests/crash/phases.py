"""What a victim is in the middle of, written where the living can read it after its death.

The board is a file mapped by both: what stands in it stays when a process is killed.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Deed(IntEnum):
    """What the victim was asked to do."""

    INIT = 0
    POST = 1
    GROUP = 2  # many posts at once
    EXPORT = 3  # over a file that is there
    IMPORT = 4
    CARRY = 5  # posts while exporting, then imports its own file


class Ledger(IntEnum):
    """Where the database is."""

    QUIET = 0
    WRITING = 1  # pages of the database or the first of the log, outside of a transaction
    TRANSACTION = 2  # after BEGIN, before COMMIT
    COMMIT = 3  # COMMIT is being carried out
    COMMITTED = 4  # COMMIT has just returned; nobody was told


class File(IntEnum):
    """Where the export is."""

    QUIET = 0
    PARTIAL = 1  # from opening the partial file until it is synced
    SYNCED = 2  # synced, about to be renamed
    RENAMED = 3  # renamed, the folder not synced yet
    DURABLE = 4  # the folder is synced; nobody was told


INSIDE_LEDGER = frozenset({Ledger.TRANSACTION, Ledger.COMMIT})
INSIDE_FILE = frozenset({File.PARTIAL, File.SYNCED, File.RENAMED})


class Moment(NamedTuple):
    """What the board says."""

    deed: Deed
    ledger: Ledger
    file: File

    @property
    def is_inside(self) -> bool:
        """Whether a transaction or a rename was under way."""
        return self.ledger in INSIDE_LEDGER or self.file in INSIDE_FILE

    @property
    def name(self) -> str:
        """The phase in a word or two; a transaction counts before a rename."""
        if self.ledger in INSIDE_LEDGER or self.file is File.QUIET:
            return f"ledger {self.ledger.name.lower()}"
        return f"file {self.file.name.lower()}"


class Board:
    """The mapped file. The victim sets the attributes' bytes; ``read`` is for those who live."""

    SIZE = 3

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.write_bytes(bytes(self.SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.SIZE)

    def begin(self, deed: Deed) -> None:
        self._map[:] = bytes((deed, 0, 0))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self._map[1])

    @ledger.setter
    def ledger(self, phase: Ledger) -> None:
        self._map[1] = phase

    @property
    def file(self) -> File:
        return File(self._map[2])

    @file.setter
    def file(self, phase: File) -> None:
        self._map[2] = phase

    def read(self) -> Moment:
        return Moment(Deed(self._map[0]), self.ledger, self.file)

    def close(self) -> None:
        self._map.close()
