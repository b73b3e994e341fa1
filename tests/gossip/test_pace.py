"""Pace: frames are about as long as the link takes in a second, and nothing else changes by it."""

from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.cargo import Cargo
from gossip.control import MIN_FRAME_BYTES
from gossip.effects import Effect, End, Load, Send, Spans
from gossip.number import MAX_MESSAGE_BYTES
from gossip.outlet import FRAMES
from gossip.pace import FIRST_BYTES, LEAST_BYTES, Pace
from gossip.packing import MOST_WHOLE, Packer, unit_bytes
from gossip.serving import CHUNK_BLOCKS, TURN_BLOCKS
from gossip.shipping import _what_fits
from gossip.wire import Bodies, Data, Message, decode_message
from ledger.block import Block
from ledger.run import Run
from ledger.store.base import Batch
from tests.gossip.meetings import Meeting, Node, Side
from tests.gossip.test_outlet import outlet
from tests.gossip.test_packing import received, size_of, some_units, units_of
from tests.ledger.stores import live
from tests.strategies import Device, run_of, written

LIMIT = MAX_MESSAGE_BYTES
SHORT = FIRST_BYTES


def pace(*frames: tuple[int, float], limit: int = LIMIT) -> int:
    """How long the next frame may be after some of so many bytes took so many seconds."""
    made = Pace(limit)
    for size, seconds in frames:
        made.took(size, seconds)
    return made.size


# --- how long the next frame is -----------------------------------------------------------------


def test_a_fast_link_has_full_frames_after_three() -> None:
    assert pace() == 2_048
    assert pace((2_048, 0.0)) == 8_192
    assert pace((2_048, 0.25), (8_192, 0.25)) == 32_768
    assert pace((2_048, 0.0), (8_192, 0.0), (32_768, 0.25)) == LIMIT
    assert pace((2_048, 0.0), (8_192, 0.0), limit=MIN_FRAME_BYTES) == MIN_FRAME_BYTES


def test_a_frame_tells_of_no_more_than_four_times_its_length() -> None:
    assert pace((300, 0.0)) == 2_048
    assert pace((600, 0.0)) == 2_400
    assert pace((2_048, 0.0), (2_048, 0.0), (300, 0.0)) == 8_192


def test_a_link_that_takes_up_to_a_second_has_frames_as_they_are() -> None:
    assert pace((2_048, 0.26)) == pace((2_048, 1.0)) == 2_048


def test_a_slow_link_has_frames_of_a_second_and_not_below_a_kilobyte() -> None:
    assert pace((2_048, 1.28)) == 1_600
    assert pace((2_048, 2.0)) == pace((2_048, 100.0)) == LEAST_BYTES
    # one that was fast and is slow now has them at once
    assert pace((2_048, 0.0), (8_192, 0.0), (32_768, 8.0)) == 4_096
    # and what is slow may become fast again
    assert pace((2_048, 2.0), (1_024, 0.1)) == 4_096


def test_no_frame_makes_the_next_one_longer_by_being_late() -> None:
    assert pace((2_048, 2.0), (16_000, 2.0)) == LEAST_BYTES


# --- frames as they go out ----------------------------------------------------------------------


def going(cargo: Cargo, rate: float) -> list[int]:
    """Let a link take a cargo at so many bytes a second; return how long its frames are."""
    made, sizes, in_link = outlet(), list[int](), list[int]()
    talk = made._talk
    talk.frame = LIMIT
    made.begin(1 << 40, None)
    cargo._packer._pace = made.pace
    made.load(3, cargo)
    made.pump()
    while not made.is_empty:
        sent = [len(one.frame) for one in talk.take_effects() if isinstance(one, Send)]
        sizes += sent
        in_link += sent
        assert len(in_link) <= FRAMES
        talk.now += in_link.pop(0) / rate
        made.sent()
        made.pump()
    return sizes


def cargo(units: Sequence[list[Block]]) -> Cargo:
    return Cargo(Packer(), [(unit, 0) for unit in units])


def signed_alone(count: int, text: str = "x" * 300) -> list[list[Block]]:
    return [[block] for block in written(count, text=text)]


@pytest.mark.parametrize(
    ("rate", "frames", "longest"),
    [(1e9, 6, LIMIT), (10_000.0, 19, 8_192), (1_000.0, 198, 2_048), (100.0, 198, 2_048)],
)
def test_the_slower_the_link_the_shorter_are_the_frames(
    rate: float, frames: int, longest: int
) -> None:
    # given 200 posts of 513 bytes, each with its signature
    sizes = going(cargo(signed_alone(200)), rate)
    assert len(sizes) == frames
    assert max(sizes) <= longest
    # the first of them is as long on any link
    assert SHORT - 530 < sizes[0] <= SHORT


def test_10_000_blocks_take_two_frames_more_than_if_the_link_were_known() -> None:
    blocks = run_of(written(10_000, text="t" * 164)).blocks
    sizes = going(cargo(units_of(blocks)), 1e9)
    # the headers of the first 64, their bodies in two, and three units of 64 in each of the others
    assert len(sizes) == 53 + 2
    assert sum(sizes) <= 1.03 * size_of(blocks)


def test_no_second_frame_is_made_before_the_first_tells_how_long_it_may_be() -> None:
    made = outlet()
    made._talk.frame = LIMIT
    made.begin(1 << 40, None)
    made.load(3, Cargo(Packer(LIMIT, made.pace), [(one, 0) for one in signed_alone(40)]))
    made.pump()
    made.pump()
    (first,) = made._talk.take_effects()
    made.sent()
    made.pump()
    more = made._talk.take_effects()
    assert len(more) == FRAMES
    assert all(isinstance(one, Send) for one in (first, *more))
    assert isinstance(first, Send)
    assert isinstance(more[0], Send)
    assert len(first.frame) <= SHORT < len(more[0].frame) <= 4 * SHORT


# --- units --------------------------------------------------------------------------------------


def packed(unit: Sequence[Block], size: int) -> list[Message]:
    """Return the messages of one unit where frames should have so many bytes."""
    speed = Pace(LIMIT)
    speed.size = size
    packer = Packer(LIMIT, speed)
    return [decode_message(raw) for raw in [*packer.add(unit, 0), *packer.flush()]]


def test_a_unit_twice_as_long_as_a_frame_goes_whole_and_a_longer_one_headers_first() -> None:
    (unit,) = units_of(run_of(written(20, text="x" * 300)).blocks)
    least = unit_bytes(unit, LIMIT) // MOST_WHOLE + 16
    (whole,) = packed(unit, least)
    assert isinstance(whole, Data)
    first, *rest = packed(unit, least - 32)
    assert isinstance(first, Data)
    assert [body for run in first.runs for _, _, body in run.blocks] == [None] * 20
    late = [one for message in rest if isinstance(message, Bodies) for one in message.bodies]
    assert [one.body for one in late] == [block.body for block in unit]


def test_a_block_goes_whole_on_any_link() -> None:
    (unit,) = signed_alone(1, "x" * 10_000)
    (message,) = packed(unit, LEAST_BYTES)
    assert isinstance(message, Data)
    assert message.runs[0].blocks[0][2] == unit[0].body


def test_a_budget_has_room_for_bodies_that_travel_alone() -> None:
    (unit,) = units_of(run_of(written(20, text="x" * 300)).blocks)
    for room in range(0, 2 * size_of(unit), 97):
        fitting, size = _what_fits(unit, room)
        assert size <= room
        for frame in (LEAST_BYTES, SHORT, 8_192, LIMIT):
            speed = Pace(LIMIT)
            speed.size = frame
            packer = Packer(LIMIT, speed)
            frames = [*packer.add(fitting, 0), *packer.flush()] if fitting else []
            assert sum(map(len, frames)) <= size


# --- whatever the pace --------------------------------------------------------------------------

SECONDS = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.5, 4.0, 20.0])


def taken(units: Sequence[tuple[list[Block], int]], times: Sequence[float]) -> Iterator[bytes]:
    """Yield the frames of a cargo whose link takes each in another time."""
    speed = Pace(LIMIT)
    made = Cargo(Packer(LIMIT, speed), units)
    for number in range(10_000):
        if (frame := made.take()) is None:
            return
        yield frame
        speed.took(len(frame), times[number % len(times)])
    raise AssertionError("it goes on and on")


@given(units=some_units(), times=st.lists(SECONDS, min_size=1, max_size=12))
def test_whatever_the_pace_everything_arrives_and_no_frame_is_too_long(
    units: list[tuple[list[Block], int]], times: list[float]
) -> None:
    units.sort(key=lambda unit: unit[0][0].header.seq)
    frames = list(taken(units, times))
    assert all(len(frame) <= LIMIT for frame in frames)
    # every run ends on a signature, every body follows its header, and all of them are there
    store = live(received(frames))
    sent = {block.id: block.body for unit, _ in units for block in unit}

    async def held() -> dict[bytes, bytes | None]:
        return {e.block.id: e.block.body async for page in store.entries() for e in page}

    assert live(held()) == sent


class Uneven(Meeting):
    """A meeting whose link takes each frame of bulk in another time.

    Attributes:
        read: How many blocks were read at once, each time.
    """

    def __init__(self, left: Node, right: Node, times: Sequence[float]) -> None:
        super().__init__(left, right)
        self.times = times
        self.taken = 0
        self.read: list[int] = []

    @override
    def _carry_out(self, end: Side, effects: Iterable[Effect]) -> None:
        some = list(effects)
        for one in some:
            if isinstance(one, Load) and isinstance(one.query, Spans):
                self.read.append(sum(span.high - span.low + 1 for span in one.query.spans))
        super()._carry_out(end, some)

    @override
    def step(self) -> bool:
        """What was sent is there, stored and answered before the link takes more."""
        left, right = self.ends
        if self._deliver(right, left) or self._answer(right):
            return True
        return self._deliver(left, right) or self._answer(left)

    @override
    def _answer(self, end: Side) -> bool:
        if end.pending and isinstance(end.pending[0], Send):
            self.now += self.times[self.taken % len(self.times)]
            self.taken += 1
        return super()._answer(end)


@given(
    times=st.lists(SECONDS, min_size=1, max_size=8), signed=st.booleans(), size=st.integers(0, 900)
)
def test_whatever_the_pace_two_become_equal_in_one_meeting_and_get_nothing_twice(
    times: list[float], size: int, *, signed: bool
) -> None:
    device, left, right = Device(10, 10), Node(1), Node(2)
    log = device.write_many(150, "x" * size)
    left.absorb(Batch(runs=[Run((device.root,)), Run(tuple(log)) if signed else run_of(log)]))
    meeting = Uneven(left, right, times)
    meeting.run()
    assert right.frontier() == left.frontier()
    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    messages = meeting.messages(0)
    late = [one.seq for m in messages if isinstance(m, Bodies) for one in m.bodies]
    assert len(set(late)) == len(late)
    assert meeting.ends[1].session.counts.blocks_in == 151


# --- what else keeps to it ----------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "most"), [(0.0, CHUNK_BLOCKS), (5.0, TURN_BLOCKS)])
def test_on_a_slow_link_fewer_blocks_are_read_ahead(seconds: float, most: int) -> None:
    device, left = Device(10, 10), Node(1)
    log = run_of(device.write_many(600)).blocks
    left.hold([device.root], log)
    meeting = Uneven(left, Node(2), [seconds])
    meeting.run()
    newest, *older = meeting.read
    assert newest == 2 * TURN_BLOCKS
    assert set(older) == {most}
