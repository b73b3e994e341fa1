"""A town: people write, meet, go away in the middle of a sentence, lose their phones.

Hypothesis chooses the story; the clock is virtual. Every node is ``Watched``, so each batch is
checked as it is stored; after each rule nobody may have accused an honest node, and in the end all
meet until nothing changes and must hold the same.
"""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from gossip.carried import STRANGER
from gossip.effects import End
from gossip.notes import seen_note
from gossip.number import Number
from gossip.policy import Limits, Policy
from gossip.session import State
from ledger.block import ZEROS, Counterparty
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from tests.gossip.mail_builders import (
    Letter,
    bring,
    letter,
    mail_of,
    post,
    reads,
    receipt,
    release,
    restart,
)
from tests.gossip.meetings import Node, now_run
from tests.gossip.test_invariants import TALLY, Watched, WatchedMeeting, lacks, passable
from tests.gossip.worlds import part
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, make_body, material

NODES = 4
WRITERS = 3
MOST_ROUNDS = 40
"""Far more than it ever takes, unless something goes round and round."""
who = st.integers(0, NODES - 1)
writer = st.integers(0, WRITERS - 1)
log = st.sampled_from([SOCIAL, SOCIAL, GROUP, IDENTITY])
length = st.sampled_from([1, 1, 2, 64, 130])
GOOD_ENDS = {End.DONE, End.LOST, End.STOPPED}


def has_heard_of(reader: Node, one: Letter) -> bool:
    """Whether a letter came to its reader, or the word that it was read."""
    mail = mail_of(reader)
    return one.id in mail.letters or one.envelope.lock in mail.tokens


def is_let_go(node: Node, ident: bytes) -> bool:
    """Whether a node carried an envelope, and let it go for want of room."""
    gone = mail_of(node).gone.get(ident)
    return gone is not None and not gone.is_filler


def mail_state(node: Node) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """How a node's mail stands."""
    mail = mail_of(node)
    return set(mail.carried), set(mail.tokens), set(mail.letters)


class Town(RuleBasedStateMachine):
    """Nodes, writers who have no node of their own, and meetings that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, Node] = {}
        self.nodes: list[Watched] = []
        self.writers = [[Device(20 + n, 20 + n)] for n in range(WRITERS)]
        self.saved: dict[int, tuple[MemoryStore, Device]] = {}
        self.open: list[WatchedMeeting] = []
        self.meetings = 0
        self.now = 0.0
        self.letters: list[tuple[Letter, int]] = []

    @initialize(
        choosy=st.booleans(),
        crowd=st.sampled_from([0] * 5 + [260]),
        room=st.sampled_from([12, 12, 4, 2, 1]),
    )
    def people_move_in(self, crowd: int, room: int, *, choosy: bool) -> None:
        for number in range(NODES):
            is_public, limits = number > 0 or not choosy, Limits(window=65_000)
            node = Watched(number, known=self.known, public=is_public, limits=limits)
            node.hold(node.device.logs[IDENTITY])
            node.carry_mail(envelopes=room, memory=100)
            self.nodes.append(node)
        for number in range(300, 300 + crowd):
            self.nodes[1].hold([Device(number).root])

    def give(self, at: int, device: Device) -> None:
        """Give all logs to a node, unless it does not want them."""
        node = self.nodes[at % NODES]
        if node.policy.public:
            node.hold_device(device)

    # --- what people do ---

    @rule(at=who, log=log, size=st.sampled_from([0, 2_000]))
    def somebody_writes(self, at: int, log: int, size: int) -> None:
        node = self.nodes[at]
        body = make_body("hello", None, [], bytes(size), time=int(self.now))
        half = Counterparty(ZEROS, ZEROS) if log == IDENTITY else None
        block = node.device.write(log=log, body=body, counterparty=half)
        node.hold([block])
        self.settle("somebody_writes")

    @rule(at=who, writer=writer, copy=st.integers(0, 2), log=log, count=length)
    def a_writer_brings_news(self, at: int, writer: int, copy: int, log: int, count: int) -> None:
        copies = self.writers[writer]
        device = copies[copy % len(copies)]
        device.write_many(count, f"copy {copy}", log=log)
        self.give(at, device)
        self.settle("a_writer_brings_news")

    @rule(at=who, writer=writer, low=st.integers(0, 9), bodies=st.booleans())
    def a_writer_brings_a_part(self, at: int, writer: int, low: int, *, bodies: bool) -> None:
        """One node gets the end of a log, maybe without bodies, and the next one all of it."""
        device = self.writers[writer][0]
        written = device.write_many(3, "part")
        part_of = written[min(low, len(written) - 1) :]
        self.nodes[at].hold([b if bodies else b._replace(body=None) for b in part_of])
        self.give(at + 1, device)
        self.settle("a_writer_brings_a_part")

    @rule(at=who, writer=writer, log=log)
    def a_writer_forks_his_log(self, at: int, writer: int, log: int) -> None:
        """One node is told this, another that."""
        copies = self.writers[writer]
        if len(copies) < 3:
            copies.append(copies[-1].twin())
            copies[-1].write("what the others are not told", log=log)
            copies[0].write("what the others are told", log=log)
            self.give(at, copies[0])
            self.give(at + 1, copies[-1])
        self.settle("a_writer_forks_his_log")

    @rule(at=who, writer=writer, seq=st.integers(0, 3))
    def a_device_is_revoked(self, at: int, writer: int, seq: int) -> None:
        device = self.writers[writer][0]
        named = device.logs.get(SOCIAL, [])[:seq]
        cuts = [Cut(SOCIAL, len(named), named[-1].id)] if named else []
        said = Revocation.sign(device.person, device.public, cuts)
        self.nodes[at].absorb(Batch(revocations=[said]))
        self.settle("a_device_is_revoked")

    # --- mail ---

    def reopen(self, at: int, store: MemoryStore, policy: Policy | None = None) -> None:
        """Restart a node, with the mail that its store has."""
        node = self.nodes[at]
        node.reopen(store, policy)
        restart(node)

    @rule(at=who, to=who, size=st.sampled_from([100, 3_000]))
    def somebody_sends_a_letter(self, at: int, to: int, size: int) -> None:
        one = letter(len(self.letters), size=size)
        self.letters.append((one, to))
        reads(self.nodes[to], one)
        post(self.nodes[at], one, hops=10, now=self.now)
        self.settle("somebody_sends_a_letter")

    @rule(at=who, to=who, copies=st.integers(0, 3))
    def a_stranger_brings_a_letter(self, at: int, to: int, copies: int) -> None:
        one = letter(len(self.letters))
        self.letters.append((one, to))
        reads(self.nodes[to], one)
        bring(self.nodes[at], one, depositor=STRANGER, copies=copies, now=self.now)
        self.settle("a_stranger_brings_a_letter")

    @rule(at=who)
    def somebody_reads_his_letters(self, at: int) -> None:
        for one, reader in self.letters:
            if reader == at and one.id in mail_of(self.nodes[at]).letters:
                release(self.nodes[at], one, self.now)
        self.settle("somebody_reads_his_letters")

    @rule(left=who, right=who, steps=st.integers(1, 12))
    def a_letter_goes_while_it_is_offered(self, left: int, right: int, steps: int) -> None:
        one = letter(len(self.letters))
        self.letters.append((one, right))
        reads(self.nodes[right], one)
        post(self.nodes[left], one, now=self.now)
        if left != right:
            self.open.append(self.meeting(left, right))
            self.open[-1].start()
            for _ in range(steps):
                self.open[-1].step()
        self.nodes[left].keep_mail(mail_of(self.nodes[left]).learn(receipt(one), self.now))
        self.settle("a_letter_goes_while_it_is_offered")

    # --- how they meet ---

    def meeting(self, left: int, right: int, **how: Any) -> WatchedMeeting:  # noqa: ANN401
        self.meetings += 1
        binding = material(f"meeting {self.meetings}")
        meeting = WatchedMeeting(self.nodes[left], self.nodes[right], binding=binding, **how)
        meeting.now = self.now
        return meeting

    @rule(left=who, right=who, contacts=st.booleans())
    def two_meet(self, left: int, right: int, *, contacts: bool) -> None:
        if left != right:
            self.hold(self.meeting(left, right, contacts=contacts))
        self.settle("two_meet")

    def hold(self, meeting: WatchedMeeting) -> None:
        due = self.letters_due(meeting)
        meeting.start()
        self.open.append(meeting)
        while any(end.finish is None for end in meeting.ends) and self.pass_some_time():
            pass
        assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
        for one, carrier, reader in due:
            assert one.id not in mail_of(carrier).carried or has_heard_of(reader, one)

    def letters_due(self, meeting: WatchedMeeting) -> list[tuple[Letter, Node, Node]]:
        """Return what one of two carries for the other: he has it then, if it is still there."""
        sides = [end.node for end in meeting.ends]
        return [
            (one, carrier, self.nodes[to])
            for one, to in self.letters
            for carrier in sides
            if one.id in mail_of(carrier).carried and self.nodes[to] in sides
        ]

    @rule(left=who, right=who, contacts=st.booleans(), share=st.floats(0, 1))
    def two_meet_briefly(self, left: int, right: int, share: float, *, contacts: bool) -> None:
        if left != right:
            meeting = self.meeting(left, right, contacts=contacts, cut=int(20_000 * share**3))
            meeting.start().settle()
            meeting.sever()
            self.open.append(meeting)
        self.settle("two_meet_briefly")

    @rule(left=who, right=who, contacts=st.booleans())
    def two_stay_together(self, left: int, right: int, *, contacts: bool) -> None:
        if left != right:
            self.open.append(self.meeting(left, right, contacts=contacts, live=True))
            self.open[-1].start()
        self.settle("two_stay_together")

    @rule(number=st.integers(0, 9), live=st.booleans())
    def they_meet_again_over_another_link(self, number: int, *, live: bool) -> None:
        """The new link is there before the old one is found to be dead."""
        old = self.one_that_is_open(number)
        left, right = (end.node.number for end in old.ends)
        self.open.append(self.meeting(left, right, live=live))
        self.open[-1].start()
        self.settle("they_meet_again_over_another_link")
        old.sever()
        self.settle("they_meet_again_over_another_link")

    def one_that_is_open(self, number: int) -> WatchedMeeting:
        if not self.open:
            self.two_stay_together(number % NODES, (number + 1) % NODES, contacts=True)
        return self.open[number % len(self.open)]

    @rule(number=st.integers(0, 9))
    def they_part(self, number: int) -> None:
        self.one_that_is_open(number).sever()
        self.settle("they_part")

    @rule(seconds=st.floats(0, 5))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while (at := self.next_tick()) is not None and at <= until:
            self.pass_some_time()
        self.now = until
        self.settle("time_passes")

    # --- what befalls nodes ---

    def leave(self, at: int) -> None:
        """All links of a node die."""
        for meeting in self.open:
            if self.nodes[at] in [end.node for end in meeting.ends]:
                meeting.sever()

    @rule(at=who)
    def a_copy_is_made(self, at: int) -> None:
        self.saved[at] = self.nodes[at].store.copy(), self.nodes[at].device.twin()
        self.settle("a_copy_is_made")

    @rule(number=st.integers(0, 9))
    def a_node_is_restored(self, number: int) -> None:
        if not self.saved:
            self.a_copy_is_made(number % NODES)
        at = sorted(self.saved)[number % len(self.saved)]
        self.leave(at)
        store, device = self.saved[at]
        self.nodes[at].device = device.twin()
        self.reopen(at, store.copy())
        self.nobody_believes_too_much()
        self.settle("a_node_is_restored")

    @rule(at=who)
    def a_node_is_wiped(self, at: int) -> None:
        self.leave(at)
        self.reopen(at, MemoryStore(new_run=self.nodes[at].new_run))
        self.settle("a_node_is_wiped")

    @rule(at=who)
    def somebody_wants_more(self, at: int) -> None:
        self.leave(at)
        node = self.nodes[at]
        policy = replace(node.policy, public=True, blocked=frozenset())
        self.reopen(at, node.store.copy(), policy)
        self.nobody_believes_too_much()
        self.settle("somebody_wants_more")

    @rule(at=who, writer=writer, public=st.booleans())
    def somebody_blocks_a_writer(self, at: int, writer: int, *, public: bool) -> None:
        self.leave(at)
        node, person = self.nodes[at], self.writers[writer][0].person.signing.public
        policy = replace(node.policy, public=public, blocked=frozenset({person}))
        self.reopen(at, node.store.copy(), policy)
        self.settle("somebody_blocks_a_writer")

    # --- time ---

    def next_tick(self) -> float | None:
        ends = [end for meeting in self.open for end in meeting.ends]
        due = [at for end in ends if (at := end.session.next_tick()) is not None]
        return min(due, default=None)

    def pass_some_time(self) -> bool:
        """Let all happen that can at once, and then what is due next; False if nothing is."""
        self.run_links()
        at = self.next_tick()
        if at is None:
            return False
        self.now = max(self.now, at)
        for meeting in self.open:
            meeting.now = self.now
            for end in meeting.ends:
                due = end.session.next_tick()
                if due is not None and due <= self.now:
                    meeting._carry_out(end, end.session.tick(self.now))
        self.run_links()
        return True

    def run_links(self) -> None:
        for _ in range(100_000):
            if not sum(meeting.step() for meeting in self.open):
                return
        raise AssertionError("it goes on and on")

    def settle(self, what: str) -> None:
        TALLY[what] += 1
        for meeting in self.open:
            meeting.now = self.now
        self.run_links()
        for end in (end for meeting in self.open for end in meeting.ends):
            assert end.finish is None or end.finish.end in GOOD_ENDS
        self.open = [m for m in self.open if any(end.finish is None for end in m.ends)]

    def nobody_believes_too_much(self) -> None:
        for node in self.nodes:
            for other in self.nodes:
                node.looks_honest(other, now_run(node.store.note(seen_note(other.device.public))))

    @override
    def teardown(self) -> None:
        event(f"rounds {self.come_to_rest()}")

    def come_to_rest(self) -> int:
        """Have all meet until all are equal; return how many times everybody met everybody."""
        for at in range(len(self.nodes)):
            self.somebody_wants_more(at)
        here = [set(mail_of(node).carried) for node in self.nodes]
        rounds = self.all_meet_until_nothing_changes()
        self.all_are_equal()
        self.mail_is_at_rest()
        for one, to in self.letters:
            carriers = [node for node, held in zip(self.nodes, here, strict=True) if one.id in held]
            was_let_go = all(is_let_go(carrier, one.id) for carrier in carriers)
            assert has_heard_of(self.nodes[to], one) or was_let_go
        return rounds

    def all_meet_until_nothing_changes(self) -> int:
        """Neither as contacts nor as strangers have they anything left to tell."""
        quiet = 0
        for number in range(MOST_ROUNDS):
            before = [(node.frontier(), mail_state(node)) for node in self.nodes]
            for left, right in combinations(range(len(self.nodes)), 2):
                self.hold(self.meeting(left, right, contacts=number % 2 == 0))
                self.open.clear()
            is_same = before == [(node.frontier(), mail_state(node)) for node in self.nodes]
            quiet = quiet + 1 if is_same else 0
            if quiet == 2:
                return number + 1
        raise AssertionError("it goes on and on")

    def mail_is_at_rest(self) -> None:
        """What was read is known to all; the rest all carry, but who let it go or has no room."""
        first = mail_of(self.nodes[0])
        for node in self.nodes:
            mail = mail_of(node)
            assert mail.tokens.keys() == first.tokens.keys()
            assert not any(one.lock in mail.tokens for one in mail.carried.values())
            for other in self.nodes:
                for one in mail_of(other).carried.values():
                    is_here = one.id in mail.carried or is_let_go(node, one.id)
                    assert is_here or one.is_single or not mail.is_ample

    def all_are_equal(self) -> None:
        first = self.nodes[0]
        for node in self.nodes:
            node.is_sound()
            assert node.frontier() == first.frontier()
            assert lacks(node, first) == lacks(first, node) == []
            for key in first.ids():
                assert passable(node, key) == passable(first, key)


TestTown = Town.TestCase
TestTown.settings = settings(part(3), stateful_step_count=20)
RULES = [name for name, kept in vars(Town).items() if hasattr(kept, "hypothesis_stateful_rule")]
NEVER_SENT = {Number.TRAILER}


def town(room: int = 12) -> Town:
    """Return a town where nothing has happened yet."""
    town_ = Town()
    town_.people_move_in(crowd=0, room=room, choosy=False)
    return town_


def test_a_letter_that_its_writer_has_forgotten_comes_to_its_reader() -> None:
    story = town()
    story.two_meet(0, 1, contacts=True)
    story.a_copy_is_made(0)
    story.a_letter_goes_while_it_is_offered(0, 1, 11)
    story.a_node_is_restored(0)
    assert story.come_to_rest() <= 3


def test_a_letter_that_may_go_to_its_reader_alone_comes_to_him() -> None:
    story = town()
    story.a_stranger_brings_a_letter(0, 1, copies=1)
    assert story.come_to_rest() <= 3


def test_letters_that_are_written_while_they_meet_come_to_a_reader_who_is_full() -> None:
    """More than the two of others' that a node takes in vain in a meeting."""
    story = town(room=2)
    for _ in range(2):
        story.somebody_sends_a_letter(2, 3, size=100)
    story.two_stay_together(2, 1, contacts=True)
    for _ in range(4):
        story.somebody_sends_a_letter(2, 1, size=100)
    story.they_part(0)
    story.two_meet(2, 1, contacts=True)
    came = [one.id in mail_of(story.nodes[1]).letters for one, _ in story.letters]
    assert came == [False] * 2 + [True] * 4
    assert mail_of(story.nodes[1]).room.count == 2


def test_that_a_letter_was_read_is_known_to_all_in_the_end() -> None:
    story = town()
    story.a_letter_goes_while_it_is_offered(3, 3, 7)
    assert story.come_to_rest() <= 3
    assert [len(mail_of(node).tokens) for node in story.nodes] == [1] * NODES


def test_in_a_town_everything_happens_that_can() -> None:
    """The same stories every time: so that none of the rules idles unnoticed."""
    before = Counter(TALLY)
    same = settings(max_examples=100, stateful_step_count=20, derandomize=True, database=None)

    run_state_machine_as_test(Town, settings=same)

    happened = TALLY - before
    numbers = {number.name for number in Number if number not in NEVER_SENT}
    states = {state.name for state in State if state is not State.IDLE}
    assert {*RULES, *numbers, *states} - happened.keys() == set()
