"""A node that stays while others come and go over TCP: when they are gone, nothing of them is left.

Tasks and descriptors are counted whenever all is quiet, and have to be exactly what they were. In
memory there is afterwards what is known of each log, and nothing of a block: those are on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from mesh import daemon
from mesh.daemon import Options, Reception, run_node
from mesh.direct import real_world
from tests.mesh.test_daemon import held
from tests.soak import census
from tests.soak.inn import GATE, TROUBLES, VISITS, Inn, settle
from transports.wifi import tcp_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mesh.peers import Peers
    from transports.gate import GateLimits

pytestmark = [pytest.mark.network, pytest.mark.slow]
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
MINUTE_S: Final = 60.0
TURNS: Final = 3
SOAK_S: Final = 20 * MINUTE_S
GUESTS: Final = 20
BOUNDED: Final = ("ledger.chain.Log", "ledger.chain.Piece", "transports.tickets.Ticket")
"""What is remembered up to a bound, and so not always the same."""
SPARE_BYTES: Final = 64 * 1024
RESIDENT_BYTES: Final = 16 << 20
"""What a process may grow by while its objects do not: 2 MB of pages that SQLite keeps, and holes
in what the allocators hold, which every store that a guest opens and closes cuts up anew. What they
have given out does not grow (by mallinfo2, once SQLite's pages are full)."""
log: Final = logging.getLogger("soak")


@pytest.fixture(autouse=True)
def _nobody_remembers(caplog: pytest.LogCaptureFixture) -> None:
    """Keep no record of what is said in passing: what went wrong holds on to whom it happened."""
    caplog.set_level(logging.INFO, log.name)
    caplog.set_level(logging.WARNING, "passalong")


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was while nobody was there.

    Attributes:
        seconds: When.
        blocks: In the store of the node that stays.
        tasks: Of asyncio, by what they do.
        open: Descriptors, by what is open.
        objects: Of each type of ours.
        heap: Bytes of all objects.
        resident: Bytes of the process.
    """

    seconds: float
    blocks: int
    tasks: Counter[str]
    open: Counter[str]
    objects: Counter[str]
    heap: int
    resident: int

    def row(self) -> str:
        """Return it as a line of a table."""
        return (
            f"{self.seconds:6.0f} s {self.blocks:6} blocks {self.tasks.total():3} tasks"
            f" {self.open.total():3} descriptors {self.objects.total():6} objects"
            f" {self.heap:9} B heap {self.resident:10} B resident"
        )


def descriptors() -> Counter[str]:
    """Return what is open, without the numbers of sockets and pipes."""
    found: Counter[str] = Counter()
    for one in Path("/proc/self/fd").iterdir():
        try:
            found[re.sub(r"\[\d+\]", "", str(one.readlink()))] += 1
        except FileNotFoundError:  # that by which the folder is read
            continue
    return found


async def look(inn: Inn, seconds: float, taken: list[Sample]) -> Sample:
    """Take a sample; what was taken before does not count.

    What is thrown away may have something to end in the loop, and is gone only after that.
    """
    blocks = await held(inn.port)
    for _ in range(TURNS):
        census.sweep()
        await asyncio.sleep(0)
    census.sweep()
    return Sample(
        seconds,
        blocks,
        Counter(one.get_coro().__qualname__ for one in asyncio.all_tasks()),  # type: ignore[union-attr]
        descriptors(),
        census.objects(),
        census.whole() - census.weight(*taken),
        resident(),
    )


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@asynccontextmanager
async def opened(folder: Path, guests: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inn]:
    """Let a node stay for as long as the context lasts."""
    receptions: list[Reception] = []

    class Noted(Reception):
        def __init__(self, peers: Peers, limits: GateLimits) -> None:
            super().__init__(peers, limits)
            receptions.append(self)

    # whoever is refused has to be sent away by who refuses him, and not by the listener's clock
    monkeypatch.setattr(tcp_listener, "SECURE_S", 1e6)
    monkeypatch.setattr(daemon, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(daemon, "LONGEST_WAIT_S", 0.2)
    home, known = await settle(folder, guests)
    with monkeypatch.context() as patch:
        patch.setattr(daemon, "Reception", Noted)
        async with run_node(home, real_world(), Options(port=0, gate=GATE)) as port:
            patch.undo()
            yield Inn(port, receptions[0], known, Random(1))


async def live(
    inn: Inn, guests: int, strangers: int, goes_on: Callable[[int, float], bool], every: float = 0.0
) -> list[Sample]:
    """Let rounds come for as long as ``goes_on`` says.

    Args:
        inn: The node that stays.
        guests, strangers: How many come in a round.
        goes_on: Asked before each round: how many there were, and how many seconds that took.
        every: Seconds between two samples, at least.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    await inn.everybody()
    taken = [await look(inn, loop.time() - began, [])]
    count = 0
    while goes_on(count, loop.time() - began):
        await inn.round(guests, strangers)
        count += 1
        assert len(asyncio.all_tasks()) == taken[0].tasks.total()
        if (passed := loop.time() - began) - taken[-1].seconds >= every:
            taken.append(await look(inn, passed, taken))
            log.info("%s", taken[-1].row())
    log.info("%s rounds: %s", count, inn.done)
    return taken


def before_it() -> Counter[str]:
    """Return what tests before this one have left."""
    census.sweep()
    return census.objects()


def assert_nothing_is_left(taken: list[Sample], logs: int, before: Counter[str]) -> None:
    """Compare all samples with the first one, and what is bounded with what was ``before``.

    Of a log the newest that is known may be in mind twice: as it was read, and as it became since.
    Nothing of a block is in mind, but lists of what is known of stores and logs have room to spare,
    and more of it at some times than at others.
    """
    first, *later = taken
    for one in later:
        assert one.tasks == first.tasks
        assert one.open == first.open
        new = one.objects.copy()
        new.subtract(before)
        assert new["ledger.chain.Log"] <= 2 * logs
        assert new["ledger.chain.Piece"] <= 2 * logs
        assert new["transports.tickets.Ticket"] <= logs
        assert _others(one) == _others(first)
        assert one.heap - first.heap <= SPARE_BYTES


def _others(sample: Sample) -> dict[str, int]:
    return {kind: many for kind, many in sample.objects.items() if kind not in BOUNDED}


async def test_who_comes_and_goes_leaves_no_task_no_descriptor_and_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = before_it()
    async with opened(tmp_path, 4, monkeypatch) as inn:
        taken = await live(inn, 3, 5, lambda count, _: count < 3)
    assert len(taken) == 4
    assert_nothing_is_left(taken, 2 * 5, before)
    assert set(inn.done) == {one.__name__ for one in (*VISITS, *TROUBLES)}
    assert "fault of passalong" not in caplog.text


@pytest.mark.soak
async def test_twenty_minutes_at_an_inn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = before_it()
    async with opened(tmp_path, GUESTS, monkeypatch) as inn:
        taken = await live(inn, 8, 8, lambda _, passed: passed < SOAK_S, MINUTE_S)
    first, *_, last = warm = taken[len(taken) // 4 :]
    assert_nothing_is_left(warm, 2 * (GUESTS + 1), before)
    assert last.blocks - first.blocks > 10_000
    assert last.resident - first.resident <= RESIDENT_BYTES
    assert "fault of passalong" not in caplog.text
