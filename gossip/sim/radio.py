"""What frames wait for: a radio does one thing at a time.

By default each direction of a link has a radio of its own, so that a node beside twenty others
moves twenty times as much. With one radio a node its links share the rate, and half duplex: phones
send and receive by turns on one channel, over Bluetooth LE and over WiFi, so a frame keeps both its
sender's and its receiver's radio busy. Two pairs beside each other do not disturb one another.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from gossip.sim.air import FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.sim.agenda import Agenda, Deed
    from gossip.sim.air import Air


class Radio:
    """Something that is busy with one frame at a time."""

    def __init__(self) -> None:
        self.is_busy = False
        self._waiting: dict[Lane, None] = {}

    def wait(self, lane: Lane) -> None:
        """Have a lane begin its next frame when it is its turn: who waits longest goes first."""
        self._waiting[lane] = None

    def leave(self, lane: Lane) -> None:
        """Forget that a lane waits."""
        self._waiting.pop(lane, None)

    def take(self) -> None:
        """Be busy from now on."""
        self.is_busy = True

    def free(self) -> None:
        """Be free from now on; ``turn`` is due."""
        self.is_busy = False

    def turn(self) -> None:
        """Have whoever can begin now do so."""
        for lane in list(self._waiting):
            if self.is_busy:
                return
            lane.begin()


class _Frame(NamedTuple):
    raw: bytes
    taken: Deed | None


class _Flight(NamedTuple):
    begins: float
    arrives: float
    raw: bytes


class Lane:
    """One direction of a link: one frame after the other, at a rate.

    Args:
        agenda: The world's clock.
        air: How bytes travel.
        radios: What a frame keeps busy.
        arrived: Told frames that have arrived, those of one moment together.
        count: Told a frame that was on the air in vain.
    """

    def __init__(
        self,
        agenda: Agenda,
        air: Air,
        radios: Sequence[Radio],
        *,
        arrived: Callable[[list[bytes]], None],
        count: Callable[[bytes], None],
    ) -> None:
        self._agenda = agenda
        self._air = air
        self._radios = radios
        self._arrived = arrived
        self._count = count
        self._waiting: deque[_Frame] = deque()
        self._under_way: deque[_Flight] = deque()
        self._sending: _Frame | None = None
        self._last: Deed | None = None

    def send(self, raw: bytes, taken: Deed | None = None) -> None:
        """Send a frame after those before it; ``taken`` is called once the radio is through."""
        if self._air.rate is None:
            self._fly(raw, self._agenda.now)
            if taken is not None:
                self._agenda.at_once(taken)
            return
        self._waiting.append(_Frame(raw, taken))
        if self._sending is None and len(self._waiting) == 1:
            self._await_turn()

    def finish(self, deed: Deed) -> None:
        """Do ``deed`` once all that was sent has arrived."""
        if self._waiting:
            self._last = deed
            return
        arrives = self._under_way[-1].arrives if self._under_way else self._agenda.now
        self._agenda.at(arrives, deed, last=True)

    def lose(self) -> None:
        """Lose what is under way; what was begun was on the air all the same."""
        for flight in self._under_way:
            if flight.begins < self._agenda.now:
                self._count(flight.raw)
        self._under_way.clear()
        self._waiting.clear()
        for radio in self._radios:
            radio.leave(self)
        self._free()

    # --- the radio ---

    def _await_turn(self) -> None:
        for radio in self._radios:
            radio.wait(self)
        self.begin()

    def begin(self) -> None:
        """Begin the next frame if every radio that it needs is free."""
        if any(radio.is_busy for radio in self._radios):
            return
        frame = self._sending = self._waiting.popleft()
        now, rate = self._agenda.now, self._air.rate or 1.0
        ends = now + (len(frame.raw) + FRAME_BYTES) / rate
        for radio in self._radios:
            radio.leave(self)
            radio.take()
        self._fly(frame.raw, ends)
        if self._last is not None and not self._waiting:
            self.finish(self._last)
        self._agenda.at(ends, lambda: self._through(frame))

    def _through(self, frame: _Frame) -> None:
        if self._sending is not frame:
            return
        self._free()
        if frame.taken is not None:
            frame.taken()

    def _free(self) -> None:
        """Let go of the radios; whoever waited longer than this lane goes first."""
        if self._sending is None:
            return
        self._sending = None
        for radio in self._radios:
            radio.free()
            if self._waiting:
                radio.wait(self)
            self._agenda.at_once(radio.turn)

    # --- the way ---

    def _fly(self, raw: bytes, ends: float) -> None:
        self._under_way.append(_Flight(self._agenda.now, ends + self._air.latency, raw))
        if len(self._under_way) == 1:
            self._await_arrival()

    def _await_arrival(self) -> None:
        arrives = self._under_way[0].arrives
        if arrives > self._agenda.now:
            self._agenda.at(arrives, self._arrive)
        else:
            self._agenda.at_once(self._arrive)

    def _arrive(self) -> None:
        """Hand over what is there."""
        now, under_way, there = self._agenda.now, self._under_way, list[bytes]()
        while under_way and under_way[0].arrives <= now:
            there.append(under_way.popleft().raw)
        self._arrived(there)
        if under_way:
            self._await_arrival()
