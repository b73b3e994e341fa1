"""Traps: a process that kills itself at a chosen step of a transaction or of a rename.

Every trap has points of one kind, and springs at the n-th: SIGKILL, as if from outside, so that
no ``finally`` runs and no buffer is flushed. Setting a trap replaces functions for good; it is
for a process that will not outlive it.
"""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from unittest import mock

from tests.crash.phases import INSIDE_LEDGER, Board, File, Ledger

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 7  # instructions of SQLite's virtual machine between two points


class Kind(Enum):
    """Where a trap's points are."""

    NONE = "none"  # killed from outside
    STATEMENT = "statement"  # statements of a transaction, BEGIN and COMMIT among them
    STEP = "step"  # in the middle of a statement of a transaction
    WRITE = "write"  # SQLite's writes: before, half done, after
    FILE = "file"  # the export's writes, syncs and its rename: before, half done, after


class Trap:
    """Counts points; keeps the board."""

    def __init__(self, board: Board, kind: Kind, at: int) -> None:
        self.board = board
        self._kind = kind
        self._left = at

    def point(self, kind: Kind) -> None:
        if kind is not self._kind:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    def set(self) -> None:
        """Watch every database and file that is opened from now on."""
        for owner, name, new in (
            (sqlite3, "connect", partial(self._connect, sqlite3.connect)),
            (io, "open", partial(self._open, io.open)),
            (os, "fsync", partial(self._sync, os.fsync)),
            (os, "replace", partial(self._rename, os.replace)),
            (os, "rename", partial(self._rename, os.rename)),
        ):
            mock.patch.object(owner, name, new).start()

    # --- the database -----------------------------------------------------------------------

    def _connect(
        self,
        connect: Callable[..., sqlite3.Connection],
        *args: object,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
        **kwargs: object,
    ) -> sqlite3.Connection:
        return connect(*args, factory=self._database(factory), **kwargs)

    def _database(self, kind: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
        trap = self

        class Watched(kind):  # type: ignore[misc,valid-type]
            def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  what connect got
                super().__init__(*args, **kwargs)
                self.set_trace_callback(trap.see_statement)
                self.set_progress_handler(trap.see_steps, STEPS)

            @override
            def commit(self) -> None:
                super().commit()
                trap.see_end()

            @override
            def rollback(self) -> None:
                super().rollback()
                trap.board.ledger = Ledger.QUIET

            @override
            def executescript(self, script: str, /) -> sqlite3.Cursor:
                cursor: sqlite3.Cursor = super().executescript(script)
                trap.see_end()
                return cursor

        return Watched

    def see_statement(self, sql: str) -> None:
        word = sql.strip()[:6].upper()
        if word.startswith("BEGIN"):
            self.board.ledger = Ledger.TRANSACTION
            if self.board.file is File.DURABLE:
                self.board.file = File.QUIET
        elif word == "COMMIT":
            self.board.ledger = Ledger.COMMIT
        elif self.board.ledger is Ledger.COMMITTED:
            self.board.ledger = Ledger.QUIET
        if self.board.ledger in INSIDE_LEDGER:
            self.point(Kind.STATEMENT)

    def see_steps(self) -> int:
        if self.board.ledger in INSIDE_LEDGER:
            self.point(Kind.STEP)
        return 0

    def see_end(self) -> None:
        """COMMIT has returned; where there was none, nothing changes."""
        if self.board.ledger is Ledger.COMMIT:
            self.board.ledger = Ledger.COMMITTED
            self.point(Kind.STATEMENT)

    def see_write(self, write: Callable[[int], int], size: int) -> int:
        """SQLite writes ``size`` bytes; ``write`` writes so many of them."""
        before = self.board.ledger
        if before not in INSIDE_LEDGER:
            self.board.ledger = Ledger.WRITING
        self.point(Kind.WRITE)
        if self._left == 1 and size > 1:
            write(size // 2)
        self.point(Kind.WRITE)
        done = write(size)
        self.point(Kind.WRITE)
        self.board.ledger = before
        return done

    # --- the exported file ------------------------------------------------------------------

    def _open(
        self, opened: Callable[..., IO[Any]], *args: object, **kwargs: object
    ) -> IO[Any] | Slow:
        stream = opened(*args, **kwargs)
        mode = str(args[1] if len(args) > 1 else kwargs.get("mode", "r"))
        if "b" not in mode or mode[0] not in "wxa":
            return stream
        self.board.file = File.PARTIAL
        self.point(Kind.FILE)
        return Slow(stream, self)

    def _sync(self, sync: Callable[[int], None], descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        self.point(Kind.FILE)
        sync(descriptor)
        if self.board.file is File.PARTIAL and not is_folder:
            self.board.file = File.SYNCED
        elif self.board.file is File.RENAMED and is_folder:
            self.board.file = File.DURABLE
        self.point(Kind.FILE)

    def _rename(self, rename: Callable[..., None], *args: object, **kwargs: object) -> None:
        self.point(Kind.FILE)
        rename(*args, **kwargs)
        self.board.file = File.RENAMED
        self.point(Kind.FILE)


class Slow:
    """A file whose every write reaches the disk in two halves."""

    def __init__(self, stream: IO[bytes], trap: Trap) -> None:
        self._stream = stream
        self._trap = trap

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        for piece in (data[:half], data[half:]):
            self._stream.write(piece)
            self._stream.flush()
            self._trap.point(Kind.FILE)
        return len(data)
