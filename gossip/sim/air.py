"""How bytes travel, and what of them was of use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.store.base import MailWhat, What

if TYPE_CHECKING:
    from ledger.store.base import Absorbed, Batch

FRAME_BYTES: Final = 4
"""What a transport adds to a frame: its length."""


@dataclass(frozen=True, slots=True)
class Air:
    """How bytes travel.

    Attributes:
        setup: Seconds from coming into range to the first frame.
        rate: Bytes a second in each direction; None: any number takes no time.
        latency: Seconds from the end of sending a frame to its being received.
        radio: Whether a node has one radio, whose links share ``rate``, for both directions.
    """

    setup: float = 5.0
    rate: float | None = None
    latency: float = 0.0
    radio: bool = False


@dataclass(slots=True)
class Tally:
    """What went over links.

    Attributes:
        links: How many there were.
        air: Bytes of frames that were begun to be sent, ``FRAME_BYTES`` each included.
        frames: How many frames that is.
        useful: Bytes of headers, signatures, bodies and envelopes that were new to their receiver.
        blocks: Blocks received.
        new: Blocks received that were new.
        envelopes: Received whole.
    """

    links: int = 0
    air: int = 0
    frames: int = 0
    useful: int = 0
    blocks: int = 0
    new: int = 0
    envelopes: int = 0


def useful_bytes(batch: Batch, absorbed: Absorbed) -> int:
    """Return the bytes of headers, signatures, bodies and envelopes in ``batch`` that were new."""
    mail = sum(len(row.content) for row in absorbed.mail if row.what is MailWhat.CARRIED)
    return mail + _useful_blocks(batch, absorbed)


def _useful_blocks(batch: Batch, absorbed: Absorbed) -> int:
    if not absorbed.arrivals:
        return 0
    came = {
        (run.author, run.log, block.header.seq): block for run in batch.runs for block in run.blocks
    }
    late = {(body.author, body.log, body.seq): len(body.body) for body in batch.bodies}
    total = 0
    for arrival in absorbed.arrivals:
        for seq in range(arrival.low, arrival.high + 1):
            key = (arrival.author, arrival.log, seq)
            if arrival.what is What.BLOCKS and (block := came.get(key)) is not None:
                total += len(block.raw) + len(block.signature) + len(block.body or b"")
            elif arrival.what is What.BODIES:
                total += late.get(key, 0)
    return total
