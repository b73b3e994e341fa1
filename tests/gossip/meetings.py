"""Nodes and meetings for tests: the real engine over real stores in memory, in virtual time.

Nothing here waits: a coroutine of a store in memory is run to its end at once, and frames travel
when the test says so. Bytes on a link are counted as ``transports.memory`` does, four more a frame.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from gossip.carried import MailChanges, MailNews
from gossip.cursor import Seen, run_name
from gossip.effects import Effect, End, Finish, Keep, Load, Send
from gossip.mail import Mail
from gossip.mail_room import MailLimits
from gossip.notes import (
    MailSeen,
    groups_note,
    mail_note,
    recall,
    recall_groups,
    recall_mail,
    recall_told,
    seen_note,
    told_note,
)
from gossip.policy import Peer, Policy
from gossip.session import Session
from gossip.talk import Setting
from gossip.wire import Message, decode_message
from ledger.block import Block
from ledger.keys import verify
from ledger.run import Run
from ledger.store.base import Absorbed, Batch, LogKey
from ledger.store.memory import MemoryStore
from mesh.holdings import Holdings
from tests.strategies import Device, material, run_of

T = TypeVar("T")
FRAME_BYTES = 4
BINDING = material("binding")


def now_run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    raise AssertionError("it waits")


def run_said(name: str) -> bytes:
    """Return how a run of a node that blocks nobody and is in no group is called to all."""
    return run_name(material(name, 8), Policy(b"", b"").offers(None, frozenset()))


class Counter:
    """Checks signatures and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, public: bytes, message: bytes, signature: bytes) -> bool:
        self.count += 1
        return verify(public, message, signature)


class Node:
    """A device with a store in memory.

    Attributes:
        device: Writes its logs.
        sessions: Its meetings, by which news travel on.
    """

    def __init__(self, number: int, *, store: MemoryStore | None = None, **policy: Any) -> None:  # noqa: ANN401
        self.number = number
        self.device = Device(number, number)
        self.runs = 0
        self.store = store if store is not None else MemoryStore(new_run=self.new_run)
        person = self.device.person.signing.public
        self.policy = Policy(self.device.public, person, **policy)
        self.holdings = now_run(Holdings.open(self.store, self.policy))
        self.verify = Counter()
        self.now = 0.0
        self.absorbed: list[Absorbed] = []
        self.mail: Mail | None = None
        self.letters: list[bytes] = []
        self.delivered: list[bytes] = []

    def carry_mail(self, **limits: Any) -> Mail:  # noqa: ANN401
        """Begin to carry mail."""
        self.mail = Mail(self.device.public, self.new_run()[:4], MailLimits(**limits))
        self.holdings.mail = self.mail
        self.holdings.listen_for_mail(self._hear)
        return self.mail

    def _hear(self, news: MailNews) -> None:
        self.letters += news.letters
        self.delivered += news.delivered

    def keep_mail(self, changes: MailChanges) -> None:
        """Store what changed, and offer it."""
        self.absorb(Batch(mail=changes.puts, mail_drops=changes.drops))

    def new_run(self) -> bytes:
        self.runs += 1
        return material(f"run {self.number} {self.runs}", 8)

    @property
    def peer(self) -> Peer:
        return Peer(self.device.public, self.device.person.signing.public)

    def offers(self, peer: Peer) -> bytes:
        """What decides which logs a contact is offered."""
        groups = now_run(self.store.note(groups_note(peer.device)))
        return self.policy.offers(peer, recall_groups(groups))

    def absorb(self, batch: Batch, *, durable: bool = False) -> Absorbed:
        outcome = now_run(self.holdings.take(batch, seen=0, durable=durable))
        self.absorbed.append(outcome)
        return outcome

    def hold(self, *runs: Sequence[Block]) -> Absorbed:
        """Take blocks into the store, each argument a run."""
        return self.absorb(Batch(runs=[run_of(run) for run in runs if run]))

    def hold_device(self, device: Device) -> Absorbed:
        """Take all logs of a device."""
        return self.hold(*(blocks for _, blocks in sorted(device.logs.items())))

    def write(self, text: str, log: int = 1) -> Block:
        """Write a block of its own."""
        if (self.device.public, 0) not in self.holdings.catalogue.logs:
            self.hold(self.device.logs[0])
        block = self.device.write(text, log=log)
        self.absorb(Batch(runs=[Run((block,))]), durable=True)
        return block

    def ids(self) -> dict[LogKey, list[bytes]]:
        """All block ids held, by log, kept branches included."""
        found: dict[LogKey, list[bytes]] = {}
        for log in now_run(self.store.logs()):
            key = (log.author, log.number)
            blocks = now_run(self.store.read(key, 0, 1 << 40, limit=1 << 30))
            blocks += now_run(self.store.branches(key))
            found[key] = [block.id for block in blocks]
        return found

    def frontier(self) -> dict[LogKey, tuple[bytes, bytes]]:
        """How every log stands."""
        catalogue = self.holdings.catalogue
        standings = {key: catalogue.standing(key) for key in catalogue.logs}
        return {key: (s.held, s.evidence) for key, s in standings.items() if s is not None}


@dataclass
class Side:
    """One side of a meeting."""

    node: Node
    session: Session
    out: deque[bytes] = field(default_factory=deque)
    pending: deque[Effect] = field(default_factory=deque)
    finish: Finish | None = None
    sent: list[bytes] = field(default_factory=list)
    stop_listening: Callable[[], None] = lambda: None


class Meeting:
    """Two sessions, each with a node, joined by an ordered reliable link.

    Args:
        left: One node.
        right: The other.
        contacts: Whether they recognised each other.
        cut: Bytes of both directions together after which the link dies inside a frame.
    """

    def __init__(
        self,
        left: Node,
        right: Node,
        *,
        contacts: bool = True,
        cut: int | None = None,
        binding: bytes = BINDING,
    ) -> None:
        self.now = 0.0
        self.cut = cut
        self.bytes = 0
        self.is_cut = False
        self.ends = [
            self._end(left, right.peer if contacts else None, binding, is_initiator=True),
            self._end(right, left.peer if contacts else None, binding, is_initiator=False),
        ]

    def _end(self, node: Node, peer: Peer | None, binding: bytes, *, is_initiator: bool) -> Side:
        note = now_run(node.store.note(seen_note(peer.device))) if peer is not None else None
        seen = recall(note, node.policy.wants)
        groups = now_run(node.store.note(groups_note(peer.device))) if peer is not None else None
        setting = Setting(
            node.holdings.catalogue,
            node.holdings.claims,
            node.policy,
            binding,
            is_initiator,
            peer,
            seen,
            recall_groups(groups),
            node.verify,
            material(f"secret {node.number} {binding.hex()}"),
            room=node.holdings.room,
            told=self._told(node, peer),
            mail=node.mail,
            mail_seen=self._mail_seen(node, peer),
        )
        end = Side(node, Session(setting))
        end.stop_listening = node.holdings.listen(
            lambda logs: self._carry_out(end, end.session.changed(logs, self.now))
        )
        return end

    def _told(self, node: Node, peer: Peer | None) -> Seen | None:
        if peer is None:
            return None
        return recall_told(now_run(node.store.note(told_note(peer.device))))

    def _mail_seen(self, node: Node, peer: Peer | None) -> MailSeen | None:
        if peer is None:
            return None
        return recall_mail(now_run(node.store.note(mail_note(peer.device))))

    def _carry_out(self, end: Side, effects: Iterable[Effect]) -> None:
        """Queue effects; storage is answered when the test says so (``step``)."""
        for effect in effects:
            match effect:
                case Send(frame, bulk):
                    end.sent.append(frame)
                    end.out.append(frame)
                    if bulk:
                        end.pending.append(effect)
                case Load() | Keep():
                    end.pending.append(effect)
                case Finish():
                    end.finish = effect
                    end.stop_listening()

    def _answer(self, end: Side) -> bool:
        """Answer one effect that waits for an answer."""
        if not end.pending:
            return False
        effect = end.pending.popleft()
        session, node = end.session, end.node
        match effect:
            case Send():
                self._carry_out(end, session.sent(self.now))
            case Load(ticket, query):
                answer = now_run(node.holdings.answer(query))
                self._carry_out(end, session.loaded(ticket, answer, self.now))
            case Keep(ticket, batch, durable):
                absorbed = node.absorb(batch, durable=durable)
                self._carry_out(end, session.kept(ticket, absorbed, self.now))
            case Finish():
                raise AssertionError("never queued")
        return True

    def _deliver(self, source: Side, target: Side) -> bool:
        if not source.out or self.is_cut:
            return False
        frame = source.out.popleft()
        self.bytes += len(frame) + FRAME_BYTES
        if self.cut is not None and self.bytes > self.cut:
            self._sever()
            return True
        self._carry_out(target, target.session.receive(frame, self.now))
        if not source.out:
            self._carry_out(target, target.session.drained(self.now))
        return True

    def _sever(self) -> None:
        self.is_cut = True
        for end in self.ends:
            self._carry_out(end, end.session.stop(self.now, End.LOST))

    def step(self) -> bool:
        """Let one thing happen; say whether anything could."""
        left, right = self.ends
        for end in self.ends:
            if self._answer(end):
                return True
        return self._deliver(left, right) or self._deliver(right, left)

    def settle(self, limit: int = 200_000) -> "Meeting":
        """Let everything happen that needs no time."""
        for _ in range(limit):
            if not self.step():
                return self
        raise AssertionError("it goes on and on")

    def start(self) -> "Meeting":
        for end in self.ends:
            self._carry_out(end, end.session.start(self.now))
        return self

    def pass_time(self, until: float) -> "Meeting":
        """Let time pass, each tick when it is due."""
        self.settle()
        while True:
            due = [at for end in self.ends if (at := end.session.next_tick()) is not None]
            if not due or min(due) > until:
                break
            self.now = max(self.now, min(due))
            for end in self.ends:
                at = end.session.next_tick()
                if at is not None and at <= self.now:
                    self._carry_out(end, end.session.tick(self.now))
            self.settle()
        self.now = until
        return self

    def run(self) -> "Meeting":
        """Hold the meeting to its end."""
        self.start().settle()
        for _ in range(1_000):
            due = [at for end in self.ends if (at := end.session.next_tick()) is not None]
            if all(end.finish for end in self.ends) or not due:
                break
            self.pass_time(min(due))
        for end in self.ends:
            if end.finish is None and any(e.finish for e in self.ends):
                self._carry_out(end, end.session.stop(self.now, End.LOST))
        self.settle()
        return self

    def messages(self, side: int) -> list[Message]:
        """What one side sent, decoded."""
        return [decode_message(frame) for frame in self.ends[side].sent]

    def payload(self) -> int:
        """Bytes of all messages both sides sent."""
        return sum(len(frame) for end in self.ends for frame in end.sent)


def meet(left: Node, right: Node, **how: Any) -> Meeting:  # noqa: ANN401
    """Let two nodes meet until they are through."""
    return Meeting(left, right, **how).run()
