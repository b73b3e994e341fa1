import asyncio
import gc
import time
from collections.abc import AsyncIterator

import pytest

from tests.virtual_time import DeadlockError, run_virtual


def test_a_year_passes_in_no_time() -> None:
    started = time.perf_counter()
    assert run_virtual(asyncio.sleep(365 * 86_400.0, "grown up")) == ("grown up", 365 * 86_400.0)
    assert time.perf_counter() - started < 5


def test_what_never_waits_takes_no_virtual_time() -> None:
    async def busy() -> int:
        for _ in range(1000):
            await asyncio.sleep(0)
        return 7

    assert run_virtual(busy()) == (7, 0.0)


def test_sleepers_wake_in_the_order_of_their_clocks() -> None:
    async def scenario() -> list[tuple[str, float]]:
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append((name, asyncio.get_running_loop().time()))

        await asyncio.gather(sleeper("late", 9.0), sleeper("early", 0.5), sleeper("mid", 3.0))
        return woken

    woken, seconds = run_virtual(scenario())
    assert woken == [("early", 0.5), ("mid", 3.0), ("late", 9.0)]
    assert seconds == 9.0


def test_a_timeout_takes_as_long_as_it_says() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30.0)

    assert run_virtual(scenario()) == (None, 30.0)


def test_waiting_for_what_cannot_happen_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(DeadlockError):
        run_virtual(asyncio.Event().wait())


def test_two_tasks_that_wait_for_each_other_are_an_error_and_not_a_hang() -> None:
    async def scenario() -> None:
        mine, yours = asyncio.Event(), asyncio.Event()

        async def give(gift: asyncio.Event, after: asyncio.Event) -> None:
            await after.wait()
            gift.set()

        await asyncio.gather(give(mine, yours), give(yours, mine))

    with pytest.raises(DeadlockError):
        run_virtual(scenario())


def test_a_deadlock_is_noticed_as_soon_as_no_timer_is_left() -> None:
    clock: list[float] = []

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(
            60.0, lambda: clock.append(asyncio.get_running_loop().time())
        )
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run_virtual(scenario())
    assert clock == [60.0]


def test_tasks_that_are_left_over_are_cancelled_and_may_take_leave() -> None:
    farewells: list[str] = []

    async def servant() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5.0)
            farewells.append("goodbye")

    async def scenario() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(servant())]
        await asyncio.sleep(1.0)
        return tasks

    (task,), seconds = run_virtual(scenario())
    assert farewells == ["goodbye"]
    assert task.cancelled()
    # and what they take for it is not counted
    assert seconds == 1.0


def test_tasks_are_cleaned_up_after_a_deadlock_too() -> None:
    farewells: list[str] = []

    async def scenario() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            farewells.append("goodbye")

    with pytest.raises(DeadlockError):
        run_virtual(scenario())
    assert farewells == ["goodbye"]


def test_generators_that_were_not_exhausted_are_closed() -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1.0)
            closed.append(True)

    async def scenario() -> AsyncIterator[int]:
        unfinished = numbers()
        await anext(unfinished)
        return unfinished

    run_virtual(scenario())
    assert closed == [True]


def test_what_the_main_task_raises_comes_out() -> None:
    async def scenario() -> None:
        await asyncio.sleep(1.0)
        raise LookupError("nobody home")

    with pytest.raises(LookupError, match="nobody home"):
        run_virtual(scenario())


def test_a_timer_that_fails_is_not_overlooked() -> None:
    async def scenario() -> None:
        nobody: dict[str, str] = {}
        asyncio.get_running_loop().call_later(1.0, nobody.__getitem__, "missing")
        await asyncio.sleep(2.0)

    with pytest.raises(BaseExceptionGroup) as caught:
        run_virtual(scenario())
    assert [type(error) for error in caught.value.exceptions] == [KeyError]


def test_a_task_that_fails_while_nobody_looks_is_not_overlooked() -> None:
    async def failing() -> None:
        raise LookupError("nobody home")

    async def scenario() -> None:
        task = asyncio.create_task(failing())
        await asyncio.wait([task])
        del task
        gc.collect()

    with pytest.raises(BaseExceptionGroup) as caught:
        run_virtual(scenario())
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


def test_threads_are_refused_for_their_time_is_real() -> None:
    async def scenario() -> None:
        await asyncio.to_thread(time.monotonic)

    with pytest.raises(RuntimeError, match="threads"):
        run_virtual(scenario())
