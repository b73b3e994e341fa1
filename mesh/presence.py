"""A device at the other end of a link, the meeting with it, and what is shown of the two."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gossip.session import State
from mesh.rows import PeerRow
from transports.base import LinkError

if TYPE_CHECKING:
    from gossip.policy import Peer
    from ledger.views.people import People
    from mesh.meeting import Meeting
    from transports.secure import SecureLink

ALIVE_S: Final = 2.0
"""How long a link has to answer when another one to the same device is there."""
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
        measured: When that was last tried, by the loop's clock.
        since: When it came, likewise.
        starts_over: Whether it was ended because this node cares about others than before.
        ended: Done once the meeting is over.
    """

    __slots__ = (
        "ended",
        "is_initiator",
        "latency",
        "link",
        "measured",
        "meeting",
        "peer",
        "since",
        "starts_over",
    )

    def __init__(
        self, link: SecureLink, meeting: Meeting, peer: Peer | None, *, is_initiator: bool
    ) -> None:
        self.link = link
        self.is_initiator = is_initiator
        self.peer = peer
        self.meeting = meeting
        self.latency: float | None = None
        self.measured = float("-inf")
        self.since = asyncio.get_running_loop().time()
        self.starts_over = False
        self.ended = asyncio.get_running_loop().create_future()

    @property
    def state(self) -> str:
        """``greeting``, ``syncing`` or ``equal``."""
        return _STATES.get(self.meeting.session.state, "syncing")

    async def is_alive(self) -> bool:
        """Say whether the other side answers."""
        if self.meeting.session.state is State.CLOSED:
            return False
        try:
            async with asyncio.timeout(ALIVE_S):
                await self.measure()
        except (LinkError, TimeoutError):
            return False
        return True

    async def until_ended(self) -> None:
        """Wait until the meeting is over; whoever stops waiting leaves it as it is."""
        await asyncio.wait([self.ended])

    async def measure(self) -> None:
        """Find out how long an answer takes."""
        self.measured = asyncio.get_running_loop().time()
        self.latency = await self.link.ping()


def row_of(presence: Presence, people: People, now: float) -> PeerRow:
    """Return what is shown of somebody.

    Args:
        presence: Who.
        people: Who is who.
        now: By the loop's clock.
    """
    link = presence.link
    device, person = link.shown, None
    if presence.peer is not None:
        device, person = presence.peer
    elif device is not None and people.sealing(device) is not None:
        person = people.person(device)
    return PeerRow(
        authenticated=device is not None,
        person=person,
        device=device,
        name=None if person is None else people.name(person),
        links=1,
        transport=link.info.transport,
        address=link.info.address,
        last_received_s=max(0.0, now - link.last_received),
        last_sent_s=max(0.0, now - link.last_sent),
        latency_ms=None if presence.latency is None else round(presence.latency * 1_000),
        state=presence.state,
    )


def by_name(row: PeerRow) -> tuple[bool, str, str, bytes]:
    """Return where a row stands: contacts come first, by name."""
    name = row.name or ""
    return not row.authenticated, name.casefold(), row.address or "", row.device or b""
