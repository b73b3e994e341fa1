"""The logs a peer mentioned, by index and by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.talk import ProtocolError
from gossip.wanted import Wanted

if TYPE_CHECKING:
    from gossip.control import Mention
    from gossip.standing import Standing
    from gossip.talk import Talk
    from ledger.store.base import LogKey


class Told:
    """What the peer said it holds.

    Attributes:
        by_key: Logs whose key is known.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._logs: list[Wanted] = []
        self.by_key: dict[LogKey, Wanted] = {}
        self._shorts: dict[int, dict[bytes, LogKey | None]] = {}

    def take(self, mention: Mention) -> Wanted:
        """Take a mention; return what is known of its log.

        Raises:
            ProtocolError: An index that was not given, a log under two names, or too many.
        """
        name = mention.name
        if isinstance(name, int):
            wanted = self.at(name)
            wanted.renew(mention)
            return wanted
        if len(self._logs) >= self._talk.most_mentions:
            raise ProtocolError("more logs than are listened to in one meeting")
        wanted = Wanted(len(self._logs), mention, None)
        key = self._resolve(name) if isinstance(name, bytes) else name
        if key is not None:
            self.name(wanted, key)
        self._logs.append(wanted)
        return wanted

    def at(self, index: int) -> Wanted:
        """Return the log of an index.

        Raises:
            ProtocolError: The peer mentioned none by it.
        """
        if index >= len(self._logs):
            raise ProtocolError("an index that was not given")
        return self._logs[index]

    def name(self, wanted: Wanted, key: LogKey) -> None:
        """Learn which log it is.

        Raises:
            ProtocolError: It has another name already.
        """
        if self.by_key.setdefault(key, wanted) is not wanted or wanted.key not in (None, key):
            raise ProtocolError("a log under two names")
        wanted.key = key

    def _resolve(self, short: bytes) -> LogKey | None:
        """Return the log that a short name stands for; None for an unknown or ambiguous one."""
        bucket = short[0]
        table = self._shorts.get(bucket)
        if table is None:
            setting = self._talk.setting
            table = dict[bytes, "LogKey | None"]()
            for key in setting.catalogue.in_bucket(bucket):
                name = self._talk.salt.short(key, bucket)
                table[name] = None if name in table else key
            self._shorts[bucket] = table
        found = table.get(short)
        return None if found in self.by_key else found

    def knows(self, key: LogKey, standing: Standing) -> bool:
        """Say whether the peer told that it holds what is held here, or more."""
        wanted = self.by_key.get(key)
        if wanted is None:
            return False
        mention, salt = wanted.mention, self._talk.salt
        if mention.evidence != salt.evidence(standing):
            return False
        entry = standing.entry
        high = max([entry.seq, *(last for _, last in entry.ranges)])
        has_more = mention.seq > high or (mention.seq == high and not standing.plain)
        return (mention.plain and has_more) or mention.check == salt.check(standing)
