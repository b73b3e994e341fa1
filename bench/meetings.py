"""A whole meeting in one process, both engines and both stores, and where its time goes.

No link and no clock: frames are handed over as they are, time passes when nothing else can
happen. Frames wait while a store works, as they do in a link that is faster than the receiver.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gossip.control import Want
from gossip.effects import End, Finish, Keep, Load, Send
from gossip.number import Number
from gossip.session import Session
from gossip.talk import Setting
from gossip.wire import decode_message
from ledger.keys import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.nodes import Node
    from gossip.effects import Effect
    from gossip.policy import Peer
    from ledger.store.base import LogKey

PARTS: Final = {
    Number.DATA: "decode, hash, verify",
    Number.NEW: "mentions taken",
    Number.VECTOR: "mentions taken",
    Number.ANNOUNCE: "mentions taken",
    Number.BUCKETS: "digests and mentions told",
    Number.ROOT: "digests and mentions told",
    Number.WANT: "wants taken",
}
"""What a session mostly does when such a message comes."""


class Parts:
    """CPU seconds by part, each without what is inside of it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done in the context as ``name``."""
        before, self._inner, begun = self._inner, 0.0, time.process_time()
        try:
            yield
        finally:
            whole = time.process_time() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + whole - self._inner
            self._inner = before + whole


class Checked:
    """Checks signatures and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether ``signature`` holds."""
        self.count += 1
        return verify(public, message, signature)


@dataclass(slots=True)
class Side:
    """One side of a meeting.

    Attributes:
        node: Whose.
        session: Its engine.
        out: Frames on their way, each with the one-way trips that had to end before its own does.
        work: What is to be done for the session.
        sent: All frames it sent.
        trips: One-way trips behind what it knows.
        finish: How it ended.
        loads: How often its store was read.
        keeps: How many batches it stored.
    """

    node: Node
    session: Session
    out: deque[tuple[bytes, int]] = field(default_factory=deque)
    work: deque[Effect] = field(default_factory=deque)
    sent: list[bytes] = field(default_factory=list)
    trips: int = 0
    finish: Finish | None = None
    loads: int = 0
    keeps: int = 0


class Meeting:
    """Two nodes that meet.

    Args:
        left: One node, which opens the link.
        right: The other.
        contacts: Whether they recognise each other.

    Attributes:
        parts: Where the time went.
        checked: Signatures that were verified, on both sides.
        trips: One-way trips that had to be made one after the other.
    """

    def __init__(self, left: Node, right: Node, *, contacts: bool) -> None:
        self.parts = Parts()
        self.checked = Checked()
        self.trips = 0
        self._now = 0.0
        peers = (right.peer, left.peer) if contacts else (None, None)
        self.sides: list[Side] = []
        for node, peer in zip((left, right), peers, strict=True):
            self.sides.append(self._side(node, peer))

    def _side(self, node: Node, peer: Peer | None) -> Side:
        held = node.holdings
        setting = Setting(
            held.catalogue,
            held.claims,
            held.policy,
            bytes(range(32)),
            is_initiator=not self.sides,
            peer=peer,
            seen=node.seen if peer else None,
            verify=self.checked,
            secret=held.policy.device,
        )
        return Side(node, Session(setting))

    async def hold(self) -> Meeting:
        """Hold the meeting to its end.

        Raises:
            RuntimeError: It did not end well.
        """
        forget = [side.node.holdings.listen(self._hears(side)) for side in self.sides]
        for side in self.sides:
            with self.parts.part("rest"):
                self._carry_out(side, side.session.start(self._now))
        while not all(side.finish for side in self.sides):
            if not await self._step():
                self._wait()
        while await self._step():
            pass
        for stop in forget:
            stop()
        ends = {side.finish.end for side in self.sides if side.finish}
        if ends - {End.DONE, End.LOST}:
            raise RuntimeError(f"a meeting that ended {ends}")
        return self

    def _hears(self, side: Side) -> Callable[[Mapping[LogKey, bool]], None]:
        def hear(logs: Mapping[LogKey, bool]) -> None:
            with self.parts.part("news considered"):
                self._carry_out(side, side.session.changed(logs, self._now))

        return hear

    def _carry_out(self, side: Side, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                side.out.append((effect.frame, side.trips + 1))
                side.sent.append(effect.frame)
            if isinstance(effect, Finish):
                side.finish = effect
            elif not isinstance(effect, Send) or effect.bulk:
                side.work.append(effect)

    async def _step(self) -> bool:
        left, right = self.sides
        return (
            await self._work(left)
            or await self._work(right)
            or self._deliver(left, right)
            or self._deliver(right, left)
        )

    def _wait(self) -> None:
        due = [at for side in self.sides if (at := side.session.next_tick()) is not None]
        if due:
            self._now = max(self._now, min(due))
        for side in self.sides:
            over = not due or any(one.finish for one in self.sides)
            tick = side.session.stop(self._now, End.LOST) if over else side.session.tick(self._now)
            self._carry_out(side, tick)

    def _deliver(self, source: Side, target: Side) -> bool:
        if not source.out:
            return False
        frame, trips = source.out.popleft()
        target.trips = max(target.trips, trips)
        self.trips = max(self.trips, trips)
        with self.parts.part(PARTS.get(Number(frame[1]), "rest")):
            self._carry_out(target, target.session.receive(frame, self._now))
        if not source.out:
            with self.parts.part("rest"):
                self._carry_out(target, target.session.drained(self._now))
        return True

    async def _work(self, side: Side) -> bool:
        if not side.work:
            return False
        match side.work.popleft():
            case Send():
                with self.parts.part("blocks packed"):
                    self._carry_out(side, side.session.sent(self._now))
            case Load() as load:
                await self._load(side, load)
            case Keep() as keep:
                await self._keep(side, keep)
            case Finish():
                pass
        return True

    async def _load(self, side: Side, load: Load) -> None:
        side.loads += 1
        with self.parts.part("store read"):
            answer = await side.node.holdings.answer(load.query)
        with self.parts.part("blocks packed"):
            self._carry_out(side, side.session.loaded(load.ticket, answer, self._now))

    async def _keep(self, side: Side, keep: Keep) -> None:
        side.keeps += 1
        with self.parts.part("store absorb"):
            absorbed = await side.node.store.absorb(keep.batch, seen=0, durable=keep.durable)
        with self.parts.part("catalogue"):
            await side.node.holdings.learn(absorbed)
        with self.parts.part("stored, what next"):
            self._carry_out(side, side.session.kept(keep.ticket, absorbed, self._now))

    @property
    def round_trips(self) -> float:
        """How often one side had to wait for the other."""
        return self.trips / 2

    @property
    def payload(self) -> int:
        """Bytes of all messages both sides sent."""
        return sum(len(frame) for side in self.sides for frame in side.sent)

    @property
    def wants(self) -> int:
        """Requests of any sort."""
        messages = [decode_message(frame) for side in self.sides for frame in side.sent]
        return sum(len(one.requests) for one in messages if isinstance(one, Want))
