"""What comes first, and that nothing is said twice."""

from collections import Counter
from collections.abc import Iterator

from hypothesis import event, given
from hypothesis import strategies as st

from gossip.control import Announce
from gossip.wire import Bodies, Data, decode_message
from ledger.block import decode_header
from tests.gossip.meetings import Node
from tests.gossip.test_invariants import Watched, WatchedMeeting, hold_meeting
from tests.gossip.worlds import Author, copies, part


def shares(frame: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the authors in a frame, and how many bytes of theirs are."""
    match decode_message(frame):
        case Data(runs):
            for run in runs:
                author = decode_header(run.blocks[0][0]).author
                yield author, sum(len(one or b"") for block in run.blocks for one in block)
        case Bodies(late):
            yield from ((one.author, len(one.body)) for one in late)
        case _:
            pass


@part(8)
@given(st.sampled_from([0, 300, 2_000, 8_000]), st.integers(1, 600), st.booleans())
def test_who_waits_while_better_is_sent_gets_a_twentieth(
    size: int,
    count: int,
    near_first: bool,  # noqa: FBT001
) -> None:
    numbers = (10, 11) if near_first else (11, 10)
    near, far = (Author(number, social=count, size=size) for number in numbers)
    left, right = Watched(0, followed=frozenset({near.person})), Watched(1)
    for author in (near, far):
        right.hold_device(copies(author)[0])
        left.hold([copies(author)[0].root])

    meeting = hold_meeting(left, right)

    sent, before = Counter[bytes](), 0
    for key, length in (one for frame in meeting.came[0] for one in shares(frame)):
        sent[key] += length
        before = sent[far.public] if key == near.public else before
    chunk = 64 * max(len(b.raw) + 64 + len(b.body or b"") for b in copies(far)[0].logs[1])
    event("chunks", sent[near.public] // chunk)
    # the other one's turn comes, too, between the newest blocks and the request for the older ones
    assert before <= sent[near.public] / 20 + 2 * chunk


@part(8)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=8), st.booleans())
def test_each_piece_of_news_is_told_once(writers: list[int], contacts: bool) -> None:  # noqa: FBT001
    known = dict[bytes, Node]()
    pair = [Watched(number, known=known) for number in (0, 1)]
    for node in pair:
        node.hold(node.device.logs[0])
    meeting = WatchedMeeting(*pair, contacts=contacts, live=True)
    meeting.start().pass_time(5.0)
    told = [len(meeting.ends[side].sent) for side in (0, 1)]

    for writer in writers:
        pair[writer].write("news")
        meeting.pass_time(meeting.now + 5.0)

    for side in (0, 1):
        said = [decode_message(frame) for frame in meeting.ends[side].sent[told[side] :]]
        news = [m for one in said if isinstance(one, Announce) for m in one.mentions]
        assert len(news) == writers.count(side)
        assert sum(len(d.runs) for d in said if isinstance(d, Data)) == writers.count(side)
