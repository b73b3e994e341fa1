"""Mail on its way by file, and in whose name it counts."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gossip.bundle_sealed import SealedWriter
from gossip.carried import STRANGER
from gossip.envelope import MAX_COPIES, Parcel
from gossip.mail_room import MailLimits
from gossip.postal import Envelopes
from ledger.errors import PassalongError, StoreError
from ledger.store.base import Absorbed, MailWhat
from mesh.bundled_mail import WAITING_BYTES, PostIn
from mesh.mailbag import Mailbag
from tests.mesh.mail_homes import (
    DAY_S,
    TEN_YEARS_MS,
    Clocks,
    Forger,
    Home,
    envelope,
    parcels,
    sealed,
)
from tests.strategies import material

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gossip.carried import MailNews
    from ledger.store.base import MailRow

OFF = (0, TEN_YEARS_MS, -TEN_YEARS_MS)


async def found(folder: Path, **errors: int) -> list[Home]:
    return [await Home(folder / name, Clocks(error)).found() for name, error in errors.items()]


@pytest.fixture
async def homes(tmp_path: Path) -> list[Home]:
    """A writer, a carrier and a reader; the clocks of the last two are ten years off."""
    return await found(tmp_path, writer=0, carrier=TEN_YEARS_MS, reader=-TEN_YEARS_MS)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick.passalong"


# --- clocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("carrier_s", OFF)
@pytest.mark.parametrize("reader_s", OFF)
async def test_mail_arrives_whatever_the_clocks_say_and_lives_as_long_as_it_should(
    tmp_path: Path, stick: Path, carrier_s: int, reader_s: int
) -> None:
    homes = await found(tmp_path, writer=0, carrier=carrier_s, reader=reader_s)
    writer, carrier, reader = homes

    async def all_carry(wait_s: float) -> list[int]:
        """Wait, and open all homes: of a longer time than a day a day would count."""
        for home in homes:
            home.clocks.wait(wait_s)
        return [await home.carried() for home in homes]

    # given a letter for three days that is half a day on its way to each
    await writer.send(1, life=3 * 24 * 60)
    for giver, taker in ((writer, carrier), (carrier, reader)):
        await all_carry(DAY_S / 2)
        assert await giver.export(stick) == 1
        assert await taker.take(stick) == 1
    # then all let it go when it is three days old, and not before
    assert await all_carry(DAY_S - 60) == [1, 1, 1]
    assert await all_carry(DAY_S - 60) == [1, 1, 1]
    assert await all_carry(120) == [0, 0, 0]


@pytest.mark.parametrize("jump", OFF[1:])
async def test_mail_arrives_over_one_whose_clock_jumps_on_the_way(
    homes: list[Home], stick: Path, jump: int
) -> None:
    writer, carrier, reader = homes
    await writer.send(1)
    await writer.export(stick)
    await carrier.take(stick)
    # between two openings, and while it is open
    carrier.clocks.error += jump
    async with carrier.open() as (port, _, _):
        carrier.clocks.error -= 2 * jump
        carrier.clocks.wait(DAY_S)
        assert (await port.export_bundle(stick)).envelopes == 1
    assert await reader.take(stick) == 1
    # a day passed; of the jump another one at most was believed
    (one,) = await reader.rows()
    async with reader.open() as (_, bag, _):
        days = bag.mail.life(one.until, bag.now) / 24 / 60
    assert days == pytest.approx(5 if jump > 0 else 6, abs=0.01)


async def test_mail_goes_by_file_over_somebody_else_and_its_reader_keeps_his(
    homes: list[Home], stick: Path
) -> None:
    writer, carrier, reader = homes
    await writer.send(1, 2)
    assert await writer.export(stick) == 2
    assert await carrier.take(stick) == 2
    assert await carrier.take(stick) == 0, "importing twice changes nothing"
    assert await carrier.export(stick) == 2
    async with reader.open() as (port, bag, _):
        bag.mail.reads.add(envelope(1).tag)
        assert (await port.import_bundle(stick)).envelopes == 2
        rows = await bag.store.mail()
    letters = [row.ident for row in rows if row.what is MailWhat.LETTER]
    assert letters == [envelope(1).id]
    assert [row.hops for row in rows if row.what is MailWhat.CARRIED] == [6, 6]


async def test_tokens_travel_too_and_carriers_let_go(homes: list[Home], stick: Path) -> None:
    writer, carrier, reader = homes
    await writer.send(1, 2)
    await writer.export(stick)
    for home in (carrier, reader):
        await home.take(stick)
    async with reader.open() as (_, bag, _):
        await bag.keep(bag.mail.release(envelope(1).tag, material("token 1", 16), bag.now))
    assert await reader.export(stick) == 1
    assert await carrier.take(stick) == 0
    assert await carrier.carried() == 1
    assert await writer.take(stick) == 0
    assert await writer.carried() == 1


@pytest.mark.parametrize("in_mind", [False, True])
async def test_what_a_bundle_brings_is_noted_once_and_offered(
    homes: list[Home], monkeypatch: pytest.MonkeyPatch, *, in_mind: bool
) -> None:
    # given a home that has, or has not, all that it holds in mind
    writer, _, reader = homes
    raw = sealed(await writer.keys(), await reader.keys(), [parcels(1, 2), parcels(3)])
    noted: list[bytes] = []
    async with reader.open() as (port, bag, _):
        if in_mind:
            await port._inventory.holdings()
        note = bag.mail.stored

        def noting(rows: Sequence[MailRow]) -> MailNews:
            noted.extend(row.ident for row in rows)
            return note(rows)

        monkeypatch.setattr(bag.mail, "stored", noting)
        await port.import_bundle(BytesIO(raw))
        offered = [ident for ident, one in bag.mail.carried.items() if one.serial]
    assert sorted(noted) == sorted(offered) == sorted(envelope(number).id for number in (1, 2, 3))


# --- sizes --------------------------------------------------------------------------------------


async def test_of_a_limited_bundle_mail_gets_a_quarter(homes: list[Home], stick: Path) -> None:
    writer = homes[0]
    await writer.send(*range(40))
    async with writer.open() as (port, _, _):
        limited = await port.export_bundle(stick, max_bytes=20_000)
    assert 0 < limited.envelopes < 12
    assert limited.bytes <= 20_000
    assert limited.blocks == 2


async def test_each_part_says_how_many_envelopes_are_in_it(
    homes: list[Home], tmp_path: Path
) -> None:
    writer = homes[0]
    await writer.send(*range(60), size=4_096)
    async with writer.open() as (port, _, _):
        done = await port.export_bundle(tmp_path / "x.passalong", part_bytes=100_000)
        files = [tmp_path / f"x.{part}.passalong" for part in range(1, done.parts + 1)]
        found = [(await port.inspect_bundle(file)).envelopes for file in files]
    assert done.parts >= 3
    assert sum(found) == done.envelopes == 60
    assert found[0] > 10
    taken = [await homes[1].take(file) for file in files]
    assert taken == found


# --- a disk that fails --------------------------------------------------------------------------


async def test_mail_that_could_not_be_stored_is_taken_when_it_comes_again(
    homes: list[Home], stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _, reader = homes
    await writer.send(1, 2)
    await writer.export(stick)
    async with reader.open() as (port, bag, node):
        with monkeypatch.context() as patch:

            async def full(*_: object, **__: object) -> Absorbed:
                raise StoreError("the disk is full")

            patch.setattr(node.writer, "absorb", full)
            with pytest.raises(StoreError):
                await port.import_bundle(stick)
        assert (await port.import_bundle(stick)).envelopes == 2
        assert len(await bag.store.mail()) == 2


async def test_an_export_that_could_not_be_written_gives_no_copies_away(
    homes: list[Home], stick: Path
) -> None:
    writer, _, reader = homes
    raw = sealed(await writer.keys(), await reader.keys(), [parcels(1, copies=8)])
    async with reader.open() as (port, _, _):
        await port.import_bundle(BytesIO(raw))
        for _ in range(3):
            with pytest.raises(PassalongError):
                await port.export_bundle(stick / "no folder" / "x.passalong")
        assert (await port.export_bundle(stick)).envelopes == 1
        (one,) = (await port._inventory.mailbag()).mail.carried.values()
        assert one.copies == 4


# --- whose it is --------------------------------------------------------------------------------


async def test_mail_in_a_whole_sealed_bundle_of_somebody_followed_is_his(
    homes: list[Home], stick: Path
) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    await writer.send(1, 2)
    assert await writer.export(stick, to=reader) == 2
    assert await reader.take(stick) == 2
    rows = await reader.rows()
    assert {row.depositor for row in rows} == {(await writer.keys()).public}
    assert [row.copies for row in rows] == [0, 0]


async def test_mail_in_any_other_bundle_is_a_stranger_s(homes: list[Home], stick: Path) -> None:
    writer, _, reader = homes
    # an open one, whoever is followed
    await reader.follow(writer)
    await writer.send(1)
    await writer.export(stick)
    assert await reader.take(stick) == 1
    # a sealed one of somebody who is not
    carrier = homes[1]
    await carrier.send(2)
    await carrier.export(stick, to=reader)
    assert await reader.take(stick) == 1
    rows = await reader.rows()
    assert [(row.depositor, row.copies) for row in rows] == [(STRANGER, MAX_COPIES)] * 2


async def test_ones_own_bundle_makes_nobody_s_mail_one_s_own(homes: list[Home]) -> None:
    keys = await homes[0].keys()
    # a stick that comes back after all on it was forgotten here
    assert await homes[0].take(sealed(keys, keys, [parcels(1)])) == 1
    assert {row.depositor for row in await homes[0].rows()} == {STRANGER}


async def test_of_a_cut_bundle_all_that_came_whole_is_taken_as_a_stranger_s(
    homes: list[Home],
) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    raw = sealed(await writer.keys(), await reader.keys(), [parcels(1), parcels(2)])
    assert await reader.take(raw[:-30]) == 2
    assert {row.depositor for row in await reader.rows()} == {STRANGER}
    # once the whole of it comes it is the writer's, as if it had come at once
    assert await reader.take(raw) == 0
    rows = await reader.rows()
    assert [(row.depositor, row.copies) for row in rows] == [((await writer.keys()).public, 0)] * 2
    # what is his does not become a stranger's again
    assert await reader.take(raw[:-30]) == 0
    assert await reader.rows() == rows


async def test_a_reader_who_puts_mail_behind_a_writer_s_header_puts_nothing_in_his_name(
    homes: list[Home],
) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    keys = await writer.keys(), await reader.keys()
    for number, kind in ((1, SealedWriter), (2, Forger)):
        assert await reader.take(sealed(*keys, [parcels(number)], kind)) == 1
    booked = {row.ident: row.depositor for row in await reader.rows()}
    assert booked == {envelope(1).id: keys[0].public, envelope(2).id: STRANGER}


async def test_what_is_forged_in_somebody_s_name_does_not_push_out_what_he_brought(
    homes: list[Home],
) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    keys = await writer.keys(), await reader.keys()
    few = MailLimits(envelopes=20, strangers=0.5, share=0.5)
    async with reader.open() as (port, bag, _):
        port._inventory._bag = await Mailbag.open(bag.store, keys[1].public, reader.around, few)
        await port.import_bundle(BytesIO(sealed(*keys, [parcels(*range(10))])))
        forged = parcels(*range(100, 115))
        await port.import_bundle(BytesIO(sealed(*keys, [forged], Forger)))
        held = port._inventory._bag.mail.carried.keys()
    assert len(held) == 20
    assert {envelope(number).id for number in range(10)} <= held


async def test_what_waits_for_the_end_is_bounded_and_the_rest_is_a_stranger_s(
    homes: list[Home],
) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    messages = [parcels(number, size=8_000) for number in range(560)]
    raw = sealed(await writer.keys(), await reader.keys(), messages)
    assert await reader.take(raw) == 560
    booked = [row.depositor for row in await reader.rows()]
    assert WAITING_BYTES // len(envelope(0, 8_000).raw) == 520
    assert booked.count((await writer.keys()).public) == 520
    assert booked.count(STRANGER) == 560 - 520


async def test_what_stands_there_twice_is_taken_once(homes: list[Home]) -> None:
    writer, _, reader = homes
    await reader.follow(writer)
    raw = sealed(await writer.keys(), await reader.keys(), [parcels(1, 1, 2), parcels(2)])
    assert [await reader.take(raw), await reader.take(raw)] == [2, 0]


async def test_what_is_no_envelope_is_refused_and_the_rest_taken(homes: list[Home]) -> None:
    async with homes[0].open() as (_, bag, _):
        post = PostIn(bag, bag.store)
        post.take(Envelopes([Parcel(b"\x80", 3, 60, 0), parcels(5).parcels[0]]))
        await post.end(None, seen=0)
        assert (post.new, post.refused) == (1, 1)
        assert len(await bag.store.mail()) == 1
