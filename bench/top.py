"""Where the time of one meeting goes, function by function.

python -m bench.top tail|cold [NUMBER OF THE SHAPE]
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.syncing import cold_shapes, give_once, tail_shapes

SHOWN: Final = 40


def main() -> int:
    """Profile it; times are longer than without, calls of small functions most of all."""
    name, *rest = sys.argv[1:] or ["tail"]
    shapes = {"tail": tail_shapes, "cold": cold_shapes}[name]()
    shape = shapes[int(rest[0]) if rest else 0]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(prefix="passalong-bench-") as folder:
        give_once(Path(folder), shape, profile)
    print(f"{shape.name}, {shape.blocks:,} blocks")
    pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
