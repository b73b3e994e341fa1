"""A database written until the power fails, and what is left of it.

The blocks stand in for the ledger's: each is several rows in one transaction, announced
once its COMMIT has returned. The database is small but makes SQLite do everything it can
do between two cuts: overflow pages, an index out of order, pages spilled from the cache
before the commit, checkpoints, a restarted WAL, and a second session after a clean close.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.powercut.vfs import Mode, PowerCut

BLOCKS = 24
PIECES = 3  # rows of a block: they must appear together or not at all


@dataclass(frozen=True)
class Outcome:
    """What one cut did to one database."""

    announced: int  # blocks 0..announced-1 were committed before the cut
    promised: int  # the same up to the last one committed with a full sync
    survived: tuple[int, ...]
    damage: str  # what SQLite says about the file; empty if all is well
    counters: tuple[tuple[str, int], ...]

    @property
    def lost(self) -> int:
        return len(set(range(self.announced)) - set(self.survived))

    @property
    def broken(self) -> int:
        """Blocks that a full sync had made safe, and that are lost all the same."""
        return len(set(range(self.promised)) - set(self.survived))

    @property
    def gap(self) -> bool:
        """Whether a block is missing though a later one is there."""
        return self.survived != tuple(range(len(self.survived)))


class Laboratory:
    """Writes blocks until the power fails, and looks at what is left.

    Several values of `synchronous` take turns, block by block, on the same connection.
    """

    def __init__(self, folder: Path, cut: PowerCut, journal: str, *synchronous: str) -> None:
        self.cut = cut
        self.folder = folder
        self.journal = journal
        self.synchronous = synchronous
        self.empty = folder / "empty.db"
        with closing(sqlite3.connect(self.empty)) as database:
            database.execute("PRAGMA page_size=1024")
            if journal == "WAL":
                database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE piece (block INT, part INT, body BLOB)")
            database.execute("CREATE INDEX piece_by_body ON piece (body)")
        path = self._fresh("uncut")
        assert self._write_blocks(path)[0] == BLOCKS
        self.points = cut.counters().ops

    def run(self, seed: int, mode: Mode = Mode.SUBSET) -> Outcome:
        """One cut, at any operation: inside transactions, syncs and checkpoints alike."""
        path = self._fresh(f"cut-{seed}-{mode.name}")
        self.cut.arm(1 + Random(seed).randrange(self.points), seed, mode)
        announced, promised = self._write_blocks(path)
        counters = self.cut.counters()
        assert counters.struck
        survived, damage = examine(path)
        figures = tuple(counters.as_dict().items())
        return Outcome(announced, promised, survived, damage, figures)

    def run_many(self, cuts: int, mode: Mode = Mode.SUBSET) -> list[Outcome]:
        return [self.run(seed, mode) for seed in range(cuts)]

    def _fresh(self, name: str) -> Path:
        self.cut.reset()
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        return Path(shutil.copy(self.empty, folder / "store.db"))

    def _write_blocks(self, path: Path) -> tuple[int, int]:
        """Write all blocks in two sessions; how many were announced, and promised."""
        announced = promised = 0
        random = Random(1)
        try:
            for session in range(2):
                with closing(self._connect(path)) as database:
                    for block in range(session * BLOCKS // 2, (session + 1) * BLOCKS // 2):
                        synchronous = self.synchronous[block % len(self.synchronous)]
                        database.execute(f"PRAGMA synchronous={synchronous}")
                        database.execute("BEGIN IMMEDIATE")
                        for part in range(PIECES):
                            body = random.randbytes(random.choice((20, 300, 2500)))
                            database.execute(
                                "INSERT INTO piece VALUES (?,?,?)", (block, part, body)
                            )
                        database.execute("COMMIT")
                        announced += 1
                        if synchronous in ("FULL", "EXTRA"):
                            promised = announced
        except sqlite3.DatabaseError:
            assert self.cut.struck
        return announced, promised

    def _connect(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(f"{path.as_uri()}?vfs=powercut", uri=True, isolation_level=None)
        database.execute(f"PRAGMA journal_mode={self.journal}")
        database.execute(f"PRAGMA synchronous={self.synchronous[0]}")
        database.execute("PRAGMA wal_autocheckpoint=20")
        database.execute("PRAGMA cache_size=8")  # too small for a block: pages spill early
        return database


def examine(path: Path) -> tuple[tuple[int, ...], str]:
    """Open what is left as after a reboot, with the ordinary VFS: blocks, and damage."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?vfs=unix", uri=True)) as database:
            report = [row[0] for row in database.execute("PRAGMA integrity_check")]
            counts = dict(database.execute("SELECT block, count(*) FROM piece GROUP BY block"))
    except sqlite3.DatabaseError as error:
        return (), str(error)
    if report != ["ok"]:
        return tuple(counts), str(report)
    partial = [block for block, pieces in counts.items() if pieces != PIECES]
    return tuple(sorted(counts)), f"blocks in part: {partial}" if partial else ""
