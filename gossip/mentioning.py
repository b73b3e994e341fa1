"""Which logs were mentioned to the peer, by which index, and as standing how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.control import MAX_ASKS, EntryRow, Mention
from gossip.frontier import FrontierEntry
from gossip.standing import place_of
from gossip.talk import ProtocolError

if TYPE_CHECKING:
    from gossip.standing import Standing
    from gossip.talk import Talk
    from ledger.store.base import LogKey


class Mentioning:
    """Logs as they were told to the peer; the first one mentioned has index 0.

    Attributes:
        is_full: Whether more was to be mentioned than fits one meeting.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.is_full = False
        self._keys: list[LogKey] = []
        self._index: dict[LogKey, int] = {}
        self._said: dict[LogKey, Standing] = {}
        self._asked: dict[LogKey, int] = {}

    def mention(self, key: LogKey, *, in_full: bool) -> Mention | None:
        """Return how a log is told, None if the peer was told just that before.

        Args:
            key: The log.
            in_full: Whether the peer most likely holds nothing of it: then its key is told, or he
                would have to ask for it.
        """
        standing = self._talk.setting.catalogue.standing(key)
        if standing is None or _looks_alike(standing, self._said.get(key)):
            return None
        if key not in self._index and len(self._keys) >= self._talk.most_mentions:
            self.is_full = True
            return None
        self._said[key] = standing
        self._asked[key] = 0
        salt = self._talk.salt
        return Mention(
            self._name(key, in_full=in_full),
            standing.entry.seq,
            standing.plain,
            salt.check(standing),
            salt.evidence(standing),
        )

    def _name(self, key: LogKey, *, in_full: bool) -> int | bytes | LogKey:
        index = self._index.get(key)
        if index is not None:
            return index
        self._index[key] = len(self._keys)
        self._keys.append(key)
        return key if in_full else self._talk.salt.short(key, place_of(key)[0])

    def asked(self, index: int) -> LogKey:
        """Return the log of an index that something is asked about.

        Raises:
            ProtocolError: None was mentioned by it, or more is asked than there is to know.
        """
        if index >= len(self._keys):
            raise ProtocolError("a want for a log that was not mentioned")
        key = self._keys[index]
        self._asked[key] += 1
        if self._asked[key] > MAX_ASKS:
            raise ProtocolError("the same log asked about again and again")
        return key

    def seq(self, key: LogKey) -> int:
        """Return the seq last mentioned of a log."""
        return self._said[key].entry.seq

    def entry(self, index: int) -> EntryRow:
        """Return all that is to be told of a log as it stands now."""
        key = self._keys[index]
        standing = self._talk.setting.catalogue.standing(key)
        if standing is None:
            return EntryRow(index, FrontierEntry(*key, 0, ()), b"")
        return EntryRow(index, standing.entry, self._talk.salt.branches(standing))


def _looks_alike(standing: Standing, said: Standing | None) -> bool:
    """Whether the peer would be told the same again."""
    return said is not None and (said.held, said.evidence) == (standing.held, standing.evidence)
