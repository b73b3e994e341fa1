"""Bodies of two-party records, and blocks of log 0 read as ``ledger.pairs`` wants them.

    agreement   [0, time, [author, log 0, seq, id] of the proposal, head uint < 2^40, ...]
    withdrawal  [0, time, id of the proposal 32, ...]                      kind ``withdraw``

An agreement is of the proposal's kind; what follows its head is that kind's affair, and so is the
whole body of a proposal. ``head`` is the highest seq of the proposer's log 0 that was seen. All
three stand in log 0; a withdrawal has no counterparty. Not here: whether they weigh
(``ledger.views.weight``) and which of them fit together (``ledger.pairs``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from ledger.block import HASH_BYTES, MAX_SEQ, ZEROS
from ledger.errors import MeaninglessError
from ledger.kinds.body import (
    Reference,
    check_range,
    check_reference,
    check_size,
    check_time,
    open_body,
    read_open,
    read_reference,
)
from ledger.pairs import Agreement, Proposal, Withdrawal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.block import Block, Counterparty
    from ledger.codec import Value

KIND: Final = "withdraw"
PersonOf: TypeAlias = "Callable[[bytes], bytes]"
"""Says whose device a device is, e.g. ``People.person``."""


@dataclass(frozen=True, slots=True)
class AgreementBody:
    """How every agreement's body begins.

    Attributes:
        time: Claimed, ms since 1970.
        proposal: The block agreed to; in log 0.
        head: Highest seq of the proposer's log 0 that was seen; at least the proposal's.
        rest: The fields of the proposal's kind.
    """

    time: int
    proposal: Reference
    head: int
    rest: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_reference(self.proposal)
        check_range(self.proposal.log, 0, 0, "the log of a proposal")
        check_range(self.head, self.proposal.seq, MAX_SEQ, "the head seen")

    def encode(self, salt: bytes) -> bytes:
        """Return the body; ``salt`` is 16 random bytes.

        Raises:
            MeaninglessError: As ``open_body``.
        """
        return open_body(salt, self.time, self.proposal, self.head, *self.rest)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body.

        Raises:
            MeaninglessError: Not an agreement's. No other exception leaves this function.
        """
        time, fields = read_open(body)
        match fields:
            case [proposal, int(head), *rest]:
                return cls(time, read_reference(proposal), head, tuple(rest))
            case _:
                raise MeaninglessError("an agreement says a proposal and the head it saw")


@dataclass(frozen=True, slots=True)
class WithdrawalBody:
    """What a withdrawal says.

    Attributes:
        time: Claimed, ms since 1970.
        proposal: Id of the proposal taken back, 32 bytes.
        rest: Fields of later versions.
    """

    time: int
    proposal: bytes
    rest: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_size(self.proposal, HASH_BYTES, "the proposal's id")

    def encode(self, salt: bytes) -> bytes:
        """Return the body; ``salt`` is 16 random bytes.

        Raises:
            MeaninglessError: As ``open_body``.
        """
        return open_body(salt, self.time, self.proposal, *self.rest)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body.

        Raises:
            MeaninglessError: Not a body of this kind. No other exception leaves this function.
        """
        time, fields = read_open(body)
        match fields:
            case [bytes(proposal), *rest]:
                return cls(time, proposal, tuple(rest))
            case _:
                raise MeaninglessError("a withdrawal says the id of a proposal")


def read_half(block: Block, person_of: PersonOf) -> Proposal | Agreement | Withdrawal | None:
    """Return what ``block`` is of a two-party record; None if nothing."""
    try:
        if block.header.counterparty is None:
            return read_withdrawal(block)
        if block.header.counterparty.proposal == ZEROS:
            return read_proposal(block, person_of)
        return read_agreement(block, person_of)
    except MeaninglessError:
        return None


def read_proposal(block: Block, person_of: PersonOf) -> Proposal:
    """Read a proposal; its body may be missing and is its kind's affair.

    Raises:
        MeaninglessError: ``block`` is no proposal.
    """
    header, other = block.header, _counterparty(block)
    if other.proposal != ZEROS:
        raise MeaninglessError("an agreement, not a proposal")
    person = person_of(header.author)
    return Proposal(block.id, header.author, header.seq, person, other.person, header.kind)


def read_agreement(block: Block, person_of: PersonOf) -> Agreement:
    """Read an agreement.

    Raises:
        MeaninglessError: ``block`` is none, lacks its body, or its body refers to another
            proposal than its header.
    """
    header, other = block.header, _counterparty(block)
    said = AgreementBody.decode(_body(block))
    if said.proposal.id != other.proposal:
        raise MeaninglessError("an agreement whose body and header name different proposals")
    person = person_of(header.author)
    return Agreement(block.id, person, other.proposal, other.person, header.kind, said.head)


def read_withdrawal(block: Block) -> Withdrawal:
    """Read a withdrawal.

    Raises:
        MeaninglessError: ``block`` is none, or lacks its body.
    """
    header = block.header
    if header.kind != KIND or header.log != 0 or header.counterparty is not None:
        raise MeaninglessError("not a withdrawal")
    return Withdrawal(header.author, header.seq, WithdrawalBody.decode(_body(block)).proposal)


def _counterparty(block: Block) -> Counterparty:
    header = block.header
    if header.counterparty is None or header.log != 0 or header.kind == KIND:
        raise MeaninglessError("not a half-block of log 0")
    return header.counterparty


def _body(block: Block) -> bytes:
    if block.body is None:
        raise MeaninglessError("its body is not here")
    return block.body
