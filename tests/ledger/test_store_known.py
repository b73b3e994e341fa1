"""What a store keeps of persons for its holder alone: whom he follows, mutes, blocks."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store import sqlite_file
from ledger.store.base import Known
from ledger.store.migrations import MIGRATIONS
from tests.ledger.stores import both, everything, open_sqlite, runs
from tests.strategies import run_of, written

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.store.base import Marks, Store

ONE, OTHER = bytes(32), b"\1" * 32
EVERY: list[Marks] = [
    {"following": following, "muted": muted, "blocked": blocked, "added": added}
    for following, muted, blocked, added in product((False, True), repeat=4)
]


async def test_marks_of_a_person_are_kept_and_what_was_is_said(store: Store) -> None:
    assert await store.known() == []
    assert await store.mark(OTHER, following=True) == Known(OTHER)
    assert await store.mark(ONE, muted=True) == Known(ONE)
    assert await store.mark(ONE, muted=True) == Known(ONE, muted=True)
    assert await store.known() == [Known(ONE, muted=True), Known(OTHER, following=True)]
    assert await store.mark(ONE, muted=False) == Known(ONE, muted=True)
    assert await store.mark(ONE, muted=False) == Known(ONE)
    assert await store.known() == [Known(OTHER, following=True)]


async def test_marks_that_are_not_named_stay_and_several_change_at_once(store: Store) -> None:
    await store.mark(ONE, following=True)
    await store.mark(ONE, muted=True)
    assert await store.known() == [Known(ONE, following=True, muted=True)]
    before = await store.mark(ONE, following=False, blocked=True)
    assert before == Known(ONE, following=True, muted=True)
    assert await store.known() == [Known(ONE, muted=True, blocked=True)]
    assert await store.mark(ONE) == Known(ONE, muted=True, blocked=True)
    assert await store.known() == [Known(ONE, muted=True, blocked=True)]


@pytest.mark.parametrize("marks", EVERY)
async def test_a_person_is_kept_for_any_mark_and_forgotten_with_the_last(
    store: Store, marks: Marks
) -> None:
    await store.mark(ONE, **marks)
    assert await store.known() == ([Known(ONE, **marks)] if any(marks.values()) else [])
    await store.mark(ONE, following=False, muted=False, blocked=False, added=False)
    assert await store.known() == []


async def test_marks_made_at_the_same_time_are_all_kept(store: Store) -> None:
    await asyncio.gather(
        store.mark(ONE, following=True), store.mark(ONE, muted=True), store.mark(OTHER, muted=True)
    )
    assert await store.known() == [Known(ONE, following=True, muted=True), Known(OTHER, muted=True)]


def _some_marks() -> st.SearchStrategy[Marks]:
    marks: dict[str, st.SearchStrategy[bool]] = {
        name: st.booleans() for name in ("following", "muted", "blocked", "added")
    }
    return st.fixed_dictionaries({}, optional=marks)  # type: ignore[return-value]


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER]), _some_marks()), max_size=8))
def test_both_stores_say_the_same_of_any_marks(changes: list[tuple[bytes, Marks]]) -> None:
    async def scenario() -> None:
        model: dict[bytes, Known] = {}
        async with both() as stores:
            for person, marks in changes:
                was = model.get(person, Known(person))
                model[person] = was._replace(**marks)
                assert [await store.mark(person, **marks) for store in stores] == [was, was]
            kept = [one for _, one in sorted(model.items()) if any(one[1:])]
            assert [await store.known() for store in stores] == [kept, kept]

    asyncio.run(scenario())


async def test_marks_outlast_a_restart_and_wait_for_the_disk(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await store.absorb(runs(run_of(written(3))), seen=0, durable=False)
    await store.mark(ONE, muted=True, blocked=True)
    ((level,),) = await store._db.execute_fetchall("PRAGMA synchronous")
    assert level == 2  # FULL
    await store.close()
    store = await open_sqlite(tmp_path / "store.db")
    assert await store.known() == [Known(ONE, muted=True, blocked=True)]
    assert await store.check() == []
    await store.close()


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_home_opens_with_whom_it_followed_and_all_it_holds(
    tmp_path: Path, version: int
) -> None:
    # given a store that was written when there was nothing but following
    path = tmp_path / "store.db"
    store = await open_sqlite(path)
    await store.absorb(runs(run_of(written(5))), seen=0, durable=True)
    held = await everything(store)
    await store.close()
    script = "DROP TABLE known; CREATE TABLE following (person BLOB PRIMARY KEY) STRICT;"
    script += f"PRAGMA user_version = {version};"
    if version == 1:
        script += "DROP TABLE mail; DROP TABLE floors; ALTER TABLE logs DROP COLUMN bytes;"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
        db.executemany("INSERT INTO following VALUES (?)", [(OTHER,), (ONE,)])
        db.commit()
    # when it is opened
    store = await open_sqlite(path)
    # then it follows the same, nobody is muted or blocked, and all else is as it was
    assert await store.known() == [Known(ONE, following=True), Known(OTHER, following=True)]
    assert await everything(store) == held
    assert await store.check() == []
    await store.mark(ONE, muted=True)
    await store.close()
    # and once more changes nothing
    store = await open_sqlite(path)
    assert (await store.known())[0] == Known(ONE, following=True, muted=True)
    await store.close()


async def test_a_home_that_added_nobody_yet_opens_with_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    with monkeypatch.context() as before:
        before.setattr(sqlite_file, "MIGRATIONS", MIGRATIONS[:3])
        await (await open_sqlite(path)).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO known VALUES (?, 1, 0, 1)", (ONE,))
        db.commit()
    store = await open_sqlite(path)
    assert await store.known() == [Known(ONE, following=True, blocked=True)]
    await store.mark(ONE, added=True)
    assert await store.known() == [Known(ONE, following=True, blocked=True, added=True)]
    await store.close()


async def test_a_migrated_store_is_built_like_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(path: Path) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with monkeypatch.context() as before:
        before.setattr(sqlite_file, "MIGRATIONS", MIGRATIONS[:1])
        await (await open_sqlite(old)).close()
    for path in (old, new):
        await (await open_sqlite(path)).close()
    assert built(old) == built(new)
    assert "following" not in dict(built(old))


async def test_a_damaged_mark_is_said_to_be_damage(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_sqlite(path)
    await store.mark(ONE, muted=True)
    await store._db.executescript(
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql ="
        " replace(replace(sql, ' STRICT,', ''), 'muted INTEGER', 'muted TEXT')"
        " WHERE name = 'known'; PRAGMA writable_schema = RESET;"
    )
    await store._db.execute("UPDATE known SET muted = 'yes'")
    for attempt in (store.known, lambda: store.mark(ONE, muted=False)):
        with pytest.raises(StoreError, match=r"^the store is damaged \("):
            await attempt()
    await store.close()
