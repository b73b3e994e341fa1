"""What carriers see of a sealed piece of mail: its spelling, its bounds, its lock."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.envelope import (
    MAX_CIPHERTEXT_BYTES,
    MAX_ENVELOPE_BYTES,
    decode_envelope,
    encode_envelope,
    lock_of,
)
from ledger.codec import context, decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from ledger.codec import Value

TAG, TOKEN, LOCK = b"t" * 16, b"o" * 16, b"l" * 32
tags = st.binary(min_size=16, max_size=16)
ciphertexts = st.binary(min_size=1, max_size=300)


@given(tag=tags, token=tags, ciphertext=ciphertexts)
def test_an_envelope_comes_back_as_it_was(tag: bytes, token: bytes, ciphertext: bytes) -> None:
    raw = encode_envelope(tag, token, ciphertext)
    found = decode_envelope(raw)
    assert (found.tag, found.lock, found.raw) == (tag, lock_of(token), raw)
    assert encode(decode(raw, MAX_ENVELOPE_BYTES)) == raw


def test_an_envelope_is_spelled_as_the_specification_says() -> None:
    raw = encode_envelope(TAG, TOKEN, b"sealed")
    lock = sha256(context("token") + TOKEN).digest()
    assert raw == b"\x84\x01\x50" + TAG + b"\x58\x20" + lock + b"\x46sealed"
    assert decode_envelope(raw).id == sha256(context("envelope") + raw).digest()


@given(left=st.tuples(tags, tags, ciphertexts), right=st.tuples(tags, tags, ciphertexts))
def test_envelopes_that_differ_in_anything_have_different_ids(
    left: tuple[bytes, bytes, bytes], right: tuple[bytes, bytes, bytes]
) -> None:
    one, other = (decode_envelope(encode_envelope(*fields)) for fields in (left, right))
    assert (one.id == other.id) == (left == right)


@given(token=tags, other=tags)
def test_a_lock_is_opened_by_its_token_alone(token: bytes, other: bytes) -> None:
    assert (lock_of(token) == lock_of(other)) == (token == other)
    assert lock_of(token) != sha256(token).digest()


@pytest.mark.parametrize("version", [1, 2, 23])
def test_an_envelope_of_a_later_version_is_carried_like_any_other(version: int) -> None:
    raw = encode([version, TAG, LOCK, b"x"])
    found = decode_envelope(raw)
    assert (found.tag, found.lock, found.raw) == (TAG, LOCK, raw)
    assert found.id == sha256(context("envelope") + raw).digest()


def test_the_largest_envelope_is_as_large_as_is_said() -> None:
    largest = encode_envelope(TAG, TOKEN, bytes(MAX_CIPHERTEXT_BYTES))
    assert decode_envelope(largest).raw == largest
    assert len(largest) <= MAX_ENVELOPE_BYTES


WRONG: dict[str, list[Value]] = {
    "version 0": [0, TAG, LOCK, b"x"],
    "version 24": [24, TAG, LOCK, b"x"],
    "version -1": [-1, TAG, LOCK, b"x"],
    "a short tag": [1, TAG[1:], LOCK, b"x"],
    "a long tag": [1, TAG + b"t", LOCK, b"x"],
    "a short lock": [1, TAG, LOCK[1:], b"x"],
    "a long lock": [1, TAG, LOCK + b"l", b"x"],
    "nothing inside": [1, TAG, LOCK, b""],
    "too much inside": [1, TAG, LOCK, bytes(MAX_CIPHERTEXT_BYTES + 1)],
    "a text for a tag": [1, "t" * 16, LOCK, b"x"],
    "a field less": [1, TAG, LOCK],
    "a field more": [1, TAG, LOCK, b"x", None],
    "null for the version": [None, TAG, LOCK, b"x"],
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_envelope_is_refused(what: str) -> None:
    with pytest.raises(InvalidError):
        decode_envelope(encode(WRONG[what]))


@given(raw=st.binary(max_size=100))
def test_any_bytes_are_an_envelope_or_refused(raw: bytes) -> None:
    with pytest.raises(InvalidError):
        decode_envelope(raw)


@given(ciphertext=ciphertexts, data=st.data())
def test_an_envelope_cut_or_continued_is_refused(ciphertext: bytes, data: st.DataObject) -> None:
    raw = encode_envelope(TAG, TOKEN, ciphertext)
    with pytest.raises(InvalidError):
        decode_envelope(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(InvalidError):
        decode_envelope(raw + b"\0")


def test_a_second_spelling_of_an_envelope_is_refused() -> None:
    raw = encode_envelope(TAG, TOKEN, b"x")
    with pytest.raises(InvalidError):
        decode_envelope(b"\x98\x04" + raw[1:])
    with pytest.raises(InvalidError):
        decode_envelope(raw[:1] + b"\x18\x01" + raw[2:])
