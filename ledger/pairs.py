"""Two-party records: a proposal in one person's log 0, an agreement in another's.

A pair counts once per proposal and person. All three records are read from joined parts that
weigh; who that is, is the caller's to have sorted out (``ledger.views``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.keys import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable


class Proposal(NamedTuple):
    """A half-block that asks.

    Attributes:
        id: Id of its block.
        device: Its author; it stands in log 0.
        seq: Its place there.
        person: The author's person.
        asked: The person asked, or zeros for anyone.
        kind: What is proposed.
    """

    id: bytes
    device: bytes
    seq: int
    person: bytes
    asked: bytes
    kind: str


class Agreement(NamedTuple):
    """A half-block that answers.

    Attributes:
        id: Id of its block.
        person: Its author's person.
        proposal: Id of the proposal.
        proposer: The person it names as having proposed.
        kind: As the proposal's.
        head: Highest seq of the proposer's log 0 it had seen.
    """

    id: bytes
    person: bytes
    proposal: bytes
    proposer: bytes
    kind: str
    head: int


class Withdrawal(NamedTuple):
    """A block by which a device takes back a proposal of its own.

    Attributes:
        device: Its author; it stands in log 0.
        seq: Its place there.
        proposal: Id of the proposal.
    """

    device: bytes
    seq: int
    proposal: bytes


class Pair(NamedTuple):
    """A record that two persons signed."""

    proposal: Proposal
    agreement: Agreement


def pair_up(
    proposals: Iterable[Proposal],
    agreements: Iterable[Agreement],
    withdrawals: Iterable[Withdrawal] = (),
) -> list[Pair]:
    """Join proposals and agreements, by id of proposal and person.

    An agreement is void if the proposal had been withdrawn at or below the head it had seen.
    Of several agreements of one person's devices the one with the smallest id is taken, so the
    result does not depend on any order.
    """
    asked = {proposal.id: proposal for proposal in proposals}
    withdrawn: dict[tuple[bytes, bytes], int] = {}
    for back in withdrawals:
        key = (back.device, back.proposal)
        withdrawn[key] = min(back.seq, withdrawn.get(key, back.seq))
    pairs: dict[tuple[bytes, bytes], Pair] = {}
    for agreement in sorted(agreements, reverse=True):
        proposal = asked.get(agreement.proposal)
        if proposal is None or not _fits(proposal, agreement):
            continue
        if withdrawn.get((proposal.device, proposal.id), agreement.head + 1) > agreement.head:
            pairs[proposal.id, agreement.person] = Pair(proposal, agreement)
    return [pairs[key] for key in sorted(pairs)]


def _fits(proposal: Proposal, agreement: Agreement) -> bool:
    return (
        proposal.asked in (NOBODY, agreement.person)
        and agreement.person != proposal.person
        and agreement.proposer == proposal.person
        and agreement.kind == proposal.kind
        and agreement.head >= proposal.seq
    )
