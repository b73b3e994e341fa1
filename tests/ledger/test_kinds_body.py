from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_BODY_BYTES, MAX_LOG, MAX_SEQ
from ledger.codec import encode
from ledger.errors import MeaninglessError
from ledger.kinds.body import (
    MAX_TIME,
    Reference,
    SealedError,
    open_body,
    peek_time,
    read_open,
    read_reference,
)

if TYPE_CHECKING:
    from ledger.codec import Value

SALT = bytes(range(16))
KEY = bytes(32)

values = st.recursive(
    st.none()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)
times = st.integers(0, MAX_TIME)


@given(salt=st.binary(min_size=16, max_size=16), time=times, fields=st.lists(values, max_size=5))
def test_what_is_written_is_read(salt: bytes, time: int, fields: list[Value]) -> None:
    try:
        body = open_body(salt, time, *fields)
    except MeaninglessError:
        assert _depth(fields) > 8  # nothing else is wrong with these fields
        return
    assert body[:16] == salt
    assert read_open(body) == (time, fields)
    assert peek_time(body) == time


def _depth(value: Value) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(body=st.binary(max_size=80))
def test_no_bytes_raise_anything_but_meaningless(body: bytes) -> None:
    try:
        time, _ = read_open(body)
    except MeaninglessError:
        peek_time(body)
    else:
        assert peek_time(body) == time


@given(tail=st.binary(max_size=40))
def test_noise_after_a_salt_raises_nothing_but_meaningless(tail: bytes) -> None:
    try:
        time, _ = read_open(SALT + b"\x83\x00" + tail)
    except MeaninglessError:
        return
    assert peek_time(SALT + b"\x83\x00" + tail) == time


@pytest.mark.parametrize("time", [-1, MAX_TIME + 1, 1 << 63, 1 << 70, 1.5, True, None])
def test_a_time_that_is_no_moment_is_refused(time: object) -> None:
    with pytest.raises(MeaninglessError):
        open_body(SALT, time)  # type: ignore[arg-type]
    body = SALT + encode((0, time))
    with pytest.raises(MeaninglessError):
        read_open(body)
    assert peek_time(body) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        encode(None),
        encode(0),
        encode([]),
        encode([0]),
        encode(["0", 1]),
        encode([2, 1]),
        encode([-1, 1]),
        b"\x82\x00\x18\x01",  # 1 in two bytes
        b"\x82\x18\x00\x01",
        b"\x9f\x00\x01\xff",  # an array of indefinite length
        b"\x98\x02\x00\x01",
        encode([0, 1]) + b"\x00",
        encode([0, 1, 1.5]),
        encode([0, 1, True]),
        encode([0, 1, 1 << 64]),
        b"\x83\x00\x01\x61\xff",  # text that is not UTF-8
    ],
)
def test_a_body_has_one_shape_and_one_spelling(content: bytes) -> None:
    with pytest.raises(MeaninglessError):
        read_open(SALT + content)


def test_a_body_shorter_than_its_salt_means_nothing() -> None:
    for size in range(17):
        with pytest.raises(MeaninglessError):
            read_open(bytes(size))
        assert peek_time(bytes(size)) is None


def test_a_time_is_not_looked_for_behind_the_end() -> None:
    assert peek_time(SALT + encode([0]) + encode(7)) is None


def test_a_body_may_fill_its_room_and_no_more() -> None:
    overhead = len(open_body(SALT, 1, bytes(1_000))) - 1_000
    full = open_body(SALT, 1, bytes(MAX_BODY_BYTES - overhead))
    assert len(full) == MAX_BODY_BYTES
    assert read_open(full)[0] == 1
    with pytest.raises(MeaninglessError, match="shorten"):
        open_body(SALT, 1, bytes(MAX_BODY_BYTES - overhead + 1))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(MeaninglessError, match="salt"):
        open_body(bytes(size), 1)


def test_half_a_character_is_refused_with_advice() -> None:
    with pytest.raises(MeaninglessError, match="half a character; type it again"):
        open_body(SALT, 1, ["deep", "\ud800"])


def test_a_sealed_body_says_that_it_is_sealed() -> None:
    sealed = SALT + encode([1, bytes(16), b"ciphertext"])
    with pytest.raises(SealedError, match="sealed"):
        read_open(sealed)
    assert peek_time(sealed) is None


@pytest.mark.parametrize(
    "content", [[1, bytes(15), b"c"], [1, bytes(16)], [1, bytes(16), "c"], [1, bytes(16), b"", 0]]
)
def test_what_only_looks_sealed_is_not(content: Value) -> None:
    with pytest.raises(MeaninglessError) as caught:
        read_open(SALT + encode(content))
    assert not isinstance(caught.value, SealedError)


def test_a_reference_is_read_as_it_was_written() -> None:
    for log, seq in ((0, 1), (MAX_LOG, MAX_SEQ)):
        reference = Reference(KEY, log, seq, bytes(range(32)))
        _, [value] = read_open(open_body(SALT, 1, reference))
        assert read_reference(value) == reference


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        [KEY, 0, 1],
        [KEY, 0, 1, KEY, 0],
        [KEY[1:], 0, 1, KEY],
        [KEY, -1, 1, KEY],
        [KEY, MAX_LOG + 1, 1, KEY],
        [KEY, 0, 0, KEY],
        [KEY, 0, MAX_SEQ + 1, KEY],
        [KEY, 0, 1, KEY + b"\0"],
        ["k" * 32, 0, 1, KEY],
        [KEY, b"", 1, KEY],
        [KEY, 0, None, KEY],
        [KEY, 0, 1, "i" * 32],
    ],
)
def test_a_reference_that_no_block_has_is_refused(value: Value) -> None:
    with pytest.raises(MeaninglessError):
        read_reference(value)
