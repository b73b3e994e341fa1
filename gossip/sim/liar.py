"""What hostile nodes make of their frames, each kind in its own way.

A liar runs the real engine, and what it sends is changed on the way out. HELLO stays as it is:
whoever gets that wrong is not listened to at all.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from gossip.control import Mention, Vector
from gossip.number import Number
from gossip.wire import Data, RawRun, decode_message, encode_message

if TYPE_CHECKING:
    from random import Random

    from ledger.run import RawBlock

_DATA: Final = bytes([0x82, Number.DATA])
_ONE_IN: Final = 8
_INVENTED: Final = 64


class Lie(Enum):
    """How a node lies."""

    ALTERS = "flips a bit of every eighth frame"
    FORGES = "signs no block as its author did"
    INVENTS = "tells of logs that nobody writes, without an end"


class Liar:
    """Changes frames.

    Args:
        lie: How.
        dice: Where and when.
    """

    def __init__(self, lie: Lie, dice: Random) -> None:
        self._lie = lie
        self._dice = dice

    def __call__(self, frame: bytes) -> list[bytes]:
        """Return what is sent instead of ``frame``."""
        if frame[1] == Number.HELLO:
            return [frame]
        match self._lie:
            case Lie.ALTERS:
                return [self._altered(frame)]
            case Lie.FORGES:
                return [self._forged(frame) if frame.startswith(_DATA) else frame]
            case Lie.INVENTS:
                return [frame, *self._invented()]

    def _altered(self, frame: bytes) -> bytes:
        if self._dice.randrange(_ONE_IN):
            return frame
        bits = int.from_bytes(frame, "big") ^ (1 << self._dice.randrange(8 * len(frame)))
        return bits.to_bytes(len(frame), "big")

    def _forged(self, frame: bytes) -> bytes:
        message = decode_message(frame)
        if not isinstance(message, Data):
            return frame
        runs = [RawRun([_unsigned(one) for one in run.blocks], run.hops) for run in message.runs]
        return encode_message(Data(runs))

    def _invented(self) -> list[bytes]:
        if self._dice.randrange(_ONE_IN):
            return []
        invented = [
            Mention(
                (self._dice.randbytes(32), 1), 1 + at, plain=False, check=self._dice.randbytes(4)
            )
            for at in range(_INVENTED)
        ]
        return [encode_message(Vector(b"", last=False, mentions=invented))]


def _unsigned(block: RawBlock) -> RawBlock:
    raw, signature, body = block
    return raw, signature[:-1] + bytes([signature[-1] ^ 1]) if signature else b"", body
