"""Meetings of nodes that hold nearly the same: bytes, round trips, CPU of both sides.

Bytes are of messages, without what links and ciphers add; of blocks that travel, header,
signature and body (``BLOCK_BYTES`` each) are counted apart.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Final

from bench.measure import Goal, figure, lap
from bench.meetings import Meeting
from bench.nodes import Node, fill, in_memory, made_up, with_seen
from bench.sample import BLOCK_BYTES, write_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.measure import Figure
    from ledger.block import Block

SIZES: Final = (10, 1_000, 100_000)
LOGS: Final = 1_000
CHANGES: Final = (1, 10, 100, 1_000)
MEETINGS: Final = 20
"""In a row, in a round; one is too short to time."""
SCUTTLEBUTT_BYTES: Final = 119_000
"""What it sends with 1,000 feeds when one side's state is lost, as once measured."""


def unchanged(folder: Path, rounds: int) -> list[Figure]:  # noqa: ARG001  nothing is stored
    """Meet a contact again, nothing having changed."""
    nodes = {logs: made_up(logs) for logs in SIZES}
    first = {logs: asyncio.run(_again(nodes[logs])) for logs in SIZES}
    times: dict[int, list[float]] = {logs: [] for logs in SIZES}
    for _ in range(rounds):
        for logs in SIZES:
            times[logs].append(asyncio.run(_time(nodes[logs])))
    figures: list[Figure] = []
    for logs, meeting in first.items():
        payload, trips = meeting.payload, meeting.round_trips
        figures += [
            figure(f"{logs:,} logs: messages", "B", [payload], Goal("S5", 150)),
            figure(f"{logs:,} logs: round trips", "", [trips], Goal("S5", 2)),
            figure(f"{logs:,} logs: both engines, CPU", "ms", times[logs], Goal("S5", 5)),
        ]
    return figures


async def _again(nodes: tuple[Node, Node]) -> Meeting:
    return await Meeting(*nodes, contacts=True).hold()


async def _time(nodes: tuple[Node, Node]) -> float:
    """Return milliseconds of CPU a meeting."""
    with lap() as taken:
        for _ in range(MEETINGS):
            await _again(nodes)
    return taken.cpu / MEETINGS * 1_000


def changed(folder: Path, rounds: int) -> list[Figure]:  # noqa: ARG001  nothing is stored
    """Meet a contact again after some of 1,000 logs got a block."""
    logs = _logs()
    seen = {c: [asyncio.run(_change(logs, c)) for _ in range(rounds)] for c in CHANGES}
    figures: list[Figure] = []
    for c, held in seen.items():
        meeting, name = held[0][0], f"{c:,} of {LOGS:,} logs"
        extra, times = meeting.payload - c * BLOCK_BYTES, [cpu * 1_000 for _, cpu in held]
        goal = Goal("S6", 40 * c + 1_100)
        figures += [
            figure(f"{name}: messages without {c:,} blocks", "B", [extra], goal),
            figure(f"{name}: the same, a log", "B", [extra / c]),
            figure(f"{name}: round trips", "", [meeting.round_trips]),
            figure(f"{name}: both engines, CPU", "ms", times),
        ]
    return figures


def _logs() -> list[list[Block]]:
    random = Random(6)
    return [write_log(random, 2) for _ in range(LOGS)]


async def _pair(logs: Sequence[Sequence[Block]]) -> tuple[Node, Node]:
    """Return two nodes that hold the first block of each log."""
    firsts = [log[:1] for log in logs]
    return await in_memory(firsts, is_left=True), await in_memory(firsts, is_left=False)


async def _change(logs: list[list[Block]], count: int) -> tuple[Meeting, float]:
    left, right = await _pair(logs)
    left, right = with_seen(left, right)
    await fill(left, [log[1:] for log in logs[:count]])
    return await _timed(left, right, contacts=True, new=count)


async def _timed(left: Node, right: Node, *, contacts: bool, new: int) -> tuple[Meeting, float]:
    meeting = Meeting(left, right, contacts=contacts)
    with lap() as taken:
        await meeting.hold()
    assert sum(side.session.counts.new for side in meeting.sides) == new
    return meeting, taken.cpu


def strangers(folder: Path, rounds: int) -> list[Figure]:  # noqa: ARG001  nothing is stored
    """Meet somebody unknown who holds the same 1,000 logs, or nearly."""
    logs = _logs()
    same = [asyncio.run(_strange(logs, 0)) for _ in range(rounds)]
    other = [asyncio.run(_strange(logs, LOGS // 100)) for _ in range(rounds)]
    differ, blocks = other[0][0], LOGS // 100 * BLOCK_BYTES
    goal = Goal("S7", SCUTTLEBUTT_BYTES / 4)
    return [
        figure("the same: messages", "B", [same[0][0].payload], Goal("S7", 1_100)),
        figure("the same: round trips", "", [same[0][0].round_trips]),
        figure("the same: both engines, CPU", "ms", [cpu * 1_000 for _, cpu in same]),
        figure("1 % differs: messages", "B", [differ.payload], goal),
        figure("1 % differs: messages without blocks", "B", [differ.payload - blocks]),
        figure("1 % differs: messages / Scuttlebutt", "x", [differ.payload / SCUTTLEBUTT_BYTES]),
        figure("1 % differs: round trips", "", [differ.round_trips]),
        figure("1 % differs: both engines, CPU", "ms", [cpu * 1_000 for _, cpu in other]),
    ]


async def _strange(logs: list[list[Block]], count: int) -> tuple[Meeting, float]:
    left, right = await _pair(logs)
    await fill(left, [log[1:] for log in logs[:count]])
    return await _timed(left, right, contacts=False, new=count)
