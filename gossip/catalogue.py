"""What a store holds, in memory: what every session of a node looks at before it says anything.

Read once when the node starts, and brought up to date after every batch (``learn``), so that a
meeting in which nothing changed does not touch the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING, Final, TypeVar

from gossip.digest import Digest
from gossip.policy import PUBLIC, best_class
from gossip.sizes import Sizes
from gossip.standing import Standing, branches_digest, place_of, standing_of
from ledger.chain import Log
from ledger.kinds.device import claimed_person, person_of
from ledger.store.base import Floor, Newest, StoreRun, What

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gossip.policy import Policy
    from ledger.block import Block
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import Arrival, LogKey


K = TypeVar("K")
T = TypeVar("T")

MAX_STATEMENTS: Final = 16
"""About one device; while it is not known whose it is, anybody may state something about it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a store, or all that is in it.

    Attributes:
        logs: Logs, as they are now.
        missing: Of those, which lack bodies that are wanted, and the lowest ``MAX_MISSING`` seqs.
        proofs: Of those, which are forked.
        branches: Of those, what is kept from the fork on.
        statements: All statements about each device concerned, by person.
        devices: (log 0, seq 1) of devices, with their bodies.
        dropped: Logs of which nothing is left.
        floors: Logs of which blocks were let go.
        lifted: Whether those that were before are forgotten.
        arrivals: What arrived, ascending; or nothing, then ``newest`` says what did.
        newest: The newest arrival of each log.
        run: The run that ``arrivals`` belong to.
        runs: All runs, if this is all that is in the store.
    """

    logs: Mapping[LogKey, Log] = field(default_factory=dict)
    missing: Mapping[LogKey, Sequence[int]] = field(default_factory=dict)
    proofs: Mapping[LogKey, ForkProof] = field(default_factory=dict)
    branches: Mapping[LogKey, Sequence[Block]] = field(default_factory=dict)
    statements: Mapping[bytes, Sequence[Revocation]] = field(default_factory=dict)
    devices: Iterable[Block] = ()
    dropped: Sequence[LogKey] = ()
    floors: Mapping[LogKey, Floor] = field(default_factory=dict)
    lifted: bool = False
    arrivals: Sequence[Arrival] = ()
    newest: Mapping[LogKey, Newest] = field(default_factory=dict)
    run: bytes | None = None
    runs: Sequence[StoreRun] = ()


class Catalogue:
    """What is held of every log.

    Args:
        policy: Says what is offered where.

    Attributes:
        logs: What is held of each.
        proofs: Of forked logs.
        runs: The store's, ascending.
        bytes: Of headers and bodies in all.
        sizes: How much that is of each device, with what convicts it.
        floors: Logs of which blocks were let go.
    """

    def __init__(self, policy: Policy) -> None:
        self.logs: dict[LogKey, Log] = {}
        self.proofs: dict[LogKey, ForkProof] = {}
        self.runs: list[StoreRun] = []
        self.bytes = 0
        self.sizes = Sizes()
        self.floors: dict[LogKey, Floor] = {}
        self._policy = policy
        self._statements: dict[bytes, Sequence[Revocation]] = {}
        self._branches: dict[LogKey, bytes] = {}
        self._missing: dict[LogKey, Sequence[int]] = {}
        self._newest: dict[LogKey, Newest] = {}
        self._claimed: dict[bytes, bytes | None] = {}
        self._numbers: dict[bytes, set[int]] = {}
        self._persons: dict[bytes, bytes] = {}
        self._standings: dict[LogKey, Standing] = {}
        self._scopes: dict[bytes | None, Digest] = {PUBLIC: self._digest()}
        self._recent: Digest | None = None
        self._named: dict[int, list[LogKey]] | None = None
        self._named_of: dict[bytes, list[int]] = {}
        for author, number in policy.named:
            if number > 1:
                self._named_of.setdefault(author, []).append(number)

    def _digest(self, keys: Iterable[LogKey] = ()) -> Digest:
        return Digest(lambda key: self._known(key).digest, keys)

    @property
    def lsn(self) -> int:
        """The newest local serial number, 0 of an empty store."""
        return self.runs[-1].last if self.runs else 0

    @property
    def run(self) -> bytes:
        """The run that reached ``lsn``; empty of an empty store."""
        return self.runs[-1].run if self.runs else b""

    def learn(self, changes: Changes) -> dict[LogKey, bool]:
        """Take in what changed; return the logs concerned, and whether each began with it."""
        for block in changes.devices:
            self._claimed[block.header.author] = block.body
            self._persons.pop(block.header.author, None)
        keys = set(changes.logs) | {(device, 0) for device in changes.statements}
        for block in changes.devices:
            author = block.header.author
            keys |= {(author, number) for number in self._numbers.get(author, ())}
        self.floors = {} if changes.lifted else self.floors
        self.floors |= changes.floors
        for key in changes.dropped:
            self._drop(key)
        keys |= set(changes.dropped)
        for key in changes.logs:
            self._numbers.setdefault(key[0], set()).add(key[1])
            if key[1] == 0:
                self._persons.pop(key[0], None)
            proof, before = changes.proofs.get(key), self.logs.get(key)
            self.sizes.put(key, before, changes.logs[key], proof)
            self.logs[key] = changes.logs[key]
            _set(self._missing, key, changes.missing.get(key))
            _set(self.proofs, key, proof)
            _set(self._branches, key, self._branches_of(key, changes.branches.get(key, ())))
        self.bytes = self.sizes.whole.bytes
        for device, statements in changes.statements.items():
            _set(self._statements, device, statements or None)
        self._arrived(changes)
        for key in keys:
            self._standings.pop(key, None)
            self._put(key)
        self._recent = None
        arrivals = changes.arrivals
        began = {(a.author, a.log) for a in arrivals if a.what is What.BLOCKS and a.low == 1}
        told = set(changes.logs) | {(device, 0) for device in changes.statements}
        told |= set(changes.dropped)
        return {key: key in began for key in sorted(told)}

    def _drop(self, key: LogKey) -> None:
        self.sizes.drop(key, self.logs.pop(key, None))
        for shelf in (self.proofs, self._branches, self._missing, self._newest):
            shelf.pop(key, None)
        numbers = self._numbers.get(key[0], set())
        numbers.discard(key[1])
        if key[1] == 0:
            self._claimed.pop(key[0], None)
            self._persons.pop(key[0], None)
        if not numbers:
            self._numbers.pop(key[0], None)

    def rank(self, key: LogKey) -> int | None:
        """Return the class in which a log is wanted, None if it is not.

        Log 0 of a device counts in the best class of all logs of it that are held, or wanted by
        name: without it these would be detached, and nobody would know whose they are.
        """
        policy, person = self._policy, self.person(key[0])
        if key[1] != 0:
            return policy.rank(key, person)
        numbers = {0, 1, *self._numbers.get(key[0], ()), *self._named_of.get(key[0], ())}
        return best_class([policy.rank((key[0], number), person) for number in numbers])

    def floor(self, key: LogKey, rank: int) -> int:
        """Return the first seq of a log that is wanted, as far as it was not let go.

        Args:
            key: The log.
            rank: The class in which it is wanted now.
        """
        floor = self.floors.get(key)
        return floor.seq if floor is not None and rank >= floor.rank else 1

    def _branches_of(self, key: LogKey, kept: Sequence[Block]) -> bytes | None:
        wants_bodies = key not in self._policy.headers_only
        return branches_digest(kept, wants_bodies=wants_bodies) or None

    def _arrived(self, changes: Changes) -> None:
        self.runs += changes.runs
        self._newest |= changes.newest
        for arrival in changes.arrivals:
            key = (arrival.author, arrival.log)
            hops = arrival.hops if arrival.what is What.BLOCKS else self.hops(key)
            self._newest[key] = Newest(arrival.lsn, hops)
        if changes.arrivals and changes.run is not None:
            first, last = changes.arrivals[0].lsn, changes.arrivals[-1].lsn
            if self.run == changes.run:
                first = self.runs.pop().first
            self.runs.append(StoreRun(changes.run, first, last))

    def _put(self, key: LogKey) -> None:
        if self.standing(key) is None:
            for digest in self._scopes.values():
                digest.remove(key)
            return
        scope = self._policy.scope(key, self.person(key[0]))
        for name, digest in self._scopes.items():
            if name != scope:
                digest.remove(key)
        self._shelf(scope).put(key)

    def _shelf(self, scope: bytes | None) -> Digest:
        if scope not in self._scopes:
            self._scopes[scope] = self._digest()
        return self._scopes[scope]

    def standing(self, key: LogKey) -> Standing | None:
        """Return how a log stands, None if nothing is held of it or known about it."""
        if key in self.logs or (key[1] == 0 and key[0] in self._statements):
            return self._known(key)
        return None

    def _known(self, key: LogKey) -> Standing:
        found = self._standings.get(key)
        if found is None:
            found = self._standings[key] = standing_of(
                self.logs.get(key) or Log(*key),
                self._missing.get(key, ()),
                self.proofs.get(key),
                self._branches.get(key, b""),
                self.statements(key[0]) if key[1] == 0 else (),
            )
        return found

    def statements(self, device: bytes) -> list[Revocation]:
        """Return the statements about a device that may ever count, at most ``MAX_STATEMENTS``."""
        held = self._statements.get(device, ())
        return [s for s in held if self.may_revoke(s.person, device)][:MAX_STATEMENTS]

    def newest(self, key: LogKey) -> int:
        """Return the lsn of what came last of a log, 0 if nothing did."""
        newest = self._newest.get(key)
        return newest.lsn if newest is not None else 0

    def hops(self, key: LogKey) -> int:
        """Return how many devices passed on what came last of a log."""
        newest = self._newest.get(key)
        return newest.hops if newest is not None else 0

    def person(self, device: bytes) -> bytes | None:
        """Return whose device it is; None while its device block is not held, or lacks its body.

        A certificate is checked only where the policy makes a difference for that person; one
        that nobody cares about stands for himself by the device's own key.
        """
        if device not in self._persons:
            body = self._claimed.get(device)
            if self._began_twice(device):
                body = None
            elif body is None:
                return None
            self._persons[device] = self._person(device, body)
        return self._persons[device]

    def _person(self, device: bytes, body: bytes | None) -> bytes:
        claimed = claimed_person(body)
        if claimed is None or not self._policy.may_matter(claimed):
            return device
        return person_of(device, body)

    def has_device(self, device: bytes) -> bool:
        """Say whether the body of its device block is known."""
        return self._claimed.get(device) is not None

    def may_revoke(self, person: bytes, device: bytes) -> bool:
        """Say whether a statement of ``person`` about ``device`` can ever count."""
        body = self._claimed.get(device)
        return body is None or self._began_twice(device) or claimed_person(body) == person

    def _began_twice(self, device: bytes) -> bool:
        """Then there is no saying whose it is."""
        log = self.logs.get((device, 0))
        return log is not None and log.fork == 1

    def holds(self, device: bytes) -> bool:
        """Say whether something is held of log 0 of a device, and so what convicts it."""
        log = self.logs.get((device, 0))
        return log is not None and log.bytes > 0

    def numbers(self, device: bytes) -> frozenset[int]:
        """Return the logs of a device of which something is held."""
        return frozenset(self._numbers.get(device, ()))

    def scope(self, key: LogKey) -> bytes | None:
        """Return where a log is offered; see ``Policy.scope``."""
        return self._policy.scope(key, self.person(key[0]))

    def digest(self, scope: bytes, recent: int | None = None) -> Digest:
        """Return the digest of a scope.

        Args:
            scope: ``PUBLIC`` or the id of a closed group.
            recent: Of the public one, only so many logs, those that changed last.
        """
        whole = self._shelf(scope)
        if scope != PUBLIC or recent is None or whole.count <= recent:
            return whole
        if self._recent is None or self._recent.count != recent:
            newest = self._newest
            chosen = nlargest(recent, whole, lambda key: (newest.get(key, (0, 0)), key))
            self._recent = self._digest(chosen)
        return self._recent

    def in_bucket(self, bucket: int) -> set[LogKey]:
        """Return all logs of a bucket that are held, whatever their scope, or wanted by name."""
        if self._named is None:
            self._named = {}
            for key in self._policy.named:
                self._named.setdefault(place_of(key)[0], []).append(key)
        held = [digest.held(bucket) for digest in self._scopes.values()]
        return set(self._named.get(bucket, ())).union(*held)


def _set(shelf: dict[K, T], key: K, value: T | None) -> None:
    if value is None:
        shelf.pop(key, None)
    else:
        shelf[key] = value
