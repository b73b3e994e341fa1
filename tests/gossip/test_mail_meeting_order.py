"""Mail in meetings that overlap: what happens in one while another waits, and what each says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossip.carried import MailChanges
from gossip.effects import End
from gossip.postal import TOKEN_NAME_BYTES, Envelopes, Offers, Tokens
from gossip.standing import Salt
from ledger.store.base import MailWhat
from tests.gossip.mail_builders import (
    Letter,
    bring,
    carriers,
    gather,
    letter,
    mail_of,
    meet_by_mail,
    parcel,
    post,
    reads,
    receipt,
    release,
    restart,
    rows,
    said,
    sever,
    told,
    went,
)
from tests.gossip.mail_liar import MailLiar
from tests.strategies import material

if TYPE_CHECKING:
    from tests.gossip.meetings import Node

ONE = letter(1)


def live(*nodes: Node) -> None:
    for node in nodes:
        node.policy = replace(node.policy, live=True)


def post_together(node: Node, *letters: Letter) -> None:
    """Have a node's person send letters of which its meetings hear at once."""
    mail, rows_ = mail_of(node), MailChanges()
    for one in letters:
        changes = mail.deposit(one.envelope, 8, 999, 0)
        rows_.add(changes)
    node.keep_mail(rows_)


# --- what is offered ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [255, 256, 257, 1_024, 1_100])
def test_a_stranger_is_offered_a_thousand_envelopes(count: int) -> None:
    giver, taker = carriers(2)
    bring(giver, *(letter(number, size=1) for number in range(count)))
    meeting = meet_by_mail(giver, taker, contacts=False)
    assert [end.finish and end.finish.end for end in meeting.ends] == [End.DONE, End.DONE]
    assert len(mail_of(taker).carried) == min(count, 1_024)


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("count", [1, 16, 17, 60])
def test_what_comes_together_during_a_meeting_is_offered(count: int, *, contacts: bool) -> None:
    giver, taker = carriers(2)
    live(giver, taker)
    meeting = gather(giver, taker, contacts=contacts).start().settle()
    post_together(giver, *map(letter, range(count)))
    meeting.settle()
    assert [end.finish for end in meeting.ends] == [None, None]
    assert len(mail_of(taker).carried) == count
    spans = {(m.low, m.high) for m in said(meeting, 0, Offers)}
    assert contacts or spans == {(0, 0)}


def test_what_comes_while_the_other_still_greets_is_offered_too() -> None:
    giver, taker = carriers(2)
    live(giver, taker)
    meeting = gather(giver, taker).start()
    post(giver, ONE)
    meeting.settle().pass_time(5)
    assert ONE.id in mail_of(taker).carried


def test_after_mail_came_the_next_meeting_has_nothing_to_offer() -> None:
    giver, taker = carriers(2)
    post(giver, *map(letter, range(3)))
    meet_by_mail(giver, taker)
    meeting = meet_by_mail(giver, taker)
    assert said(meeting, 0, Offers) == said(meeting, 1, Offers) == []


@pytest.mark.parametrize("is_live", [True, False])
def test_a_letter_read_during_a_meeting_is_acknowledged_in_the_next(*, is_live: bool) -> None:
    writer, reader = carriers(2)
    if is_live:
        live(writer, reader)
    post(writer, ONE)
    reads(reader, ONE)
    meeting = gather(writer, reader).start()
    while not reader.letters:
        assert meeting.step()
    release(reader, ONE)
    meeting.settle().pass_time(20)
    assert told(meeting, 1) == []
    sever(meeting)
    meeting = gather(writer, reader).start().settle().pass_time(20)
    assert told(meeting, 1) == [ONE.token]
    assert writer.delivered == [ONE.id]


# --- what two meetings do to each other ---------------------------------------------------------


def test_what_two_offer_is_tried_again_without_haste() -> None:
    (node,) = carriers(1)
    liars = [MailLiar(node, number=n, binding=material(f"{n}")).begin_with_mail() for n in (1, 2)]
    for liar in liars:
        liar.offer(*map(letter, range(6)))
    liars[1].offer(*map(letter, range(10, 18)))
    for second in range(100):
        for liar in liars:
            liar.pass_time(float(second))
    assert liars[1].taken()


def slow_liar(node: Node, one: Letter) -> MailLiar:
    """Bring a letter while the node's store does not answer."""
    liar = MailLiar(node).begin_with_mail()
    liar.offer(one)
    liar.holds = True
    liar.bring(one)
    return liar


def test_what_was_read_while_it_was_being_stored_is_not_carried_after_a_restart() -> None:
    (node,) = carriers(1)
    liar = slow_liar(node, ONE)
    node.keep_mail(mail_of(node).learn(receipt(ONE), 0))
    liar.answer()
    liar.leave()
    liar.answer()
    assert mail_of(node).carried == {}
    assert restart(node).carried == {}


def test_what_was_let_go_while_it_was_being_stored_is_not_carried_after_a_restart() -> None:
    (node,) = carriers(1, envelopes=1)
    liar = slow_liar(node, ONE)
    bring(node, letter(2), life=7 * 24 * 60)
    liar.answer()
    liar.leave()
    liar.answer()
    assert list(mail_of(node).carried) == [letter(2).id]
    assert list(restart(node).carried) == [letter(2).id]


def test_what_was_read_while_it_was_given_away_leaves_no_row() -> None:
    giver, taker = carriers(2)
    bring(giver, ONE, depositor=b"", copies=8)
    meeting = gather(giver, taker).start()
    while mail_of(giver).carried[ONE.id].copies == 8:
        assert meeting.step()
    giver.keep_mail(mail_of(giver).learn(receipt(ONE), 0))
    meeting.settle()
    assert rows(giver, MailWhat.CARRIED) == []


# --- what liars may not spoil -------------------------------------------------------------------


def test_what_comes_together_with_something_malformed_is_not_lost() -> None:
    writer, reader = carriers(2)
    post(writer, ONE)
    reads(reader, ONE)
    liar = MailLiar(reader).begin_with_mail()
    liar.offer(ONE, letter(2))
    liar.tell(Envelopes([parcel(ONE), parcel(letter(2))._replace(raw=b"")]))
    assert liar.end is End.HOSTILE
    meet_by_mail(writer, reader)
    assert reader.letters == [ONE.id]
    assert len(rows(reader, MailWhat.LETTER)) == 1


def test_what_comes_together_with_too_much_unasked_is_not_lost() -> None:
    writer, reader = carriers(2)
    post(writer, ONE)
    reads(reader, ONE)
    liar = MailLiar(reader).begin_with_mail()
    liar.offer(ONE)
    liar.tell(Envelopes([parcel(ONE), *[parcel(letter(2, size=1))] * 600]))
    assert liar.end is End.HOSTILE
    meet_by_mail(writer, reader)
    assert reader.letters == [ONE.id]


@pytest.mark.parametrize("is_contact", [True, False])
def test_a_false_token_does_not_keep_the_letter_from_its_reader(*, is_contact: bool) -> None:
    writer, reader = carriers(2)
    post(writer, ONE)
    reads(reader, ONE)
    false = receipt(ONE)._replace(token=material("false", 16))
    liar = MailLiar(reader, is_contact=is_contact).begin_with_mail()
    liar.offer_tokens(false)
    liar.tell(Tokens([false]))
    liar.leave()
    meet_by_mail(writer, reader)
    assert reader.letters == [ONE.id]


def test_a_false_token_does_not_keep_the_letter_from_carriers() -> None:
    writer, carrier, reader = carriers(3)
    post(writer, ONE)
    reads(reader, ONE)
    false = receipt(ONE)._replace(token=material("false", 16))
    carrier.keep_mail(mail_of(carrier).learn(false, 0))
    meet_by_mail(writer, carrier)
    meet_by_mail(carrier, reader)
    assert reader.letters == [ONE.id]


def test_what_was_read_is_brought_once_at_most_to_who_cannot_see_that() -> None:
    carrier, other = carriers(2)
    bring(carrier, ONE)
    mail_of(other).learn(receipt(ONE), 0)
    brought = [ident for _ in range(4) for ident in went(meet_by_mail(carrier, other), 0)]
    assert len(brought) <= 1


def test_offering_many_tokens_costs_no_hash_for_each_envelope_carried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (node,) = carriers(1)
    bring(node, *(letter(number, size=1) for number in range(200)))
    count = 0
    hashed = Salt._hash

    def counting(self: Salt, *parts: object) -> bytes:
        nonlocal count
        count += 1
        return hashed(self, *parts)  # type: ignore[arg-type]

    liar = MailLiar(node).begin_with_mail()
    monkeypatch.setattr(Salt, "_hash", counting)
    for page in range(4):
        names = [material(f"{page} {number}", TOKEN_NAME_BYTES) for number in range(200)]
        liar.tell(Offers(True, 0, 0, receipts=names))  # noqa: FBT003
    assert count <= 4 * (200 + 800)
