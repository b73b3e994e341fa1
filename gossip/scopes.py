"""Comparing scopes with a peer by digests: which logs of which scope are to be told him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.control import BUCKET_BYTES, BUCKETS, DECOYS, MAX_SCOPES, Buckets, Root, ScopeRoot
from gossip.policy import PUBLIC
from gossip.standing import decoy
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
        scope: Its name, as this side says it.
        theirs: Its name, as the peer does.
        shared: Logs of which the peer may hold something.
        lacking: Logs of which it holds nothing, as far as one can see.
        is_ours: Whether this side has any logs there to tell of.
        is_theirs: Whether the peer has.
    """

    scope: bytes
    theirs: bytes
    shared: list[LogKey]
    lacking: list[LogKey]
    is_ours: bool
    is_theirs: bool


class _Scope(NamedTuple):
    group: bytes
    ours: ScopeRoot
    digest: Digest
    logs: int


class Scopes:
    """This side's digests and the other's.

    A closed group has another name in each direction, so that nobody shows that he belongs to it
    by saying a name back.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._scopes: dict[bytes, _Scope] = {}
        self._awaiting: dict[bytes, tuple[_Scope, bytes]] = {}
        self.is_compared = False
        self._asked = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether every difference was returned."""
        return self.is_compared and not self._awaiting

    @property
    def awaits_since(self) -> float | None:
        """Since when the peer's ROOT or BUCKETS are waited for; None if nothing is compared."""
        return self._asked if self._scopes and not self.is_settled else None

    def send_root(self, *, tells: bool) -> None:
        """Send the digests of all scopes, once; ``tells`` whether VECTORs are to follow."""
        if self._scopes:
            return
        setting, salt = self._talk.setting, self._talk.salt
        recent = setting.policy.limits.recent if setting.peer is None else None
        groups = sorted(set(setting.policy.groups.values()))[: MAX_SCOPES - DECOYS]
        for group in (PUBLIC, *groups):
            digest = setting.catalogue.digest(group, recent)
            ours = salt.scope(group, of_initiator=setting.is_initiator)
            theirs = salt.scope(group, of_initiator=not setting.is_initiator)
            shown = ScopeRoot(
                ours, salt.root(group, digest.root()), salt.count(group, digest.count)
            )
            self._scopes[theirs] = _Scope(group, shown, digest, digest.count)
        roots = [scope.ours for scope in self._scopes.values()]
        if setting.peer is None and setting.secret is not None:
            fill = range(-len(groups) % DECOYS or (0 if groups else DECOYS))
            roots += [ScopeRoot(*decoy(setting.secret, number)) for number in fill]
        public, *closed = roots
        self._asked = self._talk.now
        self._talk.send(Root(tells, [public, *sorted(closed, key=lambda row: row.scope)]))

    def root(self, message: Root) -> list[Difference]:
        """Take the peer's ROOT; return what differs and can be said at once."""
        if self.is_compared:
            raise ProtocolError("ROOT twice")
        self.send_root(tells=False)
        self.is_compared = True
        found: list[Difference] = []
        for theirs in message.scopes:
            scope = self._scopes.get(theirs.scope)
            if scope is None:
                continue
            self._talk.scopes |= {scope.group}
            if scope.ours.root == theirs.root:
                continue
            counts = scope.logs, self._talk.salt.count(scope.group, theirs.count)
            if min(counts) and max(counts) > SMALL:
                self._send_buckets(theirs.scope, scope)
                continue
            keys = sorted(scope.digest)
            shared, lacking = (keys, []) if counts[1] else ([], keys)
            named = scope.ours.scope, theirs.scope
            found.append(Difference(*named, shared, lacking, counts[0] > 0, counts[1] > 0))
        return found

    @property
    def awaited(self) -> list[bytes]:
        """Scopes that differ and whose buckets have not come yet, as the peer says them."""
        return list(self._awaiting)

    def _send_buckets(self, name: bytes, scope: _Scope) -> None:
        hashes = map(scope.digest.bucket, range(BUCKETS))
        shown = b"".join(_EMPTY if h is None else self._talk.salt.bucket(h) for h in hashes)
        self._asked = self._talk.now
        self._awaiting[name] = (scope, shown)
        self._talk.send(Buckets(scope.ours.scope, shown))

    def buckets(self, message: Buckets) -> Difference:
        """Take the peer's BUCKETS of a scope that differs."""
        if message.scope not in self._awaiting:
            raise ProtocolError("BUCKETS that nobody waits for")
        scope, ours = self._awaiting.pop(message.scope)
        shared: list[LogKey] = []
        lacking: list[LogKey] = []
        for bucket in range(BUCKETS):
            at = slice(bucket * BUCKET_BYTES, (bucket + 1) * BUCKET_BYTES)
            if ours[at] != message.digests[at]:
                is_empty = message.digests[at] == _EMPTY
                (lacking if is_empty else shared).extend(scope.digest.keys(bucket))
        named = scope.ours.scope, message.scope
        return Difference(*named, shared, lacking, is_ours=True, is_theirs=True)
