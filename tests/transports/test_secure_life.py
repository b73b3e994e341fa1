"""How a secure link lives and ends: pings, silence, what is read ahead, what is stopped halfway."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import ClassVar

import pytest
from typing_extensions import override

from tests.transports.joined_links import ended, numbered, received, rest, send_all
from tests.transports.secure_pairs import BACK, THERE, Device, Wire, met, parted, virtually
from tests.transports.test_memory import Terms
from tests.transports.test_secure import SecureContract
from transports.base import Link, LinkClosedError, LinkInfo
from transports.memory import MemoryLink
from transports.records import PING, STREAM_OVERHEAD_BYTES
from transports.secure import CutError, SecureLink, secure
from transports.secure_link import HELD_S


def now() -> float:
    return asyncio.get_running_loop().time()


class Draining:
    """A link that takes a frame, and waits a little before it says so, as a socket does."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def info(self) -> LinkInfo:
        return self._link.info

    async def send(self, frame: bytes) -> None:
        await self._link.send(frame)
        await asyncio.sleep(0.001)

    async def receive(self) -> bytes:
        return await self._link.receive()

    def waiting(self) -> int:
        return self._link.waiting()

    async def close(self) -> None:
        await self._link.close()


def acquainted() -> tuple[Device, Device]:
    return Device("ada", ("ben",)), Device("ben", ("ada",))


@asynccontextmanager
async def resuming() -> AsyncIterator[tuple[SecureLink, "asyncio.Task[SecureLink]", Wire]]:
    """The initiator of a session after a ticket; the other side as it still answers; the wire."""
    ada, ben = acquainted()
    await parted(*await met(ada, ben))
    async with Wire().open() as wire:
        answering = asyncio.create_task(
            secure(wire.far, is_initiator=False, who=ben.who, random=Random(3).randbytes)
        )
        dice, ticket = Random(4).randbytes, ada.ticket("ben")
        near = await secure(wire.near, is_initiator=True, who=ada.who, random=dice, ticket=ticket)
        yield near, answering, wire
        await parted(near)


def test_the_proof_after_a_ticket_goes_with_the_first_frame() -> None:
    async def scenario() -> None:
        async with resuming() as (near, answering, wire):
            await asyncio.sleep(HELD_S / 2)
            assert len(wire.said) == 2
            began = now()
            await near.send(b"first")
            far = await answering
            assert await far.receive() == b"first"
            assert now() == began
            assert wire.shape()[2:] == [(THERE, 33), (THERE, 17 + 5)]
            assert near.bytes_out == sum(size for way, size in wire.shape() if way == THERE)
            await asyncio.sleep(1.0)
            assert len(wire.said) == 4
            await parted(far)

    virtually(scenario())


def test_the_proof_after_a_ticket_goes_alone_where_nothing_is_sent() -> None:
    async def scenario() -> None:
        async with resuming() as (near, answering, wire):
            began = now()
            far = await answering
            assert now() - began == pytest.approx(HELD_S)
            assert wire.shape()[2:] == [(THERE, 33)]
            await far.send(b"and you?")
            assert await near.receive() == b"and you?"
            await parted(far)

    virtually(scenario())


def test_who_closes_at_once_after_a_ticket_has_still_proven_who_he_is() -> None:
    async def scenario() -> None:
        async with resuming() as (near, answering, _):
            await near.close()
            far = await answering
            assert far.peer is not None
            with pytest.raises(LinkClosedError, match="the other side closed the link"):
                await far.receive()

    virtually(scenario())


def test_a_session_after_a_ticket_is_of_so_many_bytes() -> None:
    async def scenario() -> None:
        async with resuming() as (near, answering, wire):
            await near.send(bytes(46))
            far = await answering
            assert len(await far.receive()) == 46
            await far.send(bytes(46))
            assert len(await near.receive()) == 46
            await near.close()
            await asyncio.sleep(1.0)
            await far.close()
            assert wire.shape() == [
                (THERE, 65),
                (BACK, 48),
                (THERE, 1 + 16 + 16),
                (THERE, 1 + 46 + 16),
                (BACK, 1 + 46 + 16),
                (THERE, 1 + 16),
            ]

    virtually(scenario())


class TestOverALinkThatTakesAndThenWaits(SecureContract):
    """A send that is stopped may have sent its frame already, and nobody can know."""

    moment = 0.01
    terms: ClassVar[Terms] = {}

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        one, other = MemoryLink.pair(**self.terms)
        near, far = await met(Device("ada"), Device("ben"), (Draining(one), Draining(other)))
        yield near, far


@pytest.mark.parametrize("after", [0.0, 0.0005])
def test_a_send_that_was_stopped_leaves_the_link_in_order(after: float) -> None:
    async def scenario() -> None:
        one, other = MemoryLink.pair(window=400)
        near, far = await met(Device("ada"), Device("ben"), (Draining(one), Draining(other)))
        got: list[bytes] = []
        for number in range(1, 20):
            sending = asyncio.create_task(near.send(numbered(number, 300)))
            await asyncio.sleep(after)
            if number % 3:
                sending.cancel()
            if number % 2:
                got.append(await far.receive()) if far.waiting() else None
            await asyncio.wait([sending], timeout=0.01)
        ending = asyncio.create_task(near.close())
        got += await rest(far)
        await ending
        with pytest.raises(LinkClosedError, match="the other side closed"):
            await far.receive()
        assert got == sorted(set(got))
        assert {numbered(number, 300) for number in range(3, 16, 3)} <= set(got)

    virtually(scenario())


# --- what a link says of itself -------------------------------------------------------------------


def test_a_link_says_what_the_one_beneath_says_and_takes_so_much_less() -> None:
    async def scenario() -> None:
        for beneath, most in [(65_535, 65_000), (65_000, 65_000 - 17), (180, 163)]:
            ends = MemoryLink.pair(max_frame=beneath, thin=True)
            a, b = await met(Device("ada"), Device("ben"), ends)
            assert a.info == b.info
            assert (a.info.transport, a.info.thin, a.info.max_frame) == ("memory", True, most)
            await parted(a, b)

    virtually(scenario())


def test_bytes_and_times_of_what_came_and_went_are_known() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, b = await met(Device("ada"), Device("ben"), wire)
            await asyncio.sleep(5.0)
            await a.send(bytes(100))
            await b.receive()
            await asyncio.sleep(1.0)
            there = sum(len(frame) for way, frame in wire.said if way == THERE)
            back = sum(len(frame) for way, frame in wire.said if way == BACK)
            assert (a.bytes_out, a.bytes_in) == (there, back)
            assert (b.bytes_in, b.bytes_out) == (there, back)
            assert (a.last_sent, b.last_received) == (5.0, 5.0)
            assert (b.last_sent, a.last_received) == (0.0, 0.0)
            await parted(a, b)

    virtually(scenario())


def test_an_idle_link_costs_no_task_and_no_dictionary() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        assert len(asyncio.all_tasks()) == 1
        for link in (a, b):
            assert not hasattr(link, "__dict__")
            assert not hasattr(link._session, "__dict__")
            assert sys.getsizeof(link) < 400
        await parted(a, b)

    virtually(scenario())


# --- pings and silence ----------------------------------------------------------------------------


def test_a_ping_says_how_long_there_and_back_takes() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"), MemoryLink.pair(latency=0.25))
        receiving = [asyncio.create_task(link.receive()) for link in (a, b)]
        assert await a.ping() == 0.5
        assert {*await asyncio.gather(b.ping(), b.ping())} == {0.5}
        await parted(a, b)
        assert await ended(receiving) == [LinkClosedError] * 2

    virtually(scenario())


def test_a_ping_is_answered_though_the_answer_is_here_before_the_link_says_it_was_sent() -> None:
    async def scenario() -> None:
        one, other = MemoryLink.pair()
        a, b = await met(Device("ada"), Device("ben"), (Draining(one), Draining(other)))
        receiving = [asyncio.create_task(link.receive()) for link in (a, b)]
        async with asyncio.timeout(1.0):
            assert await a.ping() < 0.01
        await parted(a, b)
        await ended(receiving)

    virtually(scenario())


def test_a_ping_ends_with_the_link() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        pinging = [asyncio.create_task(a.ping()) for _ in range(2)]
        await asyncio.sleep(1.0)
        await a.close()
        assert await ended(pinging) == [LinkClosedError] * 2
        with pytest.raises(LinkClosedError, match="this side closed"):
            await a.ping()
        await parted(b)

    virtually(scenario())


def test_a_ping_that_was_stopped_does_not_keep_the_next_from_being_answered() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"), MemoryLink.pair(latency=0.5))
        receiving = [asyncio.create_task(link.receive()) for link in (a, b)]
        with suppress(TimeoutError):
            async with asyncio.timeout(0.25):
                await a.ping()
        assert await a.ping() == 1.0
        await parted(a, b)
        await ended(receiving)

    virtually(scenario())


def test_two_who_say_nothing_stay_in_touch_with_two_records_in_fifteen_seconds() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, b = await met(Device("ada"), Device("ben"), wire)
            reading = [asyncio.create_task(link.receive()) for link in (a, b)]
            before = len(wire.said)
            await asyncio.sleep(600.5)
            assert len(wire.said) - before == 2 * 600 // 15
            await a.send(b"still there")
            assert await reading[1] == b"still there"
            await parted(a, b)
            await ended(reading[:1])

    virtually(scenario())


def test_two_of_whom_nobody_reads_stay_in_touch_all_the_same() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        await asyncio.sleep(600.0)
        assert (a.waiting(), b.waiting()) == (0, 0)
        await a.send(b"still there")
        assert await b.receive() == b"still there"
        await parted(a, b)

    virtually(scenario())


def test_who_talks_asks_nothing_besides() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, b = await met(Device("ada"), Device("ben"), wire)
            before = len(wire.said)
            for _ in range(60):
                await asyncio.sleep(10.0)
                await a.send(b"a")
                await b.send(b"b")
                assert [await a.receive(), await b.receive()] == [b"b", b"a"]
            assert len(wire.said) - before == 120
            await parted(a, b)

    virtually(scenario())


def test_a_link_on_which_nothing_comes_is_closed_as_dead() -> None:
    silent = False

    async def scenario() -> None:
        async with Wire(lambda _way, _number, frame: () if silent else (frame,)).open() as wire:
            nonlocal silent
            a, b = await met(Device("ada"), Device("ben"), wire)
            await asyncio.sleep(2.0)
            silent = True
            with pytest.raises(CutError, match="45 s"):
                await a.receive()
            assert now() == 45.0
            with pytest.raises(CutError, match="45 s"):
                await a.send(b"anybody there?")
            with pytest.raises(CutError):
                await b.receive()
            assert now() == 45.0

    virtually(scenario())


def test_frames_that_nobody_reads_are_signs_of_life() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"), MemoryLink.pair(window=2_000))
        sending = asyncio.create_task(send_all(a, map(numbered, range(30))))
        await asyncio.sleep(300.0)
        assert not sending.done()
        assert await received(b, 30) == list(map(numbered, range(30)))
        await sending
        await parted(a, b)

    virtually(scenario())


# --- what is read ahead ---------------------------------------------------------------------------


def test_what_is_no_frame_does_not_count_as_waiting() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        await a.send(b"frame")
        async with a._turn:
            await a._put(PING, bytes(8))
        await asyncio.sleep(0.1)
        assert b.waiting() == 1
        assert await b.receive() == b"frame"
        assert b.waiting() == 0
        await asyncio.sleep(0.1)
        assert a.waiting() == 0
        assert a.last_received == 0.2
        await parted(a, b)

    virtually(scenario())


def test_a_frame_that_waits_is_not_taken_from_who_is_about_to_receive_it() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"), MemoryLink.pair(latency=0.5))
        loop, looks = asyncio.get_running_loop(), []
        for number in range(5):
            receiving = asyncio.create_task(b.receive())
            await asyncio.sleep(0.1)
            # when it has arrived, and its receiver has not run yet, somebody looks
            loop.call_at(now() + 0.5 + 1e-9, lambda: looks.append(b.waiting()))
            await a.send(numbered(number))
            async with asyncio.timeout(1.0):
                assert await receiving == numbered(number)
        assert looks == [1] * 5
        await parted(a, b)

    virtually(scenario())


@pytest.mark.parametrize(("size", "most"), [(20_000, 2), (3_000, 3), (10, 64)])
def test_no_more_than_a_few_frames_are_read_ahead(size: int, most: int) -> None:
    async def scenario() -> None:
        ends = MemoryLink.pair(window=10_000_000, max_frame=65_535)
        a, b = await met(Device("ada"), Device("ben"), ends)
        await send_all(a, [numbered(number, size) for number in range(100)])
        await asyncio.sleep(100.0)
        assert b.waiting() >= 100
        assert len(b._ahead) == most
        assert await received(b, 100) == [numbered(number, size) for number in range(100)]
        await parted(a, b)

    virtually(scenario())


def test_the_word_of_the_end_is_not_held_up_by_who_does_not_read() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"), MemoryLink.pair(window=2_000))
        sending = asyncio.create_task(send_all(a, map(numbered, range(10))))
        await asyncio.sleep(5.0)
        await a.close()
        assert now() == 6.0
        assert await ended([sending]) == [LinkClosedError]
        got = await rest(b)
        assert got == [numbered(number) for number in range(len(got))]
        with pytest.raises(CutError):
            await b.receive()

    virtually(scenario())


def test_an_empty_frame_is_refused_by_either_side() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        with pytest.raises(ValueError, match="frame"):
            await a.send(b"")
        async with a._turn:
            await a._put(0, b"")
        await a.send(b"more")
        with pytest.raises(CutError, match="does not hold"):
            await b.receive()
        await parted(a, b)

    virtually(scenario())


def test_kinds_of_records_of_a_later_version_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.records.KIND", [bytes([kind]) for kind in range(256)])

    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        for kind in (10, 99, 255):
            async with a._turn:
                await a._put(kind, b"whatever it is")
        await a.send(b"known")
        assert await b.receive() == b"known"
        await parted(a, b)

    virtually(scenario())
    assert STREAM_OVERHEAD_BYTES == 17


class Boasting(Draining):
    """A link that says more waits than ``receive`` gives without waiting."""

    @override
    def waiting(self) -> int:
        return 1 + super().waiting()


def test_a_link_that_waits_where_it_said_it_would_not_loses_nothing() -> None:
    async def scenario() -> None:
        one, other = MemoryLink.pair()
        a, b = await met(Device("ada"), Device("ben"), (Boasting(one), Boasting(other)))
        for number in range(5):
            assert b.waiting() <= 1
            await a.send(numbered(number))
            await asyncio.sleep(0.1)
            assert b.waiting() >= 1
            assert await b.receive() == numbered(number)
        await a.close()
        await asyncio.sleep(0.1)
        b.waiting()
        with pytest.raises(LinkClosedError, match="the other side closed"):
            await b.receive()
        one, other = MemoryLink.pair()
        a, b = await met(Device("ada"), Device("ben"), (Boasting(one), Boasting(other)))
        one.cut()
        assert a.waiting() == 1
        with pytest.raises(CutError):
            await a.receive()

    virtually(scenario())


def test_an_end_is_noticed_by_who_does_not_read() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        await a.send(b"last words")
        await a.close()
        await asyncio.sleep(20.0)
        with pytest.raises(LinkClosedError, match="the other side closed"):
            await b.send(b"anybody there?")
        assert b.waiting() == 1
        assert await rest(b) == [b"last words"]
        await asyncio.sleep(100.0)
        assert b._timer is not None
        assert b._timer.cancelled() or b._timer.when() < now()

    virtually(scenario())
