"""Fork proofs: a device said two things at one place of one log.

A proof is two vouched headers of one author and log: either two with the same seq s and
different ids, or one at s and one at s + 1 that does not follow it. It carries all that is needed
to check it, and the verdict is the smallest proven s, so the order of arrival does not matter
(docs/protocol.md, forks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ledger.block import BLOCK_CONTEXT, Block, Header, block_id
from ledger.codec import decode, encode
from ledger.errors import InvalidError
from ledger.run import SIGNED_EVERY, Verify, link_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PROOF_BYTES: Final = 40_000
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, order=True)
class Vouched:
    """A header and the linked headers after it, up to one whose signature is given.

    Attributes:
        headers: 1 to 64 headers' bytes.
        signature: Of the last header.
    """

    headers: tuple[bytes, ...]
    signature: bytes

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Self:
        """Take the first of ``blocks`` and what follows, up to the first signature.

        Raises:
            InvalidError: None of the first 64 is signed; held blocks always are.
        """
        for count, block in enumerate(blocks[:SIGNED_EVERY], 1):
            if block.signature:
                return cls(tuple(b.raw for b in blocks[:count]), block.signature)
        raise InvalidError("no signature within 64 blocks")

    @property
    def id(self) -> bytes:
        """Id of the first header."""
        return block_id(self.headers[0])


@dataclass(frozen=True, slots=True)
class ForkProof:
    """A checked proof.

    Attributes:
        author: The device that forked its log.
        log: Which log.
        seq: s, the proven fork.
        one: Vouches for the header at s; of two at s, the one with the smaller id.
        other: Vouches for another header at s, or for one at s + 1 that does not follow ``one``.
        ids: The two ids at s, the smaller first.
    """

    author: bytes
    log: int
    seq: int
    one: Vouched
    other: Vouched
    ids: tuple[bytes, bytes]

    @classmethod
    def of(cls, left: Vouched, right: Vouched) -> Self:
        """Join two vouched headers; signatures are the caller's to have verified.

        Raises:
            InvalidError: They do not contradict each other.
        """
        (mine, my_id), (theirs, their_id) = _first(left), _first(right)
        if mine.seq > theirs.seq:
            return cls.of(right, left)
        if (mine.author, mine.log) != (theirs.author, theirs.log):
            raise InvalidError("a fork proof about two logs")
        if mine.seq == theirs.seq and my_id != their_id:
            one, other = (left, right) if my_id < their_id else (right, left)
            ids = (one.id, other.id)
        elif mine.seq + 1 == theirs.seq and theirs.previous != my_id:
            one, other = left, right
            ids = (min(my_id, theirs.previous), max(my_id, theirs.previous))
        else:
            raise InvalidError("two headers that do not contradict each other")
        return cls(mine.author, mine.log, mine.seq, one, other, ids)

    def encode(self) -> bytes:
        """Return the proof's bytes, at most ``MAX_PROOF_BYTES``."""
        one, other = self.one, self.other
        return encode((_VERSION, one.headers, one.signature, other.headers, other.signature))

    def outweighs(self, other: Self) -> bool:
        """Say which of two proofs about one log is kept: the same one whatever came first."""
        return self._rank() < other._rank()

    def _rank(self) -> tuple[int, int, bytes]:
        raw = self.encode()
        return self.seq, len(raw), raw


def decode_proof(raw: bytes, verify: Verify) -> ForkProof:
    """Read and check a fork proof.

    Raises:
        InvalidError: Not a proof: malformed, not signed, or nothing contradicts. No other
            exception leaves this function.
    """
    match decode(raw, MAX_PROOF_BYTES):
        case [int(version), list(ones), bytes(signature), list(others), bytes(counter)] if (
            version == _VERSION
        ):
            left = _vouched(ones, signature, verify)
            right = _vouched(others, counter, verify)
        case _:
            raise InvalidError("not a fork proof of version 1")
    proof = ForkProof.of(left, right)
    if (proof.one, proof.other) != (left, right):
        raise InvalidError("a fork proof in the second order")
    return proof


def _vouched(headers: Sequence[object], signature: bytes, verify: Verify) -> Vouched:
    raws = tuple(raw for raw in headers if isinstance(raw, bytes))
    if not 1 <= len(raws) <= SIGNED_EVERY or len(raws) != len(headers):
        raise InvalidError(f"a proof holds 1 to {SIGNED_EVERY} headers on each side")
    author = link_headers(raws)[0][0].author
    if not verify(author, BLOCK_CONTEXT + raws[-1], signature):
        raise InvalidError("a fork proof that is not signed")
    return Vouched(raws, signature)


def _first(vouched: Vouched) -> tuple[Header, bytes]:
    return link_headers(vouched.headers[:1])[0]
