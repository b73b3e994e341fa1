"""Mail of a home: on its way by file, and its life by the time that passes there."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gossip.carried import MailChanges
from gossip.envelope import MAX_LIFE_MIN, Envelope, Parcel, decode_envelope, encode_envelope
from gossip.postal import Envelopes
from ledger.store.base import Batch, MailWhat
from mesh.direct import DirectPort, init_home, open_port
from mesh.mailbag import MAX_GAP_S, Mailbag
from mesh.node import Surroundings
from tests.strategies import material

DAY_MS = 86_400_000
TEN_YEARS_MS = 3_652 * DAY_MS
START_MS = 1_750_000_000_000


@dataclass
class Clock:
    """A clock that is wrong by ``error`` ms, in a world whose time is ``world``."""

    error: int = 0
    world: int = START_MS

    def now(self) -> int:
        return self.world + self.error

    def pass_days(self, days: float) -> None:
        self.world += int(days * DAY_MS)


@dataclass
class Home:
    """A home and its clock."""

    folder: Path
    clock: Clock
    drawn: int = 0

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.clock.now, self._random)

    def _random(self, size: int) -> bytes:
        self.drawn += 1
        return material(f"{self.folder.name} {self.drawn}", size)

    async def found(self) -> "Home":
        await init_home(self.folder, self.folder.name, self.around)
        return self

    async def export(self, file: Path) -> int:
        async with open_port(self.folder, self.around) as port:
            return (await port.export_bundle(file)).envelopes

    async def take(self, file: Path) -> int:
        async with open_port(self.folder, self.around) as port:
            return (await port.import_bundle(file)).envelopes

    async def carried(self) -> int:
        async with open_port(self.folder, self.around) as port:
            return len((await bag_of(port)).mail.carried)


def envelope(number: int, size: int = 400) -> Envelope:
    tag, token = material(f"tag {number}", 16), material(f"token {number}", 16)
    return decode_envelope(encode_envelope(tag, token, material(f"letter {number}", size)))


async def bag_of(port: object) -> Mailbag:
    assert isinstance(port, DirectPort)
    return await port._mailbag()


async def keep(bag: Mailbag, changes: MailChanges) -> None:
    batch = Batch(mail=changes.puts, mail_drops=changes.drops, notes=bag.note())
    await bag.stored((await bag.store.absorb(batch, seen=0, durable=True)).mail)


async def send(home: Home, *numbers: int, life: int = MAX_LIFE_MIN) -> None:
    async with open_port(home.folder, home.around) as port:
        bag = await bag_of(port)
        for number in numbers:
            await keep(bag, bag.mail.deposit(envelope(number), 8, life, bag.now))


@pytest.fixture
async def homes(tmp_path: Path) -> list[Home]:
    """A writer, a carrier and a reader; the clocks of the last two are ten years off."""
    errors = (0, TEN_YEARS_MS, -TEN_YEARS_MS)
    names = ("writer", "carrier", "reader")
    clocks = [Clock(error) for error in errors]
    return [
        await Home(tmp_path / name, clock).found()
        for name, clock in zip(names, clocks, strict=True)
    ]


async def test_mail_goes_by_file_over_somebody_else_whatever_the_clocks_say(
    homes: list[Home], tmp_path: Path
) -> None:
    writer, carrier, reader = homes
    await send(writer, 1, 2)
    assert await writer.export(tmp_path / "one") == 2
    assert await carrier.take(tmp_path / "one") == 2
    assert await carrier.take(tmp_path / "one") == 0, "importing twice changes nothing"
    assert await carrier.export(tmp_path / "two") == 2
    async with open_port(reader.folder, reader.around) as port:
        bag = await bag_of(port)
        bag.mail.reads.add(envelope(1).tag)
        port._mailbag = lambda: _ready(bag)  # type: ignore[attr-defined]
        assert (await port.import_bundle(tmp_path / "two")).envelopes == 2
        rows = await bag.store.mail()
    letters = [row.ident for row in rows if row.what is MailWhat.LETTER]
    assert letters == [envelope(1).id]
    assert [row.hops for row in rows if row.what is MailWhat.CARRIED] == [6, 6]


async def _ready(bag: Mailbag) -> Mailbag:
    return bag


async def test_mail_lives_seven_days_by_everybodys_own_time(
    homes: list[Home], tmp_path: Path
) -> None:
    writer, carrier, _ = homes
    await send(writer, 1)
    await writer.export(tmp_path / "one")
    await carrier.take(tmp_path / "one")
    for day in range(1, 9):
        for home in (writer, carrier):
            home.clock.pass_days(0.99)
            assert await home.carried() == (1 if day < 8 else 0), day
            await home.export(tmp_path / "again")


async def test_a_clock_that_jumps_takes_a_day_of_life_at_most(homes: list[Home]) -> None:
    writer = homes[0]
    await send(writer, 1, life=2 * 24 * 60)
    for jump in (TEN_YEARS_MS, -2 * TEN_YEARS_MS):
        writer.clock.error += jump
        async with open_port(writer.folder, writer.around) as port:
            bag = await bag_of(port)
            (one,) = bag.mail.carried.values()
            assert bag.mail.life(one.until, bag.now) == 24 * 60
            await keep(bag, MailChanges())
    assert MAX_GAP_S == 24 * 3_600


async def test_a_clock_that_jumps_while_the_home_is_open_takes_a_day_at_most(
    homes: list[Home],
) -> None:
    writer = homes[0]
    async with open_port(writer.folder, writer.around) as port:
        bag = await bag_of(port)
        before = bag.mail.elapsed(bag.now)
        for jump, gone in ((TEN_YEARS_MS, MAX_GAP_S), (-2 * TEN_YEARS_MS, 0)):
            writer.clock.error += jump
            assert bag.mail.elapsed(bag.now) - before == gone


async def test_tokens_travel_too_and_carriers_let_go(homes: list[Home], tmp_path: Path) -> None:
    writer, carrier, reader = homes
    await send(writer, 1, 2)
    await writer.export(tmp_path / "one")
    for home in (carrier, reader):
        await home.take(tmp_path / "one")
    async with open_port(reader.folder, reader.around) as port:
        bag = await bag_of(port)
        await keep(bag, bag.mail.release(envelope(1).tag, material("token 1", 16), bag.now))
    assert await reader.export(tmp_path / "back") == 1
    assert await carrier.take(tmp_path / "back") == 0
    assert await carrier.carried() == 1
    assert await writer.take(tmp_path / "back") == 0
    assert await writer.carried() == 1


async def test_of_a_limited_bundle_mail_gets_a_quarter(homes: list[Home], tmp_path: Path) -> None:
    writer = homes[0]
    await send(writer, *range(40))
    async with open_port(writer.folder, writer.around) as port:
        limited = await port.export_bundle(tmp_path / "one", max_bytes=20_000)
    assert 0 < limited.envelopes < 12
    assert limited.bytes <= 20_000
    assert limited.blocks == 2


async def test_what_is_no_envelope_is_refused_and_the_rest_taken(homes: list[Home]) -> None:
    writer = homes[0]
    async with open_port(writer.folder, writer.around) as port:
        bag = await bag_of(port)
        parcels = [Parcel(b"\x80", 3, 60, 0), Parcel(envelope(5).raw, 3, 60, 0)]
        taken = bag.take(Envelopes(parcels))
    assert (taken.new, taken.refused) == (1, 1)


async def test_a_damaged_note_of_elapsed_time_begins_it_again(homes: list[Home]) -> None:
    writer = homes[0]
    async with open_port(writer.folder, writer.around) as port:
        bag = await bag_of(port)
        await bag.store.set_note("elapsed", b"nonsense")
        again = await bag_of(port)
        assert again.mail.elapsed(again.now) == 0
