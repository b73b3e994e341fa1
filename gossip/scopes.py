"""Comparing scopes with a peer by digests: which logs of which scope are to be told him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.control import BUCKET_BYTES, BUCKETS, Buckets, Root, ScopeRoot
from gossip.policy import PUBLIC
from gossip.talk import ProtocolError

if TYPE_CHECKING:
    from gossip.digest import Digest
    from gossip.talk import Talk
    from ledger.store.base import LogKey

SMALL: Final = 256
"""Scopes of up to so many logs on both sides are compared without digests of buckets."""
_EMPTY: Final = bytes(BUCKET_BYTES)


class Difference(NamedTuple):
    """What of a scope may differ.

    Attributes:
        scope: Its name in this session.
        shared: Logs of which the peer may hold something.
        lacking: Logs of which he holds nothing, as far as one can see.
        ours: Whether this side has any logs there to tell of.
        theirs: Whether the peer has.
    """

    scope: bytes
    shared: list[LogKey]
    lacking: list[LogKey]
    ours: bool
    theirs: bool


class Scopes:
    """This side's digests and the other's."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._ours: dict[bytes, tuple[ScopeRoot, Digest]] = {}
        self._awaiting: dict[bytes, bytes] = {}
        self.is_compared = False

    @property
    def is_settled(self) -> bool:
        """Whether every difference was returned."""
        return self.is_compared and not self._awaiting

    def send_root(self, *, tells: bool) -> None:
        """Send the digests of all scopes, once; ``tells`` whether VECTORs are to follow."""
        if self._ours:
            return
        setting = self._talk.setting
        recent = setting.policy.limits.recent if setting.peer is None else None
        for name, group in self._groups().items():
            digest = setting.catalogue.digest(group, recent)
            root = ScopeRoot(name, self._talk.salt.root(digest.root()), digest.count)
            self._ours[name] = (root, digest)
        self._talk.send(Root(tells, [root for root, _ in self._ours.values()]))

    def _groups(self) -> dict[bytes, bytes]:
        groups = sorted(set(self._talk.setting.policy.groups.values()))
        return {PUBLIC: PUBLIC} | {self._talk.salt.scope(group): group for group in groups}

    def root(self, message: Root) -> list[Difference]:
        """Take the peer's ROOT; return what differs and can be said at once."""
        if self.is_compared:
            raise ProtocolError("ROOT twice")
        self.send_root(tells=False)
        self.is_compared = True
        groups = self._groups()
        found: list[Difference] = []
        for theirs in message.scopes:
            if theirs.scope not in self._ours:
                continue
            ours, digest = self._ours[theirs.scope]
            if theirs.scope != PUBLIC:
                self._talk.scopes[theirs.scope] = groups[theirs.scope]
            if ours.root == theirs.root:
                continue
            if min(ours.count, theirs.count) and max(ours.count, theirs.count) > SMALL:
                self._awaiting[theirs.scope] = self._buckets(digest)
                self._talk.send(Buckets(theirs.scope, self._awaiting[theirs.scope]))
                continue
            keys = sorted(digest)
            shared, lacking = (keys, []) if theirs.count else ([], keys)
            found.append(Difference(theirs.scope, shared, lacking, bool(keys), bool(theirs.count)))
        return found

    @property
    def awaited(self) -> list[bytes]:
        """Scopes that differ and whose buckets have not come yet."""
        return list(self._awaiting)

    def _buckets(self, digest: Digest) -> bytes:
        hashes = map(digest.bucket, range(BUCKETS))
        return b"".join(_EMPTY if h is None else self._talk.salt.bucket(h) for h in hashes)

    def buckets(self, message: Buckets) -> Difference:
        """Take the peer's BUCKETS of a scope that differs."""
        ours = self._awaiting.pop(message.scope, None)
        if ours is None:
            raise ProtocolError("BUCKETS that nobody waits for")
        _, digest = self._ours[message.scope]
        shared: list[LogKey] = []
        lacking: list[LogKey] = []
        for bucket in range(BUCKETS):
            at = slice(bucket * BUCKET_BYTES, (bucket + 1) * BUCKET_BYTES)
            if ours[at] != message.digests[at]:
                is_empty = message.digests[at] == _EMPTY
                (lacking if is_empty else shared).extend(digest.keys(bucket))
        return Difference(message.scope, shared, lacking, ours=True, theirs=True)
