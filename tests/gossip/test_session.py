"""A session: its states, its clocks to the second, and what a meeting costs in all."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import (
    VERSION,
    Ack,
    Announce,
    Bye,
    Control,
    Credit,
    Greeting,
    Hello,
    Mention,
    Mode,
    Request,
    Root,
    ScopeRoot,
    Vector,
    Want,
)
from gossip.effects import End, Send
from gossip.policy import Limits
from gossip.session import TRANSITIONS, Session, State
from gossip.wire import encode_message
from tests.gossip.meetings import Meeting, Node, meet
from tests.strategies import Device

STALL, SILENCE, GREETING = Limits().stall, Limits().silence, Limits().greeting
NOTHING_THERE = Root(tells=True, scopes=[ScopeRoot(b"", bytes(16), 0)])


def hello(**other: object) -> Hello:
    return replace(Hello((VERSION,), 0, 65_000, 1 << 20, None, None), **other)  # type: ignore[arg-type]


class Lone:
    """One side of a meeting; the other is whatever the test says."""

    def __init__(self, node: Node, *, contacts: bool = False, began: float = 0.0) -> None:
        self.meeting = Meeting(node, Node(2), contacts=contacts)
        self.end = self.meeting.ends[0]
        self.session: Session = self.end.session
        self.meeting._carry_out(self.end, self.session.start(began))

    def hear(self, message: Control, now: float = 0.0) -> None:
        self.meeting.now = now
        self.meeting._carry_out(self.end, self.session.receive(encode_message(message), now))
        self.answer()

    def answer(self) -> None:
        """Let storage answer, and the link take what is sent."""
        while self.meeting._answer(self.end):
            pass

    def wait(self, until: float) -> None:
        """Let time pass, each tick when it is due."""
        while (at := self.session.next_tick()) is not None and at <= until:
            self.meeting.now = at
            self.meeting._carry_out(self.end, self.session.tick(at))
            self.answer()
            due = self.session.next_tick()
            assert due is None or due > at

    @property
    def finish(self) -> End | None:
        return self.end.finish.end if self.end.finish is not None else None


def holding(count: int = 1, **policy: Any) -> Node:  # noqa: ANN401
    node = Node(1, **policy)
    for number in range(count):
        node.write("x" * 300 + str(number))
    return node


# --- how it begins ------------------------------------------------------------------------------


def test_nothing_happens_before_it_starts_and_after_it_is_over() -> None:
    session = Meeting(Node(1), Node(2)).ends[0].session
    assert (session.state, session.next_tick(), session.tick(99.0)) == (State.IDLE, None, [])
    session.stop(0.0)
    assert (session.state, session.next_tick()) == (State.CLOSED, None)
    assert [session.stop(1.0), session.tick(1.0), session.receive(b"?", 1.0)] == [[], [], []]


def test_hello_says_nothing_of_its_store_to_a_stranger() -> None:
    for contacts in (True, False):
        meeting = meet(holding(), Node(2), contacts=contacts)
        (said,) = [one for one in meeting.messages(0) if isinstance(one, Hello)]
        assert (said.contact is not None) == contacts


@pytest.mark.parametrize(
    ("versions", "end"), [((1,), None), ((1, 2), None), ((2,), End.VERSION), ((2, 3), End.VERSION)]
)
def test_two_who_speak_no_version_in_common_part(
    versions: tuple[int, ...], end: End | None
) -> None:
    lone = Lone(holding())
    lone.hear(hello(versions=versions))
    assert lone.finish is end


@pytest.mark.parametrize("message", [Bye(), Credit(1), Ack(0), Want([])])
def test_whoever_says_anything_before_hello_is_left(message: Control) -> None:
    lone = Lone(holding())
    lone.hear(message)
    assert lone.finish is End.HOSTILE


def test_hello_comes_once() -> None:
    lone = Lone(holding())
    lone.hear(hello())
    lone.hear(hello())
    assert lone.finish is End.HOSTILE


# --- clocks -------------------------------------------------------------------------------------


def test_hello_is_waited_for_ten_seconds() -> None:
    lone = Lone(holding())
    lone.wait(9.999)
    assert (lone.finish, lone.session.next_tick()) == (None, GREETING)
    lone.wait(10.0)
    assert lone.finish is End.SILENT


def test_what_is_due_is_done_though_a_sum_of_seconds_is_less_when_taken_apart_again() -> None:
    # given moments of which 10 s, or 120 s, later is so far away and yet a little less
    assert (6.01 + GREETING) - 6.01 < GREETING
    assert (8.17 + STALL) - 8.17 < STALL
    silent, slow = Lone(holding(), began=6.01), Lone(holding(), began=8.17)
    slow.hear(hello(), now=8.17)
    silent.wait(6.01 + GREETING)
    slow.wait(8.17 + STALL)
    assert (silent.finish, slow.finish) == (End.SILENT, End.SILENT)


def test_pages_and_acks_that_are_due_are_waited_for_two_minutes() -> None:
    # given one who says hello and what it holds, and never acknowledges what it is told
    lone = Lone(holding())
    lone.hear(hello(), now=5.0)
    lone.hear(NOTHING_THERE, now=6.0)
    lone.wait(6.0 + STALL - 0.001)
    assert lone.finish is None
    lone.wait(6.0 + STALL)
    assert lone.finish is End.SILENT


def test_one_who_says_hello_and_no_more_is_left_after_two_minutes() -> None:
    lone = Lone(holding())
    lone.hear(hello(), now=5.0)
    lone.wait(5.0 + STALL - 0.001)
    assert lone.finish is None
    lone.wait(5.0 + STALL)
    assert lone.finish is End.SILENT


def asking() -> Lone:
    """One who asked for a log of which nothing comes."""
    lone = Lone(Node(1))
    lone.hear(hello())
    lone.hear(Root(tells=True, scopes=[ScopeRoot(b"", bytes(16), 1)]))
    mention = Mention((Device(10).public, 0), 1, plain=True, check=b"chck")
    lone.hear(Vector(b"", last=True, mentions=[mention]))
    assert any(isinstance(one, Want) for one in lone.meeting.messages(0))
    return lone


def test_answers_are_waited_for_half_a_minute() -> None:
    lone = asking()
    lone.wait(SILENCE - 0.001)
    assert lone.finish is None
    lone.wait(SILENCE)
    assert lone.finish is End.SILENT


def test_half_a_minute_begins_anew_when_the_link_takes_what_may_be_in_the_way() -> None:
    # given one who asked, and gives blocks over a link so slow that they take 25 s
    lone = Lone(holding())
    lone.hear(hello())
    lone.hear(Root(tells=True, scopes=[ScopeRoot(b"", bytes(16), 1)]))
    mention = Mention((Device(10).public, 0), 1, plain=True, check=b"chck")
    lone.hear(Vector(b"", last=True, mentions=[mention]))
    meeting, want = lone.meeting, Want([Request(0, 3, Mode.FROM, (0, 0, b""))])
    meeting._carry_out(lone.end, lone.session.receive(encode_message(want), 0.0))
    while not isinstance(lone.end.pending[0], Send):
        assert meeting._answer(lone.end)
    meeting.now = 25.0
    lone.answer()
    lone.wait(25.0 + SILENCE - 0.001)
    assert lone.finish is None
    lone.wait(25.0 + SILENCE)
    assert lone.finish is End.SILENT


def test_one_who_talks_of_other_things_and_answers_nothing_is_left_all_the_same() -> None:
    lone = asking()
    for second in range(29):
        lone.hear(Credit(second), now=float(second))
    lone.wait(SILENCE)
    assert lone.finish is End.SILENT


def test_credit_is_waited_for_two_minutes_and_any_progress_counts() -> None:
    lone = Lone(holding(600))
    lone.hear(hello(window=65_000))
    lone.hear(NOTHING_THERE)
    lone.hear(Want([Request(index, 3, Mode.FROM, (0, 0, b"")) for index in range(2)]))
    lone.hear(Ack(1))
    assert lone.session.next_tick() == STALL
    lone.hear(Credit(130_000), now=100.0)
    assert lone.session.next_tick() == 100.0 + STALL
    lone.wait(100.0 + STALL)
    assert lone.finish is End.SILENT


def test_goodbye_is_waited_for_two_minutes() -> None:
    lone = Lone(Node(1))
    lone.hear(hello(), now=3.0)
    lone.hear(NOTHING_THERE, now=3.0)
    assert lone.session.state is State.PARTING
    lone.wait(3.0 + STALL - 0.001)
    assert lone.finish is None
    lone.wait(3.0 + STALL)
    assert lone.finish is End.SILENT


def test_a_contact_of_an_empty_store_who_covers_what_it_has_not_is_left_in_time() -> None:
    lone = Lone(Node(1), contacts=True)
    lone.hear(hello(contact=None))
    lone.hear(Announce(b"", 1, 5, []))
    lone.wait(STALL)
    assert lone.finish in (End.SILENT, End.HOSTILE)


def test_a_contact_that_covers_numbers_of_no_store_and_falls_silent_is_left() -> None:
    lone = Lone(holding(), contacts=True)
    lone.hear(hello(contact=Greeting(b"", 0, None)))
    lone.hear(Announce(b"", 1, 5, []))
    lone.hear(Root(tells=False, scopes=[ScopeRoot(b"", bytes(16), 0)]))
    lone.hear(Ack(1))
    lone.wait(STALL + 10.0)
    assert lone.finish in (End.SILENT, End.HOSTILE)


@given(
    steps=st.lists(st.sampled_from(["step", "step", "step", "left", "right", "wait"]), max_size=80),
    live=st.booleans(),
    contacts=st.booleans(),
)
def test_no_tick_is_due_before_now_and_only_known_ways_lead_from_state_to_state(
    steps: list[str],
    live: bool,  # noqa: FBT001
    contacts: bool,  # noqa: FBT001
) -> None:
    left, right = Node(1, live=live), Node(2, live=live)
    left.write("one")
    right.write("one")
    meeting = Meeting(left, right, contacts=contacts).start()
    before = [end.session.state for end in meeting.ends]
    for what in steps:
        match what:
            case "step":
                meeting.step()
            case "wait":
                meeting.pass_time(meeting.now + 0.6)
            case _:
                (left if what == "left" else right).write(what)
        for end in meeting.ends:
            due = end.session.next_tick()
            assert due is None or due > meeting.now
    meeting.pass_time(meeting.now + 20.0)
    after = [end.session.state for end in meeting.ends]
    assert left.ids() == right.ids() or not live
    assert set(after) == ({State.LIVE} if live else {State.CLOSED})
    assert before == [State.GREETING, State.GREETING]


def test_every_state_can_be_reached_and_left_and_the_last_one_is_the_end() -> None:
    assert {after for _, after in TRANSITIONS} == set(State) - {State.IDLE}
    assert {before for before, _ in TRANSITIONS} == set(State) - {State.CLOSED}
    assert all((state, State.CLOSED) in TRANSITIONS for state in State if state != State.CLOSED)


# --- what it costs ------------------------------------------------------------------------------


def town(first: int) -> list[Device]:
    devices = [Device(number, number) for number in range(first, first + 5)]
    for device in devices:
        device.write_many(30, "t" * 150)
    return devices


def met() -> tuple[Node, Node, Meeting]:
    """Two who each hold five devices of thirty posts, after their first meeting."""
    left, right = Node(1), Node(2)
    for node, first in ((left, 10), (right, 15)):
        for device in town(first):
            node.hold_device(device)
        node.write("mine")
    return left, right, meet(left, right)


def test_a_first_meeting_takes_17_frames_a_side_and_3_percent_more_than_the_blocks() -> None:
    _, _, meeting = met()
    # 12 if the first frames were as long as the others
    assert [len(end.sent) for end in meeting.ends] == [16, 17]
    for end in meeting.ends:
        counts = end.session.counts
        assert (counts.blocks_in, counts.blocks_out, counts.new, counts.wanted) == (157,) * 4
        assert counts.frames_in + counts.frames_out == 16 + 17
        assert counts.bytes_out == sum(map(len, end.sent))
    blocks = [b for device in town(10) for log in device.logs.values() for b in log]
    kept = sum(len(block.raw) + len(block.body or b"") for block in blocks)
    assert meeting.ends[0].session.counts.bytes_out < 1.08 * kept
    assert meeting.ends[1].session.counts.bytes_in == meeting.ends[0].session.counts.bytes_out


def test_news_take_11_frames_and_190_bytes_besides_the_block() -> None:
    left, right, _ = met()
    block = left.write("news")
    meeting = meet(left, right)
    assert [len(end.sent) for end in meeting.ends] == [5, 6]
    kept = len(block.raw) + len(block.signature) + len(block.body or b"")
    assert meeting.payload() <= kept + 190


def test_nothing_new_takes_two_frames_a_side() -> None:
    left, right, _ = met()
    for _ in range(2):
        meeting = meet(left, right)
        assert [len(end.sent) for end in meeting.ends] == [2, 2]
        assert meeting.payload() <= 150


def test_whoever_stops_stores_what_came() -> None:
    left, right = holding(3), Node(2)
    meeting = Meeting(left, right).start()
    right_end = meeting.ends[1]
    while not any(isinstance(effect, Send) for effect in meeting.ends[0].pending):
        assert meeting.step()
    while meeting.ends[0].out:
        frame = meeting.ends[0].out.popleft()
        meeting._carry_out(right_end, right_end.session.receive(frame, 0.0))
    meeting._carry_out(right_end, right_end.session.stop(0.0, End.LOST))
    while meeting._answer(right_end):
        pass
    assert right.ids()
    assert right_end.finish is not None
    assert right_end.finish.end is End.LOST


# --- the end ------------------------------------------------------------------------------------


@pytest.fixture
def without_searches() -> Iterator[None]:
    """Free nothing but what nobody refers to."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_searches")
def test_a_meeting_that_is_over_is_freed_the_moment_it_is_let_go() -> None:
    session = Session(Lone(holding(3)).session._setting)
    wants = Want([Request(0, 6, Mode.FROM, (0, 0, b""))])
    session.start(0.0)
    for message in (hello(), NOTHING_THERE, wants):
        session.receive(encode_message(message), 0.0)
    assert session._talk._loads  # it waits for what it reads
    session.stop(1.0)
    parts = ref(session._pulling), ref(session._serving)
    del session
    assert [part() for part in parts] == [None, None]
