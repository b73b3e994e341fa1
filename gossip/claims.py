"""Who is being asked for what: a node in many meetings fetches each block once.

The first who announces a log is asked; the next only after the first has had ``patience`` seconds
without bringing anything. One ``Claims`` belongs to a node; its sessions share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ledger.store.base import LogKey

PATIENCE_S: Final = 3.0
LONGEST_S: Final = 60.0
"""After this another may be asked too, however busy the first is with other things."""


_NEVER: Final = float("-inf")


class _Claim(NamedTuple):
    meeting: int
    since: float


class Claims:
    """Logs that meetings are fetching.

    Args:
        patience: Seconds without progress after which a claim is free.
    """

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._claims: dict[LogKey, _Claim] = {}
        self._waiting: dict[LogKey, dict[int, float]] = {}
        self._progress: dict[int, float] = {}
        self._next = 0

    def enter(self) -> int:
        """Return a number for a new meeting."""
        self._next += 1
        return self._next

    def take(self, key: LogKey, meeting: int, now: float) -> float | None:
        """Claim a log for ``meeting``.

        Returns:
            None if it may ask now; else when to try again.
        """
        held = self._claims.get(key)
        until = self._until(held) if held is not None and held.meeting != meeting else now
        if until <= now and (first := self._first(key, now)) not in (None, meeting):
            until = self._waiting[key][first] + self._patience
        if until > now:
            self._waiting.setdefault(key, {})[meeting] = until
            return until
        self._forget(key, meeting)
        if held is None or held.meeting != meeting or held.since == _NEVER:
            self._claims[key] = _Claim(meeting, now)
        return None

    def _first(self, key: LogKey, now: float) -> int | None:
        """Return who waits longest and has not let its turn go by."""
        line = self._waiting.get(key, {})
        for meeting in [one for one, at in line.items() if at + self._patience <= now]:
            self._forget(key, meeting)
        return next(iter(line), None)

    def _forget(self, key: LogKey, meeting: int) -> None:
        line = self._waiting.get(key)
        if line is not None:
            line.pop(meeting, None)
            if not line:
                del self._waiting[key]

    def _until(self, claim: _Claim) -> float:
        last = max(claim.since, self._progress.get(claim.meeting, claim.since))
        return min(last + self._patience, claim.since + LONGEST_S)

    def progress(self, meeting: int, now: float) -> None:
        """Say that a meeting just brought something it was asked for."""
        self._progress[meeting] = now

    def drop(self, key: LogKey, meeting: int, *, failed: bool = False) -> None:
        """Say that ``meeting`` fetches ``key`` no more, or waits for it no more.

        Where it did not bring it, whoever else waits goes first from now on.
        """
        self._forget(key, meeting)
        held = self._claims.get(key)
        if held is None or held.meeting != meeting:
            return
        if failed:
            self._claims[key] = _Claim(meeting, _NEVER)
        else:
            del self._claims[key]

    def leave(self, meeting: int) -> None:
        """Say that a meeting is over."""
        self._progress.pop(meeting, None)
        for key in [key for key, claim in self._claims.items() if claim.meeting == meeting]:
            del self._claims[key]
        for key in [key for key, line in self._waiting.items() if meeting in line]:
            self._forget(key, meeting)
