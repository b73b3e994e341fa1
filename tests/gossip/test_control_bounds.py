"""The largest and the smallest of every field of the messages that steer a meeting is read."""

from __future__ import annotations

import pytest

from gossip.control import MAX_COUNT, MAX_IDS, MAX_MENTIONS, MAX_SCOPES, Mode, Reason
from gossip.number import Number
from gossip.wire import decode_message
from ledger.block import MAX_LOG, MAX_SEQ
from ledger.codec import encode
from tests.gossip.test_control_reader import (
    CHECK,
    ENTRY,
    ID,
    IDENT,
    KEY,
    ROOT,
    RUN,
    SCOPE,
    SEEN,
    SHORT,
    put,
)

LSN, TOP = MAX_COUNT - 1, MAX_SEQ
FROM, BODIES, IDS = Mode.FROM.value, Mode.BODIES.value, Mode.IDS.value
LARGEST: dict[str, list[object]] = {
    **put(Number.HELLO, 0, [1, 1 << 63, (1 << 64) - 1]),
    **put(Number.HELLO, 1, (1 << 64) - 1),
    **put(Number.HELLO, 2, 24_000, 65_000),
    **put(Number.HELLO, 3, LSN),
    **put(Number.HELLO, 4, 0, LSN),
    **put(Number.HELLO, 5, [RUN, LSN, None], [b"", 0, None], [RUN, 1, SEEN], [b"", 0, SEEN]),
    **put(Number.NEW, 0, LSN),
    **put(Number.NEW, 2, LSN),
    **put(Number.NEW, 3, 0, 1),
    **put(
        Number.NEW, 4, [MAX_MENTIONS - 1, TOP, CHECK], [SHORT, 0, CHECK], [0, -TOP - 1, CHECK * 2]
    ),
    **put(Number.NEW, 4, [KEY, MAX_LOG, -1, CHECK, 0, 0, CHECK, KEY, 0, TOP, CHECK * 2]),
    **put(Number.ROOT, 0, 1),
    **put(Number.ROOT, 1, [[SCOPE, ROOT, LSN]]),
    **put(Number.ROOT, 1, [[bytes([n]) * 16, ROOT, 0] for n in range(MAX_SCOPES)]),
    **put(Number.BUCKETS, 0, SCOPE),
    **put(Number.VECTOR, 0, SCOPE),
    **put(Number.VECTOR, 1, 1),
    **put(
        Number.WANT,
        0,
        [[MAX_MENTIONS - 1, 6, 6]],
        [[0, 0, FROM, 0, 1, IDENT], [0, 0, FROM, TOP, 0, b""], [0, 0, FROM, TOP - 1, TOP, b""]],
        [[0, 0, 1, 1], [0, 0, 1, TOP]],
        [[0, 0, BODIES, 1, 1], [0, 0, BODIES, 1, 2, 4, TOP]],
        [[0, 0, BODIES, *(seq for low in range(1, 33) for seq in (2 * low, 2 * low))]],
        [[0, 0, IDS, 1, 1, 1], [0, 0, IDS, TOP, TOP, MAX_IDS]],
    ),
    **put(Number.CREDIT, 0, LSN),
    **put(Number.ACK, 0, LSN),
    **put(Number.ACK, 1, SEEN),
    **put(Number.ANNOUNCE, 0, RUN),
    **put(Number.ENTRIES, 0, [[MAX_MENTIONS - 1, ENTRY, ID]]),
    **put(Number.IDS, 0, MAX_MENTIONS - 1),
    **put(Number.IDS, 1, TOP),
    **put(Number.IDS, 2, TOP),
    **put(Number.IDS, 3, ID, ID * 64),
    **put(Number.DONE, 0, [[MAX_MENTIONS - 1, len(Mode) - 1, len(Reason) - 1]]),
}


@pytest.mark.parametrize("what", LARGEST)
def test_the_largest_and_the_smallest_of_everything_is_read(what: str) -> None:
    decode_message(encode(LARGEST[what]))
