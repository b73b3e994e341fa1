"""The bundle's bytes: whatever way they arrive, the same messages come out, or it says why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.bundle import (
    FRAME_HEAD_BYTES,
    MAGIC,
    BundleReader,
    NotABundleError,
    Trailer,
)
from gossip.bundle_open import BundleWriter
from gossip.number import MAX_MESSAGE_BYTES
from ledger.codec import context, encode
from ledger.keys import sha256
from tests.gossip.held import bundle, frames

MESSAGES = [encode([16, n, b"x" * n]) for n in (1, 2, 3)]
WHOLE = bundle(MESSAGES, blocks=7)
messages = st.lists(st.binary(min_size=1, max_size=40).map(lambda b: encode([16, b])), max_size=8)


def read(*pieces: bytes) -> tuple[list[bytes], BundleReader]:
    """Feed all pieces, as a careless owner does who does not stop at the end."""
    reader = BundleReader()
    found = [raw for piece in pieces for raw in reader.feed(piece)]
    reader.close()
    return found, reader


def framed(*payloads: bytes) -> bytes:
    """Return a file of any payloads, its frames sealed as the specification says."""
    digest, raw = sha256(context("bundle") + MAGIC), MAGIC
    for payload in payloads:
        digest = sha256(digest + payload)
        raw += len(payload).to_bytes(4, "big") + digest[:8] + payload
    return raw


HEADER, TRAILER = encode([1, 0]), encode([15, 1, 0, 0])


# --- agreement ----------------------------------------------------------------------------------


def test_a_whole_bundle_gives_its_messages_and_what_its_writer_counted() -> None:
    found, reader = read(WHOLE)
    assert found == MESSAGES
    assert (reader.trailer, reader.damage) == (Trailer(3, 7, 0), None)
    assert (reader.purpose, reader.frames) == (0, 3)


def test_a_bundle_of_nothing_is_a_bundle() -> None:
    found, reader = read(bundle([]))
    assert (found, reader.trailer, reader.damage) == ([], Trailer(0, 0, 0), None)


def test_the_writer_frames_as_the_specification_says() -> None:
    assert framed(HEADER, *MESSAGES, encode([15, 3, 7, 0])) == WHOLE


@given(sent=messages, data=st.data())
def test_pieces_of_any_size_give_the_same(sent: list[bytes], data: st.DataObject) -> None:
    raw = bundle(sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))))
    found, reader = read(*(raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)))
    assert found == sent
    assert reader.trailer is not None
    assert reader.damage is None


def test_byte_by_byte_each_message_comes_with_its_last_byte() -> None:
    reader, at = BundleReader(), [0]
    for frame in frames(WHOLE):
        at.append(at[-1] + len(frame))
    came = [
        (index + 1 - len(MAGIC), raw)
        for index in range(len(WHOLE))
        for raw in reader.feed(WHOLE[index : index + 1])
    ]
    assert came == list(zip(at[2:5], MESSAGES, strict=True))


def test_the_largest_message_travels_and_a_larger_or_empty_one_is_not_written() -> None:
    largest = bytes([0x19, 0, 16]) + bytes(MAX_MESSAGE_BYTES - 3)
    assert read(bundle([largest]))[0] == [largest]
    for payload in (b"", largest + b"0"):
        with pytest.raises(ValueError, match="payload"):
            BundleWriter().message(payload)


def test_a_header_may_say_more_than_this_version_reads() -> None:
    found, reader = read(framed(encode([1, 0, [b"more"]]), MESSAGES[0], TRAILER))
    assert (found, reader.damage) == ([MESSAGES[0]], None)


# --- refusal: before the header is whole --------------------------------------------------------


@pytest.mark.parametrize("cut", range(len(framed(HEADER))))
def test_a_file_that_ends_before_its_header_is_not_a_bundle(cut: int) -> None:
    with pytest.raises(NotABundleError, match="ends before its header"):
        read(WHOLE[:cut])


@pytest.mark.parametrize("at", range(len(framed(HEADER))))
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_in_magic_or_header_makes_it_no_bundle(at: int, bit: int) -> None:
    spoiled = bytearray(WHOLE)
    spoiled[at] ^= 1 << bit
    with pytest.raises(NotABundleError, match="not a bundle"):
        read(bytes(spoiled))


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"\x00" * 64, "does not begin like one"),
        (b"Dear all,", "does not begin like one"),
        (b"x", "does not begin like one"),
        (MAGIC.replace(b"\r\n", b"\n") + framed(HEADER)[8:], "does not begin like one"),
        (framed(encode([2, 0])), "newer version; update passalong"),
        (framed(encode([1 << 40, 7, 7])), "newer version; update passalong"),
        (framed(encode([1, 1])), "a key, slots and a stream"),
        (framed(encode([1, 2])), "newer version; update passalong"),
        (framed(encode([1])), "its header means nothing"),
        (framed(encode([0, 0])), "its header means nothing"),
        (framed(encode([1, -1])), "its header means nothing"),
        (framed(encode([b"1", 0])), "its header means nothing"),
        (framed(encode(1)), "its header means nothing"),
        (framed(b"\x82\x01\x18\x00"), "its header means nothing"),
        (framed(b"\xff"), "its header means nothing"),
    ],
)
def test_a_file_whose_beginning_is_another_is_refused_at_once(start: bytes, why: str) -> None:
    with pytest.raises(NotABundleError, match=why):
        list(BundleReader().feed(start))


def test_every_refusal_is_one_line() -> None:
    for raw in (b"", b"hello", framed(encode([2, 0])), framed(encode([1, 1])), framed(b"\xff")):
        with pytest.raises(NotABundleError) as refusal:
            read(raw)
        assert len(str(refusal.value).splitlines()) == 1


# --- the trailer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trailer",
    [
        [15, 2, 0, 0],
        [15, 0, 0, 0],
        [15, 1, -1, 0],
        [15, 1, 0, -1],
        [15, 1, 1 << 53, 0],
        [15, 1, 0, 1 << 53],
        [15, b"1", 0, 0],
        [15, 1, 0, None],
    ],
)
def test_a_trailer_that_breaks_a_rule_is_damage(trailer: list[object]) -> None:
    found, reader = read(framed(HEADER, MESSAGES[0], encode(trailer)))
    assert found == [MESSAGES[0]]
    assert (reader.trailer, reader.damage) == (None, "the bundle's end is damaged")


def test_the_largest_counts_are_read() -> None:
    most = (1 << 53) - 1
    _, reader = read(framed(HEADER, MESSAGES[0], encode([15, 1, most, most])))
    assert reader.trailer == Trailer(1, most, most)


@pytest.mark.parametrize("more", [b"\0", WHOLE, frames(WHOLE)[1], bytes(1 << 17)])
def test_bytes_after_the_end_are_noticed_and_what_came_before_counts(more: bytes) -> None:
    for pieces in ([WHOLE + more], [WHOLE, more], [WHOLE[:-1], WHOLE[-1:] + more]):
        found, reader = read(*pieces)
        assert found == MESSAGES
        assert reader.trailer == Trailer(3, 7, 0)
        assert reader.damage == "there are bytes after the bundle's end"


def test_a_frame_has_its_size_and_checksum_ahead() -> None:
    assert [len(frame) for frame in frames(WHOLE)[1:4]] == [
        FRAME_HEAD_BYTES + len(raw) for raw in MESSAGES
    ]
