"""The peer's pages: what is still to come of them, and what they make processed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.control import MAX_ANNOUNCES, Ack
from gossip.pages import Pages, Processed
from gossip.talk import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gossip.control import Announce, Greeting, Mention, New, Vector
    from gossip.cursor import Seen
    from gossip.scopes import Difference
    from gossip.talk import Talk
    from gossip.told import Told
    from gossip.wanted import Wanted


class Reading:
    """What the peer tells, page by page.

    Args:
        talk: The session's surroundings.
        told: Where the mentions go.

    Attributes:
        processed: What of the peer's store is processed.
        heard: When the peer told something last, or was told that he may go on.
    """

    def __init__(self, talk: Talk, told: Told) -> None:
        self._talk = talk
        self._told = told
        self.processed = Processed(None, None)
        self._pages = Pages()
        self._acked = 0
        self._scopes: frozenset[bytes] = frozenset()
        self._by_root = False
        self._awaits_news = False
        self._has_begun = False
        self.heard = 0.0

    def begin(self, told: Greeting | None) -> None:
        """Begin, once the peer's HELLO is there; ``told`` is what it says to a contact."""
        self.heard = self._talk.now
        self.processed = Processed(told, self._talk.setting.seen)
        self._has_begun = self.processed.is_whole

    def expect(self, differing: Iterable[Difference], buckets: Iterable[bytes]) -> None:
        """The peer goes on to tell by VECTOR: of scopes that differ, if it has any logs there."""
        self._has_begun = self._by_root = True
        self._scopes = frozenset(one.theirs for one in differing if one.is_theirs) | set(buckets)
        self._is_all_told()

    def new(self, message: New) -> list[Wanted]:
        """Take a page of what changed since."""
        if self._by_root or (self._has_begun and not self._awaits_news):
            raise ProtocolError("a NEW that nobody waits for")
        self._has_begun = True
        self.processed.valid(message.valid)
        self._awaits_news = not message.last
        told = self._take(message.mentions)
        indices = (wanted.index for wanted in told)
        number = self._pages.continues(indices, (message.low, message.high))
        self._count(self._pages.close(number))
        return told

    def vector(self, message: Vector) -> list[Wanted]:
        """Take a page of a scope that differs."""
        if message.scope not in self._scopes:
            raise ProtocolError("a VECTOR that nobody waits for")
        if message.last:
            self._scopes -= {message.scope}
        told = self._take(message.mentions)
        number = self._pages.begin((wanted.index for wanted in told), None)
        self._count(self._pages.close(number))
        return told

    def announce(self, message: Announce) -> list[Wanted]:
        """Take what arrived at the peer during the meeting."""
        if message.run:
            self.processed.goes_on(message.run)
        told = self._take(message.mentions)
        covers = (message.low, message.high) if message.low else None
        number = self._pages.announced((wanted.index for wanted in told), covers)
        self._count(self._pages.close(number))
        return told

    def _take(self, mentions: Sequence[Mention]) -> list[Wanted]:
        if self._pages.waiting >= MAX_ANNOUNCES:
            raise ProtocolError("pages that did not wait for an ACK")
        self.heard = self._talk.now
        return [self._told.take(mention) for mention in mentions]

    def settle(self, index: int, *, clean: bool) -> None:
        """Note that nothing more is to be done about a log."""
        self._count(self._pages.settle(index, clean=clean))

    def _count(self, processed: list[tuple[int, int]]) -> None:
        for low, high in processed:
            self.processed.add(low, high)
        self._is_all_told()

    def _is_all_told(self) -> None:
        """Once all that differs was told and settled, all that the peer had is processed."""
        if self._by_root and not self._scopes and not self._pages.waiting:
            self._by_root = False
            if self._pages.is_clean:
                self.processed.add_all()

    def acknowledge(self) -> None:
        """Tell the peer how many pages are done, if that is news."""
        if self._pages.done > self._acked:
            self._acknowledge(None)

    def acknowledge_seen(self) -> None:
        """Tell the peer what is processed and kept."""
        self._acknowledge(self.processed.seen)

    def _acknowledge(self, seen: Seen | None) -> None:
        if self._pages.done > self._acked:  # he waited for this with his next page
            self.heard = self._talk.now
        self._acked = self._pages.done
        self._talk.send(Ack(self._acked, seen))

    @property
    def is_done(self) -> bool:
        """Whether all that the peer has told so far is settled, and it has told all it had."""
        return not self.is_awaiting and not self._pages.waiting

    @property
    def is_awaiting(self) -> bool:
        """Whether the peer is still to tell what it had before the meeting."""
        return not self._has_begun or self._awaits_news or bool(self._scopes)

    @property
    def awaits_since(self) -> float | None:
        """Since when nothing but the peer's next page is waited for."""
        return self.heard if self.is_awaiting and not self._pages.waiting else None
