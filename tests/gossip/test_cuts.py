"""A meeting may be cut anywhere, and the next one finishes it as if nothing had happened.

A frame arrives whole or not at all, so cutting between any two things that happen is cutting at
every byte. A cut is of one of two sorts: the link dies and each side stores what came, or both
devices lose power and only what was stored is left.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import settings

from gossip.policy import Limits
from gossip.wire import Bodies, Data, decode_message
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from tests.gossip.meetings import Node
from tests.gossip.test_invariants import Watched, WatchedMeeting, hold_meeting, passable
from tests.gossip.worlds import Author, Fork, copies, statement
from tests.strategies import Device, forked, make_body, material, written

FRAME = 24_000
PAGE = 4
SMALL = Limits(frame=FRAME, window=70_000, page=PAGE, newest=20, newest_above=100)
Pair = tuple[Watched, Watched]
Act = Callable[[Pair], object]
Acts = deque[Act]


@dataclass(frozen=True)
class Scene:
    """Two nodes that meet, and what they do meanwhile once all is equal."""

    make: Callable[[], Pair]
    contacts: bool = True
    live: bool = False
    acts: tuple[Act, ...] = ()


def two(left: MemoryStore | None = None, right: MemoryStore | None = None) -> Pair:
    known = dict[bytes, Node]()
    return (
        Watched(0, known=known, store=left, limits=SMALL),
        Watched(1, known=known, store=right, limits=SMALL),
    )


def first_meeting() -> Pair:
    left, right = two()
    for number in range(10, 14):
        left.hold([Device(number).root], written(70, number=number)[: number * 5 - 40])
    right.hold(written(70, number=10)[:65])
    right.hold([Device(17).root], written(150, number=17))
    right.absorb(Batch(revocations=[statement(Author(10, social=1, revoked=1))]))
    return left, right


def news() -> Pair:
    left, right = two()
    for number in range(10, 22):
        left.hold_device(Device(number, number))
    hold_meeting(left, right)
    for number in range(10, 22):
        (left if number % 3 else right).hold(written(40, number=number))
    return left, right


def a_forked_log() -> Pair:
    left, right = two()
    author = Author(10, social=100, fork=Fork(1, 70, (30, 3, 70)))
    here, there, third = copies(author)
    left.hold(here.logs[0], here.logs[1])
    right.hold(there.logs[0], there.logs[1])
    right.hold(third.logs[1])
    one, other = forked(1, 2, 3, number=11)
    left.hold(Device(11).logs[0], one)
    right.hold(other)
    return left, right


def late_bodies() -> Pair:
    left, right = two()
    device = Device(10, 10)
    for number in range(40):
        device.write(body=make_body("long", None, [], bytes(2_000), time=number))
    left.hold_device(device)
    right.hold(device.logs[0], [b._replace(body=None) for b in device.logs[1][:20]])
    return left, right


def nothing_yet() -> Pair:
    left, right = two()
    right.hold([Device(10).root], written(30, number=10))
    return left, right


LIVE: tuple[Act, ...] = (
    lambda pair: pair[0].write("hello"),
    lambda pair: pair[1].write("hello to you"),
    lambda pair: pair[1].hold([Device(11).root], written(90, number=11)),
    lambda pair: pair[0].hold(forked(2, 2, 2, number=11)[1]),
)
SCENES = {
    "contacts meet first": Scene(first_meeting),
    "strangers meet": Scene(first_meeting, contacts=False),
    "contacts have news": Scene(news),
    "a log is forked": Scene(a_forked_log),
    "strangers see a fork": Scene(a_forked_log, contacts=False),
    "bodies come late": Scene(late_bodies),
    "contacts stay": Scene(nothing_yet, live=True, acts=LIVE),
    "strangers stay": Scene(nothing_yet, contacts=False, live=True, acts=LIVE),
}


def happenings(pair: Pair, meeting: WatchedMeeting, acts: Acts) -> Iterator[None]:
    """Hold a meeting, pausing before all that happens; ``acts`` are struck off once done."""
    meeting.start()
    while True:
        yield
        if meeting.step() or meeting.is_cut:
            continue
        due = [at for end in meeting.ends if (at := end.session.next_tick()) is not None]
        if due:
            meeting.now = max(meeting.now, min(due))
            for end in meeting.ends:
                meeting._carry_out(end, end.session.tick(meeting.now))
        elif acts:
            acts.popleft()(pair)
        else:
            return


def end(pair: Pair, *, contacts: bool, swapped: bool = False) -> tuple[WatchedMeeting, object]:
    """Hold the meeting that finishes it; return how both then stand."""
    left, right = pair
    last = hold_meeting(
        *((right, left) if swapped else pair), contacts=contacts, binding=material("afterwards")
    )
    assert left.frontier() == right.frontier()
    shared = {key: passable(left, key) for key in left.ids()}
    assert shared == {key: passable(right, key) for key in right.ids()}
    return last, (left.frontier(), shared)


@cache
def stores(name: str) -> tuple[MemoryStore, MemoryStore]:
    left, right = SCENES[name].make()
    return left.store, right.store


def begin(name: str) -> tuple[Pair, WatchedMeeting]:
    scene, (left, right) = SCENES[name], stores(name)
    pair = two(left.copy(), right.copy())
    return pair, WatchedMeeting(*pair, contacts=scene.contacts, live=scene.live)


@cache
def uncut(name: str) -> tuple[object, int]:
    """Return how a scene ends if nothing is cut, and how much happens in it."""
    pair, meeting = begin(name)
    count = sum(1 for _ in happenings(pair, meeting, deque(SCENES[name].acts)))
    meeting.sever()
    return end(pair, contacts=SCENES[name].contacts)[1], count


def cut(name: str, after: int, *, power: bool) -> tuple[Pair, WatchedMeeting]:
    """Hold a meeting until it is cut after so many happenings; do then what was left to do."""
    (pair, meeting), acts = begin(name), deque(SCENES[name].acts)
    for number, _ in enumerate(happenings(pair, meeting, acts)):
        if number == after:
            break
    if power:
        for side, node in zip(meeting.ends, pair, strict=True):
            side.stop_listening()
            node.reopen(node.store.copy())
    else:
        meeting.sever()
    for act in acts:
        act(pair)
    return pair, meeting


def again(side: int, first: WatchedMeeting, second: WatchedMeeting, *, swapped: bool) -> int:
    """Return how many bytes of blocks and bodies a node received that had come before."""
    came: set[bytes] = set()
    twice = 0
    for frame in [*first.came[side], *second.came[side ^ swapped]]:
        for part in parts(frame):
            twice += len(part) if part in came else 0
            came.add(part)
    return twice


def parts(frame: bytes) -> Iterator[bytes]:
    """Yield the headers and bodies in a frame."""
    match decode_message(frame):
        case Data(runs):
            for raw, _, body in (block for run in runs for block in run.blocks):
                yield raw
                yield from () if body is None else (body,)
        case Bodies(late):
            yield from (one.body for one in late)
        case _:
            pass


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("power", [False, True], ids=["the link dies", "the power goes"])
def test_what_was_cut_is_finished_by_another_meeting(name: str, power: bool) -> None:  # noqa: FBT001
    whole, count = uncut(name)
    usual = settings().max_examples <= 200

    for after in range(0, count, 2 if power and usual else 1):
        pair, first = cut(name, after, power=power)
        contacts, swapped = after & 2 == 0, after % 5 == 1
        second, state = end(pair, contacts=contacts, swapped=swapped)
        assert state == whole, f"cut after {after} of {count}"
        if after % 16 == 0:
            pair[0].is_sound()
            pair[1].is_sound()
        if not power:
            assert again(0, first, second, swapped=swapped) <= FRAME
            assert again(1, first, second, swapped=swapped) <= FRAME
