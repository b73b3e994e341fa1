"""Strangers who came by themselves, and who of them goes when there are too many.

There must be room for contacts whoever comes, and no stranger may keep all others out by staying.
So of the network that most of them came from the one goes who has been there for longest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from transports.base import LinkError
from transports.gate import network_of
from transports.wifi.tcp_address import parse_address

if TYPE_CHECKING:
    from collections.abc import Hashable

MAX_STRANGERS: Final = 400
"""The gate lets in 600 links in all."""

T = TypeVar("T", bound="Hashable")


class Strangers(Generic[T]):
    """Who is there, in the order in which they came.

    Args:
        most: How many may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._networks: dict[T, bytes] = {}

    def __len__(self) -> int:
        return len(self._networks)

    def add(self, stranger: T, address: str | None) -> T | None:
        """Let one more in; return who has to go for that, if anybody."""
        self._networks[stranger] = _network(address)
        if len(self._networks) <= self._most:
            return None
        (crowded, _), *_ = Counter(self._networks.values()).most_common(1)
        return next(one for one, network in self._networks.items() if network == crowded)

    def discard(self, stranger: T) -> None:
        """Note that one is gone; a second time changes nothing."""
        self._networks.pop(stranger, None)


def _network(address: str | None) -> bytes:
    """Return what an address is counted under; all that have none are one network."""
    try:
        host, _ = parse_address(address or "")
    except LinkError:
        return b""
    return network_of(host) or b""
