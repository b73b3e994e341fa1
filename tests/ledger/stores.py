"""Stores under test, and all that they say, in a form that can be compared."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from ledger.block import Block
from ledger.chain import BranchBlock, Log
from ledger.fork import ForkProof, Vouched
from ledger.run import Run
from ledger.statement import Revocation
from ledger.store.base import (
    MAX_SPAN,
    Absorbed,
    Arrival,
    Batch,
    Entry,
    LogKey,
    Newest,
    Span,
    Store,
)
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from tests.strategies import run_of

T = TypeVar("T")
NO_FILE = Path(":memory:")
"""SQLite takes this path for a database without a file."""
_runs = count(1)
_opened: list[SqliteStore] = []


async def open_sqlite(path: Path = NO_FILE) -> SqliteStore:
    """Open a store whose runs are numbered."""
    store = await SqliteStore.open(path, new_run=lambda: next(_runs).to_bytes(8, "big"))
    _opened.append(store)
    _tidy()
    return store


def _tidy() -> None:
    """Remove the file that is made even so, lest anybody else should read what is put into it."""
    NO_FILE.unlink(missing_ok=True)


def stop_what_is_open() -> None:
    """Stop the threads of stores that a failed test left open; Python would wait for them."""
    while _opened:
        store = _opened.pop()
        if not store._closed:
            store._db.stop()


@asynccontextmanager
async def both() -> AsyncIterator[list[Store]]:
    """Give an empty store of each kind; one is the model of the other."""
    sqlite = await open_sqlite()
    try:
        yield [MemoryStore(), sqlite]
    finally:
        await sqlite.close()


async def offer(stores: Sequence[Store], batch: Batch, *, seen: int = 0) -> Absorbed:
    """Have every store absorb ``batch``; they must say the same about it but for their run's name.

    What they say of logs and arrivals must be what one finds by reading the store before and after.
    """
    outcomes = [await observed(store, batch, seen=seen) for store in stores]
    assert all(replace(outcome, run=None) == replace(outcomes[0], run=None) for outcome in outcomes)
    return outcomes[0]


async def observed(store: Store, batch: Batch, *, seen: int = 0) -> Absorbed:
    """Have ``store`` absorb ``batch`` and hold what it says against what can be read."""
    before = await _held(store)
    newest = await store.arrivals(limit=1)
    outcome = await store.absorb(batch, seen=seen, durable=False)
    after = await _held(store)
    assert list(outcome.logs) == sorted(outcome.logs)
    assert outcome.logs == {key: held[0] for key, held in after.items() if before.get(key) != held}
    lsn = newest[0].lsn if newest else 0
    arrived = [a for a in await store.arrivals(limit=1 << 30) if a.lsn > lsn]
    assert outcome.arrivals == arrived[::-1]
    if outcome.arrivals:
        (*_, run) = await store.runs()
        assert (run.run, run.last) == (outcome.run, outcome.arrivals[-1].lsn)
    else:
        assert outcome.run is None
    return outcome


async def _held(store: Store) -> dict[LogKey, tuple[Log, list[Block], list[ForkProof]]]:
    """Return each log, what is kept of its branches, and its proof."""
    held = {log_key(log): log for log in await store.logs()}
    forked = [key for key, log in held.items() if log.fork is not None]
    kept = {key: (await store.branches(key), await store.proofs([key])) for key in forked}
    return {key: (log, *kept.get(key, ([], []))) for key, log in held.items()}


def is_news(outcome: Absorbed) -> bool:
    """Say whether a batch changed what is held."""
    return bool(outcome.new or outcome.bodies or outcome.forks or outcome.revoked)


async def settle(stores: Sequence[Store], batches: Sequence[Batch]) -> None:
    """Offer ``batches`` again and again in the same order until that changes nothing more."""
    for _ in range(2 * len(batches) + 2):
        if not any([is_news(await offer(stores, batch)) for batch in batches]):
            return
    raise AssertionError("what is offered again and again keeps changing the store")


@dataclass(frozen=True)
class Derived:
    """What follows from the set of things a store was given, whatever their order."""

    logs: list[Log]
    blocks: dict[LogKey, list[tuple[bytes, bool, bool]]]
    branches: dict[LogKey, list[tuple[bytes, bool]]]
    revocations: list[Revocation]


@dataclass(frozen=True)
class Everything:
    """All that a store says; two that were given the same in the same order say the same."""

    logs: list[Log]
    entries: dict[LogKey, list[Entry]]
    branches: dict[LogKey, list[Block]]
    proofs: list[ForkProof]
    revocations: list[Revocation]
    arrivals: list[Arrival]
    newest: dict[LogKey, Newest]
    devices: list[Block]
    bodiless: dict[LogKey, list[int]]
    spans: list[list[Block]]


async def everything(store: Store) -> Everything:
    """Read the whole store."""
    logs = await store.logs()
    entries: dict[LogKey, list[Entry]] = {}
    async for page in store.entries(page=7):
        for entry in page:
            entries.setdefault(key_of(entry.block), []).append(entry)
    return Everything(
        logs,
        entries,
        {key: await store.branches(key) for key in map(log_key, logs)},
        await store.proofs(),
        await store.revocations(),
        await store.arrivals(limit=1 << 30),
        await store.newest(),
        [block async for page in store.devices(page=2) for block in page],
        {key: await store.bodiless(key) for key in map(log_key, logs)},
        await store.read_spans([Span(key, 1, MAX_SPAN) for key in map(log_key, logs)]),
    )


async def derived(store: Store) -> Derived:
    """Read what must not depend on the order of arrival."""
    whole = await everything(store)
    return Derived(
        whole.logs,
        {
            key: [(e.block.id, e.block.body is None, e.joined) for e in entries]
            for key, entries in sorted(whole.entries.items())
        },
        {key: [(b.id, b.body is None) for b in blocks] for key, blocks in whole.branches.items()},
        whole.revocations,
    )


async def agreed(stores: Sequence[Store]) -> Derived:
    """Return what is derived from ``stores``, which must be sound and say the same."""
    model, *others = [await everything(store) for store in stores]
    for other in others:
        assert other == model
    for store in stores:
        assert await store.check() == []
    assert [a.lsn for a in model.arrivals] == list(range(len(model.arrivals), 0, -1))
    return await derived(stores[0])


async def log_of(store: Store, key: LogKey) -> Log:
    """Return the one log held under ``key``."""
    (log,) = await store.logs([key])
    return log


def key_of(block: Block) -> LogKey:
    """Return the log a block belongs to."""
    return block.header.author, block.header.log


def log_key(log: Log) -> LogKey:
    """Return the key of ``log``."""
    return log.author, log.number


def runs(*runs: Run) -> Batch:
    """Return a batch of runs."""
    return Batch(runs=runs)


def cut_up(blocks: Sequence[Block], spans: Collection[tuple[int, int]]) -> list[Batch]:
    """Return one batch a span (low, high) of the log ``blocks``, which begins at seq 1."""
    return [runs(run_of(blocks[low - 1 : high])) for low, high in spans]


def proof_of(held: Sequence[Block], offered: Sequence[Block]) -> ForkProof:
    """Return the proof that two stretches, each beginning where they part, contradict."""
    return ForkProof.of(Vouched.of(held), Vouched.of(offered))


def shape(blocks: Collection[Block]) -> set[BranchBlock]:
    """Return what ``grow`` looks at."""
    return {BranchBlock(b.id, b.header.seq, b.header.previous) for b in blocks}


def without_bodies(run: Run) -> Run:
    """Return the same run, headers only."""
    return Run(tuple(block._replace(body=None) for block in run.blocks), run.hops)


def live(scenario: Coroutine[None, None, T]) -> T:
    """Run a scenario to its end; nothing may be left behind in its loop."""
    return asyncio.run(scenario)
