"""Visits: what a person is told who meets somebody at an address, and what stays of it.

Real meetings and sessions over links in memory, in virtual time.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from gossip.session import Session, State
from ledger.codec import encode
from ledger.errors import StoreError
from mesh import visits
from mesh.daemon import LONGEST_WAIT_S, keep_in_touch
from mesh.meeting import Meeting
from mesh.visits import MAX_ADDRESSES, VisitError
from tests.mesh.neighbours import Neighbour, Street, friends, part
from tests.strategies import device_keys
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine

MET = "contacts met at addresses"
BEN = "192.0.2.2:4000"
CAT = "192.0.2.3:4000"


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    return Street(monkeypatch)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    run_virtual(scenario)


async def ada_and_ben(street: Street) -> tuple[Neighbour, Neighbour]:
    """Return two friends, of whom the second can be dialled."""
    ada, ben = await friends(1, 2)
    street.who[BEN] = ben
    return ada, ben


def only_once(one: Neighbour) -> Neighbour:
    """Let somebody leave when all is settled, as a command does."""
    one.port._inventory._live = False
    return one


# --- what a person is told ----------------------------------------------------------------------


def test_a_visit_tells_whom_it_met_and_what_came_and_went(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        await ada.port.post("from Ada")
        for number in range(300):
            await ben.port.post(f"{number} from Ben")
        told: list[tuple[int, int | None]] = []
        done = await ada.port.sync(BEN, progress=lambda *far: told.append(far))
        assert (done.person, done.complete, done.problem) == (ben.node.me.person, True, None)
        assert (done.received, done.sent) == (301, 2)
        assert done.bytes_in > 300 * 100
        assert 0 < done.bytes_out < done.bytes_in
        assert 0 < done.seconds < 5
        assert told
        assert await ada.ids() == await ben.ids()
        # a second one brings nothing, and is short: it goes by a ticket
        again = await ada.port.sync(BEN)
        assert (again.received, again.sent, again.complete) == (0, 0, True)
        assert again.bytes_in + again.bytes_out <= 1_500
        assert len(ada.peers) == len(ada.port.visits._links) == 0
        await part(ada, ben)

    run(scenario())


def test_a_stranger_is_met_without_a_name(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await Neighbour(1).begin(), await Neighbour(2).begin()
        street.who[BEN] = ben
        done = await only_once(ada).port.sync(BEN)
        assert (done.person, done.received, done.complete) == (None, 1, True)
        assert await ada.node.store.note(MET) is None
        await part(ada, ben)

    run(scenario())


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.9:1", "nobody listens there"),
        ("nowhere", "has no port"),
        ("192.0.2.2:0", "no port 0"),
        ("", "has no port"),
        ("a\nb:1", "no host"),
        ("[::1:5", "write HOST:PORT"),
    ],
)
def test_where_nobody_can_be_met_the_reason_is_one_line(
    street: Street, address: str, why: str
) -> None:
    async def scenario() -> None:
        ada = await Neighbour(1).begin()
        with pytest.raises(VisitError, match=why) as refusal:
            await ada.port.sync(address)
        assert len(str(refusal.value).splitlines()) == 1
        assert len(ada.peers) == len(ada.port.visits._links) == 0
        await part(ada)

    run(scenario())
    assert len(street.dialled) <= 1


def test_a_link_that_is_lost_in_the_middle_is_told_and_what_came_is_kept(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        street.bandwidth = 100_000
        for number in range(400):
            await ben.port.post(f"{number} " * 200)

        def cut(done: int, _: int | None) -> None:
            if done:
                street.links[0][0].cut("pulled out")

        done = await ada.port.sync(BEN, progress=cut)
        assert not done.complete
        assert done.problem is not None
        assert "sync again for the rest" in done.problem
        assert 0 < done.received < 401
        assert len(await ada.ids()) == 1 + done.received
        assert (await ada.port.sync(BEN)).complete
        assert await ada.ids() == await ben.ids()
        await part(ada, ben)

    run(scenario())


def test_one_who_never_says_hello_is_told_as_such(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        street.is_silent = True
        done = await ada.port.sync(BEN)
        assert (done.complete, done.received) == (False, 0)
        assert done.problem is not None
        assert "stopped answering" in done.problem
        await part(ada, ben)

    run(scenario())


async def no_room(*_: object, **__: object) -> object:
    """Absorb nothing, as a store whose disk is full."""
    raise StoreError("the disk is full; free some space")


def test_a_store_that_fails_in_a_visit_is_the_answer_and_the_node_goes_on(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        await ben.port.post("from Ben")
        with monkeypatch.context() as patch:
            patch.setattr(ada.node.store, "absorb", no_room)
            with pytest.raises(StoreError, match="disk is full"):
                await ada.port.sync(BEN)
        assert len(ada.peers) == len(ada.port.visits._links) == 0
        assert (await ada.port.sync(BEN)).complete
        assert await ada.ids() == await ben.ids()
        await part(ada, ben)

    run(scenario())


def test_a_fault_of_our_own_is_the_answer_and_the_node_goes_on(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("what should never be")

    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        with monkeypatch.context() as patch:
            patch.setattr(Session, "start", fail)
            with pytest.raises(ExceptionGroup) as caught:
                await ada.port.sync(BEN)
        assert [str(one) for one in caught.value.exceptions] == ["what should never be"]
        assert "a fault of passalong" in caplog.text
        assert len(ada.peers) == len(ada.port.visits._links) == 0
        assert (await ada.port.sync(BEN)).complete
        await part(ada, ben)

    run(scenario())


@pytest.mark.parametrize("fed", ["changed", "tick"])
def test_a_fault_of_our_own_in_one_meeting_ends_that_and_no_other(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fed: str
) -> None:
    async def scenario() -> None:
        ada, ben, cat = await friends(1, 2, 3)
        street.who |= {BEN: ben, CAT: cat}
        for address in (BEN, CAT):
            await ada.port.sync(address)
        linked = ada.peers.linked(ben.device)
        assert linked is not None
        spoilt, right = linked.meeting.session, getattr(Session, fed)

        def fail(session: Session, *told: object) -> object:
            if session is spoilt:
                raise RuntimeError("what should never be")
            return right(session, *told)

        monkeypatch.setattr(Session, fed, fail)
        await ada.port.post("from Ada")
        await asyncio.sleep(600)
        assert "what should never be" in caplog.text
        assert ada.peers.linked(ben.device) is None
        assert linked.link._is_gone
        assert ada.peers.linked(cat.device) is not None
        assert await ada.ids() == await cat.ids()
        await part(ada, ben, cat)

    run(scenario())


def test_whoever_has_enough_of_waiting_leaves_nothing_behind(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        street.bandwidth = 100_000
        for number in range(400):
            await ben.port.post(f"{number} " * 200)
        came = asyncio.Event()
        syncing = asyncio.create_task(
            ada.port.sync(BEN, progress=lambda done, _: came.set() if done else None)
        )
        await came.wait()
        syncing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await syncing
        # all is over when the call is: whoever closes the store next, closes it under nobody
        assert len(ada.peers) == len(ada.port.visits._links) == 0
        assert len(await ada.ids()) > 1
        assert (await ada.port.sync(BEN)).complete
        await part(ada, ben)

    run(scenario())


def test_a_link_over_which_no_session_could_begin_is_cut(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        note = ada.node.store.note

        async def fail_later(name: str) -> bytes | None:
            if street.dialled:
                raise StoreError("the disk is gone")
            return await note(name)

        monkeypatch.setattr(ada.node.store, "note", fail_later)
        with pytest.raises(StoreError, match="disk is gone"):
            await ada.port.sync(BEN)
        await asyncio.sleep(0.1)
        # then the other side need not wait for it either
        assert all(answering.done() for answering in street._answering)
        assert not ada.port.visits._links
        await part(ada, ben)

    run(scenario())


# --- what stays ---------------------------------------------------------------------------------


def test_a_node_that_runs_stays_linked_and_a_second_visit_uses_that_link(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        first = await ada.port.sync(BEN)
        assert first.complete
        await ben.port.post("while they are linked")
        await asyncio.sleep(5)
        assert await ada.ids() == await ben.ids()
        for number in range(3):
            await ben.port.post(str(number))
            again = await ada.port.sync(f" {BEN} ")
            assert (again.complete, again.person) == (True, ben.node.me.person)
            assert again.received <= 1
            assert again.bytes_in < first.bytes_in
        assert street.dialled == [BEN]
        await part(ada, ben)

    run(scenario())


def test_a_visit_over_a_link_that_is_there_waits_for_what_is_under_way(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        street.bandwidth = 100_000
        await ada.port.sync(BEN)
        for number in range(100):
            await ben.port.post(f"{number} ".ljust(4_000))
        done = await ada.port.sync(BEN)
        assert (done.complete, done.received) == (True, 100)
        assert done.seconds > 3
        assert await ada.ids() == await ben.ids()
        # and says so when that link is lost meanwhile
        for number in range(100):
            await ben.port.post(f"again {number} ".ljust(4_000))
        syncing = asyncio.create_task(ada.port.sync(BEN))
        await asyncio.sleep(2)
        street.links[0][0].cut("out of reach")
        cut = await syncing
        assert not cut.complete
        assert cut.problem is not None
        assert "sync again" in cut.problem
        assert street.dialled == [BEN]
        await part(ada, ben)

    run(scenario())


def test_a_visit_over_a_link_that_is_there_is_complete_though_something_new_comes_at_once(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ada.port.sync(BEN)
        until_level = Meeting.until_level

        async def and_then_there_is_more(meeting: Meeting) -> bool:
            is_level = await until_level(meeting)
            asyncio.get_running_loop().call_soon(setattr, meeting.session, "state", State.SYNCING)
            return is_level

        monkeypatch.setattr(Meeting, "until_level", and_then_there_is_more)
        done = await ada.port.sync(BEN)
        assert (done.complete, done.problem) == (True, None)
        await part(ada, ben)

    run(scenario())


def test_of_a_meeting_that_was_ended_to_start_over_nothing_is_kept(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ada.port.sync(BEN)
        first = weakref.ref(next(iter(ada.peers)).meeting)
        await ada.port.follow(device_keys(2).public.hex())
        await asyncio.sleep(5)
        gc.collect()
        assert first() is None
        assert ada.peers.linked(ben.device) is not None
        await part(ada, ben)

    run(scenario())


def test_a_visit_does_not_take_a_dead_link_for_a_meeting(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ada.port.sync(BEN)
        for end in street.links[0]:
            end.is_dead = True
        await ben.port.post("nobody heard of it")
        done = await ada.port.sync(BEN)
        assert (done.complete, done.received, street.dialled) == (True, 1, [BEN, BEN])
        await part(ada, ben)

    run(scenario())


def test_a_visited_node_is_visited_again_when_this_one_starts_over(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ada.port.sync(BEN)
        await ada.port.follow(device_keys(2).public.hex())
        await asyncio.sleep(5)
        assert ada.peers.linked(ben.device) is not None
        # but not when the other one left
        await ben.end()
        await asyncio.sleep(100)
        assert street.dialled == [BEN, BEN]
        await part(ada)

    run(scenario())


def test_only_so_many_addresses_are_remembered_the_newest(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "MAX_ADDRESSES", 3)

    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ada)
        places = [f"192.0.2.2:{port}" for port in range(1, 6)]
        for place in places:
            street.who[place] = ben
            await ada.port.sync(place)
        assert await ada.port.visits._met_at() == dict.fromkeys(places[2:], ben.device)
        await part(ada, ben)

    run(scenario())


def test_so_many_addresses_as_are_said_can_be_remembered() -> None:
    longest = ("h" * 253 + ":65535", bytes(32))
    assert len(encode([longest] * MAX_ADDRESSES)) <= visits._MAX_NOTE_BYTES


@pytest.mark.parametrize("note", [b"", b"\xff", encode(1), encode([[1, 2]]), encode([["x"]])])
def test_a_damaged_note_of_addresses_costs_a_handshake_and_nothing_else(
    street: Street, note: bytes
) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ada.node.store.set_note(MET, note)
        assert (await only_once(ada).port.sync(BEN)).complete
        assert await ada.port.visits._met_at() == {BEN: ben.device}
        await part(ada, ben)

    run(scenario())


def test_who_moved_in_where_a_contact_was_is_met_as_himself(street: Street) -> None:
    async def scenario() -> None:
        ada, ben, cleo = await friends(1, 2, 3)
        only_once(ada)
        street.who[BEN] = ben
        await ada.port.sync(BEN)
        street.who[BEN] = cleo
        done = await ada.port.sync(BEN)
        assert (done.person, done.complete) == (cleo.node.me.person, True)
        street.who[BEN] = await Neighbour(4).begin()
        assert (await ada.port.sync(BEN)).person is None
        await part(ada, ben, cleo)

    run(scenario())


# --- keeping in touch ---------------------------------------------------------------------------


def test_who_is_away_is_dialled_less_and_less_often_and_at_once_when_a_link_is_lost(
    street: Street,
) -> None:
    async def scenario() -> None:
        ada, ben = await friends(1, 2)
        touch = asyncio.create_task(keep_in_touch(ada.port.visits, BEN, Random(1)))
        await asyncio.sleep(3_600)
        tries = len(street.dialled)
        assert 3_600 / LONGEST_WAIT_S <= tries <= 3_600 / LONGEST_WAIT_S * 2 + 12
        # when he is back
        street.who[BEN] = ben
        await asyncio.sleep(LONGEST_WAIT_S + 5)
        assert ada.peers.linked(ben.device) is not None
        street.links[-1][0].cut("out of reach")
        await asyncio.sleep(2)
        assert ada.peers.linked(ben.device) is not None
        assert len(street.dialled) <= tries + 3
        touch.cancel()
        await asyncio.gather(touch, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_who_settles_all_and_leaves_is_dialled_less_and_less_often(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        only_once(ben)
        touch = asyncio.create_task(keep_in_touch(ada.port.visits, BEN, Random(1)))
        await asyncio.sleep(3_600)
        assert 3_600 / LONGEST_WAIT_S <= len(street.dialled) <= 3_600 / LONGEST_WAIT_S * 2 + 12
        assert await ada.ids() == await ben.ids()
        touch.cancel()
        await asyncio.gather(touch, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_keeping_in_touch_outlasts_a_fault_of_our_own(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> bool:
        raise RuntimeError("what should never be")

    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        touch = asyncio.create_task(keep_in_touch(ada.port.visits, BEN, Random(1)))
        with monkeypatch.context() as patch:
            patch.setattr(visits.Visits, "stay", fail)
            await asyncio.sleep(10)
        assert "a fault of passalong" in caplog.text
        await asyncio.sleep(LONGEST_WAIT_S + 5)
        assert ada.peers.linked(ben.device) is not None
        touch.cancel()
        await asyncio.gather(touch, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_two_addresses_of_one_device_make_one_link_and_no_quarrel(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        street.who["ben.example:4000"] = ben
        touching = [
            asyncio.create_task(keep_in_touch(ada.port.visits, place, Random(1)))
            for place in street.who
        ]
        await asyncio.sleep(1_000)
        assert len(ada.peers) == len(ben.peers) == 1
        assert len(street.dialled) <= 3
        for touch in touching:
            touch.cancel()
        await asyncio.gather(*touching, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_two_who_keep_in_touch_with_each_other_have_one_link(street: Street) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        street.who["192.0.2.1:4000"] = ada
        touching = [
            asyncio.create_task(keep_in_touch(one.port.visits, place, Random(1)))
            for one, place in ((ada, BEN), (ben, "192.0.2.1:4000"))
        ]
        await asyncio.sleep(1_000)
        assert len(ada.peers) == len(ben.peers) == 1
        assert len(street.dialled) <= 4
        for touch in touching:
            touch.cancel()
        await asyncio.gather(*touching, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_keeping_in_touch_outlasts_a_store_that_fails(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        ada, ben = await ada_and_ben(street)
        await ben.port.post("from Ben")
        with monkeypatch.context() as patch:
            patch.setattr(ada.node.store, "absorb", no_room)
            touch = asyncio.create_task(keep_in_touch(ada.port.visits, BEN, Random(1)))
            await asyncio.sleep(10)
            assert not touch.done()
        await asyncio.sleep(LONGEST_WAIT_S)
        assert await ada.ids() == await ben.ids()
        touch.cancel()
        await asyncio.gather(touch, return_exceptions=True)
        await part(ada, ben)

    run(scenario())


def test_a_node_led_to_itself_learns_nothing_and_goes_on(street: Street) -> None:
    async def scenario() -> None:
        ada = await Neighbour(1).begin()
        street.who[BEN] = ada
        done = await ada.port.sync(BEN)
        assert (done.received, done.sent) == (0, 0)
        assert len(await ada.ids()) == 1
        await part(ada)

    run(scenario())
