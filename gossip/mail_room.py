"""Mail that is carried for others, by who brought it, and which of it goes first.

Beyond the bounds goes what is known to be most widely carried, and of that what has the least
life: the network's room is then shared out evenly, and no letter has to be young to be kept
(Krifa, Barakat and Spyropoulos, "Optimal buffer management policies for delay tolerant networks",
2008, weigh by the same number; here it is what a node itself has seen). Who brought more than his
share gives first.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from gossip.carried import MAX_SPREAD, STRANGER
from gossip.policy import Quota

if TYPE_CHECKING:
    from gossip.carried import Carried

ROW_COST_BYTES: Final = 200
"""What an envelope takes besides its own bytes, about."""
_AMPLE: Final = 7 / 8
"""Part of the bounds below which there is room again for what was declined."""

_Key: TypeAlias = "tuple[int, int, bytes]"


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Bounds of what is carried.

    Attributes:
        envelopes: Carried for others, at most; one's own come on top.
        bytes: Of those; whoever has another quota takes its ``mail_bytes``.
        share: Of ``envelopes`` that one contact may have brought, while there is no room.
        strangers: Of ``envelopes`` that all strangers together may have.
        memory: Envelopes that were let go, and tokens, remembered each.
        letters: For this node, that nobody has opened yet.
    """

    envelopes: int = 4_096
    bytes: int = Quota().mail_bytes
    share: float = 0.25
    strangers: float = 0.1
    memory: int = 8_192
    letters: int = 1_024


class MailRoom:
    """What is carried for others.

    Args:
        limits: How much.

    Attributes:
        count: Envelopes.
        bytes: Of them, with what their rows take.
    """

    def __init__(self, limits: MailLimits) -> None:
        self.limits = limits
        self.count = self.bytes = 0
        self._lines: dict[bytes, list[_Key]] = {}
        self._keys: dict[bytes, _Key] = {}
        self._known_to: dict[bytes, set[bytes]] = {}
        self._greedy: set[bytes] = set()
        self._least: _Key | None = None

    def add(self, one: Carried) -> None:
        """Take in an envelope; whoever brought it has it as well."""
        self.count += 1
        self.bytes += one.size + ROW_COST_BYTES
        self._known_to[one.id] = {one.depositor}
        self._insert(one.depositor, (-1, one.until, one.id))

    def remove(self, one: Carried) -> None:
        """Let an envelope go."""
        self.count -= 1
        self.bytes -= one.size + ROW_COST_BYTES
        self._delete(one.depositor, self._keys.pop(one.id))
        del self._known_to[one.id]

    def met(self, one: Carried, carrier: bytes) -> None:
        """Note that ``carrier`` has it too; strangers count as one."""
        known = self._known_to.get(one.id)
        if known is None or carrier in known or len(known) >= MAX_SPREAD:
            return
        known.add(carrier)
        self._delete(one.depositor, self._keys[one.id])
        self._insert(one.depositor, (-len(known), one.until, one.id))

    def spread(self, ident: bytes) -> int:
        """Return how many are known to have it."""
        return len(self._known_to.get(ident, ()))

    def _insert(self, depositor: bytes, key: _Key) -> None:
        insort(self._lines.setdefault(depositor, []), key)
        self._keys[key[2]] = key
        self._notice(depositor)

    def _delete(self, depositor: bytes, key: _Key) -> None:
        line = self._lines[depositor]
        del line[bisect_left(line, key)]
        if not line:
            del self._lines[depositor]
        self._notice(depositor)

    def _notice(self, depositor: bytes) -> None:
        """Note how what somebody brought stands now."""
        self._least = None
        if self._is_greedy(depositor):
            self._greedy.add(depositor)
        else:
            self._greedy.discard(depositor)

    def _is_greedy(self, depositor: bytes, more: int = 0) -> bool:
        """Whether somebody brought more than his share, were it so many more."""
        limits = self.limits
        share = limits.strangers if depositor == STRANGER else limits.share
        return len(self._lines.get(depositor, ())) + more > share * limits.envelopes

    # --- what goes first ---

    @property
    def is_too_much(self) -> bool:
        """Whether something has to go."""
        return self.count > self.limits.envelopes or self.bytes > self.limits.bytes

    @property
    def is_ample(self) -> bool:
        """Whether there is room for what was declined."""
        limits = self.limits
        return self.count <= limits.envelopes * _AMPLE and self.bytes <= limits.bytes * _AMPLE

    def victim(self) -> bytes:
        """Return which goes first."""
        return self._first()[2]

    def _first(self) -> _Key:
        """Return the key of what goes first: of those who are greedy, if anybody is."""
        if self._least is None:
            self._least = min(self._lines[who][0] for who in self._greedy or self._lines)
        return self._least

    def wants(self, until: int, depositor: bytes) -> bool:
        """Say whether an envelope that lives until then would be kept if it were taken.

        Args:
            until: When its life ends, seconds of elapsed time.
            depositor: Who offers it.
        """
        limits, new = self.limits, (-1, until, b"")
        if self.count < limits.envelopes and self.bytes <= limits.bytes:
            return True
        if self._is_greedy(depositor, 1):
            own = self._lines.get(depositor, ())
            return any(key < new for key in own[:1]) or (bool(self._greedy) and self._first() < new)
        return bool(self._greedy) or (bool(self._lines) and self._first() < new)
