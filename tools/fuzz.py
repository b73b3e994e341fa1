"""Fuzzes every decoder with atheris, which follows the branches taken: ``make fuzz``.

Each target of ``tools.fuzz_targets`` runs in a process of its own. Inputs that reach something new
stay in ``.fuzz/<target>`` and are where the next run starts; inputs that break something are in
``.fuzz/crashes`` and are tried again first. ``--replay FILE`` reads one, without atheris.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / ".fuzz"
CRASHES = FOLDER / "crashes"
RUNS = 1_000_000
WATCHED = ["ledger", "gossip", "transports", "mesh"]
MEGABYTES = 512
SECONDS_PER_INPUT = 5
REPORT_EVERY = 1 << 10

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tools.fuzz_target import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target; what was not told is 0.

    Attributes:
        name: The target's.
        code: How its process ended; 0 is well.
        inputs: How many were read.
        accepted: How many of them were accepted.
        seconds: How long that took.
        edges: Branches reached in the code under test.
        features: The same with how often.
        megabytes: The most memory the process had.
        crashes: Inputs that broke something.
        log: What the process said last.
    """

    name: str
    code: int
    inputs: int
    accepted: int
    seconds: float
    edges: int
    features: int
    megabytes: int
    crashes: tuple[Path, ...]
    log: str


def fuzz(name: str, runs: int, seconds: int) -> Outcome:
    """Run one target in its own process and wait for it."""
    corpus, log = FOLDER / name, FOLDER / f"{name}.log"
    corpus.mkdir(parents=True, exist_ok=True)
    for crash in CRASHES.glob(f"{name}.*"):
        crash.replace(corpus / crash.name)
    command = [sys.executable, "-m", "tools.fuzz", "--worker", name]
    start = time.monotonic()
    with log.open("wb") as out:
        done = subprocess.run(
            [*command, "--runs", str(runs), "--seconds", str(seconds)],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = log.read_text("utf-8", "replace")
    read = partial(_last, text)
    return Outcome(
        name,
        done.returncode,
        read(r"number_of_executed_units: (\d+)") or read(r"(?m)^#(\d+)"),
        read(r"accepted (\d+)"),
        time.monotonic() - start,
        read(r" cov: (\d+)"),
        read(r" ft: (\d+)"),
        read(r"peak_rss_mb: +(\d+)"),
        tuple(sorted(CRASHES.glob(f"{name}.*"))),
        "\n".join(text.splitlines()[-30:]),
    )


def _last(text: str, pattern: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def work(name: str, runs: int, seconds: int) -> NoReturn:
    """Fuzz one target in this process; atheris ends it."""
    import atheris  # noqa: PLC0415  only a worker has it

    from tools.fuzz_mutations import mutate  # noqa: PLC0415  unwatched, so faster

    for module in [module for module in sys.modules if module.partition(".")[0] in WATCHED]:
        del sys.modules[module]
    with atheris.instrument_imports(include=WATCHED):
        from tools.fuzz_targets import TARGETS  # noqa: PLC0415  its imports are to be watched
    target = next(target for target in TARGETS if target.name == name)
    runs //= target.cost
    seeds = [bytes(seed) for seed in target.seeds()]
    corpus = FOLDER / name
    for seed in seeds:
        (corpus / sha256(seed).hexdigest()[:40]).write_bytes(seed)

    def spoil(data: bytes, most: int, seed: int) -> bytes:
        dice = Random(seed)
        if dice.randrange(2):
            return bytes(atheris.Mutate(data, most))
        return mutate(data, dice, seeds, target.cbor_at)[:most]

    options = {
        "runs": runs,
        "max_total_time": seconds,
        "max_len": target.max_bytes,
        "rss_limit_mb": MEGABYTES,
        "timeout": SECONDS_PER_INPUT,
        "mutate_depth": 2,
        "artifact_prefix": f"{CRASHES / name}.",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *flags, str(corpus)], _counted(target, runs), custom_mutator=spoil)
    atheris.Fuzz()
    raise SystemExit


def _counted(target: Target[Any], runs: int) -> Callable[[bytes], None]:
    count = accepted = 0

    def read(data: bytes) -> None:
        nonlocal count, accepted
        count += 1
        accepted += target(data)
        if count % REPORT_EVERY == 0 or count == runs:
            print(f"accepted {accepted} of {count}", flush=True)

    return read


def replay(name: str, path: Path) -> int:
    """Read one input with one target; what it breaks is shown as Python shows it."""
    from tools.fuzz_targets import TARGETS  # noqa: PLC0415  slow, and a worker must come first

    target = next(target for target in TARGETS if target.name == name)
    print("accepted" if target(path.read_bytes()) else "refused")
    return 0


def run(names: Sequence[str], runs: int, seconds: int, jobs: int) -> list[Outcome]:
    """Fuzz the named targets, ``jobs`` at a time, and print a row for each as it ends."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    print(f"{'target':<20}{'inputs':>10}{'accepted':>10}{'seconds':>9}", end="")
    print(f"{'edges':>7}{'features':>10}{'MB':>5}  crashes", flush=True)
    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda name: fuzz(name, runs, seconds), names):
            outcomes.append(outcome)
            _print_row(outcome)
    return outcomes


def _print_row(outcome: Outcome) -> None:
    print(
        f"{outcome.name:<20}{outcome.inputs:>10}{outcome.accepted:>10}{outcome.seconds:>9.0f}"
        f"{outcome.edges:>7}{outcome.features:>10}{outcome.megabytes:>5}  {len(outcome.crashes)}",
        flush=True,
    )
    for crash in outcome.crashes:
        again = f"tools/fuzz.py --only {outcome.name} --replay {crash.relative_to(ROOT)}"
        print(f"    {crash.stat().st_size} bytes, again: {again}", flush=True)
    if outcome.code != 0:
        print("    " + outcome.log.replace("\n", "\n    "), flush=True)


def main() -> int:
    """Run from the command line; return 0 when nothing broke."""
    parser = argparse.ArgumentParser(description="Feed hostile bytes to every decoder.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"inputs each (default {RUNS:,})")
    parser.add_argument("--seconds", type=int, default=0, help="stop each after so many")
    parser.add_argument("--only", metavar="GLOB", default="*", help="names of targets")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default 2)")
    parser.add_argument("--replay", metavar="FILE", type=Path, help="read FILE with the target")
    parser.add_argument("--worker", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.runs, arguments.seconds)
    names = _names(arguments.only)
    if not names:
        print(f"error: no target is called {arguments.only}", file=sys.stderr)
        return 1
    if arguments.replay:
        return replay(names[0], arguments.replay)
    if importlib.util.find_spec("atheris") is None:
        print("error: atheris is not installed; `make fuzz` installs it", file=sys.stderr)
        return 1
    outcomes = run(names, arguments.runs, arguments.seconds, max(1, arguments.jobs))
    broken = [outcome.name for outcome in outcomes if outcome.code != 0 or outcome.crashes]
    total = sum(outcome.inputs for outcome in outcomes)
    print(f"{total:,} inputs, {len(outcomes) - len(broken)} of {len(outcomes)} targets unharmed")
    return 1 if broken else 0


def _names(pattern: str) -> list[str]:
    from tools.fuzz_targets import TARGETS  # noqa: PLC0415  slow, and a worker must come first

    return [target.name for target in TARGETS if fnmatch(target.name, pattern)]


if __name__ == "__main__":
    sys.exit(main())
