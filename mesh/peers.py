"""Who is around: the links of a node, and the meeting that is held over each.

A contact's device is linked with once: of two links the one stays that the smaller device key
opened, unless the one that is there is dead. Of two that the same side opened the newer stays; of
two that came at about the same moment, so that the sides may not agree which that is, the one whose
session has the smaller binding. Strangers who come by themselves may be so many and no more.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from gossip.policy import Peer
from ledger.errors import PassalongError
from mesh.acquaintances import Acquaintances
from mesh.meeting import open_meeting
from mesh.presence import ALIVE_S, Presence, by_name, row_of
from mesh.strangers import MAX_STRANGERS, Strangers
from mesh.tasks import Tasks
from mesh.tickets import KeptTickets
from transports.base import LinkError
from transports.recognition import Credentials, Shown
from transports.secure import secure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.store.base import Absorbed
    from ledger.views.people import People
    from mesh.inventory import Inventory
    from mesh.meeting import Outcome
    from mesh.news import News
    from mesh.node import Node
    from mesh.rows import PeerRow
    from transports.base import Link
    from transports.secure import SecureLink
    from transports.tickets import Ticket

log: Final = logging.getLogger("passalong")
LATENCY_S: Final = 10.0
"""How long a latency is shown before it is measured again."""


class Peers:
    """The links of an open home.

    Args:
        node: Its keys and store.
        inventory: What its meetings share.
        news: Told when somebody comes or goes.
        most_strangers: How many strangers who came by themselves may stay.
    """

    def __init__(
        self, node: Node, inventory: Inventory, news: News, most_strangers: int = MAX_STRANGERS
    ) -> None:
        self._node = node
        self._inventory = inventory
        self._news = news
        self._acquaintances = Acquaintances(node)
        self._tickets: KeptTickets | None = None
        self._opening = asyncio.Lock()
        self._present: dict[Presence, None] = {}
        self._contacts: dict[bytes, Presence] = {}
        self._strangers: Strangers[Presence] = Strangers(most_strangers)
        self._tasks = Tasks()
        self._may_be_revoked = False
        self._is_ending = False
        node.listen(self._start_over)
        inventory.listen(self._start_over)
        inventory.listen_for_batches(self._heard)

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[Presence]:
        return iter(self._present)

    def linked(self, device: bytes) -> Presence | None:
        """Return the device of a contact, if it is linked with."""
        return self._contacts.get(device)

    # --- what changes about this node ---

    def _start_over(self) -> None:
        """End all meetings: this node cares about others, or knows others, than before.

        A home that is locked knows nobody, and is a stranger to all.
        """
        self._acquaintances.forget()
        if self._tickets is not None:
            self._tickets.retire()
            self._tickets = None
        for presence in list(self._present):
            presence.starts_over = True
        self.stop()

    def _heard(self, absorbed: Absorbed) -> None:
        """Note that a batch came; it may revoke a device that is here."""
        self._acquaintances.heard(absorbed)
        if any(one in self._contacts for one in absorbed.revoked):
            if not self._may_be_revoked:
                self._tasks.begin(self._part_with_revoked())
            self._may_be_revoked = True

    async def _part_with_revoked(self) -> None:
        self._may_be_revoked = False  # what is heard from here on is looked at again
        try:
            known = await self._acquaintances.all()
        except PassalongError as exc:
            log.warning("%s", exc)
            return
        for device, presence in list(self._contacts.items()):
            if device not in known:
                self._stop(presence)

    # --- a link comes ---

    async def ticket(self, device: bytes) -> Ticket | None:
        """Return what opens the next session with a device faster, if it is known."""
        return (await self._kept_tickets()).to_open(device)

    async def _kept_tickets(self) -> KeptTickets:
        async with self._opening:
            while (tickets := self._tickets) is None:
                devices = await self._acquaintances.all()
                store, now = self._node.store, self._node.around.now
                read = await KeptTickets.open(store, now, devices)
                if self._acquaintances.are(devices):
                    self._tickets = read
            return tickets

    def _shown(self) -> Shown | None:
        """What everybody is shown of this device, if it is to be seen."""
        node = self._node
        if node.is_locked or not node.is_visible:
            return None
        return Shown(node.me.device, node.secrets.keys.signing.sign)

    async def secure(
        self, link: Link, *, is_initiator: bool, ticket: Ticket | None = None
    ) -> SecureLink:
        """Agree on keys over a link, and recognise who is at its other end.

        Raises:
            LinkError: That came to nothing; the link is closed.
            StoreError: Whom this device knows could not be read; the link is closed.
        """
        async with AsyncExitStack() as unless_begun:
            unless_begun.push_async_callback(link.close)
            known = await self._acquaintances.all()
            keys = {device: one.key for device, one in known.items()}
            tickets = await self._kept_tickets()
            who = Credentials(self._node.me.device, keys, tickets, self._shown())
            unless_begun.pop_all()
        return await secure(
            link,
            is_initiator=is_initiator,
            who=who,
            random=self._node.around.random,
            ticket=ticket,
        )

    async def enter(
        self, link: SecureLink, *, is_initiator: bool, is_invited: bool = False
    ) -> Presence:
        """Prepare the meeting over a link; ``hold`` holds it, and has to be called.

        Raises:
            LinkError: There is a better link to the same device, or this node ends; this link is
                closed.
            StoreError: What is held could not be read; likewise.
        """
        async with AsyncExitStack() as unless_entered:
            unless_entered.push_async_callback(link.close)
            presence = None
            while presence is None:
                presence = await self._try(link, is_initiator=is_initiator, is_invited=is_invited)
            unless_entered.pop_all()
        return presence

    async def _try(
        self, link: SecureLink, *, is_initiator: bool, is_invited: bool
    ) -> Presence | None:
        """Enter, unless something changes meanwhile that matters to it."""
        known = await self._acquaintances.all()
        peer = None
        if link.peer is not None and link.peer in known:
            peer = Peer(link.peer, known[link.peer].person)
        present = await self._to_be_replaced(peer, link, is_initiator=is_initiator)
        node, around = self._node, self._node.around
        holdings = await self._inventory.holdings()
        meeting = await open_meeting(
            link,
            holdings,
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
        # From here on nothing may wait: two links to a device would pass each other unseen.
        is_current = self._acquaintances.are(known) and self._inventory.are_current(holdings)
        if self._is_ending or not is_current or self._rival(peer) is not present:
            meeting.stop()
            self._refuse_at_the_end()
            return None
        presence = Presence(link, meeting, peer, is_initiator=is_initiator)
        self._place(presence, present)
        return presence

    def _refuse_at_the_end(self) -> None:
        if self._is_ending:
            raise LinkError("this node ends")

    def _rival(self, peer: Peer | None) -> Presence | None:
        return None if peer is None else self._contacts.get(peer.device)

    async def _to_be_replaced(
        self, peer: Peer | None, link: SecureLink, *, is_initiator: bool
    ) -> Presence | None:
        """Return whose place a new link to a device takes, if it takes anybody's.

        Raises:
            LinkError: The one that is there stays.
        """
        while peer is not None and (present := self._contacts.get(peer.device)) is not None:
            if self._is_better(link, present, peer.device, is_initiator=is_initiator):
                return present
            is_alive = await present.is_alive()
            if self._contacts.get(peer.device) is not present:
                continue
            if is_alive:
                raise LinkError("there is a link to this device already")
            return present
        return None

    def _is_better(
        self, link: SecureLink, present: Presence, device: bytes, *, is_initiator: bool
    ) -> bool:
        """Say whether a new link is to be taken rather than the one there, both sides alike."""
        if is_initiator != present.is_initiator:
            return is_initiator == (self._node.me.device < device)
        age = asyncio.get_running_loop().time() - present.since
        return age > ALIVE_S or link.binding < present.link.binding

    def _place(self, presence: Presence, instead: Presence | None) -> None:
        """Let somebody in, and out whose place he takes."""
        self._present[presence] = None
        if instead is not None:
            self._stop(instead)
        if presence.peer is not None:
            self._contacts[presence.peer.device] = presence
        elif not presence.is_initiator:
            crowded_out = self._strangers.add(presence, presence.link.info.address)
            if crowded_out is not None:
                self._stop(crowded_out)

    async def hold(self, presence: Presence) -> Outcome:
        """Hold the meeting to its end.

        Raises:
            StoreError: The store failed; what was stored before stays.
        """
        self._news.tell("peers")
        try:
            return await presence.meeting.hold()
        finally:
            self._leave(presence)
            del self._present[presence]
            presence.ended.set_result(None)
            self._news.tell("peers")

    # --- who is here ---

    async def rows(self, people: People) -> list[PeerRow]:
        """Return a row a link: contacts first, by name; latencies are measured where they are old.

        Args:
            people: Who is who.
        """
        await self._measure()
        now = asyncio.get_running_loop().time()
        rows = [row_of(presence, people, now) for presence in self._present]
        return sorted(rows, key=by_name)

    async def _measure(self) -> None:
        due = asyncio.get_running_loop().time() - LATENCY_S
        old = [one for one in self._present if one.measured <= due]
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*(one.measure() for one in old), return_exceptions=True)

    def stop(self) -> None:
        """End all meetings, as soon as what came is stored."""
        for presence in list(self._present):
            self._stop(presence)

    async def end(self, seconds: float) -> None:
        """End all meetings for good, and wait so long for them at most."""
        self._is_ending = True
        self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for presence in list(self._present):
                    await presence.until_ended()
        await self._tasks.cancel()

    def _stop(self, presence: Presence) -> None:
        self._leave(presence)
        presence.meeting.stop()

    def _leave(self, presence: Presence) -> None:
        """Let others take the place of somebody who goes."""
        self._strangers.discard(presence)
        if presence.peer is not None and self._contacts.get(presence.peer.device) is presence:
            del self._contacts[presence.peer.device]
