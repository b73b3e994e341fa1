"""Tasks that somebody owns end when he ends them, and do not fail unnoticed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from mesh.tasks import Tasks
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    import pytest


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_a_task_that_is_done_is_forgotten() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        tasks.begin(asyncio.sleep(1))
        assert len(tasks) == 1
        await asyncio.sleep(2)
        assert len(tasks) == 0

    run_virtual(scenario())


def test_one_that_fails_is_told_of_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        tasks = Tasks()
        tasks.begin(for_ever())
        tasks.begin(fail())
        await asyncio.sleep(1)
        assert len(tasks) == 1
        await tasks.cancel()
        assert len(tasks) == 0

    with caplog.at_level(logging.ERROR, "passalong"):
        run_virtual(scenario())
    (record,) = caplog.records
    assert "report it" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_one_that_is_cancelled_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        tasks = Tasks()
        tasks.begin(for_ever())
        await tasks.cancel()

    run_virtual(scenario())
    assert not caplog.records


def test_those_that_take_time_to_end_are_waited_for_and_those_that_begin_meanwhile_too() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        tasks = Tasks()

        async def late() -> None:
            try:
                await for_ever()
            finally:
                ended.append("late")

        async def slow() -> None:
            try:
                await for_ever()
            finally:
                tasks.begin(late())
                await asyncio.sleep(3)
                ended.append("slow")

        tasks.begin(slow())
        await asyncio.sleep(1)
        await tasks.cancel()
        assert len(tasks) == 0

    run_virtual(scenario())
    assert sorted(ended) == ["late", "slow"]


def test_ending_none_is_done_at_once() -> None:
    _, seconds = run_virtual(Tasks().cancel())
    assert seconds == 0
