"""What a node cares about counts from the moment it changes, whoever is coming in just then.

Real sessions over links in memory, in virtual time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gossip.effects import End
from ledger.errors import StoreError
from ledger.link import Link as Invitation
from tests.mesh.neighbours import (
    Neighbour,
    befriend,
    friends,
    hold,
    join,
    part,
    sessions,
)
from tests.strategies import Device, person_key
from tests.virtual_time import run_virtual
from transports.base import LinkClosedError
from transports.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mesh.rows import PeerRow


async def rows(one: Neighbour) -> list[PeerRow]:
    return await one.port.peers()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    run_virtual(scenario)


def test_all_start_over_when_the_node_cares_about_others_than_before() -> None:
    async def scenario() -> None:
        one, other, third = await friends(1, 2, 3)
        presences = [await join(one, other), await join(third, one)]
        await asyncio.sleep(2)
        await one.port.follow(Invitation.parse(third.link).person.hex())
        await asyncio.sleep(1)
        assert len(one.peers) == len(other.peers) == len(third.peers) == 0
        for mine, _ in (presences[0], presences[1][::-1]):
            assert mine is not None
            assert mine.starts_over
        outcomes: list[Any] = await asyncio.gather(*one.holding)
        assert [outcome.end for outcome in outcomes] == [End.STOPPED] * 2
        await part(one, other, third)

    run(scenario())


class Slow:
    """Holds a call up at its end until it is let go on."""

    def __init__(self, owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_come, self.may_go = asyncio.Event(), asyncio.Event()
        called: Callable[..., Awaitable[object]] = getattr(owner, name)

        async def slowly(*args: object, **more: object) -> object:
            done = await called(*args, **more)
            self.has_come.set()
            await self.may_go.wait()
            return done

        monkeypatch.setattr(owner, name, slowly)


@pytest.mark.parametrize("where", ["policy", "holdings", "keeper"])
def test_who_comes_in_while_somebody_is_blocked_gets_nothing_of_him(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        blocked = Device(9, 9)
        posts = blocked.write_many(3, "of somebody who will be blocked")
        await hold(one.node, blocked)
        near, far = await sessions(one, other)
        # given one who is being let in, and has looked at what the node cares about
        slow = Slow(one.port._inventory, where, monkeypatch)
        entering = asyncio.create_task(one.enter(near, is_initiator=True))
        await slow.has_come.wait()
        # when that changes
        blocking = asyncio.create_task(one.port.block(person_key(9).signing.public.hex()))
        await asyncio.sleep(1)
        slow.may_go.set()
        await asyncio.gather(blocking, entering, other.enter(far, is_initiator=False))
        await asyncio.sleep(10)
        # then it counts for him
        assert not {post.id for post in posts} & await other.ids()
        assert [row.state for row in await rows(one)] == ["equal"]
        await part(one, other)

    run(scenario())


@pytest.mark.parametrize("where", ["policy", "holdings", "keeper"])
def test_what_comes_while_holdings_are_read_anew_is_offered_to_everybody(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        near, far = await sessions(one, other)
        await one.port._inventory.holdings()
        one.port._inventory.forget()
        # given holdings that are being read again for one who comes in
        slow = Slow(one.port._inventory, where, monkeypatch)
        entering = asyncio.create_task(one.enter(near, is_initiator=True))
        await slow.has_come.wait()
        # when a batch comes, and a post is written, and they are forgotten again, and once more
        stranger = Device(9, 9)
        stranger.write_many(5)
        coming = [
            asyncio.create_task(hold(one.node, stranger)),
            asyncio.create_task(one.port.post("now")),
        ]
        await asyncio.sleep(1)
        one.port._inventory.forget()
        await asyncio.sleep(1)
        slow.may_go.set()
        await asyncio.gather(*coming, entering, other.enter(far, is_initiator=False))
        await asyncio.sleep(10)
        # then nothing is missing
        assert await other.ids() == await one.ids()
        assert len(await other.ids()) == 9
        await part(one, other)

    run(scenario())


# --- strangers, and the store -------------------------------------------------------------------


def test_strangers_who_stay_are_bounded_and_contacts_are_not_among_them() -> None:
    async def scenario() -> None:
        host = await Neighbour(1, most_strangers=3).begin()
        friend, *others = [await Neighbour(number).begin() for number in range(2, 9)]
        await befriend(host, friend)
        await join(friend, host)
        for other in others:
            await join(other, host)
            await asyncio.sleep(1)
        there = await rows(host)
        assert [row.authenticated for row in there] == [True, False, False, False]
        # the first came went; whom this node dials is not counted
        assert [len(other.peers) for other in others] == [0, 0, 0, 1, 1, 1]
        await join(host, others[0])
        assert len(await rows(host)) == 5
        await part(host, friend, *others)

    run(scenario())


def test_one_who_sets_up_a_session_and_says_nothing_more_is_gone_in_ten_seconds() -> None:
    async def scenario() -> None:
        host, silent = await Neighbour(1).begin(), await Neighbour(2).begin()
        _, far = await sessions(silent, host)
        presence = await host.enter(far, is_initiator=False)
        assert presence is not None
        await asyncio.sleep(11)
        assert presence.ended.done()
        assert len(host.peers) == 0
        await part(host, silent)

    run(scenario())


def test_a_store_that_cannot_be_read_lets_nobody_in_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> object:
        raise StoreError("it cannot be read; run `passalong check`")

    async def scenario() -> None:
        one, other = await friends(1, 2)
        places = [
            (one.peers._acquaintances, "all"),
            (one.node.store, "note"),
            (one.port._inventory, "holdings"),
            (one.port._inventory, "keeper"),
        ]
        for where, name in places:
            near, far = await sessions(one, other)
            with monkeypatch.context() as patch:
                patch.setattr(where, name, fail)
                with pytest.raises(StoreError):
                    await one.peers.enter(near, is_initiator=True)
            with pytest.raises(LinkClosedError):
                await far.receive()
            assert len(one.peers) == 0
        # and it goes on when it can
        await join(one, other)
        await asyncio.sleep(2)
        assert await one.ids() == await other.ids()
        await part(one, other)

    run(scenario())


def test_a_link_on_which_whom_one_knows_cannot_be_read_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail() -> object:
        raise StoreError("it cannot be read; run `passalong check`")

    async def scenario() -> None:
        one = await Neighbour(1).begin()
        monkeypatch.setattr(one.peers._acquaintances, "all", fail)
        here, there = MemoryLink.pair()
        with pytest.raises(StoreError):
            await one.secure(here, is_initiator=False)
        with pytest.raises(LinkClosedError):
            await there.receive()

    run(scenario())
