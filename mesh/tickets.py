"""Tickets for the next session with each contact's device, kept in the store.

A ticket serves once, so it is gone from the disk before it is used. What is lost with a disk costs
a longer handshake and nothing else, so what is kept waits for no disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from ledger.codec import decode, encode
from ledger.errors import InvalidError
from transports.tickets import IDENT_BYTES, MAX_AGE_S, PSK_BYTES, Ticket, TicketPair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ledger.store.base import Store

_MAX_NOTE_BYTES: Final = 256
MAX_KEPT: Final = 4_096
"""Devices of whom tickets are kept, at most."""


class KeptTickets:
    """Satisfies ``transports.tickets.Tickets``; made by ``open``.

    Args:
        store: Where they are kept.
        now: Gives ms since 1970; it may jump: then at worst a ticket is not used.
    """

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._held: dict[bytes, _Held] = {}
        self._devices: dict[bytes, bytes] = {}
        self._is_retired = False

    @classmethod
    async def open(cls, store: Store, now: Callable[[], int], devices: Iterable[bytes]) -> Self:
        """Read the tickets of ``devices``."""
        tickets = cls(store, now)
        for device in devices:
            raw = await store.note(_note(device))
            if raw is not None and (held := _Held.decode(device, raw)) is not None:
                tickets._take(device, held)
        return tickets

    def to_open(self, device: bytes) -> Ticket | None:
        """Return the ticket to open a session with a device."""
        held = self._held.get(device)
        return held.to_open if held is not None and self._is_fresh(held) else None

    def retire(self) -> None:
        """Give none and keep none from now on: others are read anew, for whom this node then knows.

        A session that is being set up meanwhile goes on without.
        """
        self._held.clear()
        self._devices.clear()
        self._is_retired = True

    async def find(self, ident: bytes) -> Sequence[Ticket]:
        held = self._held.get(self._devices.get(ident, b""))
        if held is None or held.to_answer is None or not self._is_fresh(held):
            return ()
        return (held.to_answer,)

    async def spend(self, ticket: Ticket) -> bool:
        device = ticket.name or b""
        held = self._held.get(device)
        if held is None or ticket not in (held.to_open, held.to_answer):
            return False
        self._take(device, held.without(ticket))
        await self._write(device, durable=True)
        return True

    async def keep(self, pair: TicketPair) -> None:
        device = pair.to_open.name
        if device is None or self._is_retired:
            return
        if device not in self._held and len(self._held) >= MAX_KEPT:
            return
        self._take(device, _Held(self._now(), pair.to_open, pair.to_answer))
        await self._write(device, durable=False)

    def _is_fresh(self, held: _Held) -> bool:
        return 0 <= self._now() - held.born <= MAX_AGE_S * 1_000

    def _take(self, device: bytes, held: _Held) -> None:
        self._drop(device)
        self._held[device] = held
        if held.to_answer is not None:
            self._devices[held.to_answer.ident] = device

    def _drop(self, device: bytes) -> None:
        before = self._held.pop(device, None)
        if before is not None and before.to_answer is not None:
            self._devices.pop(before.to_answer.ident, None)

    async def _write(self, device: bytes, *, durable: bool) -> None:
        held = self._held.get(device)
        said = held.encode() if held is not None else None
        await self._store.set_note(_note(device), said, durable=durable)


async def drop_tickets(store: Store, devices: Iterable[bytes]) -> None:
    """Throw away what is kept for sessions with ``devices``."""
    for device in devices:
        if await store.note(_note(device)) is not None:
            await store.set_note(_note(device), None)


class _Held:
    """The tickets of one device, and when they were made, ms."""

    __slots__ = ("born", "to_answer", "to_open")

    def __init__(self, born: int, to_open: Ticket | None, to_answer: Ticket | None) -> None:
        self.born = born
        self.to_open = to_open
        self.to_answer = to_answer

    def without(self, ticket: Ticket) -> _Held:
        to_open, to_answer = (
            None if one == ticket else one for one in (self.to_open, self.to_answer)
        )
        return _Held(self.born, to_open, to_answer)

    def encode(self) -> bytes:
        both = (self.to_open, self.to_answer)
        return encode([1, self.born, *(None if t is None else [t.ident, t.psk] for t in both)])

    @classmethod
    def decode(cls, device: bytes, raw: bytes) -> _Held | None:
        """Read what ``encode`` wrote; None where that means nothing, which costs one handshake."""
        try:
            said = decode(raw, _MAX_NOTE_BYTES)
        except InvalidError:
            return None
        match said:
            case [1, int(born), to_open, to_answer]:
                return cls(born, _ticket(device, to_open), _ticket(device, to_answer))
            case _:
                return None


def _ticket(device: bytes, said: object) -> Ticket | None:
    match said:
        case [bytes(ident), bytes(psk)] if (len(ident), len(psk)) == (IDENT_BYTES, PSK_BYTES):
            return Ticket(ident, psk, device)
        case _:
            return None


def _note(device: bytes) -> str:
    return f"tickets/{device.hex()}"
