"""Too much of everything: what it costs the node is bounded, and counted here."""

import pytest

from gossip.control import MAX_STRANGE, Announce, Greeting, Mention, Mode, Request, Root
from gossip.effects import End
from gossip.wire import Bodies, Data, RawRun, encode_message
from ledger.store.base import LateBody
from tests.gossip.liars import NOTHING_HERE, WRONG, Liar, again, claim, is_sound, together
from tests.gossip.meetings import Meeting, Node
from tests.strategies import Device, items, material, person_key

HIS_RUN = material("his run", 8)


def wrote(number: int, blocks: int = 0) -> Device:
    device = Device(number, number)
    if blocks:
        device.write_many(blocks)
    return device


def test_blocks_nobody_asked_for_cost_no_signature_and_513_are_too_many() -> None:
    node, author = Node(1), wrote(5, 200)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))

    for _ in range(9):
        liar.send(author.logs[1])

    assert liar.end is End.HOSTILE
    assert liar.session.counts.blocks_in == 600, "the third 200 are beyond 512"
    assert node.verify.count == 0
    assert node.ids() == {}


def test_more_than_the_window_ends_the_meeting() -> None:
    node, author = Node(1), wrote(5, 100)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((author.public, 1), 100))
    liar.holds = True

    while liar.finish is None:
        liar.send(author.logs[1])

    assert liar.end is End.HOSTILE
    assert (1 << 20) < liar.bytes_in < (1 << 20) + 60_000
    liar.answer()
    assert liar.keeps == 2, "half a window and what came after it"
    assert is_sound(node)


def test_pages_that_wait_for_no_ack_end_with_the_ninth() -> None:
    node = Node(1)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))

    for number in range(20):
        liar.mention(claim((wrote(10 + number).public, 0), 5))

    assert liar.end is End.HOSTILE
    assert liar.pages == 20
    assert len(liar.asked()) == 8


def test_endless_pages_of_nothing_leave_nothing_behind() -> None:
    liar = Liar(Node(1)).begin(Greeting(HIS_RUN, 9, None))
    liar.mention()
    weight = liar.weight

    for _ in range(1_000):
        liar.mention()

    assert liar.end is None
    assert liar.weight <= weight + 2
    assert (liar.loads, liar.keeps) == (0, 0)
    assert liar.bytes_out < 6 * 1_000 + 200, "an ACK each"


@pytest.mark.parametrize("is_contact", [True, False])
def test_endless_mentions_are_cut_off_at_the_limit(
    monkeypatch: pytest.MonkeyPatch, *, is_contact: bool
) -> None:
    monkeypatch.setattr("gossip.talk.MAX_TOLD", 8_192)
    limit, node = 8_192 if is_contact else MAX_STRANGE, Node(1)
    told = Greeting(HIS_RUN, 9, None) if is_contact else None
    liar = Liar(node, is_contact=is_contact).begin(told)
    empty = [
        Mention((material(f"author {n}"), 1), 0, plain=True, check=WRONG) for n in range(1_024)
    ]

    for log in range(1, 1_000):
        page = [m._replace(name=(m.name[0], log)) for m in empty if isinstance(m.name, tuple)]
        liar.say(Announce(b"", 0, 0, page))
        if liar.finish is not None:
            break

    assert liar.end is End.HOSTILE
    assert log == limit // 1_024 + 1
    assert (liar.loads, liar.keeps, node.verify.count) == (0, 0, 0)


def test_the_same_log_mentioned_for_ever_is_one_log_in_memory() -> None:
    liar = Liar(Node(1)).begin(Greeting(HIS_RUN, 9, None))
    author = wrote(5)
    liar.mention(claim((author.public, 1), 0))
    weight = liar.weight

    for number in range(1_000):
        liar.mention(again(0, 0, number))

    assert liar.end is None
    assert liar.weight <= weight + 2


def test_the_same_thing_wanted_five_times_at_once_ends_the_meeting() -> None:
    node, author = Node(1), wrote(5, 100)
    node.hold_device(author)
    liar = Liar(node, is_contact=False).begin().say(Root(tells=False, scopes=NOTHING_HERE)).ack()
    liar.holds = True

    liar.want(*[Request(0, 6, Mode.IDS, (1, 1, 64))] * 5)

    assert liar.end is End.HOSTILE
    assert liar.loads == 0
    assert len(liar.pending) <= 2


def test_a_credit_that_never_grows_is_silence() -> None:
    node, author = Node(1), wrote(5, 600)
    node.hold_device(author)
    liar = Liar(node, is_contact=False).begin(window=24_000)
    liar.say(Root(tells=False, scopes=NOTHING_HERE)).ack()

    liar.want(*[Request(index, 6, Mode.FROM, (0, 0, b"")) for index in (0, 1)]).wait(119.0)
    assert liar.end is None
    assert sum(len(encode_message(data)) for data in liar.all(Data)) <= 24_000
    assert liar.loads == 2, "nothing more is read than is sent"
    liar.wait(1.0)

    assert liar.end is End.SILENT


def test_who_asks_for_everything_and_reads_nothing_is_sent_one_frame() -> None:
    node = Node(1)
    for number in range(10, 60):
        node.hold_device(wrote(number, 50))
    liar = Liar(node, is_contact=False).begin().say(Root(tells=False, scopes=NOTHING_HERE)).ack()
    liar.is_deaf = True

    liar.want(*[Request(index, 6, Mode.FROM, (0, 0, b"")) for index in range(100)])

    assert liar.unread == 1
    assert liar.loads == 1, "for the frame in the link and what waits"


def test_blocks_of_a_blocked_person_are_not_asked_for_and_not_kept() -> None:
    blocked = person_key(5).signing.public
    node, author = Node(1, blocked=frozenset({blocked})), wrote(5, 3)
    node.hold(author.logs[0])
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))

    liar.mention(claim((author.public, 1), 3)).send(author.logs[1])

    assert liar.asked() == []
    assert (author.public, 1) not in node.ids()
    assert node.verify.count == 0


def test_wrong_bodies_are_not_kept() -> None:
    node, author = Node(1), wrote(5, 3)
    node.hold(author.logs[0])
    bare = [block._replace(body=None) for block in author.logs[1]]
    node.hold(bare)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((author.public, 1), 3))

    liar.say(Bodies([LateBody(author.public, 1, seq, b"\x66" * 99) for seq in (1, 2, 3)]))

    assert node.holdings.catalogue.logs[author.public, 1].bodies_missing == 3
    assert is_sound(node)


def test_unsigned_blocks_after_a_signed_one_are_neither_kept_nor_told() -> None:
    node, author = Node(1), wrote(5, 70)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((author.public, 1), 70))
    loose = [
        (raw, b"" if at != 63 else sig, body)
        for at, (raw, sig, body) in enumerate(items(author.logs[1]))
    ]

    liar.say(Data([RawRun(loose, 0)]))

    assert liar.end is End.HOSTILE
    assert node.ids() == {}


def test_a_liar_who_claims_a_log_delays_it_by_the_patience_and_no_more() -> None:
    node, honest, author = Node(1, live=True), Node(2, live=True), wrote(5, 3)
    honest.hold_device(author)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None), features=1)
    liar.mention(claim((author.public, 0), 9), claim((author.public, 1), 9))
    meeting = Meeting(node, honest).start()

    together(2.9, liar, meeting)
    assert node.ids() == {}
    together(3.0, liar, meeting)

    assert len(node.ids()[author.public, 1]) == 3
    together(30.0, liar, meeting)
    assert liar.end is End.SILENT
    assert [end.finish for end in meeting.ends] == [None, None]
    assert node.store._has.notes.get(f"seen/{liar.device.public.hex()}") is None
