"""Peers that lie about mail: what they may cost, and what they may not spoil for others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MailGreeting
from gossip.cursor import Seen
from gossip.effects import End
from gossip.envelope import MAX_ENVELOPE_BYTES, Piece
from gossip.policy import Limits
from gossip.postal import MAX_OFFERED, Envelopes, Leave, Offers, Pieces, Take, Tokens, Why
from ledger.codec import encode
from ledger.store.base import MailWhat
from tests.gossip.mail_builders import (
    bring,
    carriers,
    letter,
    mail_of,
    meet_by_mail,
    poisoned,
    post,
    reads,
    receipt,
    release,
    rows,
)
from tests.gossip.mail_liar import MailLiar
from tests.gossip.meetings import Node
from tests.strategies import material

UNWANTED = Limits().unwanted
TRUE = letter(1)
CONTACT = pytest.mark.parametrize("is_contact", [True, False])


def node_with(count: int = 0) -> Node:
    (node,) = carriers(1)
    bring(node, *map(letter, range(100, 100 + count)))
    return node


def liar_at(node: Node, *, is_contact: bool = True, number: int = 66) -> MailLiar:
    binding = material(f"liar {number}")
    return MailLiar(node, is_contact=is_contact, number=number, binding=binding).begin_with_mail()


# --- taking -------------------------------------------------------------------------------------


@CONTACT
def test_who_takes_what_was_not_offered_is_left(*, is_contact: bool) -> None:
    liar = liar_at(node_with(5), is_contact=is_contact).take(4)
    assert liar.end is None
    assert liar.take(5).end is End.HOSTILE
    assert liar.loads == 1


def test_who_takes_the_same_again_and_again_is_left() -> None:
    liar = liar_at(node_with(3))
    for _ in range(2):
        liar.take(1)
    assert liar.end is None
    assert liar.take(1).end is End.HOSTILE
    assert len([p for m in liar.all(Envelopes) for p in m.parcels]) == 2


def test_what_is_not_paid_for_with_room_is_not_sent() -> None:
    node = node_with(30)
    liar = MailLiar(node).begin_with_mail(window=24_000, budget=500).take(*range(30))
    assert sum(len(p.raw) for m in liar.all(Envelopes) for p in m.parcels) <= 500
    assert any(message.why is Why.LATER for message in liar.all(Leave))


def test_a_gone_envelope_is_said_to_be_gone() -> None:
    node = node_with(3)
    liar = liar_at(node)
    for number in (100, 101, 102):
        node.keep_mail(mail_of(node).learn(receipt(letter(number)), 0))
    liar.take(0, 1)
    said = [(message.why, row) for message in liar.all(Leave) for row in message.rows]
    assert said == [(Why.GONE, 0), (Why.GONE, 1)]
    assert liar.all(Envelopes) == []


def test_leaving_rows_that_never_were_changes_nothing() -> None:
    node = node_with(3)
    liar = liar_at(node)
    for why in Why:
        liar.leave_rows(range(MAX_OFFERED - 256, MAX_OFFERED), why)
    assert liar.end is None
    liar.take(0, 1, 2)
    assert len([p for m in liar.all(Envelopes) for p in m.parcels]) == 3


def test_taking_ever_more_rows_than_there_are_reads_the_store_a_bounded_number_of_times() -> None:
    liar = liar_at(node_with(40))
    for _ in range(2):
        liar.take(*range(40))
    assert liar.end is None
    assert liar.loads <= 2 * 40
    assert liar.take(39).end is End.HOSTILE


# --- offering -----------------------------------------------------------------------------------


@CONTACT
def test_who_offers_without_end_is_left(*, is_contact: bool) -> None:
    node = node_with()
    liar = liar_at(node, is_contact=is_contact)
    for page in range(0, MAX_OFFERED, 256):
        names = [material(f"{page} {number}", 12) + b"\x01\x00" for number in range(256)]
        liar.tell(Offers(False, 0, 0, names))  # noqa: FBT003
    assert liar.end is None
    assert len(liar.taken()) <= MAX_OFFERED
    assert liar.tell(Offers(True, 0, 0, [bytes(14)])).end is End.HOSTILE  # noqa: FBT003
    assert mail_of(node).carried == {}
    assert liar.loads == 0


def test_who_offers_and_does_not_bring_is_left_in_time() -> None:
    liar = liar_at(node_with())
    liar.offer(*map(letter, range(9)))
    assert 1 <= len(liar.taken()) < 9
    assert liar.wait(119).end is None
    assert liar.wait(2).end is End.SILENT


def test_who_never_says_that_he_offered_all_is_left_in_time() -> None:
    liar = MailLiar(node_with(), is_contact=False).begin_with_mail()
    liar.tell(Offers(False, 0, 0))  # noqa: FBT003
    assert liar.wait(119).end is None
    assert liar.wait(2).end is End.SILENT


def test_empty_offers_cost_nothing() -> None:
    node = node_with()
    liar = liar_at(node)
    for _ in range(1_000):
        liar.tell(Offers(True, 0, 0))  # noqa: FBT003
    assert (liar.end, liar.loads, liar.keeps) == (None, 0, 0)
    assert liar.all(Take) == []


@given(spans=st.lists(st.tuples(st.integers(1, 1 << 52), st.integers(0, 1 << 52)), max_size=40))
def test_absurd_serials_hurt_him_who_says_them(spans: list[tuple[int, int]]) -> None:
    node = node_with()
    liar = MailLiar(node).begin_with_mail(MailGreeting(b"liar", 1 << 52, Seen(b"xxxx", ((1, 9),))))
    for low, more in spans:
        liar.tell(Offers(True, low, low + more))  # noqa: FBT003
    liar.leave()
    other, _ = carriers(2)
    post(other, TRUE)
    assert TRUE.id not in mail_of(node).carried
    meet_by_mail(other, Node(9, store=node.store))
    assert len(node.holdings.catalogue.logs) == 0
    assert liar.loads == 0


@CONTACT
def test_mail_to_one_who_carries_none_ends_the_meeting(*, is_contact: bool) -> None:
    liar = MailLiar(Node(5), is_contact=is_contact).begin_with_mail()
    assert liar.end is None
    assert liar.tell(Offers(True, 0, 0)).end is End.HOSTILE  # noqa: FBT003


def test_mail_from_one_who_said_that_he_carries_none_ends_the_meeting() -> None:
    liar = MailLiar(node_with())
    liar.begin()
    assert liar.tell(Offers(True, 0, 0)).end is End.HOSTILE  # noqa: FBT003


# --- bringing -----------------------------------------------------------------------------------


def test_envelopes_that_nobody_asked_for_are_not_kept_and_end_the_meeting_at_last() -> None:
    node = node_with()
    liar = liar_at(node)
    for number in range(UNWANTED):
        liar.bring(letter(number))
    assert liar.end is None
    assert mail_of(node).carried == {}
    assert liar.bring(letter(999)).end is End.HOSTILE
    assert rows(node, MailWhat.CARRIED) == []


def test_tokens_that_nobody_asked_for_are_not_learnt() -> None:
    node = node_with()
    bring(node, TRUE)
    liar = liar_at(node).read(receipt(TRUE))
    assert TRUE.id in mail_of(node).carried
    assert mail_of(node).tokens == {}
    assert liar.read(*[receipt(letter(2))] * UNWANTED).end is End.HOSTILE


def test_what_was_asked_for_counts_once() -> None:
    node = node_with()
    liar = liar_at(node)
    liar.offer(TRUE)
    liar.bring(TRUE, TRUE, TRUE)
    assert list(mail_of(node).carried) == [TRUE.id]
    assert liar.bring(*[TRUE] * UNWANTED).end is End.HOSTILE
    assert len(rows(node, MailWhat.CARRIED)) == 1


MALFORMED = [b"", b"\xff", encode([24, bytes(16), bytes(32), b"x"]), bytes(100)]


@pytest.mark.parametrize("raw", MALFORMED, ids=["nothing", "no cbor", "version 24", "zeros"])
def test_a_malformed_envelope_ends_the_meeting(raw: bytes) -> None:
    node = node_with()
    liar = liar_at(node)
    liar.offer(TRUE)
    assert liar.bring_raw(raw).end is End.HOSTILE
    assert rows(node, MailWhat.CARRIED) == []


def test_large_envelopes_that_nobody_asked_for_end_the_meeting_no_later() -> None:
    node = node_with()
    liar = liar_at(node)
    liar.holds = True
    letters = [letter(number, size=8_192) for number in range(256)]
    while liar.end is None and liar.bytes_in < 1 << 24:
        liar.bring(*letters[:7])
    assert liar.end is End.HOSTILE
    assert liar.bytes_in < (UNWANTED + 8) * 8_300


# --- what he may not spoil ----------------------------------------------------------------------


@CONTACT
def test_a_false_token_drops_nothing(*, is_contact: bool) -> None:
    node = node_with()
    bring(node, TRUE)
    false = receipt(TRUE)._replace(token=material("false", 16))
    liar = liar_at(node, is_contact=is_contact)
    liar.offer_tokens(false)
    liar.read(false)
    assert liar.end is None
    assert TRUE.id in mail_of(node).carried
    assert len(rows(node, MailWhat.CARRIED)) == 1


def test_a_poisoned_envelope_does_not_keep_the_true_one_out() -> None:
    writer, reader = carriers(2)
    post(writer, TRUE)
    reads(reader, TRUE)
    for number in range(3):
        liar = liar_at(reader, number=60 + number)
        liar.offer(poisoned(TRUE, number))
        liar.bring(poisoned(TRUE, number))
        assert liar.end is None
        liar.leave()
    meet_by_mail(writer, reader)
    assert TRUE.id in reader.letters
    release(reader, TRUE)
    assert mail_of(reader).carried == {}


def test_a_poisoned_beginning_does_not_keep_the_true_letter_out() -> None:
    one = letter(1, size=6_000)
    writer, reader = carriers(2)
    post(writer, one)
    reads(reader, one)
    liar = liar_at(reader)
    rows_ = liar.offer(one)
    false = one.envelope.raw[:21] + bytes(1_003)
    liar.tell(Pieces([Piece(rows_[0], 0, len(one.envelope.raw), false, 8, 99, 0)]))
    liar.leave()
    for _ in range(2):
        meet_by_mail(writer, reader)
    assert reader.letters == [one.id]


@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40), st.binary(min_size=1)),
        max_size=30,
    )
)
def test_any_pieces_are_bounded_and_no_letter(
    pieces: list[tuple[int, int, int, bytes]],
) -> None:
    node = node_with()
    liar = liar_at(node)
    liar.offer(letter(1), letter(2))
    for row, offset, more, data in pieces:
        size = min(offset + len(data) + more, MAX_ENVELOPE_BYTES)
        liar.tell(Pieces([Piece(row, offset, size, data, 3, 9, 0)]))
    assert mail_of(node).carried == {}
    assert sum(map(len, mail_of(node).begun.values())) <= 2 * MAX_ENVELOPE_BYTES
    assert liar.end in (None, End.HOSTILE)


def test_beginnings_of_many_letters_are_kept_of_few() -> None:
    node = node_with()
    for number in range(60):
        liar = liar_at(node, number=number + 100)
        letters = [letter(1_000 * number + n, size=3_000) for n in range(8)]
        for row, one in zip(liar.offer(*letters), letters, strict=True):
            part = one.envelope.raw[:1_024]
            liar.tell(Pieces([Piece(row, 0, len(one.envelope.raw), part, 8, 99, 0)]))
        liar.leave()
    assert sum(map(len, mail_of(node).begun.values())) <= 1 << 20


def test_strangers_fill_their_pool_and_no_more() -> None:
    (node,) = carriers(1, envelopes=50, share=1.0)
    bring(node, *map(letter, range(45)))
    for number in range(20):
        liar = liar_at(node, is_contact=False, number=number)
        letters = [letter(1_000 + 10 * number + n) for n in range(10)]
        liar.offer(*letters)
        for one in letters:
            liar.bring(one, life=7 * 24 * 60)
        liar.leave()
    strange = [one for one in mail_of(node).carried.values() if one.depositor == b""]
    assert len(mail_of(node).carried) == 50
    assert len(strange) == 5
    assert len(rows(node, MailWhat.CARRIED)) == 50


@given(data=st.data())
def test_whatever_he_says_of_mail_the_honest_node_stays_sound(data: st.DataObject) -> None:
    node = node_with(4)
    liar = liar_at(node, is_contact=data.draw(st.booleans()))
    some = [letter(n) for n in range(100, 108)]
    pick = st.lists(st.sampled_from(some), min_size=1, max_size=4)
    numbers = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True)
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.integers(0, 5)):
            case 0:
                liar.offer(*data.draw(pick))
            case 1:
                liar.bring(*data.draw(pick), life=data.draw(st.integers(1, 99)))
            case 2:
                liar.take(*data.draw(numbers), rank=data.draw(st.sampled_from([0, 1, 4, 6])))
            case 3:
                liar.leave_rows(data.draw(numbers), data.draw(st.sampled_from(Why)))
            case 4:
                liar.offer_tokens(*map(receipt, data.draw(pick)))
            case _:
                liar.tell(Tokens([receipt(one) for one in data.draw(pick)]))
    liar.wait(1_000)
    mail = mail_of(node)
    assert {row.ident for row in rows(node, MailWhat.CARRIED)} == set(mail.carried)
    assert {row.ident for row in rows(node, MailWhat.TOKEN)} == set(mail.tokens)
    assert mail.room.count == len(mail.carried) <= 8
    assert not {one.lock for one in mail.carried.values()} & mail.tokens.keys()
