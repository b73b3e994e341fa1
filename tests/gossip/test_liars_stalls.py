"""What once made a meeting hang, spin, stall or repeat itself for ever, and does no more."""

from collections.abc import Iterator

import pytest
from typing_extensions import override

from gossip.control import Greeting, Root, ScopeRoot, Vector
from gossip.effects import End, Load, Send
from tests.gossip.liars import NOTHING_HERE, Liar, claim
from tests.gossip.meetings import Meeting, Node, Side, meet
from tests.strategies import GROUP, Device, material

SLOW_BYTES = 5_000
SLOW_S = 10.0


class SlowStore(Meeting):
    """A meeting in which the right node stores only when nothing else can happen."""

    @override
    def step(self) -> bool:
        left, right = self.ends
        for end in self.ends:
            quick = [e for e in end.pending if end is left or isinstance(e, Send | Load)]
            if quick:
                end.pending.remove(quick[0])
                end.pending.appendleft(quick[0])
                return self._answer(end)
        return self._deliver(left, right) or self._deliver(right, left) or self._answer(right)


class SlowLink(Meeting):
    """A meeting over a link that takes 10 s for each long frame."""

    @override
    def step(self) -> bool:
        return any(self._step_quickly(end, other) for end, other in self._pairs())

    def _pairs(self) -> Iterator[tuple[Side, Side]]:
        left, right = self.ends
        yield left, right
        yield right, left

    def _step_quickly(self, end: Side, other: Side) -> bool:
        quick = next((e for e in end.pending if not isinstance(e, Send)), None)
        if quick is not None:
            end.pending.remove(quick)
            end.pending.appendleft(quick)
            return self._answer(end)
        if end.out and len(end.out[0]) < SLOW_BYTES:
            return self._deliver(end, other)
        return False

    def _pass_long_frame(self, end: Side, other: Side) -> None:
        if end.out:
            self._deliver(end, other)
            self._carry_out(other, other.session.drained(self.now))
        for effect in [e for e in end.pending if isinstance(e, Send) and e.frame not in end.out]:
            end.pending.remove(effect)
            self._carry_out(end, end.session.sent(self.now))

    @override
    def run(self) -> "SlowLink":
        self.start()
        while not any(end.finish for end in self.ends) and self.now < 1_000:
            self.pass_time(self.now + SLOW_S)
            for end, other in self._pairs():
                self._pass_long_frame(end, other)
        self.settle()
        return self


@pytest.mark.parametrize("contacts", [True, False])
def test_256_logs_in_one_batch_that_the_giver_knows_are_no_news_to_him(*, contacts: bool) -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    for number in range(10, 266):
        left.hold_device(Device(number, number))
    right.write("x")
    meeting = SlowStore(left, right, contacts=contacts).start().settle()

    for end in meeting.ends:
        meeting.now = max(meeting.now, end.session.next_tick() or 0.0)
    for end in meeting.ends:
        meeting._carry_out(end, end.session.tick(meeting.now))
    meeting.settle()

    due = [end.session.next_tick() for end in meeting.ends]
    assert all(at is None or at > meeting.now for at in due), "a tick in the past spins"
    assert [end.finish for end in meeting.ends] == [None, None]


def test_a_contact_who_never_acknowledges_makes_no_tick_come_twice() -> None:
    node = Node(1)
    node.write("x")
    liar = Liar(node).begin(Greeting(b"", 0, None), features=1)
    liar.say(Root(tells=False, scopes=NOTHING_HERE))

    for number in range(12):
        node.write(f"{number}")
        liar.wait(2.0)

    assert liar.pages_heard == 8, "and no more until he acknowledges"


def test_what_came_while_a_batch_was_under_way_is_stored_after_it() -> None:
    node, author = Node(1), Device(2, 2)
    author.write_many(3)
    liar = Liar(node).begin(Greeting(bytes(8), 4, None))
    liar.say(Root(tells=True, scopes=[ScopeRoot(b"", bytes(16), 2)]))
    both = [claim((author.public, 0), 1), claim((author.public, 1), 3)]
    liar.say(Vector(b"", last=True, mentions=both))
    liar.holds = True
    for log in (0, 1):
        liar.send(author.logs[log])
        liar._take(liar.session.drained(0.0))

    liar.answer()

    assert (author.public, 1) in node.holdings.catalogue.logs
    assert liar.keeps == 2


def test_a_long_transfer_over_a_slow_link_comes_to_its_end() -> None:
    left, right, author = Node(1), Node(2), Device(5, 5)
    author.write_many(2_500)
    left.hold_device(author)

    meeting = SlowLink(left, right, contacts=False).run()

    assert meeting.now > 120, "longer than anything may be waited for"
    assert {end.finish.end for end in meeting.ends if end.finish} == {End.DONE}
    assert left.ids() == right.ids()


def test_a_member_of_64_groups_meets_others() -> None:
    member = Node(1, groups={GROUP + n: material(f"group {n}") for n in range(64)})
    other = Node(2)
    member.write("x")
    other.write("y")

    meeting = meet(member, other)

    assert {end.finish and end.finish.end for end in meeting.ends} == {End.DONE}
    assert member.ids() == other.ids()


def test_a_log_in_pieces_does_not_make_every_meeting_tell_it_again() -> None:
    left, right, author = Node(1), Node(2), Device(5, 5)
    blocks = author.write_many(200)
    for node, first in ((left, 10), (right, 110)):
        node.hold(author.logs[0])
        for low in range(first, first + 80, 20):
            node.hold(blocks[low : low + 2])

    for _ in range(3):
        meet(left, right)

    assert meet(left, right).payload() <= 300


@pytest.mark.parametrize("is_contact", [True, False])
def test_a_peer_who_only_says_hello_is_left_after_two_minutes(*, is_contact: bool) -> None:
    node = Node(1)
    node.write("x")
    liar = Liar(node, is_contact=is_contact).begin(
        Greeting(bytes(8), 4, None) if is_contact else None
    )

    liar.wait(119.0)
    assert liar.end is None
    liar.wait(1.0)

    assert liar.end is End.SILENT
