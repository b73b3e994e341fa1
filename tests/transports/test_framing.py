import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.framing import LENGTH_BYTES, LONGEST_FRAME, FramingError, Joiner, cut

frames = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
tears = st.lists(st.integers(0, 600), max_size=20)
kinds = st.sampled_from([bytes, bytearray, memoryview])


def torn(stream: bytes, tears: list[int]) -> list[bytes]:
    """The stream in pieces that end at some of its bytes; some have no bytes."""
    ends = [*sorted(min(tear, len(stream)) for tear in tears), len(stream)]
    return [stream[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@given(frames, st.binary(max_size=40), tears, kinds)
def test_frames_come_out_as_they_went_in_however_the_stream_is_torn(
    sent: list[bytes], last: bytes, tears: list[int], kind: type[bytes]
) -> None:
    # given frames, and one of which the last byte is still missing
    rest = cut(last + b"!")[:-1]
    joiner, got = Joiner(), []
    for piece in torn(b"".join(map(cut, sent)) + rest, tears):
        got += joiner.feed(kind(piece))
    assert got == sent
    assert joiner.pending == len(rest)
    assert joiner.feed(b"!") == [last + b"!"]


@given(frames, st.binary(max_size=40), tears)
def test_a_frame_of_no_bytes_is_refused_behind_what_came_whole(
    sent: list[bytes], after: bytes, tears: list[int]
) -> None:
    joiner, got, faults = Joiner(), list[bytes](), list[str]()
    for piece in torn(b"".join(map(cut, sent)) + bytes(2) + after, tears):
        try:
            got += joiner.feed(piece)
        except FramingError as fault:
            got += fault.whole
            faults.append(str(fault))
    # however it is torn, the same frames come, and nothing comes after the fault
    assert got == sent
    assert set(faults) == {"a frame of no bytes was announced"}
    assert joiner.pending == 0
    with pytest.raises(FramingError):
        joiner.feed(cut(b"too late"))


def test_a_fault_is_noticed_at_its_second_byte() -> None:
    joiner = Joiner()
    assert joiner.feed(b"\0") == []
    with pytest.raises(FramingError):
        joiner.feed(b"\0")


def test_the_length_stands_in_front_highest_byte_first() -> None:
    assert cut(b"abc") == b"\0\3abc"
    assert cut(bytes(LONGEST_FRAME)) == b"\xff\xff" + bytes(65_535)


@pytest.mark.parametrize("size", [0, LONGEST_FRAME + 1])
def test_what_has_no_length_is_not_cut(size: int) -> None:
    with pytest.raises(ValueError, match="frame"):
        cut(bytes(size))


def test_of_one_frame_no_more_is_held_than_has_arrived_of_it() -> None:
    joiner = Joiner()
    stream = cut(bytes(LONGEST_FRAME))
    for fed in range(1, len(stream)):
        assert joiner.feed(stream[fed - 1 : fed]) == []
        assert joiner.pending == fed
    assert joiner.pending == LONGEST_FRAME + LENGTH_BYTES - 1
    assert joiner.feed(stream[-1:]) == [bytes(LONGEST_FRAME)]
    assert joiner.pending == 0


@pytest.mark.slow
def test_a_million_short_frames_at_once_take_no_longer_than_in_two_pieces() -> None:
    # were the rest copied for each frame, that would be 10^12 bytes
    stream = cut(b"x") * 1_200_000
    assert len(Joiner().feed(stream)) == 1_200_000
    joiner = Joiner()
    assert sum(len(joiner.feed(part)) for part in (stream[:1_000_000], stream[1_000_000:])) == (
        1_200_000
    )
