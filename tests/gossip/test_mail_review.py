"""What a second look at carried mail found: what grows, what is lost, what is done in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gossip import mail_choice, mail_giving, mail_names
from gossip.carried import Journal, MailChanges
from gossip.effects import End
from gossip.envelope import MAX_ENVELOPE_BYTES, Piece, decode_envelope, encode_envelope
from gossip.mail_giving import MOST_PIECES, PIECE_BYTES
from gossip.mail_names import MailNames
from gossip.policy import Limits
from gossip.postal import Leave, Offers, Pieces, Take, Why
from gossip.standing import Salt
from ledger.store.base import MailRow, MailWhat
from tests.gossip.mail_builders import (
    ALICE,
    DAY_MIN,
    Letter,
    bring,
    carriers,
    gather,
    letter,
    mail_of,
    make_mail,
    parcel,
    receipt,
    said,
    taken,
)
from tests.gossip.mail_liar import MailLiar
from tests.strategies import material

if TYPE_CHECKING:
    import pytest

    from gossip.mail_taking import MailTaking
    from tests.gossip.meetings import Node

ONE = letter(1)
LONG = letter(2, size=3_000)


def peer_of(node: Node, number: int, **how: Any) -> MailLiar:  # noqa: ANN401
    binding = material(f"peer {number}")
    return MailLiar(node, number=number, binding=binding, **how).begin_with_mail()


def taking(peer: MailLiar) -> MailTaking:
    """What the node knows of what a peer offers."""
    mailing = peer.session._mailing
    assert mailing is not None
    return mailing._taking


def pieces(row: int, one: Letter) -> list[Pieces]:
    """Return an envelope as it comes in pieces."""
    raw = one.envelope.raw
    cuts = range(0, len(raw), PIECE_BYTES)
    return [
        Pieces([Piece(row, at, len(raw), raw[at : at + PIECE_BYTES], 8, DAY_MIN, 0)]) for at in cuts
    ]


# --- what is not wanted any more, and comes ------------------------------------------------------


def given_up(node: Node, one: Letter = LONG) -> MailLiar:
    """Return a peer who was asked for an envelope that another brought meanwhile."""
    slow, quick = peer_of(node, 66), peer_of(node, 67)
    slow.offer(one)
    quick.offer(one)
    quick.wait(31)
    quick.tell(*pieces(0, one))
    slow._take(slow.session.changed({}, slow.now))
    assert slow.all(Leave) == [Leave(Why.UNWANTED, [0])]
    return slow


def test_what_comes_after_it_was_given_up_is_not_asked_for_anew() -> None:
    (node,) = carriers(1)
    slow = given_up(node)
    slow.tell(*pieces(0, LONG))
    assert slow.taken() == [0]
    assert taking(slow).is_done
    assert mail_of(node).begun == {}


def test_who_brings_what_was_asked_for_too_late_is_not_hostile() -> None:
    (node,) = carriers(1)
    slow = given_up(node, letter(3, size=8_000))
    late = pieces(0, letter(3, size=8_000))
    room = Limits().unwanted + MOST_PIECES
    for number in range(room):
        slow.tell(late[number % len(late)])
    assert slow.end is None
    assert slow.tell(late[0]).end is End.HOSTILE


def test_no_envelope_goes_in_more_pieces_than_are_waited_for() -> None:
    assert (MOST_PIECES - 1) * PIECE_BYTES < MAX_ENVELOPE_BYTES <= MOST_PIECES * PIECE_BYTES


# --- what is told again --------------------------------------------------------------------------


def test_what_only_filled_up_while_room_was_short_is_told_again() -> None:
    (node,) = carriers(1, envelopes=8)
    mail = mail_of(node)
    node.keep_mail(mail.take_single(ONE.envelope, parcel(ONE), 0.0))
    bring(node, *map(letter, range(10, 18)), life=10)
    assert mail.wants(mail.elapsed(0) + 600 * 60, ALICE)
    peer = peer_of(node, 66)
    peer.tell(Offers(True, 1, 1, [peer.row(ONE)]))  # noqa: FBT003
    assert peer.taken() == []
    assert taking(peer).has_declined


def test_what_only_filled_up_is_told_again_where_room_ran_short_meanwhile() -> None:
    (node,) = carriers(1, envelopes=8)
    node.keep_mail(mail_of(node).take_single(ONE.envelope, parcel(ONE), 0.0))
    peer = peer_of(node, 66)
    rows = [peer.row(one, life) for one, life in ((letter(5), 900), (letter(6), 800), (ONE, 700))]
    peer.tell(Offers(True, 1, 1, rows))  # noqa: FBT003
    bring(node, *map(letter, range(10, 18)), life=10)
    for number in peer.taken():
        peer.leave_rows([number], Why.GONE)
    for number in peer.taken()[1:]:
        peer.leave_rows([number], Why.GONE)
    assert taking(peer).is_done
    assert 2 in peer.taken() or taking(peer).has_declined


def test_what_was_read_by_another_name_is_no_reason_to_be_told_all_again() -> None:
    (node,) = carriers(1)
    node.keep_mail(mail_of(node).learn(receipt(ONE), 0))
    tag = material("another tag", 16)
    other = Letter(tag, ONE.token, decode_envelope(encode_envelope(tag, ONE.token, b"other")))
    peer = peer_of(node, 66)
    peer.tell(Offers(True, 1, 1, [peer.row(other)]))  # noqa: FBT003
    peer.bring(other)
    assert mail_of(node).carried == {}
    assert not taking(peer).has_declined


def test_the_same_offered_twice_is_asked_for_once_and_its_page_is_processed() -> None:
    for number in range(40):
        (node,) = carriers(1)
        peer = peer_of(node, 100 + number)
        first = [letter(at) for at in range(3)]
        peer.offer(*first)
        for at in range(3):  # they come fast: several are asked for at a time
            peer.bring(first[peer.taken()[at]])
        peer.tell(Offers(True, 1, 1, singles=[peer.row(ONE_MORE)] * 2))  # noqa: FBT003
        if len(peer.taken()) > 3:  # drawn
            peer.bring(ONE_MORE, hops=0)
            assert len(peer.taken()) == 4
            assert taking(peer).ranges == ((1, 1),)
            return
    raise AssertionError("never drawn")


ONE_MORE = letter(9)


# --- what grows, and what it costs ---------------------------------------------------------------


def test_pages_without_rows_are_not_remembered() -> None:
    (node,) = carriers(1)
    peer = peer_of(node, 66)
    for page in range(500):
        peer.tell(Offers(False, 2 * page + 1, 2 * page + 1))  # noqa: FBT003
    assert (taking(peer)._pages, taking(peer)._left) == ([], [])
    assert taking(peer).ranges[-1] == (999, 999)


def test_names_of_what_was_forgotten_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_names, "MAX_JOURNAL", 64)
    mail = make_mail(envelopes=10, memory=10)
    names = MailNames(Salt(material("binding")), mail)
    for number in range(500):
        names.catch_up()
        taken(mail, letter(number))
        assert len(names._ids) <= 20 + 64 + 1
    names.catch_up()
    assert all(names.ident(names.envelope(letter(n).envelope)) for n in range(485, 500))
    assert names.is_new(names.envelope(ONE.envelope))


def test_what_the_journal_forgot_is_known_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_names, "MAX_JOURNAL", 8)
    mail = make_mail()
    mail.journal = Journal(8)
    names = MailNames(Salt(material("binding")), mail)
    names.catch_up()
    for number in range(20):
        taken(mail, letter(number))
    names.catch_up()
    assert not any(names.is_new(names.envelope(letter(n).envelope)) for n in range(20))


def rows_like(one: Letter, peer: MailLiar, count: int) -> list[bytes]:
    """Return rows that may be ``one``, as far as other meetings see."""
    hint = peer.row(one)[10:12]
    return [material(f"row {number}", 10) + hint + b"\x01\x00" for number in range(count)]


def test_few_of_those_that_another_meeting_takes_are_looked_at_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_choice, "MOST_PASSED", 5)
    (node,) = carriers(1)
    peer_of(node, 66).offer(ONE)
    peer = peer_of(node, 67)
    claims, asked = mail_of(node).claims, list[tuple[object, ...]]()
    take = claims.take

    def count(*args: Any) -> float | None:  # noqa: ANN401
        asked.append(args)
        return take(*args)

    monkeypatch.setattr(claims, "take", count)
    peer.tell(Offers(True, 0, 0, rows_like(ONE, peer, 200)))  # noqa: FBT003
    assert (len(asked), peer.taken()) == (10, [])
    for _ in range(100):
        peer.leave_rows([7], Why.GONE)
    assert len(asked) == 10, "what was not asked for is no news"
    peer.wait(31)
    assert len(peer.taken()) == 1


def test_what_came_otherwise_is_waited_for_no_more() -> None:
    (node,) = carriers(1)
    mail = mail_of(node)
    for number in range(40):
        quick, other = peer_of(node, 100 + number), peer_of(node, 200 + number)
        one = letter(1_000 + number)
        quick.offer(one)
        other.tell(Offers(True, 0, 0, singles=[other.row(one)]))  # noqa: FBT003
        quick.bring(one)
        other._take(other.session.changed({}, 0.0))
        assert (other.taken(), mail.claims._waiting) == ([], {})


def test_a_meeting_that_has_offered_all_it_may_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_giving, "MAX_OFFERED", 20)
    giver, taker = carriers(2)
    for node in (giver, taker):
        node.policy = replace(node.policy, live=True)
    bring(giver, *map(letter, range(30)))
    meeting = gather(giver, taker).start().settle()
    before = len(said(meeting, 0, Offers))
    bring(giver, *map(letter, range(100, 110)))
    meeting.settle()
    assert len(said(meeting, 0, Offers)) == before
    assert len(said(meeting, 1, Take)) > 0
    assert len(mail_of(taker).carried) == 20


# --- what is stored ------------------------------------------------------------------------------


def test_what_a_failed_write_left_behind_does_not_keep_a_node_from_starting() -> None:
    held: dict[tuple[MailWhat, bytes], MailRow] = {}
    mail = make_mail()

    def keep(changes: MailChanges) -> None:
        for shelf in changes.drops:
            held.pop(shelf, None)
        held.update({(row.what, row.ident): row for row in changes.puts})

    keep(mail.take_single(ONE.envelope, parcel(ONE), 0.0))
    mail.failed(mail.take(ONE.envelope, parcel(ONE), ALICE, 0.0).puts)
    keep(mail.take(ONE.envelope, parcel(ONE), ALICE, 0.0))
    assert {what for what, _ in held} == {MailWhat.EVICTED, MailWhat.CARRIED}
    again = make_mail()
    again.load(held.values(), {ONE.id: len(ONE.envelope.raw)})
    assert (list(again.carried), again.gone) == ([ONE.id], {})
    assert again.expire(8 * 86_400).drops == [(MailWhat.CARRIED, ONE.id)]
    assert again._locks == {}


def test_changes_come_to_what_a_store_makes_of_them_one_after_the_other() -> None:
    row = MailRow(MailWhat.CARRIED, ONE.id, ONE.tag, ONE.envelope.lock, copies=8, content=b"all")
    first, second, third = MailChanges(), MailChanges(), MailChanges()
    first.put(row)
    second.put(row._replace(copies=4, content=b""))
    first.add(second)
    assert first.puts == [row._replace(copies=4)]
    third.drop(row.what, row.ident)
    first.add(third)
    assert (first.puts, first.drops) == ([], [(row.what, row.ident)])
    first.put(row)
    assert (first.puts, first.drops) == ([row], [(row.what, row.ident)])


def test_what_is_forgotten_while_it_is_stored_does_not_stay_in_the_store() -> None:
    mail = make_mail(memory=1)
    puts = [*mail.take_single(ONE.envelope, parcel(ONE), 0.0).puts]
    puts += mail.learn(receipt(letter(5)), 0).puts
    mail.take_single(LONG.envelope, parcel(LONG), 0.0)
    mail.learn(receipt(letter(6)), 0)
    gone = [(MailWhat.EVICTED, ONE.id), (MailWhat.TOKEN, letter(5).envelope.lock)]
    assert mail.stored(puts).stale == gone
