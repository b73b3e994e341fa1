"""Bad media: every whole frame before the damage counts, and nothing is believed before it came."""

from __future__ import annotations

import tracemalloc
from itertools import chain, count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.bundle import FRAME_HEAD_BYTES, MAGIC, BundleReader, NotABundleError
from gossip.bundle_open import BundleWriter
from gossip.number import MAX_MESSAGE_BYTES
from ledger.codec import encode
from tests.gossip.held import bundle, frames
from tests.gossip.test_bundle import HEADER, MESSAGES, WHOLE, framed, read

FRAMES = frames(WHOLE)
START = len(MAGIC) + len(FRAMES[0])
"""Where the first frame after the header begins."""
ENDS = [START + sum(map(len, FRAMES[1:n])) for n in range(1, len(FRAMES) + 1)]
"""Where the header ends, then each message, then the trailer."""


def whole_before(at: int) -> list[bytes]:
    """Return the messages whose frames end at or before ``at``."""
    return [raw for raw, end in zip(MESSAGES, ENDS[1:], strict=False) if end <= at]


@pytest.mark.parametrize("cut", range(START, len(WHOLE)))
def test_cut_at_any_byte_all_whole_frames_before_it_count(cut: int) -> None:
    found, reader = read(WHOLE[:cut])
    assert found == whole_before(cut)
    assert (reader.trailer, reader.damage) == (None, "the bundle is cut short")


@pytest.mark.parametrize("at", range(START, len(WHOLE)))
@pytest.mark.parametrize("bit", [0, 7])
def test_with_any_byte_changed_all_frames_before_it_count(at: int, bit: int) -> None:
    spoiled = bytearray(WHOLE)
    spoiled[at] ^= 1 << bit
    found, reader = read(bytes(spoiled))
    assert found == whole_before(at)
    assert reader.trailer is None
    assert reader.damage in ("the bundle is cut short", f"frame {len(found) + 1} is damaged")


@given(order=st.lists(st.integers(1, len(FRAMES) - 1), max_size=8))
def test_frames_out_of_place_count_up_to_the_first_that_is(order: list[int]) -> None:
    # given the frames between header and end in another order, some left out, some twice
    found, reader = read(MAGIC + FRAMES[0] + b"".join(FRAMES[n] for n in order))
    # then what comes out is what stands where it stood
    right = next((n for n, (a, b) in enumerate(zip(order, count(1))) if a != b), len(order))
    assert found == MESSAGES[:right]
    if order == [1, 2, 3, 4]:
        assert reader.damage is None
    elif right == len(FRAMES) - 1:
        assert reader.damage == "there are bytes after the bundle's end"
    elif right == len(order):
        assert reader.damage == "the bundle is cut short"
    else:
        assert reader.damage == f"frame {right + 1} is damaged"


def test_a_frame_of_another_bundle_has_no_place_in_this_one() -> None:
    other = frames(bundle([encode([16, b"other"]), *MESSAGES[1:]], blocks=7))
    found, reader = read(MAGIC + FRAMES[0] + FRAMES[1] + b"".join(other[2:]))
    assert (found, reader.damage) == (MESSAGES[:1], "frame 2 is damaged")


def test_damage_ends_the_reading_whatever_follows() -> None:
    spoiled = bytearray(WHOLE)
    spoiled[ENDS[1] + FRAME_HEAD_BYTES] ^= 1
    reader = BundleReader()
    found = list(reader.feed(bytes(spoiled)))
    assert reader.ended
    assert found == MESSAGES[:1]
    assert list(reader.feed(WHOLE)) == []
    assert list(reader.feed(b"".join(FRAMES[2:]))) == []


# --- sizes are not believed ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, MAX_MESSAGE_BYTES + 1, 1 << 31, (1 << 32) - 1])
def test_a_size_out_of_range_is_damage_at_once(size: int) -> None:
    reader = BundleReader()
    head = size.to_bytes(4, "big") + bytes(FRAME_HEAD_BYTES - 4)
    assert list(reader.feed(WHOLE[: ENDS[1]] + head)) == MESSAGES[:1]
    assert reader.damage == "frame 2 is damaged"


@pytest.mark.parametrize("size", [0, MAX_MESSAGE_BYTES + 1, (1 << 32) - 1])
def test_a_header_with_a_size_out_of_range_makes_it_no_bundle(size: int) -> None:
    with pytest.raises(NotABundleError):
        list(BundleReader().feed(MAGIC + size.to_bytes(4, "big") + bytes(FRAME_HEAD_BYTES - 4)))


@pytest.mark.parametrize("size", [1, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1, (1 << 32) - 1])
def test_a_size_takes_no_memory_before_the_bytes_are_there(size: int) -> None:
    tracemalloc.start()
    try:
        reader = BundleReader()
        list(reader.feed(framed(HEADER) + size.to_bytes(4, "big") + bytes(8)))
        reader.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000


def test_a_reader_holds_one_frame_and_what_it_was_fed_last() -> None:
    # given a bundle of 20 MB
    payload, writer = encode([16, bytes(60_000)]), BundleWriter()
    pieces = chain([writer.begin()], (writer.message(payload) for _ in range(330)))
    # when it is read
    tracemalloc.start()
    try:
        reader = BundleReader()
        taken = sum(1 for piece in pieces for _ in reader.feed(piece))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # then never more than a few frames were in memory
    assert taken == 330
    assert peak < 500_000


def test_bytes_fed_after_the_damage_are_not_kept() -> None:
    reader = BundleReader()
    list(reader.feed(framed(HEADER) + bytes(FRAME_HEAD_BYTES)))
    assert reader.ended
    tracemalloc.start()
    try:
        for _ in range(50):
            list(reader.feed(bytes(1 << 16)))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 200_000


@given(noise=st.binary(max_size=300), keep=st.integers(0, len(WHOLE)))
def test_noise_after_any_beginning_is_damage_or_no_bundle_and_nothing_else(
    noise: bytes, keep: int
) -> None:
    try:
        found, reader = read(WHOLE[:keep] + noise)
    except NotABundleError:
        assert keep < START
    else:
        assert found == MESSAGES[: len(found)]
        assert len(found) >= len(whole_before(keep))
        is_whole = (WHOLE[:keep] + noise) == WHOLE
        assert (reader.damage is None) == is_whole
