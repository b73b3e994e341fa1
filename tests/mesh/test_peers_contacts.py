"""Who is recognised, from when on, and until when.

Real sessions over links in memory, in virtual time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ledger.statement import Revocation
from tests.mesh.neighbours import (
    Neighbour,
    friends,
    hold,
    join,
    part,
    sessions,
)
from tests.strategies import person_key
from tests.virtual_time import run_virtual
from transports.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mesh.acquaintances import Shared
    from mesh.rows import PeerRow
    from transports.tickets import Ticket


async def rows(one: Neighbour) -> list[PeerRow]:
    return await one.port.peers()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    run_virtual(scenario)


@pytest.mark.parametrize("added", [(False, False), (True, False), (False, True)])
def test_two_who_have_not_both_added_each_other_are_strangers(added: tuple[bool, bool]) -> None:
    async def scenario() -> None:
        pair = await Neighbour(1).begin(), await Neighbour(2).begin()
        for one, other, adds in zip(pair, pair[::-1], added, strict=True):
            if adds:
                await one.port.add_contact(other.link)
        await join(*pair)
        await asyncio.sleep(2)
        for one in pair:
            (row,) = await rows(one)
            assert (row.authenticated, row.person, row.device, row.name) == (
                False,
                None,
                None,
                None,
            )
            assert not one.peers._contacts
        # public blocks come all the same
        assert await pair[0].ids() == await pair[1].ids()
        await part(*pair)

    run(scenario())


def test_adding_somebody_takes_effect_at_the_next_link_and_ends_those_that_are_there() -> None:
    async def scenario() -> None:
        one, other = await Neighbour(1).begin(), await Neighbour(2).begin()
        await one.port.add_contact(other.link)
        strangers = await join(one, other)
        await asyncio.sleep(2)
        await other.port.add_contact(one.link)
        await asyncio.sleep(1)
        assert all(presence is not None and presence.ended.done() for presence in strangers)
        await join(one, other)
        (row,) = await rows(other)
        assert (row.authenticated, row.device) == (True, one.device)
        await part(one, other)

    run(scenario())


def test_who_was_removed_is_a_stranger_from_then_on_on_either_side() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        await join(one, other)
        await asyncio.sleep(2)
        await one.port.remove_contact(other.link)
        await asyncio.sleep(1)
        assert len(one.peers) == len(other.peers) == 0
        for dials, answers in ((one, other), (other, one)):
            await join(dials, answers)
            await asyncio.sleep(2)
            assert [row.authenticated for row in await rows(one)] == [False]
            assert [row.authenticated for row in await rows(other)] == [False]
            one.peers.stop()
            await asyncio.sleep(1)
        await part(one, other)

    run(scenario())


def test_who_is_removed_while_he_comes_in_comes_in_as_a_stranger() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        near, far = await sessions(one, other)
        assert far.peer == one.device
        await other.port.remove_contact(one.link)
        await asyncio.gather(
            one.enter(near, is_initiator=True), other.enter(far, is_initiator=False)
        )
        assert [row.authenticated for row in await rows(other)] == [False]
        await part(one, other)

    run(scenario())


@pytest.mark.parametrize("change", ["remove", "block"])
def test_tickets_of_who_was_a_contact_are_never_used_again_not_even_if_he_is_again(
    change: str,
) -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        await sessions(one, other)
        ticket = await one.peers.ticket(other.device)
        assert ticket is not None
        assert (await resumed(one, other, ticket)) == (True, True)
        old = await one.peers.ticket(other.device)
        assert old is not None
        # when he is one no longer, and then again
        if change == "remove":
            await other.port.remove_contact(one.link)
        else:
            await other.port.block(one.link)
            await other.port.unblock(one.link)
        assert await other.peers.ticket(one.device) is None
        await other.port.add_contact(one.link)
        # then he is recognised, the long way
        assert (await resumed(one, other, old)) == (False, False)
        await part(one, other)

    run(scenario())


async def resumed(one: Neighbour, other: Neighbour, ticket: Ticket) -> tuple[bool, bool]:
    """Say whether a session with a ticket came about by it; both are recognised in any case."""
    here, there = MemoryLink.pair(latency=0.01)
    near, far = await asyncio.gather(
        one.peers.secure(here, is_initiator=True, ticket=ticket),
        other.secure(there, is_initiator=False),
    )
    assert (near.peer, far.peer) == (other.device, one.device)
    return near.was_resumed, far.was_resumed


def test_a_session_that_begins_before_somebody_is_removed_leaves_no_ticket() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        here, there = MemoryLink.pair(latency=0.6)
        setting_up = asyncio.gather(
            one.secure(here, is_initiator=True), other.secure(there, is_initiator=False)
        )
        await asyncio.sleep(2)
        await other.port.remove_contact(one.link)
        await setting_up
        assert await other.node.store.note(f"tickets/{one.device.hex()}") is None
        await part(one, other)

    run(scenario())


def test_a_device_that_is_revoked_while_it_is_here_has_to_go_and_nobody_elses_word_does_that() -> (
    None
):
    async def scenario() -> None:
        one, other = await friends(1, 2)
        _, there = await join(one, other)
        assert there is not None
        await asyncio.sleep(2)
        await hold(other.node, but=[Revocation.sign(person_key(9), one.device, [])])
        await asyncio.sleep(2)
        assert not there.ended.done()
        await hold(other.node, but=[Revocation.sign(person_key(1), one.device, [])])
        await asyncio.sleep(2)
        assert there.ended.done()
        await join(one, other)
        assert [row.authenticated for row in await rows(other)] == [False]
        await part(one, other)

    run(scenario())


def test_two_devices_that_are_revoked_one_upon_the_other_have_both_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        hub, first, second = await friends(1, 2, 3)
        here = [(await join(hub, one))[0] for one in (first, second)]
        await asyncio.sleep(2)
        look = hub.peers._acquaintances.all
        looked = 0

        async def look_and_hear_of_the_other() -> Mapping[bytes, Shared]:
            nonlocal looked
            found, looked = await look(), looked + 1
            if looked == 1:
                await hold(hub.node, but=[Revocation.sign(person_key(3), second.device, [])])
            return found

        monkeypatch.setattr(hub.peers._acquaintances, "all", look_and_hear_of_the_other)
        await hold(hub.node, but=[Revocation.sign(person_key(2), first.device, [])])
        await asyncio.sleep(2)
        assert [one is not None and one.ended.done() for one in here] == [True, True]
        await part(hub, first, second)

    run(scenario())


def test_another_device_of_a_contact_is_recognised_once_its_first_block_came() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        second = await Neighbour(20, 2).begin()
        await second.port.add_contact(one.link)
        await join(one, second)
        assert [row.authenticated for row in await rows(one)] == [False]
        await asyncio.sleep(2)
        second.peers.stop()
        await asyncio.sleep(1)
        # it came over the first link
        await join(one, second)
        (row,) = await rows(one)
        assert (row.device, row.person) == (second.device, other.node.me.person)
        await part(one, other, second)

    run(scenario())


def test_a_home_that_is_locked_is_a_stranger_to_its_contacts_until_it_is_unlocked() -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        await join(one, other)
        await asyncio.sleep(2)
        secrets = one.node.secrets
        await one.node.lock()
        await asyncio.sleep(1)
        assert len(one.peers) == len(other.peers) == 0
        for dials, answers in ((one, other), (other, one)):
            await join(dials, answers)
            assert [row.authenticated for row in await rows(other)] == [False]
            one.peers.stop()
            await asyncio.sleep(1)
        one.node._secrets = secrets
        one.node._turned.tell()
        await join(one, other)
        assert [row.authenticated for row in await rows(other)] == [True]
        await part(one, other)

    run(scenario())
