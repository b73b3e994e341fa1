import cbor2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ledger.codec import MAX_DEPTH, Value, context, decode, encode
from ledger.errors import InvalidError
from tests.strategies import values

PLENTY = 1 << 20
UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP = range(6)
CONTENT = {UNSIGNED: b"", NEGATIVE: b"", BYTES: b"a", TEXT: b"a", ARRAY: b"\xf6"}


def head(major: int, value: int, width: int) -> bytes:
    """A head whose argument takes ``width`` bytes, whether it needs them or not."""
    if width == 0:
        return bytes([major << 5 | value])
    return bytes([major << 5 | 23 + width.bit_length()]) + value.to_bytes(width, "big")


def depth_of(value: Value) -> int:
    if not isinstance(value, list):
        return 0
    return 1 + max((depth_of(item) for item in value), default=0)


def nested(depth: int) -> bytes:
    return b"\x81" * (depth - 1) + b"\x80"


@given(values)
def test_what_a_general_encoder_writes_is_read_back(value: Value) -> None:
    assume(depth_of(value) <= MAX_DEPTH)
    assert decode(cbor2.dumps(value, canonical=True), PLENTY) == value


@given(values)
def test_what_is_written_is_read_back_by_a_general_decoder(value: Value) -> None:
    written = encode(value)
    assert written == cbor2.dumps(value, canonical=True)
    assert cbor2.loads(written) == value


@given(st.binary(max_size=40))
@example(b"\xf6")
@example(b"\x3b" + b"\xff" * 8)
@example(b"\x1b" + b"\xff" * 8)
@example(b"\x62\xc3\xbc")
@example(b"\x65ab\x00\n\x7f")
@example(b"\x84\x20\x40\x60\x80")
def test_noise_is_refused_or_is_the_one_spelling_of_what_it_says(noise: bytes) -> None:
    try:
        value = decode(noise, PLENTY)
    except InvalidError:
        return
    assert cbor2.loads(noise) == value
    assert cbor2.dumps(value, canonical=True) == noise


@given(values, st.data())
def test_damage_is_refused_or_is_the_one_spelling_of_something_else(
    value: Value, data: st.DataObject
) -> None:
    damaged = bytearray(encode(value))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1), label="bit")
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        other = decode(bytes(damaged), PLENTY)
    except InvalidError:
        return
    assert encode(other) == bytes(damaged)
    assert other != value


@given(values, st.data())
def test_a_value_cut_short_is_refused(value: Value, data: st.DataObject) -> None:
    whole = encode(value)
    length = data.draw(st.integers(0, len(whole) - 1), label="length")
    with pytest.raises(InvalidError):
        decode(whole[:length], PLENTY)


@given(values, st.binary(min_size=1, max_size=9))
def test_nothing_may_follow_the_value(value: Value, more: bytes) -> None:
    with pytest.raises(InvalidError):
        decode(encode(value) + more, PLENTY)


@pytest.mark.parametrize("major", CONTENT)
@pytest.mark.parametrize(
    ("value", "width", "needed"),
    [
        (0, 1, 0),
        (23, 1, 0),
        (0, 2, 0),
        (24, 2, 1),
        (255, 2, 1),
        (0, 4, 0),
        (256, 4, 2),
        (65_535, 4, 2),
        (0, 8, 0),
        (65_535, 8, 2),
        (65_536, 8, 4),
    ],
)
def test_a_number_or_length_in_more_bytes_than_it_needs_is_refused(
    major: int, value: int, width: int, needed: int
) -> None:
    content = CONTENT[major] * value
    decode(head(major, value, needed) + content, PLENTY)
    with pytest.raises(InvalidError, match="shortest"):
        decode(head(major, value, width) + content, PLENTY)


@pytest.mark.parametrize("major", [UNSIGNED, NEGATIVE])
def test_a_large_number_in_more_bytes_than_it_needs_is_refused(major: int) -> None:
    decode(head(major, (1 << 32) - 1, 4), PLENTY)
    decode(head(major, 1 << 32, 8), PLENTY)
    with pytest.raises(InvalidError, match="shortest"):
        decode(head(major, (1 << 32) - 1, 8), PLENTY)


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("", id="nothing"),
        pytest.param("1f", id="indefinite-unsigned"),
        pytest.param("3f", id="indefinite-negative"),
        pytest.param("5fff", id="indefinite-bytes-empty"),
        pytest.param("5f4161ff", id="indefinite-bytes"),
        pytest.param("7f6161ff", id="indefinite-text"),
        pytest.param("9fff", id="indefinite-array-empty"),
        pytest.param("9f00ff", id="indefinite-array"),
        pytest.param("bfff", id="indefinite-map"),
        pytest.param("df00", id="indefinite-tag"),
        pytest.param("ff", id="break"),
        pytest.param("81ff", id="break-in-an-array"),
        pytest.param("1c", id="reserved-28"),
        pytest.param("1c" + "ff" * 16, id="reserved-28-with-16-bytes"),
        pytest.param("5d", id="reserved-29"),
        pytest.param("3d" + "ff" * 32, id="reserved-29-with-32-bytes"),
        pytest.param("9e", id="reserved-30"),
        pytest.param("5e" + "ff" * 64, id="reserved-30-with-64-bytes"),
        pytest.param("a0", id="map-empty"),
        pytest.param("a10000", id="map"),
        pytest.param("c000", id="tag-0"),
        pytest.param("c074323032362d30312d30315430303a30303a30305a", id="tag-date"),
        pytest.param("c24102", id="tag-big-number"),
        pytest.param("c2490100000000000000ff", id="tag-number-above-64-bits"),
        pytest.param("c349ffffffffffffffffff", id="tag-number-below-64-bits"),
        pytest.param("d81c80", id="tag-shareable"),
        pytest.param("d81d00", id="tag-shared-reference"),
        pytest.param("d8236128", id="tag-pattern"),
        pytest.param("d9d9f700", id="tag-self-described"),
        pytest.param("f4", id="false"),
        pytest.param("f5", id="true"),
        pytest.param("f7", id="undefined"),
        pytest.param("e0", id="simple-0"),
        pytest.param("f816", id="null-in-two-bytes"),
        pytest.param("f8ff", id="simple-255"),
        pytest.param("f90016", id="half-float-like-null"),
        pytest.param("f93c00", id="half-float-1"),
        pytest.param("f97e00", id="half-float-nan"),
        pytest.param("fa00000016", id="float-like-null"),
        pytest.param("fa3f800000", id="float"),
        pytest.param("fb0000000000000016", id="double-like-null"),
        pytest.param("fb3ff0000000000000", id="double"),
        pytest.param("fc", id="reserved-simple"),
        pytest.param("61ff", id="text-not-utf-8"),
        pytest.param("62c080", id="text-overlong"),
        pytest.param("63eda080", id="text-lone-high-surrogate"),
        pytest.param("63edbfbf", id="text-lone-low-surrogate"),
        pytest.param("66eda081edb080", id="text-surrogate-pair"),
        pytest.param("64f4908080", id="text-beyond-unicode"),
        pytest.param("61c3", id="text-cut-letter"),
        pytest.param("0000", id="two-values"),
        pytest.param("8200", id="array-lacks-an-item"),
        pytest.param("810000", id="array-with-one-too-many"),
    ],
)
def test_a_second_spelling_or_a_foreign_kind_of_value_is_refused(spelling: str) -> None:
    with pytest.raises(InvalidError):
        decode(bytes.fromhex(spelling), PLENTY)
    with pytest.raises(InvalidError):
        decode(b"\x81" + bytes.fromhex(spelling), PLENTY)


@pytest.mark.parametrize("major", [BYTES, TEXT, ARRAY, MAP])
@pytest.mark.parametrize("claimed", [(1 << 64) - 1, (1 << 63), (1 << 63) - 1, 1 << 32])
@pytest.mark.parametrize("before", [b"", b"\x81", b"\x83\x00\x00"])
def test_a_length_that_lies_costs_nothing(major: int, claimed: int, before: bytes) -> None:
    with pytest.raises(InvalidError):
        decode(before + head(major, claimed, 8) + bytes(9), PLENTY)


def test_many_arrays_that_each_claim_the_rest_are_refused() -> None:
    claims = b"".join(head(ARRAY, 60_000, 2) for _ in range(20_000))
    with pytest.raises(InvalidError):
        decode(claims, PLENTY)


def test_arrays_are_nested_eight_deep_and_no_deeper() -> None:
    assert MAX_DEPTH == 8
    assert decode(nested(8), PLENTY) == [[[[[[[[]]]]]]]]
    with pytest.raises(InvalidError, match="deep"):
        decode(nested(9), PLENTY)
    with pytest.raises(InvalidError, match="deep"):
        decode(nested(100_000), PLENTY)


@given(values)
def test_a_value_longer_than_the_limit_is_refused(value: Value) -> None:
    assume(depth_of(value) <= MAX_DEPTH)
    data = encode(value)
    assert decode(data, len(data)) == value
    with pytest.raises(InvalidError, match="allowed"):
        decode(data, len(data) - 1)


def test_a_tuple_is_written_as_an_array() -> None:
    assert encode((1, (b"", ("a",)), None)) == encode([1, [b"", ["a"]], None])


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        ((1 << 32) - 1, "1affffffff"),
        (1 << 32, "1b0000000100000000"),
        ((1 << 64) - 1, "1bffffffffffffffff"),
        (-1, "20"),
        (-24, "37"),
        (-25, "3818"),
        (-256, "38ff"),
        (-257, "390100"),
        (-(1 << 64), "3bffffffffffffffff"),
    ],
)
def test_numbers_are_spelled_as_in_rfc_8949(number: int, spelling: str) -> None:
    assert encode(number) == bytes.fromhex(spelling)
    assert decode(bytes.fromhex(spelling), 9) == number


def test_a_context_names_the_network_the_use_and_the_version() -> None:
    assert context("block") == b"passalong/block/1"
