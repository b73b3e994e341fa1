from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from tests.ledger.stores import open_sqlite, stop_what_is_open


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    stop_what_is_open()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give an empty store of each kind."""
    kept: Store = (
        MemoryStore() if request.param == "memory" else await open_sqlite(tmp_path / "store.db")
    )
    yield kept
    await kept.close()
