"""Who is around: one link to a device, what is shown of it, and an end that comes.

Real sessions over links in memory, in virtual time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mesh.peers import LATENCY_S
from mesh.presence import ALIVE_S
from tests.mesh.neighbours import (
    Neighbour,
    Wire,
    befriend,
    connect,
    friends,
    hold,
    join,
    part,
    sessions,
)
from tests.strategies import Device
from tests.virtual_time import run_virtual
from transports.base import LinkClosedError, LinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mesh.presence import Presence
    from mesh.rows import PeerRow


async def by_key() -> tuple[Neighbour, Neighbour]:
    """Return two friends, the one with the smaller device key first."""
    one, other = await friends(1, 2)
    return (one, other) if one.device < other.device else (other, one)


async def rows(one: Neighbour) -> list[PeerRow]:
    return await one.port.peers()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    run_virtual(scenario)


def alone(one: Neighbour, other: Neighbour) -> tuple[Presence, Presence]:
    """Return the only link of two, which has to be the same for both."""
    (here,), (there,) = one.peers, other.peers
    assert here.link.binding == there.link.binding
    assert one.peers.linked(other.device) is here
    assert other.peers.linked(one.device) is there
    return here, there


@pytest.mark.parametrize("pause", [0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.06, 0.5, 5])
@pytest.mark.parametrize("smaller_first", [True, False])
def test_of_links_that_both_opened_the_one_stays_that_the_smaller_key_opened(
    pause: float, *, smaller_first: bool
) -> None:
    async def scenario() -> None:
        smaller, larger = await by_key()
        first, second = (smaller, larger) if smaller_first else (larger, smaller)
        dialling = asyncio.create_task(join(first, second))
        await asyncio.sleep(pause)
        await join(second, first)
        await dialling
        await asyncio.sleep(5)
        here, there = alone(smaller, larger)
        assert (here.is_initiator, there.is_initiator) == (True, False)
        assert [row.state for row in await rows(smaller)] == ["equal"]
        await part(smaller, larger)

    run(scenario())


@pytest.mark.parametrize("pause", [0, 0.01, 0.03, 0.05, 0.07])
def test_a_store_that_takes_its_time_lets_no_two_links_pass_each_other(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        pair = await by_key()
        for one in pair:
            read = one.node.store.note

            async def slowly(
                name: str, read: Callable[[str], Awaitable[bytes | None]] = read
            ) -> bytes | None:
                await asyncio.sleep(0.05)
                return await read(name)

            monkeypatch.setattr(one.node.store, "note", slowly)
        dialling = [
            asyncio.create_task(join(*pair)),
            asyncio.create_task(join(*pair[::-1])),
        ]
        await asyncio.sleep(pause)
        await asyncio.gather(join(*pair), *dialling)
        await asyncio.sleep(10)
        here, _ = alone(*pair)
        assert here.is_initiator
        await part(*pair)

    run(scenario())


@pytest.mark.parametrize("pause", [0, 0.001, 0.01, 0.03, 1, 5])
def test_of_links_that_the_same_side_opened_one_stays_and_after_a_while_the_newer(
    pause: float,
) -> None:
    async def scenario() -> None:
        for first, second in (await by_key(), reversed(await by_key())):
            one = asyncio.create_task(join(first, second))
            await asyncio.sleep(pause)
            two = asyncio.create_task(join(first, second))
            older, newer = (await one)[0], (await two)[0]
            await asyncio.sleep(5)
            here, _ = alone(first, second)
            assert here in ([newer] if pause > ALIVE_S else [older, newer])
            await part(first, second)

    run(scenario())


@pytest.mark.parametrize("turns", [(False, False), (True, False), (False, True), (True, True)])
def test_links_that_the_two_sides_see_come_in_another_order_do_not_end_each_other(
    turns: tuple[bool, bool],
) -> None:
    async def scenario() -> None:
        pair = await by_key()
        both = [await sessions(*pair) for _ in range(2)]

        async def enter(one: int) -> None:
            ends = [link[one] for link in both]
            for session in reversed(ends) if turns[one] else ends:
                await pair[one].enter(session, is_initiator=one == 0)

        await asyncio.gather(enter(0), enter(1))
        await asyncio.sleep(10)
        alone(*pair)
        await part(*pair)

    run(scenario())


@pytest.mark.parametrize("dials", [0, 1])
def test_a_dead_link_is_in_nobodys_way_for_longer_than_it_takes_to_ask(dials: int) -> None:
    async def scenario() -> None:
        # given a link that died without a word
        pair = await by_key()
        here, there = Wire.pair()
        old = await connect(*pair, here, there)
        await asyncio.sleep(2)
        here.is_dead = there.is_dead = True
        # when either of them dials again
        began = asyncio.get_running_loop().time()
        await join(pair[dials], pair[1 - dials])
        # then they are linked
        assert asyncio.get_running_loop().time() - began < ALIVE_S + 1
        one, other = (one.peers.linked(two.device) for one, two in (pair, pair[::-1]))
        assert one is not None
        assert other is not None
        assert not {one, other} & set(old)
        assert one.link.binding == other.link.binding
        await asyncio.sleep(20)
        alone(*pair)
        await part(*pair)

    run(scenario())


def test_a_contact_that_dials_in_a_loop_has_one_link_in_the_end_and_leaves_nothing() -> None:
    async def scenario() -> None:
        one, other = await by_key()
        for _ in range(50):
            await join(one, other)
        await asyncio.sleep(30)
        alone(one, other)
        assert all(task.done() for task in other.holding[:-1])
        await part(one, other)
        for side in (one, other):
            assert len(side.peers) == 0
            assert not side.peers._contacts
            # of meetings that were never held nothing stays in what all of them share
            held = await side.port._inventory.holdings()
            assert held.mail is not None
            assert not held.mail._meetings
            assert not held._listeners

    run(scenario())


# --- what is shown ------------------------------------------------------------------------------


def test_a_row_says_who_is_there_and_how_the_link_is() -> None:
    async def scenario() -> None:
        one, other, stranger = [await Neighbour(number).begin() for number in (1, 2, 3)]
        await befriend(one, other)
        await hold(one.node, Device(2, 2))
        await join(stranger, one, latency=0.2)
        await join(one, other, latency=0.05)
        await asyncio.sleep(10)
        friend, somebody = await rows(one)
        assert (friend.authenticated, friend.device, friend.person) == (
            (True, other.device, other.node.me.person)
        )
        assert (friend.links, friend.transport, friend.address) == (1, "memory", None)
        assert (friend.state, somebody.state) == ("equal", "equal")
        assert (friend.latency_ms, somebody.latency_ms) == (100, 400)
        assert 0 <= friend.last_received_s <= 0.5
        assert friend.last_sent_s <= 0.5
        await asyncio.sleep(5)
        (later, _) = await rows(one)
        assert later.last_received_s == pytest.approx(friend.last_received_s + 5, abs=0.5)
        await part(one, other, stranger)

    run(scenario())


@pytest.mark.parametrize("is_visible", [True, False])
def test_who_is_visible_to_everyone_is_seen_by_strangers_and_nobody_else_is(
    *, is_visible: bool
) -> None:
    async def scenario() -> None:
        one, other = [await Neighbour(number).begin() for number in (1, 2)]
        other.node.is_visible = is_visible
        await join(one, other)
        await asyncio.sleep(5)
        (row,) = await rows(one)
        assert row.authenticated == is_visible
        assert row.device == (other.device if is_visible else None)
        assert row.person == (other.node.me.person if is_visible else None)
        # and who only looks is not seen for it
        (back,) = await rows(other)
        assert (back.authenticated, back.person, back.device) == (False, None, None)
        await part(one, other)

    run(scenario())


def test_one_who_answers_nothing_is_asked_again_only_after_a_while() -> None:
    async def scenario() -> None:
        one, other = await by_key()
        here, there = Wire.pair()
        await connect(one, other, here, there)
        await asyncio.sleep(2)
        here.is_dead = True
        now = asyncio.get_running_loop().time
        began = now()
        (row,) = await rows(one)
        assert row.latency_ms is None
        assert now() - began == pytest.approx(1)
        for _ in range(20):
            await rows(one)
        assert now() - began < 2
        assert LATENCY_S > 2
        await part(one, other)

    run(scenario())


# --- the end ------------------------------------------------------------------------------------


def test_once_it_ends_nobody_comes_in_any_more_and_all_are_out() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        await join(one, other)
        near, far = await sessions(one, other)
        await asyncio.sleep(2)
        await one.peers.end(1.5)
        assert len(one.peers) == 0
        with pytest.raises(LinkError, match="this node ends"):
            await one.peers.enter(near, is_initiator=True)
        with pytest.raises(LinkClosedError):
            await far.receive()
        await part(one, other)

    run(scenario())


def test_the_end_is_not_waited_for_longer_than_is_said_and_comes_all_the_same() -> None:
    async def scenario() -> None:
        one, other = await by_key()
        here, there = Wire.pair()
        await connect(one, other, here, there)
        await asyncio.sleep(2)
        here.is_full = True
        began = asyncio.get_running_loop().time()
        await one.peers.end(0.5)
        assert asyncio.get_running_loop().time() - began == 0.5
        assert len(one.peers) == 1
        await asyncio.sleep(10)
        assert len(one.peers) == 0
        await part(one, other)

    run(scenario())
