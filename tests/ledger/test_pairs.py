from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.pairs import Agreement, Pair, Proposal, Withdrawal, pair_up

NOBODY = bytes(32)
ANNA, BEN, CARA = (bytes([n]) * 32 for n in (1, 2, 3))
PHONE, LAPTOP = b"p" * 32, b"l" * 32


def ident(number: int) -> bytes:
    return number.to_bytes(32, "big")


def ask(number: int = 10, *, seq: int = 5, asked: bytes = BEN, kind: str = "help") -> Proposal:
    """Anna asks on her phone."""
    return Proposal(ident(number), PHONE, seq, ANNA, asked, kind)


def agree(
    number: int = 20,
    *,
    person: bytes = BEN,
    proposal: int = 10,
    proposer: bytes = ANNA,
    kind: str = "help",
    head: int = 7,
) -> Agreement:
    return Agreement(ident(number), person, ident(proposal), proposer, kind, head)


def test_a_proposal_and_an_agreement_are_a_pair() -> None:
    assert pair_up([ask()], [agree()]) == [Pair(ask(), agree())]


def test_one_half_alone_is_no_pair() -> None:
    assert pair_up([ask()], []) == []
    assert pair_up([], [agree()]) == []
    assert pair_up([ask(11)], [agree(proposal=10)]) == []


def test_a_proposal_that_names_somebody_is_agreed_to_by_nobody_else() -> None:
    assert pair_up([ask(asked=BEN)], [agree(person=CARA)]) == []
    assert pair_up([ask(asked=CARA)], [agree(person=CARA)]) != []


def test_a_proposal_to_anyone_makes_a_pair_with_everyone_who_agrees() -> None:
    to_anyone = ask(asked=NOBODY)
    ben, cara = agree(20, person=BEN), agree(21, person=CARA)
    assert pair_up([to_anyone], [ben, cara]) == [Pair(to_anyone, ben), Pair(to_anyone, cara)]


def test_nobody_agrees_with_himself() -> None:
    assert pair_up([ask(asked=NOBODY)], [agree(person=ANNA)]) == []
    assert pair_up([ask(asked=ANNA)], [agree(person=ANNA)]) == []


def test_an_agreement_names_who_proposed() -> None:
    assert pair_up([ask()], [agree(proposer=CARA)]) == []
    assert pair_up([ask()], [agree(proposer=NOBODY)]) == []
    assert pair_up([ask()], [agree(proposer=PHONE)]) == []


def test_an_agreement_is_of_the_kind_that_was_proposed() -> None:
    assert pair_up([ask(kind="help")], [agree(kind="trade")]) == []


def test_an_agreement_has_seen_the_proposal() -> None:
    assert pair_up([ask(seq=5)], [agree(head=4)]) == []
    assert pair_up([ask(seq=5)], [agree(head=5)]) != []


def test_a_pair_counts_once_for_each_proposal_and_person() -> None:
    # given Ben agrees on two of his devices
    answers = [agree(22), agree(21), agree(23)]
    # then the agreement with the smallest id is the pair
    assert pair_up([ask()], answers) == [Pair(ask(), agree(21))]


def test_two_proposals_to_one_person_are_two_pairs() -> None:
    pairs = pair_up([ask(10), ask(11)], [agree(20, proposal=10), agree(21, proposal=11)])
    assert [(pair.proposal.id, pair.agreement.id) for pair in pairs] == [
        (ident(10), ident(20)),
        (ident(11), ident(21)),
    ]


def test_a_withdrawal_that_was_seen_voids_the_agreement() -> None:
    assert pair_up([ask()], [agree(head=7)], [Withdrawal(PHONE, 6, ident(10))]) == []
    assert pair_up([ask()], [agree(head=7)], [Withdrawal(PHONE, 7, ident(10))]) == []


def test_a_withdrawal_that_was_not_seen_comes_too_late() -> None:
    assert pair_up([ask()], [agree(head=7)], [Withdrawal(PHONE, 8, ident(10))]) != []


def test_the_first_of_several_withdrawals_counts() -> None:
    early, late = Withdrawal(PHONE, 6, ident(10)), Withdrawal(PHONE, 9, ident(10))
    for both in ([early, late], [late, early]):
        assert pair_up([ask()], [agree(head=7)], both) == []


def test_a_device_withdraws_only_what_it_proposed() -> None:
    elsewhere = Withdrawal(LAPTOP, 6, ident(10))
    other = Withdrawal(PHONE, 6, ident(11))
    assert pair_up([ask()], [agree(head=7)], [elsewhere, other]) != []


def test_an_agreement_that_had_not_seen_the_withdrawal_stands_beside_one_that_had() -> None:
    unaware, aware = agree(30, head=5), agree(20, head=7)
    pairs = pair_up([ask()], [aware, unaware], [Withdrawal(PHONE, 6, ident(10))])
    assert pairs == [Pair(ask(), unaware)]


# --- against a model ----------------------------------------------------------------------------

people = st.sampled_from([ANNA, BEN, CARA])
marks = st.integers(1, 6)
proposals = st.lists(
    st.builds(
        Proposal,
        st.integers(1, 4).map(ident),
        st.sampled_from([PHONE, LAPTOP]),
        marks,
        people,
        st.sampled_from([NOBODY, ANNA, BEN, CARA]),
        st.sampled_from(["help", "trade"]),
    ),
    max_size=4,
    unique_by=lambda proposal: proposal.id,
)
agreements = st.lists(
    st.builds(
        Agreement,
        st.integers(11, 30).map(ident),
        people,
        st.integers(1, 5).map(ident),
        people,
        st.sampled_from(["help", "trade"]),
        marks,
    ),
    max_size=12,
    unique_by=lambda agreement: agreement.id,
)
withdrawals = st.lists(
    st.builds(
        Withdrawal, st.sampled_from([PHONE, LAPTOP]), marks, st.integers(1, 4).map(ident)
    ),
    max_size=4,
)  # fmt: skip


def stands(asked: Proposal, answer: Agreement, backs: Sequence[Withdrawal]) -> bool:
    """Say word by word whether an agreement makes a pair with a proposal."""
    if answer.proposal != asked.id or answer.kind != asked.kind:
        return False
    if answer.proposer != asked.person or answer.person == asked.person:
        return False
    if asked.asked not in {NOBODY, answer.person} or answer.head < asked.seq:
        return False
    return not any(
        back.device == asked.device and back.proposal == asked.id and back.seq <= answer.head
        for back in backs
    )


@given(proposals, agreements, withdrawals, st.randoms(use_true_random=False))
def test_pairs_are_those_that_stand_whatever_order_the_halves_came_in(
    asked: list[Proposal], answers: list[Agreement], backs: list[Withdrawal], dice: Random
) -> None:
    expected = [
        Pair(proposal, min(standing))
        for proposal in sorted(asked)
        for person in (ANNA, BEN, CARA)
        if (standing := [a for a in answers if a.person == person and stands(proposal, a, backs)])
    ]
    assert pair_up(asked, answers, backs) == expected
    for halves in (asked, answers, backs):
        dice.shuffle(halves)
    assert pair_up(asked, answers, backs) == expected
    assert pair_up(asked * 2, answers * 2, backs * 2) == expected
