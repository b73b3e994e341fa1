"""Tricks that once worked: getting, keeping back or piling up what nobody should."""

from gossip.control import (
    Ack,
    Announce,
    Done,
    DoneRow,
    Entries,
    Greeting,
    Ids,
    Mode,
    Reason,
    Request,
    Root,
    ScopeRoot,
    Vector,
)
from gossip.effects import End
from gossip.wire import Data
from ledger.block import decode_header
from tests.gossip.liars import NOTHING_HERE, Liar, again, claim, together
from tests.gossip.meetings import Meeting, Node
from tests.strategies import GROUP, Device, material

HIS_RUN = material("his run", 8)
SOMETHING = [ScopeRoot(b"", bytes(16), 1)]


def holding(blocks: int) -> tuple[Node, Device]:
    """A node with one log of so many blocks, and who wrote it."""
    node, author = Node(1), Device(2, 2)
    author.write_many(blocks)
    node.hold_device(author)
    return node, author


def compared(node: Node, author: Device) -> Liar:
    """A liar whose copy of the log the node compares with its own."""
    liar = Liar(node).begin(Greeting(HIS_RUN, 4, None))
    liar.say(Root(tells=True, scopes=SOMETHING))
    liar.say(Vector(b"", last=False, mentions=[claim((author.public, 1), 300)]))
    assert liar.asked() == [Request(0, 6, Mode.IDS, (300, 1, 1))]
    return liar


def test_who_repeats_the_nodes_own_root_is_told_nothing_of_its_groups() -> None:
    node, member = Node(1, groups={GROUP: material("group")}), Device(2, 2)
    node.hold(member.logs[0])
    node.hold(member.write_many(3, log=GROUP))
    liar = Liar(node, is_contact=False).begin()
    (root,) = liar.all(Root)

    echo = [ScopeRoot(row.scope, bytes(16), 0) for row in root.scopes]
    liar.say(Root(tells=False, scopes=echo))
    count = sum(len(vector.mentions) for vector in liar.all(Vector))
    liar.want(*[Request(index, 6, Mode.FROM, (0, 0, b"")) for index in range(count)])

    logs = {decode_header(run.blocks[0][0]).log for data in liar.all(Data) for run in data.runs}
    assert (count, logs) == (1, {0})


def test_ids_that_answer_an_older_question_end_the_search() -> None:
    node, author = holding(300)
    liar = compared(node, author)
    liar.say(Ids(0, 300, 1, bytes(8)))
    assert liar.asked()[-1].args == (4, 4, 64)
    liar.holds = True
    liar.say(Ids(0, 300, 1, bytes(8)))
    liar.mention(again(0, 300, 1)).done(0, Mode.IDS)

    liar.answer()

    assert liar.end is None
    assert [request.mode for request in liar.asked()[2:]] == [Mode.IDS]


def test_only_one_answer_is_read_to_one_question() -> None:
    node, author = holding(300)
    liar = compared(node, author).say(Ids(0, 300, 1, bytes(8)))
    liar.holds = True

    for _ in range(100):
        liar.say(Ids(0, 1, 1, b""))

    assert len(liar.pending) == 1


def test_a_liar_who_ends_what_he_is_asked_keeps_no_log_from_another_for_a_minute() -> None:
    node, honest, author = Node(1, live=True), Node(2, live=True), Device(5, 5)
    author.write_many(3)
    honest.hold_device(author)
    liar = Liar(node, is_contact=False).begin(features=1)
    liar.say(Root(tells=True, scopes=NOTHING_HERE))
    liar.mention(claim((author.public, 0), 9), claim((author.public, 1), 9))
    meeting = Meeting(node, honest).start().settle()
    asked = 0

    for step in range(67):
        together(0.9 * (step + 1), liar, meeting)
        new, asked = liar.asked()[asked:], len(liar.asked())
        for request in new:
            liar.done(request.index, request.mode)
        liar.mention(again(0, 9, 2 * step), again(1, 9, 2 * step + 1))

    assert liar.now > 60
    assert (author.public, 1) in node.holdings.catalogue.logs


def test_one_end_of_a_request_is_kept_however_often_it_is_said() -> None:
    node, author = Node(1), Device(2, 2)
    author.write_many(3)
    liar = Liar(node).begin(Greeting(HIS_RUN, 4, None))
    liar.say(Announce(b"", 1, 4, [claim((author.public, 1), 3)]))
    (request,) = liar.asked()
    liar.holds = True
    liar.send(author.logs[1][:1])
    liar.say(Done([DoneRow(0, request.mode, Reason.ALL)]))
    weight = liar.weight

    for _ in range(10):
        liar.say(Done([DoneRow(0, request.mode, Reason.ALL)] * 10_000))

    assert liar.end is None
    assert liar.weight <= weight + 2


def test_an_entry_is_told_64_times_and_who_asks_on_is_left() -> None:
    node, _ = holding(3)
    liar = Liar(node, is_contact=False).begin()
    liar.say(Root(tells=False, scopes=NOTHING_HERE), Ack(1))

    liar.want(*[Request(0, 6, Mode.ENTRY)] * 64)
    assert sum(len(entries.rows) for entries in liar.all(Entries)) == 64
    assert liar.end is None
    liar.want(Request(0, 6, Mode.ENTRY))

    assert liar.end is End.HOSTILE
