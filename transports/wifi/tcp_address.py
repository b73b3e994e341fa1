"""How a TCP address is written: ``host:port``, and ``[address%interface]:port`` for IPv6."""

from __future__ import annotations

import socket
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final

from transports.base import LinkError

MAX_PORT: Final = 65_535
_MAX_HOST: Final = 253
_NO_HOST: Final = frozenset("[]/@ \t")


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and the port of ``HOST:PORT``.

    The host is a name, an IPv4 address, or an IPv6 address in brackets, which are left out.

    Raises:
        LinkError: It is no such thing; the message says what is missing.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or port.endswith("]"):
        raise LinkError(f"{_shown(text)} has no port: write HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = _ipv6(host[1:-1])
    elif ":" in host:
        raise LinkError(f"{_shown(text)}: write HOST:PORT, and an IPv6 address as [ADDRESS]:PORT")
    if not port.isascii() or not port.isdigit() or len(port) > 5:
        raise LinkError(f"{_shown(text)}: a port is a number from 1 to {MAX_PORT}")
    check_address(host, int(port))
    return host, int(port)


def _ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except AddressValueError:
        raise LinkError(f"{_shown(text)} is no IPv6 address") from None
    return text


def check_address(host: str, port: int) -> None:
    """Refuse what cannot be anybody's address.

    Raises:
        LinkError: There is no host, it has characters that no host has, or no such port exists.
    """
    if not 1 <= len(host) <= _MAX_HOST or not host.isprintable() or _NO_HOST & set(host):
        raise LinkError(f"{_shown(host)} is no host: write a name or an address")
    if not 1 <= port <= MAX_PORT:
        raise LinkError(f"there is no port {port}: a port is a number from 1 to {MAX_PORT}")


def _shown(text: str) -> str:
    """Return what a person wrote such that it takes one short line."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def spell(host: str, port: int) -> str:
    """Return host and port as ``parse_address`` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def spell_peer(peer: tuple[Any, ...] | None) -> str | None:
    """Return the address that a socket gives of its other end, or None if it knows none.

    An IPv4 address inside an IPv6 one is written as the IPv4 address that it is.
    """
    if not peer:
        return None
    host, port = str(peer[0]), int(peer[1])
    if ":" in host:
        plain = IPv6Address(host)
        scope = int(peer[3]) if len(peer) > 3 else 0
        host = str(plain.ipv4_mapped or plain)
        if scope and not plain.scope_id:
            host += f"%{_interface(scope)}"
    return spell(host, port)


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)
