"""Records: opened once, in order on a stream, in a window as datagrams; nothing else holds."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.noise import NoiseError, seal
from transports.records import (
    COUNTER_BYTES,
    DATA,
    DATAGRAM_OVERHEAD_BYTES,
    FIRST,
    HEAD_BYTES,
    KIND,
    MAX_COUNTER,
    MAX_FRAME_BYTES,
    MAX_RECORD_BYTES,
    PING,
    PROBED,
    RECORD,
    SECOND,
    STREAM_OVERHEAD_BYTES,
    WINDOW,
    DatagramIn,
    DatagramOut,
    StreamRecords,
    Window,
    session_of,
)

KEY, OTHER = bytes(32), bytes([1]) * 32
SESSION = b"sess"


def ends() -> tuple[StreamRecords, StreamRecords]:
    return StreamRecords(KEY, OTHER), StreamRecords(OTHER, KEY)


def datagrams() -> tuple[DatagramOut, DatagramIn]:
    return DatagramOut(KEY, SESSION), DatagramIn(KEY)


# --- on a stream ----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, PROBED), st.binary(max_size=200)), max_size=20))
def test_what_is_sealed_in_order_opens_in_order(says: list[tuple[int, bytes]]) -> None:
    one, other = ends()
    for kind, content in says:
        record = one.seal(kind, content)
        assert len(record) == len(content) + STREAM_OVERHEAD_BYTES
        assert other.open(record) == bytes([kind]) + content


def test_the_longest_frame_makes_a_record_that_is_taken() -> None:
    one, other = ends()
    record = one.seal(DATA, bytes(MAX_FRAME_BYTES))
    assert len(record) <= MAX_RECORD_BYTES
    assert other.open(record) == bytes(1 + MAX_FRAME_BYTES)


@given(st.integers(0, 116), st.integers(0, 7))
def test_no_bit_of_a_record_can_be_changed(at: int, bit: int) -> None:
    one, other = ends()
    record = bytearray(one.seal(DATA, bytes(100)))
    record[at] ^= 1 << bit
    with pytest.raises(NoiseError):
        other.open(bytes(record))
    record[at] ^= 1 << bit
    assert other.open(bytes(record)) == bytes(101)


def test_a_record_out_of_order_is_refused_and_the_last_one_once_more_is_overlooked() -> None:
    one, other = ends()
    first, second, third = (one.seal(DATA, bytes([n])) for n in range(3))
    with pytest.raises(NoiseError):
        other.open(second)
    assert other.open(first) == b"\0\0"
    assert other.open(first) is None
    assert other.open(second) == b"\0\1"
    with pytest.raises(NoiseError):
        other.open(first)
    assert other.open(third) == b"\0\2"


def test_a_record_of_ones_own_is_refused() -> None:
    one, _ = ends()
    with pytest.raises(NoiseError):
        one.open(one.seal(DATA, b"mine"))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 65_536])
def test_a_record_of_a_wrong_size_is_refused(size: int) -> None:
    _, other = ends()
    other.open(StreamRecords(KEY, OTHER).seal(DATA, b"x"))
    with pytest.raises(NoiseError):
        other.open(bytes(size))


def test_a_record_without_a_kind_is_refused() -> None:
    with pytest.raises(NoiseError, match="16 bytes"):
        ends()[1].open(seal(KEY, 0, b""))
    head = bytes([RECORD]) + SESSION + bytes(COUNTER_BYTES)
    with pytest.raises(NoiseError, match="27 bytes"):
        datagrams()[1].open(head + seal(KEY, 0, b"", head))


def test_a_new_key_begins_its_numbers_anew() -> None:
    one, other = ends()
    other.open(one.seal(DATA, b"old"))
    one.turn_sending(bytes([7]) * 32)
    record = one.seal(DATA, b"new")
    with pytest.raises(NoiseError):
        other.open(record)
    other.turn_receiving(bytes([7]) * 32)
    assert other.open(record) == b"\0new"
    assert record == seal(bytes([7]) * 32, 0, b"\0new")


# --- datagrams ------------------------------------------------------------------------------------


def test_a_datagram_is_kind_session_counter_and_what_is_sealed() -> None:
    out, opener = datagrams()
    out.sent = 0x010203040506
    datagram = out.seal(PING, b"12345678")
    head = b"\x72sess\1\2\3\4\5\6"
    assert datagram == head + seal(KEY, 0x010203040506, b"\x0112345678", head)
    assert len(datagram) == 8 + DATAGRAM_OVERHEAD_BYTES
    assert opener.open(datagram) == (b"\x0112345678", True)


def test_no_datagram_can_be_taken_for_one_of_a_dht_or_of_stun() -> None:
    for first in (FIRST, SECOND, RECORD):
        assert first != ord("d")
        assert not 0 <= first <= 3  # STUN
        assert not 16 <= first <= 79  # ZRTP, DTLS, TURN
        assert first < 128  # RTP


def test_for_which_session_a_datagram_is_can_be_told_without_a_key() -> None:
    out, _ = datagrams()
    assert session_of(out.seal(DATA, b"x")) == SESSION
    assert session_of(bytes([SECOND]) + SESSION + bytes(52)) == SESSION
    for strange in (b"", b"d1:", bytes([RECORD]) + b"ses", bytes([FIRST]) + SESSION + bytes(251)):
        assert session_of(strange) is None


@given(st.integers(0, 40), st.integers(0, 7))
def test_no_bit_of_a_datagram_can_be_changed_not_even_of_its_head(at: int, bit: int) -> None:
    out, opener = datagrams()
    datagram = bytearray(out.seal(DATA, bytes(13)))
    assert len(datagram) == 41
    datagram[at] ^= 1 << bit
    with pytest.raises(NoiseError):
        opener.open(bytes(datagram))
    datagram[at] ^= 1 << bit
    assert opener.open(bytes(datagram)) == (bytes(14), True)


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(0, 3))
def test_each_datagram_opens_once_in_whatever_order_they_come(order: list[int], scale: int) -> None:
    out, opener = datagrams()
    step = (1, 40, WINDOW // 2, 2 * WINDOW)[scale]
    sealed = {}
    for number in sorted(set(order)):
        out.sent = number * step
        sealed[number] = out.seal(DATA, number.to_bytes(2, "big"))
    newest, opened = -1, set()
    for number in order:
        fits = number not in opened and (newest - number) * step < WINDOW
        if fits:
            said, is_newest = opener.open(sealed[number])
            assert said == b"\0" + number.to_bytes(2, "big")
            assert is_newest == (number > newest)
            opened.add(number)
            newest = max(newest, number)
            assert opener.newest == newest * step
        else:
            with pytest.raises(NoiseError, match="before"):
                opener.open(sealed[number])


def test_what_is_not_genuine_moves_no_window() -> None:
    out, opener = datagrams()
    first = out.seal(DATA, b"x")
    far = first[:5] + MAX_COUNTER.to_bytes(COUNTER_BYTES, "big") + first[HEAD_BYTES:]
    with pytest.raises(NoiseError):
        opener.open(far)
    assert opener.newest == -1
    assert opener.open(first) == (b"\0x", True)


def test_the_window_holds_as_many_as_it_says_and_no_more_memory_than_that() -> None:
    window = Window()
    dice = Random(3)
    for _ in range(500):
        window.note(window.newest + dice.randrange(1, 3 * WINDOW))
        assert window.seen.bit_length() <= WINDOW
    newest = window.newest
    assert not window.is_new(newest)
    assert window.is_new(newest + 1)
    assert not window.is_new(newest - WINDOW)
    fresh = Window()
    fresh.note(WINDOW)
    assert fresh.is_new(1)
    assert not fresh.is_new(0)


def test_a_key_is_not_used_more_often_than_there_are_numbers() -> None:
    out, _ = datagrams()
    out.sent = MAX_COUNTER
    assert out.seal(DATA, b"last")
    with pytest.raises(NoiseError, match="often"):
        out.seal(DATA, b"one more")


@given(st.binary(max_size=200))
def test_any_bytes_are_opened_or_refused_with_the_one_error(data: bytes) -> None:
    for opener in (ends()[1], datagrams()[1]):
        with pytest.raises(NoiseError):
            opener.open(data)
    assert KIND[PING] == b"\1"
