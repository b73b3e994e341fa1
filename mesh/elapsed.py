"""The time that passes at a home: lives of mail are counted down by it, and by nobody's calendar.

While a process runs, a clock that never goes back tells it, whatever the wall's clock does. Of the
time between two openings nothing tells but the wall's clock, which may have jumped by years: of
that so much counts as can be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ledger.codec import decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from mesh.node import Surroundings

ELAPSED: Final = "elapsed"
"""Name of the note that says how much time had passed, and what the wall's clock said then."""
MAX_GAP_MS: Final = 24 * 3_600_000
"""Of the time between two openings so much counts at most."""
_NOTE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Elapsed:
    """How much time has passed at a home that is open.

    Attributes:
        around: The clocks.
        before: What had passed when it was opened, ms.
        began: What the steady clock said then, seconds.
    """

    around: Surroundings
    before: int
    began: float

    @classmethod
    def resume(cls, note: bytes | None, around: Surroundings, least: int = 0) -> Self:
        """Go on from what was noted when the home was open last.

        Args:
            note: As ``note`` gave it; of one that is missing or damaged nothing is believed.
            around: The clocks.
            least: So many seconds have passed, as is known otherwise.
        """
        wall = around.now()
        before, then = _read(note, wall)
        before += min(max(wall - then, 0), MAX_GAP_MS)
        return cls(around, max(before, least * 1_000), around.steady())

    @property
    def now(self) -> float:
        """What the steady clock says, seconds."""
        return self.around.steady()

    @property
    def origin(self) -> tuple[int, float]:
        """Whole seconds that had passed, and what the steady clock said at that moment."""
        return self.before // 1_000, self.began - self.before % 1_000 / 1_000

    def note(self) -> bytes:
        """Return the note to be kept now."""
        passed = round((self.now - self.began) * 1_000)
        return encode((self.before + max(passed, 0), self.around.now()))


def _read(note: bytes | None, wall: int) -> tuple[int, int]:
    """Return what had passed, ms, and what the wall's clock said then."""
    try:
        match None if note is None else decode(note, _NOTE_BYTES):
            case [int(passed), int(then)] if passed >= 0:
                return passed, then
            case _:
                return 0, wall
    except InvalidError:
        return 0, wall
