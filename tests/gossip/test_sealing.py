"""Sealing to devices: whoever has a slot opens it, nobody else, and nobody sees for whom it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from gossip.sealing import (
    CHUNK_OVERHEAD_BYTES,
    MAX_SLOTS,
    SLOT_BYTES,
    Sealer,
    Start,
    _unlock,
    agree,
    can_seal_to,
    read_start,
    unseal,
)
from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError
from ledger.keys import hkdf, sha256
from tests.strategies import device_keys, material

SEED = material("seed", 32)
READERS = [device_keys(number) for number in range(1, 4)]
KEYS = [keys.sealing_public for keys in READERS]
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def slots(start: Start) -> list[bytes]:
    return [start.slots[at : at + SLOT_BYTES] for at in range(0, len(start.slots), SLOT_BYTES)]


def start_of(*fields: Value) -> Start:
    return read_start(list(fields))


# --- agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", READERS)
def test_every_reader_opens_it_and_nobody_else(keys: object) -> None:
    sealer = Sealer(KEYS, SEED)
    chunk = sealer.stream().push(b"news", final=True)
    found = unseal(sealer.start, sealer.start.encode(), keys)  # type: ignore[arg-type]
    assert found is not None
    assert found.pull(chunk) == (b"news", True)
    assert unseal(sealer.start, sealer.start.encode(), device_keys(9)) is None


def test_a_slot_is_as_the_specification_says() -> None:
    sealer = Sealer(KEYS[:1], SEED)
    keys, ephemeral = READERS[0], sealer.start.ephemeral
    shared = bindings.crypto_scalarmult(keys.sealing_secret, ephemeral)
    label = b"passalong/bundle/slot/1" + ephemeral + KEYS[0]
    opened = []
    for slot in slots(sealer.start):
        try:
            opened.append(
                bindings.crypto_aead_chacha20poly1305_ietf_decrypt(
                    slot, b"", bytes(12), hkdf(shared, label)
                )
            )
        except Exception:  # noqa: BLE001, S112  the other seven are noise
            continue
    (file_key,) = opened
    # and the file key begins the stream of the file
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, sealer.start.stream, file_key)
    stream = sealer.stream()
    for plain, final in ((b"one", False), (b"", False), (b"two", True)):
        chunk = stream.push(plain, final=final)
        assert len(chunk) == len(plain) + CHUNK_OVERHEAD_BYTES
        bound = sha256(sealer.start.encode())
        tag = 3 if final else 0
        assert bindings.crypto_secretstream_xchacha20poly1305_pull(state, chunk, bound) == (
            plain,
            tag,
        )


@given(st.binary(min_size=32, max_size=32))
def test_a_beginning_is_read_as_it_was_written(seed: bytes) -> None:
    start = Sealer(KEYS, seed).start
    value = decode(start.encode(), 65_000)
    assert isinstance(value, list)
    version, purpose, *fields = value
    assert (version, purpose, read_start(fields)) == (1, 1, start)
    assert start_of(*fields, b"more") == start


# --- privacy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("devices", "shown"), [(1, 8), (7, 8), (8, 8), (9, 16), (64, 64)])
def test_the_number_of_readers_is_hidden_in_eights(devices: int, shown: int) -> None:
    keys = [device_keys(number).sealing_public for number in range(devices)]
    start = Sealer(keys, SEED).start
    assert start.slot_count == shown == len(set(slots(start)))


def test_the_order_of_readers_is_not_to_be_seen() -> None:
    start = Sealer(KEYS, SEED).start
    assert Sealer(KEYS[::-1], SEED).start == start
    assert slots(start) == sorted(slots(start))


def test_two_files_have_nothing_in_common() -> None:
    one, other = (Sealer(KEYS, material(name, 32)) for name in ("one", "other"))
    assert not set(slots(one.start)) & set(slots(other.start))
    assert one.start.ephemeral != other.start.ephemeral
    assert one.start.stream != other.start.stream
    assert one.stream().push(b"news") != other.stream().push(b"news")


def test_a_row_is_for_one_reader_only() -> None:
    sealer = Sealer(KEYS, SEED)
    rows = sealer.rows([(KEYS[0], b"for one"), (KEYS[1], b"for two")])
    payload = sealer.start.encode()
    said = []
    for keys in READERS:
        found = unseal(sealer.start, payload, keys)
        assert found is not None
        said.append(found.row(rows))
    assert said == [b"for one", b"for two", None]
    assert list(rows) == sorted(rows)


# --- refusal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_of_small_order_is_refused_both_ways(public: bytes) -> None:
    assert agree(material("secret", 32), public) is None
    assert not can_seal_to(public)
    with pytest.raises(InvalidError, match="small order"):
        Sealer([KEYS[0], public], SEED)
    start = Sealer(KEYS, SEED).start._replace(ephemeral=public)
    assert unseal(start, start.encode(), READERS[0]) is None


def test_a_shared_secret_of_zeros_is_refused_even_where_the_library_gives_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nacl.bindings.crypto_scalarmult", lambda _secret, _public: bytes(32))
    assert agree(material("secret", 32), KEYS[0]) is None


@pytest.mark.parametrize("count", [0, MAX_SLOTS + 1])
def test_nobody_and_too_many_cannot_be_sealed_to(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        Sealer([device_keys(number).sealing_public for number in range(count)], SEED)


GOOD = Sealer(KEYS, SEED).start


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [*GOOD[:2]],
        [GOOD[0][:31], *GOOD[1:]],
        [GOOD[0], b"", GOOD[2]],
        [GOOD[0], bytes(48), GOOD[2]],
        [GOOD[0], bytes(8 * 48 - 1), GOOD[2]],
        [GOOD[0], bytes(9 * 48), GOOD[2]],
        [GOOD[0], bytes(72 * 48), GOOD[2]],
        [GOOD[0], bytes(10_000 * 48), GOOD[2]],
        [*GOOD[:2], GOOD[2][:23]],
        [*GOOD[:2], GOOD[2] + b"0"],
        [*GOOD[:2], None],
        [1, 2, 3],
        ["key", "slots", "stream"],
    ],
)
def test_a_beginning_that_is_none_is_refused(fields: list[Value]) -> None:
    with pytest.raises(InvalidError, match="a key, slots and a stream"):
        read_start(fields)


@given(at=st.integers(0, 3 * 48 * 8), bit=st.integers(0, 7))
def test_a_changed_beginning_opens_nothing(at: int, bit: int) -> None:
    payload = bytearray(GOOD.encode())
    at %= len(payload)
    payload[at] ^= 1 << bit
    chunk = Sealer(KEYS, SEED).stream().push(b"news")
    try:
        value = decode(bytes(payload), 65_000)
        start = read_start(value[2:])  # type: ignore[index, arg-type]
    except (InvalidError, TypeError):
        return
    found = unseal(start, bytes(payload), READERS[0])
    assert found is None or found.pull(chunk) is None


def test_chunks_that_are_changed_left_out_or_moved_do_not_hold() -> None:
    stream = Sealer(KEYS, SEED).stream()
    one, two = stream.push(b"one"), stream.push(b"two")
    for chunks in ([two], [two, one], [one, one], [one[:-1]], [one + b"0"], [b""], [bytes(17)]):
        found = unseal(GOOD, GOOD.encode(), READERS[0])
        assert found is not None
        assert None in [found.pull(chunk) for chunk in chunks]


def test_the_beginning_of_another_file_does_not_open_a_stream() -> None:
    # given that a reader, who knows the file key, puts other slots in front
    payload = GOOD._replace(slots=GOOD.slots[48:] + GOOD.slots[:48]).encode()
    start = GOOD._replace(slots=GOOD.slots[48:] + GOOD.slots[:48])
    found = unseal(start, payload, READERS[0])
    assert found is not None
    assert found.pull(Sealer(KEYS, SEED).stream().push(b"one")) is None


def test_encoding_is_the_first_payload() -> None:
    assert GOOD.encode() == encode((1, 1, *GOOD))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 47])
def test_a_row_too_short_to_be_sealed_is_for_nobody(size: int) -> None:
    assert _unlock(bytes(size), bytes(32)) is None
