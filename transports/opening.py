"""The first two messages of a session, the same in shape whether the two sides have met or not.

    message 1 = suite 1 || ident 16 || fresh key 32 || tail
    message 2 = fresh key 32 || sealed payload

Whoever holds a ticket opens with its ident, and the tail is sealed under its secret; else both
are random. The other side looks the ident up: where it finds the ticket it answers as NNpsk0,
else as NN, and either is understood. So nobody in between sees which it was.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from transports.base import LinkError
from transports.noise import KEY_BYTES, TAG_BYTES, Handshake, Keys, NoiseError
from transports.tickets import IDENT_BYTES, MAX_CANDIDATES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from transports.tickets import Ticket, Tickets

NETWORK: Final = "passalong"
"""Name of the network; the same as that of the ledger, which transports may not know."""
SUITE: Final = 1
FIRST_BYTES: Final = 1 + IDENT_BYTES + KEY_BYTES + TAG_BYTES
MAX_FIRST_BYTES: Final = 512
SECOND_BYTES: Final = KEY_BYTES + TAG_BYTES


class HandshakeError(LinkError):
    """No session came about; the message says why, in one line."""


def context(what: str, network: str = NETWORK) -> bytes:
    """Return the ASCII prefix of one use of a signature or keyed hash."""
    return f"{network}/{what}/1".encode("ascii")


def derive(secret: bytes, label: bytes, length: int) -> bytes:
    """Derive ``length`` bytes from a secret: HKDF-SHA256 without salt (RFC 5869)."""
    key = hmac.digest(bytes(32), secret, "sha256")
    block, out = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + label + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def psk_of(ticket: Ticket, pair_keys: Mapping[bytes, bytes], network: str = NETWORK) -> bytes:
    """Return what both sides mix in: a stolen ticket is worth nothing without the pair key.

    Args:
        ticket: A group's, or one that names somebody in ``pair_keys``.
        pair_keys: What this side shares with each other name.
        network: Name of the network.
    """
    if ticket.name is None:
        return ticket.psk
    return hmac.digest(pair_keys[ticket.name], context("resume", network) + ticket.psk, "sha256")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What two messages came to.

    Attributes:
        keys: What both sides know now.
        own: This side's fresh public key.
        remote: The other side's.
        ticket: The one that both used, or None.
        payload: What message 2 said.
    """

    keys: Keys
    own: bytes
    remote: bytes
    ticket: Ticket | None
    payload: bytes


class Opener:
    """The side that speaks first; make it, send ``first``, then ``read`` the answer.

    Args:
        random: Gives so many random bytes.
        ticket: The one to open with; spent already.
        pair_keys: What this side shares with each other name; with that of the ticket at least.
        network: Name of the network.
        bound: What both sides know besides.
        size: How long ``first`` is to be, in bytes.
    """

    __slots__ = ("_psk", "_seed", "_start", "_ticket", "first", "prologue")

    def __init__(
        self,
        random: Callable[[int], bytes],
        ticket: Ticket | None = None,
        pair_keys: Mapping[bytes, bytes] = MappingProxyType({}),
        *,
        network: str = NETWORK,
        bound: bytes = b"",
        size: int = FIRST_BYTES,
    ) -> None:
        head = bytes([SUITE]) + (random(IDENT_BYTES) if ticket is None else ticket.ident)
        self.prologue = context("noise", network) + head + bound
        self._seed = random(KEY_BYTES)
        self._ticket = ticket
        self._psk = None if ticket is None else psk_of(ticket, pair_keys, network)
        spare = size - FIRST_BYTES
        if self._psk is None:
            self._start = self._handshake(None).write_first(random(TAG_BYTES + spare))
        else:
            self._start = self._handshake(self._psk).write_first(bytes(spare))
        self.first = head + self._start

    def _handshake(self, psk: bytes | None) -> Handshake:
        return Handshake(is_initiator=True, prologue=self.prologue, seed=self._seed, psk=psk)

    def read(self, second: bytes, payload_bytes: int = 0) -> Agreed:
        """Read message 2; one that does not hold changes nothing.

        Raises:
            HandshakeError: It is not the answer to ``first``. No other exception leaves this
                function.
        """
        if len(second) != SECOND_BYTES + payload_bytes:
            raise HandshakeError(f"an answer of {len(second)} bytes; that is no passalong")
        for ticket in dict.fromkeys((self._ticket, None)):
            handshake = self._handshake(None if ticket is None else self._psk)
            if ticket is None:
                handshake.write_first(self._start[KEY_BYTES:])
            else:
                handshake.write_first(bytes(len(self._start) - KEY_BYTES - TAG_BYTES))
            try:
                payload = handshake.read_second(second)
            except NoiseError:
                continue
            return _agreed(handshake, ticket, payload)
        raise HandshakeError("the answer does not hold; somebody may be changing what passes")


def _agreed(handshake: Handshake, ticket: Ticket | None, payload: bytes) -> Agreed:
    return Agreed(handshake.keys(), handshake.public, handshake.remote, ticket, payload)


def check_first(first: bytes, least: int = FIRST_BYTES) -> None:
    """Refuse what cannot be message 1, before anything is computed.

    Raises:
        HandshakeError: Its size or its suite is wrong.
    """
    if not least <= len(first) <= MAX_FIRST_BYTES:
        raise HandshakeError(f"it began with {len(first)} bytes; that is no passalong")
    if first[0] != SUITE:
        raise HandshakeError(
            f"the other side speaks suite {first[0]} of sessions, this one suite {SUITE};"
            " the older of the two has to be updated"
        )


async def answer(  # noqa: PLR0913  what the two messages are made of
    first: bytes,
    random: Callable[[int], bytes],
    tickets: Tickets,
    pair_keys: Mapping[bytes, bytes],
    *,
    network: str = NETWORK,
    bound: bytes = b"",
    least: int = FIRST_BYTES,
    payload: bytes = b"",
) -> tuple[bytes, Agreed]:
    """Read message 1; return message 2 and what it came to. A ticket that holds is spent.

    Args:
        first: What came.
        random: Gives so many random bytes.
        tickets: Where to look for its ident.
        pair_keys: What this side shares with those whose tickets may be used.
        network: Name of the network.
        bound: What both sides know besides.
        least: How short ``first`` may be.
        payload: What message 2 is to say.

    Raises:
        HandshakeError: It is no message 1 of this version. No other exception leaves this function.
    """
    check_first(first, least)
    head, start = first[: 1 + IDENT_BYTES], first[1 + IDENT_BYTES :]
    prologue, seed = context("noise", network) + head + bound, random(KEY_BYTES)
    used: Ticket | None = None
    handshake = Handshake(is_initiator=False, prologue=prologue, seed=seed)
    handshake.read_first(start)
    for ticket in (await tickets.find(head[1:]))[:MAX_CANDIDATES]:
        if ticket.name is not None and ticket.name not in pair_keys:
            continue
        psk = psk_of(ticket, pair_keys, network)
        trial = Handshake(is_initiator=False, prologue=prologue, seed=seed, psk=psk)
        try:
            trial.read_first(start)
        except NoiseError:
            continue
        if await tickets.spend(ticket):
            handshake, used = trial, ticket
        break
    try:
        second = handshake.write_second(payload)
    except NoiseError as refused:
        raise HandshakeError(str(refused)) from refused
    return second, _agreed(handshake, used, payload)
