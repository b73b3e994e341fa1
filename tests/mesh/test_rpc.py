"""Calls over the control socket: all that can be asked, in time and out of it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.direct import DirectPort, init_home
from mesh.news import SUBJECTS, News
from mesh.node import open_node
from mesh.port import NodePort, PortError
from mesh.rows import FeedRow, Posted
from mesh.rpc import CALLS, SocketPort
from mesh.rpc_methods import METHODS
from mesh.rpc_server import serve_port
from tests.mesh.places import World
from tests.mesh.rpc_places import line_to, reached, serving, until
from tests.mesh.rpc_samples import values

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from mesh.rpc_spelling import Hint

METHOD_NAMES = sorted(name for name in vars(NodePort) if not name.startswith("_"))
STOPPED = "the node stopped"


async def _through_the_socket(
    name: str, whole: dict[str, Any], answer: object
) -> tuple[dict[str, Any], object]:
    """Return with what a method is called, and what comes of it."""
    heard: dict[str, Any] = {}

    async def called(**arguments: object) -> object:
        heard.update(arguments)
        return answer

    async def yielding(**arguments: object) -> AsyncIterator[object]:
        heard.update(arguments)
        for item in cast("list[object]", answer):
            yield item

    doing: dict[str, Any] = {name: yielding if METHODS[name].yields else called}
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), **doing), reached(Path(folder)) as port:
            calling = getattr(port, name)(**whole)
            if METHODS[name].yields:
                return heard, [item async for item in calling]
            return heard, await calling


@pytest.mark.parametrize("name", METHOD_NAMES)
@settings(max_examples=5)
@given(data=st.data())
def test_every_method_of_the_port_works_through_the_socket(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    whole = {part: data.draw(values(spelled)) for part, spelled in method.parts.items()}
    answers = values(method.answer)
    answer = data.draw(st.lists(answers, max_size=3) if method.yields else answers)
    heard, came = asyncio.run(_through_the_socket(name, whole, answer))
    assert came == answer
    assert set(heard) == set(whole)
    assert {k: v for k, v in heard.items() if not callable(v)} == {
        k: v for k, v in whole.items() if not callable(v)
    }


def test_a_port_of_the_socket_has_each_method_of_the_protocol() -> None:
    for name in METHOD_NAMES:
        assert callable(getattr(SocketPort, name))


async def test_a_call_that_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path), reached(tmp_path) as port:
        with pytest.raises(TypeError, match="missing a required argument: 'text'"):
            await port.post()  # type: ignore[call-arg]
        with pytest.raises(PortError, match="bytes at once are too many; give it less"):
            await port.post("x" * (5 << 20))


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["no such post; see `feed`", "half \ud800", "ä\U0001f33b", "%s {}"]
)
async def test_a_refusal_arrives_as_it_was_said(tmp_path: Path, text: str) -> None:
    async def check() -> None:
        raise PortError(text)

    async with serving(tmp_path, check=check), reached(tmp_path) as port:
        with pytest.raises(PortError) as refusal:
            await port.check()
    assert str(refusal.value) == text


async def test_an_error_of_the_system_arrives_as_it_was(tmp_path: Path) -> None:
    async def check() -> None:
        (tmp_path / "nothing").stat()

    async with serving(tmp_path, check=check), reached(tmp_path) as port:
        with pytest.raises(FileNotFoundError) as missing:
            await port.check()
    assert missing.value.filename == str(tmp_path / "nothing")
    assert missing.value.strerror == "No such file or directory"


async def test_a_fault_is_told_and_others_are_served_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        raise ZeroDivisionError("by nothing")

    async def contacts() -> list[object]:
        return []

    async with serving(tmp_path, check=check, contacts=contacts), reached(tmp_path) as port:
        with pytest.raises(PortError, match=r"a fault of passalong \(ZeroDivisionError: by"):
            await port.check()
        assert await port.contacts() == []
    assert "a call failed" in caplog.text


async def test_an_answer_of_another_type_is_a_fault_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> str:
        return "all is well"

    async def changes() -> AsyncIterator[int]:
        yield 7

    async with serving(tmp_path, check=check, changes=changes), reached(tmp_path) as port:
        with pytest.raises(PortError, match="this is a fault of passalong"):
            await port.check()
        with pytest.raises(PortError, match="this is a fault of passalong"):
            await anext(port.changes())
    assert caplog.text.count("a call failed") == 2


async def test_an_answer_that_is_too_long_is_a_refusal(tmp_path: Path) -> None:
    async def feed(**_: object) -> list[FeedRow]:
        return [_row(1), _row(2, "x" * (5 << 20))]

    async with serving(tmp_path, feed=feed), reached(tmp_path) as port:
        with pytest.raises(PortError, match="give it less"):
            await port.feed()


async def test_a_node_that_ends_ends_what_was_asked_of_it(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def check() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with AsyncExitStack() as node:
        await node.enter_async_context(serving(tmp_path, check=check, contacts=check))
        async with reached(tmp_path) as port:
            calls = [asyncio.create_task(one()) for one in (port.check, port.contacts)]
            watching = asyncio.create_task(_first(port.changes()))
            await begun.wait()
            # when it ends
            await node.aclose()
            # then all calls do, and those that come later
            for call in (*calls, watching, asyncio.create_task(port.check())):
                with pytest.raises(PortError, match=STOPPED) as stopped:
                    await call
                assert len(str(stopped.value).splitlines()) == 1


async def _first(changes: AsyncIterator[object]) -> object:
    return await anext(changes)


@pytest.mark.parametrize(
    "said",
    [
        *(b"\x81\x03", b"\xff", b"\x82\x05\xf6", b"\x82\x05\x41\x07"),
        *(b"\x83\x04\x00\x80", b"\x83\x06\x01\x02", b"\x82\x01\x41a"),
    ],
)
async def test_what_a_node_says_that_nobody_understands_is_told(
    tmp_path: Path, said: bytes
) -> None:
    async with serving(tmp_path), line_to(tmp_path) as line:
        line._reader.feed_data(len(said).to_bytes(4, "big") + said)
        port = SocketPort(tmp_path, line).port
        with pytest.raises(PortError, match="does not understand; restart the node"):
            await port.whoami()


# --- several at once ------------------------------------------------------------------------------


async def test_a_call_does_not_wait_for_another(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def check() -> None:
        await go.wait()
        raise PortError("done")

    async def contacts() -> list[object]:
        return []

    async with serving(tmp_path, check=check, contacts=contacts), reached(tmp_path) as port:
        slow = asyncio.create_task(port.check())
        assert await port.contacts() == []
        go.set()
        with pytest.raises(PortError, match="done"):
            await slow


async def test_a_hundred_calls_at_once_are_all_answered_a_few_at_a_time(tmp_path: Path) -> None:
    now = most = 0

    async def post(text: str, **_: object) -> Posted:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return Posted(text.encode(), 1)

    async with serving(tmp_path, post=post), reached(tmp_path) as port:
        posted = await asyncio.gather(*(port.post(str(number)) for number in range(100)))
    assert [int(one.id) for one in posted] == list(range(100))
    assert 1 < most <= CALLS


def _row(number: int, text: str = "x" * 300) -> FeedRow:
    return FeedRow(bytes(32), bytes(32), bytes(32), "Ada", number, text, None, [], 1, None)


async def test_10000_posts_arrive_in_their_order(tmp_path: Path) -> None:
    rows = [_row(number) for number in range(10_000)]

    async def feed(**_: object) -> list[FeedRow]:
        return rows

    async with serving(tmp_path, feed=feed), reached(tmp_path) as port:
        assert await port.feed() == rows


# --- cancelling -----------------------------------------------------------------------------------


async def test_a_client_that_goes_away_ends_its_call(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def check() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(tmp_path, check=check), reached(tmp_path) as port:
        call = asyncio.create_task(port.check())
        await begun.wait()
        call.cancel()
        async with asyncio.timeout(20):
            await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_client_that_speaks_out_of_turn_ends_its_call(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def check() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(tmp_path, check=check), line_to(tmp_path) as line:
        line._writer.write(bytes.fromhex("00000009830065636865636b80") + b"more")
        async with asyncio.timeout(20):
            await ended.wait()


async def test_what_is_being_written_when_its_client_goes_away_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, world = tmp_path / "home", World()
    await init_home(home, "Ada", world.around)
    async with open_node(home, world.around) as node:
        begun, go = asyncio.Event(), asyncio.Event()
        absorb = node.store.absorb

        async def slowly(*args: Hint, **kwargs: Hint) -> object:
            begun.set()
            await go.wait()
            return await absorb(*args, **kwargs)

        direct = DirectPort(node)
        async with serve_port(direct, home, world.around), reached(home) as port:
            with monkeypatch.context() as patch:
                patch.setattr(node.store, "absorb", slowly)
                call = asyncio.create_task(port.post("to the end"))
                await begun.wait()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                go.set()
                await node.writer.close()
            assert [row.text for row in await port.feed()] == ["to the end"]


# --- progress -------------------------------------------------------------------------------------


async def test_progress_is_told_seldom_and_at_last_where_it_ended(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    said = asyncio.Event()

    async def import_folder(progress: Callable[[int, int | None], None], **_: object) -> None:
        for number in range(10_000):
            progress(number, 20_000)
        await said.wait()
        for number in range(10_000, 20_000):
            progress(number, None)
        raise PortError("that is all")

    def tell(done: int, total: int | None) -> None:
        told.append((done, total))
        said.set()

    async with serving(tmp_path, import_folder=import_folder), reached(tmp_path) as port:
        with pytest.raises(PortError, match="that is all"):
            await port.import_folder(tmp_path, progress=tell)
    assert told == [(9_999, 20_000), (19_999, None)]


async def test_who_does_not_ask_is_not_told(tmp_path: Path) -> None:
    async def import_folder(progress: object, **_: object) -> None:
        raise PortError(f"{progress}")

    async with serving(tmp_path, import_folder=import_folder), reached(tmp_path) as port:
        with pytest.raises(PortError, match=r"^None$"):
            await port.import_folder(tmp_path)


# --- changes --------------------------------------------------------------------------------------


async def test_changes_are_told_as_they_come_and_together_to_who_is_slow(tmp_path: Path) -> None:
    news = News()
    async with serving(tmp_path, changes=news.watch), reached(tmp_path) as port:
        changes = cast("AsyncGenerator[object]", port.changes())
        async with aclosing(changes):
            assert await anext(changes) == SUBJECTS
            coming = asyncio.ensure_future(anext(changes))
            await until(lambda: any(one._is_news._waiters for one in news._watchers))
            news.tell("peers")
            assert await coming == {"peers"}
            # while he is busy, much happens
            for _ in range(10_000):
                news.tell("feed")
                news.tell("contacts")
            assert await anext(changes) == {"feed", "contacts"}
        # and once he has had enough nobody watches
        await until(lambda: not news._watchers)


async def test_changes_that_end_or_fail_end_or_fail_for_the_client(tmp_path: Path) -> None:
    async def changes() -> AsyncIterator[set[str]]:
        yield {"feed"}

    async def failing() -> AsyncIterator[set[str]]:
        yield {"feed"}
        raise PortError("no more news")

    async with serving(tmp_path, changes=changes), reached(tmp_path) as port:
        assert [one async for one in port.changes()] == [{"feed"}]
    async with serving(tmp_path, changes=failing), reached(tmp_path) as port:
        coming = port.changes()
        assert await anext(coming) == {"feed"}
        with pytest.raises(PortError, match="no more news"):
            await anext(coming)
