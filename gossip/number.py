"""The numbers of messages. They are never used again for something else."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

MAX_MESSAGE_BYTES: Final = 65_000


class Number(IntEnum):
    """What a message is (docs/protocol.md, messages)."""

    HELLO = 0
    NEW = 1
    ROOT = 2
    BUCKETS = 3
    VECTOR = 4
    WANT = 5
    DATA = 6
    CREDIT = 7
    BODIES = 8
    STATEMENTS = 9
    PROOFS = 10
    ENVELOPES = 11
    ACK = 12
    TOKENS = 13
    ANNOUNCE = 14
    TRAILER = 15
    ENTRIES = 16
    IDS = 17
    DONE = 18
    BYE = 19
    OFFERS = 20
    TAKE = 21
    LEAVE = 22
    PIECES = 23
