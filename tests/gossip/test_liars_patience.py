"""Peers that waste time and bytes: how long they are borne, and what they get out of a node."""

import pytest

from gossip.control import (
    Ack,
    Announce,
    Bye,
    Greeting,
    Ids,
    Mode,
    New,
    Request,
    Root,
)
from gossip.effects import End
from gossip.wire import Bodies, Data
from ledger.store.base import LateBody
from tests.gossip.liars import LIAR, NOTHING_HERE, Liar, claim, together
from tests.gossip.meetings import Meeting, Node, now_run
from tests.strategies import Device, forked, material

HIS_RUN = material("his run", 8)


def holding(blocks: int, *, live: bool = False) -> tuple[Node, Device]:
    node, author = Node(1, live=live), Device(5, 5)
    author.write_many(blocks)
    node.hold_device(author)
    return node, author


def stranger(node: Node) -> Liar:
    """A stranger to whom the node told all it has."""
    return Liar(node, is_contact=False).begin().say(Root(tells=False, scopes=NOTHING_HERE)).ack()


def test_a_store_that_is_another_at_every_meeting_leaves_one_note() -> None:
    node, _ = holding(3)
    told = []
    name = f"seen/{Device(LIAR, LIAR).public.hex()}"

    for number in range(5):
        liar = Liar(node).begin(Greeting(material(f"run {number}", 8), 9, None))
        liar.say(New(0, 1, 9, last=True, mentions=[])).leave()
        told.append(liar.bytes_out)

    assert max(told) <= 200
    assert [note for note in node.store._has.notes if note.startswith("seen/")] == [name]
    assert len(node.store._has.notes[name]) <= 40


def test_a_run_nobody_heard_of_is_noted_and_changes_nothing_else() -> None:
    node, _ = holding(3)
    held = node.ids()
    liar = Liar(node, number=67).begin(Greeting(HIS_RUN, 9, None), features=1)

    for number in range(100):
        liar.say(Announce(material(f"run {number}", 8), 10 + 2 * number, 10 + 2 * number, []))
    liar.leave()

    assert liar.end is End.LOST
    note = now_run(node.store.note(f"seen/{liar.device.public.hex()}"))
    assert note is not None
    assert len(note) <= 300, "32 ranges and no more"
    assert node.ids() == held


def test_one_frame_a_day_is_two_minutes_too_slow() -> None:
    node, author = holding(3)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))

    liar.say(Root(tells=True, scopes=NOTHING_HERE)).wait(86_400.0)
    liar.say(Ack(1)).mention(claim((author.public, 2), 1))

    assert liar.end is End.SILENT
    assert liar.frames == 2
    assert node.holdings.claims._claims == {}


def test_what_was_asked_for_and_comes_a_frame_a_day_is_30_seconds_too_slow() -> None:
    node, author = Node(1), Device(5, 5)
    author.write_many(3)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((author.public, 0), 1), claim((author.public, 1), 3))

    liar.send(author.logs[0]).wait(29.9)
    assert liar.end is None
    liar.wait(0.1)

    assert liar.end is End.SILENT


@pytest.mark.parametrize(
    ("live", "seconds", "end"), [(True, 0.0, End.DONE), (False, 120.0, End.SILENT)]
)
def test_a_bye_that_comes_early_ends_it_at_once_or_after_two_minutes(
    seconds: float, end: End, *, live: bool
) -> None:
    node, _ = holding(3, live=live)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None), features=1)

    liar.say(Bye())
    if seconds:
        liar.wait(seconds - 0.1)
        assert liar.end is None
        liar.wait(0.1)

    assert liar.end is end


def test_wrong_bodies_for_ever_fill_nothing_and_are_asked_for_once() -> None:
    node, author = Node(1), Device(5, 5)
    author.write_many(3)
    node.hold(author.logs[0])
    node.hold([block._replace(body=None) for block in author.logs[1]])
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None)).mention(claim((author.public, 1), 3))
    wrong = Bodies([LateBody(author.public, 1, seq, bytes(9)) for seq in (1, 2, 3)])
    liar.say(wrong)
    weight, arrived = liar.weight, node.holdings.catalogue.lsn

    for _ in range(200):
        liar.say(wrong)

    assert [request.mode for request in liar.asked()] == [Mode.BODIES]
    assert liar.weight <= weight + 2
    assert node.holdings.catalogue.lsn == arrived
    assert node.holdings.catalogue.logs[author.public, 1].bodies_missing == 3
    assert node.verify.count == 0


def test_who_repeats_held_blocks_for_ever_keeps_a_log_from_another_for_a_minute() -> None:
    node, honest, author = Node(1, live=True), Node(2, live=True), Device(5, 5)
    repeated = Device(6, 6)
    author.write_many(3)
    honest.hold_device(author)
    liar = Liar(node, is_contact=False).begin(features=1)
    liar.say(Root(tells=True, scopes=NOTHING_HERE))
    liar.mention(claim((repeated.public, 0), 9), claim((author.public, 0), 9))
    meeting = Meeting(node, honest).start().settle()

    for second in range(1, 60):
        liar.send(repeated.logs[0])
        together(float(second), liar, meeting)
    assert (author.public, 0) not in node.ids()
    liar.send(repeated.logs[0])
    together(60.0, liar, meeting)

    assert (author.public, 0) in node.ids()
    assert len(node.ids()[repeated.public, 0]) == 1


def test_ids_that_contradict_each_other_for_ever_are_asked_for_a_few_times() -> None:
    node, author = holding(300)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((author.public, 1), 300))

    for number in range(100):
        request = liar.asked()[-1]
        if request.mode is not Mode.IDS:
            break
        low, step, count = (int(arg) for arg in request.args)
        liar.say(Ids(0, low, step, material(f"ids {number}", 8 * count)))
    liar.done(0, Mode.FROM)

    assert [request.mode for request in liar.asked()] == [*[Mode.IDS] * 3, Mode.FROM]
    assert liar.all(Ack)[-1] == Ack(1)
    assert liar.loads == 3
    assert node.holdings.catalogue.logs[author.public, 1].fork is None


WANTS: dict[Mode, tuple[tuple[int, ...], int, int]] = {
    Mode.ENTRY: ((), 130, 0),
    Mode.IDS: ((1, 1, 64), 530, 1),
    Mode.BRANCHES: ((), 6_900, 1),
    Mode.BODIES: ((1, 70), 5_400, 2),
}
"""Of each mode what is asked, and what one request costs: bytes out at most, and loads."""


@pytest.mark.parametrize("mode", WANTS, ids=[mode.name for mode in WANTS])
def test_who_asks_64_times_for_one_thing_gets_it_64_times_and_is_then_left(mode: Mode) -> None:
    args, most, loads = WANTS[mode]
    node = Node(1)
    one, other = forked(71, 20, 20, number=5)
    node.hold(Device(5).logs[0], one, other)
    liar = stranger(node)
    key = (Device(5).public, 1)
    index = liar.session._describing.mentioned._keys.index(key)
    before = liar.bytes_out

    for _ in range(64):
        liar.want(Request(index, 6, mode, args))
    assert liar.end is None
    assert liar.loads == 64 * loads
    assert most // 2 <= (liar.bytes_out - before) // 64 <= most
    liar.want(Request(index, 6, mode, args))

    assert liar.end is End.HOSTILE


def test_who_never_acknowledges_but_reads_on_is_left_two_minutes_after_he_last_read() -> None:
    node = Node(1)
    for number in range(10, 800):
        node.hold(Device(number, number).logs[0])
    liar = Liar(node, is_contact=False).begin()
    liar.say(Root(tells=True, scopes=NOTHING_HERE))
    assert liar.pages_heard == 2

    for index in range(1, 10):
        liar.want(Request(index, 6, Mode.FROM, (0, 0, b""))).wait(100.0)
    assert len(liar.all(Data)) == 9
    liar.wait(19.9)
    assert liar.finish is None
    liar.wait(0.1)

    assert liar.end is End.SILENT
    assert liar.pages_heard == 2
