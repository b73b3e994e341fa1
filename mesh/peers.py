"""Who is around: the links of a node, and the meeting that is held over each.

A contact's device is linked with once: of two links the one stays that the smaller device key
opened, unless the one that is there is dead; of two that the same side opened the newer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gossip.policy import Peer
from gossip.session import State
from mesh.acquaintances import Acquaintances
from mesh.meeting import open_meeting
from mesh.rows import PeerRow
from mesh.tickets import KeptTickets
from transports.base import LinkError
from transports.recognition import Credentials
from transports.secure import secure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.views.people import People
    from mesh.inventory import Inventory
    from mesh.meeting import Meeting, Outcome
    from mesh.news import News
    from mesh.node import Node
    from transports.base import Link
    from transports.secure import SecureLink
    from transports.tickets import Ticket

ALIVE_S: Final = 2.0
"""How long a link has to answer when another one to the same device is there."""
LATENCY_S: Final = 10.0
"""How long a latency is shown before it is measured again."""
_STATES: Final = {
    State.IDLE: "greeting",
    State.GREETING: "greeting",
    State.LIVE: "equal",
}


class Presence:
    """A device at the other end of a link, and the meeting with it.

    Attributes:
        link: The link.
        is_initiator: Whether this side opened it.
        peer: Who it is, if it has shown that.
        meeting: With it.
        latency: Seconds of a question and its answer, once measured.
        measured: When that was, by the loop's clock.
    """

    __slots__ = ("is_initiator", "latency", "link", "measured", "meeting", "peer")

    def __init__(
        self, link: SecureLink, meeting: Meeting, peer: Peer | None, *, is_initiator: bool
    ) -> None:
        self.link = link
        self.is_initiator = is_initiator
        self.peer = peer
        self.meeting = meeting
        self.latency: float | None = None
        self.measured = float("-inf")

    @property
    def state(self) -> str:
        """``greeting``, ``syncing`` or ``equal``."""
        return _STATES.get(self.meeting.session.state, "syncing")

    async def is_alive(self) -> bool:
        """Say whether the other side answers."""
        try:
            async with asyncio.timeout(ALIVE_S):
                await self.measure()
        except (LinkError, TimeoutError):
            return False
        return True

    async def measure(self) -> None:
        """Find out how long an answer takes."""
        self.latency = await self.link.ping()
        self.measured = asyncio.get_running_loop().time()


class Peers:
    """The links of an open home.

    Args:
        node: Its keys and store.
        inventory: What its meetings share.
        news: Told when somebody comes or goes.
    """

    def __init__(self, node: Node, inventory: Inventory, news: News) -> None:
        self._node = node
        self._inventory = inventory
        self._news = news
        self._acquaintances = Acquaintances(node)
        self._tickets: KeptTickets | None = None
        self._present: dict[Presence, None] = {}
        self._contacts: dict[bytes, Presence] = {}
        inventory.listen(self._start_over)
        inventory.listen_for_batches(self._acquaintances.heard)

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[Presence]:
        return iter(self._present)

    def _start_over(self) -> None:
        """End all meetings: this node cares about others, or knows others, than before."""
        self._acquaintances.forget()
        self.stop()

    async def ticket(self, device: bytes) -> Ticket | None:
        """Return what opens the next session with a device faster, if it is known."""
        return (await self._kept_tickets()).to_open(device)

    async def _kept_tickets(self) -> KeptTickets:
        if self._tickets is None:
            devices = await self._acquaintances.all()
            store, now = self._node.store, self._node.around.now
            self._tickets = await KeptTickets.open(store, now, devices)
        return self._tickets

    async def secure(
        self, link: Link, *, is_initiator: bool, ticket: Ticket | None = None
    ) -> SecureLink:
        """Agree on keys over a link, and recognise who is at its other end.

        Raises:
            LinkError: That came to nothing; the link is closed.
        """
        known = await self._acquaintances.all()
        keys = {device: one.key for device, one in known.items()}
        return await secure(
            link,
            is_initiator=is_initiator,
            who=Credentials(self._node.me.device, keys, await self._kept_tickets()),
            random=self._node.around.random,
            ticket=ticket,
        )

    async def enter(
        self, link: SecureLink, *, is_initiator: bool, is_invited: bool = False
    ) -> Presence:
        """Prepare the meeting over a link; ``hold`` holds it.

        Raises:
            LinkError: There is a better link to the same device; this one is closed.
            StoreError: What is held could not be read.
        """
        known = await self._acquaintances.all()
        peer = None
        if link.peer is not None and link.peer in known:
            peer = Peer(link.peer, known[link.peer].person)
            await self._make_way(peer.device, link, is_initiator=is_initiator)
        node, around = self._node, self._node.around
        meeting = await open_meeting(
            link,
            await self._inventory.holdings(),
            node.store,
            await self._inventory.keeper(),
            clock=around.now,
            binding=link.binding,
            is_initiator=is_initiator,
            secret=around.random(32),
            peer=peer,
            is_invited=is_invited,
            steady=around.steady,
        )
        presence = Presence(link, meeting, peer, is_initiator=is_initiator)
        self._present[presence] = None
        if peer is not None:
            self._contacts[peer.device] = presence
        return presence

    async def hold(self, presence: Presence) -> Outcome:
        """Hold the meeting to its end.

        Raises:
            StoreError: The store failed; what was stored before stays.
        """
        self._news.tell("peers")
        try:
            return await presence.meeting.hold()
        finally:
            del self._present[presence]
            if presence.peer is not None and self._contacts.get(presence.peer.device) is presence:
                del self._contacts[presence.peer.device]
            self._news.tell("peers")

    async def _make_way(self, device: bytes, link: SecureLink, *, is_initiator: bool) -> None:
        """See to it that there is one link to a device.

        Raises:
            LinkError: The one that is there stays.
        """
        present = self._contacts.get(device)
        if present is None:
            return
        is_smaller = self._node.me.device < device
        is_preferred = is_initiator in (present.is_initiator, is_smaller)
        if not is_preferred and await present.is_alive():
            await link.close()
            raise LinkError("there is a link to this device already")
        present.meeting.stop()

    async def rows(self, people: People) -> list[PeerRow]:
        """Return a row a link: contacts first, by name; latencies are measured where they are old.

        Args:
            people: Who is who.
        """
        await self._measure()
        now = asyncio.get_running_loop().time()
        rows = [_row(presence, people, now) for presence in self._present]
        return sorted(rows, key=_by_name)

    async def _measure(self) -> None:
        due = asyncio.get_running_loop().time() - LATENCY_S
        old = [one for one in self._present if one.measured <= due]
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*(one.measure() for one in old), return_exceptions=True)

    def stop(self) -> None:
        """End all meetings, as soon as what came is stored."""
        for presence in list(self._present):
            presence.meeting.stop()


def _row(presence: Presence, people: People, now: float) -> PeerRow:
    link, peer = presence.link, presence.peer
    return PeerRow(
        authenticated=peer is not None,
        person=peer and peer.person,
        device=peer and peer.device,
        name=peer and people.name(peer.person),
        links=1,
        transport=link.info.transport,
        address=link.info.address,
        last_received_s=max(0.0, now - link.last_received),
        last_sent_s=max(0.0, now - link.last_sent),
        latency_ms=None if presence.latency is None else round(presence.latency * 1_000),
        state=presence.state,
    )


def _by_name(row: PeerRow) -> tuple[bool, str, str, bytes]:
    name = row.name or ""
    return not row.authenticated, name.casefold(), row.address or "", row.device or b""
