"""Messages about mail: each comes back as it was, is spelled as is specified, or is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import MIN_FRAME_BYTES
from gossip.envelope import (
    MAX_COPIES,
    MAX_ENVELOPE_BYTES,
    MAX_HOPS,
    MAX_LIFE_MIN,
    Parcel,
    Piece,
    Receipt,
)
from gossip.number import MAX_MESSAGE_BYTES
from gossip.postal import (
    CLASSES,
    MAX_OFFERED,
    MAX_ROWS,
    Envelopes,
    Leave,
    Notice,
    Offers,
    Pieces,
    Post,
    Take,
    Tokens,
    Why,
    encode_postal,
)
from gossip.serving import ENVELOPES_TOGETHER, TOKENS_TOGETHER
from gossip.wire import decode_message, encode_message
from ledger.codec import decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from ledger.codec import Value

TAG, TOKEN, NAME = b"t" * 16, b"o" * 16, b"token"
ROW = b"tag+lock+id+" + b"\x27\x60"
HIGHEST = (1 << 53) - 1

serials = st.integers(1, HIGHEST)
covered = st.just((0, 0)) | st.tuples(serials, serials).map(lambda pair: (min(pair), max(pair)))
row_lists = st.lists(st.binary(min_size=14, max_size=14), max_size=5)
indices = st.lists(st.integers(0, MAX_OFFERED - 1), min_size=1, max_size=9, unique=True)
lives = st.integers(1, MAX_LIFE_MIN)
parcels = st.builds(
    Parcel,
    st.binary(max_size=60),
    st.integers(0, MAX_HOPS),
    lives,
    st.integers(0, MAX_COPIES),
)
keys = st.binary(min_size=16, max_size=16)
postal: st.SearchStrategy[Post | Notice] = st.one_of(
    st.builds(
        lambda last, span, *rows: Offers(last, *span, *rows),
        st.booleans(),
        covered,
        row_lists,
        row_lists,
        st.lists(st.binary(min_size=5, max_size=5), max_size=5),
    ),
    st.builds(
        lambda rank, rows, at: Take(rank, rows, {rows[0]: at} if at else {}),
        st.sampled_from(CLASSES),
        indices,
        st.integers(0, MAX_ENVELOPE_BYTES - 1),
    ),
    st.builds(
        lambda row, at, data, more, life: Pieces(
            [Piece(row, at, at + len(data) + more, data, 3, life, 0)]
        ),
        st.integers(0, MAX_OFFERED - 1),
        st.integers(0, 7_000),
        st.binary(min_size=1, max_size=60),
        st.integers(0, 60),
        lives,
    ),
    st.builds(Leave, st.sampled_from(Why), indices),
    st.builds(Envelopes, st.lists(parcels, min_size=1, max_size=4)),
    st.builds(Tokens, st.lists(st.builds(Receipt, keys, keys, lives), min_size=1, max_size=4)),
)


@given(message=postal)
def test_a_message_about_mail_comes_back_as_it_was(message: Post | Notice) -> None:
    assert decode_message(encode_message(message)) == message


@given(message=postal)
def test_a_message_about_mail_has_one_spelling(message: Post | Notice) -> None:
    raw = encode_postal(message)
    assert encode(decode(raw, MAX_MESSAGE_BYTES)) == raw
    with pytest.raises(InvalidError):
        decode_message(raw + b"\0")


@given(message=postal, data=st.data())
def test_a_message_about_mail_cut_anywhere_is_refused(
    message: Post | Notice, data: st.DataObject
) -> None:
    raw = encode_postal(message)
    with pytest.raises(InvalidError):
        decode_message(raw[: data.draw(st.integers(0, len(raw) - 1))])


SPELLED: dict[str, tuple[Post | Notice, bytes]] = {
    "OFFERS": (
        Offers(last=True, low=3, high=9, envelopes=[ROW], singles=[ROW, ROW], receipts=[NAME]),
        b"\x87\x14\x01\x03\x09\x4e" + ROW + b"\x58\x1c" + 2 * ROW + b"\x45" + NAME,
    ),
    "OFFERS to a stranger": (
        Offers(False, 0, 0, [], [], []),  # noqa: FBT003
        b"\x87\x14\x00\x00\x00\x40\x40\x40",
    ),
    "TAKE": (Take(4, [7, 2], {2: 9}), b"\x84\x15\x04\x82\x07\x02\x82\x02\x09"),
    "LEAVE": (Leave(Why.LATER, [1]), b"\x83\x16\x02\x81\x01"),
    "ENVELOPES": (
        Envelopes([Parcel(b"raw", 7, 90, 1)]),
        b"\x82\x0b\x81\x84\x43raw\x07\x18\x5a\x01",
    ),
    "PIECES": (
        Pieces([Piece(3, 24, 99, b"raw", 7, 90, 1)]),
        b"\x82\x17\x81\x87\x03\x18\x18\x18\x63\x43raw\x07\x18\x5a\x01",
    ),
    "TOKENS": (
        Tokens([Receipt(TAG, TOKEN, 5)]),
        b"\x82\x0d\x81\x83\x50" + TAG + b"\x50" + TOKEN + b"\x05",
    ),
}


@pytest.mark.parametrize("what", SPELLED)
def test_a_message_about_mail_is_spelled_as_is_specified(what: str) -> None:
    message, raw = SPELLED[what]
    assert encode_message(message) == raw
    assert decode_message(raw) == message


def offers(**changed: Value) -> list[Value]:
    fields: dict[str, Value] = {
        "last": 1, "low": 1, "high": 9, "envelopes": ROW, "singles": b"", "receipts": b"",
    }  # fmt: skip
    return [20, *(fields | changed).values()]


def envelopes(**changed: Value) -> list[Value]:
    fields: dict[str, Value] = {"raw": b"raw", "hops": 7, "life": 90, "copies": 0}
    return [11, [[*(fields | changed).values()]]]


def pieces(**changed: Value) -> list[Value]:
    fields: dict[str, Value] = {
        "row": 3, "offset": 24, "size": 99, "data": b"raw", "hops": 7, "life": 90, "copies": 1,
    }  # fmt: skip
    return [23, [[*(fields | changed).values()]]]


def tokens(**changed: Value) -> list[Value]:
    fields: dict[str, Value] = {"tag": TAG, "token": TOKEN, "life": 90}
    return [13, [[*(fields | changed).values()]]]


AT_THE_BOUND: dict[str, list[Value]] = {
    "the last serial there is": offers(high=HIGHEST),
    "one serial": offers(low=9, high=9),
    "no row": offers(envelopes=b""),
    "all rows": offers(envelopes=ROW * (MAX_ROWS - 2), singles=ROW, receipts=NAME),
    "the last row of all": [21, 0, [MAX_OFFERED - 1, 0], []],
    "a take of all rows": [21, 6, list(range(MAX_ROWS)), []],
    "a take from the last byte on": [21, 6, [3], [3, MAX_ENVELOPE_BYTES - 1]],
    "the largest piece": pieces(offset=0, size=MAX_ENVELOPE_BYTES, data=bytes(MAX_ENVELOPE_BYTES)),
    "the last piece": pieces(offset=96, size=99, data=b"raw"),
    "a piece of the last row": pieces(row=MAX_OFFERED - 1),
    "the largest envelope": envelopes(raw=bytes(MAX_ENVELOPE_BYTES)),
    "the most hops": envelopes(hops=MAX_HOPS),
    "no hop": envelopes(hops=0),
    "the longest life": envelopes(life=MAX_LIFE_MIN),
    "the shortest life": envelopes(life=1),
    "the most copies": envelopes(copies=MAX_COPIES),
    "a token of the longest life": tokens(life=MAX_LIFE_MIN),
    "a token of the shortest life": tokens(life=1),
}


@pytest.mark.parametrize("what", AT_THE_BOUND)
def test_what_is_at_a_bound_is_read(what: str) -> None:
    raw = encode(AT_THE_BOUND[what])
    message = decode_message(raw)
    assert isinstance(message, Offers | Take | Leave | Envelopes | Pieces | Tokens)
    assert encode_message(message) == raw


BEYOND: dict[str, list[Value]] = {
    "a last that is no bit": offers(last=2),
    "a first serial of 0": offers(low=0),
    "a span turned round": offers(low=10),
    "a last serial of 0": offers(high=0),
    "a serial too many": offers(high=HIGHEST + 1),
    "part of a row": offers(envelopes=ROW[1:]),
    "part of a single": offers(singles=ROW + b"x"),
    "part of a name": offers(receipts=NAME[1:]),
    "a row too many": offers(envelopes=ROW * (MAX_ROWS - 1), singles=ROW, receipts=NAME),
    "rows of text": offers(envelopes="x" * 14),
    "a field more": [*offers(), 0],
    "a field less": offers()[:-1],
    "take of no row": [21, 1, [], []],
    "take of a row twice": [21, 1, [3, 3], []],
    "take of a row that cannot be": [21, 1, [MAX_OFFERED], []],
    "take of a row below 0": [21, 1, [-1], []],
    "take of too many rows": [21, 1, list(range(MAX_ROWS + 1)), []],
    "take of a text": [21, 1, ["1"], []],
    "class 2": [21, 2, [1], []],
    "class 5": [21, 5, [1], []],
    "take from a byte of another row": [21, 1, [1], [2, 9]],
    "take from the first byte": [21, 1, [1], [1, 0]],
    "take from beyond the end": [21, 1, [1], [1, MAX_ENVELOPE_BYTES]],
    "take of half an offset": [21, 1, [1], [1]],
    "take from two bytes of a row": [21, 1, [1], [1, 9, 1, 10]],
    "offsets out of order": [21, 1, [1, 2], [2, 9, 1, 9]],
    "an offset of text": [21, 1, [1], [1, "9"]],
    "take without offsets": [21, 1, [1]],
    "no piece": [23, []],
    "a piece of nothing": pieces(data=b""),
    "a piece beyond the end": pieces(offset=97, size=99, data=b"raw"),
    "a piece of too long an envelope": pieces(size=MAX_ENVELOPE_BYTES + 1),
    "a piece of no row": pieces(row=MAX_OFFERED),
    "a piece from below 0": pieces(offset=-1),
    "a piece with a hop too many": pieces(hops=MAX_HOPS + 1),
    "a piece without life": pieces(life=0),
    "a piece with a copy too many": pieces(copies=MAX_COPIES + 1),
    "leave without a reason": [22, 4, [1]],
    "leave of nothing": [22, 0, []],
    "leave of a row twice": [22, 0, [1, 1]],
    "no envelope": [11, []],
    "an envelope too large": envelopes(raw=bytes(MAX_ENVELOPE_BYTES + 1)),
    "a hop too many": envelopes(hops=MAX_HOPS + 1),
    "hops below 0": envelopes(hops=-1),
    "an envelope without life": envelopes(life=0),
    "an envelope that lives too long": envelopes(life=MAX_LIFE_MIN + 1),
    "a copy too many": envelopes(copies=MAX_COPIES + 1),
    "copies below 0": envelopes(copies=-1),
    "an envelope of text": envelopes(raw="raw"),
    "an envelope with a field more": [11, [[b"raw", 7, 90, 0, 0]]],
    "no token": [13, []],
    "a short tag": tokens(tag=TAG[1:]),
    "a long token": tokens(token=TOKEN + b"o"),
    "a token without life": tokens(life=0),
    "a token that lives too long": tokens(life=MAX_LIFE_MIN + 1),
}


@pytest.mark.parametrize("what", BEYOND)
def test_what_is_beyond_a_bound_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode(BEYOND[what]))


@given(number=st.sampled_from([11, 13, 20, 21, 22, 23]), rest=st.binary(max_size=60))
def test_any_fields_are_read_or_refused(number: int, rest: bytes) -> None:
    raw = bytes([0x80 + 1 + len(rest) % 8]) + encode(number) + rest
    with suppress(InvalidError):
        assert encode_message(decode_message(raw)) == raw  # type: ignore[arg-type]


def test_what_goes_together_fits_the_shortest_frame() -> None:
    longest = Parcel(bytes(MAX_ENVELOPE_BYTES), MAX_HOPS, MAX_LIFE_MIN, MAX_COPIES)
    assert len(encode_postal(Envelopes([longest]))) <= MIN_FRAME_BYTES
    receipt = Receipt(TAG, TOKEN, MAX_LIFE_MIN)
    assert len(encode_postal(Tokens([receipt] * TOKENS_TOGETHER))) <= MIN_FRAME_BYTES
    assert len(encode_postal(Offers(False, 1, HIGHEST, [ROW] * MAX_ROWS))) <= MIN_FRAME_BYTES  # noqa: FBT003
    assert len(encode_postal(Take(6, range(MAX_OFFERED - MAX_ROWS, MAX_OFFERED)))) < 1_000
    assert ENVELOPES_TOGETHER == 4


def test_a_row_costs_14_bytes_and_a_name_5() -> None:
    some: list[tuple[list[bytes], list[bytes]]] = [([], []), ([ROW], []), ([], [NAME])]
    messages = [Offers(True, 1, 9, rows, [], names) for rows, names in some]  # noqa: FBT003
    empty, row, name = (len(encode_postal(message)) for message in messages)
    assert (empty, row - empty, name - empty) == (8, 14, 5)
