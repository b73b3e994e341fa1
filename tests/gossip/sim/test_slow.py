"""Slow links: what is sent arrives, in one long contact or in many that are cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from gossip.effects import End
from gossip.outlet import FRAMES
from gossip.pace import FIRST_BYTES, LEAST_BYTES
from gossip.sim.air import FRAME_BYTES, Air
from gossip.sim.node import POSTS, finished
from gossip.sim.world import Plan, World
from gossip.wire import Bodies, Data, decode_message
from ledger.run import Run
from ledger.store.base import Batch
from tests.gossip.sim.places import give, place
from tests.strategies import Device

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.sim.node import Node
    from gossip.wire import Message

pytestmark = pytest.mark.slow

COUNT = 200
TEXT = "x" * 300
RATES = [300.0, 1_000.0, 2_000.0, 3_000.0]


def write(number: int = 20, count: int = COUNT, text: str = TEXT) -> Device:
    device = Device(number, number)
    device.write_many(count, text)
    return device


def give_signed(node: Node, device: Device) -> None:
    """Have a node hold a device's logs with every signature, as their author does."""
    runs = [Run(tuple(blocks)) for _, blocks in sorted(device.logs.items())]
    node.keep(Batch(runs=runs), 0.0, durable=True)


def hold(node: Node, device: Device, *, signed: bool) -> None:
    (give_signed if signed else give)(node, device)


def came(world: World, device: Device) -> tuple[int, int]:
    """How many posts of a device the second node holds, and how many bodies of them."""
    rows = finished(world.nodes[1]._store.read((device.public, POSTS), 1, COUNT))
    return len(rows), sum(block.body is not None for block in rows)


def on_air(world: World) -> float:
    """Bytes on air, in parts of those that were of use."""
    useful = world.first.useful + world.later.useful
    return (world.first.air + world.later.air) / useful


def has_bodies(message: Message) -> bool:
    if isinstance(message, Data):
        return any(body is not None for run in message.runs for _, _, body in run.blocks)
    return isinstance(message, Bodies)


class Timed(World):
    """A world that notes how long each frame with bodies of the first node is."""

    def __init__(self, seconds: float, rate: float) -> None:
        super().__init__(place(2, (0, seconds, 0, 1)), [], Plan(air=Air(rate=rate)))
        self.sizes: list[int] = []

    @override
    def _spoken(self, node: Node, frame: bytes) -> Iterable[bytes]:
        if node.number == 0 and has_bodies(decode_message(frame)):
            self.sizes.append(len(frame) + FRAME_BYTES)
        return super()._spoken(node, frame)


# --- one long contact ---------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("rate", RATES)
def test_on_a_slow_link_everything_arrives_in_one_meeting(rate: float, *, signed: bool) -> None:
    device, world = write(), Timed(2_000 if rate < 1_000 else 1_000, rate)
    hold(world.nodes[0], device, signed=signed)
    world.run()
    assert came(world, device) == (COUNT, COUNT)
    # nobody gave up, and hardly a byte was sent in vain
    assert world.endings == {End.LOST: 2}
    assert world.first.blocks == world.first.new == COUNT + 3  # and three device blocks
    assert on_air(world) <= 1.25
    # no frame with bodies takes longer than two seconds, once the link is known
    assert max(world.sizes) <= max(FIRST_BYTES, 2 * rate) + FRAME_BYTES
    assert max(world.sizes[FRAMES + 1 :]) <= max(LEAST_BYTES, 2 * rate) + FRAME_BYTES


def test_large_posts_are_sent_once() -> None:
    # given posts of 8 kB, of which every 64th and the last are signed
    device, world = write(count=20, text="x" * 8_000), Timed(1_000, 1_000.0)
    give(world.nodes[0], device)
    world.run()
    assert came(world, device) == (20, 20)
    assert on_air(world) <= 1.05


@pytest.mark.parametrize(("rate", "seconds"), [(1_000.0, 2_000), (300.0, 3_000)])
def test_two_who_share_one_radio_and_have_much_to_give_do_not_give_each_other_up(
    rate: float, seconds: float
) -> None:
    world = World(place(2, (0, seconds, 0, 1)), [], Plan(air=Air(rate=rate, radio=True)))
    for number in range(24):
        give(world.nodes[number % 2], write(20 + number, 60))
    world.run()
    assert world.nodes[0].held() == world.nodes[1].held()
    assert sum(world.nodes[0].held().values()) == 24 * 61 + 2
    assert world.endings == {End.LOST: 2}
    assert on_air(world) <= 1.25


def test_a_page_whose_logs_take_long_does_not_end_the_meeting() -> None:
    # given more logs than fit two pages, and blocks that take minutes for each page
    world = World(place(2, (0, 1_000, 0, 1)), [], Plan(air=Air(rate=1_000.0)))
    for number in range(300):
        give(world.nodes[0], write(20 + number, 2))
    world.run()
    assert sum(world.nodes[1].held().values()) == 300 * 3 + 2
    assert world.endings == {End.LOST: 2}


# --- contacts that are cut ----------------------------------------------------------------------


def visits(rate: float, count: int, device: Device, *, signed: bool) -> list[tuple[int, int]]:
    """Let two meet for 15 s every minute; return what the second holds after each time."""
    contacts = [(60.0 * at, 60.0 * at + 15.0, 0, 1) for at in range(count)]
    world, held = World(place(2, *contacts), [], Plan(air=Air(rate=rate))), [(0, 0)]
    hold(world.nodes[0], device, signed=signed)
    for at in range(1, count):
        world._agenda.at(60.0 * at, lambda: held.append(came(world, device)))
    world.run()
    return [*held, came(world, device)]


@pytest.mark.parametrize(
    ("rate", "most", "signed"),
    [
        (300.0, 41, True),
        (1_000.0, 12, True),
        (1_000.0, 12, False),
        (2_000.0, 6, True),
        (2_000.0, 6, False),
        (3_000.0, 4, True),
        (3_000.0, 4, False),
    ],
)
def test_each_contact_that_is_cut_brings_something_until_all_is_there(
    rate: float, most: int, *, signed: bool
) -> None:
    held = visits(rate, most, write(), signed=signed)
    needed = held.index((COUNT, COUNT))
    assert needed <= most
    for before, after in pairwise(held[: needed + 1]):
        assert before < after


def test_what_travelled_in_short_runs_travels_on_in_short_runs() -> None:
    # given one who got a log over a slow link, and so holds a signature every few blocks
    device, world = write(), Timed(2_000, 300.0)
    give_signed(world.nodes[0], device)
    world.run()
    rows = finished(world.nodes[1]._store.read((device.public, POSTS), 1, COUNT))
    signed = [block.header.seq for block in rows if block.signature]
    assert max(b - a for a, b in pairwise([0, *signed])) <= 4
