"""Connects to a host that may have several addresses; no socket stays behind that nobody took.

(The loop's own way of trying several beside each other forgets a connection that came about in the
very moment in which it is cancelled: that stays open until garbage is collected.)
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain, zip_longest
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

_Place: TypeAlias = tuple[int, tuple[Any, ...]]
"""A family of addresses, and one of them."""
_Found: TypeAlias = "Future[list[_Place]]"
LOOK_UPS: Final = 16
"""Names that may be looked up at once."""
_free: Final = BoundedSemaphore(LOOK_UPS)
_REASONS: Final = {
    errno.ECONNREFUSED: "nobody listens there",
    errno.ECONNRESET: "the other side broke off the connection",
    errno.EHOSTUNREACH: "there is no way to it",
    errno.ENETUNREACH: "there is no way to it from this network",
    errno.ETIMEDOUT: "it did not answer in time",
    errno.EINVAL: "an fe80 address needs its interface behind it, such as fe80::1%wlan0",
}
"""What went wrong, most telling first: of several addresses each may fail in its own way."""


async def connect(host: str, port: int, head_start_s: float) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Args:
        host: A name, an IPv4 or an IPv6 address.
        port: Of TCP.
        head_start_s: Seconds that one address is tried before the next one is tried beside it.

    Raises:
        OSError: There is no such host, or none of its addresses can be reached; ``why_not`` says
            why in words.
        UnicodeError: No host has such a name.
    """
    places = _by_turns(await _look_up(host, port))
    trying: set[asyncio.Task[socket.socket]] = set()
    failures: list[OSError] = []
    try:
        while places or trying:
            if places:
                trying.add(asyncio.create_task(_reach(*places.pop(0))))
            wait_s = head_start_s if places else None
            done, _ = await asyncio.wait(
                trying, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                trying.discard(one)
                try:
                    return one.result()
                except OSError as exc:
                    failures.append(exc)
        raise min(failures, key=_telling)
    finally:
        for one in trying:
            one.add_done_callback(_throw_away)
            one.cancel()


def why_not(exc: OSError | UnicodeError) -> str:
    """Say in one line why there is no connection."""
    if isinstance(exc, UnicodeError):
        return "no host has such a name"
    if isinstance(exc, socket.gaierror):
        if exc.errno == socket.EAI_AGAIN:
            return "names cannot be looked up now; is there a network?"
        return "there is no such host"
    if isinstance(exc, TimeoutError):
        return "it did not answer in time"
    known = _REASONS.get(exc.errno or 0)
    return known or (os.strerror(exc.errno) if exc.errno else str(exc))


def _telling(exc: OSError) -> int:
    return [*_REASONS, exc.errno].index(exc.errno)


async def _look_up(host: str, port: int) -> list[_Place]:
    """Return the addresses of a host; where it is one already, nobody is asked."""
    try:
        literal = ip_address(host)
    except ValueError:
        literal = None
    match literal:
        case IPv4Address():
            return [(socket.AF_INET, (host, port))]
        case IPv6Address(scope_id=None):
            return [(socket.AF_INET6, (host, port, 0, 0))]
        case _:
            return await _ask_for(host, port)


async def _ask_for(host: str, port: int) -> list[_Place]:
    """Look a name up, in a thread that nobody waits for: that may take a minute, or two."""
    if not _free.acquire(blocking=False):
        raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")
    found: _Found = Future()
    found.set_running_or_notify_cancel()
    try:
        Thread(target=_ask, args=(host, port, found), name=f"look up {host}", daemon=True).start()
    except RuntimeError as exc:  # no more threads
        _free.release()
        raise socket.gaierror(socket.EAI_AGAIN, str(exc)) from exc
    return await asyncio.wrap_future(found)


def _ask(host: str, port: int, found: _Found) -> None:
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as exc:  # noqa: BLE001  whoever asked hears of it
        found.set_exception(exc)
    else:
        found.set_result([(family, address) for family, _, _, _, address in places])
    finally:
        _free.release()


def _by_turns(places: Sequence[_Place]) -> list[_Place]:
    """Return addresses of one family and of the other by turns, the first one first."""
    first = [one for one in places if one[0] == places[0][0]]
    others = [one for one in places if one[0] != places[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]


async def _reach(family: int, address: tuple[Any, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(0)
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


def _throw_away(task: asyncio.Task[socket.socket]) -> None:
    """Close what came about although it is no longer wanted."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
