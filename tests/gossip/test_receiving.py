"""Receiving: what was not asked for costs nothing, and what does not hold ends the meeting."""

import pytest

from gossip.control import MAX_EVIDENCE, Mention, Mode
from gossip.inbox import Inbox
from gossip.policy import Limits
from gossip.receiving import Receiving
from gossip.talk import ProtocolError, Setting, Talk
from gossip.told import Told
from gossip.wanted import Ask
from gossip.wire import MAX_HOPS, Bodies, Data, Proofs, RawRun, Statements
from ledger.block import Block
from ledger.fork import ForkProof, Vouched
from ledger.statement import Revocation
from ledger.store.base import Batch, LateBody
from tests.gossip.meetings import BINDING, Node
from tests.strategies import SOCIAL, Device, forked, items, person_key, written

UNWANTED = 8
DEVICE = Device(10, 10)
BLOCKS = written(5, number=10)


class Taker:
    """One who asked for some things, and what he makes of what comes."""

    def __init__(self) -> None:
        self.node = Node(1, limits=Limits(unwanted=UNWANTED))
        held = self.node.holdings
        setting = Setting(
            held.catalogue, held.claims, self.node.policy, BINDING, verify=self.node.verify
        )
        self.talk = Talk(setting, 1)
        self.told = Told(self.talk)
        self.inbox = Inbox(self.talk, lambda _: None)
        self.receiving = Receiving(self.talk, self.told, self.inbox)

    def ask(self, log: int, mode: Mode, device: Device = DEVICE) -> None:
        mention = Mention((device.public, log), 5, plain=True, check=b"chck")
        key = (device.public, log)
        wanted = self.told.by_key.get(key) or self.told.take(mention)
        wanted.begin(Ask(mode, (), 0, 0.0))

    def gathered(self) -> tuple[int, int, int, int]:
        inbox = self.inbox
        proofs, revocations = inbox._proofs, inbox._revocations
        return len(inbox._runs), len(inbox._bodies), len(proofs), len(revocations)


def data(blocks: tuple[Block, ...], hops: int = 0) -> Data:
    return Data([RawRun(items(blocks), hops)])


def proof() -> ForkProof:
    left, right = forked(2, 2, 2, number=10)
    return ForkProof.of(Vouched.of(left[1:]), Vouched.of(right[1:]))


@pytest.fixture
def taker() -> Taker:
    return Taker()


# --- what was asked for -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.FROM, Mode.NEWEST, Mode.HEADERS, Mode.BODIES, Mode.BRANCHES])
def test_blocks_of_a_log_that_was_asked_for_are_taken(taker: Taker, mode: Mode) -> None:
    taker.ask(SOCIAL, mode)
    (wanted,) = taker.receiving.receive(data(BLOCKS))
    assert wanted.key == (DEVICE.public, SOCIAL)
    (run,) = taker.inbox._runs
    assert [block.id for block in run.blocks] == [block.id for block in BLOCKS]
    assert taker.talk.counts.blocks_in == 5


@pytest.mark.parametrize(("sent", "kept"), [(0, 1), (7, 8), (MAX_HOPS, MAX_HOPS)])
def test_each_who_passes_something_on_is_one_more(taker: Taker, sent: int, kept: int) -> None:
    taker.ask(SOCIAL, Mode.FROM)
    taker.receiving.receive(data(BLOCKS, sent))
    assert [run.hops for run in taker.inbox._runs] == [kept]


def test_bodies_statements_and_proofs_are_taken_too(taker: Taker) -> None:
    taker.ask(SOCIAL, Mode.BODIES)
    taker.ask(SOCIAL, Mode.EVIDENCE)
    taker.ask(0, Mode.EVIDENCE)
    taker.receiving.receive(Bodies([LateBody(DEVICE.public, SOCIAL, 1, BLOCKS[0].body or b"")]))
    taker.receiving.receive(Proofs([proof().encode()]))
    said = Revocation.sign(person_key(10), DEVICE.public, [])
    taker.receiving.receive(Statements([(said.raw, said.signature)]))
    assert taker.gathered() == (0, 1, 1, 1)


# --- what was not -------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [None, Mode.ENTRY, Mode.EVIDENCE, Mode.IDS])
def test_blocks_that_nobody_asked_for_are_not_kept_and_cost_no_signature(
    taker: Taker, asked: Mode | None
) -> None:
    if asked is not None:
        taker.ask(SOCIAL, asked)
    assert taker.receiving.receive(data(BLOCKS)) == []
    assert (taker.gathered(), taker.node.verify.count) == ((0, 0, 0, 0), 0)


def test_so_many_blocks_that_nobody_asked_for_are_too_many(taker: Taker) -> None:
    taker.receiving.receive(data(BLOCKS))
    taker.receiving.receive(data(BLOCKS[:3]))
    with pytest.raises(ProtocolError):
        taker.receiving.receive(data(BLOCKS[:1]))


def test_a_body_that_nobody_asked_for_is_not_kept(taker: Taker) -> None:
    late = LateBody(DEVICE.public, SOCIAL, 1, BLOCKS[0].body or b"")
    assert taker.receiving.receive(Bodies([late])) == []
    assert taker.gathered() == (0, 0, 0, 0)


def test_evidence_that_nobody_asked_for_is_not_kept(taker: Taker) -> None:
    taker.ask(SOCIAL, Mode.FROM)
    said = Revocation.sign(person_key(10), DEVICE.public, [])
    assert taker.receiving.receive(Statements([(said.raw, said.signature)])) == []
    assert taker.receiving.receive(Proofs([proof().encode()])) == []
    assert taker.gathered() == (0, 0, 0, 0)


# --- what does not hold -------------------------------------------------------------------------


def test_a_run_with_a_wrong_signature_ends_the_meeting(taker: Taker) -> None:
    taker.ask(SOCIAL, Mode.FROM)
    wrong = (*BLOCKS[:-1], BLOCKS[-1]._replace(signature=bytes(64)))
    with pytest.raises(ProtocolError):
        taker.receiving.receive(data(wrong))
    assert taker.gathered() == (0, 0, 0, 0)


def test_a_run_with_a_hole_ends_the_meeting(taker: Taker) -> None:
    taker.ask(SOCIAL, Mode.FROM)
    with pytest.raises(ProtocolError):
        taker.receiving.receive(data((*BLOCKS[:2], *BLOCKS[3:])))


def test_a_statement_with_a_wrong_signature_ends_the_meeting(taker: Taker) -> None:
    taker.ask(0, Mode.EVIDENCE)
    said = Revocation.sign(person_key(10), DEVICE.public, [])
    with pytest.raises(ProtocolError):
        taker.receiving.receive(Statements([(said.raw, bytes(64))]))


def test_what_somebody_says_about_another_s_device_is_not_kept(taker: Taker) -> None:
    taker.node.absorb(Batch())
    taker.node.hold([DEVICE.root])
    taker.ask(0, Mode.EVIDENCE)
    said = Revocation.sign(person_key(11), DEVICE.public, [])
    assert len(taker.receiving.receive(Statements([(said.raw, said.signature)]))) == 1
    assert taker.gathered() == (0, 0, 0, 0)


def test_sixteen_pieces_of_evidence_are_looked_at_and_no_more(taker: Taker) -> None:
    taker.ask(0, Mode.EVIDENCE)
    said = Revocation.sign(person_key(10), DEVICE.public, [])
    sent = Statements([(said.raw, said.signature)])
    for _ in range(MAX_EVIDENCE):
        taker.receiving.receive(sent)
    before = taker.node.verify.count
    for _ in range(UNWANTED):
        assert taker.receiving.receive(sent) == []
    assert taker.node.verify.count == before
    assert len(taker.inbox._revocations) == MAX_EVIDENCE == 16
    with pytest.raises(ProtocolError):
        taker.receiving.receive(sent)
