"""``python -m bench``: measure, show the figures, judge nobody."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.carrying import give_out, take_in
from bench.crowd import crowds, pings
from bench.disk import disk
from bench.equals import changed, strangers, unchanged
from bench.people import people
from bench.starting import starting
from bench.syncing import cold, tail
from bench.wire import cold_wire, unchanged_wire
from bench.writing import durable, grouped

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Figure

BENCHMARKS: Final[dict[str, Callable[[Path, int], list[Figure]]]] = {
    "write": grouped,
    "append": durable,
    "disk": disk,
    "start": starting,
    "import": take_in,
    "export": give_out,
    "tail": tail,
    "cold": cold,
    "unchanged": unchanged,
    "changed": changed,
    "strangers": strangers,
    "wire": cold_wire,
    "wire-unchanged": unchanged_wire,
    "crowds": crowds,
    "pings": pings,
    "people": people,
}


def main() -> int:
    """Run what was asked for and print it."""
    asked = _arguments()
    before = os.getloadavg()[0]
    seen = {name: _run(name, asked.rounds) for name in asked.names or BENCHMARKS}
    machine = _machine(before)
    if asked.json:
        figures = [{"bench": name, **one.document()} for name, some in seen.items() for one in some]
        json.dump({"machine": machine, "rounds": asked.rounds, "figures": figures}, sys.stdout)
        print()
        return 0
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"median of {asked.rounds} rounds, with the least and the greatest; CPU unless wall\n")
    for name, figures_of_it in seen.items():
        _show(name, figures_of_it)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}; all if none")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="5 unless told")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    strange = [name for name in asked.names if name not in BENCHMARKS]
    if strange or asked.rounds < 1:
        parser.error(f"NAME is one of {names}, and N at least 1")
    return asked


def _run(name: str, rounds: int) -> list[Figure]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="passalong-bench-") as folder:
        return BENCHMARKS[name](Path(folder), rounds)


def _machine(load_before: float) -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cbor2": version("cbor2"),
        "pynacl": version("pynacl"),
        "cores": str(os.cpu_count()),
        "load": f"{load_before:.1f} to {os.getloadavg()[0]:.1f}",
    }


def _show(name: str, figures: list[Figure]) -> None:
    width = max(len(one.what) for one in figures)
    print(name)
    for one in figures:
        goal = f"goal {one.goal.name} <= {one.goal.most:g}" if one.goal else ""
        spread = f"[{_number(min(one.rounds))} .. {_number(max(one.rounds))}]"
        line = f"  {one.what:{width}}  {_number(one.median):>9} {one.unit:2}  {spread:22}  {goal}"
        print(line.rstrip())
    print()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
