"""The mail of a home that is open for a moment or for months, and whose clocks may be wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from gossip.carried import MailChanges
from gossip.envelope import MAX_LIFE_MIN
from gossip.policy import Policy
from ledger.store.base import Batch, MailRow, MailWhat
from ledger.store.memory import MemoryStore
from mesh.elapsed import ELAPSED
from mesh.holdings import Holdings
from mesh.mailbag import Dating, Mailbag
from mesh.meeting import open_meeting
from mesh.node import Surroundings
from tests.gossip.meetings import BINDING
from tests.mesh.mail_homes import DAY_S, TEN_YEARS_MS, Clocks, Home, envelope
from tests.strategies import device_keys, material, person_key
from tests.virtual_time import run_virtual
from transports.memory import MemoryLink

if TYPE_CHECKING:
    from pathlib import Path

OFF = (0, TEN_YEARS_MS, -TEN_YEARS_MS)


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    return await Home(tmp_path / "home").found()


# --- open for months ----------------------------------------------------------------------------


async def test_in_a_process_that_runs_for_months_each_envelope_lives_its_life(home: Home) -> None:
    async with home.open() as (_, bag, _):
        for day in range(200):
            home.clocks.error = OFF[day % 3]
            await bag.settle()
            change = bag.mail.deposit(envelope(day), 8, MAX_LIFE_MIN, bag.now)
            await bag.keep(change)
            # those of the last seven days are here, and no others
            alive = {envelope(n).id for n in range(max(0, day - 6), day + 1)}
            assert bag.mail.carried.keys() == alive
            home.clocks.wait(DAY_S)
        rows = [row for row in await bag.store.mail() if row.what is MailWhat.CARRIED]
        assert len(rows) == 7
        ends = sorted(bag.mail.life(row.until, bag.now) for row in rows)
        assert ends == [(day * DAY_S) // 60 for day in range(7)]


async def test_a_process_that_is_killed_goes_on_from_when_it_kept_something_last(
    home: Home,
) -> None:
    async with home.open() as (_, bag, _):
        await bag.keep(bag.mail.deposit(envelope(1), 8, MAX_LIFE_MIN, bag.now))
        home.clocks.wait(2 * DAY_S)
        await bag.keep(bag.mail.deposit(envelope(2), 8, MAX_LIFE_MIN, bag.now))
        home.clocks.wait(3 * DAY_S)
    # nothing was kept at the end; of the last three days one can be believed
    async with home.open() as (_, bag, _):
        lives = {one.id: bag.mail.life(one.until, bag.now) for one in bag.mail.carried.values()}
    day = DAY_S // 60
    assert lives == {envelope(1).id: 4 * day, envelope(2).id: 6 * day}


async def test_one_port_has_one_mailbag_that_lets_go_what_has_lived(home: Home) -> None:
    async with home.open() as (port, bag, _):
        await bag.keep(bag.mail.deposit(envelope(1), 8, 60, bag.now))
        assert (await port.export_bundle(home.folder / "one")).envelopes == 1
        home.clocks.wait(3_600)
        assert (await port.export_bundle(home.folder / "two")).envelopes == 0
        assert bag.mail.carried == {}
        assert await bag.store.mail() == []
        assert await port._inventory.mailbag() is bag


# --- between openings ---------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [TEN_YEARS_MS, -TEN_YEARS_MS])
async def test_a_clock_that_jumps_takes_a_day_of_life_at_most(home: Home, jump: int) -> None:
    await home.send(1, life=2 * 24 * 60)
    home.clocks.error += jump
    async with home.open() as (_, bag, _):
        (one,) = bag.mail.carried.values()
        assert bag.mail.life(one.until, bag.now) == (24 * 60 if jump > 0 else 2 * 24 * 60)


async def test_a_clock_that_is_set_right_counts_again_from_the_next_opening_on(home: Home) -> None:
    home.clocks.error = TEN_YEARS_MS
    await home.send(1, life=4 * 24 * 60)
    home.clocks.error = 0
    for day in (0, 1, 2):
        assert await home.carried() == 1
        async with home.open() as (_, bag, _):
            assert bag.mail.elapsed(bag.now) == day * DAY_S
        home.clocks.wait(DAY_S)


async def test_a_note_that_is_lost_makes_no_mail_live_for_ever(home: Home) -> None:
    for number in range(30):
        await home.send(number, life=MAX_LIFE_MIN)
        home.clocks.wait(DAY_S)
    async with home.open() as (_, bag, _):
        await bag.store.set_note(ELAPSED, b"nonsense")
    async with home.open() as (_, bag, _):
        # what was sent last may live for all its life again, and the others as much less as before
        lives = sorted(bag.mail.life(one.until, bag.now) for one in bag.mail.carried.values())
        assert lives == [(day * DAY_S) // 60 for day in range(2, 8)]


async def test_a_home_without_mail_keeps_nothing_of_it(home: Home) -> None:
    async with home.open() as (_, bag, _):
        home.clocks.wait(5 * DAY_S)
        await bag.settle()
        assert await bag.store.note(ELAPSED) is None


# --- what opening costs -------------------------------------------------------------------------


class Counted(MemoryStore):
    """A store that counts what it is asked for, and the bytes of mail that it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.bytes = 0

    @override
    async def mail(self) -> list[MailRow]:
        self.calls["mail"] += 1
        rows = await super().mail()
        self.bytes += sum(len(row.content) for row in rows)
        return rows

    @override
    async def mail_sizes(self) -> dict[bytes, int]:
        self.calls["mail_sizes"] += 1
        return await super().mail_sizes()

    @override
    async def envelopes(self, idents: Any) -> list[bytes]:
        self.calls["envelopes"] += 1
        raws = await super().envelopes(idents)
        self.bytes += sum(map(len, raws))
        return raws

    @override
    async def note(self, name: str) -> bytes | None:
        self.calls["note"] += 1
        return await super().note(name)

    @override
    async def absorb(self, batch: Batch, **how: Any) -> Any:
        self.calls["absorb"] += 1
        return await super().absorb(batch, **how)


def around(clocks: Clocks) -> Surroundings:
    return Surroundings(clocks.now, bytes, clocks.steady)


@pytest.mark.parametrize("many", [1, 300])
async def test_opening_reads_no_envelope_and_asks_as_often_for_many_as_for_one(many: int) -> None:
    store, clocks = Counted(), Clocks()
    bag = await Mailbag.open(store, bytes(32), around(clocks))
    for number in range(many):
        await bag.keep(bag.mail.deposit(envelope(number, 4_096), 8, MAX_LIFE_MIN, bag.now))
    store.calls.clear()
    again = await Mailbag.open(store, bytes(32), around(clocks))
    assert store.calls == {"mail": 1, "note": 1, "mail_sizes": 1, "absorb": 1}
    assert store.bytes == 0
    assert again.mail.carried.keys() == bag.mail.carried.keys()
    assert {one.size for one in again.mail.carried.values()} == {len(envelope(0, 4_096).raw)}


async def test_opening_a_home_without_mail_asks_twice_and_writes_nothing() -> None:
    store = Counted()
    await Mailbag.open(store, bytes(32), around(Clocks()))
    assert store.calls == {"mail": 1, "note": 1}


# --- in meetings --------------------------------------------------------------------------------


async def _bag(number: int, clocks: Clocks) -> Mailbag:
    store = MemoryStore(new_run=lambda: material(f"run {number}", 8))
    around = Surroundings(clocks.now, lambda size: material(f"{number}", size), clocks.steady)
    return await Mailbag.open(store, device_keys(number).public, around)


async def _meet(bag: Mailbag, link: MemoryLink, *, is_initiator: bool) -> None:
    number = 1 if is_initiator else 2
    policy = Policy(device_keys(number).public, person_key(number).signing.public)
    holdings = Holdings(bag.store, policy, mail=bag.mail)
    around = bag.elapsed.around
    meeting = await open_meeting(
        link,
        holdings,
        bag.store,
        Dating(holdings, bag),
        clock=around.now,
        binding=BINDING,
        is_initiator=is_initiator,
        secret=bytes(32),
        steady=around.steady,
    )
    await meeting.hold()


@pytest.mark.parametrize("error", OFF)
def test_what_came_in_a_meeting_lives_by_the_same_clock_as_what_came_by_file(error: int) -> None:
    class Running(Clocks):
        """Its steady clock is the loop's, which began long ago."""

        @override
        def steady(self) -> float:
            return 5_000_000.0 + asyncio.get_running_loop().time()

    async def scenario() -> None:
        here, there = await _bag(1, Running()), await _bag(2, Running(error))
        await asyncio.sleep(30 * DAY_S)
        await here.keep(here.mail.deposit(envelope(1), 8, 60, here.now))
        one, other = MemoryLink.pair()
        await asyncio.gather(
            _meet(here, one, is_initiator=True), _meet(there, other, is_initiator=False)
        )
        (row,) = [row for row in await there.store.mail() if row.what is MailWhat.CARRIED]
        left_s = row.until - there.mail.elapsed(there.now)
        assert 59 * 60 <= left_s <= 60 * 60
        # with it was kept how much time had passed there
        assert await there.store.note(ELAPSED) is not None
        await asyncio.sleep(3_600)
        await there.settle()
        assert there.mail.carried == {}
        assert await there.store.mail() == []

    run_virtual(scenario())


async def test_other_batches_of_a_meeting_are_kept_as_they_are() -> None:
    store, clocks = Counted(), Clocks()
    bag = await Mailbag.open(store, bytes(32), around(clocks))
    keeper = Dating(store, bag)
    await bag.keep(bag.mail.deposit(envelope(1), 8, 60, bag.now))
    before = await store.note(ELAPSED)
    clocks.wait(60)
    await keeper.absorb(Batch(notes={"x": b"y"}), seen=0, durable=False)
    assert await store.note(ELAPSED) == before
    await keeper.absorb(Batch(mail=[MailRow(MailWhat.TOKEN, bytes(32))]), seen=0, durable=False)
    assert await store.note(ELAPSED) != before


async def test_no_changes_of_no_mail_are_no_batch() -> None:
    store = Counted()
    bag = await Mailbag.open(store, bytes(32), around(Clocks()))
    await bag.keep(MailChanges())
    assert "absorb" not in store.calls
