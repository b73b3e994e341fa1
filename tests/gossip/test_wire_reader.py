"""DATA is read by its known shape, for speed: it must agree with the general reader, always."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.number import MAX_MESSAGE_BYTES
from gossip.wire import MAX_HOPS, Data, RawRun, decode_message, encode_message
from ledger.block import MAX_BODY_BYTES, MAX_HEADER_BYTES
from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError
from ledger.keys import SIGNATURE_BYTES
from tests.gossip.test_wire import datas
from tests.strategies import items, written

if TYPE_CHECKING:
    from ledger.run import RawBlock

HEADS = [bytes([major << 5 | 24, 0]) for major in range(8)]
"""A length spelled longer than need be, of each major type."""
sizes = st.sampled_from([0, 1, 23, 24, 63, 64, 65, 255, 256, 257])
parts: st.SearchStrategy[Value] = st.one_of(
    st.integers(-1, MAX_HOPS + 1), sizes.map(bytes), st.none(), st.just("text"), st.just([])
)
"""What may stand where hops, header, signature or body are expected."""


def slowly(raw: bytes) -> Data | None:
    """Read DATA with the general reader and the rules of the specification."""
    try:
        match decode(raw, MAX_MESSAGE_BYTES):
            case [6, [_, *_] as runs]:
                found = [_run(run) for run in runs]
            case _:
                return None
    except InvalidError:
        return None
    kept = [run for run in found if run is not None]
    return Data(kept) if len(kept) == len(found) else None


def _run(value: Value) -> RawRun | None:
    match value:
        case [int(hops), _, _, _, *_] if 0 <= hops <= MAX_HOPS and len(value) % 3 == 1:
            blocks = [_block(value[at : at + 3]) for at in range(1, len(value), 3)]
            kept = [block for block in blocks if block is not None]
            return RawRun(kept, hops) if len(kept) == len(blocks) else None
        case _:
            return None


def _block(parts: list[Value]) -> RawBlock | None:
    match parts:
        case [bytes(header), bytes(signature), bytes() | None as body] if (
            len(header) <= MAX_HEADER_BYTES
            and len(signature) in (0, SIGNATURE_BYTES)
            and len(body or b"") <= MAX_BODY_BYTES
        ):
            return header, signature, body
        case _:
            return None


def quickly(raw: bytes) -> Data | None:
    try:
        message = decode_message(raw)
    except InvalidError:
        return None
    return message if isinstance(message, Data) else None


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """DATA in which a few bytes were changed, put in, or taken out."""
    raw = bytearray(encode_message(draw(datas)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        new = draw(st.binary(max_size=2) | st.sampled_from(HEADS))
        raw[at : at + draw(st.integers(0, 2))] = new
    return bytes(raw)


@given(raw=spoilt())
def test_both_readers_take_and_refuse_the_same_spoilt_bytes(raw: bytes) -> None:
    assert quickly(raw) == slowly(raw)


@given(runs=st.lists(st.lists(parts, max_size=8), max_size=3))
@example(runs=[[0, b"", b"", None]])
@example(runs=[[24, b"", b"", None, b"", b"", b""]])
def test_both_readers_take_and_refuse_the_same_values(runs: list[list[Value]]) -> None:
    raw = encode([6, runs])
    assert quickly(raw) == slowly(raw)


@given(raw=st.binary(max_size=60))
def test_both_readers_take_and_refuse_the_same_noise(raw: bytes) -> None:
    assert quickly(b"\x82\x06" + raw) == slowly(b"\x82\x06" + raw)


@pytest.mark.parametrize("size", range(26))
@pytest.mark.parametrize("part", ["header", "body"])
def test_a_length_is_spelled_in_one_way(size: int, part: str) -> None:
    spelled = b"\x58" + bytes([size]) + bytes(size)
    block = spelled + b"\x40\xf6" if part == "header" else b"\x40\x40" + spelled
    raw = b"\x82\x06\x81\x84\x00" + block
    assert quickly(raw) == slowly(raw)
    assert (quickly(raw) is None) == (size < 24)


def test_both_readers_agree_on_every_flipped_bit_of_real_blocks() -> None:
    # given three real blocks, short enough to try all of them
    raw = encode_message(Data([RawRun(items(written(3)[1:]), 2)]))
    for bit in range(len(raw) * 8):
        spoiled = bytearray(raw)
        spoiled[bit // 8] ^= 1 << bit % 8
        assert quickly(bytes(spoiled)) == slowly(bytes(spoiled)), bit
