"""What of the mail that is carried for others goes first, and how little it takes to know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.carried import MAX_HINTS, MAX_SPREAD, STRANGER, Carried, Crowd
from gossip.mail_room import ROW_COST_BYTES, MailLimits, MailRoom
from tests.gossip.mail_builders import ALICE, BOB
from tests.strategies import material


def carried(number: int, until: int, depositor: bytes = ALICE, size: int = 100) -> Carried:
    return Carried(material(f"{number}"), b"", b"", size, 8, 0, until, depositor)


def room(**limits: Any) -> MailRoom:  # noqa: ANN401
    return MailRoom(MailLimits(**limits))


def test_what_most_are_known_to_have_goes_first_and_of_that_the_oldest() -> None:
    held = room(envelopes=2, share=1.0)
    some = [carried(number, 100 + number) for number in range(3)]
    for one in some:
        held.add(one)
    assert held.victim() == some[0].id
    held.met(some[2], BOB)
    assert held.victim() == some[2].id
    held.met(some[1], BOB)
    assert held.victim() == some[1].id
    held.remove(some[1])
    assert (held.count, held.bytes) == (2, 2 * (100 + ROW_COST_BYTES))


def test_each_carrier_counts_once_and_strangers_count_as_one() -> None:
    held, one = room(), carried(1, 100)
    held.add(one)
    for carrier in (ALICE, BOB, BOB, STRANGER, STRANGER):
        held.met(one, carrier)
    assert held.spread(one.id) == 3
    for number in range(2 * MAX_SPREAD):
        held.met(one, material(f"carrier {number}"))
    assert held.spread(one.id) == MAX_SPREAD
    held.met(carried(2, 100), BOB)
    assert held.spread(material("2")) == 0


def test_what_would_go_at_once_is_not_wanted() -> None:
    held = room(envelopes=2, share=1.0)
    for number in range(2):
        held.add(carried(number, 100 + number))
    assert [held.wants(until, BOB) for until in (99, 100, 101)] == [False, False, True]
    held.met(carried(1, 101), BOB)
    assert held.wants(1, BOB), "what two have goes before what one has"


def test_who_has_not_had_his_share_is_taken_from() -> None:
    held = room(envelopes=10, share=0.5)
    for number in range(6):
        held.add(carried(number, 1_000 + number, ALICE))
    for number in range(6, 10):
        held.add(carried(number, 10 + number, BOB))
    assert held.wants(1, BOB)
    assert held.victim() == carried(0, 0).id
    assert not held.wants(999, ALICE)


@pytest.mark.parametrize(
    ("count", "ample"), [(7, True), (8, False)], ids=["an eighth free", "less"]
)
def test_there_is_room_again_once_an_eighth_is_free(count: int, *, ample: bool) -> None:
    held = room(envelopes=8)
    for number in range(count):
        held.add(carried(number, 100))
    assert held.is_ample is ample


def plain_victim(some: list[Carried], spread: dict[bytes, int], limits: MailLimits) -> bytes:
    """Return what goes first, by the rule as it is written."""
    counts: dict[bytes, int] = {}
    for one in some:
        counts[one.depositor] = counts.get(one.depositor, 0) + 1
    share = {who: limits.strangers if who == STRANGER else limits.share for who in counts}
    greedy = [o for o in some if counts[o.depositor] > share[o.depositor] * limits.envelopes]
    return min(greedy or some, key=lambda o: (-spread[o.id], o.until, o.id)).id


deeds = st.lists(
    st.tuples(
        st.sampled_from(["add", "met", "remove"]),
        st.integers(0, 11),
        st.integers(0, 3),
        st.sampled_from([ALICE, BOB, STRANGER]),
    ),
    max_size=40,
)


@given(done=deeds)
def test_what_goes_first_is_what_the_rule_says(
    done: list[tuple[str, int, int, bytes]],
) -> None:
    limits = MailLimits(envelopes=6, share=0.4, strangers=0.2)
    held, some, known = MailRoom(limits), dict[bytes, Carried](), dict[bytes, set[bytes]]()
    for what, number, until, who in done:
        ident = material(f"{number}")
        if what == "add" and ident not in some:
            some[ident], known[ident] = carried(number, until, who), {who}
            held.add(some[ident])
        elif what == "met" and ident in some:
            known[ident].add(who)
            held.met(some[ident], who)
        elif what == "remove" and ident in some:
            held.remove(some.pop(ident))
        spread = {one: len(known[one]) for one in some}
        assert held.count == len(some)
        if some:
            assert held.victim() == plain_victim([*some.values()], spread, limits)
        for offered in range(4):
            fresh = carried(99, offered, who)._replace(id=b"")
            with_it = [*some.values(), fresh]
            kept = len(with_it) <= 6 or plain_victim(with_it, spread | {b"": 1}, limits) != b""
            assert held.wants(offered, who) is kept


def test_the_crowd_is_counted_by_who_offers_and_forgets_the_oldest() -> None:
    crowd = Crowd()
    for who in (ALICE, ALICE, BOB, STRANGER):
        crowd.add(b"ab", who)
    assert (crowd.count(b"ab"), crowd.count(b"cd")) == (3, 0)
    for number in range(MAX_HINTS):
        crowd.add(number.to_bytes(3, "big"), ALICE)
    assert crowd.count(b"ab") == 0
    assert crowd.count(bytes(3)) == 1
    for number in range(2 * MAX_SPREAD):
        crowd.add(bytes(3), material(f"{number}"))
    assert crowd.count(bytes(3)) == MAX_SPREAD
