"""The process that is killed: ``python -m tests.crash.victim BOARD`` forks one for every job.

Jobs come as lines on standard input. A victim says its process id, then its facts, one JSON line
each; when it is dead its parent says how it died. The parent has imported all there is to import
and has no threads and no event loop, so a victim costs a fork and not a start of Python.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import traceback
from pathlib import Path

from tests.crash.deeds import Fact, Job, Worker
from tests.crash.phases import Board
from tests.crash.system_calls import library, watch_writes
from tests.crash.trap import Kind, Trap

ENOUGH = 400  # sessions: a victim that nobody kills ends some day


def say(fact: Fact) -> None:
    """Say a fact; a line this short arrives whole or not at all."""
    os.write(1, f"{json.dumps(fact)}\n".encode())


def suffer(job: Job, board: Board) -> None:
    """Do the job until something kills this process."""
    board.begin(job.deed)
    trap = Trap(board, Kind(job.trap), job.at)
    trap.set()
    if library() is not None:
        watch_writes(trap.see_write)
    say(Fact("pid", "", [os.getpid()]))
    asyncio.run(Worker(job, say).work(itertools.islice(itertools.count(), ENOUGH)))


def main() -> None:
    board = Board(Path(sys.argv[1]))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                suffer(Job.decode(line), board)
                status = 0
            except BaseException:  # noqa: BLE001  said, then the process ends all the same
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        say(Fact("ended", "", [os.waitstatus_to_exitcode(status)]))


if __name__ == "__main__":
    main()
