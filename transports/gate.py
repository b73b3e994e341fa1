"""Decides whom to let in, before anything costly is done for whoever knocks.

Of an address nothing is believed but that answers get there, so nobody is let in because of one:
addresses only keep one device from taking everybody's places. No socket and no clock is here:
``now`` is seconds on any clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_NETWORK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How many are let in; an address is an IPv4 address or an IPv6 network of 64 bits.

    Attributes:
        half_open: Links, in all, whose other side has not proven anything yet.
        half_open_each: The same, of one address.
        links: Links in all, those that are half open included.
        links_each: The same, of one address.
        a_minute: Links that one address may open in a minute, in the long run.
        burst: Links that one address may open at once, when it had not come for long.
        remembered: Addresses of which something is remembered at a time; more than ``links``.
    """

    half_open: int = 64
    half_open_each: int = 8
    links: int = 600
    links_each: int = 100
    a_minute: int = 60
    burst: int = 20
    remembered: int = 4096

    def __post_init__(self) -> None:
        if min(self.half_open, self.half_open_each, self.links, self.links_each) < 1:
            raise ValueError("a gate lets in at least one link")
        if min(self.a_minute, self.burst) < 1:
            raise ValueError("a gate lets in at least one link a minute")
        if self.remembered <= self.links:
            raise ValueError("a gate remembers more addresses than it lets in links")


class Refusal(Enum):
    """Why somebody is not let in; the value is fit to be shown."""

    HALF_OPEN = "too many links are being set up"
    HALF_OPEN_EACH = "too many links are being set up from this address"
    LINKS = "there are too many links"
    LINKS_EACH = "there are too many links from this address"
    RATE = "this address has opened too many links in a short time"


@dataclass(slots=True, eq=False)
class _Visitor:
    """What is remembered of one address.

    Attributes:
        key: As in the gate's memory; None for all those together of which nothing is remembered.
        half_open, links: How many there are.
        left: How many links it may open at ``seen``, in tokens of one link.
        seen: When ``left`` was right.
    """

    key: bytes | None
    left: float
    seen: float
    half_open: int = 0
    links: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """One link that was let in; hand it back to the gate when something becomes of it."""

    visitor: _Visitor
    is_half_open: bool = True
    is_in: bool = True


@dataclass(slots=True)
class Gate:
    """Counts who is in, and says who may come in.

    Memory stays bounded: what is remembered of an address goes when another one needs the room,
    those that have been without a link for longest first. What keeps an address out at that
    moment is never forgotten; where nothing else is left to forget, newcomers share one allowance.
    """

    limits: GateLimits = field(default_factory=GateLimits)
    half_open: int = field(default=0, init=False)
    links: int = field(default=0, init=False)
    _present: dict[bytes, _Visitor] = field(default_factory=dict, init=False)
    _absent: dict[bytes, _Visitor] = field(default_factory=dict, init=False)
    _others: _Visitor = field(init=False)

    def __post_init__(self) -> None:
        self._others = _Visitor(None, self.limits.burst, 0.0)

    @property
    def remembered(self) -> int:
        """Of how many addresses something is remembered."""
        return len(self._present) + len(self._absent)

    def admit(self, address: str | None, now: float) -> Entry | Refusal:
        """Let one more link in, or say why not.

        Args:
            address: The other side's, without port. All who have none, or none that can be read,
                share one allowance.
            now: Seconds.
        """
        limits = self.limits
        if self.half_open >= limits.half_open:
            return Refusal.HALF_OPEN
        if self.links >= limits.links:
            return Refusal.LINKS
        visitor = self._visitor(network_of(address), now)
        if visitor.half_open >= limits.half_open_each:
            return Refusal.HALF_OPEN_EACH
        if visitor.links >= limits.links_each:
            return Refusal.LINKS_EACH
        if self._refill(visitor, now) < 1:
            return Refusal.RATE
        return self._enter(visitor)

    def secured(self, entry: Entry) -> None:
        """Note that the other side has done its part of the handshake; once is enough."""
        if entry.is_half_open:
            entry.is_half_open = False
            entry.visitor.half_open -= 1
            self.half_open -= 1

    def left(self, entry: Entry) -> None:
        """Note that a link is gone; a second time changes nothing."""
        self.secured(entry)
        if not entry.is_in:
            return
        entry.is_in = False
        self.links -= 1
        visitor = entry.visitor
        visitor.links -= 1
        if not visitor.links and visitor.key is not None:
            del self._present[visitor.key]
            self._absent[visitor.key] = visitor

    def _enter(self, visitor: _Visitor) -> Entry:
        visitor.left -= 1
        visitor.half_open += 1
        visitor.links += 1
        self.half_open += 1
        self.links += 1
        if visitor.key is not None:
            self._absent.pop(visitor.key, None)
            self._present[visitor.key] = visitor
        return Entry(visitor)

    def _visitor(self, key: bytes | None, now: float) -> _Visitor:
        if key is None:
            return self._others
        known = self._present.get(key) or self._absent.get(key)
        if known is not None:
            return known
        if self.remembered >= self.limits.remembered and not self._forget(now):
            return self._others
        # It is remembered once it is let in: nothing stays of those who are refused.
        return _Visitor(key, self.limits.burst, now)

    def _forget(self, now: float) -> bool:
        """Forget one address that is not kept out now, if there is any."""
        for key, visitor in self._absent.items():
            if self._refill(visitor, now) >= 1:
                del self._absent[key]
                return True
        return False

    def _refill(self, visitor: _Visitor, now: float) -> float:
        gained = max(0.0, now - visitor.seen) * self.limits.a_minute / 60
        visitor.left = min(float(self.limits.burst), visitor.left + gained)
        visitor.seen = max(visitor.seen, now)
        return visitor.left


def network_of(address: str | None) -> bytes | None:
    """Return what an address is counted under, or None if it cannot be read.

    That is an IPv4 address as it is, also one inside an IPv6 address, and the first 64 bits of any
    other IPv6 address: who has one of those has them all.
    """
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    match parsed:
        case IPv6Address(ipv4_mapped=IPv4Address() as inner):
            return inner.packed
        case IPv6Address():
            return parsed.packed[:_NETWORK_BYTES]
        case _:
            return parsed.packed
