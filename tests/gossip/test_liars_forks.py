"""Lies about forks and evidence: nothing convicts but a proof, and evidence costs what it may."""

from gossip.control import Ack, Entries, EntryRow, Greeting, Mention, Mode, New
from gossip.effects import End
from gossip.frontier import FrontierEntry
from gossip.wire import Data, Proofs, RawRun, Statements
from ledger.block import Block
from ledger.fork import ForkProof, Vouched
from ledger.statement import Revocation
from ledger.store.base import What
from tests.gossip.liars import WRONG, Liar, claim, is_sound
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.strategies import Device, forked, items, material, person_key

HIS_RUN = material("his run", 8)
JUNK = b"\x66" * 64
EVIDENCE = b"\x55" * 4


def forked_here(author: Device) -> Mention:
    """A mention of log 1 that says it is forked at 5."""
    return Mention((author.public, 1), 5, plain=False, check=WRONG, evidence=EVIDENCE)


def forked_entry(author: Device, branches: bytes) -> Entries:
    ids = tuple(sorted([material("one"), material("other")]))
    return Entries([EntryRow(0, FrontierEntry(author.public, 1, 5, ids, ((1, 4),)), branches)])


def holding(count: int) -> tuple[Node, Device]:
    node, author = Node(1), Device(5)
    author.write_many(count)
    node.hold_device(author)
    return node, author


def met(node: Node, *mentions: Mention) -> Liar:
    """A contact who told all he has in one page."""
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    return liar.say(New(0, 1, 9, last=True, mentions=mentions))


def modes(liar: Liar) -> list[Mode]:
    return [request.mode for request in liar.asked()]


def seen_of(liar: Liar) -> bytes | None:
    return now_run(liar.node.store.note(f"seen/{liar.device.public.hex()}"))


def test_a_fork_without_a_proof_convicts_nobody_and_is_told_again_next_time() -> None:
    node, author = holding(10)
    liar = met(node, forked_here(author))

    liar.done(0, Mode.EVIDENCE).say(forked_entry(author, bytes(8)))

    assert modes(liar) == [Mode.EVIDENCE, Mode.ENTRY]
    assert liar.all(Ack)[-1] == Ack(1)
    liar.leave()
    assert node.holdings.catalogue.logs[author.public, 1].fork is None
    assert seen_of(liar) is None, "what failed is not processed"


def test_a_branch_that_is_held_back_is_asked_for_once() -> None:
    node, author = Node(1), Device(5)
    one, other = forked(5, 3, 3, number=5)
    node.hold(author.logs[0], one, other)
    liar = met(node)
    told = Mention((author.public, 1), 5, plain=False, check=WRONG)
    liar.mention(told).say(forked_entry(author, b"\x77" * 8))

    for _ in range(5):
        liar.done(0, Mode.BRANCHES)

    assert modes(liar)[:2] == [Mode.ENTRY, Mode.BRANCHES]
    assert modes(liar).count(Mode.BRANCHES) == 1


def test_a_device_block_that_is_held_back_leaves_logs_whose_writer_nobody_knows() -> None:
    node, author = Node(1), Device(5, 5)
    author.write_many(3)
    liar = met(node, claim((author.public, 0), 1), claim((author.public, 1), 3))

    liar.send(author.logs[1]).done(0, Mode.FROM)

    assert modes(liar) == [Mode.FROM, Mode.FROM, Mode.IDS]
    assert node.holdings.catalogue.person(author.public) is None
    assert (author.public, 0) not in node.ids()
    assert is_sound(node)
    liar.leave()
    assert seen_of(liar) is None


def junk_inside(blocks: list[Block]) -> RawRun:
    """A run whose signatures are wrong wherever nobody has to look."""
    raw = [(header, JUNK, body) for header, _, body in items(blocks)]
    return RawRun([*raw[:-1], items(blocks)[-1]], 0)


def test_junk_signatures_inside_two_branches_are_never_kept_and_never_sent_on() -> None:
    node, other_node, author = Node(1), Node(2), Device(5)
    one, other = forked(3, 4, 4, number=5)
    node.hold(author.logs[0])
    liar = met(node, claim((author.public, 1), 6))

    liar.say(Data([junk_inside(list(one)), junk_inside(list(other))]))

    assert node.holdings.catalogue.logs[author.public, 1].fork == 3
    assert is_sound(node)
    meeting: Meeting = meet(node, other_node)
    assert other_node.ids() == node.ids()
    assert len(node.ids()[author.public, 1]) == 10
    assert not any(JUNK in frame for end in meeting.ends for frame in end.sent)


def test_of_ten_thousand_statements_16_are_looked_at() -> None:
    node, author = Node(1), Device(5, 5)
    liar = met(node, Mention((author.public, 0), 0, plain=True, check=WRONG, evidence=EVIDENCE))
    assert modes(liar) == [Mode.EVIDENCE]
    said = Revocation.sign(person_key(7), author.public, [])
    checked, frames = node.verify.count, liar.frames

    for _ in range(10_000):
        liar.say(Statements([(said.raw, said.signature)]))

    assert liar.end is End.HOSTILE
    assert liar.frames - frames == 16 + 513
    assert node.verify.count - checked == 16
    assert len(node.holdings.catalogue.statements(author.public)) == 1


def test_of_ten_thousand_proofs_16_are_looked_at() -> None:
    node, author = Node(1), Device(5)
    one, other = forked(3, 1, 1, number=5)
    proof = ForkProof.of(Vouched.of(one[2:]), Vouched.of(other[2:])).encode()
    liar = met(node, Mention((author.public, 1), 3, plain=True, check=WRONG, evidence=EVIDENCE))
    assert modes(liar)[0] is Mode.EVIDENCE
    checked, frames = node.verify.count, liar.frames

    for _ in range(10_000):
        liar.say(Proofs([proof]))

    assert liar.end is End.HOSTILE
    assert liar.frames - frames == 16 + 513
    assert node.verify.count - checked == 16 * 2
    assert node.holdings.catalogue.logs[author.public, 1].fork == 3


def test_an_author_who_forks_every_block_of_his_has_one_proof_and_three_branches() -> None:
    node, author = holding(60)
    liar = met(node, claim((author.public, 1), 61))
    whole = author.logs[1]

    for fork in range(60, 1, -1):
        twin = Device(5, 0, {0: author.logs[0], 1: whole[: fork - 1]})
        liar.send(twin.write_many(2, f"fork {fork}", log=1)[-2:])

    log = node.holdings.catalogue.logs[author.public, 1]
    verdicts = [a for a in now_run(node.store.arrivals(limit=10_000)) if a.what is What.VERDICT]
    assert log.fork == 2
    assert [a.low for a in verdicts] == list(range(2, 61)), "one for each smaller fork"
    assert len(now_run(node.store.branches((author.public, 1)))) <= 3 * 65
    assert len(now_run(node.store.proofs())) == 1
    assert is_sound(node)
    assert len(liar.asked()) <= 24
