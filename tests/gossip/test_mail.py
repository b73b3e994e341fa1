"""What a node carries for others: how long, how much of it, and what goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.carried import MAX_JOURNAL, STRANGER, Journal, MailChanges
from gossip.envelope import MAX_COPIES, MAX_LIFE_MIN, Parcel, Receipt
from gossip.mail import TOKEN_GRACE_S, Mail
from gossip.mail_room import ROW_COST_BYTES, MailLimits
from ledger.store.base import MailRow, MailWhat
from tests.gossip.mail_builders import (
    ALICE,
    BOB,
    DAY_MIN,
    ME,
    RUN,
    letter,
    make_mail,
    parcel,
    receipt,
    taken,
)

FIRST = letter(1)


def held(mail: Mail) -> set[bytes]:
    return set(mail.carried)


# --- life ---------------------------------------------------------------------------------------


@given(began=st.integers(0, 1 << 40), life=st.integers(1, MAX_LIFE_MIN), late=st.integers(0, 999))
def test_life_is_counted_down_by_own_elapsed_time_alone(began: int, life: int, late: int) -> None:
    mail = Mail(ME, RUN, elapsed=began)
    taken(mail, FIRST, life=life, now=late)
    until = mail.carried[FIRST.id].until
    assert until == began + late + 60 * life
    assert mail.life(until, late) == life
    assert mail.life(until, late + 60) == life - 1
    mail.expire(late + 60 * life - 1)
    assert FIRST.id in mail.carried
    assert mail.expire(late + 60 * life).drops == [(MailWhat.CARRIED, FIRST.id)]
    assert held(mail) == set()


def test_a_device_whose_clock_stood_still_goes_on_where_it_was() -> None:
    before = Mail(ME, RUN, elapsed=500)
    changes = taken(before, FIRST, life=10, now=100)
    after = Mail(ME, b"run2", elapsed=before.elapsed(400))
    after.load(changes.puts, {FIRST.id: len(FIRST.envelope.raw)})
    assert after.life(after.carried[FIRST.id].until, 0) == 5
    after.expire(299)
    assert FIRST.id in after.carried
    after.expire(300)
    assert FIRST.id not in after.carried


def test_nobody_makes_an_envelope_live_longer_than_a_week() -> None:
    mail = make_mail()
    mail.take(FIRST.envelope, Parcel(FIRST.envelope.raw, 8, 1 << 40, 0), ALICE, 0)
    assert mail.life(mail.carried[FIRST.id].until, 0) == MAX_LIFE_MIN


def test_all_that_is_remembered_is_forgotten_when_its_life_is_over() -> None:
    mail = make_mail(envelopes=1)
    taken(mail, FIRST, life=10)
    taken(mail, letter(2), life=20)
    mail.learn(receipt(letter(3), life=30), 0)
    assert [set(mail.gone), set(mail.carried)] == [{FIRST.id}, {letter(2).id}]
    assert mail.expire(600).drops == [(MailWhat.EVICTED, FIRST.id)]
    assert mail.expire(1_200).drops == [(MailWhat.CARRIED, letter(2).id)]
    assert mail.expire(1_800 + TOKEN_GRACE_S - 1).drops == []
    assert [what for what, _ in mail.expire(1_800 + TOKEN_GRACE_S).drops] == [MailWhat.TOKEN]
    assert [mail.gone, mail.carried, mail.tokens] == [{}, {}, {}]
    assert mail.came(1, mail.serial) == []


# --- what goes first ----------------------------------------------------------------------------


def test_what_was_let_go_is_never_taken_again_until_its_life_is_over() -> None:
    mail = make_mail(envelopes=1)
    taken(mail, FIRST, life=100)
    changes = taken(mail, letter(2), life=200)
    assert (MailWhat.CARRIED, FIRST.id) in changes.drops
    assert [row.what for row in changes.puts] == [MailWhat.CARRIED, MailWhat.EVICTED]
    for depositor in (ALICE, BOB, STRANGER):
        assert taken(mail, FIRST, depositor, life=MAX_LIFE_MIN).puts == []
    assert held(mail) == {letter(2).id}
    mail.expire(100 * 60)
    assert taken(mail, FIRST, life=999).puts


def test_the_oldest_goes_first() -> None:
    mail = make_mail(envelopes=3, share=1.0)
    for number, life in ((1, 50), (2, 10), (3, 40), (4, 30)):
        taken(mail, letter(number), life=life)
    assert held(mail) == {letter(1).id, letter(3).id, letter(4).id}
    assert not mail.wants(30 * 60 - 1, ALICE)
    assert mail.wants(30 * 60 + 1, ALICE)


def test_what_is_older_than_all_that_is_carried_is_not_wanted_and_not_kept() -> None:
    mail = make_mail(envelopes=2, share=1.0)
    taken(mail, letter(1), life=50)
    taken(mail, letter(2), life=60)
    assert not mail.wants(40 * 60, ALICE)
    taken(mail, letter(3), life=40)
    assert held(mail) == {letter(1).id, letter(2).id}
    assert letter(3).id in mail.gone


def test_what_goes_as_it_comes_is_not_stored() -> None:
    mail = make_mail(envelopes=1, share=1.0)
    taken(mail, letter(1), life=50)
    changes = taken(mail, letter(2), life=40)
    assert [(row.what, row.ident) for row in changes.puts] == [(MailWhat.EVICTED, letter(2).id)]


def test_bytes_bound_it_as_well() -> None:
    size = len(letter(1, size=1_000).envelope.raw) + ROW_COST_BYTES
    mail = make_mail(bytes=3 * size, share=1.0)
    for number in range(1, 6):
        taken(mail, letter(number, size=1_000), life=number)
    assert held(mail) == {letter(n, size=1_000).id for n in (3, 4, 5)}
    taken(mail, letter(6, size=1), life=6)
    assert len(mail.carried) == 3


def test_own_mail_is_never_let_go_and_does_not_count() -> None:
    mail = make_mail(envelopes=2, bytes=1_000, share=1.0)
    for number in range(10):
        mail.deposit(letter(number, size=900).envelope, 8, 1, 0)
    for number in range(10, 20):
        taken(mail, letter(number), life=MAX_LIFE_MIN)
    assert {letter(n, size=900).id for n in range(10)} <= held(mail)
    assert len(mail.carried) == 12


def test_of_one_who_brought_more_than_his_share_the_oldest_goes_first() -> None:
    mail = make_mail(envelopes=10, share=0.3)
    for number in range(4):
        taken(mail, letter(number), ALICE, life=900 + number)
    for number in range(4, 10):
        taken(mail, letter(number), BOB if number < 7 else ME + b"x", life=number)
    taken(mail, letter(10), b"somebody", life=1)
    assert letter(0).id in mail.gone
    assert letter(10).id in mail.carried
    assert sum(one.depositor == ALICE for one in mail.carried.values()) == 3


def test_while_there_is_room_nobody_has_a_share() -> None:
    mail = make_mail(envelopes=10, share=0.1)
    for number in range(10):
        taken(mail, letter(number), ALICE)
    assert len(mail.carried) == 10


def test_strangers_share_one_pool() -> None:
    mail = make_mail(envelopes=10, strangers=0.2, share=1.0)
    for number in range(5):
        taken(mail, letter(number), STRANGER, life=MAX_LIFE_MIN - number)
    for number in range(5, 20):
        taken(mail, letter(number), ALICE, life=number)
    strange = [one for one in mail.carried.values() if one.depositor == STRANGER]
    assert len(strange) == 2
    assert {one.id for one in strange} == {letter(0).id, letter(1).id}
    taken(mail, letter(21), STRANGER, life=MAX_LIFE_MIN - 9)
    assert letter(21).id in mail.gone


def test_memory_of_what_was_let_go_is_bounded() -> None:
    mail = make_mail(envelopes=1, memory=5)
    drops: list[tuple[MailWhat, bytes]] = []
    for number in range(20):
        drops += taken(mail, letter(number), life=number + 1).drops
    assert list(mail.gone) == [letter(number).id for number in range(14, 19)]
    assert sum(what is MailWhat.EVICTED for what, _ in drops) == 14


def test_memory_of_what_was_read_is_bounded() -> None:
    mail = make_mail(memory=5)
    drops = [drop for n in range(20) for drop in mail.learn(receipt(letter(n)), 0).drops]
    assert {read.token for read in mail.tokens.values()} == {letter(n).token for n in range(15, 20)}
    assert len(drops) == 15
    assert len(mail.came(1, mail.serial)) == 5


# --- copies and hops ----------------------------------------------------------------------------


@given(copies=st.integers(1, MAX_COPIES))
def test_copies_are_halved_and_none_is_made_of_nothing(copies: int) -> None:
    mail = make_mail()
    taken(mail, FIRST, copies=copies)
    handed: list[int] = []
    while not mail.carried[FIRST.id].is_single and len(handed) < MAX_COPIES:
        beside = mail.beside(FIRST.id, 0)
        assert beside is not None
        handed.append(beside[2])
        (row,) = mail.given(FIRST.id).puts
        assert (row.copies, row.content) == (mail.carried[FIRST.id].copies, b"")
    assert sum(handed) + 1 == copies
    assert handed == sorted(handed, reverse=True)
    assert len(handed) <= copies.bit_length()
    assert mail.beside(FIRST.id, 0) == (7, DAY_MIN, 1)
    assert mail.given(FIRST.id).puts == []


def test_a_friends_envelope_goes_on_to_any_number() -> None:
    mail = make_mail()
    taken(mail, FIRST, copies=0)
    for _ in range(3):
        assert mail.beside(FIRST.id, 0) == (7, DAY_MIN, 0)
        assert mail.given(FIRST.id).puts == []


@pytest.mark.parametrize(("said", "kept"), [(0, MAX_COPIES), (5, 5), (MAX_COPIES, MAX_COPIES)])
def test_what_a_stranger_brings_has_a_number_of_copies(said: int, kept: int) -> None:
    mail = make_mail()
    taken(mail, FIRST, STRANGER, copies=said)
    assert mail.carried[FIRST.id].copies == kept


@pytest.mark.parametrize(("hops", "single"), [(0, True), (1, False), (8, False)])
def test_without_hops_left_an_envelope_goes_to_its_reader_only(hops: int, *, single: bool) -> None:
    mail = make_mail()
    taken(mail, FIRST, hops=hops)
    assert mail.carried[FIRST.id].is_single is single
    assert mail.beside(FIRST.id, 0) == (max(hops - 1, 0), DAY_MIN, 0)


def test_what_is_not_carried_is_not_given() -> None:
    mail = make_mail()
    assert mail.beside(FIRST.id, 0) is None
    assert mail.given(FIRST.id).puts == []


def test_what_has_less_than_a_minute_to_live_is_not_given() -> None:
    mail = make_mail()
    taken(mail, FIRST, life=10)
    assert mail.beside(FIRST.id, 540) == (7, 1, 0)
    assert mail.beside(FIRST.id, 541) is None


# --- tokens and letters -------------------------------------------------------------------------


def test_only_the_right_token_opens_the_lock() -> None:
    mail = make_mail()
    taken(mail, FIRST)
    wrong = receipt(FIRST)._replace(token=bytes(16))
    assert mail.learn(wrong, 0).drops == []
    assert FIRST.id in mail.carried
    assert mail.learn(receipt(FIRST), 0).drops == [(MailWhat.CARRIED, FIRST.id)]
    assert FIRST.id not in mail.carried
    assert mail.learn(receipt(FIRST), 0).puts == []


def test_what_is_known_to_be_read_is_not_taken() -> None:
    mail = make_mail()
    mail.learn(receipt(FIRST), 0)
    assert taken(mail, FIRST).puts == []


def test_of_own_mail_one_learns_that_it_was_delivered() -> None:
    mail = make_mail()
    mail.deposit(FIRST.envelope, 8, DAY_MIN, 0)
    taken(mail, letter(2))
    assert mail.stored(mail.learn(receipt(letter(2)), 0).puts).delivered == []
    changes = mail.learn(receipt(FIRST), 0)
    assert mail.stored(changes.puts) == ([], [FIRST.id], [])
    assert mail.stored(changes.puts) == ([], [], [])


def test_a_letter_is_delivered_once() -> None:
    mail = make_mail()
    mail.reads.add(FIRST.tag)
    first = mail.take(FIRST.envelope, parcel(FIRST), ALICE, 0)
    assert [row.what for row in first.puts] == [MailWhat.LETTER, MailWhat.CARRIED]
    assert mail.stored(first.puts) == ([FIRST.id], [], [])
    assert taken(mail, FIRST).puts == []
    mail.expire(DAY_MIN * 60)
    assert [row.what for row in taken(mail, FIRST).puts] == [MailWhat.CARRIED]
    assert FIRST.id in mail.carried, "who brings it again must not see that it is for this node"


def test_a_token_lives_as_long_as_the_envelope_or_a_week() -> None:
    mail = make_mail()
    taken(mail, FIRST, life=90)
    mail.release(FIRST.tag, FIRST.token, 0)
    mail.release(letter(2).tag, letter(2).token, 0)
    assert [mail.life(read.until, 0) for read in mail.tokens.values()] == [90, MAX_LIFE_MIN]
    assert [read.is_own for read in mail.tokens.values()] == [True, True]


# --- serials, journal, restarts -----------------------------------------------------------------


def test_nothing_is_offered_before_it_is_stored() -> None:
    mail = make_mail()
    changes = mail.take(FIRST.envelope, parcel(FIRST), ALICE, 0)
    assert (mail.serial, mail.came(0, 9)) == (0, [])
    mail.stored(changes.puts)
    mail.stored(changes.puts)
    assert mail.serial == 1
    assert [one.lock for one in mail.came(1, 1)] == [FIRST.envelope.lock]


@given(count=st.integers(0, 40), low=st.integers(0, 45), span=st.integers(0, 60))
def test_what_came_is_listed_newest_first_as_far_as_it_is_still_here(
    count: int, low: int, span: int
) -> None:
    mail = make_mail(envelopes=30, share=1.0)
    for number in range(count):
        taken(mail, letter(number), life=1_000 + number)
    found = [one.serial for one in mail.came(low, low + span)]
    here = {one.serial for one in mail.carried.values()}
    assert found == sorted((s for s in here if low <= s <= low + span), reverse=True)


@given(count=st.integers(0, 30), at=st.integers(0, 30))
def test_the_journal_gives_what_came_after(count: int, at: int) -> None:
    journal = Journal()
    for number in range(count):
        journal.add(b"tag", b"lock", bytes([number]))
    after = [ident[0] for _, _, ident in journal.since(min(at, count))]
    assert after == list(range(min(at, count), count))


def test_the_journal_forgets_the_oldest() -> None:
    journal = Journal()
    for number in range(MAX_JOURNAL + 10):
        journal.add(b"tag", number.to_bytes(4, "big"), b"")
    assert journal.end == MAX_JOURNAL + 10
    assert sum(1 for _ in journal.since(0)) == MAX_JOURNAL
    ((_, rest, _),) = journal.since(MAX_JOURNAL + 9)
    assert int.from_bytes(rest, "big") == MAX_JOURNAL + 9


lives = st.integers(1, 50)
actions = st.one_of(
    *[st.tuples(st.just("take"), st.integers(0, 9), lives)] * 3,
    st.tuples(st.just("send"), st.integers(10, 14), lives),
    st.tuples(st.just("learn"), st.integers(0, 14), lives),
    st.tuples(st.just("read"), st.integers(0, 9), lives),
    st.tuples(st.just("give"), st.integers(0, 14), lives),
    st.tuples(st.just("wait"), st.integers(0, 30), lives),
)


class Kept:
    """Mail, and its rows as a store would have them."""

    def __init__(self) -> None:
        self.limits = MailLimits(envelopes=2, share=0.5, memory=6)
        self.mail = Mail(ME, RUN, self.limits)
        self.mail.reads |= {letter(n).tag for n in (0, 1)}
        self.now = 0.0
        self.rows: dict[tuple[MailWhat, bytes], MailRow] = {}

    def do(self, what: str, number: int, life: int) -> MailChanges:
        mail, one, now = self.mail, letter(number), self.now
        match what:
            case "take":
                return mail.take(one.envelope, parcel(one, life=life, copies=9), ALICE, now)
            case "send":
                return mail.deposit(one.envelope, 8, life, now)
            case "learn":
                return mail.learn(receipt(one, life), now)
            case "read":
                return mail.release(one.tag, one.token, now)
            case "give":
                return mail.given(one.id)
            case _:
                self.now += 60 * number
                return mail.expire(self.now)

    def store(self, changes: MailChanges) -> None:
        for drop in changes.drops:
            self.rows.pop(drop, None)
        for row in changes.puts:
            old = self.rows.get((row.what, row.ident), row)
            self.rows[row.what, row.ident] = row._replace(content=old.content)
        self.mail.stored(changes.puts)

    def is_bounded(self) -> bool:
        mail = self.mail
        return mail.room.count <= 2 and max(len(mail.gone), len(mail.tokens)) <= 6

    def agrees(self) -> bool:
        """Say whether the rows are of what is held, and nothing else."""
        mail = self.mail
        shelves = {
            MailWhat.CARRIED: set(mail.carried),
            MailWhat.EVICTED: set(mail.gone),
            MailWhat.TOKEN: set(mail.tokens),
            MailWhat.LETTER: mail.letters,
        }
        return shelves == {
            of: {ident for what, ident in self.rows if what is of} for of in MailWhat
        }

    def again(self) -> Mail:
        mail = Mail(ME, b"run2", self.limits, elapsed=self.mail.elapsed(self.now))
        sizes = {ident: len(row.content) for (_, ident), row in self.rows.items()}
        mail.load([self.rows[key] for key in sorted(self.rows)], sizes)
        return mail


@given(done=st.lists(actions, min_size=8, max_size=25))
def test_a_restart_changes_nothing_but_serials(done: list[tuple[str, int, int]]) -> None:
    kept = Kept()
    for step in done:
        kept.store(kept.do(*step))
        assert kept.is_bounded()
        assert kept.agrees()
    mail, again = kept.mail, kept.again()
    assert {i: c._replace(serial=0) for i, c in again.carried.items()} == {
        i: c._replace(serial=0) for i, c in mail.carried.items()
    }
    assert (again.letters, again.gone) == (mail.letters, mail.gone)
    assert (again.room.count, again.room.bytes) == (mail.room.count, mail.room.bytes)
    assert {r.token: (r.tag, r.until) for r in again.tokens.values()} == {
        r.token: (r.tag, r.until) for r in mail.tokens.values()
    }
    assert len(again.came(1, again.serial)) == len(mail.carried) + len(mail.tokens)


def test_a_true_token_under_a_false_tag_is_known_by_the_true_one_from_then_on() -> None:
    mail, one = make_mail(), letter(3)
    mail.learn(Receipt(FIRST.tag, one.token, 60), 0)
    assert taken(mail, one).puts == []
    assert [read.tag for read in mail.tokens.values()] == [one.tag]
    carrier = make_mail()
    taken(carrier, one)
    carrier.learn(Receipt(FIRST.tag, one.token, 60), 0)
    assert [read.tag for read in carrier.tokens.values()] == [one.tag]
