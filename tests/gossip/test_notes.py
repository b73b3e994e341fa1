"""Notes about a contact: what was processed counts only for what was wanted then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.cursor import MAX_RANGES, Seen, add, decode_seen, run_name
from gossip.notes import recall, remember, seen_note, told_note
from ledger.codec import encode
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.strategies import Device, material

RUN, WANTS = material("run", 8), material("wants", 8)
SEEN = Seen(RUN, ((1, 9),))


@st.composite
def seens(draw: st.DrawFn) -> Seen:
    ranges: tuple[tuple[int, int], ...] = ()
    for low, length in draw(
        st.lists(
            st.tuples(st.integers(1, 1 << 50), st.integers(0, 1 << 20)),
            min_size=1,
            max_size=2 * MAX_RANGES,
        )
    ):
        ranges = add(ranges, low, low + length)
    return Seen(draw(st.binary(min_size=8, max_size=8)), ranges)


@given(seen=seens(), wants=st.binary(min_size=8, max_size=8))
def test_what_was_processed_is_remembered_while_the_same_is_wanted(
    seen: Seen, wants: bytes
) -> None:
    assert recall(remember(seen, wants), wants) == seen
    assert recall(remember(seen, wants), bytes(8) if any(wants) else b"\x01" * 8) is None


@given(note=st.binary(max_size=80))
def test_a_damaged_note_is_worth_nothing(note: bytes) -> None:
    assert recall(note, WANTS) in (None, SEEN)


@pytest.mark.parametrize(
    "note",
    [
        None,
        b"",
        encode(()),
        encode((WANTS,)),
        encode((WANTS, RUN)),
        encode((WANTS, RUN, [1])),
        encode((WANTS, RUN, [9, 1])),
        encode((WANTS, RUN, [1, 9], 0)),
        encode(SEEN.fields()),
        remember(SEEN, WANTS)[:-1],
        remember(SEEN, WANTS) + b"\x00",
    ],
)
def test_what_is_no_note_of_this_sort_is_worth_nothing(note: bytes | None) -> None:
    assert recall(note, WANTS) is None


def test_each_device_has_two_notes_of_its_own() -> None:
    devices = [material("one"), material("other")]
    names = {name(device) for name in (seen_note, told_note) for device in devices}
    assert len(names) == 4


def test_one_who_wants_more_than_before_gets_what_was_declined() -> None:
    # given a stranger's log that was told to one who does not care for strangers
    author = Device(10, 10)
    author.write_many(3)
    left, right = Node(1), Node(2, public=False)
    left.hold_device(author)
    meet(left, right)
    again = meet(left, right)
    assert [len(end.sent) for end in again.ends] == [2, 2]
    assert (author.public, 1) not in right.ids()
    # when he cares for everybody from now on
    open_ = Node(2, store=right.store)
    meet(left, open_)
    # then what he passed over then has come
    assert (author.public, 1) in open_.ids()


def test_one_who_wants_what_he_wanted_before_is_told_nothing_twice() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    meet(left, right)
    back = Node(2, store=right.store)
    assert [len(end.sent) for end in meet(left, back).ends] == [2, 2]


def test_nothing_is_noted_of_strangers() -> None:
    left, right = Node(1), Node(2)
    left.write("one")
    meet(left, right, contacts=False)
    for node, peer in ((left, right), (right, left)):
        for name in (seen_note, told_note):
            assert now_run(node.store.note(name(peer.device.public))) is None


def test_what_a_peer_claims_beyond_a_run_is_not_noted() -> None:
    # given a node that goes on from an older copy of its store
    left, right = Node(1), Node(2)
    for number in range(3):
        left.write(f"{number}")
    old = left.store.copy()
    for number in range(9):
        left.write(f"{number}")
    meet(left, right)
    back = Node(1, store=old)
    back.runs = 7
    # when it meets one who saw what it has lost
    meeting = Meeting(back, right).run()
    # then it notes nothing about serial numbers it never gave
    assert all(end.finish for end in meeting.ends)
    told = now_run(back.store.note(told_note(right.device.public)))
    offers = back.offers(right.peer)
    ends = {run_name(run.run, offers): run.last for run in now_run(back.store.runs())}
    found = None if told is None else decode_seen(told)
    assert found is None or found.ranges[-1][1] <= ends[found.run]
