"""Peers that lie: they say whatever a test lets them say to the real session of an honest node.

Time is virtual, storage is answered at once unless the test holds it back, and everything a lie
costs the honest node is counted.
"""

import gc
from collections import deque
from collections.abc import Iterable, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TypeVar

from gossip.control import (
    Ack,
    Announce,
    Control,
    Done,
    DoneRow,
    Greeting,
    Hello,
    Mention,
    Mode,
    Reason,
    Request,
    ScopeRoot,
    Want,
)
from gossip.effects import Effect, End, Finish, Keep, Load, Send, Spans
from gossip.notes import recall, seen_note
from gossip.policy import Peer
from gossip.session import Session
from gossip.talk import Setting
from gossip.wire import Bulk, Data, Message, RawRun, decode_message, encode_message
from ledger.block import Block
from ledger.store.base import LogKey
from tests.gossip.meetings import BINDING, Meeting, Node, now_run
from tests.strategies import Device, items, material

M = TypeVar("M")
ROOM = 1 << 40
MANY = 1 << 30
LIAR = 66
WRONG = b"\x66" * 4
NOTHING_HERE = [ScopeRoot(b"", bytes(16), 0)]
"""What a peer without any logs says of the public scope."""


class Liar:
    """One end of a meeting that says what it is told to say.

    Attributes:
        device: The liar's own, which may write real blocks.
        heard: What the honest node said.
        finish: How the honest node ended it, if it did.
        frames: How many frames the liar got through before that.
        loads: How often the node read its store for him, and ``spans`` how many spans of it.
        keeps: How many batches the node stored because of him.
        holds: Whether the node's store is slow: it answers only when ``answer`` is called.
    """

    def __init__(
        self,
        node: Node,
        *,
        is_contact: bool = True,
        number: int = LIAR,
        binding: bytes = BINDING,
        now: float = 0.0,
    ) -> None:
        self.node = node
        self.device = Device(number, number)
        self.now = now
        self.heard: list[Message] = []
        self.finish: Finish | None = None
        self.pending: deque[Load | Keep] = deque()
        self.frames = self.bytes_in = self.bytes_out = 0
        self.loads = self.spans = self.keeps = self.pages = 0
        self.holds = False
        self.is_deaf = False
        self.unread = 0
        peer = Peer(self.device.public, self.device.person.signing.public) if is_contact else None
        note = now_run(node.store.note(seen_note(peer.device))) if peer is not None else None
        self.setting = Setting(
            node.holdings.catalogue,
            node.holdings.claims,
            node.policy,
            binding,
            peer=peer,
            seen=recall(note, node.policy.wants),
            verify=node.verify,
            secret=material(f"secret {number}"),
        )
        self.session = Session(self.setting)
        self._stop_listening = node.holdings.listen(
            lambda logs: self._take(self.session.changed(logs, self.now))
        )

    # --- what the honest node does ---

    def _take(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame, bulk):
                    self.bytes_out += len(frame)
                    self.heard.append(decode_message(frame))
                    if bulk and self.is_deaf:
                        self.unread += 1
                    elif bulk:
                        self._take(self.session.sent(self.now))
                case Load() | Keep():
                    self.pending.append(effect)
                case Finish():
                    assert self.finish is None, "one end is all there is"
                    self.finish = effect
                    self._stop_listening()

    def answer(self, count: int = MANY) -> None:
        """Let the node's store answer up to ``count`` calls."""
        for _ in range(count):
            if not self.pending:
                return
            self._answer(self.pending.popleft())

    def _answer(self, effect: Load | Keep) -> None:
        if isinstance(effect, Keep):
            self.keeps += 1
            absorbed = self.node.absorb(effect.batch, durable=effect.durable)
            self._take(self.session.kept(effect.ticket, absorbed, self.now))
            return
        self.loads += 1
        self.spans += len(effect.query.spans) if isinstance(effect.query, Spans) else 1
        found = now_run(self.node.holdings.answer(effect.query))
        self._take(self.session.loaded(effect.ticket, found, self.now))

    # --- what the liar does ---

    def begin(
        self,
        told: Greeting | None = None,
        *,
        window: int = ROOM,
        features: int = 0,
        budget: int | None = None,
    ) -> "Liar":
        """Say HELLO, so that the honest node goes on; ``told`` is what a contact says."""
        self._take(self.session.start(self.now))
        return self.say(Hello((1,), features, 65_000, window, budget, told))

    def say(self, *messages: Control | Bulk | bytes) -> "Liar":
        """Say something; what comes after the end is not heard."""
        for message in messages:
            if self.finish is not None:
                break
            frame = message if isinstance(message, bytes) else encode_message(message)
            self.frames += 1
            self.bytes_in += len(frame)
            self._take(self.session.receive(frame, self.now))
            if not self.holds:
                self.answer()
                self._take(self.session.drained(self.now))
                self.answer()
        return self

    def wait(self, seconds: float) -> "Liar":
        """Let time pass."""
        return self.pass_time(self.now + seconds)

    def pass_time(self, until: float) -> "Liar":
        """Let time pass, every tick when it is due."""
        while (due := self.session.next_tick()) is not None and due <= until:
            self.now = max(self.now, due)
            self._take(self.session.tick(self.now))
            self.answer(0 if self.holds else MANY)
            again = self.session.next_tick()
            assert again is None or again > due, "a tick that changes nothing is due at once again"
        self.now = until
        return self

    @property
    def ends(self) -> "list[Liar]":
        """The only end there is: that of the honest node."""
        return [self]

    def leave(self) -> "Liar":
        """Cut the link."""
        self._take(self.session.stop(self.now, End.LOST))
        self.answer()
        return self

    # --- his usual words ---

    def mention(self, *mentions: Mention) -> "Liar":
        """Announce logs, whatever was announced before."""
        self.pages += 1
        return self.say(Announce(b"", 0, 0, mentions))

    def want(self, *requests: Request) -> "Liar":
        return self.say(Want(requests))

    def send(self, *runs: Sequence[Block]) -> "Liar":
        return self.say(Data([RawRun(items(run), 0) for run in runs]))

    def done(self, index: int, mode: Mode, reason: Reason = Reason.ALL) -> "Liar":
        return self.say(Done([DoneRow(index, mode, reason)]))

    def ack(self) -> "Liar":
        """Acknowledge all pages that came so far."""
        return self.say(Ack(self.pages_heard))

    # --- what it came to ---

    def all(self, kind: type[M]) -> list[M]:
        """What the node said of one sort."""
        return [message for message in self.heard if isinstance(message, kind)]

    @property
    def pages_heard(self) -> int:
        return sum(type(m).__name__ in ("New", "Vector", "Announce") for m in self.heard)

    def asked(self) -> list[Request]:
        """All requests of the node."""
        return [request for want in self.all(Want) for request in want.requests]

    @property
    def end(self) -> End | None:
        return None if self.finish is None else self.finish.end

    @property
    def weight(self) -> int:
        """How many objects the session alone keeps alive."""
        return weight_of(self.session, self.setting)


def weight_of(session: Session, setting: Setting) -> int:
    """Count what is reachable from ``session`` and is not the node's own."""
    shared = (setting.catalogue, setting.claims, setting.policy, setting.verify)
    known = {id(one) for one in (*shared, setting)}
    todo: list[object] = [session]
    count = 0
    while todo:
        one = todo.pop()
        if id(one) in known or isinstance(
            one, int | float | type | ModuleType | BuiltinFunctionType
        ):
            continue
        known.add(id(one))
        count += 1
        match one:
            case FunctionType():
                todo += one.__closure__ or ()
            case MethodType():
                todo.append(one.__self__)
            case _:
                todo += gc.get_referents(one)
    return count


def claim(
    key: LogKey, seq: int, *, check: bytes = WRONG, plain: bool = True, evidence: bytes = b""
) -> Mention:
    """Return a mention that says somebody holds ``seq`` blocks of a log."""
    return Mention(key, seq, plain, check, evidence)


def again(index: int, seq: int, number: int, *, plain: bool = True) -> Mention:
    """Return mention ``number`` of a log that has an index."""
    return Mention(index, seq, plain, material(f"check {number}", 4))


def together(until: float, *meetings: Meeting | Liar) -> None:
    """Let time pass in several meetings of one node, each tick when it is due."""
    now = 0.0
    while now < until:
        ticks = [end.session.next_tick() for meeting in meetings for end in meeting.ends]
        now = min([until, *(tick for tick in ticks if tick is not None)])
        for meeting in meetings:
            meeting.now = max(meeting.now, now)
        for meeting in meetings:
            meeting.pass_time(now)


def is_sound(node: Node) -> bool:
    """Say whether the node's store holds nothing that is not vouched for."""
    return now_run(node.store.check()) == []
