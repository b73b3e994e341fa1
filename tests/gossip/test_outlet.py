"""The way out: urgent first, two frames in the link, no byte beyond credit, ends after frames."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MAX_CLASS, Done, DoneRow, Mode, Reason
from gossip.effects import Send
from gossip.outlet import FRAMES, Outlet
from gossip.policy import Limits
from gossip.talk import Setting, Talk
from gossip.wire import decode_message
from tests.gossip.meetings import BINDING, Node

ENDLESS = 1 << 40


def outlet(window: int = ENDLESS, budget: int | None = None, send: int | None = None) -> Outlet:
    node = Node(1, limits=Limits(send=send))
    setting = Setting(node.holdings.catalogue, node.holdings.claims, node.policy, BINDING)
    made = Outlet(Talk(setting, 1))
    made.begin(window, budget)
    return made


def frame(rank: int, number: int, size: int = 12) -> bytes:
    return (b"%d %08d " % (rank, number)).ljust(size, b".")


def row(number: int) -> DoneRow:
    return DoneRow(number, Mode.FROM, Reason.ALL)


def said(made: Outlet) -> list[bytes | int]:
    """What was sent since the last call: frames, and the numbers of ends."""
    found: list[bytes | int] = []
    for effect in made._talk.take_effects():
        assert isinstance(effect, Send)
        if effect.bulk:
            found.append(effect.frame)
            continue
        done = decode_message(effect.frame)
        assert isinstance(done, Done)
        found += [one.index for one in done.rows]
    return found


# --- agreement ----------------------------------------------------------------------------------

Deed: TypeAlias = tuple[str, int, int]
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "end", "sent", "sent", "credit"]),
        st.integers(0, MAX_CLASS),
        st.integers(12, 60),
    ),
    max_size=60,
)


def next_of(waiting: list[list[bytes | int]], one: bytes | int) -> bool:
    """Take off what was sent: a frame of the first class that waits, or an end without one."""
    if isinstance(one, bytes):
        line = next(line for line in waiting if line)
        return line.pop(0) == one
    next(line for line in waiting if line and line[0] == one).pop(0)
    return True


def size_of(one: bytes | int) -> int:
    return len(one) if isinstance(one, bytes) else 0


@given(deeds=DEEDS, window=st.integers(0, 200))
def test_all_goes_out_once_urgent_first_within_credit_and_each_end_after_its_frames(
    deeds: list[Deed], window: int
) -> None:
    made, granted, in_link, total = outlet(window), window, 0, 0
    waiting: list[list[bytes | int]] = [[] for _ in range(MAX_CLASS + 1)]
    for number, (what, rank, size) in enumerate([*deeds, *[("all", 0, 0)] * 120]):
        match what:
            case "put":
                waiting[rank].append(frame(rank, number, size))
                made.put(rank, frame(rank, number, size))
            case "end":
                waiting[rank].append(number)
                made.end(rank, row(number))
            case "credit":
                granted = max(granted, total + size)
                made.credit(total + size)
            case _:
                granted = ENDLESS if what == "all" else granted
                made.credit(granted)
                if in_link:
                    in_link -= 1
                    made.sent()
        made.pump()
        for one in said(made):
            assert next_of(waiting, one)
            in_link, total = in_link + isinstance(one, bytes), total + size_of(one)
        assert in_link <= FRAMES
        assert total <= granted
    assert not any(waiting)
    while in_link:
        in_link -= 1
        made.sent()
    assert made.is_empty


def test_the_end_of_a_request_waits_for_its_frames_and_for_no_others() -> None:
    made = outlet(window=0)
    made.put(3, frame(3, 0))
    made.end(3, row(7))
    made.end(0, row(8))
    made.pump()
    assert said(made) == [8]
    made.credit(ENDLESS)
    made.pump()
    assert said(made) == [frame(3, 0), 7]


def test_where_there_are_no_frames_the_end_is_said_with_the_next_thing() -> None:
    made = outlet()
    made.end_now(row(1))
    made.end_now(row(2))
    made.pump()
    assert said(made) == [1, 2]
    made.pump()
    assert said(made) == []


def test_what_is_urgent_waits_for_two_frames_at_most() -> None:
    made = outlet()
    for number in range(100):
        made.put(6, frame(6, number))
    made.pump()
    assert said(made) == [frame(6, 0), frame(6, 1)]
    made.put(0, frame(0, 0))
    made.pump()
    assert said(made) == []
    made.sent()
    made.pump()
    assert said(made) == [frame(0, 0)]


# --- credit and budgets -------------------------------------------------------------------------


def test_room_that_was_given_is_never_taken_back() -> None:
    made = outlet(window=24)
    made.credit(12)
    made.credit(0)
    made.put(3, frame(3, 0))
    made.put(3, frame(3, 1))
    made.pump()
    assert said(made) == [frame(3, 0), frame(3, 1)]


def test_a_frame_goes_as_soon_as_there_is_room_for_its_last_byte() -> None:
    made = outlet(window=11)
    made.put(3, frame(3, 0))
    made.pump()
    assert said(made) == []
    made.credit(12)
    made.pump()
    assert said(made) == [frame(3, 0)]


def since(made: Outlet) -> tuple[float | None, float]:
    return made.starved_since, made.moved


def test_it_starves_only_while_nothing_but_credit_is_missing() -> None:
    made = outlet(window=12)
    talk = made._talk
    talk.now = 5.0
    made.put(3, frame(3, 0))
    made.put(3, frame(3, 1))
    made.pump()
    # the link still has a frame: it is not known yet whether the peer is slow or the link
    assert since(made) == (None, 0.0)
    talk.now = 7.0
    made.sent()
    made.pump()
    assert since(made) == (7.0, 7.0)
    talk.now = 8.0
    made.pump()
    made.credit(12)
    assert since(made) == (7.0, 7.0)
    talk.now = 9.0
    made.credit(23)
    assert since(made) == (None, 9.0)


@pytest.mark.parametrize(
    ("theirs", "ours", "left"), [(None, None, None), (70, None, 70), (None, 50, 50), (70, 50, 50)]
)
def test_the_smaller_budget_of_both_counts(
    theirs: int | None, ours: int | None, left: int | None
) -> None:
    assert outlet(budget=theirs, send=ours).left == left


def test_of_a_budget_is_left_what_no_frame_was_made_for() -> None:
    made = outlet(window=12, budget=100)
    made.put(3, frame(3, 0))
    made.put(3, frame(3, 1, size=30))
    assert made.left == 58
    made.pump()
    assert made.left == 58
