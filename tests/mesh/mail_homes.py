"""Homes whose clocks the tests set, and mail for them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from typing_extensions import override

from gossip.bundle_header import SealedHeader
from gossip.bundle_sealed import SealedWriter
from gossip.envelope import MAX_LIFE_MIN, Envelope, Parcel, decode_envelope, encode_envelope
from gossip.postal import Envelopes
from gossip.sealing import Sealer
from gossip.wire import encode_message
from ledger.store.base import MailWhat
from mesh.direct import DirectPort, init_home
from mesh.node import Surroundings, open_node
from tests.strategies import material

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from ledger.keys import DeviceKeys
    from ledger.store.base import MailRow
    from mesh.mailbag import Mailbag
    from mesh.node import Node

DAY_S = 86_400
TEN_YEARS_MS = 3_652 * DAY_S * 1_000
START_MS = 1_750_000_000_000


@dataclass
class Clocks:
    """A wall's clock that is wrong by ``error`` ms, and one that counts from when it was started.

    Attributes:
        world: What time it is, ms.
        started: When the machine was, ms.
    """

    error: int = 0
    world: int = START_MS
    started: int = START_MS - 1_234_567

    def now(self) -> int:
        return self.world + self.error

    def steady(self) -> float:
        return (self.world - self.started) / 1_000

    def wait(self, seconds: float) -> None:
        self.world += round(seconds * 1_000)

    def restart(self) -> None:
        """Start the machine anew."""
        self.started = self.world


@dataclass
class Home:
    """A home and its clocks."""

    folder: Path
    clocks: Clocks = field(default_factory=Clocks)
    drawn: int = 0

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.clocks.now, self._random, self.clocks.steady)

    def _random(self, size: int) -> bytes:
        self.drawn += 1
        return material(f"{self.folder.name} {self.drawn}", size)

    async def found(self) -> Home:
        await init_home(self.folder, self.folder.name, self.around)
        return self

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[DirectPort, Mailbag, Node]]:
        """Open it, as one process does."""
        async with open_node(self.folder, self.around) as node:
            port = DirectPort(node)
            yield port, await port._inventory.mailbag(), node

    async def link(self) -> str:
        async with self.open() as (port, _, _):
            return (await port.whoami()).link

    async def keys(self) -> DeviceKeys:
        async with self.open() as (_, _, node):
            return node.secrets.keys

    async def follow(self, other: Home) -> None:
        """Take in what another wrote, and follow him."""
        bundle = BytesIO()
        async with other.open() as (port, _, _):
            link = (await port.whoami()).link
            await port.export_bundle(bundle)
        async with self.open() as (port, _, _):
            await port.import_bundle(BytesIO(bundle.getvalue()))
            await port.follow(link)

    async def send(self, *numbers: int, life: int = MAX_LIFE_MIN, size: int = 400) -> None:
        async with self.open() as (_, bag, _):
            for number in numbers:
                await bag.keep(bag.mail.deposit(envelope(number, size), 8, life, bag.now))

    async def export(self, file: Path, to: Home | None = None) -> int:
        link = () if to is None else (await to.link(),)
        async with self.open() as (port, _, _):
            return (await port.export_bundle(file, to=link, seal=bool(link))).envelopes

    async def take(self, bundle: Path | bytes) -> int:
        file = BytesIO(bundle) if isinstance(bundle, bytes) else bundle
        async with self.open() as (port, _, _):
            return (await port.import_bundle(file)).envelopes

    async def rows(self, what: MailWhat = MailWhat.CARRIED) -> list[MailRow]:
        async with self.open() as (_, bag, _):
            return [row for row in await bag.store.mail() if row.what is what]

    async def carried(self) -> int:
        async with self.open() as (_, bag, _):
            return len(bag.mail.carried)


def envelope(number: int, size: int = 400) -> Envelope:
    tag, token = material(f"tag {number}", 16), material(f"token {number}", 16)
    return decode_envelope(encode_envelope(tag, token, material(f"letter {number}", size)))


def parcels(*numbers: int, size: int = 400, copies: int = 0) -> Envelopes:
    return Envelopes([Parcel(envelope(n, size).raw, 7, MAX_LIFE_MIN, copies) for n in numbers])


class Forger(SealedWriter):
    """A reader who puts other frames behind the writer's header; he cannot sign the end."""

    @override
    def end(self, blocks: int, envelopes: int = 0, *, is_last: bool = True) -> bytes:
        self._key = type(self._key)(bytes(range(32)))
        return super().end(blocks, envelopes, is_last=is_last)


def sealed(
    writer: DeviceKeys,
    reader: DeviceKeys,
    messages: Sequence[Envelopes],
    kind: type[SealedWriter] = SealedWriter,
) -> bytes:
    """Return a sealed bundle of mail that acknowledges nothing."""
    sealer = Sealer([reader.sealing_public], bytes(32))
    header = SealedHeader(writer.public, bytes(8), 1, 1, ())
    file = kind(sealer, writer.signing, header)
    frames = [file.begin(), *(file.message(encode_message(one)) for one in messages)]
    return b"".join(frames) + file.end(0)
