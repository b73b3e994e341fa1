"""Tickets that are kept: each serves once, whatever happens to the node meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from ledger.codec import encode
from ledger.errors import StoreError
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from mesh import tickets
from mesh.tickets import KeptTickets, drop_tickets
from tests.gossip.held import WHEN
from tests.strategies import device_keys, material
from transports.tickets import MAX_AGE_S, Ticket, TicketPair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.store.base import Store

BEN, CLEO = device_keys(2).public, device_keys(3).public
DAY_MS = 24 * 60 * 60 * 1_000


def pair(device: bytes, name: str = "") -> TicketPair:
    both = (
        Ticket(material(f"{name} ident {use}", 16), material(f"{name} psk {use}"), device)
        for use in ("open", "answer")
    )
    return TicketPair(*both)


class Clock:
    def __init__(self) -> None:
        self.ms = WHEN

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "db", new_run=lambda: bytes(8))
    try:
        yield opened
    finally:
        await opened.close()


async def kept(store: Store, clock: Clock, *pairs: TicketPair) -> KeptTickets:
    """Tickets that were kept and read again, as by a node that started anew."""
    first = await KeptTickets.open(store, clock, [])
    for one in pairs:
        await first.keep(one)
    return await again(store, clock)


async def again(store: Store, clock: Clock, *devices: bytes) -> KeptTickets:
    return await KeptTickets.open(store, clock, devices or [BEN, CLEO])


async def test_tickets_outlast_a_start(store: SqliteStore, clock: Clock) -> None:
    ben, cleo = pair(BEN, "ben"), pair(CLEO, "cleo")
    held = await kept(store, clock, ben, cleo)
    assert (held.to_open(BEN), held.to_open(CLEO)) == (ben.to_open, cleo.to_open)
    assert list(await held.find(ben.to_answer.ident)) == [ben.to_answer]
    assert list(await held.find(cleo.to_answer.ident)) == [cleo.to_answer]


async def test_what_opens_does_not_answer_and_the_other_way_round(
    store: SqliteStore, clock: Clock
) -> None:
    ben = pair(BEN)
    held = await kept(store, clock, ben)
    assert await held.find(ben.to_open.ident) == ()
    assert await held.find(bytes(16)) == ()
    assert await held.find(b"") == ()
    assert held.to_open(CLEO) is None


@pytest.mark.parametrize("use", [0, 1])
async def test_each_serves_once_in_this_life_and_the_next(
    store: SqliteStore, clock: Clock, use: int
) -> None:
    ben = pair(BEN)
    held = await kept(store, clock, ben)
    assert await held.spend(ben[use])
    for one in (held, await again(store, clock)):
        assert not await one.spend(ben[use])
        left = (one.to_open(BEN), *await one.find(ben.to_answer.ident))
        assert left == ((None, ben.to_answer), (ben.to_open,))[use]


async def test_a_ticket_is_gone_from_the_disk_before_it_may_be_used(clock: Clock) -> None:
    # given a store whose every write fails
    class FullStore(MemoryStore):
        is_full = False

        @override
        async def set_note(self, name: str, value: bytes | None, *, durable: bool = True) -> None:
            if self.is_full:
                raise StoreError("the disk is full")
            await super().set_note(name, value, durable=durable)

    store, ben = FullStore(), pair(BEN)
    held = await kept(store, clock, ben)
    store.is_full = True
    # then nobody is told that it may be used, now or when it is asked for again
    with pytest.raises(StoreError):
        await held.spend(ben.to_open)
    assert not await held.spend(ben.to_open)
    assert held.to_open(BEN) is None


async def test_what_is_spent_waits_for_the_disk_and_what_is_kept_does_not(
    store: SqliteStore, clock: Clock
) -> None:
    async def level() -> int:
        ((level,),) = await store._db.execute_fetchall("PRAGMA synchronous")
        return int(level)

    ben = pair(BEN)
    held = await kept(store, clock, ben)
    assert await level() == 1  # NORMAL
    await held.spend(ben.to_open)
    assert await level() == 2  # FULL
    await held.keep(pair(BEN, "new"))
    assert await level() == 1


async def test_what_a_session_left_takes_the_place_of_what_was_left_before(
    store: SqliteStore, clock: Clock
) -> None:
    old, new = pair(BEN, "old"), pair(BEN, "new")
    held = await kept(store, clock, old, new)
    assert held.to_open(BEN) == new.to_open
    assert await held.find(old.to_answer.ident) == ()
    assert not await held.spend(old.to_open)
    assert not await held.spend(old.to_answer)


async def test_one_that_is_too_old_is_not_used_and_one_from_the_future_neither(
    store: SqliteStore, clock: Clock
) -> None:
    ben = pair(BEN)
    held = await kept(store, clock, ben)
    oldest = MAX_AGE_S * 1_000
    for shift, is_used in ((0, True), (oldest, True), (oldest + 1, False), (-1, False)):
        clock.ms = WHEN + shift
        assert (held.to_open(BEN) is not None) is is_used
        assert bool(await held.find(ben.to_answer.ident)) is is_used
    # the clock jumps ten years and back: nothing is lost but the time between
    for shift in (3_650 * DAY_MS, -3_650 * DAY_MS):
        clock.ms = WHEN + shift
        assert held.to_open(BEN) is None
    clock.ms = WHEN + DAY_MS
    assert held.to_open(BEN) == ben.to_open


DAMAGED = [
    b"",
    b"\xff",
    bytes(300),
    encode([2, WHEN, None, None]),
    encode([1, "now", None, None]),
    encode([1, WHEN, [bytes(15), bytes(32)], [bytes(16), bytes(31)]]),
    encode([1, WHEN, [bytes(16)], [bytes(32)]]),
    encode([1, WHEN, [bytes(16), bytes(32), bytes(1)], 7]),
]


@pytest.mark.parametrize("note", DAMAGED)
async def test_a_damaged_note_costs_a_handshake_and_nothing_else(
    store: SqliteStore, clock: Clock, note: bytes
) -> None:
    await store.set_note(f"tickets/{BEN.hex()}", note)
    held = await again(store, clock)
    assert held.to_open(BEN) is None
    assert await held.find(bytes(16)) == ()
    new = pair(BEN)
    await held.keep(new)
    assert (await again(store, clock)).to_open(BEN) == new.to_open


async def test_no_more_are_kept_than_is_said_but_those_there_are_renewed(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MAX_KEPT", 2)
    devices = [device_keys(number).public for number in range(2, 5)]
    held = await KeptTickets.open(store, clock, [])
    for device in devices:
        await held.keep(pair(device, device.hex()))
    assert [held.to_open(device) is not None for device in devices] == [True, True, False]
    assert await store.note(f"tickets/{devices[2].hex()}") is None
    renewed = pair(devices[0], "renewed")
    await held.keep(renewed)
    assert held.to_open(devices[0]) == renewed.to_open


async def test_a_groups_secret_is_not_kept_here(store: SqliteStore, clock: Clock) -> None:
    held = await again(store, clock)
    secret = Ticket(bytes(16), bytes(32), None)
    await held.keep(TicketPair(secret, secret))
    assert await held.find(bytes(16)) == ()
    assert not await held.spend(secret)


async def test_only_those_of_devices_that_are_asked_for_are_read(
    store: SqliteStore, clock: Clock
) -> None:
    ben = pair(BEN)
    await kept(store, clock, ben)
    held = await again(store, clock, CLEO)
    assert held.to_open(BEN) is None
    assert await held.find(ben.to_answer.ident) == ()


async def test_once_retired_none_is_given_kept_or_spent(store: SqliteStore, clock: Clock) -> None:
    ben, cleo = pair(BEN, "ben"), pair(CLEO, "cleo")
    held = await kept(store, clock, ben)
    held.retire()
    await held.keep(cleo)
    assert held.to_open(BEN) is held.to_open(CLEO) is None
    assert await held.find(ben.to_answer.ident) == ()
    assert not await held.spend(ben.to_answer)
    # those of whom it is not known that they are gone are there for the next
    after = await again(store, clock)
    assert (after.to_open(BEN), after.to_open(CLEO)) == (ben.to_open, None)


async def test_what_is_dropped_is_gone_from_the_disk(store: SqliteStore, clock: Clock) -> None:
    ben, cleo = pair(BEN, "ben"), pair(CLEO, "cleo")
    await kept(store, clock, ben, cleo)
    await drop_tickets(store, [BEN, device_keys(9).public])
    held = await again(store, clock)
    assert (held.to_open(BEN), held.to_open(CLEO)) == (None, cleo.to_open)


def test_secrets_are_not_shown() -> None:
    assert material(" psk open").hex() not in repr(pair(BEN))
    assert repr(material(" psk open")) not in repr(pair(BEN))
