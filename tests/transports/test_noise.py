"""The handshakes are those of the Noise specification: public vectors, and another library."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from ledger.codec import NETWORK as LEDGER_NETWORK
from ledger.keys import hkdf
from transports.noise import (
    MAX_COUNT,
    CipherState,
    Handshake,
    Keys,
    NoiseError,
    agree,
    public_of,
    seal,
    unseal,
)
from transports.opening import NETWORK, derive

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("noise_vectors.json").read_text("ascii")
)["vectors"]
LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
PROLOGUE = b"what both know"
PSK = bytes(range(32))
SEEDS = bytes([1]) * 32, bytes([2]) * 32
either_pattern = pytest.mark.parametrize("psk", [None, PSK], ids=["NN", "NNpsk0"])


def two_sides(
    psk: bytes | None = None, prologue: bytes = PROLOGUE, other_psk: bytes | None = None
) -> tuple[Handshake, Handshake]:
    other_psk = psk if other_psk is None else other_psk
    return (
        Handshake(is_initiator=True, prologue=PROLOGUE, seed=SEEDS[0], psk=psk),
        Handshake(is_initiator=False, prologue=prologue, seed=SEEDS[1], psk=other_psk),
    )


def shaken(near: Handshake, far: Handshake) -> tuple[Keys, Keys]:
    far.read_first(near.write_first())
    near.read_second(far.write_second())
    return near.keys(), far.keys()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['protocol_name']}-{v['source']}")
def test_every_byte_is_that_of_the_public_vectors(vector: dict[str, Any]) -> None:
    psk = bytes.fromhex(psks[0]) if (psks := vector.get("init_psks")) else None
    near, far = (
        Handshake(
            is_initiator=side == "init",
            prologue=bytes.fromhex(vector[f"{side}_prologue"]),
            seed=bytes.fromhex(vector[f"{side}_ephemeral"]),
            psk=psk,
        )
        for side in ("init", "resp")
    )
    told = [
        (bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]
    ]
    (first, first_sealed), (second, second_sealed), *rest = told
    # the two messages of the handshake
    assert near.write_first(first) == first_sealed
    assert far.read_first(first_sealed) == first
    assert far.write_second(second) == second_sealed
    assert near.read_second(second_sealed) == second
    # what both know after it
    one, other = near.keys(), far.keys()
    assert one.hash == other.hash
    assert one.hash.hex() == vector.get("handshake_hash", one.hash.hex())
    # and what they say then, in turns
    ways = [CipherState(one.send), CipherState(other.send)]
    back = [CipherState(other.receive), CipherState(one.receive)]
    assert len(rest) >= 2
    for number, (plain, sealed) in enumerate(rest):
        assert ways[number % 2].encrypt(plain) == sealed
        assert back[number % 2].decrypt(sealed) == plain


def test_the_vectors_are_of_both_patterns_and_say_what_the_hash_is() -> None:
    told = {v["protocol_name"] for v in VECTORS if "handshake_hash" in v}
    assert told == {"Noise_NN_25519_ChaChaPoly_SHA256", "Noise_NNpsk0_25519_ChaChaPoly_SHA256"}


@pytest.mark.filterwarnings("ignore:One of ephemeral keypairs is already set")
@either_pattern
@pytest.mark.parametrize("is_initiator", [True, False], ids=["initiator", "responder"])
def test_a_handshake_with_another_library_comes_to_the_same(
    psk: bytes | None, *, is_initiator: bool
) -> None:
    name = "NN" if psk is None else "NNpsk0"
    other = NoiseConnection.from_name(f"Noise_{name}_25519_ChaChaPoly_SHA256".encode())
    (other.set_as_responder if is_initiator else other.set_as_initiator)()
    other.set_prologue(PROLOGUE)
    other.set_keypair_from_private_bytes(Keypair.EPHEMERAL, SEEDS[1])
    if psk is not None:
        other.set_psks(psk=psk)
    other.start_handshake()
    own = Handshake(is_initiator=is_initiator, prologue=PROLOGUE, seed=SEEDS[0], psk=psk)
    if is_initiator:
        assert other.read_message(own.write_first(b"one")) == b"one"
        assert own.read_second(bytes(other.write_message(b"two"))) == b"two"
    else:
        assert own.read_first(bytes(other.write_message(b"one"))) == b"one"
        assert other.read_message(own.write_second(b"two")) == b"two"
    keys = own.keys()
    assert keys.hash == other.get_handshake_hash()
    assert other.decrypt(seal(keys.send, 0, b"there")) == b"there"
    assert unseal(keys.receive, 0, bytes(other.encrypt(b"back"))) == b"back"


@either_pattern
def test_both_sides_come_to_the_same_keys_and_each_way_has_its_own(psk: bytes | None) -> None:
    one, other = shaken(*two_sides(psk))
    assert (one.send, one.receive, one.hash, one.chain) == (
        other.receive,
        other.send,
        other.hash,
        other.chain,
    )
    assert len({one.send, one.receive, one.hash, one.chain}) == 4


def test_keys_are_not_shown() -> None:
    keys, _ = shaken(*two_sides())
    for secret in (keys.send, keys.receive, keys.chain):
        assert repr(secret) not in repr(keys)


def test_another_prologue_makes_the_answer_worthless() -> None:
    near, far = two_sides(prologue=b"what a man in the middle made of it")
    far.read_first(near.write_first())
    with pytest.raises(NoiseError, match="genuine"):
        near.read_second(far.write_second())


def test_another_secret_is_noticed_in_the_first_message() -> None:
    near, far = two_sides(PSK, other_psk=PSK[::-1])
    with pytest.raises(NoiseError, match="genuine"):
        far.read_first(near.write_first())


@either_pattern
@given(at=st.integers(0, 47), bit=st.integers(0, 7))
def test_no_bit_of_the_answer_can_be_changed(psk: bytes | None, at: int, bit: int) -> None:
    near, far = two_sides(psk)
    far.read_first(near.write_first())
    answer = bytearray(far.write_second())
    answer[at] ^= 1 << bit
    if at == 31 and bit == 7:
        return  # X25519 does not look at this bit; the hash does, below
    with pytest.raises(NoiseError):
        near.read_second(bytes(answer))


@either_pattern
def test_the_bit_that_x25519_overlooks_is_noticed_all_the_same(psk: bytes | None) -> None:
    near, far = two_sides(psk)
    far.read_first(near.write_first())
    answer = bytearray(far.write_second())
    answer[31] ^= 0x80
    with pytest.raises(NoiseError):
        near.read_second(bytes(answer))


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:4])
def test_a_key_of_small_order_is_refused(point: bytes) -> None:
    with pytest.raises(NoiseError, match="small order"):
        agree(SEEDS[0], point)
    near, far = two_sides()
    far.read_first(point + bytes(16))
    with pytest.raises(NoiseError, match="small order"):
        far.write_second()
    near.write_first()
    with pytest.raises(NoiseError, match="small order"):
        near.read_second(point + bytes(16))


def test_an_honest_key_agrees_from_either_side() -> None:
    assert agree(SEEDS[0], public_of(SEEDS[1])) == agree(SEEDS[1], public_of(SEEDS[0]))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    for psk in (None, PSK):
        near, far = two_sides(psk)
        near.write_first()
        with pytest.raises(NoiseError):
            near.read_second(message)
        if psk is not None or len(message) < 32:
            with pytest.raises(NoiseError):
                far.read_first(message)
        else:
            assert far.read_first(message) == message[32:]


def test_a_message_longer_than_noise_has_them_is_refused() -> None:
    _, far = two_sides()
    with pytest.raises(NoiseError, match="65536"):
        far.read_first(bytes(65_536))


def test_what_is_sealed_opens_under_its_own_number_and_key_only() -> None:
    sealed = seal(PSK, 7, b"seven", b"bound")
    assert unseal(PSK, 7, sealed, b"bound") == b"seven"
    for wrong in [(PSK, 8, b"bound"), (PSK[::-1], 7, b"bound"), (PSK, 7, b"bond")]:
        key, count, bound = wrong
        with pytest.raises(NoiseError):
            unseal(key, count, sealed, bound)


def test_the_last_number_of_a_key_is_not_used() -> None:
    assert unseal(PSK, MAX_COUNT - 1, seal(PSK, MAX_COUNT - 1, b"x")) == b"x"
    with pytest.raises(NoiseError, match="often"):
        seal(PSK, MAX_COUNT, b"x")


def test_a_message_that_does_not_hold_leaves_the_count_where_it_was() -> None:
    one, other = CipherState(PSK), CipherState(PSK)
    sealed = one.encrypt(b"first")
    with pytest.raises(NoiseError):
        other.decrypt(sealed[:-1])
    assert other.decrypt(sealed) == b"first"
    with pytest.raises(NoiseError):
        other.decrypt(sealed)


def test_transports_and_ledger_speak_of_the_same_network_and_derive_alike() -> None:
    assert NETWORK == LEDGER_NETWORK
    for length in (16, 32, 96):
        assert derive(PSK, b"label", length) == hkdf(PSK, b"label", length)
