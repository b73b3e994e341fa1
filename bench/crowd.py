"""A node with many peers at once over loopback TCP: messages, memory, idle CPU, and answers.

The seed of this: in an early experiment with such networks messages grew with every friend, up
to 500. Here each peer is a contact with a session of its own; all peers live in another process.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.crowd_child import friend
from bench.homes import settle
from bench.measure import Goal, figure
from bench.sample import write_logs
from bench.starting import ROOT
from bench.wire import Served, hold, make_pair, serving, used, visit
from ledger.link import Link
from mesh.direct import open_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.measure import Figure

CROWDS: Final = (10, 50, 100, 200, 500)
IDLE_S: Final = 40.0
PINGS_S: Final = 5.0
PING_EVERY_S: Final = 0.02


class _Idle(NamedTuple):
    """A while in which nothing happened.

    Attributes:
        bytes: That came and went, a minute and peer, of sessions.
        memory: Of the node, kB a peer.
        cpu: Of the node, percent of a core.
        alive: How many peers were there in the end.
    """

    bytes: float
    memory: float
    cpu: float
    alive: int


async def _befriend(home: Path, many: int) -> Link:
    """Have a home add ``many`` friends; return its own link."""
    async with open_port(home) as port:
        for number in range(many):
            await port.add_contact(friend(number)[1].encode())
        return Link.parse((await port.whoami()).link)


async def _hub(folder: Path, many: int) -> tuple[Path, Link]:
    home = folder / "hub"
    await settle(home)
    return home, await _befriend(home, many)


@contextmanager
def _crowd(served: Served, hub: Link, many: int) -> Iterator[subprocess.Popen[str]]:
    """Have ``many`` friends linked with a node for as long as the context lasts."""
    child = [sys.executable, "-m", "bench.crowd_child"]
    line = [*served.beside, *child, str(served.port), hub.encode(), str(many)]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as crowd:
        assert crowd.stdout is not None
        assert crowd.stdin is not None
        assert json.loads(crowd.stdout.readline()) == {"joined": many}
        yield crowd
        crowd.stdin.close()


def _watch(crowd: subprocess.Popen[str], seconds: float, ping_every: float = 0) -> dict[str, Any]:
    assert crowd.stdout is not None
    assert crowd.stdin is not None
    crowd.stdin.write(f"{seconds} {ping_every}\n")
    crowd.stdin.flush()
    said: dict[str, Any] = json.loads(crowd.stdout.readline())
    return said


def crowds(folder: Path, rounds: int) -> list[Figure]:
    """Hold 10 to 500 sessions, and see what each costs while nothing happens."""
    figures: list[Figure] = []
    for many in CROWDS:
        seen = [_idle(folder, many) for _ in range(rounds)]
        assert all(one.alive == many for one in seen)
        came = [one.bytes for one in seen]
        memory = [one.memory for one in seen]
        cpu = [one.cpu for one in seen]
        figures += [
            figure(f"{many} peers: bytes a minute and peer, idle", "B", came),
            figure(f"{many} peers: memory a peer", "kB", memory, Goal("S10", 16)),
            figure(f"{many} peers: idle CPU of the node", "%", cpu, Goal("S10", 1)),
        ]
    return figures


def _idle(folder: Path, many: int) -> _Idle:
    home, hub = asyncio.run(_hub(folder, many))
    with serving(home, crowded=True) as served:
        before = used(served.child)
        with _crowd(served, hub, many) as crowd:
            joined = used(served.child)
            came = _watch(crowd, IDLE_S)
            after = used(served.child)
    shutil.rmtree(home)
    grown = (joined["resident_kib"] - before["resident_kib"]) * 1.024
    minutes = IDLE_S / 60
    spent = (after["cpu"] - joined["cpu"]) / IDLE_S * 100
    return _Idle(came["bytes"] / minutes / many, grown / many, spent, came["alive"])


def pings(folder: Path, rounds: int) -> list[Figure]:
    """Ask a node with 500 peers something while it gives 10,000 blocks away."""
    bulk: list[float] = []
    idle: list[float] = []
    for _ in range(rounds):
        quiet, busy = _pings(folder)
        idle.append(_p95(quiet))
        bulk.append(_p95(busy))
    return [
        figure("500 peers: ping, 95th of 100, idle", "ms", idle),
        figure("500 peers: ping, 95th of 100, giving bulk", "ms", bulk, Goal("S10", 50)),
    ]


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] * 1_000


def _pings(folder: Path) -> tuple[list[float], list[float]]:
    left, right = asyncio.run(make_pair(folder, []))
    hub = asyncio.run(_befriend(left, CROWDS[-1]))  # before there is much to look through
    asyncio.run(hold(left, write_logs(50, 1_000)))
    with (
        serving(left, crowded=True) as served,
        _crowd(served, hub, CROWDS[-1]) as crowd,
        ThreadPoolExecutor(1) as beside,
    ):
        quiet = _watch(crowd, PINGS_S, PING_EVERY_S)
        syncing = beside.submit(visit, served.beside, right, served.port)
        busy: list[float] = []
        while not syncing.done():
            busy += _watch(crowd, 0.5, PING_EVERY_S)["pings"]
        (done,) = syncing.result()
    assert done["received"] >= 50_000
    shutil.rmtree(left)
    shutil.rmtree(right)
    return quiet["pings"], busy
