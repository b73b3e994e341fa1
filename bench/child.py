"""One piece of work in a process of its own, so that its memory is its own too.

    python -m bench.child import HOME FILE...     python -m bench.child export HOME FILE

Prints what came of it as one JSON document. (The greatest resident size that ``wait`` reports of
a child can be its parent's, from before the child became what it is; this one is not.)
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.measure import lap
from bench.starting import ROOT
from mesh.direct import open_port

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS: Final = Path("/proc/self/status")
_PEAK: Final = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(slots=True)
class Done:
    """What a child did.

    Attributes:
        new: Blocks that were new; of an export, blocks written.
        known: Blocks that were not.
        refused: Whatever did not hold.
        whole: Whether every file was whole.
        bytes: Read or written.
        cpu: Seconds of user and system time, start and opening of the home excluded.
        wall: Seconds.
        idle_kib: Memory at most, before the work.
        peak_kib: Memory at most, after it.
    """

    new: int = 0
    known: int = 0
    refused: int = 0
    whole: bool = True
    bytes: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    idle_kib: int = 0
    peak_kib: int = 0


def peak_kib() -> int:
    """Return the most memory this process ever had resident."""
    found = _PEAK.search(_STATUS.read_text("ascii")) if _STATUS.exists() else None
    return int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_child(what: str, home: Path, files: Sequence[Path]) -> Done:
    """Have a child do ``what`` on ``home``, and return what it says."""
    line = [sys.executable, "-m", "bench.child", what, str(home), *map(str, files)]
    ended = subprocess.run(line, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    return Done(**json.loads(ended.stdout))


async def _take_in(home: Path, files: Sequence[Path]) -> Done:
    done = Done()
    async with open_port(home) as port:
        done.idle_kib = peak_kib()
        with lap() as taken:
            for file in files:
                imported = await port.import_bundle(file)
                done.new += imported.new_blocks
                done.known += imported.known_blocks
                done.refused += imported.refused
                done.whole &= imported.complete
    done.bytes = sum(file.stat().st_size for file in files)
    done.cpu, done.wall, done.peak_kib = taken.cpu, taken.wall, peak_kib()
    return done


async def _give_out(home: Path, file: Path) -> Done:
    done = Done()
    async with open_port(home) as port:
        done.idle_kib = peak_kib()
        with lap() as taken:
            exported = await port.export_bundle(file)
    done.new, done.bytes = exported.blocks, exported.bytes
    done.cpu, done.wall, done.peak_kib = taken.cpu, taken.wall, peak_kib()
    return done


def main() -> int:
    """Do what the arguments say."""
    what, home, *files = sys.argv[1:]
    paths = [Path(file) for file in files]
    work = _take_in(Path(home), paths) if what == "import" else _give_out(Path(home), paths[0])
    print(json.dumps(asdict(asyncio.run(work))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
