"""The way out for bulk: frames that are ready, in order of class, as room and budget allow."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.control import Done, DoneRow
from gossip.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.cargo import Cargo
    from gossip.postal import Leave
    from gossip.talk import Talk

FRAMES: Final = 2
"""Waiting in the link, so that what is urgent waits for little."""


class _Out(NamedTuple):
    """A frame; what frames are to be made of; or the end of a request, which overtakes neither."""

    frame: bytes
    end: DoneRow | Leave | None = None
    then: Callable[[], None] | None = None
    cargo: Cargo | None = None


class _Leaving(NamedTuple):
    """A frame in the link."""

    size: int
    since: float
    then: Callable[[], None] | None


class Outlet:
    """What is ready to be sent.

    Args:
        talk: The session's surroundings.

    Attributes:
        is_spent: Whether a byte budget is: nothing more is made ready.
        starved_since: Since when frames wait for nothing but the peer's credit.
        moved: When the peer or the link took something last.
        sent_at: When the link did.
        pace: How long frames should be.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._ready: dict[int, deque[_Out]] = {}
        self._waiting = 0
        self._granted = 0
        self._budget: int | None = None
        self._sent = 0
        self._in_link: list[_Leaving] = []
        self._ends: list[DoneRow] = []
        self.is_spent = False
        self.starved_since: float | None = None
        self.moved = self.sent_at = 0.0
        self.pace = Pace(talk.frame)

    def begin(self, window: int, budget: int | None) -> None:
        """Take from the peer's HELLO how much it takes."""
        ours = self._talk.setting.policy.limits.send
        self._granted = window
        self.pace = Pace(self._talk.frame)
        self._budget = min((b for b in (budget, ours) if b is not None), default=None)

    @property
    def left(self) -> int | None:
        """Bytes of the budget that no frame was made for yet; None where there is none."""
        return None if self._budget is None else self._budget - self._sent - self._waiting

    @property
    def rank(self) -> int | None:
        """The first class of which something is ready."""
        return min(self._ready, default=None)

    def _line(self, rank: int) -> deque[_Out]:
        """Return what is ready of a class; there is none of it while nothing is."""
        return self._ready.setdefault(rank, deque())

    def put(self, rank: int, frame: bytes, then: Callable[[], None] | None = None) -> None:
        """Add a frame; the budget has room for it.

        Args:
            rank: Its class.
            frame: It.
            then: Called once the link has taken it.
        """
        self._waiting += len(frame)
        self._line(rank).append(_Out(frame, then=then))

    def load(self, rank: int, cargo: Cargo) -> None:
        """Add what frames of class ``rank`` are to be made of; the budget has room for all."""
        self._waiting += cargo.left
        self._line(rank).append(_Out(b"", cargo=cargo))

    def end(self, rank: int, row: DoneRow | Leave) -> None:
        """Add the end of a request, to be said after the frames of its class so far."""
        self._line(rank).append(_Out(b"", row))

    def end_now(self, row: DoneRow) -> None:
        """Say the end of a request of which there are no frames."""
        self._ends.append(row)

    def credit(self, total: int) -> None:
        """Take more room; what was given is never taken back."""
        if total > self._granted:
            self._granted = total
            self.starved_since = None
            self.moved = self._talk.now

    def sent(self) -> None:
        """Note that the link has taken a frame."""
        size, since, then = self._in_link.pop(0)
        now = self._talk.now
        self.pace.took(size, now - max(since, self.sent_at))
        self.moved = self.sent_at = now
        if then is not None:
            then()

    def pump(self) -> None:
        """Send what may be sent."""
        while (rank := self.rank) is not None:
            out = self._ready[rank][0]
            if out.cargo is not None:
                if not self._may_unload:
                    break
                self._unload(rank, out.cargo)
                continue
            if isinstance(out.end, DoneRow):
                self._ends.append(out.end)
            elif out.end is not None:
                self._talk.send(out.end)
            elif not self._may_send(len(out.frame)):
                break
            else:
                self._send(out)
            self._pop(rank)
        self._say_ends()

    def _pop(self, rank: int) -> None:
        line = self._ready[rank]
        line.popleft()
        if not line:
            del self._ready[rank]

    def _unload(self, rank: int, cargo: Cargo) -> None:
        """Make the next frame."""
        frame = cargo.take()
        if cargo.is_over:
            self._pop(rank)
            self._waiting -= cargo.left
        if frame is not None:
            self._line(rank).appendleft(_Out(frame))

    @property
    def _may_unload(self) -> bool:
        """The second frame is made once the first tells how long it may be."""
        return not self._in_link if not self.pace.is_known else not self._is_full

    @property
    def _is_full(self) -> bool:
        return len(self._in_link) >= FRAMES

    def _may_send(self, size: int) -> bool:
        if self._is_full:
            return False
        if self._sent + size <= self._granted:
            return True
        if not self._in_link and self.starved_since is None:
            self.starved_since = self._talk.now
        return False

    def _send(self, out: _Out) -> None:
        frame = out.frame
        self._say_ends()
        self.starved_since = None
        self._waiting -= len(frame)
        self._sent += len(frame)
        self._in_link.append(_Leaving(len(frame), self._talk.now, out.then))
        self._talk.send_frame(frame, bulk=True)

    def _say_ends(self) -> None:
        if self._ends:
            rows, self._ends = self._ends, []
            self._talk.send(Done(rows))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ready, and nothing waits in the link."""
        return self.rank is None and not self._in_link
