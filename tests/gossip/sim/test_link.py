"""Links: one frame after the other, at a rate, and nothing after the contact's end."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.effects import Spans
from gossip.session import Session
from gossip.sim.agenda import Agenda
from gossip.sim.air import FRAME_BYTES, Air, useful_bytes
from gossip.sim.node import POSTS
from gossip.sim.workload import Post
from gossip.sim.world import Plan, World
from ledger.run import Run
from ledger.store.base import Absorbed, Arrival, Batch, LateBody, Span, What
from tests.gossip.sim.places import arrivals, place, ran
from tests.strategies import Device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gossip.sim.agenda import Deed
    from gossip.sim.node import Node
    from gossip.sim.trace import Trace
    from ledger.block import Block

PAIR = place(2, (0, 100, 0, 1))


class Heard(World):
    """A world that notes every frame: when, by whom, how long with its length.

    Attributes:
        frames: In the order in which they were given to a link.
    """

    def __init__(self, trace: Trace, posts: Sequence[Post], plan: Plan) -> None:
        super().__init__(trace, posts, plan)
        self.frames: list[tuple[float, int, int]] = []
        self.run()

    @override
    def _spoken(self, node: Node, frame: bytes) -> Iterable[bytes]:
        self.frames.append((self._agenda.now, node.number, len(frame) + FRAME_BYTES))
        return super()._spoken(node, frame)


def test_every_frame_is_counted_with_its_length() -> None:
    world = Heard(PAIR, [Post(0.0, 0), Post(50.0, 1)], Plan())
    assert world.first.frames == len(world.frames)
    assert world.first.air == sum(size for _, _, size in world.frames)
    assert (world.first.links, world.later.links) == (1, 0)


@pytest.mark.parametrize("rate", [None, 10_000.0])
def test_what_was_new_to_its_receiver_was_of_use(rate: float | None) -> None:
    world = ran(PAIR, [Post(0.0, 0)], Plan(air=Air(rate=rate)))
    keys = [(world.nodes[0].peer.device, 0), (world.nodes[0].peer.device, POSTS)]
    keys.append((world.nodes[1].peer.device, 0))
    answer = world.nodes[0].answer(Spans(tuple(Span(key, 1, 1) for key in keys)))
    blocks = [block for row in cast("list[list[Block]]", answer) for block in row]
    assert len(blocks) == 3
    assert world.first.useful == sum(map(size_of, blocks))


def size_of(block: Block) -> int:
    return len(block.raw) + len(block.signature) + len(block.body or b"")


def test_a_slow_link_takes_as_long_as_its_bytes_do() -> None:
    """Once all is equal, a post is told, asked for and sent, each when the one before is there."""
    world = Heard(PAIR, [Post(50.0, 0)], Plan(air=Air(setup=5.0, rate=1_000.0, latency=0.25)))
    told, asked, sent = [frame for frame in world.frames if frame[0] >= 50.0][:3]
    assert [told[1], asked[1], sent[1]] == [0, 1, 0]
    steps = [told[0]]
    for _, _, size in (told, asked, sent):
        steps.append(steps[-1] + size / 1_000 + 0.25)
    assert [told[0], asked[0], sent[0]] == steps[:3]
    assert arrivals(world) == {(0, 1): steps[3]}


def test_frames_of_one_side_go_one_after_the_other() -> None:
    """Of a post that is written while another is being sent one hears when that is through."""
    plan = Plan(air=Air(setup=5.0, rate=100.0))
    alone = Heard(PAIR, [Post(50.0, 0)], plan)
    (sent,) = [frame for frame in alone.frames if frame[0] > 50.0 and frame[2] > 300]
    world = Heard(PAIR, [Post(50.0, 0), Post(sent[0] + 1.0, 0)], plan)
    (told,) = [frame for frame in world.frames if frame[0] == sent[0] + 1.0]
    heard = sent[0] + sent[2] / 100.0 + told[2] / 100.0
    assert told[1] == 0
    assert (heard, 1) in [frame[:2] for frame in world.frames]


def test_a_frame_that_is_still_under_way_at_the_end_is_lost_and_counted() -> None:
    trace = place(2, (0, 10, 0, 1))
    world = ran(trace, [], Plan(air=Air(setup=5.0, rate=5.0)))
    assert world.first.frames == 2
    assert world.first.useful == 0


def test_a_frame_arrives_at_the_last_moment_of_a_contact() -> None:
    trace = place(2, (0, 10, 0, 1))
    assert arrivals(ran(trace, [Post(10.0, 0)])) == {(0, 1): 10.0}


def test_two_who_are_still_near_open_another_link() -> None:
    """Neither stays once all is equal, and news wait for the next link."""
    plan = Plan(live=False, again=20.0)
    world = ran(PAIR, [Post(30.0, 0)], plan)
    assert arrivals(world) == {(0, 1): 45.0}
    assert (world.first.links, world.later.links) == (1, 4)


def test_the_agenda_keeps_the_order_of_time_and_what_is_last_comes_last() -> None:
    agenda = Agenda()
    done: list[str] = []

    def say(word: str, then: Callable[[Deed], None], deed: Deed) -> None:
        done.append(word)
        then(deed)

    agenda.at(2.0, lambda: done.append("end"), last=True)
    same = partial(agenda.at, 2.0)
    agenda.at(2.0, lambda: say("two", same, lambda: done.append("also")))
    agenda.at(1.0, lambda: say("one", agenda.at_once, lambda: done.append("then")))
    agenda.at(1.0, lambda: agenda.when_settled(lambda: done.append("settled")))
    agenda.at(3.5, lambda: done.append("never"))
    while agenda.step(3.0):
        pass
    assert done == ["one", "then", "settled", "two", "also", "end"]
    assert agenda.now == 2.0


@given(st.lists(st.floats(-1, 10), max_size=20))
def test_time_never_goes_back(moments: list[float]) -> None:
    agenda, seen = Agenda(), []
    for moment in moments:
        agenda.at(moment, lambda: seen.append(agenda.now))
    while agenda.step(10.0):
        pass
    assert seen == sorted(max(moment, 0.0) for moment in moments)


def test_of_a_batch_only_what_was_new_is_of_use() -> None:
    device = Device(1)
    blocks = device.write_many(3)
    batch = Batch(
        runs=[Run(tuple(blocks))], bodies=[LateBody(device.public, POSTS, 9, b"late body")]
    )
    arrived = [
        Arrival(1, What.BLOCKS, device.public, POSTS, 2, 3, 0, 0),
        Arrival(2, What.BODIES, device.public, POSTS, 9, 9, 0, 0),
        Arrival(3, What.JOINED, device.public, POSTS, 1, 3, 0, 0),
    ]
    sizes = list(map(size_of, blocks))
    assert useful_bytes(batch, Absorbed(arrivals=arrived)) == sum(sizes[1:]) + len(b"late body")
    assert useful_bytes(batch, Absorbed()) == 0


def test_what_was_of_a_link_is_freed_once_it_is_no_more() -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(type(one) is Session for one in gc.get_objects())
        world = ran(place(2, (0, 50, 0, 1), (60, 100, 0, 1), (200, 210, 0, 1)), [Post(0.0, 0)])
        left = sum(type(one) is Session for one in gc.get_objects())
    finally:
        gc.enable()
    assert (world.first.links + world.later.links, left - before) == (3, 0)
