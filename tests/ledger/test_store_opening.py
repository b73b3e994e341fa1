import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.store import sqlite_file
from ledger.store.base import MAX_RUNS
from ledger.store.migrations import APPLICATION_ID, MIGRATIONS
from tests.ledger.stores import everything, open_sqlite, runs
from tests.strategies import run_of, written

NOBODY_ID = 65_534


async def write_store(path: Path, blocks: int = 40) -> None:
    store = await open_sqlite(path)
    await store.absorb(runs(run_of(written(blocks))), seen=0, durable=True)
    await store.close()


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def contents(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def permit(path: Path, mode: int) -> None:
    path.chmod(mode)


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def refusal(path: Path) -> str:
    """Try to open ``path`` and return what is said; nothing there may change."""
    before = contents(path)
    with pytest.raises(StoreError) as error:
        await open_sqlite(path)
    assert "\n" not in str(error.value)
    assert contents(path) == before
    return str(error.value)


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await write_store(path)
    execute(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    said = await refusal(path)
    assert said == "the store was written by a newer passalong; update passalong"


@pytest.mark.parametrize(
    "script",
    [
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 99",
        "CREATE TABLE songs (title TEXT)",
        f"PRAGMA application_id = {APPLICATION_ID + 1}; PRAGMA user_version = 1",
    ],
)
async def test_another_programs_database_is_left_alone(tmp_path: Path, script: str) -> None:
    path = tmp_path / "store.db"
    execute(path, script)
    assert await refusal(path) == "store.db belongs to another program; use another home"


@pytest.mark.parametrize("version", [0, -1])
async def test_a_version_that_never_was_is_damage(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store.db"
    await write_store(path)
    execute(path, f"PRAGMA user_version = {version}")
    assert (await refusal(path)).startswith(
        f"the store is damaged (version {version}); keep a copy"
    )


async def test_a_text_file_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("Dear diary,\n" * 500)
    assert (await refusal(path)).startswith(
        "the store is damaged (file is not a database); keep a copy"
    )


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    await write_store(path)
    store = await open_sqlite(path)
    assert await store.check() == []
    await store.close()


async def test_a_folder_is_not_a_store(tmp_path: Path) -> None:
    assert (await refusal(tmp_path)).startswith("store.db cannot be opened; check that it is")
    assert (await refusal(tmp_path / "none" / "store.db")).startswith("store.db cannot be opened")


@pytest.mark.parametrize("kept", [50, 100, 511, 512, 4095, 4096, 5000, 8192, 20_000])
async def test_a_truncated_store_is_said_to_be_damaged(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "store.db"
    await write_store(path)
    whole = path.read_bytes()
    assert len(whole) > kept
    path.write_bytes(whole[:kept])
    # what cannot be opened says so; what can be, says so when it is read or checked
    try:
        store = await open_sqlite(path)
    except StoreError as error:
        assert str(error).startswith("the store is damaged (")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert await store.check()
    with pytest.raises(StoreError, match=r"^the store is damaged \("):
        await everything(store)
    await store.close()


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Give what makes the test forget that it may write everywhere, if it may."""
    if os.geteuid() != 0:
        yield lambda: None
        return
    try:
        yield lambda: os.setresuid(NOBODY_ID, NOBODY_ID, 0)
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o777), (0o666, 0o555), (0, 0o777)])
async def test_a_store_that_may_not_be_written_says_so(
    as_nobody: Callable[[], None], file_mode: int, folder_mode: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        await write_store(path)
        permit(path, file_mode)
        permit(Path(folder), folder_mode)
        as_nobody()
        with pytest.raises(StoreError) as error:
            await open_sqlite(path)
        if os.getresuid()[2] == 0:
            os.setresuid(0, 0, 0)
        permit(Path(folder), 0o700)
    assert str(error.value).startswith("store.db cannot be ")
    assert "check" in str(error.value)
    assert "permissions" in str(error.value)


async def test_a_store_that_is_open_elsewhere_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_sqlite(path)
    await store._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"^another program has the store open; close it"):
            await store.set_note("name", b"value")
        other.execute("ROLLBACK")
    await store.set_note("name", b"value")
    await store.close()


async def test_a_store_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await write_store(path, 3)
    store = await open_sqlite(path)
    before = await everything(store)
    assert [len(entries) for entries in before.entries.values()] == [3]
    # opening alone begins nothing
    await store.close()
    store = await open_sqlite(path)
    assert await everything(store) == before
    assert len(list(await store._db.execute_fetchall("SELECT run FROM runs"))) == 1
    # the first arrival begins a run, with the next serial number; the second does not
    for high in (5, 6):
        await store.absorb(runs(run_of(written(high))), seen=0, durable=True)
    assert [a.lsn for a in await store.arrivals()] == [3, 2, 1]
    begun = list(await store._db.execute_fetchall("SELECT first_lsn, run FROM runs ORDER BY 1"))
    assert [first for first, _ in begun] == [1, 2]
    assert len({run for _, run in begun}) == 2
    assert all(len(run) == 8 for _, run in begun)
    await store.close()


async def test_the_last_64_runs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for high in range(1, MAX_RUNS + 7):
        await write_store(path, high)
    with closing(sqlite3.connect(path)) as db:
        first = [lsn for (lsn,) in db.execute("SELECT first_lsn FROM runs ORDER BY 1")]
    assert first == list(range(7, MAX_RUNS + 7))


async def test_what_is_not_durable_is_there_after_a_close(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_sqlite(path)
    await store.absorb(runs(run_of(written(5))), seen=0, durable=False)
    await store.close()
    assert names(tmp_path) == ["store.db"]
    store = await open_sqlite(path)
    assert len(await store.read((written(1)[0][0][0], 1), 1, 5)) == 5
    await store.close()


async def test_an_older_store_is_brought_up_to_date_with_all_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    await write_store(path, 5)
    store = await open_sqlite(path)
    before = await everything(store)
    await store.close()
    later = (*MIGRATIONS, "ALTER TABLE logs ADD COLUMN shelf INTEGER;", "DROP TABLE notes;")
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", later)
    store = await open_sqlite(path)
    assert await everything(store) == before
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


async def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    await write_store(path, 5)
    with monkeypatch.context() as broken:
        script = "DROP TABLE notes; INSERT INTO no_such_table VALUES (1);"
        broken.setattr(sqlite_file, "MIGRATIONS", (*MIGRATIONS, script))
        assert "no_such_table" in await refusal(path)
    store = await open_sqlite(path)
    assert await store.note("name") is None
    assert await store.check() == []
    await store.close()
