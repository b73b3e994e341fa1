"""Words no honest node says: each ends the meeting, once, and leaves the node as it was."""

import pytest

from gossip.control import (
    BUCKETS,
    Ack,
    Announce,
    Buckets,
    Bye,
    Control,
    Credit,
    Done,
    DoneRow,
    Entries,
    EntryRow,
    Greeting,
    Hello,
    Ids,
    Mention,
    Mode,
    New,
    Reason,
    Request,
    Root,
    Vector,
    Want,
)
from gossip.cursor import Seen
from gossip.effects import End
from gossip.frontier import FrontierEntry
from gossip.standing import Salt, place_of
from gossip.wire import Data, Proofs, RawRun, Statements
from ledger.block import MAX_SEQ
from tests.gossip.liars import NOTHING_HERE, WRONG, Liar, again, claim, is_sound
from tests.gossip.meetings import BINDING, Node, run_said
from tests.strategies import Device, items, material

HIS_RUN = material("his run", 8)
A, B = Device(5, 5), Device(6, 6)
A.write_many(3)
HELLO = Hello((1,), 0, 65_000, 1 << 20, None, None)
LIES: dict[str, Control | bytes] = {
    "ACK for the future": Ack(9),
    "an index that was not given": Announce(b"", 0, 0, [again(7, 1, 0)]),
    "an answer about no log": Ids(7, 1, 1, b""),
    "an end of nothing": Done([DoneRow(7, Mode.FROM, Reason.ALL)]),
    "a want for a log not mentioned": Want([Request(7, 0, Mode.ENTRY)]),
    "BUCKETS nobody waits for": Buckets(b"", bytes(4 * BUCKETS)),
    "VECTOR nobody waits for": Vector(b"", last=True, mentions=[]),
    "VECTOR of a scope nobody named": Vector(bytes(16), last=True, mentions=[]),
    "HELLO twice": HELLO,
    "a log under two names": Announce(b"", 0, 0, [claim((A.public, 1), 1)] * 2),
    "an empty message": b"",
    "bytes after the message": b"\x81\x13\x00",
    "a message too long": bytes(65_001),
    "nested for ever": b"\x81" * 60_000,
    "a number below zero": b"\x81\x20",
    "a run that is not one": bytes.fromhex("8206818100"),
}


def honest() -> Node:
    node = Node(1)
    node.write("mine")
    return node


@pytest.mark.parametrize("words", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("is_contact", [True, False])
def test_words_out_of_place_end_the_meeting_and_store_nothing(
    words: Control | bytes, *, is_contact: bool
) -> None:
    node = honest()
    held = node.ids()
    liar = Liar(node, is_contact=is_contact)
    liar.begin(Greeting(HIS_RUN, 9, None) if is_contact else None)
    said = liar.bytes_out

    liar.say(words, words, Bye())

    assert liar.end is End.HOSTILE
    assert liar.frames == 2, "HELLO and the lie; nobody listens to the rest"
    assert liar.bytes_out - said <= 30
    assert node.ids() == held
    assert is_sound(node)


def test_root_twice_is_one_too_many() -> None:
    liar = Liar(honest()).begin(Greeting(HIS_RUN, 9, None))

    liar.say(Root(tells=True, scopes=NOTHING_HERE)).say(Root(tells=True, scopes=NOTHING_HERE))

    assert (liar.end, liar.frames) == (End.HOSTILE, 3)


def test_new_after_the_last_new_ends_the_meeting() -> None:
    liar = Liar(honest()).begin(Greeting(HIS_RUN, 9, None))

    liar.say(New(0, 1, 9, last=True, mentions=[]), New(0, 1, 9, last=True, mentions=[]))

    assert (liar.end, liar.frames) == (End.HOSTILE, 3)


def test_another_word_than_hello_comes_too_early() -> None:
    liar = Liar(honest())
    liar._take(liar.session.start(0.0))

    liar.say(Bye())

    assert liar.end is End.HOSTILE


def test_the_wrong_entry_for_a_short_name_ends_the_meeting() -> None:
    node = honest()
    node.hold(A.logs[0])
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    key = (A.public, 0)
    short = Salt(BINDING).short(key, place_of(key)[0])
    liar.mention(Mention(short, 9, plain=False, check=WRONG))
    assert [request.mode for request in liar.asked()] == [Mode.ENTRY]

    liar.say(Entries([EntryRow(0, FrontierEntry(B.public, 0, 0, ()), b"")]))

    assert liar.end is End.HOSTILE


@pytest.mark.parametrize(
    "evidence",
    [Proofs([b""]), Proofs([bytes(40_000)]), Statements([(b"", bytes(64))])],
    ids=["an empty proof", "a long one", "a statement nobody signed"],
)
def test_evidence_that_does_not_hold_costs_no_signature(evidence: Proofs | Statements) -> None:
    node = honest()
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    checked = node.verify.count

    liar.say(evidence)

    assert liar.end is End.HOSTILE
    assert node.verify.count == checked


def test_a_run_with_a_wrong_signature_costs_one_and_is_not_kept() -> None:
    node = honest()
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((A.public, 0), 1))
    checked = node.verify.count
    header, _, body = items(A.logs[0])[0]

    liar.say(Data([RawRun([(header, b"\x66" * 64, body)], 0)]))

    assert liar.end is End.HOSTILE
    assert node.verify.count - checked == 1
    assert (A.public, 0) not in node.ids()


@pytest.mark.parametrize(
    "seen",
    [Seen(material("no run of his", 8), ((1, 5),)), Seen(run_said("run 1 1"), ((1, 1 << 52),))],
    ids=["of a run that never was", "far beyond what there is"],
)
def test_a_false_seen_gets_what_there_is_and_is_not_believed(seen: Seen) -> None:
    node = honest()

    liar = Liar(node).begin(Greeting(HIS_RUN, 9, seen))
    liar.say(Root(tells=False, scopes=NOTHING_HERE), Ack(0, seen)).leave()

    assert liar.end is End.LOST
    told = node.store._has.notes.get(f"told/{liar.device.public.hex()}")
    assert told is None or len(told) <= 20
    assert is_sound(node)


def test_a_hundred_acks_said_again_change_nothing() -> None:
    liar = (
        Liar(honest(), is_contact=False).begin().say(Root(tells=False, scopes=NOTHING_HERE)).ack()
    )
    said, weight = liar.bytes_out, liar.weight

    for _ in range(100):
        liar.ack().say(Ack(0))

    assert (liar.end, liar.bytes_out, liar.weight) == (None, said, weight)


def test_credit_as_large_as_a_number_may_be_sends_no_more_than_was_asked() -> None:
    liar = (
        Liar(honest(), is_contact=False)
        .begin(window=24_000)
        .say(Root(tells=False, scopes=NOTHING_HERE))
        .ack()
    )
    before = liar.bytes_out

    liar.say(Credit((1 << 53) - 1))

    assert liar.end is None
    assert liar.bytes_out == before


def test_a_gap_as_wide_as_a_log_may_be_costs_two_requests() -> None:
    node = honest()
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.say(New(0, 1, 9, last=True, mentions=[claim((A.public, 1), MAX_SEQ)]))

    for number in range(9):
        for request in liar.asked()[number : number + 1]:
            liar.done(request.index, request.mode)

    assert [request.mode for request in liar.asked()] == [Mode.NEWEST, Mode.FROM]
    assert liar.all(Ack)[-1] == Ack(1), "the page is done, though it failed"
