"""Whole meetings for the fuzzer: a peer that says anything, in any order, at any moment.

An input is a CBOR array: a scene, then steps. A byte string is a frame from the peer; a number is
something that happens on this side between frames, so that answers of the store may come before,
between and after what the peer says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gossip.control import Credit, Hello
from gossip.effects import Finish, Keep, Load, Send
from gossip.session import Session, State
from gossip.wire import Unknown, decode_message
from ledger.block import BLOCK_CONTEXT
from ledger.codec import decode
from ledger.errors import InvalidError
from ledger.keys import verify
from tests.gossip.meetings import now_run
from tools.fuzz_readers import DisagreementError, same
from tools.fuzz_scenes import SCENES, stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.effects import Effect, End
    from ledger.codec import Value
    from tests.gossip.meetings import Node
    from tools.fuzz_scenes import Scene

MAX_BYTES: Final = 20_000
DRAINED, ANSWER, ANSWER_ALL, TICK, WRITE = range(5)
MOST_ANSWERS: Final = 5_000
_TICKS: Final = 40


@dataclass(slots=True)
class Played:
    """What became of a meeting.

    Attributes:
        session: It.
        node: Whose.
        scene: Where.
        out: What it sent.
        granted: Bytes of bulk the peer gave room for.
        ends: How it ended, as often as it did.
    """

    session: Session
    node: Node
    scene: Scene
    out: list[Send] = field(default_factory=list)
    granted: int = 0
    ends: list[End] = field(default_factory=list)


# --- playing -------------------------------------------------------------------------------------


class Table:
    """One session that has begun, and what it waits for."""

    def __init__(self, scene: Scene) -> None:
        self.now = 0.0
        self.node, setting = stage(scene)
        self.played = Played(Session(setting), self.node, scene)
        self._pending: deque[Effect] = deque()
        self._answers = 0
        self.node.holdings.listen(
            lambda logs: self._take(self.played.session.changed(logs, self.now))
        )
        self._take(self.played.session.start(0.0))

    def _take(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(_, bulk):
                    self.played.out.append(effect)
                    self._pending.extend([effect] if bulk else [])
                case Finish(end):
                    self.played.ends.append(end)
                case _:
                    self._pending.append(effect)

    def step(self, step: Value) -> None:
        """Take a frame from the peer, or let something happen here."""
        session = self.played.session
        match step:
            case bytes(frame):
                self._hear(frame)
                self._take(session.receive(frame, self.now))
            case int(number):
                self._happen(number % 5)
            case _:
                pass

    def _hear(self, frame: bytes) -> None:
        """Count the room that a frame gives, if the session reads it."""
        if self.played.session.state is State.CLOSED:
            return
        try:
            message = decode_message(frame)
        except InvalidError:
            return
        match message:
            case Hello() if self.played.session.state is State.GREETING:
                self.played.granted = message.window
            case Credit(total):
                self.played.granted = max(self.played.granted, total)
            case _:
                pass

    def _happen(self, what: int) -> None:
        session = self.played.session
        match what:
            case 0:
                self._take(session.drained(self.now))
            case 1:
                self._answer()
            case 2:
                self.settle()
            case 3:
                self.tick()
            case _ if session.state is not State.CLOSED:
                self.node.write("meanwhile")
            case _:
                pass

    def settle(self) -> None:
        """Answer until nothing waits for an answer."""
        while self._answer():
            pass

    def _answer(self) -> bool:
        if not self._pending:
            return False
        self._answers += 1
        if self._answers > MOST_ANSWERS:
            raise DisagreementError("it goes on and on")
        session = self.played.session
        match self._pending.popleft():
            case Load(ticket, query):
                answer = now_run(self.node.holdings.answer(query))
                self._take(session.loaded(ticket, answer, self.now))
            case Keep(ticket, batch, durable):
                absorbed = self.node.absorb(batch, durable=durable)
                self._take(session.kept(ticket, absorbed, self.now))
            case _:
                self._take(session.sent(self.now))
        return True

    def tick(self) -> bool:
        """Let the time pass until something is due."""
        due = self.played.session.next_tick()
        if due is None:
            return False
        self.now = max(self.now, due)
        self._take(self.played.session.tick(self.now))
        return True

    def end(self) -> Played:
        """Let everything happen that still does, then stop."""
        session = self.played.session
        for _ in range(_TICKS):
            self.settle()
            if not self.tick():
                break
        self._take(session.stop(self.now))
        self.settle()
        return self.played


def play(data: bytes) -> Played:
    """Hold the meeting that ``data`` says.

    Raises:
        InvalidError: It is not an array with a scene.
    """
    match decode(data, MAX_BYTES):
        case [int(scene), *steps]:
            table = Table(SCENES[scene % len(SCENES)])
        case _:
            raise InvalidError("not a meeting")
    for step in steps:
        table.step(step)
    return table.end()


def check(_data: bytes, played: Played) -> None:
    """Refuse a meeting in which this side did what no honest one does."""
    same(played.session.state, State.CLOSED)
    same(len(played.ends), 1)
    same(played.session.receive(b"\x81\x13", 1e9), [])
    for sent in played.out:
        same(isinstance(decode_message(sent.frame), Unknown), expected=False)
    bulk = sum(len(sent.frame) for sent in played.out if sent.bulk)
    if bulk > played.granted:
        raise DisagreementError(f"{bulk} bytes of bulk where {played.granted} were granted")
    if played.scene.verify is verify:
        _check_store(played.node)


def _check_store(node: Node) -> None:
    """Refuse a store that holds what nothing vouches for."""
    for log in now_run(node.store.logs()):
        key = (log.author, log.number)
        for piece in log.pieces:
            if log.fork is not None and piece.high == log.fork - 1:
                continue
            (last,) = now_run(node.store.read(key, piece.high, piece.high))
            same(verify(log.author, BLOCK_CONTEXT + last.raw, last.signature), expected=True)
