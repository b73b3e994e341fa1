"""What is asked of the peer: about each log one thing at a time.

Of several meetings only one fetches a log (``gossip.claims``); the others try again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from gossip.control import IDENT_BYTES, MAX_BODY_RANGES, MIN_FRAME_BYTES, Mode, Request, Want
from gossip.effects import Bodiless
from gossip.policy import EVIDENCE_CLASS, REST_CLASS
from gossip.wanted import FETCHED, Ask, lacking
from ledger.chain import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.effects import Answer
    from gossip.talk import Talk
    from gossip.wanted import Get, Wanted
    from ledger.store.base import LogKey

_CLAIMED: Final = FETCHED | {Mode.BODIES, Mode.BRANCHES}
_AFTER: Final = (Mode.FROM, Mode.HEADERS)
_REQUEST_BYTES: Final = 16
_ARG_BYTES: Final = 9


class Asking:
    """Requests under way.

    Args:
        talk: The session's surroundings.
        then: Called with a log about which there turned out to be nothing to ask.

    Attributes:
        heard: When the peer answered anything last, or was asked after a while, or when the link
            took bulk, which may have been in the way.
    """

    def __init__(self, talk: Talk, then: Callable[[Wanted], None]) -> None:
        self._talk = talk
        self._then = then
        self._asked: dict[int, Wanted] = {}
        self._retries: dict[int, tuple[float, Wanted]] = {}
        self._retry_at: float | None = None
        self._requests: list[Request] = []
        self.heard = 0.0

    def ask(self, wanted: Wanted, get: Get, rank: int) -> None:
        """Ask for something about a log, or try again when another meeting had time to bring it."""
        talk, key, mode = self._talk, wanted.key, get.mode
        if key is not None and mode in _CLAIMED and not self._claim(wanted, key):
            return
        if mode is Mode.FROM and key in talk.setting.policy.headers_only:
            mode = Mode.HEADERS
        if key is not None and mode in FETCHED and not wanted.is_counted:
            wanted.is_counted = True
            log = talk.setting.catalogue.logs.get(key) or Log(*key)
            talk.counts.wanted += lacking(wanted, log)
        if not self._asked:
            self.heard = talk.now
        wanted.begin(Ask(mode, get.args, get.target, talk.now))
        self._asked[wanted.index] = wanted
        if mode is Mode.BODIES and key is not None:
            talk.load(Bodiless(key, 256), lambda seqs: self._ask_bodies(wanted, rank, seqs))
        else:
            rank = EVIDENCE_CLASS if mode is Mode.EVIDENCE else self._shown(rank)
            self._requests.append(Request(wanted.index, rank, mode, self._said(mode, get.args)))

    def _claim(self, wanted: Wanted, key: LogKey) -> bool:
        talk = self._talk
        retry = talk.setting.claims.take(key, talk.meeting, talk.now)
        if retry is None:
            return True
        wanted.last = None
        self._retries[wanted.index] = (retry, wanted)
        self._retry_at = retry if self._retry_at is None else min(retry, self._retry_at)
        return False

    def _said(self, mode: Mode, args: tuple[int | bytes, ...]) -> tuple[int | bytes, ...]:
        """Return what is said of ``args``: of the id that is held only a keyed hash."""
        if mode not in _AFTER:
            return args
        seq, until, tip = cast("tuple[int, int, bytes]", args)
        return (seq, until, self._talk.salt.ident(tip, IDENT_BYTES) if tip else b"")

    def _shown(self, rank: int) -> int:
        """Return the class that is said: strangers need not know whom one follows."""
        return REST_CLASS if self._talk.setting.peer is None else rank

    def _ask_bodies(self, wanted: Wanted, rank: int, answer: Answer) -> None:
        ranges: list[int] = []
        for seq in cast("list[int]", answer):
            if seq <= wanted.bodiless:
                continue
            if ranges and ranges[-1] == seq - 1:
                ranges[-1] = seq
            elif len(ranges) < 2 * MAX_BODY_RANGES:
                ranges += (seq, seq)
        if ranges:
            wanted.bodiless = ranges[-1]
            rank = self._shown(rank)
            self._requests.append(Request(wanted.index, rank, Mode.BODIES, tuple(ranges)))
            self.send()
        else:
            wanted.has_all_bodies = True
            self.close(wanted)
            self._then(wanted)

    def send(self) -> None:
        """Send what is to be asked, a message's worth at a time."""
        some: list[Request] = []
        size = 0
        for request in self._requests:
            needed = _REQUEST_BYTES + _ARG_BYTES * len(request.args)
            if size + needed > MIN_FRAME_BYTES:
                self._talk.send(Want(some))
                some, size = [], 0
            some.append(request)
            size += needed
        if some:
            self._talk.send(Want(some))
        self._requests = []

    # --- what becomes of it ---

    def answered(self, wanted: Wanted, mode: Mode) -> bool:
        """Take an answer; say whether anything of the sort is (still) under way."""
        if wanted.ask is None or wanted.ask.mode is not mode or wanted.ask.is_answered:
            return False
        wanted.ask = wanted.ask._replace(is_answered=True)
        self.heard = self._talk.now
        return True

    def progress(self, wanted: Wanted) -> None:
        """Note that something came for a log."""
        self.heard = self._talk.now
        if wanted.ask is not None:
            wanted.ask = wanted.ask._replace(since=self._talk.now)
            self._asked.pop(wanted.index, None)
            self._asked[wanted.index] = wanted

    def close(self, wanted: Wanted) -> None:
        """Note that a request is over, or need not be tried again."""
        wanted.ask = None
        self._asked.pop(wanted.index, None)
        self._retries.pop(wanted.index, None)

    # --- time ---

    def due(self) -> list[Wanted]:
        """Return the logs that are to be tried again now."""
        now = self._talk.now
        if self._retry_at is None or self._retry_at > now:
            return []
        due = [wanted for at, wanted in self._retries.values() if at <= now]
        for wanted in due:
            del self._retries[wanted.index]
        self._retry_at = min((at for at, _ in self._retries.values()), default=None)
        return due

    def overdue(self) -> Wanted | None:
        """Return a log for which nothing came for too long."""
        oldest = self._oldest
        return oldest if oldest is not None and self._ends(oldest) <= self._talk.now else None

    @property
    def silent_at(self) -> float | None:
        """From when on the peer is silent, if it answers nothing."""
        return self.heard + self._talk.setting.policy.limits.silence if self._asked else None

    @property
    def _oldest(self) -> Wanted | None:
        """The log whose request has been under way the longest."""
        return next(iter(self._asked.values()), None)

    def _ends(self, wanted: Wanted) -> float:
        since = wanted.ask.since if wanted.ask is not None else 0.0
        return since + self._talk.setting.policy.limits.stall

    @property
    def next_tick(self) -> float | None:
        """When something is due, or overdue."""
        oldest = self._oldest
        due = [self._retry_at, None if oldest is None else self._ends(oldest)]
        return min((at for at in due if at is not None), default=None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._asked
