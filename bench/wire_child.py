"""One node in a process of its own, for meetings over loopback.

    python -m bench.wire_child serve HOME          python -m bench.wire_child sync HOME PORT TIMES

``serve`` prints the port and, once its standard input ends, what it used; ``sync`` prints a line
for each meeting. CPU is of the process, its start and the opening of the home excluded.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final
from unittest import mock

from bench.child import peak_kib
from mesh.daemon import Options, run_node
from mesh.direct import open_port, real_world
from transports.gate import GateLimits

CROWDED: Final = GateLimits(links_each=600, half_open_each=64, a_minute=60_000, burst=600)
_COUNTERS: Final = Path("/proc/self/net/dev")
_LOOPBACK: Final = re.compile(r"lo:\s*(\d+)")


def loopback_bytes() -> int:
    """Return how many bytes went over loopback in this network namespace, all headers included."""
    found = _LOOPBACK.search(_COUNTERS.read_text("ascii")) if _COUNTERS.exists() else None
    return int(found[1]) if found else 0


def resident_kib() -> int:
    """Return how much memory is resident now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1_024


def _say(**said: object) -> None:
    print(json.dumps(said), flush=True)


async def _serve(home: Path, limits: GateLimits) -> None:
    async with run_node(home, real_world(), Options(port=0, gate=limits)) as port:
        (row,) = (await port.status()).transports
        began = time.process_time()
        _say(port=row.port, resident_kib=resident_kib())
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            _say(cpu=time.process_time() - began, resident_kib=resident_kib(), peak=peak_kib())


async def _sync(home: Path, port: str, times: int) -> None:
    async with open_port(home) as node:
        for _ in range(times):
            bytes_before, cpu, wall = loopback_bytes(), time.process_time(), time.perf_counter()
            done = await node.sync(f"127.0.0.1:{port}")
            _say(
                **asdict(done) | {"person": None},
                cpu=time.process_time() - cpu,
                wall=time.perf_counter() - wall,
                loopback=loopback_bytes() - bytes_before,
            )


def main() -> int:
    """Do what the arguments say; ``every`` as the first has every signature verified."""
    arguments = sys.argv[1:]
    if arguments[0] == "every":
        mock.patch("ledger.run.must_be_signed", return_value=True).start()
        arguments = arguments[1:]
    what, home, *rest = arguments
    if what == "serve":
        asyncio.run(_serve(Path(home), CROWDED if rest else GateLimits()))
    else:
        asyncio.run(_sync(Path(home), rest[0], int(rest[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
