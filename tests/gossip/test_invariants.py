"""What must hold at every moment of every meeting, and a node that looks whether it does.

``Watched`` is a node that checks each batch it takes in: nothing valid goes, no joined chain has
a hole, and no cursor says that something was processed that is not held. What a node *should*
hold is worked out here from both stores, not from what the engine believes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from typing_extensions import override

from gossip.cursor import Seen, valid_up_to
from gossip.effects import Effect, End, Finish, Send
from gossip.notes import recall, seen_note
from gossip.number import Number
from gossip.policy import PUBLIC, Policy
from ledger.block import Block
from ledger.chain import Log
from ledger.statement import Revocation
from ledger.store.base import Absorbed, Arrival, Batch, LogKey, What
from ledger.store.memory import MemoryStore
from mesh.holdings import Holdings
from tests.gossip.meetings import Meeting, Node, Side, now_run
from tests.strategies import GROUP

ALL = 1 << 40
TALLY: Counter[str] = Counter()
"""How often what happened in watched meetings: states, messages, ends."""


class Watched(Node):
    """A node that notices at once if a batch breaks an invariant.

    Attributes:
        known: All nodes by their devices' keys, so that cursors can be compared with stores.
    """

    def __init__(
        self,
        number: int,
        *,
        known: dict[bytes, Node] | None = None,
        **policy: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(number, **policy)
        self.known = {} if known is None else known
        self.known[self.device.public] = self

    @override
    def absorb(self, batch: Batch, *, durable: bool = False) -> Absorbed:
        touched = {(run.author, run.log) for run in batch.runs}
        touched |= {(late.author, late.log) for late in batch.bodies}
        touched |= {(proof.author, proof.log) for proof in batch.proofs}
        touched |= {key for key in self.holdings.catalogue.logs if (key[0], 0) in touched}
        before = {key: held(self, key) for key in touched}
        outcome = super().absorb(batch, durable=durable)
        for key in touched:
            nothing_valid_went(before[key], held(self, key), log_of(self, key))
            no_hole(self, log_of(self, key))
        for name, note in batch.notes.items():
            device = bytes.fromhex(name.partition("/")[2])
            if name == seen_note(device) and device in self.known:
                self.looks_honest(self.known[device], note)
        return outcome

    def looks_honest(self, other: Node, note: bytes | None) -> None:
        seen = recall(note, self.policy.wants)
        late = unprocessed(self, other, seen) if seen is not None else []
        assert late == [], f"node {self.number} believes that it has {late} of {other.number}"

    def reopen(self, store: MemoryStore, policy: Policy | None = None) -> None:
        """Go on with another store, or under another policy, as after a restart."""
        self.store, self.policy = store, policy or self.policy
        self.holdings = now_run(Holdings.open(self.store, self.policy))

    def is_sound(self) -> None:
        """Verify everything it holds, and that it knows in memory what is in the store."""
        assert now_run(self.store.check()) == []
        again = now_run(Holdings.open(self.store, self.policy)).catalogue
        mine = self.holdings.catalogue
        assert {key: mine.standing(key) for key in mine.logs} == {
            key: again.standing(key) for key in again.logs
        }
        assert mine.digest(PUBLIC).root() == again.digest(PUBLIC).root()
        for other in self.known.values():
            self.looks_honest(other, now_run(self.store.note(seen_note(other.device.public))))


def held(node: Node, key: LogKey) -> dict[bytes, Block]:
    """Return the held blocks of a log by id, those of branches too."""
    blocks = now_run(node.store.read(key, 0, ALL, limit=ALL))
    return {block.id: block for block in [*blocks, *now_run(node.store.branches(key))]}


def passable(node: Node, key: LogKey) -> set[bytes]:
    """Return the ids of the held blocks that can be passed on.

    Of a branch of a fork 64 blocks are kept, whichever is signed; what follows the last signature
    there is only this node's to read.
    """
    blocks = held(node, key)
    found = {b.id for b in now_run(node.store.read(key, 0, ALL, limit=ALL))}
    for block in blocks.values():
        at = block if block.signature else None
        while at is not None and at.id not in found:
            found.add(at.id)
            at = blocks.get(at.header.previous)
    return found


def log_of(node: Node, key: LogKey) -> Log:
    found = now_run(node.store.logs([key]))
    return found[0] if found else Log(*key)


def nothing_valid_went(before: dict[bytes, Block], after: dict[bytes, Block], log: Log) -> None:
    """Only what is at or after a fork may go; bodies and signatures stay."""
    fork = ALL if log.fork is None else log.fork
    for ident, was in before.items():
        now = after.get(ident)
        assert now is not None or was.header.seq >= fork, f"a block went at {was.header.seq}"
        if now is not None:
            assert was.body in (None, now.body)
            assert was.signature in (b"", now.signature)


def no_hole(node: Node, log: Log) -> None:
    """From the root to the head every block is there, and follows the one before."""
    if log.joined is None:
        return
    blocks = now_run(node.store.read((log.author, log.number), 1, log.head, limit=ALL))
    assert [block.header.seq for block in blocks] == list(range(1, log.head + 1))
    previous = [block.header.previous for block in blocks]
    assert previous[0] in log.roots
    assert previous[1:] == [block.id for block in blocks[:-1]]


# --- what a node should hold of another's -------------------------------------------------------


def wants(node: Node, key: LogKey) -> bool:
    return node.policy.rank(key, node.holdings.catalogue.person(key[0])) is not None


def may_have(node: Node, other: Node, key: LogKey, *, contacts: bool = True) -> bool:
    """Say whether ``other`` offers a log to ``node``: all public ones, and groups both are in."""
    scope = other.holdings.catalogue.scope(key)
    return scope is not None and (
        scope == PUBLIC
        or scope in node.policy.groups.values()
        or other.policy.shares(scope, node.peer if contacts else None)
    )


def stands(node: Node, statement: Revocation) -> bool:
    """Say whether a statement is held, or one that leaves less, or it can never count here."""
    if not node.holdings.catalogue.may_revoke(statement.person, statement.device):
        return True
    mine = [
        s
        for s in now_run(node.store.revocations())
        if (s.person, s.device) == (statement.person, statement.device)
    ]
    return any(s == statement or s.outweighs(statement) for s in mine)


def has(node: Node, other: Node, arrival: Arrival, lacking: Iterable[tuple[LogKey, int]]) -> bool:
    """Say whether ``node`` holds what arrived at ``other``; its bodies but for ``lacking``."""
    key = (arrival.author, arrival.log)
    if not wants(node, key) or not may_have(node, other, key):
        return True
    mine, theirs = log_of(node, key), log_of(other, key)
    if arrival.what is What.STATEMENT:
        return all(
            stands(node, statement)
            for statement in other.holdings.catalogue.statements(arrival.author)
        )
    if arrival.what is What.VERDICT:
        return mine.fork is not None and mine.fork <= arrival.low
    end = min(ALL if log.fork is None else log.fork for log in (mine, theirs))
    low, high = arrival.low, min(arrival.high, end - 1)
    own = {b.id: b for b in now_run(node.store.read(key, low, high, limit=ALL))}
    for block in now_run(other.store.read(key, low, high, limit=ALL)):
        if block.id not in own:
            return False
        is_late = (key, block.header.seq) in lacking or key in node.policy.headers_only
        if block.body is not None and own[block.id].body is None and not is_late:
            return False
    return True


def unprocessed(node: Node, other: Node, seen: Seen) -> list[Arrival]:
    """Return what ``seen`` says was processed of the other's, and was not."""
    valid = valid_up_to(seen, now_run(other.store.runs()), other.offers(node.peer))
    ranges = seen.clipped(valid)
    arrivals = now_run(other.store.arrivals(limit=ALL))
    covered = [a for a in arrivals if any(low <= a.lsn <= high for low, high in ranges)]
    late = [a for a in arrivals if a not in covered]
    bodies = {
        ((a.author, a.log), seq)
        for a in late
        if a.what is What.BODIES
        for seq in range(a.low, a.high + 1)
    }
    stated = {a.author for a in late if a.what is What.STATEMENT}
    return [
        a
        for a in covered
        if not has(node, other, a, bodies) and not (a.what is What.STATEMENT and a.author in stated)
    ]


def lacks(node: Node, other: Node, *, contacts: bool = True) -> list[Arrival]:
    """Return what ``node`` should have got of the other's and has not."""
    arrivals = now_run(other.store.arrivals(limit=ALL))
    public = other.holdings.catalogue.digest(PUBLIC, 1_000)
    told = set(public) if not contacts else {(a.author, a.log) for a in arrivals}
    return [
        a
        for a in arrivals
        if not has(node, other, a, ())
        and may_have(node, other, (a.author, a.log), contacts=contacts)
        and ((a.author, a.log) in told or a.log >= GROUP)
    ]


class WatchedMeeting(Meeting):
    """A meeting that counts what happens, and remembers what came.

    Attributes:
        live: Whether both stay once all is equal.
        came: Frames each side received.
    """

    def __init__(self, left: Node, right: Node, *, live: bool = False, **how: Any) -> None:  # noqa: ANN401
        self.live = live
        self.came: tuple[list[bytes], list[bytes]] = ([], [])
        super().__init__(left, right, **how)

    @override
    def _end(self, node: Node, *rest: Any, **how: Any) -> Side:
        policy, node.policy = node.policy, replace(node.policy, live=self.live)
        side = super()._end(node, *rest, **how)
        node.policy = policy
        return side

    @override
    def _carry_out(self, end: Side, effects: Iterable[Effect]) -> None:
        TALLY[end.session.state.name] += 1
        for effect in (todo := list(effects)):
            if isinstance(effect, Send):
                TALLY[Number(effect.frame[1]).name] += 1
            elif isinstance(effect, Finish):
                TALLY[f"Finish {effect.end.name}"] += 1
        super()._carry_out(end, todo)

    @override
    def _deliver(self, source: Side, target: Side) -> bool:
        frame = source.out[0] if source.out else b""
        happened = super()._deliver(source, target)
        if happened and not self.is_cut:
            self.came[target is self.ends[1]].append(frame)
        return happened

    def sever(self) -> None:
        """Let the link die; each side stores what came."""
        self._sever()
        self.settle()


def hold_meeting(left: Node, right: Node, **how: Any) -> WatchedMeeting:  # noqa: ANN401
    """Hold a meeting that nothing disturbs; no honest node may accuse the other."""
    meeting = WatchedMeeting(left, right, **how)
    meeting.run()
    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    return meeting
