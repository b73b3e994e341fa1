"""Messages: what goes in comes out, in one spelling, within every limit, and noise is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.wire import (
    MAX_HOPS,
    Bodies,
    Data,
    Proofs,
    RawRun,
    Statements,
    Unknown,
    decode_message,
    encode_message,
)
from ledger.block import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_LOG, MAX_SEQ
from ledger.codec import decode, encode
from ledger.errors import InvalidError
from ledger.fork import MAX_PROOF_BYTES
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES
from ledger.statement import MAX_STATEMENT_BYTES
from ledger.store.base import LateBody
from tests.strategies import hashes, items, log_numbers, seqs, values, written

if TYPE_CHECKING:
    from ledger.codec import Value

SMALL = st.binary(max_size=80)
signatures = st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES)
raw_blocks = st.tuples(SMALL, st.just(b"") | signatures, st.none() | SMALL)
raw_runs = st.builds(RawRun, st.lists(raw_blocks, min_size=1, max_size=5), st.integers(0, MAX_HOPS))
datas = st.builds(Data, st.lists(raw_runs, min_size=1, max_size=4))
lates = st.builds(LateBody, hashes, log_numbers, seqs, SMALL)
signed = st.tuples(SMALL, signatures)
messages = st.one_of(
    datas,
    st.builds(Bodies, st.lists(lates, min_size=1, max_size=5)),
    st.builds(Statements, st.lists(signed, min_size=1, max_size=5)),
    st.builds(Proofs, st.lists(SMALL, min_size=1, max_size=5)),
)
UNREAD = {Number.TRAILER}
AUTHOR, SIGNATURE = bytes(KEY_BYTES), bytes(SIGNATURE_BYTES)


# --- agreement ----------------------------------------------------------------------------------


@given(message=messages)
def test_a_message_comes_back_as_it_was(message: Data | Bodies | Statements | Proofs) -> None:
    assert decode_message(encode_message(message)) == message


@given(message=messages)
def test_a_message_that_is_read_has_one_spelling(
    message: Data | Bodies | Statements | Proofs,
) -> None:
    raw = encode_message(message)
    assert encode(decode(raw, MAX_MESSAGE_BYTES)) == raw


def test_real_blocks_travel_as_they_are() -> None:
    run = RawRun(items(written(70)), 3)
    assert decode_message(encode_message(Data([run]))) == Data([run])


@pytest.mark.parametrize(
    "number", [*sorted(UNREAD), max(Number) + 1, 99, 255, 256, 1 << 32, (1 << 64) - 1]
)
@pytest.mark.parametrize("fields", [[], [None], [[1, [b"x"]], "text"]])
def test_a_message_of_another_version_is_skipped_by_its_number(
    number: int, fields: list[Value]
) -> None:
    assert decode_message(encode([int(number), *fields])) == Unknown(number)


def test_no_number_means_two_messages() -> None:
    assert len(Number) == len({int(number) for number in Number}) == 24


LARGEST: dict[str, list[Value]] = {
    "hops": [6, [[MAX_HOPS, b"h", b"", None]]],
    "header": [6, [[0, bytes(MAX_HEADER_BYTES), b"", None]]],
    "signature": [6, [[0, b"h", SIGNATURE, None]]],
    "body": [6, [[0, b"h", b"", bytes(MAX_BODY_BYTES)]]],
    "late body": [8, [[AUTHOR, MAX_LOG, MAX_SEQ, bytes(MAX_BODY_BYTES)]]],
    "first place": [8, [[AUTHOR, 0, 1, b""]]],
    "statement": [9, [[bytes(MAX_STATEMENT_BYTES), SIGNATURE]]],
    "proof": [10, [bytes(MAX_PROOF_BYTES)]],
}


@pytest.mark.parametrize("what", LARGEST)
def test_the_largest_of_everything_is_read(what: str) -> None:
    decode_message(encode(LARGEST[what]))


def test_a_message_of_exactly_the_limit_is_read() -> None:
    raw = encode([40, bytes(MAX_MESSAGE_BYTES - 6)])
    assert len(raw) == MAX_MESSAGE_BYTES
    assert decode_message(raw) == Unknown(40)


# --- refusal ------------------------------------------------------------------------------------

RUN: list[Value] = [0, b"h", b"", None]
LATE: list[Value] = [AUTHOR, 1, 1, b""]
REFUSED: dict[str, Value] = {
    "no array": 6,
    "text": "data",
    "null": None,
    "an empty array": [],
    "a negative number": [-1],
    "a number of bytes": [b"\x06", []],
    "DATA alone": [6],
    "DATA without runs": [6, []],
    "DATA of bytes": [6, b"runs"],
    "DATA and more": [6, [RUN], None],
    "a run of nothing": [6, [[]]],
    "a run without blocks": [6, [[0]]],
    "a run of two parts": [6, [[0, b"h", b""]]],
    "a run of four parts": [6, [[0, b"h", b"", None, b"h"]]],
    "a run that is bytes": [6, [b"run"]],
    "hops too many": [6, [[MAX_HOPS + 1, b"h", b"", None]]],
    "hops below zero": [6, [[-1, b"h", b"", None]]],
    "hops of null": [6, [[None, b"h", b"", None]]],
    "a header too long": [6, [[0, bytes(MAX_HEADER_BYTES + 1), b"", None]]],
    "a header of text": [6, [[0, "h", b"", None]]],
    "a header of null": [6, [[0, None, b"", None]]],
    "a signature too long": [6, [[0, b"h", bytes(SIGNATURE_BYTES + 1), None]]],
    "a signature too short": [6, [[0, b"h", SIGNATURE[1:], None]]],
    "a signature of one byte": [6, [[0, b"h", b"s", None]]],
    "a signature of null": [6, [[0, b"h", None, None]]],
    "a signature of text": [6, [[0, b"h", "", None]]],
    "a body too long": [6, [[0, b"h", b"", bytes(MAX_BODY_BYTES + 1)]]],
    "a body of text": [6, [[0, b"h", b"", "body"]]],
    "the second run is wrong": [6, [RUN, [0]]],
    "BODIES alone": [8],
    "BODIES of nothing": [8, []],
    "BODIES and more": [8, [LATE], 1],
    "a late body of null": [8, [[AUTHOR, 1, 1, None]]],
    "a late body of a short author": [8, [[AUTHOR[1:], 1, 1, b""]]],
    "a late body of a log too high": [8, [[AUTHOR, MAX_LOG + 1, 1, b""]]],
    "a late body below log 0": [8, [[AUTHOR, -1, 1, b""]]],
    "a late body at seq 0": [8, [[AUTHOR, 1, 0, b""]]],
    "a late body at a seq too high": [8, [[AUTHOR, 1, MAX_SEQ + 1, b""]]],
    "a late body too long": [8, [[AUTHOR, 1, 1, bytes(MAX_BODY_BYTES + 1)]]],
    "a late body of five parts": [8, [[*LATE, None]]],
    "STATEMENTS of nothing": [9, []],
    "a statement too long": [9, [[bytes(MAX_STATEMENT_BYTES + 1), SIGNATURE]]],
    "a statement without signature": [9, [[b"s", b""]]],
    "a statement with a longer signature": [9, [[b"s", SIGNATURE + b"0"]]],
    "a statement of text": [9, [["s", SIGNATURE]]],
    "a statement alone": [9, [[b"s"]]],
    "PROOFS of nothing": [10, []],
    "a proof too long": [10, [bytes(MAX_PROOF_BYTES + 1)]],
    "a proof of null": [10, [None]],
    "a proof in an array": [10, [[b"proof"]]],
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_message_with_a_wrong_part_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode(REFUSED[what]))


def test_a_message_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(InvalidError, match="65001 bytes; 65000 are allowed"):
        decode_message(encode([40, bytes(MAX_MESSAGE_BYTES - 5)]))


def test_blocks_longer_than_the_limit_are_refused() -> None:
    # given DATA of exactly the limit, which is read
    run: list[Value] = [0, *[b"h", b"", bytes(MAX_BODY_BYTES)] * 3, b"h", b"", bytes(15_819)]
    raw = encode([6, [run]])
    assert len(raw) == MAX_MESSAGE_BYTES
    decode_message(raw)
    # when a byte is added
    run[-1] = bytes(15_820)
    # then it is refused
    with pytest.raises(InvalidError, match="65001 bytes; 65000 are allowed"):
        decode_message(encode([6, [run]]))


@given(message=messages, rest=st.binary(min_size=1, max_size=3))
def test_bytes_after_a_message_are_refused(
    message: Data | Bodies | Statements | Proofs, rest: bytes
) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode_message(message) + rest)


@given(message=messages, data=st.data())
def test_a_message_cut_anywhere_is_refused(
    message: Data | Bodies | Statements | Proofs, data: st.DataObject
) -> None:
    raw = encode_message(message)
    with pytest.raises(InvalidError):
        decode_message(raw[: data.draw(st.integers(0, len(raw) - 1), label="cut")])


@given(noise=st.binary(max_size=200) | values.map(encode))
def test_noise_is_read_or_refused_and_nothing_else(noise: bytes) -> None:
    with suppress(InvalidError):
        decode_message(noise)


@pytest.mark.parametrize("number", [6, 8, 9, 10, 11, 13, 23])
@pytest.mark.parametrize("count", [(1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1])
def test_a_count_is_not_believed(number: int, count: int) -> None:
    size = {1 << 16: 25, 1 << 32: 26, 1 << 64: 27}[count + 1]
    claimed = bytes([0x80 | size]) + count.to_bytes(1 << size - 24, "big")
    with pytest.raises(InvalidError):
        decode_message(bytes([0x82, number]) + claimed)
