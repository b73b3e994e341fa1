"""Faults that were found once, and mended: what one liar could cost a node, or keep from it."""

import pytest

from gossip.control import (
    Ack,
    Announce,
    Done,
    DoneRow,
    Greeting,
    Ids,
    Mode,
    Reason,
    Request,
    Root,
    ScopeRoot,
)
from gossip.effects import End
from gossip.policy import Limits
from gossip.pulling import Pulling
from gossip.session import State
from gossip.talk import Talk
from gossip.wire import decode_message, encode_message
from ledger.block import MAX_SEQ
from tests.gossip.liars import NOTHING_HERE, Liar, again, claim, together
from tests.gossip.meetings import Meeting, Node
from tests.strategies import SOCIAL, Device, material

HIS_RUN = material("his run", 8)
AUTHOR = Device(9, 9).public


def wrote(number: int, blocks: int) -> Device:
    device = Device(number, number)
    device.write_many(blocks)
    return device


# --- reading without end ---


@pytest.mark.parametrize("high", [1 << 39, MAX_SEQ])
def test_bodies_of_a_range_as_wide_as_a_log_may_be_are_read_once(high: int) -> None:
    node = Node(1)
    node.hold_device(wrote(5, 3))
    liar = Liar(node, is_contact=False).begin()
    liar.say(Root(tells=False, scopes=NOTHING_HERE)).ack()
    liar.holds = True

    liar.want(Request(0, 6, Mode.BODIES, (1, high)))
    liar.answer(100)

    assert liar.loads <= 1
    assert not liar.pending


# --- claims ---


def live_pair() -> tuple[Node, Node, Device]:
    """A node, and an honest one who has what it wants."""
    author = wrote(5, 3)
    node, honest = Node(1, live=True), Node(2, live=True)
    honest.hold_device(author)
    return node, honest, author


def come(node: Node, author: Device, now: float = 0.0) -> Liar:
    """A stranger who claims to have a log, and keeps nobody waiting for that."""
    liar = Liar(node, is_contact=False, now=now).begin(features=1)
    liar.say(Root(tells=True, scopes=NOTHING_HERE))
    return liar.mention(claim((author.public, 0), 9), claim((author.public, SOCIAL), 9))


def test_a_liar_who_takes_back_what_he_said_cannot_keep_a_log_from_others() -> None:
    # given a liar who claims a log first
    node, honest, author = live_pair()
    liar = come(node, author)
    meeting = Meeting(node, honest).start().settle()

    # when he says every second that he has it no more, ends what was asked, and has it again
    asked = 0
    for step in range(133):
        together(0.9 * (step + 1), liar, meeting)
        liar.mention(again(0, 0, 4 * step), again(1, 0, 4 * step + 1))
        for request in liar.asked()[asked:]:
            liar.done(request.index, request.mode)
        asked = len(liar.asked())
        liar.mention(again(0, 9, 4 * step + 2), again(1, 9, 4 * step + 3))
        if (author.public, SOCIAL) in node.ids():
            break

    assert liar.now <= 4, "others wait for the patience, and no longer"


def test_a_liar_who_comes_back_cannot_keep_a_log_from_others() -> None:
    node, honest, author = live_pair()
    liar = come(node, author)
    meeting = Meeting(node, honest).start().settle()

    for step in range(48):
        together(2.5 * (step + 1), liar, meeting)
        liar.leave()
        liar = come(node, author, 2.5 * (step + 1))
        if (author.public, SOCIAL) in node.ids():
            break

    assert liar.now <= 5


# --- silence ---


@pytest.mark.parametrize(
    "scopes", [None, [ScopeRoot(b"", bytes(16), 300)]], ids=["no ROOT", "no BUCKETS"]
)
def test_a_contact_with_an_empty_store_who_answers_no_root_is_left_some_day(
    scopes: list[ScopeRoot] | None,
) -> None:
    node = Node(1)
    node.write("x")
    liar = Liar(node).begin(Greeting(b"", 0, None))
    if scopes is not None:
        liar.say(Root(tells=False, scopes=scopes))

    liar.wait(1_000)

    assert liar.end is End.SILENT


def test_a_contact_that_covers_serial_numbers_of_no_run_and_falls_silent_is_left() -> None:
    # given a contact without a run, who says that he has news, and that there are none
    node = Node(1)
    node.write("one")
    liar = Liar(node).begin(Greeting(b"", 0, None))
    liar.say(Announce(b"", 1, 5, []), Root(tells=False, scopes=NOTHING_HERE), Ack(1))

    liar.wait(1_000)

    assert liar.session.state is State.CLOSED


# --- too much ---


def test_no_more_logs_of_one_author_are_taken_than_the_limit_because_they_come_together() -> None:
    node, author = Node(1, limits=Limits(logs=8)), Device(5, 5)
    for log in range(1, 100):
        author.write(log=log)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))

    liar.mention(*(claim((author.public, log), 1) for log in range(1, 100)))
    liar.send(*(author.logs[log] for log in range(1, 100)))

    assert len(node.holdings.catalogue.numbers(author.public)) == 8


def test_a_want_of_many_bodies_fits_a_message() -> None:
    # given as many requests at once as there may be, each of as many ranges as there may be
    ranges = tuple(seq for low in range(70_000, 70_128, 4) for seq in (low, low + 1))
    pulling = Pulling(talk := Talk(Liar(Node(1)).setting, 1))
    pulling._asking._requests = [Request(number, 3, Mode.BODIES, ranges) for number in range(256)]

    pulling.pump()

    frames = [effect.frame for effect in talk.take_effects() if hasattr(effect, "frame")]
    asked = sum(len(getattr(decode_message(frame), "requests", ())) for frame in frames)
    assert asked == 256
    assert max(map(len, frames)) <= 24_000


# --- answers that come twice, or early ---


def until_ids() -> tuple[Meeting, Node, Ids]:
    """A meeting of two who hold another end of one log; the left one waits for these ids."""
    author = wrote(9, 0)
    author.write_many(99, "trunk")
    twin = author.twin()
    author.write_many(101, "left")
    twin.write_many(101, "right")
    left, right = Node(1), Node(2)
    left.hold_device(author)
    right.hold_device(twin)
    meeting = Meeting(left, right).start()
    while True:
        out = meeting.ends[1].out
        message = decode_message(out[0]) if out else None
        if isinstance(message, Ids):
            return meeting, left, message
        assert meeting.step(), "no IDS in this meeting"


def take(meeting: Meeting, *messages: Ids) -> None:
    """Let messages arrive before the store is read for the first of them."""
    end = meeting.ends[0]
    for message in messages:
        meeting._carry_out(end, end.session.receive(encode_message(message), 0.0))
    meeting.settle()


def test_the_same_ids_twice_before_the_store_was_read_are_taken_once() -> None:
    meeting, left, ids = until_ids()

    take(meeting, ids, ids)

    assert left.holdings.catalogue.logs[AUTHOR, SOCIAL].fork == 100


def test_an_answer_to_the_question_that_will_come_next_does_no_harm() -> None:
    meeting, left, ids = until_ids()
    step = ids.low // 65
    early = Ids(ids.index, step, step, bytes(8 * min(64, (ids.low - 1) // step)))

    take(meeting, ids, early)

    assert left.holdings.catalogue.logs[AUTHOR, SOCIAL].fork == 100


def test_ends_of_requests_do_not_fill_memory_while_a_batch_is_under_way() -> None:
    meeting, _, _ = until_ids()
    session = meeting.ends[0].session
    pulling = session._pulling
    asked = next(iter(pulling._asking._asked.values()))
    assert asked.ask is not None
    pulling.inbox.arrive(1_000)

    done = encode_message(Done([DoneRow(asked.index, asked.ask.mode, Reason.ALL)] * 10_000))
    for _ in range(10):
        session.receive(done, 0.0)

    assert sum(map(len, pulling._after.values())) == 1


def test_answers_do_not_fill_memory_while_the_store_is_read() -> None:
    meeting, _, ids = until_ids()
    session = meeting.ends[0].session
    before = len(session._talk._loads)

    for _ in range(1_000):
        session.receive(encode_message(ids), 0.0)

    assert len(session._talk._loads) == before + 1
