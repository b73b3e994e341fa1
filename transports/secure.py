"""Makes a link secure: a handshake over it, and whom the other side turns out to be.

Everything about the other side is learnt in here and from nothing else: not from an address, not
from a field. What fails closes the link.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

from transports.base import LinkClosedError
from transports.datagram_session import DatagramSession
from transports.entry import DatagramEntry, Entry, StreamEntry
from transports.noise import NoiseError
from transports.opening import HandshakeError
from transports.recognition import Credentials, Recognition, Shown
from transports.roaming import RoamingLink, RoamingSecureLink
from transports.secure_link import DEAD_AFTER_S, KEEP_ALIVE_S, SecureLink
from transports.session import CutError, Met
from transports.stream_session import tickets_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from transports.base import Link
    from transports.tickets import Ticket

__all__ = ["Credentials", "CutError", "HandshakeError", "SecureLink", "Shown", "secure"]

PATIENCE_S: Final = 5.0
ANSWERER_LATER_S: Final = 1.0
"""So that two sides that both say nothing do not both ask whether the other is there."""


async def secure(  # noqa: PLR0913  what a session depends on
    link: Link,
    *,
    is_initiator: bool,
    who: Credentials,
    random: Callable[[int], bytes],
    ticket: Ticket | None = None,
    mode: Literal["stream", "datagram"] = "stream",
    patience_s: float = PATIENCE_S,
    keep_alive_s: float = KEEP_ALIVE_S,
    dead_after_s: float = DEAD_AFTER_S,
) -> SecureLink:
    """Begin a session over a link.

    Args:
        link: What carries it; belongs to the session from now on.
        is_initiator: Whether this side speaks first: the one that opened the link.
        who: By what this side recognises others and is recognised.
        random: Gives so many bytes that nobody can guess.
        ticket: The one to open with; it is spent before anything is sent.
        mode: ``"stream"`` over what loses nothing and keeps the order. ``"datagram"`` over what may
            lose frames, bring them twice or in another order; so does the link that is returned,
            but for those that come twice.
        patience_s: How long the handshake may take.
        keep_alive_s: After so long without anything sent, something is sent.
        dead_after_s: After so long without anything received, the link is closed.

    Raises:
        HandshakeError: No session came about; the link is closed.
    """
    try:
        entry = (StreamEntry if mode == "stream" else DatagramEntry)(link, who, random)
        async with asyncio.timeout(patience_s):
            met = await _meet(entry, who, random, ticket, is_initiator=is_initiator)
    except BaseException as exc:
        await link.close()
        if isinstance(exc, TimeoutError):
            raise HandshakeError(f"no session came about in {patience_s:g} s") from exc
        if isinstance(exc, LinkClosedError):
            raise HandshakeError(f"the link ended during the handshake: {exc}") from exc
        if isinstance(exc, NoiseError):
            raise HandshakeError(f"what came does not hold: {exc}") from exc
        raise
    session = entry.session
    if not is_initiator:
        keep_alive_s += ANSWERER_LATER_S
    if isinstance(session, DatagramSession) and isinstance(link, RoamingLink):
        return RoamingSecureLink(
            link, session, met, random, keep_alive_s=keep_alive_s, dead_after_s=dead_after_s
        )
    return SecureLink(
        link,
        session,
        met,
        entry.held,
        keep_alive_s=keep_alive_s,
        dead_after_s=dead_after_s,
    )


async def _meet(
    entry: Entry,
    who: Credentials,
    random: Callable[[int], bytes],
    ticket: Ticket | None,
    *,
    is_initiator: bool,
) -> Met:
    agreed = await (entry.open(ticket) if is_initiator else entry.answer())
    recognition = Recognition(agreed, who, random)
    recognise = entry.resume if recognition.is_resumed else entry.recognise
    await recognise(recognition, is_initiator=is_initiator)
    if recognition.peer is not None:
        await who.tickets.keep(
            tickets_of(agreed.keys, recognition.peer, who.network, is_initiator=is_initiator)
        )
    return Met(
        recognition.peer,
        recognition.shown,
        agreed.ticket is not None,
        entry.sent,
        entry.received,
    )
