"""An asyncio loop whose clock jumps to the next timer as soon as every task waits.

For what uses only tasks, timers and links in memory: an hour takes no time, comes out the same
every time, and a deadlock is an error instead of a hang. Not for anything that is done elsewhere
meanwhile: sockets and threads take real time, in which this clock would already have jumped.
``asyncio.to_thread`` is therefore refused. A library with threads of its own, such as aiosqlite,
cannot be noticed: what waits for it ends in a DeadlockError or in a timeout that came too early.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from typing_extensions import override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class DeadlockError(Exception):
    """Every task waits, and no timer is left that could end it."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Begins at 0.0 seconds and moves only when every task waits.

    Attributes:
        now: Virtual seconds.
        overlooked: What was raised where nobody could catch it: in a timer, in a task that
            nobody awaited.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.overlooked: list[BaseException] = []
        super().__init__(_JumpingSelector(self))
        # A timer is due when it is earlier than now plus this. Floats after 97 days are too coarse
        # for the real clock's nanosecond: the sum would be now, and the loop would spin for ever.
        self._clock_resolution = 1e-6
        self.set_exception_handler(self._note)

    @override
    def time(self) -> float:
        return self.now

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise RuntimeError("virtual time does not wait for threads")

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.overlooked.append(context.get("exception") or RuntimeError(context["message"]))


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise DeadlockError("every task waits for something that cannot happen")
        self._loop.now += timeout
        return []


def run_virtual(main: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run ``main``; return its result and the virtual seconds it took.

    Tasks that are left over are cancelled, and have virtual time to end in.

    Raises:
        DeadlockError: Nothing could ever happen any more, in ``main`` or in what was left over.
        ExceptionGroup: ``main`` is well, but something was raised where nobody could catch it.
    """
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        seconds = loop.now
    if loop.overlooked:
        raise BaseExceptionGroup("raised beside the main task", loop.overlooked)
    return result, seconds
