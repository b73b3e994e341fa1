"""A run: consecutive blocks of one log that vouch for one another.

A receiver verifies the signature of the run's last block, of every seq divisible by 64 and of
every half-block; the hash chain vouches for the rest. A signature that was not verified is not
kept: it is replaced by an empty one, so that nobody is ever shown it as evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.block import (
    BLOCK_CONTEXT,
    MAX_SEQ,
    Block,
    Header,
    block_id,
    check_body,
    decode_header,
    decode_tail,
    log_prefix,
    prefix_after,
)
from ledger.errors import InvalidError
from ledger.keys import SIGNATURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIGNED_EVERY: Final = 64
RawBlock: TypeAlias = "tuple[bytes, bytes, bytes | None]"
"""Header, signature (64 bytes or none) and body as they travel; nothing checked."""
Verify: TypeAlias = "Callable[[bytes, bytes, bytes], bool]"
"""``keys.verify`` or something that counts or remembers: (public key, message, signature)."""


@dataclass(frozen=True, slots=True)
class Run:
    """At least one block, each linked to the one before, the last with a verified signature.

    Attributes:
        blocks: In order of seq.
        hops: How many devices passed it on, as they claim; for display only.
    """

    blocks: tuple[Block, ...]
    hops: int = 0

    @property
    def author(self) -> bytes:
        """The device that wrote the log."""
        return self.blocks[0].header.author

    @property
    def log(self) -> int:
        """Which of the author's logs."""
        return self.blocks[0].header.log

    @property
    def low(self) -> int:
        """The first seq."""
        return self.blocks[0].header.seq

    @property
    def high(self) -> int:
        """The last seq."""
        return self.blocks[-1].header.seq

    @property
    def previous(self) -> bytes:
        """What the first block follows."""
        return self.blocks[0].header.previous

    @property
    def tip(self) -> bytes:
        """Id of the last block."""
        return self.blocks[-1].id

    def id_at(self, seq: int) -> bytes:
        """Return the id of the block at ``seq``, ``low`` <= ``seq`` <= ``high``."""
        return self.blocks[seq - self.low].id


def must_be_signed(header: Header, *, is_last: bool) -> bool:
    """Say whether a run with this header is worth nothing without its signature."""
    return is_last or header.seq % SIGNED_EVERY == 0 or header.counterparty is not None


def link_headers(raws: Sequence[bytes], first: Header | None = None) -> list[tuple[Header, bytes]]:
    """Read consecutive headers of one log; return each with its id.

    Args:
        raws: The headers' bytes.
        first: The first of them, if it was read before.

    Raises:
        InvalidError: One is invalid, or does not follow the one before.
    """
    header = first or decode_header(raws[0])
    linked = [(header, block_id(raws[0]))]
    author, log, seq, previous = header.author, header.log, header.seq, linked[0][1]
    if seq + len(raws) - 1 > MAX_SEQ:
        raise InvalidError(f"a log ends at seq {MAX_SEQ}")
    if len(raws) == 1:
        return linked
    start = log_prefix(author, log)
    for raw in raws[1:]:
        seq += 1
        prefix = prefix_after(start, seq, previous)
        if not raw.startswith(prefix):
            raise InvalidError(f"the header after seq {seq - 1} does not follow it")
        header = decode_tail(raw, len(prefix), author, log, seq, previous)
        previous = block_id(raw)
        linked.append((header, previous))
    return linked


def verify_run(
    items: Sequence[RawBlock], verify: Verify, hops: int = 0, first: Header | None = None
) -> Run:
    """Check a run as it came from a stranger.

    Args:
        items: Header, signature and body of each block, at least one.
        verify: Checks one Ed25519 signature.
        hops: Claimed by the sender.
        first: The first header, if it was read before.

    Raises:
        InvalidError: A header, link, body or mandatory signature is wrong or missing. The whole
            run is refused; no other exception leaves this function.
    """
    if not items:
        raise InvalidError("a run without blocks")
    blocks: list[Block] = []
    linked = link_headers([raw for raw, _, _ in items], first)
    last = len(items) - 1
    for index, ((header, ident), (raw, signature, body)) in enumerate(
        zip(linked, items, strict=True)
    ):
        if len(signature) not in (0, SIGNATURE_BYTES):
            raise InvalidError(f"a signature of {len(signature)} bytes")
        if body is not None:
            check_body(header, body)
        kept = b""
        if must_be_signed(header, is_last=index == last):
            if not verify(header.author, BLOCK_CONTEXT + raw, signature):
                raise InvalidError(f"the signature at seq {header.seq} is missing or wrong")
            kept = signature
        blocks.append(Block(header, raw, ident, kept, body))
    return Run(tuple(blocks), hops)
