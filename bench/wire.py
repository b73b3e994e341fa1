"""Meetings of two processes over loopback TCP, encrypted: CPU of both, bytes with all headers.

Where it is allowed each pair has a network namespace of its own, so that every byte on its
loopback is theirs.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.carrying import CEILING_BLOCKS
from bench.ceiling import measure_ceiling
from bench.homes import settle
from bench.measure import Goal, figure, micros, ratio
from bench.sample import BLOCK_BYTES, log_by_log, write_logs
from bench.starting import ROOT
from bench.syncing import BATCH_BLOCKS
from ledger.run import Run
from ledger.store.base import Batch
from mesh.direct import open_port, real_world
from mesh.node import open_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.ceiling import Ceiling
    from bench.measure import Figure
    from ledger.block import Block

OFFLINE: Final = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
CHILD: Final = (sys.executable, "-m", "bench.wire_child")
_AT_ONCE: Final = 500


@cache
def namespaces() -> bool:
    """Say whether this machine lets one make network namespaces."""
    return subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode == 0


async def make_pair(folder: Path, runs: Sequence[Sequence[Block]]) -> tuple[Path, Path]:
    """Return the homes of two contacts who never met; the first holds ``runs``."""
    left, right = folder / "left", folder / "right"
    links = []
    for home in (left, right):
        await settle(home)
        async with open_port(home) as port:
            links.append((await port.whoami()).link)
    for home, link in zip((left, right), reversed(links), strict=True):
        async with open_port(home) as port:
            await port.add_contact(link)
    await hold(left, runs)
    return left, right


async def hold(home: Path, runs: Sequence[Sequence[Block]]) -> None:
    """Have a home hold ``runs``, unchecked, each sequence a run."""
    async with open_node(home, real_world()) as node:
        for at in range(0, len(runs), _AT_ONCE):
            some = [Run(tuple(blocks)) for blocks in runs[at : at + _AT_ONCE]]
            await node.store.absorb(Batch(runs=some), seen=0, durable=False)


class Served(NamedTuple):
    """A node that runs in a process.

    Attributes:
        child: The process.
        port: Where it listens.
        beside: What the line of a command begins with that is to run in the same namespace.
    """

    child: subprocess.Popen[str]
    port: int
    beside: list[str]


@contextmanager
def serving(home: Path, *, every: bool = False, crowded: bool = False) -> Iterator[Served]:
    """Have a node run for as long as the context lasts; a crowd may come from one address."""
    before = OFFLINE if namespaces() else ()
    line = [
        *before,
        *CHILD,
        *(("every",) if every else ()),
        "serve",
        str(home),
        *(("crowded",) if crowded else ()),
    ]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        said = _heard(child)
        beside = ["nsenter", f"--net=/proc/{child.pid}/ns/net"] if before else []
        yield Served(child, said["port"], beside)
        assert child.stdin is not None
        child.stdin.close()


def _heard(child: subprocess.Popen[str]) -> dict[str, Any]:
    assert child.stdout is not None
    said: dict[str, Any] = json.loads(child.stdout.readline())
    return said


def used(child: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a serving child has used by now."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return _heard(child)


def visit(
    beside: Sequence[str], home: Path, port: int, times: int = 1, *, every: bool = False
) -> list[dict[str, Any]]:
    """Have a process sync with the one on ``port``, so many times; return what each came to."""
    how = ("every",) if every else ()
    line = [*beside, *CHILD, *how, "sync", str(home), str(port), str(times)]
    ended = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return [json.loads(line) for line in ended.stdout.splitlines()]


@dataclass(frozen=True, slots=True)
class _Cold:
    """One cold sync: CPU seconds and loopback bytes a block, both ends; and blocks a second."""

    cpu: float
    bytes: float
    payload: float
    speed: float


def cold_wire(folder: Path, rounds: int) -> list[Figure]:
    """Give long logs to a contact who has nothing."""
    return [
        *_cold(folder, rounds, "10,000 in long runs", write_logs(50, 200), every=True),
        *_cold(folder, rounds, "100,000 in long runs", write_logs(50, 2_000), every=False),
        *_cold(folder, rounds, "5,000 x 2", write_logs(5_000, 2), every=False, short=True),
    ]


def _cold(
    folder: Path,
    rounds: int,
    name: str,
    runs: list[list[Block]],
    *,
    every: bool,
    short: bool = False,
) -> list[Figure]:
    left, right = asyncio.run(make_pair(folder, runs))
    empty = folder / "empty"
    shutil.copytree(right, empty)
    ceilings: list[Ceiling] = []
    seen: list[_Cold] = []
    thorough: list[_Cold] = []
    some = list(log_by_log(runs))[:CEILING_BLOCKS]
    blocks = sum(map(len, runs))
    for _ in range(rounds):
        ceilings.append(measure_ceiling(folder, some, BATCH_BLOCKS))
        seen.append(_meet(left, right, empty, blocks))
        if every:
            thorough.append(_meet(left, right, empty, blocks, every=True))
    due = sum(-(-len(run) // 64) for run in runs) / blocks
    least = [one.give_out() + one.take_in(due) + one.seal for one in ceilings]
    cpu = [one.cpu for one in seen]
    goal = Goal("S4", 1.12 if short else 1.03)
    figures = [
        micros(f"{name}: ceiling, both ends, a block", least),
        micros(f"{name}: both processes, a block", cpu),
        ratio(f"{name}: both processes / ceiling", cpu, least, None if short else Goal("S1", 1.5)),
        figure(f"{name}: session bytes / raw", "x", [s.payload / BLOCK_BYTES for s in seen], goal),
        figure(f"{name}: loopback bytes / raw", "x", [s.bytes / BLOCK_BYTES for s in seen]),
        figure(f"{name}: blocks a second, wall", "", [s.speed for s in seen]),
    ]
    if every:
        checked = [one.cpu for one in thorough]
        all_signed = [one.verify for one in ceilings]
        what = f"{name}: every signature verified / (blocks x verify)"
        figures.append(ratio(what, checked, all_signed, Goal("S2", 1.2)))
    for home in (left, right, empty):
        shutil.rmtree(home)
    return figures


def _meet(left: Path, right: Path, empty: Path, blocks: int, *, every: bool = False) -> _Cold:
    shutil.rmtree(right)
    shutil.copytree(empty, right)
    with serving(left, every=every) as (child, port, beside):
        (done,) = visit(beside, right, port, every=every)
        cpu = used(child)["cpu"] + done["cpu"]
    new: int = done["received"]
    assert new >= blocks, f"{new} of {blocks} blocks came: {done}"
    payload = done["bytes_in"] + done["bytes_out"]
    return _Cold(cpu / new, done["loopback"] / new, payload / new, new / done["wall"])


def unchanged_wire(folder: Path, rounds: int) -> list[Figure]:
    """Meet a contact again, nothing having changed, over a session that is resumed."""
    figures: list[Figure] = []
    for authors in (10, 1_000, 10_000):
        left, right = asyncio.run(make_pair(folder, write_logs(authors, 1)))
        with serving(left, crowded=True) as (child, port, beside):
            visit(beside, right, port)
            seen, cpu = [], []
            for _ in range(rounds):
                before = used(child)["cpu"]
                first, *again = visit(beside, right, port, times=11)
                spent = (used(child)["cpu"] - before) / 11
                assert not any(one["received"] or one["sent"] for one in (first, *again))
                cpu.append((spent + sum(one["cpu"] for one in again) / len(again)) * 1_000)
                seen.append(again[-1])
        name = f"{authors:,} logs"
        headed = [one["loopback"] for one in seen]
        session = [one["bytes_in"] + one["bytes_out"] for one in seen]
        figures += [
            figure(f"{name}: session bytes", "B", session),
            figure(f"{name}: with TCP/IP headers", "B", headed, Goal("S5", 1_100)),
            figure(f"{name}: CPU of both processes", "ms", cpu, Goal("S5", 5)),
        ]
        for home in (left, right):
            shutil.rmtree(home)
    return figures
