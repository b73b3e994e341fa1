"""What came and is on its way into the store, and how much more may come.

One batch is absorbed while the next gathers. Room for new bytes is granted as old ones are
stored, so memory is bounded by the window, however fast the peer sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.carried import MailChanges
from gossip.control import Credit
from gossip.talk import ProtocolError
from ledger.store.base import Absorbed, Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.talk import Talk
    from ledger.fork import ForkProof
    from ledger.run import Run
    from ledger.statement import Revocation
    from ledger.store.base import LateBody


class Inbox:
    """Checked blocks and evidence, in batches.

    Args:
        talk: The session's surroundings.
        then: Called with the outcome of each batch, once ``stored`` counts it.

    Attributes:
        batch: Number of the batch that gathers now.
        stored: How many batches are in the store.
    """

    def __init__(self, talk: Talk, then: Callable[[Absorbed], None]) -> None:
        self._talk = talk
        self._then = then
        self.batch = 0
        self.stored = 0
        self._granted = self._most(talk.setting.policy.limits.window)
        self._received = 0
        self._processed = 0
        self._is_drained = False
        self._after: dict[int, list[Callable[[], None]]] = {}
        self._clear()

    def _clear(self) -> None:
        self._runs: list[Run] = []
        self._bodies: list[LateBody] = []
        self._proofs: list[ForkProof] = []
        self._revocations: list[Revocation] = []
        self._mail = MailChanges()
        self._bytes = 0

    def _most(self, total: int) -> int:
        receive = self._talk.setting.policy.limits.receive
        return total if receive is None else min(total, receive)

    @property
    def granted(self) -> int:
        """Bytes of bulk that may come in this meeting, all in all, as far as the peer knows."""
        return self._granted

    def arrive(self, size: int) -> None:
        """Count a message of bulk.

        Raises:
            ProtocolError: There was no room for it.
        """
        self._received += size
        self._bytes += size
        self._is_drained = False
        if self._received > self._granted:
            raise ProtocolError("more bytes than it was given room for")

    def add(
        self,
        *,
        run: Run | None = None,
        bodies: Sequence[LateBody] = (),
        proof: ForkProof | None = None,
        revocation: Revocation | None = None,
        mail: MailChanges | None = None,
    ) -> None:
        """Gather something that was checked."""
        if mail is not None:
            self._mail.add(mail)
        self._runs += [run] if run is not None else []
        self._bodies += bodies
        self._proofs += [proof] if proof is not None else []
        self._revocations += [revocation] if revocation is not None else []

    @property
    def is_empty(self) -> bool:
        """Whether nothing gathers and nothing is under way."""
        return not self._bytes and self.stored == self.batch

    @property
    def last(self) -> int:
        """How many batches are stored once all that has come so far is."""
        return self.batch + (1 if self._bytes else 0)

    @property
    def is_half_full(self) -> bool:
        """Whether it is time to store, more to come or not."""
        return 2 * self._bytes >= self._talk.setting.policy.limits.window

    def flush(self) -> None:
        """Store what has gathered, unless a batch is under way: then after it."""
        self._is_drained = True
        if self.stored == self.batch:
            self.flush_now()

    def flush_now(self) -> None:
        """Store what has gathered, come what may."""
        if not self._bytes:
            return
        self._is_drained = False
        size = self._bytes
        self.batch += 1
        batch = Batch(
            self._runs,
            self._bodies,
            self._proofs,
            self._revocations,
            own=self._talk.setting.policy.device,
            mail=self._mail.puts,
            mail_drops=self._mail.drops,
        )
        self._clear()
        if not any((batch.runs, batch.bodies, batch.proofs, batch.revocations, batch.mail)):
            self._kept(size, Absorbed())
            return
        self._talk.keep(batch, lambda absorbed: self._kept(size, absorbed))

    def after(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that has come so far is stored."""
        self._after.setdefault(self.last, []).append(then)

    def _kept(self, size: int, absorbed: Absorbed) -> None:
        self.stored += 1
        self._make_room(size)
        self._then(absorbed)
        for then in self._after.pop(self.stored, ()):
            then()
        if self._is_drained or self.is_half_full:
            self.flush()

    def _make_room(self, size: int) -> None:
        """Give the peer room for as much as was dealt with, not for every little on its own."""
        self._processed += size
        window = self._talk.setting.policy.limits.window
        total = self._most(self._processed + window)
        least = max(self._talk.setting.policy.limits.frame, window // 2)
        is_short = not self._bytes and self._granted - self._received < least
        if total - self._granted >= window // 4 or (total > self._granted and is_short):
            self._granted = total
            self._talk.send(Credit(total))
