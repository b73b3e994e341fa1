"""Nodes with stores in memory, and links between them that cost no time: for virtual time.

Each is the real thing from its port down to its sessions; only the disk and the network are not.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Self, cast

from gossip.policy import Quota
from ledger.kinds import device as device_kind
from ledger.link import Link as Invitation
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from mesh.device_secrets import Secrets
from mesh.direct import DirectPort
from mesh.node import SOCIAL_LOG, Node, Surroundings
from mesh.writer import Draft, Heads, Writer
from tests.gossip.held import WHEN
from tests.strategies import Device, device_keys, person_key, run_of
from transports.base import LinkError
from transports.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from ledger.statement import Revocation
    from mesh.peers import Peers
    from mesh.presence import Presence
    from mesh.vault import Vault
    from transports.base import Link, LinkInfo
    from transports.secure import SecureLink

SALT = bytes(16)


class Wire:
    """One end of a link that may go dead: then nothing passes, and neither side is told.

    Attributes:
        is_dead: Whether what is sent from here is lost.
        is_full: Whether nobody reads at the other side any more, and who sends has to wait.
    """

    def __init__(self, link: MemoryLink) -> None:
        self._link = link
        self.is_dead = False
        self.is_full = False

    @classmethod
    def pair(
        cls,
        latency: float = 0.01,
        bandwidth: float | None = None,
        cut_after: tuple[int | None, int | None] = (None, None),
    ) -> tuple[Self, Self]:
        """Return the two ends of one link."""
        here, there = MemoryLink.pair(latency=latency, bandwidth=bandwidth, cut_after=cut_after)
        return cls(here), cls(there)

    @property
    def info(self) -> LinkInfo:
        return self._link.info

    async def send(self, frame: bytes) -> None:
        if self.is_full:
            await asyncio.Event().wait()
        if not self.is_dead:
            await self._link.send(frame)

    async def receive(self) -> bytes:
        return await self._link.receive()

    def waiting(self) -> int:
        return self._link.waiting()

    async def close(self) -> None:
        if self.is_dead:
            self._link.cut()
        await self._link.close()

    def cut(self, why: str) -> None:
        """End it at once, as a link over TCP does."""
        del why
        self._link.cut()


class Neighbour:
    """A node that runs.

    Attributes:
        node: What it holds.
        port: What it can do.
        holding: Its meetings, as tasks; each ends with its outcome.
        refused: Why links did not become meetings.
    """

    def __init__(
        self,
        number: int,
        owner: int | None = None,
        *,
        most_strangers: int | None = None,
        store: MemoryStore | None = None,
        dice: Random | None = None,
    ) -> None:
        self.number = number
        self.ms = WHEN
        owner = number if owner is None else owner
        self.node = node_of(number, owner, self._now, store=store, dice=dice)
        self.port = DirectPort(self.node, live=True)
        if most_strangers is not None:
            self.peers._strangers._most = most_strangers
        self.holding: list[asyncio.Task[object]] = []
        self.refused: list[str] = []

    def _now(self) -> int:
        self.ms += 1
        return self.ms

    async def begin(self) -> Neighbour:
        """Write the first block, or go on behind what the store holds."""
        if own := await self.node.store.logs([(self.device, 0), (self.device, SOCIAL_LOG)]):
            self.node.writer._heads = Heads.of(self.node.secrets.keys.signing, own)
        else:
            await write_root(self.node)
        return self

    @property
    def peers(self) -> Peers:
        return self.port.peers_here

    @property
    def link(self) -> str:
        return self.node.me.encode()

    @property
    def device(self) -> bytes:
        return self.node.me.device

    async def ids(self) -> set[bytes]:
        """Return the ids of all that is held."""
        held: set[bytes] = set()
        for log in await self.node.store.logs():
            blocks = await self.node.store.read((log.author, log.number), 0, 1 << 40)
            held |= {block.id for block in blocks}
        return held

    async def secure(self, link: Link, *, is_initiator: bool) -> SecureLink:
        return await self.peers.secure(link, is_initiator=is_initiator)

    async def enter(self, session: SecureLink, *, is_initiator: bool) -> Presence | None:
        """Begin a meeting over a session; None if it is refused."""
        try:
            presence = await self.peers.enter(session, is_initiator=is_initiator)
        except LinkError as exc:
            self.refused.append(str(exc))
            return None
        self.holding.append(asyncio.create_task(self.peers.hold(presence)))
        return presence

    async def end(self) -> None:
        await self.peers.end(1.5)
        await asyncio.gather(*self.holding)


def node_of(
    number: int,
    owner: int,
    now: Callable[[], int] = lambda: WHEN,
    *,
    store: MemoryStore | None = None,
    dice: Random | None = None,
) -> Node:
    """Return a node whose store is empty, or one that takes up a store again.

    Args:
        number: Of its device.
        owner: Of whose that is.
        now: The wall's clock, ms.
        store: What it takes up; then it needs other dice than those of its life before.
        dice: What is random about it.
    """
    dice = dice or Random(number)
    around = Surroundings(now, dice.randbytes, asyncio.get_running_loop().time)
    keys, person = device_keys(number), person_key(owner)
    secrets = Secrets(keys, person.signing.public, person.certify(keys.public))
    store = store or MemoryStore(new_run=lambda: dice.randbytes(8))
    writer = Writer(store, Heads.of(keys.signing, ()), around.now)
    node = Node(store, secrets.link, cast("Vault", OpenVault()), writer, around, Quota())
    node._secrets = secrets
    return node


class OpenVault:
    """Stands in for the vault of a node without a home."""

    has_passphrase = False
    is_locked = False

    def lock(self) -> None:
        self.is_locked = True

    def leave_login(self) -> None:
        """No login has been let in."""


async def write_root(node: Node) -> None:
    """Write the first block of a node's device, as founding a home does."""
    secrets, keys = node.secrets, node.secrets.keys
    said = device_kind.Device(WHEN, keys.sealing_public, secrets.person, secrets.certificate)
    await node.writer.write(Draft(0, device_kind.KIND, said.encode(SALT)))


class Street:
    """Where nodes can be dialled, in place of a network.

    Attributes:
        who: Lives at which address.
        dialled: Addresses, as often as they were dialled.
        links: Both ends of each link that came of it.
        bandwidth: Of links, bytes per second.
        is_silent: Whether who is dialled sets up a session and says nothing more.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bandwidth = 10_000_000
        self.is_silent = False
        self.who: dict[str, Neighbour] = {}
        self.dialled: list[str] = []
        self.links: list[tuple[Wire, Wire]] = []
        self._answering: list[asyncio.Task[None]] = []
        monkeypatch.setattr("mesh.visits.dial", self._dial)

    async def _dial(self, host: str, port: int) -> Wire:
        place = f"{host}:{port}"
        self.dialled.append(place)
        if (neighbour := self.who.get(place)) is None:
            raise LinkError(f"cannot reach {place}: nobody listens there")
        here, there = self.lay()
        self.links.append((here, there))
        self.arrive(neighbour, there)
        return here

    def lay(self) -> tuple[Wire, Wire]:
        """Return the two ends of a new link."""
        return Wire.pair(bandwidth=self.bandwidth)

    def arrive(self, neighbour: Neighbour, link: Wire) -> None:
        """Let somebody answer who was dialled."""
        self._answering.append(asyncio.create_task(self._answer(neighbour, link)))

    async def _answer(self, neighbour: Neighbour, link: Wire) -> None:
        with suppress(LinkError):
            session = await neighbour.secure(link, is_initiator=False)
            if not self.is_silent:
                await neighbour.enter(session, is_initiator=False)


async def friends(*numbers: int) -> list[Neighbour]:
    """Return nodes that have all added one another."""
    made = [await Neighbour(number).begin() for number in numbers]
    await befriend(*made)
    return made


async def befriend(*all_of_them: Neighbour) -> None:
    """Let each add every other one by his link."""
    for one in all_of_them:
        for other in all_of_them:
            if one is not other:
                await one.port.add_contact(other.link)


async def sessions(
    dials: Neighbour, answers: Neighbour, latency: float = 0.01
) -> tuple[SecureLink, SecureLink]:
    """Return the two ends of a session."""
    here, there = MemoryLink.pair(latency=latency)
    return await asyncio.gather(
        dials.secure(here, is_initiator=True), answers.secure(there, is_initiator=False)
    )


async def join(
    dials: Neighbour, answers: Neighbour, latency: float = 0.01
) -> tuple[Presence | None, Presence | None]:
    """Let two meet over a new link, each as soon as it can."""
    return await connect(dials, answers, *MemoryLink.pair(latency=latency))


async def connect(
    dials: Neighbour, answers: Neighbour, here: Link, there: Link
) -> tuple[Presence | None, Presence | None]:
    """Let two meet over a link."""

    async def side(one: Neighbour, link: Link, *, is_initiator: bool) -> Presence | None:
        session = await one.secure(link, is_initiator=is_initiator)
        return await one.enter(session, is_initiator=is_initiator)

    return await asyncio.gather(
        side(dials, here, is_initiator=True), side(answers, there, is_initiator=False)
    )


async def part(*all_of_them: Neighbour) -> None:
    """End all."""
    await asyncio.gather(*(one.end() for one in all_of_them))


def link_of(number: int, owner: int, sealing: bytes | None = None) -> Invitation:
    """Return the link of a device, or what its person makes of it."""
    keys, person = device_keys(number), person_key(owner)
    certificate = person.certify(keys.public)
    sealing = keys.sealing_public if sealing is None else sealing
    return Invitation(person.signing.public, keys.public, sealing, certificate)


async def hold(node: Node, *devices: Device, but: Sequence[Revocation] = ()) -> None:
    """Take all logs of devices, and statements, into a node's store, as a meeting does."""
    runs = [run_of(log) for device in devices for _, log in sorted(device.logs.items())]
    batch = Batch(runs=runs, revocations=but, own=node.me.device)
    await node.writer.absorb(batch, seen=0, durable=False)
