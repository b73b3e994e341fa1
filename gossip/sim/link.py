"""Two nodes in a meeting: their sessions, and what carries the frames between them.

``radio`` has how fast frames go. A link dies with the contact: what was not received by then is
lost, and what came is stored.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from gossip.effects import Effect, Finish, Keep, Load, Send
from gossip.effects import End as Why
from gossip.notes import (
    groups_note,
    mail_note,
    recall,
    recall_groups,
    recall_mail,
    recall_told,
    seen_note,
    told_note,
)
from gossip.session import Session
from gossip.sim.air import FRAME_BYTES, Air, Tally, useful_bytes
from gossip.sim.radio import Lane, Radio
from gossip.talk import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gossip.policy import Peer
    from gossip.sim.agenda import Agenda
    from gossip.sim.commons import Commons
    from gossip.sim.node import Node
    from ledger.store.base import Absorbed, LogKey


class End:
    """One node's end of a link."""

    def __init__(
        self,
        link: Link,
        node: Node,
        peer: Peer | None,
        radios: Sequence[Radio],
        *,
        is_initiator: bool,
    ) -> None:
        self.node = node
        self.finish: Finish | None = None
        self._link = link
        self._agenda = link.agenda
        arrived = partial(link.arrived, int(is_initiator))
        self._lane = Lane(link.agenda, link.air, radios, arrived=arrived, count=link.count)
        self._tick_at: float | None = None
        self._is_dirty = self._is_dead = False
        note = None if peer is None else node.note(seen_note(peer.device))
        groups = None if peer is None else node.note(groups_note(peer.device))
        mail = None if peer is None else node.note(mail_note(peer.device))
        told = None if peer is None else node.note(told_note(peer.device))
        side = b"\1" if is_initiator else b"\2"
        self.session = Session(
            Setting(
                node.shelf.catalogue,
                node.claims,
                node.policy,
                link.binding,
                is_initiator,
                peer,
                recall(note, node.wants),
                recall_groups(groups),
                link.commons.verify,
                sha256(side + link.binding).digest(),
                room=node.shelf.room,
                told=recall_told(told),
                mail=None if node.mailbox is None else node.mailbox.mail,
                mail_seen=recall_mail(mail),
            )
        )
        node.ends[self] = None

    def start(self) -> None:
        """Begin the meeting."""
        self._carry_out(self.session.start(self._agenda.now))

    def stop(self, why: Why) -> None:
        """End it, if it still goes on."""
        if not self._is_dead:
            self._carry_out(self.session.stop(self._agenda.now, why))

    def die(self) -> None:
        """End it as a crash does: no more is said, and nothing is kept."""
        self._is_dead = True
        self._tick_at = None

    def changed(self, logs: Mapping[LogKey, bool]) -> None:
        """Take note of logs that stand differently now."""
        self._carry_out(self.session.changed(logs, self._agenda.now))

    def receive(self, frame: bytes) -> None:
        """Take a frame from the other end."""
        self._carry_out(self.session.receive(frame, self._agenda.now))

    def drained(self) -> None:
        """Take note that no other frame is there yet."""
        self._carry_out(self.session.drained(self._agenda.now))

    # --- effects ---

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect)
            elif isinstance(effect, Finish):
                self._over(effect)
            else:
                self._agenda.at_once(partial(self._work, effect))
        if not self._is_dirty and self.finish is None:
            self._is_dirty = True
            self._agenda.when_settled(self._watch)

    def _work(self, effect: Load | Keep) -> None:
        now, session = self._agenda.now, self.session
        if isinstance(effect, Keep):
            absorbed = self._link.kept(self.node, effect)
            self._carry_out(session.kept(effect.ticket, absorbed, now))
        elif self.finish is None:
            self._carry_out(session.loaded(effect.ticket, self.node.answer(effect.query), now))

    def _over(self, finish: Finish) -> None:
        self.finish = finish
        self.node.ends.pop(self, None)
        self._lane.finish(self._link.close)

    # --- time ---

    def _watch(self) -> None:
        """Have ``tick`` called when it is due."""
        self._is_dirty = False
        due = self.session.next_tick()
        if due is None or (self._tick_at is not None and self._tick_at <= due):
            return
        self._tick_at = due
        self._agenda.at(due, partial(self._tick, due))

    def _tick(self, planned: float) -> None:
        if planned != self._tick_at:
            return
        self._tick_at = None
        due = self.session.next_tick()
        if due is not None and due <= self._agenda.now:
            self._carry_out(self.session.tick(self._agenda.now))
        elif due is not None:
            self._watch()

    # --- the way to the other end ---

    def _send(self, effect: Send) -> None:
        """Send what becomes of a frame; once the last of it is through, bulk may go on."""
        frames = list(self._link.spoken(self.node, effect.frame))
        taken = self._taken if effect.bulk else None
        for number, raw in enumerate(frames, 1):
            self._lane.send(raw, taken if number == len(frames) else None)
        if taken is not None and not frames:
            self._agenda.at_once(taken)

    def _taken(self) -> None:
        self._carry_out(self.session.sent(self._agenda.now))

    def lose(self) -> None:
        """Lose what is under way."""
        self._lane.lose()


class Link:
    """A link between two nodes.

    Args:
        nodes: Both; the first opened it.
        agenda: The world's clock.
        commons: What all nodes share.
        air: How bytes travel.
        tally: Where what goes over it is counted.
        binding: 32 bytes that no other link has.
        strangers: Whether they do not recognise each other.
        kept: Takes a batch into a node's store.
        spoken: Says what becomes of a frame that a node sends.
        over: Told when the link is no more.

    Attributes:
        ends: Both; none once it is no more, so that nothing waits for a search for garbage.
    """

    def __init__(  # noqa: PLR0913  what a link needs of its world
        self,
        nodes: tuple[Node, Node],
        agenda: Agenda,
        commons: Commons,
        *,
        air: Air,
        tally: Tally,
        binding: bytes,
        strangers: bool,
        kept: Callable[[Node, Keep], Absorbed],
        spoken: Callable[[Node, bytes], Iterable[bytes]],
        over: Callable[[Link], None],
    ) -> None:
        self.agenda = agenda
        self.commons = commons
        self.air = air
        self.binding = binding
        self.spoken = spoken
        self._tally = tally
        self._kept = kept
        self._over = over
        self._is_dead = False
        left, right = nodes
        known = (None, None) if strangers else (right.peer, left.peer)
        there, back = ((left.radio, right.radio),) * 2 if air.radio else ((Radio(),), (Radio(),))
        self.ends: tuple[End, ...] = (
            End(self, left, known[0], there, is_initiator=True),
            End(self, right, known[1], back, is_initiator=False),
        )
        tally.links += 1

    def start(self) -> None:
        """Begin the meeting."""
        for end in self.ends:
            end.start()

    def arrived(self, at: int, frames: list[bytes]) -> None:
        """Have an end take frames; on a link that is dead nobody does."""
        end = self.ends[at] if self.ends else None
        for raw in frames:
            self.count(raw)
            if end is not None:
                end.receive(raw)
        if end is not None:
            end.drained()

    def count(self, raw: bytes) -> None:
        """Count a frame as sent."""
        self._tally.air += len(raw) + FRAME_BYTES
        self._tally.frames += 1

    def kept(self, node: Node, effect: Keep) -> Absorbed:
        """Take a batch that came over this link into a store, and count what was of use."""
        absorbed = self._kept(node, effect)
        self._tally.useful += useful_bytes(effect.batch, absorbed)
        return absorbed

    def close(self) -> None:
        """Let the link die, as it does when one side is through and its last frame has arrived."""
        if self._is_dead:
            return
        self._is_dead = True
        for end in self.ends:
            end.lose()
            end.stop(Why.LOST)
        for end in self.ends:
            self._tally.blocks += end.session.counts.blocks_in
            self._tally.new += end.session.counts.new
            self._tally.envelopes += end.session.counts.envelopes_in
        self._over(self)
        self.ends = ()
