import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tests.transports.joined_links import ended, numbered, rest, send_all
from tests.transports.link_contract import LinkContract
from tests.virtual_time import run_virtual
from transports.base import Link, LinkClosedError
from transports.memory import PREFIX_BYTES, MemoryLink


class Terms(TypedDict, total=False):
    latency: float
    bandwidth: float
    window: int


class VirtualContract(LinkContract):
    holds = 256 * 1024
    patience = 100.0
    terms: ClassVar[Terms]

    @override
    def run(self, main: Coroutine[Any, Any, None]) -> None:
        run_virtual(main)

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        near, far = MemoryLink.pair(**self.terms)
        yield near, far


class TestWithoutLatency(VirtualContract):
    terms: ClassVar[Terms] = {}


class TestFarAndSlow(VirtualContract):
    moment = 0.05  # so that what is cancelled is cancelled on arrival
    terms: ClassVar[Terms] = {"latency": 0.05, "bandwidth": 10_000}


class TestFar(VirtualContract):
    moment = 0.05
    terms: ClassVar[Terms] = {"latency": 0.05}


class TestTinyWindow(VirtualContract):
    holds = 1200
    terms: ClassVar[Terms] = {"window": 1200, "latency": 0.001}


# --- time ---------------------------------------------------------------------------------------


def arrivals(sizes: list[int], **terms: Unpack[Terms]) -> list[float]:
    """When frames that are sent at 0.0 one after the other are received, in seconds."""

    async def scenario() -> list[float]:
        near, far = MemoryLink.pair(**terms)
        sending = asyncio.create_task(send_all(near, map(bytes, sizes)))
        times = []
        for _ in sizes:
            await far.receive()
            times.append(asyncio.get_running_loop().time())
        await sending
        return times

    return run_virtual(scenario())[0]


def test_without_latency_and_with_all_the_bandwidth_nothing_takes_time() -> None:
    assert arrivals([1, 65_000, 1]) == [0.0, 0.0, 0.0]


def test_a_frame_arrives_one_latency_after_it_was_sent() -> None:
    assert arrivals([1, 65_000], latency=0.25) == [0.25, 0.25]


def test_a_frame_takes_its_bytes_and_four_more_through_the_bandwidth() -> None:
    assert arrivals([96, 996, 1], bandwidth=1000) == pytest.approx([0.1, 1.1, 1.105])


def test_latency_comes_on_top_of_bandwidth_once_and_not_for_each_frame() -> None:
    assert arrivals([96] * 3, latency=2.0, bandwidth=100) == pytest.approx([3.0, 4.0, 5.0])


def test_a_window_passes_once_in_two_latencies() -> None:
    # given room for two frames, when word that they came takes as long as they did
    times = arrivals([96] * 6, latency=1.0, window=200)
    # then the next two wait for it
    assert times == [1.0, 1.0, 3.0, 3.0, 5.0, 5.0]


def test_a_wire_that_was_idle_owes_nothing() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair(bandwidth=100)
        for _ in range(2):
            await asyncio.sleep(10.0)
            await near.send(bytes(96))
            await far.receive()

    assert run_virtual(scenario())[1] == pytest.approx(22.0)


def test_the_news_of_an_end_travels_behind_the_frames() -> None:
    async def scenario() -> list[bytes]:
        near, far = MemoryLink.pair(latency=1.0, bandwidth=100)
        await near.send(bytes(96))
        await near.close()
        return await rest(far)

    got, seconds = run_virtual(scenario())
    assert got == [bytes(96)]
    assert seconds == pytest.approx(2.0)


def test_what_was_sent_is_counted_for_each_direction() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        await near.send(bytes(10))
        await near.send(bytes(20))
        await far.send(bytes(5))
        assert (near.frames_sent, near.bytes_sent) == (2, 30 + 2 * PREFIX_BYTES)
        assert (far.frames_sent, far.bytes_sent) == (1, 5 + PREFIX_BYTES)

    run_virtual(scenario())


def test_a_link_says_what_it_was_made_to_say() -> None:
    near, far = MemoryLink.pair(max_frame=180, thin=True)
    assert (near.info.transport, near.info.max_frame, near.info.thin) == ("memory", 180, True)
    assert near.info == far.info
    assert near.info.address is None


# --- cuts ---------------------------------------------------------------------------------------

ASKED, ANSWERED = [b"a", b"bcd", bytes(12)], [b"one", b"twotwo"]
LATENCIES = pytest.mark.parametrize("latency", [0.0, 0.25])


def talked(latency: float, cut_after: tuple[int | None, int | None]) -> list[list[bytes]]:
    """What each side gets of a question and its answer over a link that is cut."""

    async def side(link: Link, frames: list[bytes], awaited: int) -> list[bytes]:
        got: list[bytes] = []
        try:
            while len(got) < awaited:
                got.append(await link.receive())
            await send_all(link, frames)
            while True:
                got.append(await link.receive())
        except LinkClosedError:
            return got

    async def scenario() -> list[list[bytes]]:
        near, far = MemoryLink.pair(latency=latency, bandwidth=1000, cut_after=cut_after)
        async with asyncio.timeout(60):
            got = await asyncio.gather(side(near, ASKED, 0), side(far, ANSWERED, len(ASKED)))
        for link in (near, far):
            with pytest.raises(LinkClosedError, match="cut"):
                await link.send(b"anybody there?")
        return list(got)

    return run_virtual(scenario())[0]


def whole(frames: list[bytes], passed: int) -> list[bytes]:
    """The frames that are whole in the first ``passed`` bytes on the wire."""
    ends = [sum(len(f) + 4 for f in frames[: n + 1]) for n in range(len(frames))]
    return [frame for frame, end in zip(frames, ends, strict=True) if end <= passed]


@LATENCIES
@pytest.mark.parametrize("passed", range(sum(len(f) + 4 for f in ASKED) + 1))
def test_a_question_cut_at_any_byte_arrives_up_to_its_last_whole_frame(
    passed: int, latency: float
) -> None:
    assert talked(latency, (passed, None)) == [[], whole(ASKED, passed)]


@LATENCIES
@pytest.mark.parametrize("passed", range(sum(len(f) + 4 for f in ANSWERED) + 1))
def test_an_answer_cut_at_any_byte_arrives_up_to_its_last_whole_frame(
    passed: int, latency: float
) -> None:
    assert talked(latency, (None, passed)) == [whole(ANSWERED, passed), ASKED]


def test_a_cut_happens_when_its_last_byte_arrives() -> None:
    async def scenario() -> None:
        near, _far = MemoryLink.pair(latency=1.0, bandwidth=100, cut_after=(150, None))
        await near.send(bytes(96))
        await near.send(bytes(96))
        await rest(near)

    assert run_virtual(scenario())[1] == pytest.approx(2.5)


def test_a_cut_loses_what_is_under_way_and_leaves_what_has_arrived() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair(latency=1.0)
        await near.send(b"early")
        await asyncio.sleep(0.5)
        await near.send(b"late")
        await far.send(b"late too")
        await asyncio.sleep(0.75)
        near.cut()
        assert far.waiting() == 1
        assert await rest(far) == [b"early"]
        assert await rest(near) == []
        assert asyncio.get_running_loop().time() == 1.25
        await asyncio.sleep(5.0)
        assert (near.waiting(), far.waiting()) == (0, 0)

    run_virtual(scenario())


def test_a_link_says_what_ended_it_first() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair(latency=1.0)
        await near.close()
        far.cut()
        await far.close()
        with pytest.raises(LinkClosedError, match="this side closed"):
            await near.receive()
        with pytest.raises(LinkClosedError, match="cut"):
            await far.receive()

    run_virtual(scenario())


def test_a_cut_wakes_everybody_on_both_sides_at_once() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair(latency=5.0, window=100)
        await near.send(bytes(90))
        tasks = [near.receive(), far.receive(), near.send(bytes(90)), near.send(bytes(90))]
        waiters = [asyncio.create_task(task) for task in tasks]
        asyncio.get_running_loop().call_later(1.0, far.cut)
        assert await ended(waiters) == [LinkClosedError] * 4

    assert run_virtual(scenario())[1] == 1.0


@given(st.integers(0, 200), st.lists(st.integers(1, 40), max_size=8))
def test_whatever_is_sent_only_the_bytes_before_the_cut_arrive(
    passed: int, sizes: list[int]
) -> None:
    async def scenario() -> list[bytes]:
        near, far = MemoryLink.pair(cut_after=(passed, None))
        await send_all(near, frames)
        await near.close()
        return await rest(far)

    frames = [numbered(number, 4 * size) for number, size in enumerate(sizes)]
    assert run_virtual(scenario())[0] == whole(frames, passed)
