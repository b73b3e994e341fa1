"""Two processes that meet until one is killed: ``python -m tests.crash.meeting_victims BOARD``.

Jobs come as lines on standard input. For each the parent forks a host, whose node runs, and a
guest, who visits it again and again; both write posts all the time. Facts are one JSON line each.
When one of the two is dead, the other has to notice, and end in order: the guest by himself, the
host when it is told to.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from mesh.daemon import Options, run_node
from mesh.direct import open_port, real_world
from mesh.port import PortError
from tests.crash.deeds import TEXTS, Fact
from tests.crash.phases import Board, Deed
from tests.crash.system_calls import library, watch_writes
from tests.crash.trap import Kind, Trap
from tests.crash.victim import ENOUGH, say
from transports.gate import GateLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mesh.port import NodePort

OPEN = GateLimits(10_000, 10_000, 20_000, 20_000, 600_000, 600_000, 30_000)
"""A gate that is in nobody's way: a guest comes more often here than any would."""


class Side(IntEnum):
    """Who of the two."""

    HOST = 0
    GUEST = 1


@dataclass(frozen=True)
class Meeting:
    """What two are to do, and which of them dies where."""

    seed: int
    homes: tuple[str, str]
    dies: Side
    trap: str
    at: int

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, line: str) -> Meeting:
        said = json.loads(line)
        return cls(**said | {"dies": Side(said["dies"]), "homes": tuple(said["homes"])})


class Victim:
    """One of the two.

    Args:
        job: What both do.
        side: Which of them it is.
    """

    def __init__(self, job: Meeting, side: Side) -> None:
        self.home = Path(job.homes[side])
        self._random = Random(f"{job.seed} {side.name}")

    async def host(self, tell: Callable[[int], None]) -> None:
        """Run a node until told to stop, and write now and then."""
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        async with run_node(self.home, real_world(), Options(port=0, gate=OPEN)) as port:
            (listening,) = port.listening()
            assert listening.port is not None
            tell(listening.port)
            while not told.is_set():
                await self._post(port)
                await asyncio.sleep(self._random.random() * 0.02)

    async def visit(self, number: int) -> None:
        """Write and visit, until nobody is there any more."""
        async with open_port(self.home, real_world()) as port:
            for _ in range(ENOUGH):
                for _ in range(self._random.randint(0, 3)):
                    await self._post(port)
                try:
                    done = await port.sync(f"127.0.0.1:{number}")
                except PortError:
                    return
                if not done.complete:
                    return
                say(Fact("synced", str(self.home), [done.received, done.sent]))

    async def _post(self, port: NodePort) -> None:
        text = f"{self._random.randrange(1 << 30)} ".ljust(self._random.choice(TEXTS), "x")
        posted = await port.post(text)
        say(Fact("posted", str(self.home), [posted.seq, posted.id.hex()]))


def suffer(job: Meeting, side: Side, board: Board, doing: Coroutine[object, object, None]) -> None:
    """Do one side's part, with a trap if it is the one who dies of it."""
    if side is job.dies:
        board.begin(Deed.GROUP)
        trap = Trap(board, Kind(job.trap), job.at)
        trap.set()
        if library() is not None:
            watch_writes(trap.see_write)
    say(Fact("pid", job.homes[side], [side, os.getpid()]))
    asyncio.run(doing)


def begin(job: Meeting, side: Side, board: Board, doing: Coroutine[object, object, None]) -> int:
    """Fork one of the two; return its process id."""
    child = os.fork()
    if child:
        doing.close()
        return child
    status = 1
    try:
        suffer(job, side, board, doing)
        status = 0
    except BaseException:  # noqa: BLE001  said, then the process ends all the same
        traceback.print_exc()
    finally:
        os._exit(status)


def let_meet(job: Meeting, board: Board) -> None:
    """Run both to their ends, and say how each ended."""
    listens, tells = os.pipe()
    host = begin(job, Side.HOST, board, Victim(job, Side.HOST).host(lambda port: tell(tells, port)))
    os.close(tells)
    number = int(os.read(listens, 16) or b"0")  # of a host that died before, nothing
    os.close(listens)
    guest = begin(job, Side.GUEST, board, Victim(job, Side.GUEST).visit(number or 1))
    ended: dict[int, int] = {}
    while len(ended) < 2:
        child, status = os.wait()
        ended[child] = os.waitstatus_to_exitcode(status)
        if child == guest and host not in ended:
            os.kill(host, signal.SIGTERM)
    say(Fact("ended", "", [ended[host], ended[guest]]))


def tell(pipe: int, port: int) -> None:
    os.write(pipe, str(port).encode())
    os.close(pipe)


def main() -> None:
    board = Board(Path(sys.argv[1]))
    for line in sys.stdin:
        let_meet(Meeting.decode(line), board)


if __name__ == "__main__":
    main()
