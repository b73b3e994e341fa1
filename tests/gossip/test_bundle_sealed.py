"""Sealed bundles as bytes: what their writer signed comes out, or it says why not."""

from __future__ import annotations

from dataclasses import replace

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
from gossip.bundle_header import (
    MAX_ENTRIES,
    MAX_ROW_BYTES,
    End,
    Row,
    SealedHeader,
    read_end,
    read_header,
    read_row,
)
from gossip.bundle_sealed import SealedWriter
from gossip.cursor import Seen
from gossip.frontier import FrontierEntry
from gossip.number import MAX_MESSAGE_BYTES
from gossip.sealing import Sealer
from ledger.codec import Value, context, encode
from ledger.errors import InvalidError
from ledger.keys import SigningKey, sha256
from tests.gossip.control_strategies import ranges, seens
from tests.gossip.held import frames
from tests.strategies import device_keys, material

WRITER, READER, OTHER = (device_keys(number) for number in (1, 2, 3))
RUN, BOUND = material("run", 8), material("bound", 32)
SEEN = Seen(RUN, ((1, 9), (11, 12)))
ROW = Row(((RUN, 9), (material("later", 8), 12)), ((3, 4), (6, 12)), (RUN, 7), 3, SEEN)
ENTRY = FrontierEntry(material("author", 32), 1, 3, (material("id", 32),))
HEADER = SealedHeader(WRITER.public, material("export", 8), 5, 1, (), (ENTRY,))
MESSAGES = [encode([16, n, bytes([n]) * n]) for n in (1, 2, 30)]


def writer(seed: str = "seed", header: SealedHeader = HEADER) -> SealedWriter:
    sealer = Sealer([READER.sealing_public, OTHER.sealing_public], material(seed, 32))
    rows = sealer.rows([(READER.sealing_public, ROW.encode())])
    return SealedWriter(sealer, WRITER.signing, replace(header, rows=rows))


def sealed(*, is_last: bool = True, header: SealedHeader = HEADER) -> bytes:
    one = writer(header=header)
    return b"".join([one.begin(), *map(one.message, MESSAGES), one.end(7, 2, is_last=is_last)])


def read(raw: bytes, piece: int = 1 << 20) -> tuple[list[bytes], BundleReader]:
    reader = BundleReader(READER)
    found = [one for at in range(0, len(raw), piece) for one in reader.feed(raw[at : at + piece])]
    reader.close()
    return found, reader


WHOLE = sealed()
FRAMES = frames(WHOLE)
ENDS = [len(MAGIC) + sum(map(len, FRAMES[: n + 1])) for n in range(len(FRAMES))]


# --- agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_whole_bundle_gives_its_messages_and_all_that_its_writer_says(piece: int) -> None:
    found, reader = read(WHOLE, piece)
    assert found == MESSAGES
    assert reader.header is not None
    assert reader.unsealed is not None
    assert reader.header == replace(HEADER, rows=reader.header.rows)
    row = reader.unsealed.row(reader.header.rows)
    assert row is not None
    assert read_row(row) == ROW
    assert reader.end == End(4, 7, 2, is_last=True)
    assert (reader.trailer, reader.damage) == (Trailer(4, 7, 2), None)
    assert (reader.is_locked, reader.purpose, reader.frames) == (False, 1, 4)


@pytest.mark.parametrize("is_last", [True, False])
def test_the_end_says_whether_it_is_the_last_part(is_last: bool) -> None:  # noqa: FBT001
    _, reader = read(sealed(is_last=is_last))
    assert reader.end is not None
    assert reader.end.is_last is is_last


def test_the_largest_message_travels_and_a_larger_or_empty_one_is_not_written() -> None:
    one, largest = writer(), b"\x19" * MAX_MESSAGE_BYTES
    found, _ = read(one.begin() + one.message(largest) + one.end(0))
    assert found == [largest]
    for payload in (b"", largest + b"0"):
        with pytest.raises(ValueError, match="payload"):
            writer().message(payload)


def test_header_and_end_are_signed_as_the_specification_says() -> None:
    raw = HEADER.encode()
    assert raw == encode([*HEADER_FIELDS])
    text = b"passalong/bundle/1" + BOUND + raw
    assert HEADER.sign(WRITER.signing, BOUND) == raw + WRITER.signing.sign(text)
    text = b"passalong/bundle/end/1" + BOUND + encode([15, 1, 2, 3, 1])
    end = End(1, 2, 3, is_last=True).sign(WRITER.signing, BOUND)
    assert end == encode([15, 1, 2, 3, 1, WRITER.signing.sign(text)])


HEADER_FIELDS: list[Value] = [WRITER.public, HEADER.export, 5, 1, [], [ENTRY.encode()]]
ROW_FIELDS: list[Value] = [
    [RUN, 9, material("later", 8), 12],
    [3, 4, 6, 12],
    [RUN, 7],
    3,
    [RUN, [1, 9, 11, 12]],
]


def test_a_row_is_encoded_as_the_specification_says() -> None:
    assert ROW.encode() == encode(ROW_FIELDS)
    assert Row((), (), None, 0, None).encode() == encode([[], [], None, 0, None])


@given(
    lasts=st.sets(st.integers(1, 1 << 50), max_size=64),
    covers=st.one_of(st.just(()), ranges()),
    base=st.one_of(st.none(), st.tuples(st.just(RUN), st.integers(1, 1 << 50))),
    heard=st.integers(0, (1 << 53) - 1),
    seen=st.one_of(st.none(), seens),
)
def test_rows_are_read_as_they_were_written(
    lasts: set[int],
    covers: tuple[tuple[int, int], ...],
    base: tuple[bytes, int] | None,
    heard: int,
    seen: Seen | None,
) -> None:
    runs = tuple((material(str(last), 8), last) for last in sorted(lasts))
    row = Row(runs, covers, base, heard, seen)
    assert read_row(row.encode()) == row


def test_later_versions_may_say_more() -> None:
    assert read_row(encode([*ROW_FIELDS, b"more"])) == ROW
    raw = encode([*HEADER_FIELDS, b"more"])
    chunk = raw + WRITER.signing.sign(b"passalong/bundle/1" + BOUND + raw)
    assert read_header(chunk, BOUND) == HEADER


# --- for others ---------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [None, device_keys(9)])
def test_whoever_has_no_slot_sees_frames_and_nothing_in_them(keys: object) -> None:
    reader = BundleReader(keys)  # type: ignore[arg-type]
    assert list(reader.feed(WHOLE)) == []
    reader.close()
    assert reader.is_locked
    assert reader.start is not None
    assert (reader.start.slot_count, reader.trailer, reader.header) == (8, None, None)
    assert (reader.damage, reader.frames) == (None, len(FRAMES) - 1)


def test_whoever_has_no_slot_sees_damage_too() -> None:
    for raw in (WHOLE[:-1], WHOLE[:-30] + b"x" + WHOLE[-29:]):
        reader = BundleReader()
        assert list(reader.feed(raw)) == []
        reader.close()
        assert reader.damage is not None


# --- damage and other readers -------------------------------------------------------------------


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_of_a_bundle_with_a_changed_byte_only_what_is_before_it_is_taken(at: int) -> None:
    spoiled = bytearray(WHOLE)
    spoiled[at] ^= 0x10
    # even where somebody mends the checksums, which are no secret
    for raw in (bytes(spoiled), mended(bytes(spoiled))):
        try:
            found, reader = read(raw)
        except NotABundleError:
            assert at < ENDS[1]
            continue
        if reader.is_locked:
            assert at < ENDS[0]
            continue
        if raw == WHOLE:
            continue
        assert reader.trailer is None or reader.damage is not None
        assert found == MESSAGES[: sum(end <= at for end in ENDS[2:-1])]


def mended(raw: bytes) -> bytes:
    """Return a file with checksums that fit whatever is in it."""
    digest, out = sha256(context("bundle") + raw[:8]), raw[:8]
    for frame in frames(raw):
        digest = sha256(digest + frame[FRAME_HEAD_BYTES:])
        out += frame[:4] + digest[:8] + frame[FRAME_HEAD_BYTES:]
    return out


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 3))
def test_a_bundle_that_is_cut_has_no_end(cut: int) -> None:
    try:
        found, reader = read(WHOLE[:cut])
    except NotABundleError:
        assert cut < ENDS[0]
        return
    assert (reader.end, reader.damage) == (None, "the bundle is cut short")
    assert found == MESSAGES[: sum(end <= cut for end in ENDS[2:-1])]


def forged(messages: list[bytes], *, key: SigningKey | None = None) -> bytes:
    """Return what another reader makes of a bundle: he knows the file key, not the writer's."""
    sealer = Sealer([READER.sealing_public, OTHER.sealing_public], material("seed", 32))
    stream, start = sealer.stream(), sealer.start.encode()
    rows = sealer.rows([(READER.sealing_public, ROW.encode())])
    true = replace(HEADER, rows=rows).sign(WRITER.signing, sha256(start))
    digest, out = sha256(context("bundle") + MAGIC), MAGIC

    def frame(payload: bytes) -> None:
        nonlocal digest, out
        digest = sha256(digest + payload)
        out += len(payload).to_bytes(4, "big") + digest[:8] + payload

    frame(start)
    for raw in (true, *messages):
        frame(stream.push(raw))
    end = End(len(messages) + 1, 7, 2, is_last=True).sign(key or OTHER.signing, digest)
    frame(stream.push(end, final=True))
    return out


def test_another_reader_can_neither_leave_out_nor_add_anything() -> None:
    assert forged(MESSAGES, key=WRITER.signing) == WHOLE
    for messages in ([], MESSAGES[:2], [*MESSAGES, MESSAGES[0]], MESSAGES[::-1], MESSAGES):
        _, reader = read(forged(messages))
        assert reader.end is None
        assert reader.trailer is None
        assert reader.damage == "the bundle's end is damaged"
    # nor put the true end behind something else
    _, reader = read(mended(WHOLE[: ENDS[1]] + b"".join(FRAMES[3:])))
    assert reader.damage is not None


def test_the_header_of_another_file_of_the_same_writer_is_refused() -> None:
    with pytest.raises(InvalidError, match="did not sign"):
        read_header(HEADER.sign(WRITER.signing, bytes(32)), BOUND)


def test_a_header_of_another_file_is_refused() -> None:
    sealer = Sealer([READER.sealing_public], material("another", 32))
    stream, start = sealer.stream(), sealer.start.encode()
    for chunk in (
        HEADER.sign(WRITER.signing, sha256(writer()._start)),
        HEADER.sign(OTHER.signing, sha256(start)),
        HEADER.encode(),
        b"",
        bytes(64),
        MESSAGES[2],
    ):
        raw = MAGIC
        digest = sha256(context("bundle") + MAGIC)
        for payload in (start, stream.push(chunk)):
            digest = sha256(digest + payload)
            raw += len(payload).to_bytes(4, "big") + digest[:8] + payload
        with pytest.raises(NotABundleError, match="cannot be trusted") as refusal:
            read(raw)
        assert len(str(refusal.value).splitlines()) == 1
        stream = sealer.stream()


def test_an_end_before_the_header_is_damage() -> None:
    sealer = Sealer([READER.sealing_public], material("another", 32))
    start, raw = sealer.start.encode(), MAGIC
    end = End(0, 0, 0, is_last=True).sign(WRITER.signing, bytes(32))
    digest = sha256(context("bundle") + MAGIC)
    for payload in (start, sealer.stream().push(end, final=True)):
        digest = sha256(digest + payload)
        raw += len(payload).to_bytes(4, "big") + digest[:8] + payload
    found, reader = read(raw)
    assert (found, reader.end, reader.damage) == ([], None, "the bundle's end is damaged")


def test_an_end_that_counts_wrong_is_damage_though_it_is_signed() -> None:
    one = writer()
    start = one.begin() + one.message(MESSAGES[0])
    one._frames += 1
    found, reader = read(start + one.end(0))
    assert (found, reader.end, reader.trailer) == (MESSAGES[:1], None, None)
    assert reader.damage == "the bundle's end is damaged"


def test_bytes_after_the_end_are_damage() -> None:
    for more in (b"\0", FRAMES[1], WHOLE):
        found, reader = read(WHOLE + more)
        assert found == MESSAGES
        assert reader.damage == "there are bytes after the bundle's end"


# --- hostile headers ----------------------------------------------------------------------------

RANGES_33 = [n for k in range(33) for n in (3 * k + 1, 3 * k + 1)]


def changed(fields: list[Value], at: int, value: Value) -> list[Value]:
    return [*fields[:at], value, *fields[at + 1 :]]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        HEADER_FIELDS[:5],
        changed(HEADER_FIELDS, 0, WRITER.public[:31]),
        changed(HEADER_FIELDS, 1, b"7 bytes"),
        changed(HEADER_FIELDS, 2, 0),
        changed(HEADER_FIELDS, 2, 1 << 53),
        changed(HEADER_FIELDS, 2, -1),
        changed(HEADER_FIELDS, 3, 0),
        changed(HEADER_FIELDS, 3, 10_000),
        changed(HEADER_FIELDS, 4, [b"row"] * 65),
        changed(HEADER_FIELDS, 4, [bytes(MAX_ROW_BYTES + 1)]),
        changed(HEADER_FIELDS, 4, ["row"]),
        changed(HEADER_FIELDS, 4, None),
        changed(HEADER_FIELDS, 5, [b""] * (MAX_ENTRIES + 1)),
        changed(HEADER_FIELDS, 5, [b"no entry"]),
        changed(HEADER_FIELDS, 5, [[]]),
        changed(HEADER_FIELDS, 5, None),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused_though_it_is_signed(fields: list[Value]) -> None:
    raw = encode(fields)
    chunk = raw + WRITER.signing.sign(b"passalong/bundle/1" + BOUND + raw)
    with pytest.raises(InvalidError):
        read_header(chunk, BOUND)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ROW_FIELDS[:4],
        changed(ROW_FIELDS, 0, [RUN]),
        changed(ROW_FIELDS, 0, [RUN, 9, RUN, 9]),
        changed(ROW_FIELDS, 0, [RUN, 9, RUN, 8]),
        changed(ROW_FIELDS, 0, [RUN, 0]),
        changed(ROW_FIELDS, 0, [RUN, 1 << 53]),
        changed(ROW_FIELDS, 0, [RUN[:7], 1]),
        changed(ROW_FIELDS, 0, [v for n in range(1, 66) for v in (RUN, n)]),
        changed(ROW_FIELDS, 1, [1]),
        changed(ROW_FIELDS, 1, [2, 1]),
        changed(ROW_FIELDS, 1, [0, 1]),
        changed(ROW_FIELDS, 1, [1, 1 << 53]),
        changed(ROW_FIELDS, 1, [1, 2, 3, 4]),
        changed(ROW_FIELDS, 1, [*RANGES_33]),
        changed(ROW_FIELDS, 1, None),
        changed(ROW_FIELDS, 2, []),
        changed(ROW_FIELDS, 2, [RUN]),
        changed(ROW_FIELDS, 2, [RUN, 0]),
        changed(ROW_FIELDS, 3, -1),
        changed(ROW_FIELDS, 3, 1 << 53),
        changed(ROW_FIELDS, 3, None),
        changed(ROW_FIELDS, 4, [RUN, []]),
        changed(ROW_FIELDS, 4, [RUN[:7], [1, 2]]),
        changed(ROW_FIELDS, 4, 7),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(fields: list[Value]) -> None:
    with pytest.raises(InvalidError):
        read_row(encode(fields))


@pytest.mark.parametrize(
    "fields",
    [[15, 1, 2, 3], [15, 1, 2, 3, 2], [15, 1, 2, -1, 1], [15, 1 << 53, 2, 3, 1], [14, 1, 2, 3, 1]],
)
def test_an_end_that_breaks_a_rule_is_refused_though_it_is_signed(fields: list[Value]) -> None:
    text = b"passalong/bundle/end/1" + BOUND + encode(fields)
    with pytest.raises(InvalidError):
        read_end(encode([*fields, WRITER.signing.sign(text)]), WRITER.public, BOUND)


@given(st.binary(max_size=200))
def test_noise_is_refused_with_the_one_error(noise: bytes) -> None:
    for reading in (
        lambda: read_header(noise, BOUND),
        lambda: read_row(noise),
        lambda: read_end(noise, WRITER.public, BOUND),
    ):
        with pytest.raises(InvalidError):
            reading()
