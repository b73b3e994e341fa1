"""Plants each known fault in a copy of the tree and sees that the named test catches it.

A fault is a patch in ``tests/mutants`` that opens with lines such as::

    # fault: a block may follow nothing at seq 2
    # caught-by: tests/ledger/test_block.py::test_only_the_first_block_follows_nothing

Every test named must pass without the patch and fail with it. The working tree is never touched.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATCHES = Path("tests/mutants")
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", ".fuzz"),
    *("build", "dist", "*.egg-info"),
)
PYTEST = ["-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", ""]
SECONDS_PER_TEST = 300

PASSED, FAILED = 0, 1  # pytest's exit codes; the others mean that no test gave a verdict


class MutantError(Exception):
    """The patch cannot be tried as it is; its file must be mended."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault.

    Attributes:
        patch: File that plants it, relative to the tree.
        fault: What is then wrong, in a sentence.
        caught_by: Tests, as pytest spells them, each of which must fail.
    """

    patch: Path
    fault: str
    caught_by: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Mutant":
        """Read the header lines of a patch file.

        Raises:
            MutantError: There is no ``# fault:`` or no ``# caught-by:`` line.
        """
        header = list(_header(path.read_text(encoding="utf-8")))
        faults = [text for key, text in header if key == "fault"]
        tests = tuple(text for key, text in header if key == "caught-by")
        if not faults or not tests:
            raise MutantError(f"{path.name}: needs a '# fault:' and a '# caught-by:' line")
        return cls(path.relative_to(ROOT), " ".join(faults), tests)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant: ``verdict`` is ``caught`` or says what is wrong."""

    mutant: Mutant
    verdict: str
    seconds: float
    output: str = ""


def _header(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.startswith(("diff ", "--- ")):
            return
        key, colon, value = line.removeprefix("#").strip().partition(":")
        if line.startswith("#") and colon and value.strip():
            yield key.strip(), value.strip()


def _environment(tree: Path) -> dict[str, str]:
    # An editable install points at the working tree, so the copy must come first on the path, in
    # children of the tests too. Byte code is left unwritten because a patch that keeps a file's
    # size, applied within a second, would be hidden behind the old one.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTEST_"))}
    return kept | {
        "HYPOTHESIS_PROFILE": "ci",
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CEILING_DIRECTORIES": str(tree.parent),
    }


def _pytest(tree: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [sys.executable, *PYTEST, *tests],
            cwd=tree,
            env=_environment(tree),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_PER_TEST * len(tests),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {SECONDS_PER_TEST * len(tests)} s"
    return done.returncode, done.stdout


def _apply(tree: Path, patch: Path, *how: str) -> str:
    """Apply ``patch`` (or undo it, with ``--reverse``) and return git's complaint, if any."""
    done = subprocess.run(
        ["git", "apply", *how, str(ROOT / patch)],
        cwd=tree,
        env=_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""


def _verdict(tree: Path, mutant: Mutant) -> tuple[str, str]:
    for test in mutant.caught_by:
        code, output = _pytest(tree, (test,))
        if code == PASSED:
            return "SURVIVED", f"{test} passes with the fault in place"
        if code != FAILED:
            return f"NO VERDICT ({code})", f"{test}\n{output}"
    return "caught", ""


def try_one(mutant: Mutant, trees: "queue.Queue[Path]") -> Outcome:
    """Plant one fault in a free copy of the tree, run its tests, and take it out again."""
    tree = trees.get()
    start = time.monotonic()
    try:
        complaint = _apply(tree, mutant.patch)
        if complaint:
            return Outcome(mutant, "DOES NOT APPLY", time.monotonic() - start, complaint)
        verdict, output = _verdict(tree, mutant)
        complaint = _apply(tree, mutant.patch, "--reverse")
        if complaint:
            raise MutantError(f"{mutant.patch.name}: cannot be taken out again: {complaint}")
        return Outcome(mutant, verdict, time.monotonic() - start, output)
    finally:
        trees.put(tree)


def run(mutants: list[Mutant], jobs: int) -> list[Outcome]:
    """Try all mutants, ``jobs`` at a time, and print a row for each as it ends.

    Raises:
        MutantError: A named test does not pass without any fault.
    """
    width = max(len(mutant.patch.stem) for mutant in mutants)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(jobs):
            tree = Path(folder) / str(number)
            shutil.copytree(ROOT, tree, ignore=NOT_COPIED, symlinks=True)
            trees.put(tree)
        tests = tuple(sorted({test for mutant in mutants for test in mutant.caught_by}))
        code, output = _pytest(Path(folder) / "0", tests)
        if code != PASSED:
            raise MutantError(f"the named tests must pass without any fault:\n{output}")
        print(f"{len(tests)} tests pass without any fault")
        with ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(lambda mutant: try_one(mutant, trees), mutants):
                _print_row(outcome, width)
                outcomes.append(outcome)
    return outcomes


def _print_row(outcome: Outcome, width: int) -> None:
    mutant = outcome.mutant
    name = f"{mutant.patch.stem:<{width}}"
    print(f"{outcome.verdict:<14}  {outcome.seconds:5.1f} s  {name}  {mutant.fault}", flush=True)
    for test in mutant.caught_by:
        print(f"{'':25}{'':<{width}}    by {test}")
    if outcome.output:
        print("    " + outcome.output.strip().replace("\n", "\n    "), flush=True)


def main() -> int:
    """Run from the command line; return 0 when every fault was caught."""
    parser = argparse.ArgumentParser(description="Plant each known fault and see it caught.")
    parser.add_argument("--only", metavar="GLOB", default="*", help="patch names without .patch")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default 2)")
    arguments = parser.parse_args()
    paths = sorted(ROOT.joinpath(PATCHES).glob("*.patch"))
    chosen = [path for path in paths if fnmatch(path.stem, arguments.only)]
    if not chosen:
        print(f"error: no patch in {PATCHES} is called {arguments.only}", file=sys.stderr)
        return 1
    try:
        outcomes = run([Mutant.read(path) for path in chosen], max(1, arguments.jobs))
    except MutantError as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 1
    caught = sum(outcome.verdict == "caught" for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} planted faults caught")
    return 0 if caught == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
