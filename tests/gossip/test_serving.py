"""Serving: what is asked for comes in order of worth, in small portions, within any budget."""

from collections import Counter as Tally
from typing import Any

import pytest

from gossip.control import MIN_FRAME_BYTES, Bye, Done, Mode, Reason, Want
from gossip.effects import End, Send
from gossip.outlet import FRAMES
from gossip.packing import unit_bytes
from gossip.policy import Limits
from gossip.wire import Bodies, Data, Message, Proofs, Statements
from ledger.block import decode_header
from ledger.run import Run
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.strategies import IDENTITY, SOCIAL, Device, forked

BULK = (Data, Bodies, Statements, Proofs)


def of_sort(meeting: Meeting, side: int, sort: type[Message]) -> list[Message]:
    return [message for message in meeting.messages(side) if isinstance(message, sort)]


def bulk_bytes(meeting: Meeting, side: int) -> int:
    """Bytes of bulk one side sent."""
    both = zip(meeting.ends[side].sent, meeting.messages(side), strict=True)
    return sum(len(frame) for frame, message in both if isinstance(message, BULK))


def ends(meeting: Meeting, side: int) -> Tally[Reason]:
    dones = [message for message in meeting.messages(side) if isinstance(message, Done)]
    return Tally(row.reason for done in dones for row in done.rows)


def writer(count: int, text: str = "", **policy: Any) -> Node:  # noqa: ANN401
    """A node that holds its own log, every block with its signature."""
    node = Node(1, **policy)
    log = tuple(node.device.write_many(count, text))
    node.absorb(Batch(runs=[Run((node.device.root,)), *([Run(log)] if log else [])]))
    return node


def revoking(count: int) -> Node:
    """A node that holds devices of two posts, each of which its person revoked."""
    node = Node(1)
    for number in range(10, 10 + count):
        device = Device(number, number)
        device.write_many(2)
        node.hold_device(device)
        cut = Cut(SOCIAL, 1, device.logs[SOCIAL][0].id)
        node.absorb(Batch(revocations=[Revocation.sign(device.person, device.public, [cut])]))
    return node


# --- evidence -----------------------------------------------------------------------------------


def test_sixteen_statements_come_in_a_meeting_the_rest_later_and_all_blocks_at_once() -> None:
    left, right = revoking(40), Node(2)
    held: list[int] = []
    for _ in range(4):
        meeting = meet(left, right)
        held.append(len(now_run(right.store.revocations())))
        assert len(of_sort(meeting, 0, Statements)) <= 16
        assert right.ids() == left.ids()
    assert held == [16, 32, 40, 40]
    assert [len(end.sent) for end in meet(left, right).ends] == [2, 2]


def test_sixteen_proofs_come_in_a_meeting_and_the_rest_later() -> None:
    left, right = Node(1), Node(2)
    for number in range(10, 30):
        one, other = forked(2, 2, 2, number=number)
        left.hold([Device(number).root], one)
        left.hold(other)
    later = [ends(meet(left, right), 0)[Reason.LATER]]
    assert len(now_run(right.store.proofs())) == 16
    later.append(ends(meet(left, right), 0)[Reason.LATER])
    assert len(now_run(right.store.proofs())) == 20
    assert (later[0] > 0, later[1]) == (True, 0)
    assert left.frontier() == right.frontier()
    assert [len(end.sent) for end in meet(left, right).ends] == [2, 2]


def test_evidence_comes_before_any_block() -> None:
    meeting = meet(revoking(10), Node(2))
    sorts = [type(message) for message in meeting.messages(0) if isinstance(message, BULK)]
    assert sorts[:10] == [Statements] * 10
    assert set(sorts[10:]) == {Data}


# --- order --------------------------------------------------------------------------------------


def test_two_frames_at_most_wait_in_a_slow_link() -> None:
    meeting = Meeting(writer(1_000, "x" * 300), Node(2)).start()
    left, most = meeting.ends[0], 0
    while meeting.step():
        most = max(most, sum(isinstance(effect, Send) for effect in left.pending))
    assert most == FRAMES == 2


def answering_first(meeting: Meeting) -> bool:
    """Let one thing happen, what the taker says before anything else."""
    left, right = meeting.ends
    if meeting._deliver(right, left) or meeting._answer(right):
        return True
    return meeting._deliver(left, right) or meeting._answer(left)


def asks_for_evidence(meeting: Meeting) -> bool:
    wants = [message for message in meeting.messages(1) if isinstance(message, Want)]
    return any(one.mode is Mode.EVIDENCE for want in wants for one in want.requests)


def test_what_is_urgent_overtakes_what_is_ready() -> None:
    # given long posts, of which far more were read at once than fit into a frame
    left, right = writer(192, "x" * 8_000, live=True), Node(2, live=True)
    meeting = Meeting(left, right).start()
    while len(of_sort(meeting, 0, Data)) < 3:
        assert answering_first(meeting)
    # when its author revokes another device of his, and is asked for that
    statement = Revocation.sign(left.device.person, Device(30).public, [])
    left.absorb(Batch(revocations=[statement]))
    while not asks_for_evidence(meeting):
        assert answering_first(meeting)
    # then it goes ahead, but for what the link had already
    before = len(of_sort(meeting, 0, Data))
    while not of_sort(meeting, 0, Statements):
        assert answering_first(meeting)
    assert len(of_sort(meeting, 0, Data)) - before <= FRAMES
    meeting.settle()
    assert len(of_sort(meeting, 0, Data)) - before > 2 * FRAMES


def test_a_unit_too_long_for_a_frame_goes_headers_first_and_bodies_after() -> None:
    # given 64 posts of 8 kB, of which only the last is signed, as one who passes them on holds them
    device = Device(10, 10)
    device.write_many(64, "x" * 8_000)
    left, right = Node(1), Node(2)
    left.hold_device(device)
    meeting = meet(left, right)
    bulk = [message for message in meeting.messages(0) if isinstance(message, BULK)]
    first, *rest = [m for m in bulk if not (isinstance(m, Data) and is_identity(m))]
    assert isinstance(first, Data)
    assert [block[2] for run in first.runs for block in run.blocks] == [None] * 64
    assert {type(message) for message in rest} == {Bodies}
    assert right.frontier() == left.frontier()


def is_identity(message: Data) -> bool:
    return all(decode_header(run.blocks[0][0]).log == IDENTITY for run in message.runs)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200, 700])
def test_the_end_of_a_request_is_said_after_its_last_frame(count: int) -> None:
    # given one who holds the log up to half of it, so that its end must be said
    left, right = writer(count), Node(2)
    right.hold([left.device.root], left.device.logs[SOCIAL][: count // 2])
    meeting = Meeting(left, right).start()
    while not of_sort(meeting, 1, Want):
        assert meeting.step()
    left.write("more")  # what was mentioned is not the head any more
    meeting.pass_time(10.0)
    messages = meeting.messages(0)
    frames = [at for at, m in enumerate(messages) if isinstance(m, Data)]
    dones = [at for at, m in enumerate(messages) if isinstance(m, Done)]
    assert all(at > frames[0] for at in dones)
    assert right.ids() == left.ids()


# --- budgets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [2_000, 24_000, 70_001, 150_000])
@pytest.mark.parametrize("who", ["giver", "taker"])
def test_no_byte_above_a_budget_and_something_in_every_meeting(who: str, budget: int) -> None:
    left = writer(190, "x" * 1_000, limits=Limits(send=budget if who == "giver" else None))
    right = Node(2, limits=Limits(receive=budget if who == "taker" else None))
    for _ in range(8):
        before = sum(map(len, right.ids().values()))
        meeting = meet(left, right)
        assert bulk_bytes(meeting, 0) <= budget
        assert sum(map(len, right.ids().values())) > before
        spent = {Reason.BUDGET} & set(ends(meeting, 0))
        finish = meeting.ends[0].finish
        assert finish is not None
        assert finish.end is (End.SPENT if spent else End.DONE)
        if not spent:
            break
    assert right.ids() == left.ids() or budget <= 24_000


@pytest.mark.parametrize(("more", "comes"), [(0, True), (-1, False)])
def test_a_budget_is_enough_to_the_byte(more: int, *, comes: bool) -> None:
    left = writer(0)
    needed = unit_bytes([left.device.root], 65_000)
    right = Node(2, limits=Limits(receive=needed + more))
    meeting = meet(left, right)
    # where the body does not fit, the header comes at least
    (block,) = now_run(right.store.read((left.device.public, IDENTITY), 1, 1))
    assert (block.body is not None) == comes
    assert ends(meeting, 0)[Reason.BUDGET] == (not comes)
    meet(left, right)
    assert right.frontier() == left.frontier()


@pytest.mark.parametrize("who", ["giver", "taker"])
def test_one_author_of_large_posts_does_not_use_up_a_small_budget_for_ever(who: str) -> None:
    # given 64 posts that only the last one's signature vouches for, far longer than the budget
    large, small = Device(10, 10), Device(11, 11)
    large.write_many(64, "x" * 8_000)
    small.write_many(3)
    left = Node(1, limits=Limits(send=300_000 if who == "giver" else None))
    right = Node(2, limits=Limits(receive=300_000 if who == "taker" else None))
    left.hold_device(large)
    left.hold_device(small)
    for _ in range(4):
        assert bulk_bytes(meet(left, right), 0) <= 300_000
    assert right.frontier() == left.frontier()


def test_a_budget_below_the_newest_blocks_is_not_spent_on_the_same_ones_again() -> None:
    left, right = writer(500, "x" * 300, limits=Limits(send=20_000)), Node(2)
    counts: list[int] = []
    for _ in range(4):
        meet(left, right)
        counts.append(sum(map(len, right.ids().values())))
    assert counts == sorted(set(counts))
    assert (left.device.public, IDENTITY) in right.ids()


def test_what_a_budget_kept_back_is_not_counted_as_sent() -> None:
    meeting = meet(writer(600, "x" * 1_000, limits=Limits(send=70_000)), Node(2))
    sent = [message for message in meeting.messages(0) if isinstance(message, Data)]
    blocks = sum(len(run.blocks) for data in sent for run in data.runs)
    assert meeting.ends[0].session.counts.blocks_out == blocks > 0


def test_a_spent_budget_is_said_and_is_not_the_end_of_the_other_direction() -> None:
    left, right = writer(600, "x" * 1_000, limits=Limits(send=70_000)), Node(2)
    right.write("mine")
    meeting = meet(left, right)
    assert ends(meeting, 0)[Reason.BUDGET] == 1
    assert (right.device.public, SOCIAL) in left.ids()
    last = [{type(message) for message in meeting.messages(side)[-2:]} for side in (0, 1)]
    assert all(Bye in some for some in last)


# --- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "window"), [(65_000, 65_000), (MIN_FRAME_BYTES, MIN_FRAME_BYTES), (30_000, 31_000)]
)
def test_small_windows_are_slow_and_bring_everything(frame: int, window: int) -> None:
    left = writer(600, "x" * 300)
    right = Node(2, limits=Limits(frame=frame, window=window))
    meeting = meet(left, right)
    assert right.ids() == left.ids()
    assert max(map(len, meeting.ends[0].sent)) <= frame
    finishes = [end.finish for end in meeting.ends]
    assert [finish and finish.end for finish in finishes] == [End.DONE, End.DONE]
