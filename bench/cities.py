"""What a simulated day costs, by the number of nodes: time, memory, and bytes a node.

python -m bench.cities [--plot FILE.png] [NODES ...]

Each node wants the logs of 75 others (150 logs), has 50 contacts and writes 2 posts a day. Every
size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any, Final, NamedTuple

SIZES: Final = (100, 1_000, 10_000)
_ASKED: Final = ("--days", "1", "--contacts", "50", "--follow", "75", "--seed", "1")


class Day(NamedTuple):
    """A simulated day.

    Attributes:
        nodes: How many.
        seconds: Processor time.
        peak: Most memory, bytes.
        report: What the simulation says.
    """

    nodes: int
    seconds: float
    peak: int
    report: dict[str, Any]

    @property
    def row(self) -> list[str]:
        """Return what is shown of it."""
        traffic = self.report["traffic"]
        air = traffic["bytes_on_air"] / self.nodes
        return [
            f"{self.nodes:,}",
            f"{traffic['meetings']:,}",
            f"{traffic['new_blocks']:,}",
            f"{self.seconds:,.0f}",
            f"{self.peak / 1e6:,.0f}",
            f"{self.peak / self.nodes / 1e3:,.0f}",
            f"{air / 1e3:,.0f}",
        ]


HEAD: Final = ["nodes", "meetings", "new blocks", "CPU s", "MB", "kB a node", "air kB a node"]


def live_a_day(nodes: int) -> Day:
    """Simulate a day of so many nodes, and measure the process that does."""
    command = [sys.executable, "-m", "mesh", "--json", "simulate", "--nodes", str(nodes)]
    command += [*_ASKED, "--posts", str(2 * nodes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(process.returncode)
    used = _used()
    return Day(nodes, used[0], used[1], json.loads(said))


def _used() -> tuple[float, int]:
    import resource  # noqa: PLC0415  not everywhere

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1_024


def in_a_process(nodes: int) -> Day:
    """As ``live_a_day``, below a process of its own: so nothing of another size is counted."""
    command = [sys.executable, "-m", "bench.cities", "--one", str(nodes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ)
    return Day(*json.loads(done.stdout))


def draw(days: list[Day], path: str) -> None:
    """Draw time and memory by the number of nodes."""
    from matplotlib.figure import Figure  # noqa: PLC0415  only who plots needs it

    figure = Figure(figsize=(10, 4), layout="constrained")
    nodes = [day.nodes for day in days]
    shown = (
        ("processor time, s", [day.seconds for day in days]),
        ("memory, MB", [day.peak / 1e6 for day in days]),
    )
    for at, (name, values) in enumerate(shown, 1):
        axes = figure.add_subplot(1, 2, at)
        axes.loglog(nodes, values, marker="o", linewidth=1.5)
        for number, value in zip(nodes, values, strict=True):
            axes.annotate(f"{value:,.0f}", (number, value), (-30, 8), textcoords="offset points")
        axes.margins(0.15)
        axes.set_xlabel("nodes")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    figure.suptitle("A simulated day, 50 contacts and 2 posts a node, 150 logs wanted")
    figure.savefig(path, dpi=110)


def main() -> int:
    """Show a table, and draw it."""
    parser = argparse.ArgumentParser(prog="python -m bench.cities")
    parser.add_argument("nodes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--plot")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        print(json.dumps(live_a_day(asked.one)))
        return 0
    print("".join(f"{name:>15}" for name in HEAD))
    days: list[Day] = []
    for nodes in asked.nodes:
        days.append(in_a_process(nodes))
        print("".join(f"{cell:>15}" for cell in days[-1].row), flush=True)
    if asked.plot:
        draw(days, asked.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
