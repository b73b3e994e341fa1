"""A session in datagrams whose other side may turn up at another address.

Where a datagram comes from proves nothing: anybody can send one again from elsewhere. So a new
path is tried with a question that only the other side can answer, and followed once the answer
has come back along it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from typing_extensions import override

from transports.base import Link
from transports.datagram_session import PROBE_BYTES, DatagramSession
from transports.records import PROBE, PROBED
from transports.secure_link import DEAD_AFTER_S, KEEP_ALIVE_S, SecureLink

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from transports.session import Met

PROBE_EVERY_S: Final = 1.0


@runtime_checkable
class RoamingLink(Link, Protocol):
    """A link of datagrams that can be sent along other paths than the one it uses."""

    @property
    def came_by(self) -> Hashable:
        """The path along which the frame came that ``receive`` returned last."""

    async def send_to(self, frame: bytes, path: Hashable) -> None:
        """Send one frame along a path; as ``send`` otherwise."""

    def follow(self, path: Hashable) -> None:
        """Send along this path from now on."""


class Paths:
    """Along which path the other side is, and along which it may be."""

    __slots__ = ("_asked_at", "_random", "_tried", "_word", "current")

    def __init__(self, current: Hashable, random: Callable[[int], bytes]) -> None:
        self.current = current
        self._random = random
        self._tried: Hashable = None
        self._word = b""
        self._asked_at = float("-inf")

    def heard(self, path: Hashable, now: float, *, is_newest: bool) -> bytes | None:
        """Note along which path something genuine came; return what to ask there, if anything.

        At most one question a second is asked, and only the newest datagram gives cause for one.
        """
        if not is_newest or path == self.current or now - self._asked_at < PROBE_EVERY_S:
            return None
        self._tried, self._word, self._asked_at = path, self._random(PROBE_BYTES), now
        return self._word

    def answered(self, path: Hashable, word: bytes) -> bool:
        """Say whether this is the answer, along the path that was tried; then it is current."""
        if not self._word or word != self._word or path != self._tried:
            return False
        self.current, self._tried, self._word = path, None, b""
        return True


class RoamingSecureLink(SecureLink):
    """A ``SecureLink`` in datagrams that follows the other side to another address."""

    __slots__ = ("_datagrams", "_paths", "_roaming")

    def __init__(
        self,
        link: RoamingLink,
        session: DatagramSession,
        met: Met,
        random: Callable[[int], bytes],
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        super().__init__(link, session, met, keep_alive_s=keep_alive_s, dead_after_s=dead_after_s)
        self._roaming = link
        self._datagrams = session
        self._paths = Paths(link.came_by, random)

    @property
    def sessions(self) -> tuple[bytes, ...]:
        """The 4 bytes each by which datagrams reach this side now: see ``session_of``."""
        return self._datagrams.own

    @override
    def _heed(self, kind: int, content: bytes) -> None:
        path = self._roaming.came_by
        if kind == PROBED and self._paths.answered(path, content):
            self._roaming.follow(path)
        elif kind == PROBE:
            self._owe(self._datagrams.hear(kind, content, self.last_received), path)
        else:
            super()._heed(kind, content)

    @override
    def _opened(self) -> None:
        path, is_newest = self._roaming.came_by, self._datagrams.is_newest
        word = self._paths.heard(path, self.last_received, is_newest=is_newest)
        if word is not None:
            self._owe([(PROBE, word)], path)

    @override
    async def _pay(self, kind: int, content: bytes, path: Hashable) -> None:
        if path is None:
            await self._put(kind, content)
            return
        record = self._datagrams.seal(kind, content)
        await self._roaming.send_to(record, path)
        self.bytes_out += len(record)
