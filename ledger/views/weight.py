"""Which blocks weigh: up to the first fork of their log, and up to where their device was revoked.

Whether a block is joined is the store's to say (``Entry.joined``); a block weighs if it is joined
and there is no ``reason`` against it. From a block that does not weigh nothing follows but what
its author owes; it stays readable, marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from ledger.block import MAX_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.statement import Cut, Revocation
    from ledger.store.base import LogKey

Place: TypeAlias = "tuple[bytes, int, int]"
"""Device key, number of a log, seq."""
Reason: TypeAlias = Literal["forked", "revoked"]


class Weights:
    """Says how far each log weighs."""

    def __init__(
        self,
        forks: Mapping[LogKey, int],
        revocations: Iterable[Revocation],
        person_of: Mapping[bytes, bytes],
        ids: Mapping[Place, bytes],
    ) -> None:
        """Take what is known about all logs.

        Args:
            forks: s of each log that is forked.
            revocations: Person statements, as ``ledger.statement.select`` keeps them. One counts
                only if its person is the device's.
            person_of: Whose device each is; one that is not named is its own person.
            ids: Of the places the revocations name, the ids of the joined blocks that are held.
        """
        self._forks = forks
        self._ids = ids
        self._cuts: dict[bytes, dict[int, Cut]] = {
            statement.device: {cut.log: cut for cut in statement.cuts}
            for statement in revocations
            if statement.person == person_of.get(statement.device, statement.device)
        }

    def limit(self, device: bytes, log: int) -> int:
        """Return the last seq of the log that weighs, 0 if none, ``MAX_SEQ`` if all do.

        It is the smaller of s - 1 and the seq where a revocation cuts the log: 0 where it does
        not name the log, or where another block is held there than the one it names. Of a
        device that began twice, a fork at (log 0, seq 1), no log weighs at all.
        """
        return min(self._fork(device, log) - 1, self._revoked_after(device, log))

    def reason(self, device: bytes, log: int, seq: int) -> Reason | None:
        """Return why the block does not weigh; None if nothing speaks against it.

        A block that is both is ``forked``: that is what its device did, whoever held it.
        """
        if seq >= self._fork(device, log):
            return "forked"
        return "revoked" if seq > self._revoked_after(device, log) else None

    def is_revoked(self, device: bytes) -> bool:
        """Say whether the device's person has taken it back."""
        return device in self._cuts

    def _fork(self, device: bytes, log: int) -> int:
        """Return where the log forks; at 1 if the device began twice, for then nothing holds."""
        if self._forks.get((device, 0)) == 1:
            return 1
        return self._forks.get((device, log), MAX_SEQ + 1)

    def _revoked_after(self, device: bytes, log: int) -> int:
        cuts = self._cuts.get(device)
        if cuts is None:
            return MAX_SEQ
        cut = cuts.get(log)
        if cut is None or self._ids.get((device, log, cut.seq), cut.id) != cut.id:
            return 0
        return cut.seq
