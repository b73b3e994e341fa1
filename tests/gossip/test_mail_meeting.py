"""Mail in meetings: it comes to its reader by whoever meets him, and what was read is let go."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.effects import End
from gossip.envelope import MAX_COPIES
from gossip.postal import Envelopes, Leave, Offers, Pieces, Take, Tokens
from ledger.store.base import MailWhat
from tests.gossip.mail_builders import (
    Letter,
    bring,
    carriers,
    forget_meetings,
    gather,
    letter,
    mail_of,
    meet_by_mail,
    post,
    reads,
    release,
    restart,
    rows,
    rows_in,
    said,
    sever,
    stories,
    told,
    went,
)
from tests.gossip.meetings import Meeting, Node
from tests.gossip.worlds import part

LETTER = letter(1)
OF_MAIL = (Offers, Take, Leave, Envelopes, Pieces, Tokens)


def is_done(meeting: Meeting) -> bool:
    return [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("size", [1, 900, 3_000, 8_192])
def test_a_letter_comes_to_its_reader(size: int, *, contacts: bool) -> None:
    writer, reader = carriers(2)
    one = letter(1, size=size)
    post(writer, one)
    reads(reader, one)
    meeting = meet_by_mail(writer, reader, contacts=contacts)
    assert is_done(meeting)
    assert reader.letters == [one.id]
    assert [row.ident for row in rows(reader, MailWhat.LETTER)] == [one.id]
    assert one.id in mail_of(reader).carried


def test_a_letter_comes_over_carriers_who_do_not_know_whose_it_is() -> None:
    writer, *between, reader = carriers(5)
    post(writer, LETTER)
    reads(reader, LETTER)
    chain = [writer, *between, reader]
    for left, right in pairwise(chain):
        assert is_done(meet_by_mail(left, right))
    assert reader.letters == [LETTER.id]
    assert [node.letters for node in between] == [[]] * 3
    hops = [mail_of(node).carried[LETTER.id].hops for node in chain]
    assert hops == [8, 7, 6, 5, 4]


def test_that_it_was_read_goes_back_and_carriers_let_go() -> None:
    writer, carrier, reader = carriers(3)
    post(writer, LETTER)
    reads(reader, LETTER)
    meet_by_mail(writer, carrier)
    meet_by_mail(carrier, reader)
    release(reader, LETTER)
    meet_by_mail(carrier, reader)
    assert LETTER.id not in mail_of(carrier).carried
    assert rows(carrier, MailWhat.CARRIED) == []
    assert carrier.delivered == []
    meet_by_mail(carrier, writer)
    assert writer.delivered == [LETTER.id]
    assert rows(writer, MailWhat.CARRIED) == []
    for node in (writer, carrier, reader):
        restart(node)
        assert [read.token for read in mail_of(node).tokens.values()] == [LETTER.token]


def test_a_token_is_not_told_to_the_carrier_on_the_spot() -> None:
    carrier, reader = carriers(2)
    bring(carrier, LETTER)
    reads(reader, LETTER)
    for node in (carrier, reader):
        node.policy = replace(node.policy, live=True)
    meeting = gather(carrier, reader).start().settle()
    release(reader, LETTER, now=meeting.now)
    meeting.pass_time(600)
    assert reader.letters == [LETTER.id]
    assert told(meeting, 1) == []
    assert not any(message.receipts for message in said(meeting, 1, Offers))
    sever(meeting)


def test_who_knows_that_it_was_read_does_not_take_it() -> None:
    carrier, other, reader = carriers(3)
    bring(carrier, LETTER)
    mail_of(reader).reads.add(LETTER.tag)
    release(reader, LETTER)
    meet_by_mail(reader, other)
    meeting = meet_by_mail(carrier, other)
    assert went(meeting, 0) == []
    assert told(meeting, 1) == [LETTER.token]
    assert mail_of(carrier).carried == {}


def test_an_unchanged_meeting_of_carriers_costs_no_more_than_150_bytes() -> None:
    left, right = carriers(2)
    post(left, *map(letter, range(100)))
    post(right, *map(letter, range(100, 200)))
    bring(left, *map(letter, range(200, 240)))
    release(right, letter(7))
    for _ in range(3):
        meet_by_mail(left, right)
    meeting = meet_by_mail(left, right)
    assert is_done(meeting)
    assert meeting.payload() <= 150
    assert not any(said(meeting, side, kind) for side in (0, 1) for kind in OF_MAIL)
    assert mail_of(left).carried.keys() == mail_of(right).carried.keys()


def test_after_a_restart_all_is_offered_and_nothing_taken() -> None:
    left, right = carriers(2)
    post(left, *map(letter, range(20)))
    meet_by_mail(left, right)
    restart(left)
    meeting = meet_by_mail(left, right)
    assert rows_in(meeting, 0) == 20
    assert went(meeting, 0) == []
    meeting = meet_by_mail(left, right)
    assert rows_in(meeting, 0) == 0


# --- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("mine", [0, 1, 2, 3, 4])
def test_whose_mail_is_taken_first_does_not_show(mine: int) -> None:
    letters = list(map(letter, range(12)))
    takes = []
    for own in (0, mine):
        giver, taker = carriers(2)
        bring(giver, *letters)
        reads(taker, *letters[4 : 4 + own])
        meeting = meet_by_mail(giver, taker)
        takes.append([(t.rank, len(t.rows)) for t in said(meeting, 1, Take)])
        assert len(taker.letters) == own
    assert takes[0] == takes[1]


@given(dice=stories, mine=st.sets(st.integers(0, 15)), contacts=st.booleans())
def test_classes_do_not_show_whose_mail_is_taken(
    dice: int, mine: set[int], *, contacts: bool
) -> None:
    forget_meetings(dice)
    letters, ranks = list(map(letter, range(16))), []
    for own in (mine, set[int]()):
        giver, taker = carriers(2)
        bring(giver, *letters)
        reads(taker, *(letters[number] for number in own))
        meeting = meet_by_mail(giver, taker, contacts=contacts)
        ranks.append([t.rank for t in said(meeting, 1, Take) for _ in t.rows])
        assert sorted(went(meeting, 0)) == sorted(one.id for one in letters)
        assert sorted(taker.letters) == sorted(letters[number].id for number in own)
    assert ranks[0] == ranks[1]


def test_own_mail_comes_before_what_is_carried_for_others() -> None:
    giver, taker = carriers(2)
    letters = [letter(number) for number in range(16)]
    for life, one in enumerate(letters, 100):
        bring(giver, one, life=life)
    reads(taker, letters[0])
    order = went(meet_by_mail(giver, taker), 0)
    assert order[:3] == [letters[0].id, letters[15].id, letters[14].id]
    assert len(order) == 16


# --- how far it goes ----------------------------------------------------------------------------


def test_an_envelope_is_passed_on_as_often_as_it_says() -> None:
    nodes = carriers(6)
    *_, last, reader = nodes
    post(nodes[0], LETTER, hops=2)
    reads(reader, LETTER)
    for left, right in pairwise(nodes[:5]):
        meet_by_mail(left, right)
    assert [LETTER.id in mail_of(node).carried for node in nodes] == [True] * 3 + [False] * 3
    meet_by_mail(nodes[2], last)
    assert LETTER.id not in mail_of(last).carried
    meet_by_mail(nodes[2], reader)
    assert reader.letters == [LETTER.id]


@pytest.mark.parametrize("copies", [1, 2, 5, MAX_COPIES, 0])
def test_a_strangers_envelope_has_so_many_copies_at_most(copies: int) -> None:
    nodes = carriers(12)
    bring(nodes[0], LETTER, depositor=b"", copies=copies)
    for _ in range(2):
        for at, left in enumerate(nodes):
            for right in nodes[at + 1 :]:
                meet_by_mail(left, right)
    held = [node for node in nodes if LETTER.id in mail_of(node).carried]
    assert len(held) == min(copies or MAX_COPIES, 12)
    assert sum(mail_of(node).carried[LETTER.id].copies for node in held) == (copies or MAX_COPIES)
    stored = [row.copies for node in held for row in rows(node, MailWhat.CARRIED)]
    assert sum(stored) == (copies or MAX_COPIES)


def test_a_peer_that_carries_no_mail_hears_nothing_of_it() -> None:
    for contacts in (True, False):
        carrier, (other,) = carriers(1)[0], [Node(7)]
        bring(carrier, *map(letter, range(9)))
        meeting = meet_by_mail(carrier, other, contacts=contacts)
        assert is_done(meeting)
        assert not any(said(meeting, side, kind) for side in (0, 1) for kind in OF_MAIL)


# --- many ---------------------------------------------------------------------------------------

NODES = 4
who = st.integers(0, NODES - 1)
happenings = st.one_of(
    st.tuples(st.just("meet"), who, who),
    st.tuples(st.just("strangers"), who, who),
    st.tuples(st.just("write"), who, who),
    st.tuples(st.just("read"), who, who),
    st.tuples(st.just("restart"), who, who),
    st.tuples(st.just("cut"), who, who),
)


class Story:
    """Carriers, and the letters they write to each other."""

    def __init__(self) -> None:
        self.nodes = carriers(NODES)
        self.letters: list[tuple[Letter, int, int]] = []

    def tell(self, number: int, what: str, left: int, right: int) -> None:
        if what == "restart":
            restart(self.nodes[left])
        elif what == "read":
            self.read(only_held=True)
        elif left == right:
            pass
        elif what == "write":
            self.write(letter(number, size=100 * number + 1), left, right)
        elif what == "cut":
            meet_by_mail(self.nodes[left], self.nodes[right], cut=40 * number)
        else:
            how = {"contacts": what == "meet"}
            assert is_done(meet_by_mail(self.nodes[left], self.nodes[right], **how))

    def write(self, one: Letter, left: int, right: int) -> None:
        reads(self.nodes[right], one)
        post(self.nodes[left], one, hops=10)
        self.letters.append((one, left, right))

    def read(self, *, only_held: bool = False) -> None:
        for one, _, reader in self.letters:
            mail = mail_of(self.nodes[reader])
            if one.id in mail.letters or not only_held:
                release(self.nodes[reader], one)


@part(3)
@given(dice=stories, happened=st.lists(happenings, max_size=25))
def test_every_letter_comes_to_its_reader_once_and_its_writer_learns_it(
    dice: int, happened: list[tuple[str, int, int]]
) -> None:
    forget_meetings(dice)
    story = Story()
    for number, happening in enumerate(happened):
        story.tell(number, *happening)
    everybody_meets(story.nodes)
    for one, _, reader in story.letters:
        assert story.nodes[reader].letters.count(one.id) == 1
    story.read()
    everybody_meets(story.nodes)
    for one, writer, reader in story.letters:
        assert story.nodes[reader].letters.count(one.id) == 1
        assert story.nodes[writer].delivered.count(one.id) == 1
    assert [row for node in story.nodes for row in rows(node, MailWhat.CARRIED)] == []


def everybody_meets(nodes: list[Node]) -> None:
    for _ in range(3):
        for at, left in enumerate(nodes):
            for right in nodes[at + 1 :]:
                assert is_done(meet_by_mail(left, right))
