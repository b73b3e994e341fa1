"""What comes twice, what comes from the past, and nodes that forgot: nothing is lost by it."""

from dataclasses import replace
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.effects import End
from gossip.policy import Limits
from gossip.wire import Bodies, Data, Proofs, Statements, decode_message
from ledger.store.memory import MemoryStore
from tests.gossip.meetings import Node, Side, meet
from tests.gossip.test_invariants import Watched, WatchedMeeting, hold_meeting, lacks, passable
from tests.gossip.test_invariants_equal import people
from tests.gossip.worlds import World, part, worlds
from tests.strategies import Device, material, written


class Echoing(WatchedMeeting):
    """A meeting in which one frame arrives twice.

    Attributes:
        left: How many frames arrive before that one.
    """

    def __init__(self, *args: Any, echoed: int, **how: Any) -> None:  # noqa: ANN401
        self.left = echoed
        super().__init__(*args, **how)

    @override
    def _deliver(self, source: Side, target: Side) -> bool:
        frame = source.out[0] if source.out else b""
        happened = super()._deliver(source, target)
        if happened and frame and not self.is_cut:
            self.left -= 1
            if self.left == -1:
                self._carry_out(target, target.session.receive(frame, self.now))
        return happened


def expected(world: World) -> object:
    left, right = people(world)
    for number in range(3):
        hold_meeting(left, right, binding=material(f"link {number}"))
    return stands(left, right)


def stands(left: Watched, right: Watched) -> object:
    """Return what both hold, which must be the same."""
    assert left.frontier() == right.frontier()
    left.is_sound()
    right.is_sound()
    return left.frontier(), {key: passable(left, key) for key in left.ids()}


@part(2)
@given(worlds(), st.integers(0, 30), st.booleans())
def test_a_frame_that_arrives_twice_changes_nothing(
    world: World,
    echoed: int,
    contacts: bool,  # noqa: FBT001
) -> None:
    left, right = people(world)

    meeting = Echoing(left, right, contacts=contacts, echoed=echoed)
    meeting.run()
    meeting.sever()
    for number in range(3):
        hold_meeting(left, right, contacts=contacts, binding=material(f"link {number}"))

    event("ends", sorted({end.finish.end.name for end in meeting.ends if end.finish}))
    assert stands(left, right) == expected(world)


@part(2)
@given(worlds(), st.booleans(), st.booleans(), st.permutations([0, 1]))
def test_a_conversation_that_is_played_again_changes_nothing(
    world: World,
    contacts: bool,  # noqa: FBT001
    as_contact: bool,  # noqa: FBT001
    order: list[int],
) -> None:
    left, right = people(world)
    recorded = meet(left, right, contacts=contacts)
    news = Device(90, 90)
    left.hold_device(news)

    for side in order:
        node, other = (left, right)[side], (left, right)[1 - side]
        again = WatchedMeeting(node, other, contacts=as_contact, binding=material("new link"))
        end = again.ends[0]
        again._carry_out(end, end.session.start(0.0))
        for frame in recorded.ends[1 - side].sent:
            again._carry_out(end, end.session.receive(frame, 0.0))
            while again._answer(end):
                pass
        again.sever()
    for number in range(3):
        hold_meeting(left, right, contacts=contacts, binding=material(f"link {number}"))

    assert (news.public, 0) in right.holdings.catalogue.logs
    stands(left, right)


@part(2)
@given(worlds(may_fork=False), st.booleans(), st.integers(0, 2), st.integers(0, 60))
def test_who_is_wiped_or_set_back_gets_all_again(
    world: World,
    wiped: bool,  # noqa: FBT001
    meetings: int,
    later: int,
) -> None:
    left, right = people(world)
    hold_meeting(left, right)
    old = MemoryStore(new_run=right.new_run) if wiped else right.store.copy()
    for number in range(40):
        right.hold_device(Device(100 + number, 100 + number))
    for number in range(meetings):
        hold_meeting(left, right, binding=material(f"before {number}"))

    right.reopen(old)
    for number in range(later):
        right.hold_device(Device(200 + number, 200 + number))
    hold_meeting(left, right, binding=material("after"))

    assert lacks(left, right) == lacks(right, left) == []
    stands(left, right)


def bulk(frames: list[bytes]) -> int:
    kinds = (Data, Bodies, Statements, Proofs)
    return sum(len(frame) for frame in frames if isinstance(decode_message(frame), kinds))


@part(2)
@given(
    worlds(may_fork=False),
    st.none() | st.integers(0, 100_000),
    st.none() | st.integers(0, 100_000),
    st.sampled_from([1, 3, 256]),
)
def test_no_byte_more_is_sent_than_both_budgets_allow(
    world: World, receive: int | None, send: int | None, page: int
) -> None:
    left = people(world, Limits(receive=receive, page=page))[0]
    right = people(world, Limits(send=send, frame=24_000, page=page))[1]
    left.known[right.device.public] = right
    budget = min(receive if receive is not None else 1 << 40, send if send is not None else 1 << 40)

    meeting = WatchedMeeting(left, right)
    meeting.run()

    sent = bulk(meeting.came[0])
    assert sent <= budget
    missing = lacks(left, right)
    event("enough", not missing)
    assert not missing or budget - sent < 24_000
    assert {end.finish and end.finish.end for end in meeting.ends} <= {End.DONE, End.SPENT}


@part(4)
@given(st.integers(0, 60_000), st.integers(1, 80))
def test_news_that_a_budget_cut_off_come_next_time(budget: int, count: int) -> None:
    known: dict[bytes, Node] = {}
    left = Watched(0, known=known)
    right = Watched(1, known=known)
    right.write("hello")
    hold_meeting(left, right)
    for number in range(20, 28):
        right.hold([Device(number).root], written(count, number=number))
    left.policy = replace(left.policy, limits=Limits(receive=budget))

    WatchedMeeting(left, right, binding=material("a short one")).run()
    left.policy = replace(left.policy, limits=Limits())
    hold_meeting(left, right, binding=material("a long one"))

    assert lacks(left, right) == []
    event("cut off", budget < 8 * count * 150)
