"""How long the command takes to start: what everyone waits for, every time.

Compiled once, as anything that is installed: the compiled files go to a folder of this run.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.homes import settle
from bench.measure import Goal, figure, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Figure

ROOT: Final = Path(__file__).parent.parent
STARTS: Final = 5
"""Of each command in a round; the median counts."""


class Start(NamedTuple):
    """Seconds from start to end of a process."""

    cpu: float
    wall: float


def command() -> list[str]:
    """Return how ``passalong`` is started: as installed beside this Python, or from here."""
    installed = Path(sys.executable).with_name("passalong")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "mesh"]


def starting(folder: Path, rounds: int) -> list[Figure]:
    """Start Python, ``--help`` and ``whoami`` in turns."""
    home = folder / "home"
    asyncio.run(settle(home, "Ann"))
    whoami = [*command(), "--home", str(home), "whoami"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "passalong --help": [*command(), "--help"],
        "passalong whoami": whoami,
    }
    compiled = _compiling_into(folder / "compiled")
    for line in commands.values():
        _start(line, compiled)
    seen: dict[str, list[Start]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, line in commands.items():
            seen[name].append(_typical([_start(line, compiled) for _ in range(STARTS)]))
    return _figures(seen)


def _figures(seen: dict[str, list[Start]]) -> list[Figure]:
    bare = seen["python -c pass"]
    figures: list[Figure] = []
    for name, starts in seen.items():
        goal = Goal("S12", 0.3) if name.startswith("passalong") else None
        figures.append(figure(f"{name}, wall", "s", [one.wall for one in starts], goal))
        figures.append(figure(f"{name}, CPU", "s", [one.cpu for one in starts]))
        if starts is not bare:
            cpu, least = [one.cpu for one in starts], [one.cpu for one in bare]
            figures.append(ratio(f"{name} / python -c pass, CPU", cpu, least))
    return figures


def _typical(starts: Sequence[Start]) -> Start:
    return Start(
        statistics.median(one.cpu for one in starts), statistics.median(one.wall for one in starts)
    )


def _compiling_into(folder: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": str(folder)}


def _start(line: Sequence[str], environment: dict[str, str]) -> Start:
    cpu, wall = children_cpu(), time.perf_counter()
    subprocess.run(line, check=True, capture_output=True, cwd=ROOT, env=environment)
    return Start(children_cpu() - cpu, time.perf_counter() - wall)


def children_cpu() -> float:
    """Return the CPU seconds of all processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
