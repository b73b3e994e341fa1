"""The mail of a node while several use it: meetings, files that fail, strangers who look in."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from gossip.postal import Envelopes
from gossip.wire import encode_message
from ledger.errors import StoreError
from ledger.store.base import Batch, MailWhat
from mesh.inventory import SETTLE_S
from mesh.port import PortError
from tests.gossip.held import bundle
from tests.gossip.mail_builders import ALICE, DAY_MIN, Letter, letter, parcel
from tests.mesh.neighbours import Neighbour, friends, join, part
from tests.strategies import Device, run_of
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mesh.inventory import Inventory


def run(scenario: Coroutine[Any, Any, None]) -> None:
    run_virtual(scenario)


def shared(one: Neighbour) -> Inventory:
    return one.port._inventory


async def send(one: Neighbour, *letters: Letter) -> None:
    """Have somebody begin to carry letters."""
    bag = await shared(one).mailbag()
    for each in letters:
        await bag.keep(bag.mail.deposit(each.envelope, 8, DAY_MIN, bag.now))


async def stored(one: Neighbour) -> set[bytes]:
    return {row.ident for row in await one.node.store.mail() if row.what is MailWhat.CARRIED}


async def offered(one: Neighbour) -> set[bytes]:
    """Return what is carried and known to be stored: what is offered to others."""
    mail = (await shared(one).mailbag()).mail
    return {ident for ident, carried in mail.carried.items() if carried.serial > 0}


def on_a_stick(*letters: Letter) -> BytesIO:
    return BytesIO(bundle([encode_message(Envelopes([parcel(one) for one in letters]))]))


# --- who comes only to look ---------------------------------------------------------------------


def noted(name: str, call: Callable[..., object], calls: list[str]) -> Callable[..., object]:
    def called(*args: object, **more: object) -> object:
        calls.append(name)
        return call(*args, **more)

    return called


def test_strangers_who_come_and_go_cause_no_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        host, stranger = await Neighbour(1).begin(), await Neighbour(2).begin()
        await send(host, letter(1))
        await join(stranger, host)  # brings its blocks
        await asyncio.sleep(5)
        calls: list[str] = []
        store = host.node.store
        for name in ("absorb", "set_note", "logs", "devices", "known"):
            monkeypatch.setattr(store, name, noted(name, getattr(store, name), calls))
        for _ in range(50):
            await join(stranger, host)
            stranger.peers.stop()
            await asyncio.sleep(0.5)
        assert len(host.holding) == 51
        assert calls == []
        await part(host, stranger)

    run(scenario())


def test_mail_that_has_lived_goes_within_a_minute_of_somebody_asking() -> None:
    async def scenario() -> None:
        one = await Neighbour(1).begin()
        bag = await shared(one).mailbag()
        await bag.keep(bag.mail.deposit(letter(1).envelope, 8, 10, bag.now))
        await asyncio.sleep(600)
        await shared(one).mailbag()
        assert await stored(one) == set()
        await bag.keep(bag.mail.deposit(letter(2).envelope, 8, 1, bag.now))
        await asyncio.sleep(SETTLE_S)
        await shared(one).mailbag()
        assert await stored(one) == set()
        await part(one)

    run(scenario())


# --- files that fail ----------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"no bundle at all"])
def test_a_file_of_which_nothing_was_taken_disturbs_no_meeting(raw: bytes) -> None:
    async def scenario() -> None:
        one, other = await friends(1, 2)
        await send(one, letter(1))
        presences = await join(one, other)
        await asyncio.sleep(2)
        bag = await shared(one).mailbag()
        with pytest.raises(PortError):
            await one.port.import_bundle(BytesIO(raw))
        with pytest.raises(PortError):
            await one.port.export_bundle(BytesIO(), to=["Nobody"], seal=True)
        assert not any(presence is None or presence.ended.done() for presence in presences)
        assert await shared(one).mailbag() is bag
        await part(one, other)

    run(scenario())


def test_after_a_file_that_failed_halfway_all_mail_is_as_the_disk_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> object:
        raise StoreError("the disk is full; free some space")

    async def scenario() -> None:
        # given two who are in a meeting and carry a letter
        one, other = await friends(1, 2)
        await send(one, letter(1))
        await join(one, other)
        await asyncio.sleep(5)
        assert await offered(other) == {letter(1).id}
        # when a file's mail does not get to the disk
        bag = await shared(one).mailbag()
        with monkeypatch.context() as patch:
            patch.setattr(one.node.store, "absorb", fail)
            with pytest.raises(StoreError):
                await one.port.import_bundle(on_a_stick(letter(2)))
        await asyncio.sleep(2)
        # then the meetings start over, and nobody believes to have it
        assert len(one.peers) == 0
        assert await shared(one).mailbag() is not bag
        assert await offered(one) == await stored(one) == {letter(1).id}
        # and it can come again, by whom it will
        await send(other, letter(2))
        await join(one, other)
        await asyncio.sleep(5)
        assert await offered(one) == await stored(one) == {letter(1).id, letter(2).id}
        await part(one, other)

    run(scenario())


async def lose_mail(one: Neighbour) -> None:
    """Have something fail that has changed the mail."""

    async def change_and_fail() -> None:
        async with shared(one).mail() as bag:
            bag.mail.deposit(letter(99).envelope, 8, DAY_MIN, bag.now)
            raise StoreError("the disk is full; free some space")

    with pytest.raises(StoreError):
        await change_and_fail()


def test_what_a_meeting_still_brings_when_the_mail_is_read_again_is_not_kept_by_halves() -> None:
    async def scenario() -> None:
        one = await Neighbour(1).begin()
        await shared(one).holdings()
        keeper, bag = await shared(one).keeper(), await shared(one).mailbag()
        change = bag.mail.take(letter(1).envelope, parcel(letter(1)), ALICE, bag.now)
        await lose_mail(one)
        # when the meeting that ends stores its last batch
        stranger = Device(9, 9)
        batch = Batch(runs=[run_of([stranger.root])], mail=change.puts)
        await keeper.absorb(batch, seen=0, durable=True)
        # then its blocks are there, and its mail neither here nor there
        assert stranger.root.id in await one.ids()
        assert await offered(one) == await stored(one) == set()
        now = await shared(one).mailbag()
        assert now.mail.take(letter(1).envelope, parcel(letter(1)), ALICE, now.now).puts
        await part(one)

    run(scenario())


def test_mail_that_is_being_stored_when_the_mail_is_read_again_is_read() -> None:
    async def scenario() -> None:
        one = await Neighbour(1).begin()
        keeper, bag = await shared(one).keeper(), await shared(one).mailbag()
        change = bag.mail.take(letter(1).envelope, parcel(letter(1)), ALICE, bag.now)
        async with one.node.writer.alone:  # the disk is slow
            keeping = asyncio.create_task(
                keeper.absorb(Batch(mail=change.puts), seen=0, durable=True)
            )
            await asyncio.sleep(1)
            await lose_mail(one)
            reading = asyncio.create_task(shared(one).mailbag())
            await asyncio.sleep(1)
        await asyncio.gather(keeping, reading)
        assert await offered(one) == await stored(one) == {letter(1).id}
        await part(one)

    run(scenario())


@pytest.mark.parametrize("read", ["never", "before", "without mail"])
def test_mail_that_is_stored_while_holdings_are_forgotten_is_offered(read: str) -> None:
    async def scenario() -> None:
        one = await Neighbour(1).begin()
        if read == "before":
            await shared(one).holdings()
        keeper, bag = await shared(one).keeper(), await shared(one).mailbag()
        change = bag.mail.take(letter(1).envelope, parcel(letter(1)), ALICE, bag.now)
        shared(one).forget()
        if read == "without mail":
            async with one.node.writer.alone:
                await shared(one)._read()
        await keeper.absorb(Batch(mail=change.puts), seen=0, durable=True)
        assert await offered(one) == {letter(1).id}
        await part(one)

    run(scenario())
