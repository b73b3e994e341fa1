"""Whether blocks that both sides hold are the same: searches, and looks at where the peer ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from gossip.comparison import Comparison
from gossip.control import ID_BYTES, Mode
from gossip.effects import Spans
from gossip.standing import standing_at
from gossip.wanted import Get
from ledger.store.base import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.asking import Asking
    from gossip.control import Ids, Mention
    from gossip.effects import Answer
    from gossip.talk import Talk
    from gossip.wanted import Range, Wanted
    from ledger.block import Block

_AT_ONCE: Final = 16


class Comparing:
    """Comparisons under way.

    Args:
        talk: The session's surroundings.
        asking: Where the peer is asked for ids.
        then: Called with logs about which something was found out.
    """

    def __init__(self, talk: Talk, asking: Asking, then: Callable[[list[Wanted]], None]) -> None:
        self._talk = talk
        self._asking = asking
        self._then = then
        self._looks: list[tuple[Wanted, Mention]] = []
        self._is_reading = False

    # --- searches ---

    def begin(self, wanted: Wanted, ranges: tuple[Range, ...], rank: int) -> None:
        """Search for the first block that differs in ``ranges``, which both hold."""
        wanted.comparison = Comparison(list(ranges))
        self.goes_on(wanted, rank)

    def goes_on(self, wanted: Wanted, rank: int) -> bool:
        """Go on with a search, if there is one; say whether something is to come of it."""
        comparison = wanted.comparison
        if comparison is None or comparison.is_fetched:
            return False
        if comparison.found is not None:
            seq = comparison.found
            self._asking.ask(wanted, Get(Mode.FROM, (seq - 1, seq, b""), seq), rank)
            comparison.is_fetched = wanted.ask is not None  # else another meeting is at it
            return True
        question = comparison.question()
        if question is not None:
            self._asking.ask(wanted, Get(Mode.IDS, question), rank)
        return question is not None

    def ids(self, wanted: Wanted, message: Ids) -> None:
        """Take ids, to be compared with those held here."""
        if wanted.comparison is None or wanted.key is None:  # mentioned anew meanwhile
            self._asking.close(wanted)
            self._then([wanted])
            return
        spans = tuple(Span(wanted.key, seq, seq) for seq in wanted.comparison.seqs())
        self._talk.load(Spans(spans), lambda found: self._compared(wanted, message, found))

    def _compared(self, wanted: Wanted, message: Ids, answer: Answer) -> None:
        rows = cast("list[list[Block]]", answer)
        salt = self._talk.salt
        mine = [salt.ident(blocks[0].id, ID_BYTES) if blocks else None for blocks in rows]
        self._asking.close(wanted)
        if wanted.comparison is not None and not wanted.comparison.answer(message, mine):
            wanted.comparison.is_fetched = True
        self._then([wanted])

    # --- looks ---

    def look(self, wanted: Wanted) -> None:
        """See, with others at once, how a log would stand here, were it as short as there."""
        wanted.is_looking = True
        self._looks.append((wanted, wanted.mention))

    def send(self) -> None:
        """Read the blocks at which those logs end there, a few at a time: they may be long."""
        if self._looks and not self._is_reading:
            self._is_reading = True
            looks, self._looks = self._looks[:_AT_ONCE], self._looks[_AT_ONCE:]
            spans = tuple(Span(wanted.key, m.seq, m.seq) for wanted, m in looks if wanted.key)
            self._talk.load(Spans(spans), lambda found: self._looked(looks, found))

    def _looked(self, looks: list[tuple[Wanted, Mention]], answer: Answer) -> None:
        salt = self._talk.salt
        self._is_reading = False
        for (wanted, mention), rows in zip(looks, cast("list[list[Block]]", answer), strict=True):
            wanted.is_looking = False
            if wanted.key is not None and wanted.mention is mention:
                stands = [standing_at(wanted.key, mention.seq, block.id) for block in rows]
                wanted.is_prefix = any(salt.check(one) == mention.check for one in stands)
        self._then([wanted for wanted, _ in looks])
