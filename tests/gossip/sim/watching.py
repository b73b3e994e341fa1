"""A world that looks, after every batch that a node keeps and at every link's end, whether what
must hold does hold; ``docs/simulator.md`` has which check is for which invariant.

What a node should hold is worked out from both stores, as ``tests.gossip.test_invariants`` does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from gossip.effects import End as Why
from gossip.notes import groups_note, recall, recall_groups, seen_note
from gossip.sim.node import finished
from gossip.sim.world import World
from tests.gossip.test_invariants import (
    held,
    lacks,
    log_of,
    no_hole,
    nothing_valid_went,
    unprocessed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gossip.effects import Keep
    from gossip.policy import Peer, Policy
    from gossip.sim.link import Link
    from gossip.sim.node import Node
    from gossip.sim.trace import Contact
    from gossip.sim.workload import Post
    from ledger.store.base import Absorbed, LogKey


class Face:
    """A simulated node as the checks of ``tests.gossip`` look at one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.number = node.number

    @property
    def store(self) -> Any:  # noqa: ANN401  a private one
        return self._node._store

    @property
    def holdings(self) -> Any:  # noqa: ANN401  what is looked at is the catalogue
        return self._node.shelf

    @property
    def policy(self) -> Policy:
        return self._node.policy

    @property
    def peer(self) -> Peer:
        return self._node.peer

    def ids(self) -> dict[LogKey, list[bytes]]:
        logs = finished(self._node._store.logs())
        keys = [(log.author, log.number) for log in logs]
        return {key: list(held(face(self._node), key)) for key in keys}

    def offers(self, peer: Peer) -> bytes:
        groups = self._node.note(groups_note(peer.device))
        return self._node.policy.offers(peer, recall_groups(groups))


def face(node: Node) -> Any:  # noqa: ANN401  stands for a node of tests.gossip.meetings
    return Face(node)


class Watched(World):
    """A world that notices at once if something that must hold does not.

    Attributes:
        checks: How often each invariant was looked at.
    """

    def __init__(self, *args: Any, **how: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **how)
        self.checks: Counter[str] = Counter()
        self.honest = [n for n in self.nodes if n.number not in self._plan.liars]
        self._whole: Counter[tuple[int, int]] = Counter()

    # --- after every batch ---

    @override
    def _kept(self, node: Node, effect: Keep) -> Absorbed:
        batch = effect.batch
        touched = {(run.author, run.log) for run in batch.runs}
        touched |= {(late.author, late.log) for late in batch.bodies}
        touched |= {(proof.author, proof.log) for proof in batch.proofs}
        before = {key: held(face(node), key) for key in touched}
        absorbed = super()._kept(node, effect)
        for key in touched:
            self._look_at(node, key, before[key])
        for name, note in batch.notes.items():
            self._look_at_note(node, name, note)
        if absorbed.arrivals or absorbed.mail:
            self._changed(node)
        return absorbed

    def _look_at(self, node: Node, key: LogKey, before: dict[bytes, Any]) -> None:
        log = log_of(face(node), key)
        if node.shelf.catalogue.floors.get(key) is None:
            nothing_valid_went(before, held(face(node), key), log)
            self.checks["P3"] += 1
        no_hole(face(node), log)
        self.checks["P2"] += 1

    def _look_at_note(self, node: Node, name: str, note: bytes | None) -> None:
        """What a node notes that it processed of another honest one's, it holds (P3)."""
        for other in self.honest:
            if name != seen_note(other.peer.device) or node.shelf.catalogue.floors:
                continue
            seen = recall(note, node.policy.wants)
            late = unprocessed(face(node), face(other), seen) if seen is not None else []
            assert late == [], f"node {node.number} believes it has {late} of {other.number}"
            self.checks["P3 notes"] += 1

    @override
    def _write(self, number: int, post: Post, posts: Iterator[tuple[int, Post]]) -> None:
        self._changed(self.nodes[post.author], is_own=True)
        super()._write(number, post, posts)

    def _changed(self, node: Node, *, is_own: bool = False) -> None:
        """Meetings of a node are not whole any more, but for the one that brings something."""
        open_ones = [pair for pair in self._links if node.number in pair]
        for pair in [pair for pair in self._whole if node.number in pair]:
            if is_own or open_ones != [pair]:
                self._whole[pair] = -1 if pair in open_ones else 0

    # --- at the end of every link ---

    @override
    def _over(self, contact: Contact, link: Link) -> None:
        pair = (contact.left, contact.right)
        left, right = (end.node for end in link.ends)
        finishes = [end.finish for end in link.ends]
        is_whole = all(f is not None and f.end is Why.DONE for f in finishes)
        if left in self.honest and right in self.honest:
            assert all(f is None or f.end is not Why.HOSTILE for f in finishes), finishes
            self.checks["P10 accusations"] += 1
            self._whole[pair] = self._whole[pair] + 1 if is_whole else 0
            if self._whole[pair] >= 2:
                self._compare(left, right)
        super()._over(contact, link)

    def _compare(self, left: Node, right: Node) -> None:
        """After two whole meetings each has what it wants and may have of the other's (P1)."""
        contacts = not self._plan.strangers
        for one, other in ((left, right), (right, left)):
            if one.shelf.catalogue.floors:
                continue
            missing = lacks(face(one), face(other), contacts=contacts)
            assert missing == [], f"node {one.number} lacks {missing} of {other.number}"
            self.checks["P1"] += 1

    # --- at the end of all ---

    def look_back(self) -> None:
        """Verify all that honest nodes hold, and that nothing is kept of links that are over."""
        for node in self.honest:
            assert finished(node._store.check()) == []
            self.checks["P10 stores"] += 1
            claims = cast("Any", node.claims)
            if not node.ends:
                assert [claims._claims, claims._waiting, claims._progress] == [{}, {}, {}]
