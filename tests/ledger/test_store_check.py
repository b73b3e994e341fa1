# ruff: noqa: S608  the SQL is put together of constants
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store.base import Batch, Span
from ledger.store.memory import MemoryStore
from tests.ledger.stores import cut_up, everything, live, open_sqlite, runs, without_bodies
from tests.ledger.test_store_statements import revoke
from tests.strategies import GROUP, SOCIAL, Device, forked, run_of, written

WHOLE = Device(0).public
FORKED = Device(1).public
LOG_NO = (
    "(SELECT log_no FROM logs JOIN authors USING (author_no)"
    f" WHERE log = 1 AND author = x'{WHOLE.hex()}')"
)
OF_WHOLE = f"log_no = {LOG_NO}"
OF_FORKED = OF_WHOLE.replace(WHOLE.hex(), FORKED.hex())


async def fill(path: Path) -> None:
    """Write a store in which everything occurs that can."""
    left, right = forked(20, 90, 4, number=1)
    store = await open_sqlite(path)
    await store.absorb(runs(run_of([Device(0).root]), run_of(written(300))), seen=0, durable=True)
    await store.absorb(runs(run_of(left), run_of(right)), seen=0, durable=True)
    for batch in cut_up(written(30, GROUP), [(4, 9), (15, 20)]):
        await store.absorb(runs(without_bodies(batch.runs[0])), seen=0, durable=True)
    await store.absorb(Batch(revocations=[revoke(1, 3), revoke(2)]), seen=0, durable=True)
    assert await store.check() == []
    await store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "store.db"
    live(fill(path))
    return path


@pytest.fixture
def path(tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path))


def flip(value: bytes, at: int) -> bytes:
    changed = bytearray(value)
    changed[at] ^= 1
    return bytes(changed)


def plant(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.create_function("flip", 2, flip)
        before = db.total_changes
        db.executescript(script)
        assert db.total_changes > before


LOG = f"log 1 of {WHOLE.hex()}: "
FORKED_LOG = f"log 1 of {FORKED.hex()}: "


def at(seq: int) -> str:
    return f"WHERE place = ({LOG_NO} << 40) + {seq}"


BLOCK_10 = at(10)
FAULTS = {
    "header, start": (
        f"UPDATE blocks SET header = flip(header, 0) {BLOCK_10}",
        [LOG + "the store is damaged (not a block header of version 1); keep a copy"],
    ),
    "header, author": (
        f"UPDATE blocks SET header = flip(header, 9) {BLOCK_10}",
        [LOG + "the store is damaged (another block stands at seq 10); keep a copy"],
    ),
    "header, previous": (
        f"UPDATE blocks SET header = flip(header, 45) {BLOCK_10}",
        [LOG + "the block at seq 10 does not follow the one before"],
    ),
    "header, body hash": (
        f"UPDATE blocks SET header = flip(header, -6) {BLOCK_10}",
        [LOG + "the body is not the one its header names"],
    ),
    "signature": (
        f"UPDATE blocks SET signature = flip(signature, 3) {at(128)}",
        [LOG + "the signature at seq 128 is wrong"],
    ),
    "signature where none was": (
        f"UPDATE blocks SET signature = zeroblob(64) {BLOCK_10}",
        [LOG + "the signature at seq 10 is wrong"],
    ),
    "no signature at 64": (
        f"UPDATE blocks SET signature = NULL {at(64)}",
        [LOG + "no signature at seq 64"],
    ),
    "no signature at the tip": (
        f"UPDATE blocks SET signature = NULL {at(300)}",
        [LOG + "no signature at seq 300"],
    ),
    "body": (
        f"UPDATE blocks SET body = flip(body, 1) {BLOCK_10}",
        [LOG + "the body is not the one its header names"],
    ),
    "missing body": (
        f"UPDATE blocks SET body = NULL {BLOCK_10}",
        [LOG + "1 bodies missing where 0 are noted"],
    ),
    "missing block": (
        f"DELETE FROM blocks {BLOCK_10}",
        [LOG + "no block at seq 10"],
    ),
    "missing last block": (
        f"DELETE FROM blocks {at(300)}",
        [LOG + "no block at seq 300"],
    ),
    "wrong tip": (
        f"UPDATE pieces SET tip = flip(tip, 0) WHERE {OF_WHOLE}",
        [LOG + "the block at seq 300 is not the noted tip"],
    ),
    "wrong start": (
        f"UPDATE pieces SET previous = flip(previous, 0) WHERE {OF_WHOLE}",
        [LOG + "the block at seq 1 does not follow the one before"],
    ),
    "missing piece": (
        f"DELETE FROM pieces WHERE {OF_WHOLE}",
        [LOG + "blocks outside of every piece"],
    ),
    "short piece": (
        f"UPDATE pieces SET high = 10, tip = (SELECT previous FROM pieces) WHERE {OF_WHOLE}",
        [LOG + "no signature at seq 10"],
    ),
    "pieces that overlap": (
        f"INSERT INTO pieces SELECT log_no, 7, 8, previous, tip FROM pieces WHERE {OF_WHOLE}",
        [LOG + "pieces touch or overlap, or pass a fork, at seq 300"],
    ),
    "a piece turned round": (
        f"UPDATE pieces SET high = 0 WHERE {OF_WHOLE}",
        [LOG + "pieces touch or overlap, or pass a fork, at seq 0"],
    ),
    "stray block": (
        (
            f"INSERT INTO blocks SELECT place + 989, id_prefix, lsn, header, signature, body"
            f" FROM blocks {BLOCK_10}"
        ),
        [LOG + "the store is damaged (another block stands at seq 999)"],
    ),
    "stray log": (
        (
            f"INSERT INTO blocks SELECT (999 << 40) + 10, id_prefix, lsn, header, signature, body"
            f" FROM blocks {BLOCK_10}"
        ),
        ["1 blocks of no known log"],
    ),
    "stray piece": (
        f"INSERT INTO pieces SELECT 999, 7, 8, previous, tip FROM pieces WHERE {OF_WHOLE}",
        ["1 pieces of no known log"],
    ),
    "missing log": (
        f"DELETE FROM logs WHERE {OF_WHOLE}",
        ["300 blocks of no known log", "1 pieces of no known log"],
    ),
    "wrong number of missing bodies": (
        "UPDATE logs SET bodies_missing = 3 WHERE bodies_missing = 12",
        [f"log {GROUP} of {WHOLE.hex()}: 12 bodies missing where 3 are noted"],
    ),
    "wrong size": (
        f"UPDATE logs SET bytes = bytes + 1 WHERE {OF_WHOLE}",
        [LOG + "its size is noted wrong"],
    ),
    "id that finds nothing": (
        f"UPDATE blocks SET id_prefix = 7 {BLOCK_10}",
        ["1 blocks that cannot be found by their id"],
    ),
    "missing arrival": (
        "DELETE FROM arrivals WHERE lsn = 1",
        ["1 blocks that never arrived"],
    ),
    "missing author": (
        f"DELETE FROM authors WHERE author = x'{FORKED.hex()}'",
        ["1 logs of no known author"],
    ),
    "verdict without proof": (
        "DELETE FROM proofs",
        [f"a verdict on {FORKED.hex()} without proof"],
    ),
    "proof, start": (
        "UPDATE proofs SET proof = flip(proof, 0)",
        ["fork proofs: the store is damaged ("],
    ),
    "proof, signature": (
        "UPDATE proofs SET proof = flip(proof, -1)",
        [f"fork proof of {FORKED.hex()}: a fork proof that is not signed"],
    ),
    "proof without verdict": (
        f"UPDATE logs SET fork = 21 WHERE {OF_FORKED}",
        [
            f"{2} branch blocks of a log that is not forked there",
            f"the verdict on {FORKED.hex()} is not what its proof says",
        ],
    ),
    "no verdict": (
        f"UPDATE logs SET fork = NULL WHERE {OF_FORKED}",
        [
            "69 branch blocks of a log that is not forked there",
            f"the verdict on {FORKED.hex()} is not what its proof says",
        ],
    ),
    "junk branch": (
        (
            f"INSERT INTO branches SELECT author_no, 1, 30, zeroblob(32), 1, b.header, b.signature,"
            f" NULL FROM blocks b, authors {at(30)} AND author = x'{WHOLE.hex()}'"
        ),
        ["1 branch blocks under another id", "1 branch blocks of a log that is not forked there"],
    ),
    "branch block of another log": (
        f"UPDATE branches SET header = (SELECT header FROM blocks {BLOCK_10}) WHERE seq = 30",
        [
            "1 branch blocks under another id",
            FORKED_LOG + "the store is damaged (another block stands at seq 30)",
        ],
    ),
    "branch with a hole": (
        "DELETE FROM branches WHERE seq = 30",
        [FORKED_LOG + "blocks that belong to no branch from seq 20"],
    ),
    "branch that nothing vouches for": (
        "UPDATE branches SET signature = NULL WHERE seq = 64",
        [FORKED_LOG + "no signature at seq 64 after a fork"],
    ),
    "branch gone": (
        "DELETE FROM branches",
        [FORKED_LOG + "nothing vouches for seq 19"],
    ),
    "statement, signature": (
        "UPDATE revocations SET signature = flip(signature, 7)",
        ["a person statement that is not signed by its person"] * 2,
    ),
    "statement, start": (
        "UPDATE revocations SET statement = flip(statement, 0)",
        ["person statements: the store is damaged ("],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_check_finds_what_was_planted_and_says_it_in_a_line(path: Path, fault: str) -> None:
    script, expected = FAULTS[fault]
    plant(path, script)
    store = await open_sqlite(path)
    lines = await store.check()
    await store.close()
    for start in expected:
        assert any(start in line for line in lines), lines
    assert len(lines) <= len(expected) + 2, lines
    assert not any("\n" in line for line in lines)


async def test_one_damaged_log_does_not_hide_another(path: Path) -> None:
    plant(
        path,
        f"UPDATE blocks SET body = flip(body, 1) {BLOCK_10};"
        "UPDATE logs SET bodies_missing = 3 WHERE bodies_missing = 12; DELETE FROM proofs",
    )
    store = await open_sqlite(path)
    assert len(await store.check()) == 3
    await store.close()


async def test_the_store_in_memory_is_checked_as_well() -> None:
    store = MemoryStore()
    await store.absorb(runs(run_of(written(9))), seen=0, durable=False)
    assert await store.check() == []
    held = store._has.blocks[WHOLE, SOCIAL]
    held[4] = held[4]._replace(block=held[4].block._replace(body=b"another"))
    assert await store.check() == [LOG + "the body is not the one its header names"]
    stray = held.pop(4)
    assert await store.check() == [LOG + "no block at seq 4"]
    held |= {4: stray._replace(block=written(9)[3]), 12: stray}
    assert await store.check() == [LOG + "blocks outside of every piece"]


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=8))
def test_whatever_bytes_of_the_file_change_nothing_but_a_store_error_is_raised(
    filled: Path, changes: list[tuple[int, int]]
) -> None:
    async def scenario(path: Path) -> None:
        try:
            store = await open_sqlite(path)
        except StoreError:
            return
        try:
            lines = await store.check()
            assert not any("\n" in line for line in lines)
            batch = runs(run_of(written(310)), run_of(forked(9, 9, 9, number=1)[0]))
            for attempt in (
                lambda: everything(store),
                lambda: store.find(written(1)[0].id[:4]),
                lambda: store.absorb(batch, seen=0, durable=False),
                lambda: store.note("name"),
                store.known,
                store.runs,
                store.newest,
                lambda: anext(store.devices(), None),
                lambda: store.bodiless((WHOLE, GROUP)),
                lambda: store.read_spans([Span((WHOLE, log), 1, 256) for log in (0, 1, GROUP)]),
            ):
                try:
                    await attempt()
                except StoreError as error:
                    assert "\n" not in str(error)  # noqa: PT017
        finally:
            await store.close()

    damaged = bytearray(filled.read_bytes())
    for at, change in changes:
        damaged[at % len(damaged)] ^= change
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "store.db").write_bytes(damaged)
        live(scenario(Path(folder, "store.db")))
