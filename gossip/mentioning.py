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
        self._said: list[Standing] = []
        self._asked = bytearray()

    def mention(self, key: LogKey, *, in_full: bool) -> Mention | None:
        """Return how a log is told, None if the peer was told just that before.

        Args:
            key: The log.
            in_full: Whether the peer most likely holds nothing of it: then its key is told, or he
                would have to ask for it.
        """
        standing, index = self._talk.setting.catalogue.standing(key), self._index.get(key)
        if standing is None or (index is not None and _alike(standing, self._said[index])):
            return None
        if index is None and len(self._keys) >= self._talk.most_mentions:
            self.is_full = True
            return None
        salt = self._talk.salt
        name: int | bytes | LogKey
        if index is None:
            name = key if in_full else salt.short(key, place_of(key)[0])
            self._begin(key, standing)
        else:
            name = index
            self._said[index], self._asked[index] = standing, 0
        seq, plain = standing.entry.seq, standing.plain
        return Mention(name, seq, plain, salt.check(standing), salt.evidence(standing))

    def _begin(self, key: LogKey, standing: Standing) -> None:
        self._index[key] = len(self._keys)
        self._keys.append(key)
        self._said.append(standing)
        self._asked.append(0)

    def asked(self, index: int) -> LogKey:
        """Return the log of an index that something is asked about.

        Raises:
            ProtocolError: None was mentioned by it, or more is asked than there is to know.
        """
        if index >= len(self._keys):
            raise ProtocolError("a want for a log that was not mentioned")
        if self._asked[index] >= MAX_ASKS:
            raise ProtocolError("the same log asked about again and again")
        self._asked[index] += 1
        return self._keys[index]

    def seq(self, key: LogKey) -> int:
        """Return the seq last mentioned of a log."""
        return self._said[self._index[key]].entry.seq

    def entry(self, index: int) -> EntryRow:
        """Return all that is to be told of a log as it stands now."""
        key = self._keys[index]
        standing = self._talk.setting.catalogue.standing(key)
        if standing is None:
            return EntryRow(index, FrontierEntry(*key, 0, ()), b"")
        return EntryRow(index, standing.entry, self._talk.salt.branches(standing))


def _alike(standing: Standing, said: Standing) -> bool:
    """Whether the peer would be told the same again."""
    return (standing.held, standing.evidence) == (said.held, said.evidence)
