"""The judge is judged: does the simulated power cut lose what it must, and nothing else?

A simulator that lost nothing would find every database safe. So the settings known to be
unsafe must fail here, as often and in the way SQLite's documentation says, and those known
to be safe must hold.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.powercut import Mode, PowerCut, unavailable
from tests.powercut.laboratory import Laboratory

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "available"),
    pytest.mark.slow,
]


@pytest.fixture
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerCut]:
    with PowerCut(tmp_path_factory.getbasetemp()) as cut:
        yield cut


def open_table(path: Path, *pragmas: str) -> sqlite3.Connection:
    database = sqlite3.connect(f"{path.as_uri()}?vfs=powercut", uri=True, isolation_level=None)
    for pragma in pragmas:
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE t (x)")
    return database


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(f"{path.as_uri()}?vfs=unix", uri=True)) as database:
        return [row[0] for row in database.execute("SELECT x FROM t ORDER BY x")]


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_without_syncs_a_power_cut_loses_blocks_and_damages_files_but_a_dead_process_does_not(
    tmp_path: Path, cut: PowerCut, journal: str
) -> None:
    laboratory = Laboratory(tmp_path, cut, journal, "OFF")
    outcomes = laboratory.run_many(40)
    assert sum(bool(outcome.lost) for outcome in outcomes) > 10
    assert sum(bool(outcome.damage) for outcome in outcomes) > 5
    control = laboratory.run_many(40, Mode.ALL)
    assert not [outcome for outcome in control if outcome.lost or outcome.damage]


@pytest.mark.parametrize(("sector", "overwrite_safe"), [(512, False), (512, True), (4096, False)])
def test_wal_with_full_syncs_never_loses_an_announced_block(
    tmp_path: Path, sector: int, *, overwrite_safe: bool
) -> None:
    with PowerCut(tmp_path, sector=sector, overwrite_safe=overwrite_safe) as cut:
        outcomes = Laboratory(tmp_path, cut, "WAL", "FULL").run_many(100)
    assert not [outcome for outcome in outcomes if outcome.lost or outcome.damage]
    # The cuts did hit something: there were changes to lose, and some were lost.
    assert sum(dict(outcome.counters)["sectors_lost"] > 0 for outcome in outcomes) > 50


def test_wal_with_normal_syncs_loses_only_the_latest_blocks_and_is_never_damaged(
    tmp_path: Path, cut: PowerCut
) -> None:
    outcomes = Laboratory(tmp_path, cut, "WAL", "NORMAL").run_many(100)
    assert sum(bool(outcome.lost) for outcome in outcomes) > 20
    assert not [outcome for outcome in outcomes if outcome.damage or outcome.gap]


def test_a_full_sync_saves_the_blocks_committed_before_it_with_normal_syncs(
    tmp_path: Path, cut: PowerCut
) -> None:
    laboratory = Laboratory(tmp_path, cut, "WAL", "NORMAL", "NORMAL", "FULL")
    outcomes = laboratory.run_many(100)
    assert sum(bool(outcome.lost) for outcome in outcomes) > 5
    assert not [x for x in outcomes if x.broken or x.damage or x.gap]


def test_a_rollback_journal_with_extra_syncs_never_loses_an_announced_block(
    tmp_path: Path, cut: PowerCut
) -> None:
    outcomes = Laboratory(tmp_path, cut, "DELETE", "EXTRA").run_many(60)
    assert not [outcome for outcome in outcomes if outcome.lost or outcome.damage]


def test_a_rollback_journal_with_full_syncs_is_safe_where_deletions_are_durable_at_once(
    tmp_path: Path,
) -> None:
    with PowerCut(tmp_path, journaled_names=True) as cut:
        outcomes = Laboratory(tmp_path, cut, "DELETE", "FULL").run_many(60)
    assert not [outcome for outcome in outcomes if outcome.lost or outcome.damage]


def test_a_rollback_journal_with_full_syncs_may_lose_the_last_block_by_a_journal_coming_back(
    tmp_path: Path, cut: PowerCut
) -> None:
    outcomes = Laboratory(tmp_path, cut, "DELETE", "FULL").run_many(60)
    assert {outcome.lost for outcome in outcomes} == {0, 1}
    assert not [outcome for outcome in outcomes if outcome.damage or outcome.gap]


def test_the_same_seed_has_the_same_outcome(tmp_path: Path, cut: PowerCut) -> None:
    laboratory = Laboratory(tmp_path, cut, "WAL", "NORMAL")
    first, second = laboratory.run_many(15), laboratory.run_many(15)
    assert first == second
    assert len(set(first)) > 10


def test_after_the_cut_the_dead_connection_reads_and_writes_no_more(
    tmp_path: Path, cut: PowerCut
) -> None:
    path = tmp_path / "store.db"
    dead = open_table(path, "journal_mode=WAL", "synchronous=FULL")
    dead.execute("INSERT INTO t VALUES (1)")
    cut.strike(seed=0)
    image = path.read_bytes(), (tmp_path / "store.db-wal").read_bytes()
    for statement in ("INSERT INTO t VALUES (2)", "SELECT * FROM t", "PRAGMA wal_checkpoint"):
        with pytest.raises(sqlite3.OperationalError):
            dead.execute(statement)
    with pytest.raises(sqlite3.OperationalError):
        open_table(tmp_path / "another.db")
    cut.reset()
    with pytest.raises(sqlite3.OperationalError):
        dead.execute("INSERT INTO t VALUES (3)")
    dead.close()
    assert image == (path.read_bytes(), (tmp_path / "store.db-wal").read_bytes())
    assert rows(path) == [1]


def test_a_transaction_left_open_by_the_dead_does_not_lock_the_survivors_out(
    tmp_path: Path, cut: PowerCut
) -> None:
    path = tmp_path / "store.db"
    dead = open_table(path, "journal_mode=WAL", "synchronous=FULL")
    dead.execute("BEGIN EXCLUSIVE")
    dead.execute("INSERT INTO t VALUES (1)")
    cut.strike(seed=0)
    cut.reset()
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as survivor:
        survivor.execute("INSERT INTO t VALUES (2)")
        dead.close()
        survivor.execute("INSERT INTO t VALUES (3)")
    assert rows(path) == [2, 3]


def test_each_mode_keeps_what_it_says(tmp_path: Path, cut: PowerCut) -> None:
    kept = {}
    for mode in (Mode.NOTHING, Mode.ALL_BUT_LAST, Mode.ALL):
        path = tmp_path / f"{mode.name}.db"
        with closing(open_table(path, "journal_mode=WAL", "synchronous=NORMAL")) as database:
            for number in range(3):
                database.execute("INSERT INTO t VALUES (?)", (number,))
            before = path.read_bytes(), Path(f"{path}-wal").read_bytes()
            cut.strike(seed=0, mode=mode)
            if mode is Mode.ALL:
                assert before == (path.read_bytes(), Path(f"{path}-wal").read_bytes())
        cut.reset()
        try:
            kept[mode] = rows(path)
        except sqlite3.OperationalError:
            kept[mode] = []  # the table itself is gone
    assert kept == {Mode.NOTHING: [], Mode.ALL_BUT_LAST: [0, 1], Mode.ALL: [0, 1, 2]}


def test_code_that_knows_nothing_of_it_is_cut_off_when_the_vfs_is_the_default(
    tmp_path: Path, cut: PowerCut
) -> None:
    cut.register(default=True)
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=EXTRA")
        database.execute("CREATE TABLE t (x)")
        cut.arm(1, seed=0)
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            database.execute("INSERT INTO t VALUES (1)")
    assert cut.struck
    cut.unregister()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM t").fetchall() == []


def test_a_cut_from_another_thread_lands_between_two_commits(tmp_path: Path, cut: PowerCut) -> None:
    path = tmp_path / "store.db"
    announced: list[int] = []
    underway = threading.Event()

    def write() -> None:
        with closing(open_table(path, "journal_mode=WAL", "synchronous=FULL")) as database:
            while not cut.struck:
                try:
                    database.execute("INSERT INTO t VALUES (?)", (len(announced),))
                except sqlite3.OperationalError:
                    return
                announced.append(len(announced))
                if len(announced) == 20:
                    underway.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert underway.wait(timeout=30)
    cut.strike(seed=3)
    writer.join()
    assert len(announced) >= 20
    assert set(announced) <= set(rows(path))
