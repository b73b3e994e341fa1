"""Meetings with mail that break off, wait, or may cost little: the rest comes next time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.effects import End
from gossip.policy import Limits
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
    sever,
    stories,
    went,
)
from tests.gossip.meetings import Node, now_run
from tests.gossip.worlds import part

HERE, THERE = list(map(letter, range(3))), [letter(9, size=1_500), letter(10), letter(11)]


def two() -> list[Node]:
    """Two carriers, each with letters for the other and for somebody else, and a token."""
    left, right = carriers(2)
    post(left, *HERE)
    bring(right, *THERE)
    reads(right, *HERE[:2])
    reads(left, THERE[0])
    bring(left, letter(20))
    release(right, letter(20))
    return [left, right]


def state(node: Node) -> dict[str, object]:
    """What a node holds of mail, in memory and in its store."""
    mail = mail_of(node)
    stored = sorted((r.what, r.ident, r.hops, r.copies) for r in now_run(node.store.mail()))
    carried = sorted(mail.carried)
    return {
        "rows": stored,
        "carried": carried,
        "contents": now_run(node.store.envelopes(carried)),
        "letters": sorted(node.letters),
        "delivered": sorted(node.delivered),
        "offered": sorted(one.lock for one in mail.came(1, mail.serial)),
        "tokens": sorted(mail.tokens),
        "gone": sorted(mail.gone),
    }


@pytest.fixture(scope="module")
def uncut() -> tuple[list[dict[str, object]], int]:
    left, right = two()
    first = meet_by_mail(left, right)
    meet_by_mail(left, right)
    return [state(left), state(right)], first.bytes


@pytest.mark.parametrize("tenth", range(10))
def test_a_meeting_cut_at_any_byte_and_finished_leaves_the_same(
    uncut: tuple[list[dict[str, object]], int], tenth: int
) -> None:
    states, size = uncut
    for cut in range(tenth, size, 10):
        left, right = two()
        meet_by_mail(left, right, cut=cut)
        for _ in range(2):
            meet_by_mail(left, right)
        assert [state(left), state(right)] == states, f"cut at byte {cut} of {size}"


@part(4)
@given(dice=stories, cuts=st.lists(st.integers(0, 4_000), max_size=6), restarts=st.booleans())
def test_however_often_it_is_cut_nothing_is_lost_or_comes_twice(
    dice: int, cuts: list[int], *, restarts: bool
) -> None:
    forget_meetings(dice)
    left, right = carriers(2)
    letters = [letter(number, size=400 * number + 1) for number in range(8)]
    post(left, *letters)
    reads(right, *letters)
    for cut in cuts:
        meet_by_mail(left, right, cut=cut)
        if restarts:
            restart(right)
    for _ in range(3):
        meet_by_mail(left, right)
    kept = [row.ident for row in rows(right, MailWhat.LETTER)]
    assert sorted(kept) == sorted(one.id for one in letters)
    assert len(set(right.letters)) == len(right.letters)


def test_what_was_had_of_a_giver_covers_nothing_that_he_numbers_anew() -> None:
    letters = list(map(letter, range(12)))
    for cut in range(0, 4_000, 100):
        forget_meetings()
        left, right = carriers(2)
        post(left, *letters[:6])
        meet_by_mail(left, right)
        post(left, *letters[6:])
        restart(left)
        meet_by_mail(left, right, cut=cut)
        meet_by_mail(left, right)
        assert len(mail_of(right).carried) == len(letters), f"cut at byte {cut}"


def test_what_came_in_part_goes_on_where_it_ended() -> None:
    one = letter(1, size=8_000)
    whole = carriers(2)
    post(whole[0], one)
    size = meet_by_mail(*whole).bytes
    left, right = carriers(2)
    post(left, one)
    cut = meet_by_mail(left, right, cut=size // 2)
    rest = meet_by_mail(left, right)
    assert one.id in mail_of(right).carried
    assert cut.bytes + rest.bytes < size + 1_024 + 400


def test_what_came_in_part_goes_on_with_another_carrier() -> None:
    one, (left, other, right) = letter(1, size=8_000), carriers(3)
    bring(left, one)
    bring(other, one)
    meet_by_mail(left, right, cut=5_000)
    rest = meet_by_mail(other, right)
    assert one.id in mail_of(right).carried
    assert rest.bytes < 5_000


@pytest.mark.parametrize("who", ["giver", "taker"])
@pytest.mark.parametrize("budget", [0, 100, 400, 1_000, 3_000])
def test_with_a_small_budget_nothing_hangs(who: str, budget: int) -> None:
    giver, taker = carriers(2)
    bring(giver, *map(letter, range(10)))
    node = giver if who == "giver" else taker
    limits = Limits(send=budget) if who == "giver" else Limits(receive=budget)
    node.policy = replace(node.policy, limits=limits)
    meeting = meet_by_mail(giver, taker)
    assert {end.finish and end.finish.end for end in meeting.ends} <= {End.DONE, End.SPENT}
    assert sum(len(one.envelope.raw) for one in map(letter, range(len(went(meeting, 0))))) <= budget


@pytest.mark.parametrize("who", ["giver", "taker"])
@pytest.mark.parametrize(
    "letters",
    [[letter(n) for n in range(10)], [letter(n, size=2_500) for n in range(4)]],
    ids=["short ones", "long ones"],
)
def test_what_does_not_fit_a_budget_comes_bit_by_bit(who: str, letters: list[Letter]) -> None:
    giver, taker = carriers(2)
    bring(giver, *letters)
    node = giver if who == "giver" else taker
    limits = Limits(send=1_500) if who == "giver" else Limits(receive=1_500)
    node.policy = replace(node.policy, limits=limits)
    for _ in range(12):
        meet_by_mail(giver, taker)
    assert set(mail_of(taker).carried) == {one.id for one in letters}


def test_what_a_budget_had_no_room_for_comes_once_there_is_room() -> None:
    giver, taker = carriers(2)
    bring(giver, *map(letter, range(10)))
    plain = giver.policy
    giver.policy = replace(plain, limits=Limits(send=100))
    for _ in range(3):
        meet_by_mail(giver, taker)
    assert len(mail_of(taker).carried) == 0
    giver.policy = plain
    meet_by_mail(giver, taker)
    assert len(mail_of(taker).carried) == 10


def test_a_link_that_dies_while_the_store_is_slow_loses_nothing() -> None:
    giver, taker = carriers(2)
    letters = [letter(number, size=700) for number in range(6)]
    post(giver, *letters)
    reads(taker, *letters)
    meeting = gather(giver, taker).start()
    while len(mail_of(taker).carried) < 3:
        assert meeting.step()
    sever(meeting)
    held = mail_of(taker).carried.values()
    assert sorted(taker.letters) == sorted(mail_of(taker).letters)
    assert all(one.serial for one in held), "what is held is offered to others"
