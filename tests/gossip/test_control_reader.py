"""Every bound of every field of the messages that steer a meeting: what is beyond it is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MAX_COUNT, MAX_IDS, MAX_MENTIONS, MAX_SCOPES, Mode, Reason
from gossip.control_reader import READ, read_control
from gossip.frontier import FrontierEntry
from gossip.number import Number
from gossip.wire import decode_message
from ledger.block import MAX_LOG, MAX_SEQ
from ledger.codec import encode
from ledger.errors import InvalidError
from tests.strategies import values

if TYPE_CHECKING:
    from ledger.codec import Value

RUN, SHORT, KEY, CHECK, ID = b"storerun", b"shorts!!", b"k" * 32, b"chck", b"id bytes"
IDENT = ID[:4]
SEEN: list[Value] = [RUN, [1, 5]]
ENTRY = FrontierEntry(KEY, 1, 2, (b"i" * 32,)).encode()
ROOT, SCOPE = b"r" * 16, b"s" * 16
LSN, TOP = MAX_COUNT - 1, MAX_SEQ
GOOD: dict[Number, list[Value]] = {
    Number.HELLO: [[1], 0, 24_000, 24_000, None, None],
    Number.NEW: [0, 1, 1, 1, []],
    Number.ROOT: [0, [[b"", ROOT, 0]]],
    Number.BUCKETS: [b"", bytes(1_024)],
    Number.VECTOR: [b"", 0, []],
    Number.WANT: [[[0, 0, Mode.ENTRY.value]]],
    Number.CREDIT: [0],
    Number.ACK: [0, None],
    Number.ANNOUNCE: [b"", 0, 0, []],
    Number.ENTRIES: [[[0, ENTRY, b""]]],
    Number.IDS: [0, 1, 1, b""],
    Number.DONE: [[[0, 0, 0]]],
    Number.BYE: [],
}


def put(number: Number, at: int, *instead: object) -> dict[str, list[object]]:
    """The good message of a number with another item at a place, by what that is."""
    good = GOOD[number]
    return {
        f"{number.name} with {value!r:.50} as item {at + 1}, {crc32(encode(value)):08x}": [
            number.value,
            *good[:at],
            value,
            *good[at + 1 :],
        ]
        for value in instead
    }


NO_COUNT: list[object] = [-1, MAX_COUNT, None, b"\x01", "1", []]
NO_LSN: list[object] = [0, *NO_COUNT]
NO_FLAG: list[object] = [2, -1, None, b"", []]
NO_SCOPE: list[object] = [SCOPE[1:], SCOPE + b"s", "", None, 0]
NO_RUN: list[object] = [RUN[1:], RUN + b"r", "", None, 0]
NO_SEEN: list[object] = [
    0,
    b"",
    [],
    [RUN],
    [RUN, []],
    [RUN[1:], [1, 2]],
    [RUN, [2, 1]],
    encode(SEEN),
]
NO_INDEX: list[object] = [-1, MAX_MENTIONS, None, b"", []]
NO_MENTIONS: list[object] = [
    None,
    b"",
    [0],
    [0, 1],
    [0, 1, b""],
    [0, 1, CHECK[1:]],
    [0, 1, CHECK + b"5"],
    [0, 1, CHECK + b"seven"[:3]],
    [0, 1, CHECK + CHECK + b"9"],
    [0, 1, None],
    [0, 1, "chck"],
    [0, TOP + 1, CHECK],
    [0, -TOP - 2, CHECK],
    [0, None, CHECK],
    [0, b"", CHECK],
    [-1, 1, CHECK],
    [MAX_MENTIONS, 1, CHECK],
    [None, 1, CHECK],
    [b"", 1, CHECK],
    [SHORT[1:], 1, CHECK],
    [SHORT + b"9", 1, CHECK],
    [KEY, 1, CHECK],
    [KEY, 1, 1],
    [KEY[1:], 1, 1, CHECK],
    [KEY + b"3", 1, 1, CHECK],
    [KEY, -1, 1, CHECK],
    [KEY, MAX_LOG + 1, 1, CHECK],
    [KEY, None, 1, CHECK],
    [KEY, 1, TOP + 1, CHECK],
    [0, 1, CHECK, 0],
    [0, 1, CHECK, 1, 1, b""],
    [[0, 1, CHECK]],
]
FROM, BODIES, IDS = Mode.FROM.value, Mode.BODIES.value, Mode.IDS.value
NO_REQUEST: list[object] = [
    None,
    [],
    [0],
    [0, 0],
    [0, 0, len(Mode)],
    [0, 0, -1],
    [0, 0, None],
    [0, -1, 4],
    [0, 7, 4],
    [0, None, 4],
    *([index, 0, 4] for index in NO_INDEX),
    *([0, 0, mode, 0] for mode in (4, 5, 6)),
    *([0, 0, mode] for mode in (0, 1, 2, 3, 7)),
    *([0, 0, mode, 4, 0, b"", 0] for mode in (0, 2)),
    *([0, 0, mode, 4, 0] for mode in (0, 2)),
    *([0, 0, FROM, seq, 0, b""] for seq in (-1, TOP + 1, None, b"")),
    *([0, 0, FROM, 4, until, b""] for until in (-1, 1, 4, TOP + 1, None, b"")),
    *([0, 0, FROM, 4, 0, ident] for ident in (IDENT[1:], IDENT + b"5", ID, KEY, "", None, 0)),
    *([0, 0, 1, count] for count in (0, -1, TOP + 1, None, b"")),
    [0, 0, 1, 1, 1],
    *([0, 0, BODIES, *ends] for ends in ([1], [1, 2, 3], [2, 1], [0, 1], [-1, 1], [1, TOP + 1])),
    *(
        [0, 0, BODIES, *ends]
        for ends in (
            [1, 3, 3, 4],
            [1, 5, 6, 7],
            [2, 2, 3, 3],
            [5, 6, 1, 2],
            [None, 1],
            [b"", 1],
            [[1, 2]],
        )
    ),
    [0, 0, BODIES, *(seq for low in range(1, 34) for seq in (2 * low, 2 * low))],
    *([0, 0, IDS, *three] for three in ([0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, MAX_IDS + 1])),
    *([0, 0, IDS, *three] for three in ([TOP + 1, 1, 1], [1, TOP + 1, 1], [-1, 1, 1], [1, 1])),
    *([0, 0, IDS, *three] for three in ([1, 1, None], [b"", 1, 1], [1, 1, 1, 1])),
]
HELLO_RUNS: list[object] = [
    [RUN, 0, None],
    [b"", 1, None],
    [RUN, LSN + 1, None],
    [RUN, -1, None],
    [RUN[1:], 1, None],
    [RUN + b"r", 1, None],
    ["storerun", 1, None],
    [RUN, None, None],
    [RUN, 1],
    [RUN, 1, None, None],
    *([RUN, 1, seen] for seen in NO_SEEN),
]

REFUSED: dict[str, list[object]] = {
    **put(Number.HELLO, 0, None, 1, b"", [], [0], [-1], [None], [b"1"], [2, 1], [1, 1], [1, "2"]),
    **put(Number.HELLO, 1, -1, None, b"", []),
    **put(Number.HELLO, 2, 23_999, 65_001, 0, -1, None, b""),
    **put(Number.HELLO, 3, 0, 23_999, *NO_COUNT),
    **put(Number.HELLO, 4, *(value for value in NO_COUNT if value is not None)),
    **put(Number.HELLO, 5, 0, b"", [], *HELLO_RUNS),
    **put(Number.NEW, 0, *NO_COUNT),
    **put(Number.NEW, 1, 2, *NO_LSN),
    **put(Number.NEW, 2, *NO_LSN),
    **put(Number.NEW, 3, *NO_FLAG),
    **put(Number.NEW, 4, *NO_MENTIONS),
    **put(Number.ROOT, 0, *NO_FLAG),
    **put(Number.ROOT, 1, None, b"", [], [[]], [b""], [[b"", ROOT]], [[b"", ROOT, 0, 0]]),
    **put(Number.ROOT, 1, *([[scope, ROOT, 0]] for scope in NO_SCOPE)),
    **put(Number.ROOT, 1, *([[b"", root, 0]] for root in (ROOT[1:], ROOT + b"r", b"", None, "r"))),
    **put(Number.ROOT, 1, *([[b"", ROOT, count]] for count in NO_COUNT)),
    **put(Number.ROOT, 1, [[b"", ROOT, 0], [b"", ROOT, 1]]),
    **put(Number.ROOT, 1, [[bytes([n]) * 16, ROOT, 0] for n in range(MAX_SCOPES + 1)]),
    **put(Number.BUCKETS, 0, *NO_SCOPE),
    **put(Number.BUCKETS, 1, b"", bytes(1_023), bytes(1_025), None, [], "b"),
    **put(Number.VECTOR, 0, *NO_SCOPE),
    **put(Number.VECTOR, 1, *NO_FLAG),
    **put(Number.VECTOR, 2, *NO_MENTIONS),
    **put(Number.WANT, 0, None, 0, b"", [], *([request] for request in NO_REQUEST)),
    **put(Number.CREDIT, 0, *NO_COUNT),
    **put(Number.ACK, 0, *NO_COUNT),
    **put(Number.ACK, 1, *NO_SEEN),
    **put(Number.ANNOUNCE, 0, *NO_RUN),
    **put(Number.ANNOUNCE, 1, *NO_LSN[1:], 1),
    **put(Number.ANNOUNCE, 2, *NO_LSN[1:], 1),
    **put(Number.ANNOUNCE, 3, *NO_MENTIONS),
    **put(Number.ENTRIES, 0, None, b"", [], [None], [[]], [[0, ENTRY]], [[0, ENTRY, b"", 0]]),
    **put(Number.ENTRIES, 0, *([[index, ENTRY, b""]] for index in NO_INDEX)),
    **put(Number.ENTRIES, 0, *([[0, entry, b""]] for entry in (b"", ENTRY[1:], bytes(257), None))),
    **put(Number.ENTRIES, 0, *([[0, ENTRY, digest]] for digest in (ID[1:], ID + b"9", None, 0))),
    **put(Number.IDS, 0, *NO_INDEX),
    **put(Number.IDS, 1, 0, -1, TOP + 1, None, b""),
    **put(Number.IDS, 2, 0, -1, TOP + 1, None, b""),
    **put(Number.IDS, 3, ID[1:], ID + b"9", ID * 65, None, 0, ""),
    **put(Number.DONE, 0, None, b"", [], [None], [[]], [[0, 0]], [[0, 0, 0, 0]]),
    **put(Number.DONE, 0, *([[index, 0, 0]] for index in NO_INDEX)),
    **put(Number.DONE, 0, *([[0, mode, 0]] for mode in (-1, len(Mode), None, b""))),
    **put(Number.DONE, 0, *([[0, 0, reason]] for reason in (-1, len(Reason), None, b""))),
}


def test_there_is_a_good_message_of_every_number() -> None:
    assert set(GOOD) == READ


@pytest.mark.parametrize("number", GOOD, ids=lambda number: number.name)
def test_the_message_that_the_refused_ones_differ_from_is_read(number: Number) -> None:
    decode_message(encode([number.value, *GOOD[number]]))


@pytest.mark.parametrize("what", REFUSED)
def test_a_field_beyond_its_bounds_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode(REFUSED[what]))


@pytest.mark.parametrize("number", sorted(READ - {Number.HELLO}), ids=lambda number: number.name)
def test_a_field_too_many_or_too_few_is_refused(number: Number) -> None:
    good = GOOD[number]
    with pytest.raises(InvalidError):
        decode_message(encode([number.value, *good, None]))
    for count in range(len(good)):
        with pytest.raises(InvalidError):
            decode_message(encode([number.value, *good[:count]]))


@pytest.mark.parametrize("count", range(6))
def test_a_hello_that_says_too_little_is_refused(count: int) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode([0, *GOOD[Number.HELLO][:count]]))


def test_lsns_that_are_covered_ascend_or_are_both_0() -> None:
    for low, high in [(0, 1), (1, 0), (2, 1), (1, LSN + 1)]:
        with pytest.raises(InvalidError):
            decode_message(encode([Number.ANNOUNCE.value, b"", low, high, []]))
    for low, high in [(0, 0), (1, 1), (1, LSN)]:
        decode_message(encode([Number.ANNOUNCE.value, b"", low, high, []]))


@given(number=st.sampled_from(sorted(READ)), fields=st.lists(values, max_size=7))
def test_any_fields_are_read_or_refused_and_nothing_else(
    number: Number, fields: list[Value]
) -> None:
    with suppress(InvalidError):
        read_control(number, fields)


@given(data=st.data(), instead=values)
def test_any_value_in_any_place_is_read_or_refused_and_nothing_else(
    data: st.DataObject, instead: Value
) -> None:
    number = data.draw(st.sampled_from([number for number in GOOD if GOOD[number]]))
    at = data.draw(st.integers(0, len(GOOD[number]) - 1))
    (message,) = put(number, at, instead).values()
    with suppress(InvalidError):
        decode_message(encode(message))
