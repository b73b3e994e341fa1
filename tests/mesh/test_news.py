"""Whoever watches a node misses nothing, however slow he is."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from mesh.news import SUBJECTS, News
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from collections.abc import Set as AbstractSet

    from mesh.port import Subject


def watch(news: News) -> AsyncGenerator[AbstractSet[Subject], None]:
    return cast("AsyncGenerator[AbstractSet[Subject], None]", news.watch())


async def is_quiet(watching: AsyncGenerator[AbstractSet[Subject], None]) -> bool:
    waiting = asyncio.ensure_future(anext(watching))
    done, _ = await asyncio.wait([waiting], timeout=1_000)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not done


def test_who_begins_to_watch_is_told_everything_first_and_then_what_changes() -> None:
    async def scenario() -> None:
        news = News()
        news.tell("peers")  # before anybody watched
        async with aclosing(watch(news)) as watching:
            assert await anext(watching) == SUBJECTS
            news.tell("feed")
            assert await anext(watching) == {"feed"}
            assert await is_quiet(watching)

    run_virtual(scenario())


def test_what_changes_while_nobody_asks_is_told_together_and_once() -> None:
    async def scenario() -> None:
        news = News()
        async with aclosing(watch(news)) as watching:
            await anext(watching)
            for _ in range(1_000):
                news.tell("feed", "status")
            news.tell("peers")
            assert await anext(watching) == {"feed", "status", "peers"}
            news.tell("feed")
            assert await anext(watching) == {"feed"}

    run_virtual(scenario())


def test_one_who_is_slow_takes_nothing_from_the_others() -> None:
    async def scenario() -> None:
        news = News()
        async with aclosing(watch(news)) as slow, aclosing(watch(news)) as quick:
            assert await anext(slow) == await anext(quick) == SUBJECTS
            news.tell("feed")
            assert await anext(quick) == {"feed"}
            news.tell("peers")
            assert await anext(quick) == {"peers"}
            assert await anext(slow) == {"feed", "peers"}

    run_virtual(scenario())


def test_who_waits_is_woken_by_news_that_comes_later() -> None:
    async def scenario() -> None:
        news = News()
        async with aclosing(watch(news)) as watching:
            await anext(watching)
            asyncio.get_running_loop().call_later(5, news.tell, "contacts")
            assert await anext(watching) == {"contacts"}

    _, seconds = run_virtual(scenario())
    assert seconds == 5


def test_nothing_is_kept_for_who_has_stopped_watching() -> None:
    async def scenario() -> None:
        news = News()
        for _ in range(10):
            async with aclosing(watch(news)) as watching:
                await anext(watching)
        watching = watch(news)
        await anext(watching)
        waiting = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not news._watchers

    run_virtual(scenario())
