"""What was found by attacking carried mail: who sees what, who loses what, who can spoil it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from gossip import mail_giving
from gossip.carried import STRANGER, Carried
from gossip.control import Credit, New
from gossip.effects import End
from gossip.envelope import MAX_LIFE_MIN, Parcel, Piece
from gossip.mail import TOKEN_GRACE_S
from gossip.mail_choice import MOST_VAIN
from gossip.mail_room import MailRoom
from gossip.notes import mail_note, recall_mail
from gossip.postal import Leave, Offers, Pieces, Take, Why
from gossip.wire import encode_message
from ledger.store.base import MailWhat
from tests.gossip.liars import together
from tests.gossip.mail_builders import (
    ALICE,
    BOB,
    DAY_MIN,
    Letter,
    bring,
    carriers,
    gather,
    letter,
    mail_of,
    make_mail,
    meet_by_mail,
    parcel,
    post,
    reads,
    receipt,
    release,
    restart,
    rows,
    rows_in,
    said,
    sever,
    taken,
    told,
    went,
)
from tests.gossip.mail_liar import MailLiar
from tests.gossip.meetings import now_run
from tests.strategies import material

if TYPE_CHECKING:
    from tests.gossip.meetings import Node

ONE = letter(1)
PAGE = [letter(number) for number in range(100, 116)]


def live(*nodes: Node) -> None:
    for node in nodes:
        node.policy = replace(node.policy, live=True)


# --- whose it is --------------------------------------------------------------------------------


def list_as_singles(node: Node, *, number: int = 61) -> tuple[MailLiar, list[int]]:
    """Offer a page as going to its reader only; bring what is taken, and return which was."""
    liar = MailLiar(node, number=number, binding=material(f"liar {number}")).begin_with_mail()
    liar.tell(Offers(True, 0, 0, singles=[liar.row(one) for one in PAGE]))  # noqa: FBT003
    brought = 0
    while len(liar.taken()) > brought:
        liar.bring(PAGE[liar.taken()[brought]], hops=0)
        brought += 1
    return liar, liar.taken()


def test_who_offers_all_as_singles_does_not_see_whose_any_is() -> None:
    shapes = []
    for own in ([], PAGE[6:7], PAGE[2:4]):
        node = carriers(1)[0]
        reads(node, *own)
        liar, taken_ = list_as_singles(node)
        assert len(taken_) == MOST_VAIN
        shapes.append([(message.rank, len(message.rows)) for message in liar.all(Take)])
        assert {PAGE[index].id for index in taken_} >= {one.id for one in own}
        assert node.letters == [PAGE[i].id for i in taken_ if PAGE[i] in own]
    assert shapes[0] == shapes[1] == shapes[2]


def test_he_does_not_see_it_the_next_time_either() -> None:
    for own in ([], PAGE[6:7]):
        node = carriers(1)[0]
        reads(node, *own)
        first = set(list_as_singles(node)[1])
        second = set(list_as_singles(node, number=62)[1])
        assert len(second) == MOST_VAIN
        assert not first & second
        assert mail_of(node).carried == {}, "neither its reader nor another goes on with it"
        restart(node)
        assert not (first | second) & set(list_as_singles(node, number=63)[1])


def test_a_single_that_filled_up_is_taken_again_where_it_is_to_be_carried() -> None:
    node, giver = carriers(2)
    (filled, *_) = list_as_singles(node)[1]
    bring(giver, PAGE[filled])
    meet_by_mail(giver, node)
    assert PAGE[filled].id in mail_of(node).carried
    assert mail_of(node).gone.keys().isdisjoint({PAGE[filled].id})


def test_what_was_taken_in_vain_twice_is_not_taken_again() -> None:
    mail = make_mail(envelopes=1, share=1.0)
    taken(mail, letter(1), life=50)
    for is_filler in (True, False):
        taken(mail, letter(2), life=40)
        assert mail.gone[letter(2).id].is_filler is is_filler
    assert taken(mail, letter(2), life=40).puts == []


def test_what_is_read_while_somebody_takes_it_comes_to_him_all_the_same() -> None:
    giver, reader, taker = carriers(3)
    live(giver, reader, taker)
    reads(reader, ONE)
    one, other = gather(giver, reader).start(), gather(reader, taker).start()
    together(1, one, other)
    post(giver, ONE)
    while not reader.letters:
        assert one.step()
    release(reader, ONE)  # before its offer, or its taking, has reached the third
    for _ in range(200):
        one.step()
        other.step()
    assert ONE.id in mail_of(taker).carried
    assert not any(m.why is Why.GONE for m in said(other, 0, Leave))
    assert told(other, 0) == told(one, 1) == []


def test_what_was_read_goes_when_the_last_meeting_that_was_open_is_over() -> None:
    giver, reader, late = carriers(3)
    live(giver, reader)
    bring(giver, ONE)
    reads(reader, ONE)
    meeting = gather(giver, reader).start().settle()
    release(reader, ONE)
    assert ONE.id in mail_of(reader).carried
    after = meet_by_mail(reader, late)
    assert went(after, 0) == []
    assert told(after, 0) == [ONE.token]
    assert ONE.id in mail_of(reader).carried
    sever(meeting)
    assert mail_of(reader).carried == {}
    assert rows(reader, MailWhat.CARRIED) == []


def test_what_was_read_is_let_go_at_the_next_start_whatever_was_open() -> None:
    mail = make_mail()
    changes = mail.take(ONE.envelope, parcel(ONE), ALICE, 0)
    mail.stored(changes.puts)
    mail.enter(1)
    kept = [*changes.puts, *mail.release(ONE.tag, ONE.token, 0).puts]
    again = make_mail()
    again.load(kept, {ONE.id: 100})
    assert again.expire(0).drops == [(MailWhat.CARRIED, ONE.id)]
    assert again.carried == {}


# --- what is lost -------------------------------------------------------------------------------


def test_what_could_not_be_stored_may_come_again() -> None:
    mail = make_mail(envelopes=1, share=1.0)
    mail.expect([ONE.tag])
    changes = mail.take(ONE.envelope, parcel(ONE), ALICE, 0)
    mail.failed(changes.puts)
    assert (mail.carried, mail.letters, mail.room.count) == ({}, set(), 0)
    assert [row.what for row in taken(mail, ONE).puts] == [MailWhat.LETTER, MailWhat.CARRIED]
    changes = mail.take(letter(2).envelope, parcel(letter(2), life=9_000), ALICE, 0)
    mail.failed(changes.puts)
    assert mail.gone.keys() | mail.carried.keys() == set()
    changes = mail.learn(receipt(ONE), 0)
    mail.failed(changes.puts)
    assert mail.tokens == {}
    assert mail.learn(receipt(ONE), 0).puts
    mail.failed(taken(mail, letter(3)).puts)
    assert letter(3).id in mail.carried, "what is stored stays"


def test_who_takes_and_reads_nothing_from_the_link_uses_no_copies_up() -> None:
    (node,) = carriers(1)
    bring(node, letter(1, size=8_000), depositor=STRANGER, copies=64)
    for number in range(6):
        liar = MailLiar(node, number=number, binding=material(f"{number}")).begin_with_mail()
        liar.is_deaf = True
        liar.take(0)
        liar.leave()
    (row,) = rows(node, MailWhat.CARRIED)
    assert row.copies == 64
    assert {one.copies for one in mail_of(node).carried.values()} == {64}


def test_copies_that_are_on_the_way_to_one_do_not_go_to_another() -> None:
    (node,) = carriers(1)
    bring(node, letter(1, size=8_000), depositor=STRANGER, copies=64)
    liars = [MailLiar(node, number=n, binding=material(f"{n}")).begin_with_mail() for n in range(4)]
    for liar in liars:
        liar.is_deaf = True
        liar.take(0)
    (row,) = rows(node, MailWhat.CARRIED)
    assert row.copies == 4


def test_what_is_carried_already_is_a_letter_once_its_tag_is_known() -> None:
    (node,) = carriers(1)
    bring(node, ONE, letter(2))
    mail = mail_of(node)
    assert mail.expect([ONE.tag, letter(3).tag]) == [ONE.id]
    assert mail.expect([ONE.tag]) == []
    node.keep_mail(mail.found(ONE.envelope))
    assert node.letters == [ONE.id]
    assert mail.found(ONE.envelope).puts == mail.found(letter(2).envelope).puts == []


def test_a_tag_that_is_learnt_in_a_meeting_counts_in_it() -> None:
    (node,) = carriers(1, envelopes=0)
    liar = MailLiar(node).begin_with_mail()
    liar.offer(letter(2))
    liar.bring(letter(2))
    mail_of(node).expect([ONE.tag])
    liar.offer(*PAGE, ONE)
    liar.bring(*PAGE, ONE)
    assert node.letters == [ONE.id]


# --- what there was no room for -----------------------------------------------------------------


def test_what_a_full_carrier_declined_is_offered_again_once_there_is_room() -> None:
    giver, taker = carriers(2, envelopes=16, share=1.0)
    bring(taker, *map(letter, range(16)), life=2_000, hops=0)
    bring(giver, *map(letter, range(100, 112)), life=1_000)  # less than an eighth below the bound
    for _ in range(2):
        meet_by_mail(giver, taker)
    assert rows_in(meet_by_mail(giver, taker), 0) == 0, "while it is full it is not told again"
    assert len(mail_of(taker).carried) == 16
    for number in range(16):
        taker.keep_mail(mail_of(taker).learn(receipt(letter(number)), 0))
    meet_by_mail(giver, taker)
    declined, mail = {letter(number).id for number in range(100, 112)}, mail_of(taker)
    evicted = {ident for ident, gone in mail.gone.items() if not gone.is_filler}
    assert declined <= mail.carried.keys() | evicted
    assert len(declined - mail.carried.keys()) <= 4  # of those that were drawn, while it was full
    assert rows_in(meet_by_mail(giver, taker), 0) == 0


def test_that_something_was_declined_is_remembered() -> None:
    giver, taker = carriers(2, envelopes=4, share=1.0)
    bring(taker, *map(letter, range(4)), life=2_000)
    bring(giver, *PAGE, life=1_000)
    meet_by_mail(giver, taker)
    noted = recall_mail(now_run(taker.store.note(mail_note(giver.device.public))))
    assert noted is not None
    assert noted.has_declined
    assert recall_mail(noted.encode()) == noted
    assert recall_mail(noted.seen.encode()) is None


def test_letters_that_nobody_opens_are_bounded_and_come_later() -> None:
    giver, reader = carriers(2, letters=4)
    bring(giver, *PAGE)
    reads(reader, *PAGE)
    meet_by_mail(giver, reader)
    assert len(rows(reader, MailWhat.LETTER)) == len(reader.letters) == 4
    for ident in list(mail_of(reader).letters):
        reader.keep_mail(mail_of(reader).opened(ident))
    assert rows(reader, MailWhat.LETTER) == []
    meet_by_mail(giver, reader)
    assert len(reader.letters) == 8
    assert len(set(reader.letters)) == 8


def test_a_file_brings_no_more_letters_than_there_is_room_for() -> None:
    mail = make_mail(letters=2)
    mail.expect([one.tag for one in PAGE])
    came = [mail.take(one.envelope, parcel(one), STRANGER, 0).puts for one in PAGE]
    assert len(mail.letters) == 2
    assert came[2:] == [[]] * (len(PAGE) - 2)
    assert mail.take_single(PAGE[5].envelope, parcel(PAGE[5]), 0).puts == []


# --- what may be spoilt -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["false beginning", "other", "other twice"])
def test_a_false_beginning_costs_a_second_taking_and_no_more(how: str) -> None:
    (node,) = carriers(1)
    one = letter(1, size=3_000)
    raw = one.envelope.raw
    mail_of(node).begin(one.tag, one.id[:2], raw[:21] + bytes(1_003))
    liar = MailLiar(node).begin_with_mail()
    liar.offer(one)
    (first,) = liar.all(Take)
    assert first.offsets == {0: 1_024}
    if how == "false beginning":
        liar.tell(Pieces([Piece(0, 1_024, len(raw), raw[1_024:], 8, 99, 0)]))
    else:
        liar.leave_rows([0], Why.OTHER)
    assert [take.offsets for take in liar.all(Take)] == [{0: 1_024}, {}]
    if how == "other twice":
        liar.leave_rows([0], Why.OTHER)
        assert len(liar.all(Take)) == 2
        return
    liar.tell(Pieces([Piece(0, 0, len(raw), raw, 8, 99, 0)]))
    assert one.id in mail_of(node).carried
    assert liar.end is None


def test_junk_pushes_out_no_token_that_opened_something() -> None:
    mail = make_mail(memory=20)
    for number in range(10):
        taken(mail, letter(number))
        mail.learn(receipt(letter(number)), 0)
    for number in range(100, 200):
        mail.learn(receipt(letter(number)), 0)
    assert len(mail.tokens) == 20
    assert {letter(number).token for number in range(10)} <= {
        read.token for read in mail.tokens.values()
    }


def test_a_stranger_makes_nothing_forgotten_that_others_brought() -> None:
    mail = make_mail(envelopes=10, memory=40, share=1.0)
    friends = list(map(letter, range(30)))
    for number, one in enumerate(friends):
        taken(mail, one, life=1_000 + number)
    mail.learn(receipt(friends[-1]), 0)
    gone = set(mail.gone)
    assert len(gone) == 20
    for number in range(1_000, 1_200):
        taken(mail, letter(number), STRANGER, life=5_000 + number)
        mail.learn(receipt(letter(number)), 0)
        single = letter(number + 1_000)
        mail.stored(mail.take_single(single.envelope, parcel(single), 0).puts)
    assert len(mail.gone) == len(mail.tokens) == 40
    assert gone <= set(mail.gone)
    assert friends[-1].envelope.lock in mail.tokens


def test_that_a_token_opened_something_is_known_after_a_restart() -> None:
    mail = make_mail(memory=4)
    taken(mail, ONE)
    kept = [*mail.learn(receipt(ONE), 0).puts, *mail.learn(receipt(letter(2)), 0).puts]
    again = make_mail(memory=4)
    again.load(kept, {})
    for number in range(100, 110):
        again.learn(receipt(letter(number)), 0)
    assert ONE.token in {read.token for read in again.tokens.values()}
    assert letter(2).token not in {read.token for read in again.tokens.values()}


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_token_told_with_a_short_life_lives_as_long_as_its_envelope(*, is_gone: bool) -> None:
    mail = make_mail(envelopes=1, share=1.0)
    taken(mail, ONE, life=900)
    if is_gone:
        taken(mail, letter(2), life=MAX_LIFE_MIN)
        assert ONE.id in mail.gone
    mail.learn(receipt(ONE, life=1), 0)
    mail.expire(899 * 60)
    assert [mail.life(read.until, 0) for read in mail.tokens.values()] == [900]


def test_a_token_of_nothing_that_is_here_is_remembered_a_day_longer_than_told() -> None:
    giver, other = carriers(2)
    giver.keep_mail(mail_of(giver).learn(receipt(ONE, life=1), 0))
    mail_of(giver).expire(TOKEN_GRACE_S + 59)
    assert mail_of(giver).tokens
    meeting = gather(giver, other, now=61.0).run()
    assert told(meeting, 0) == [], "but it is told no longer, or it would never end"
    mail_of(giver).expire(TOKEN_GRACE_S + 60)
    assert mail_of(giver).tokens == {}


WORDS = {
    "empty offers": encode_message(Offers(True, 0, 0)),  # noqa: FBT003
    "more room": encode_message(Credit(1 << 30)),
    "what nobody asked for": encode_message(Pieces([Piece(7, 0, 9, b"x", 3, 9, 0)])),
    "what nobody took": encode_message(Leave(Why.GONE, [7])),
}


def settled_liar() -> MailLiar:
    """Return one of whom nothing but mail is still due."""
    liar = MailLiar(carriers(1)[0]).begin_with_mail()
    liar.say(New(0, 1, 9, last=True, mentions=[]))
    liar.ack()
    return liar


@pytest.mark.parametrize("what", WORDS)
def test_words_that_bring_nothing_keep_no_meeting_open(what: str) -> None:
    liar = settled_liar()
    liar.offer(ONE)
    for _ in range(2):
        liar.wait(59)
        liar.say(WORDS[what])
        assert liar.end is None
    assert liar.wait(3).end is End.SILENT


def test_a_slow_link_that_gets_on_is_not_given_up() -> None:
    one = letter(1, size=8_000)
    liar = settled_liar()
    liar.offer(one)
    raw = one.envelope.raw
    for at in range(0, len(raw), 1_024):
        liar.wait(100)
        liar.tell(Pieces([Piece(0, at, len(raw), raw[at : at + 1_024], 8, 99, 0)]))
    assert liar.end is None
    assert one.id in liar.mail.carried


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_meeting_full_of_mail_ends_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, *, contacts: bool, at_once: bool
) -> None:
    monkeypatch.setattr(mail_giving, "MAX_OFFERED", 20)
    giver, taker = carriers(2)
    live(giver, taker)
    if at_once and contacts:
        bring(giver, *map(letter, range(30)))
    meeting = gather(giver, taker, contacts=contacts).start().settle()
    if not (at_once and contacts):
        for number in range(30):
            bring(giver, letter(number), now=meeting.now)
            meeting.settle()
    assert len(mail_of(taker).carried) == 20
    meeting.pass_time(meeting.now + 29)
    assert [end.finish for end in meeting.ends] == [None, None]
    meeting.pass_time(meeting.now + 2)
    assert meeting.ends[0].finish is not None
    assert meeting.ends[0].finish.end is End.FULL
    sever(meeting)
    gather(giver, taker, now=meeting.now, contacts=contacts).start().settle()
    assert len(mail_of(taker).carried) == 30


# --- what it costs ------------------------------------------------------------------------------


class Watched(dict[bytes, Carried]):
    """Counts how often all of it is gone through."""

    passes = 0

    @override
    def values(self) -> Any:
        self.passes += 1
        return super().values()


def full_node() -> tuple[Node, Watched]:
    (node,) = carriers(1, envelopes=64, share=1.0)
    bring(node, *map(letter, range(64)), life=DAY_MIN)
    mail = mail_of(node)
    watched = mail.carried = Watched(mail.carried)
    return node, watched


def test_a_full_carrier_does_not_go_through_all_of_it_for_each_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node, watched = full_node()
    liar = MailLiar(node).begin_with_mail()
    watched.passes, sorted_ = 0, 0
    first = MailRoom._first

    def counting(self: MailRoom) -> Any:  # noqa: ANN401
        nonlocal sorted_
        sorted_ += self._least is None
        return first(self)

    monkeypatch.setattr(MailRoom, "_first", counting)
    liar.offer(*map(letter, range(1_000, 2_024)), life=1)
    assert watched.passes == 1, "once, for their names"
    assert sorted_ <= 1


def test_a_token_does_not_go_through_all_that_is_carried() -> None:
    node, watched = full_node()
    mail = mail_of(node)
    for number in range(1_000):
        mail.learn(receipt(letter(number)), 0)
    assert watched.passes == 0
    assert mail.carried == {}


def test_an_envelope_of_several_ids_under_one_lock_goes_as_a_whole() -> None:
    mail = make_mail()
    twin = Letter(ONE.tag, ONE.token, letter(2, tag=ONE.tag).envelope)
    taken(mail, ONE, ALICE)
    mail.take(twin.envelope, Parcel(twin.envelope.raw, 8, 99, 0), BOB, 0)
    assert len(mail.learn(receipt(ONE), 0).drops) == 1
    assert list(mail.carried) == [twin.id]
