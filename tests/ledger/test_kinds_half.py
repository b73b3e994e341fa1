from __future__ import annotations

import pytest

from ledger.block import MAX_SEQ, ZEROS, Block, Counterparty
from ledger.errors import MeaninglessError
from ledger.kinds.body import Reference, open_body
from ledger.kinds.half import (
    AgreementBody,
    WithdrawalBody,
    read_agreement,
    read_half,
    read_proposal,
    read_withdrawal,
)
from ledger.pairs import Agreement, Proposal, Withdrawal, pair_up
from tests.ledger.views_support import SALT, Writer, census, entry, root, without_body

ADA, BOB = Writer("ada's phone", "ada"), Writer("bob's phone", "bob")
PERSON_OF = census([entry(ADA.first), entry(BOB.first)]).person
ASKS = Counterparty(root("bob"), ZEROS)


def _propose(log: int = 0, kind: str = "lend/book") -> Block:
    return ADA.write(kind, open_body(SALT, 1, "a book"), log, ASKS)


def _refer(block: Block) -> Reference:
    return Reference(block.header.author, block.header.log, block.header.seq, block.id)


def _agree(proposal: Block, said: Reference | None = None, head: int | None = None) -> Block:
    reference = said or _refer(proposal)
    body = AgreementBody(2, reference, head or reference.seq).encode(SALT)
    kind = proposal.header.kind
    return BOB.write(kind, body, 0, Counterparty(root("ada"), proposal.id))


def _withdraw(proposal: bytes, log: int = 0, counterparty: Counterparty | None = None) -> Block:
    return ADA.write("withdraw", WithdrawalBody(3, proposal).encode(SALT), log, counterparty)


def test_two_halves_read_from_blocks_make_a_pair() -> None:
    asked = _propose()
    agreed = _agree(asked)
    proposal, agreement = read_half(asked, PERSON_OF), read_half(agreed, PERSON_OF)
    seq = asked.header.seq
    assert proposal == Proposal(asked.id, ADA.device, seq, root("ada"), root("bob"), "lend/book")
    assert agreement == Agreement(agreed.id, root("bob"), asked.id, root("ada"), "lend/book", seq)
    assert isinstance(proposal, Proposal)
    assert isinstance(agreement, Agreement)
    assert len(pair_up([proposal], [agreement])) == 1


def test_a_withdrawal_that_was_seen_voids_the_pair() -> None:
    asked = _propose()
    back = _withdraw(asked.id)
    withdrawal = read_withdrawal(back)
    assert withdrawal == Withdrawal(ADA.device, back.header.seq, asked.id)
    proposal = read_proposal(asked, PERSON_OF)
    before = read_agreement(_agree(asked), PERSON_OF)
    after = read_agreement(_agree(asked, head=back.header.seq), PERSON_OF)
    assert pair_up([proposal], [before], [withdrawal])
    assert not pair_up([proposal], [after], [withdrawal])


def test_a_proposal_is_read_without_its_body_and_the_others_are_not() -> None:
    asked = _propose()
    assert read_half(without_body(asked), PERSON_OF) == read_half(asked, PERSON_OF)
    assert read_half(without_body(_agree(asked)), PERSON_OF) is None
    assert read_half(without_body(_withdraw(asked.id)), PERSON_OF) is None


def test_only_log_0_holds_two_party_records() -> None:
    with pytest.raises(MeaninglessError, match="log 0"):
        read_proposal(_propose(log=1), PERSON_OF)
    with pytest.raises(MeaninglessError):
        read_withdrawal(_withdraw(ZEROS, log=1))


def test_an_agreement_names_one_proposal_in_header_and_body() -> None:
    asked, other = _propose(), _propose()
    with pytest.raises(MeaninglessError, match="different proposals"):
        read_agreement(_agree(asked, _refer(other)), PERSON_OF)


def test_halves_are_not_taken_for_one_another() -> None:
    asked = _propose()
    for block in (asked, ADA.first, _withdraw(asked.id)):
        with pytest.raises(MeaninglessError):
            read_agreement(block, PERSON_OF)
    for block in (_agree(asked), ADA.first, _withdraw(asked.id, counterparty=ASKS)):
        with pytest.raises(MeaninglessError):
            read_proposal(block, PERSON_OF)
    for block in (asked, ADA.first, _withdraw(asked.id, counterparty=ASKS)):
        with pytest.raises(MeaninglessError):
            read_withdrawal(block)
    assert read_half(ADA.first, PERSON_OF) is None
    assert read_half(ADA.post("hello"), PERSON_OF) is None


def test_an_agreement_refers_to_log_0_and_has_seen_the_proposal() -> None:
    good = Reference(ADA.device, 0, 5, ZEROS)
    AgreementBody(1, good, MAX_SEQ)
    for reference, head in ((good, 4), (good, MAX_SEQ + 1), (good._replace(log=1), 5)):
        with pytest.raises(MeaninglessError):
            AgreementBody(1, reference, head)
        with pytest.raises(MeaninglessError):
            AgreementBody.decode(open_body(SALT, 1, reference, head))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_withdrawal_names_a_whole_id(size: int) -> None:
    with pytest.raises(MeaninglessError):
        WithdrawalBody(1, bytes(size))
