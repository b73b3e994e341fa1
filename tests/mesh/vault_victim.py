"""Processes that kill themselves at a chosen step of something that is done to a vault.

``python -m tests.mesh.vault_victim LOGIN`` forks one for every line ``DEED HOME STEP``, and says
how it ended. A step is before, in the middle of, or after a write, a sync, a rename, the removal of
a file, or a commit; it dies by SIGKILL, as if from outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from ledger.store.connection import Connection
from mesh import login_session, passphrase
from mesh.direct import confirm_words, init_home, open_port, wipe_home
from tests.mesh.places import World
from tests.mesh.vaults import CHEAP, OTHER, PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Steps:
    """Counts steps; the last is the end."""

    def __init__(self, left: int) -> None:
        self._left = left

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, real: Callable[..., Any], *given: Any, **named: Any) -> Any:  # noqa: ANN401
        self.step()
        done = real(*given, **named)
        self.step()
        return done

    def in_halves(self, real: Callable[[int, bytes], int], file: int, data: bytes) -> int:
        self.step()
        done = real(file, data[: len(data) // 2])
        self.step()
        return done + real(file, data[len(data) // 2 :])

    def set(self) -> None:
        for name in ("fsync", "replace", "unlink", "rmdir"):
            mock.patch.object(os, name, partial(self.around, getattr(os, name))).start()
        mock.patch.object(os, "write", partial(self.in_halves, os.write)).start()
        commit = Connection.commit
        steps = self

        def stepped(connection: Connection) -> None:
            steps.around(commit, connection)

        mock.patch.object(Connection, "commit", stepped).start()


async def _open(home: Path) -> None:
    async with open_port(home, World(1).around) as port:
        await port.whoami()


async def _lock(home: Path) -> None:
    async with open_port(home, World(1).around) as port:
        await port.lock(PASSPHRASE)


async def _change(home: Path) -> None:
    async with open_port(home, World(1).around, is_command=True) as port:
        await port.unlock(PASSPHRASE)
        await port.lock(OTHER, new=True)


async def _forget(home: Path) -> None:
    async with open_port(home, World(1).around) as port:
        await port.unlock(PASSPHRASE, forget=True)


async def _init(home: Path) -> None:
    await init_home(home, "Ann", World(1).around, passphrase=PASSPHRASE)
    await confirm_words(home, World(1).around)


async def _wipe(home: Path) -> None:
    await wipe_home(home, World(1).around)


DEEDS: Final[dict[str, Callable[[Path], Coroutine[Any, Any, None]]]] = {
    "open": _open,
    "lock": _lock,
    "change": _change,
    "forget": _forget,
    "init": _init,
    "wipe": _wipe,
}


def suffer(deed: str, home: Path, step: int) -> None:
    """Do the deed; exit with 0 if its steps were fewer than ``step``."""
    status = 1
    try:
        Steps(step).set()
        asyncio.run(DEEDS[deed](home))
        status = 0
    except BaseException:  # noqa: BLE001  said, then the process ends all the same
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    os.environ["XDG_RUNTIME_DIR"] = sys.argv[1]
    mock.patch.object(passphrase, "USUAL", CHEAP).start()
    mock.patch.object(login_session, "is_in_memory", return_value=True).start()
    for line in sys.stdin:
        deed, home, step = line.split()
        child = os.fork()
        if child == 0:
            suffer(deed, Path(home), int(step))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
