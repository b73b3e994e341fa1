"""Tickets: what two devices that recognised each other keep for the next session between them.

A ticket serves once. Who opens a session with it has thrown it away before its name is on the
wire, so no two sessions show the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDENT_BYTES: Final = 16
PSK_BYTES: Final = 32
MAX_CANDIDATES: Final = 16
MAX_AGE_S: Final = 30 * 24 * 60 * 60
"""Older tickets are not used."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A secret of two sides, and what it is called on the wire.

    Attributes:
        ident: 16 bytes, random to everybody else.
        psk: 32 bytes.
        name: Whom it was made with, as ``Credentials.pair_keys`` calls him; None for the secret of
            a closed group, which anybody in it knows.
    """

    ident: bytes
    psk: bytes = field(repr=False)
    name: bytes | None


class TicketPair(NamedTuple):
    """What a session leaves: the two sides of it hold the same two, the other way round.

    Attributes:
        to_open: For the next session that this side opens.
        to_answer: For the next one that the other side opens.
    """

    to_open: Ticket
    to_answer: Ticket


class Tickets(Protocol):
    """Where tickets are kept; of what fails in here only LinkErrors are expected."""

    async def find(self, ident: bytes) -> Sequence[Ticket]:
        """Return what may answer a session opened with ``ident``; the first 16 are tried.

        That is the ticket of this ident that is not older than ``MAX_AGE_S``, if one is held, and
        the secrets of closed groups whatever the ident is.
        """

    async def spend(self, ticket: Ticket) -> bool:
        """Throw a ticket away; say whether it was there, so that nobody else has it as well.

        It is gone for good when this returns. A group's secret is not thrown away: that is true
        each time.
        """

    async def keep(self, pair: TicketPair) -> None:
        """Keep what a session left."""


class MemoryTickets:
    """``Tickets`` for as long as the process lives.

    Args:
        clock: Gives seconds that never go back.
        groups: Secrets of closed groups, at most 15; their idents do not matter.
        most: How many tickets of either use are kept, at most; the oldest go first.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        groups: Sequence[Ticket] = (),
        most: int = 1_024,
    ) -> None:
        if len(groups) >= MAX_CANDIDATES:
            raise ValueError(f"{len(groups)} groups where {MAX_CANDIDATES - 1} can be tried")
        self._clock = clock
        self._groups = tuple(groups)
        self._most = most
        self._to_open: OrderedDict[bytes, tuple[float, Ticket]] = OrderedDict()
        self._to_answer: OrderedDict[bytes, tuple[float, Ticket]] = OrderedDict()

    def newest(self, name: bytes) -> Ticket | None:
        """Return the newest ticket to open a session with ``name``."""
        oldest = self._clock() - MAX_AGE_S
        for born, ticket in reversed(self._to_open.values()):
            if ticket.name == name:
                return ticket if born >= oldest else None
        return None

    async def find(self, ident: bytes) -> Sequence[Ticket]:
        born, ticket = self._to_answer.get(ident, (0.0, None))
        if ticket is None or born < self._clock() - MAX_AGE_S:
            return self._groups
        return (ticket, *self._groups)

    async def spend(self, ticket: Ticket) -> bool:
        if ticket.name is None:
            return True
        gone = [held.pop(ticket.ident, None) for held in (self._to_open, self._to_answer)]
        return any(gone)

    async def keep(self, pair: TicketPair) -> None:
        now = self._clock()
        for held, ticket in zip((self._to_open, self._to_answer), pair, strict=True):
            held[ticket.ident] = (now, ticket)
            if len(held) > self._most:
                held.popitem(last=False)
