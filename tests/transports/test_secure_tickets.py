"""Tickets: used once, by the right ones, for thirty days; without them nothing is lost."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import pytest
from typing_extensions import override

from tests.transports.secure_pairs import THERE, Device, Mode, Wire, met, name_of, parted, virtually
from transports.noise import Handshake
from transports.opening import MAX_FIRST_BYTES, Opener, answer
from transports.recognition import Credentials
from transports.tickets import MAX_AGE_S, MAX_CANDIDATES, MemoryTickets, Ticket, TicketPair

each_mode = pytest.mark.parametrize("mode", ["stream", "datagram"])


async def acquainted(mode: Mode = "stream") -> tuple[Device, Device]:
    ada, ben = Device("ada", ("ben",)), Device("ben", ("ada",))
    await parted(*await met(ada, ben, mode=mode))
    return ada, ben


def made(number: int, name: bytes | None = b"n") -> Ticket:
    return Ticket(number.to_bytes(16, "big"), bytes(32), name)


@each_mode
def test_either_side_opens_the_next_session_with_a_ticket_of_the_last(mode: Mode) -> None:
    async def scenario() -> None:
        ada, ben = await acquainted(mode)
        for number in range(6):
            near, far = (ada, ben) if number % 2 else (ben, ada)
            ticket = near.ticket(far.person)
            a, b = await met(near, far, ticket=ticket, mode=mode, seed=number + 2)
            assert a.was_resumed
            assert b.was_resumed
            assert (a.peer, b.peer) == (name_of(far.person), name_of(near.person))
            await parted(a, b)

    virtually(scenario())


def test_the_two_tickets_of_a_session_have_nothing_in_common() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        mine, his = ada.ticket("ben"), ben.ticket("ada")
        assert mine.ident != his.ident
        assert mine.psk != his.psk
        assert [*await ben.tickets.find(mine.ident)] == [replace(mine, name=name_of("ada"))]
        assert [*await ada.tickets.find(his.ident)] == [replace(his, name=name_of("ben"))]
        assert not await ada.tickets.find(mine.ident)

    virtually(scenario())


def test_two_who_call_each_other_at_the_same_moment_show_no_ident_twice() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        async with Wire().open() as there, Wire().open() as back:
            calls = await asyncio.gather(
                met(ada, ben, there, ticket=ada.ticket("ben"), seed=2),
                met(ben, ada, back, ticket=ben.ticket("ada"), seed=3),
            )
            for links in calls:
                assert links[0].was_resumed
                await parted(*links)
        assert there.said[0][1][1:17] != back.said[0][1][1:17]

    virtually(scenario())


def test_a_ticket_is_gone_before_its_ident_is_sent() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        ticket, held = ada.ticket("ben"), []

        def looked(way: int, number: int, frame: bytes) -> Iterable[bytes]:
            if (way, number) == (THERE, 0):
                assert frame[1:17] == ticket.ident
                held.append(ada.tickets.newest(name_of("ben")))
            return (frame,)

        async with Wire(looked).open() as wire:
            await parted(*await met(ada, ben, wire, ticket=ticket, seed=2))
        assert held == [None]

    virtually(scenario())


def test_of_two_who_answer_with_one_ticket_at_the_same_moment_one_has_it() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        opener = Opener(Random(1).randbytes, ada.ticket("ben"), ada.who.pair_keys)

        class Slow(MemoryTickets):
            @override
            async def find(self, ident: bytes) -> Sequence[Ticket]:
                found = await ben.tickets.find(ident)
                await asyncio.sleep(1.0)
                return found

            @override
            async def spend(self, ticket: Ticket) -> bool:
                return await ben.tickets.spend(ticket)

        slow, names = Slow(lambda: 0.0), ben.who.pair_keys
        answers = await asyncio.gather(
            *(answer(opener.first, Random(n).randbytes, slow, names) for n in (2, 3))
        )
        assert [agreed.ticket is not None for _, agreed in answers] == [True, False]
        assert [opener.read(second).ticket is not None for second, _ in answers] == [True, False]

    virtually(scenario())


def test_a_ticket_that_was_spent_is_not_shown_again() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        ticket = ada.ticket("ben")
        for seed, expected in [(2, True), (3, False)]:
            async with Wire().open() as wire:
                a, b = await met(ada, ben, wire, ticket=ticket, seed=seed)
                assert a.was_resumed is b.was_resumed is expected
                assert a.peer == name_of("ben")
                await parted(a, b)
            assert (wire.said[0][1][1:17] == ticket.ident) is expected

    virtually(scenario())


@each_mode
def test_a_ticket_that_the_other_side_has_lost_costs_nothing(mode: Mode) -> None:
    async def scenario() -> None:
        ada, _ = await acquainted(mode)
        ben = Device("ben", ("ada",))
        a, b = await met(ada, ben, ticket=ada.ticket("ben"), mode=mode, seed=2)
        assert not a.was_resumed
        assert not b.was_resumed
        assert (a.peer, b.peer) == (name_of("ben"), name_of("ada"))
        await parted(a, b)

    virtually(scenario())


@pytest.mark.parametrize("whose", ["the one who opens", "the one who answers"])
def test_a_ticket_of_somebody_who_is_no_contact_any_more_is_not_used(whose: str) -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        ticket = ada.ticket("ben")
        if whose == "the one who opens":
            ada.knows = ()
        else:
            ben.knows = ("cleo",)
        a, b = await met(ada, ben, ticket=ticket, seed=2)
        assert a.peer is b.peer is None
        assert not a.was_resumed
        assert not b.was_resumed
        await parted(a, b)

    virtually(scenario())


def test_a_contact_who_is_removed_during_the_handshake_is_not_recognised() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        who = ada.who
        assert isinstance(who.pair_keys, dict)

        def removing(way: int, number: int, frame: bytes) -> Iterable[bytes]:
            if (way, number) == (THERE, 0):
                who.pair_keys.clear()  # type: ignore[attr-defined]
            return (frame,)

        async with Wire(removing).open() as wire:
            device = _Fixed(who)
            a, b = await met(device, ben, wire, ticket=ada.ticket("ben"), seed=2)
            assert a.peer is b.peer is None
            await parted(a, b)

    virtually(scenario())


@each_mode
@pytest.mark.parametrize("opens", [True, False], ids=["to open", "to answer"])
def test_a_stolen_ticket_is_worth_nothing_without_the_pair_key(mode: Mode, *, opens: bool) -> None:
    async def scenario() -> None:
        ada, ben = await acquainted(mode)
        ticket = ada.ticket("ben")
        # given eve, who has taken one of the two copies of a ticket, and knows the other side
        eve = Device("eve", ("ben" if opens else "ada",))
        if opens:
            await eve.tickets.keep(TicketPair(ticket, made(1)))
            a, b = await met(eve, ben, ticket=ticket, mode=mode, seed=2)
        else:
            await eve.tickets.keep(TicketPair(made(1), replace(ticket, name=name_of("ada"))))
            a, b = await met(ada, eve, ticket=ticket, mode=mode, seed=2)
        # then nobody is taken for the one from whom it was taken
        assert a.was_resumed is b.was_resumed is False
        assert a.peer is b.peer is None
        await parted(a, b)

    virtually(scenario())


def test_a_contact_who_is_removed_while_a_ticket_is_spent_is_met_without_it() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        who, ticket = ada.who, ada.ticket("ben")

        class Removing(MemoryTickets):
            @override
            async def spend(self, ticket: Ticket) -> bool:
                who.pair_keys.clear()  # type: ignore[attr-defined]
                return await ada.tickets.spend(ticket)

        device = _Fixed(replace(who, tickets=Removing(lambda: 0.0)))
        a, b = await met(device, ben, ticket=ticket, seed=2)
        assert a.was_resumed is b.was_resumed is False
        assert a.peer is b.peer is None
        await parted(a, b)

    virtually(scenario())


def test_tickets_serve_for_thirty_days_by_the_clock_of_who_keeps_them() -> None:
    async def scenario() -> None:
        ada, ben = await acquainted()
        ada.now = ben.now = float(MAX_AGE_S)
        ticket = ada.ticket("ben")
        assert len(await ben.tickets.find(ticket.ident)) == 1
        ada.now = ben.now = MAX_AGE_S + 1.0
        assert ada.tickets.newest(name_of("ben")) is None
        assert not await ben.tickets.find(ticket.ident)
        a, b = await met(ada, ben, ticket=ticket, seed=2)
        assert a.was_resumed is b.was_resumed is False
        await parted(a, b)

    virtually(scenario())


def test_who_keeps_tickets_keeps_the_newest_few() -> None:
    async def scenario() -> None:
        tickets = MemoryTickets(lambda: 0.0, most=3)
        for number in range(10):
            await tickets.keep(TicketPair(made(number), made(100 + number)))
        held = [n for n in range(200) if await tickets.find(made(n).ident)]
        assert held == [107, 108, 109]
        assert tickets.newest(b"n") == made(9)
        assert [await tickets.spend(made(9)) for _ in range(2)] == [True, False]
        assert tickets.newest(b"n") == made(8)

    virtually(scenario())


# --- closed groups --------------------------------------------------------------------------------


def group(number: int) -> Ticket:
    return Ticket(bytes(16), bytes([number]) * 32, None)


@each_mode
@pytest.mark.parametrize("contacts", [True, False])
def test_members_of_a_closed_group_use_its_secret_and_recognise_contacts_inside(
    mode: Mode, *, contacts: bool
) -> None:
    async def scenario() -> None:
        knows = (("ben",), ("ada",)) if contacts else ((), ())
        ada = Device("ada", knows[0], groups=(group(7),))
        ben = Device("ben", knows[1], groups=(group(3), group(7)))
        for seed in (1, 2):
            ticket = replace(group(7), ident=Random(seed).randbytes(16))
            a, b = await met(ada, ben, ticket=ticket, mode=mode, seed=seed)
            assert a.was_resumed
            assert b.was_resumed
            assert (a.peer is not None) == (b.peer is not None) == contacts
            await parted(a, b)

    virtually(scenario())


def test_who_does_not_know_the_secret_of_a_group_is_answered_as_anybody() -> None:
    async def scenario() -> None:
        ben = Device("ben", groups=(group(3), group(7)))
        a, b = await met(Device("eve"), ben, ticket=group(4))
        assert a.was_resumed is b.was_resumed is False
        await parted(a, b)

    virtually(scenario())


def test_no_more_than_sixteen_secrets_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    read = Handshake.read_first

    def counted(self: Handshake, message: bytes) -> bytes:
        tried.append(1)
        return read(self, message)

    monkeypatch.setattr(Handshake, "read_first", counted)

    class Generous(MemoryTickets):
        @override
        async def find(self, ident: bytes) -> list[Ticket]:
            assert len(ident) == 16
            return [group(number) for number in range(40)]

    async def scenario() -> None:
        opener = Opener(Random(1).randbytes, group(15))
        for number, was_found in [(15, True), (16, False)]:
            opener = Opener(Random(1).randbytes, group(number))
            tried.clear()
            generous = Generous(lambda: 0.0)
            second, agreed = await answer(opener.first, Random(2).randbytes, generous, {})
            assert (agreed.ticket is not None) is was_found
            assert opener.read(second).ticket == agreed.ticket
            assert len(tried) == 1 + MAX_CANDIDATES

    virtually(scenario())
    with pytest.raises(ValueError, match="16 groups"):
        MemoryTickets(lambda: 0.0, [group(n) for n in range(16)])
    assert MAX_FIRST_BYTES < 1_000


class _Fixed(Device):
    """A device whose credentials stay the same object."""

    def __init__(self, who: Credentials) -> None:
        super().__init__("ada")
        self._who = who

    @property
    @override
    def who(self) -> Credentials:
        return self._who
