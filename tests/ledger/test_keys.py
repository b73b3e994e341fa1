from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.keys import (
    BITCOIN_SEED_LABEL,
    PERSON_SEED_LABEL,
    DeviceKeys,
    PersonKey,
    SigningKey,
    hkdf,
    is_certified,
    sha256,
    verify,
)
from tests.strategies import device_keys, material, person_key

ORDER = (1 << 252) + 27_742_317_777_372_353_535_851_937_790_883_648_493

RFC_8032 = [
    pytest.param(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        id="1",
    ),
    pytest.param(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        id="2",
    ),
    pytest.param(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        id="3",
    ),
    pytest.param(
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        id="SHA(abc)",
    ),
]

# Each is a public key of small order in one of its encodings, and a message for which anybody's
# signature over [777]B satisfies the equation: only a check of the key itself refuses it.
SMALL_ORDER_KEYS = [
    ("0100000000000000000000000000000000000000000000000000000000000000", b"7"),
    ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", b"5"),
    ("0000000000000000000000000000000000000000000000000000000000000080", b"13"),
    ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", b"30"),
    ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", b"2"),
    ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", b"11"),
    ("0000000000000000000000000000000000000000000000000000000000000000", b"31"),
    ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", b"1"),
]
NOT_CANONICAL_KEYS = [
    ("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", b"1"),
    ("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", b"0"),
    ("0100000000000000000000000000000000000000000000000000000000000080", b"6"),
    ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", b"4"),
    ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", b"1"),
    ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", b"6"),
]
ANYBODYS_SIGNATURE = bytes.fromhex(
    "1d84c09c915b1e355f4130b3950f6754270b37696f36f1b6ca5d4a9b4cf48860"
    "0903000000000000000000000000000000000000000000000000000000000000"
)

# R of small order in every encoding, and the S with which eight times the equation holds for the
# message "0" and this (ordinary) key.
KEY_OF_SMALL_ORDER_R = "7767a3242dc9b58bbc68488c1265cc6cc5f26c6f3c88a5d55e901b0734dca572"
SMALL_ORDER_R = [
    (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "834eea2b1056d34e1b561f5e36f6d4f2de0fed9d0e5e5f6ed00beec42bee290f",
    ),
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "d9ab1709641ff2118f4d9907c2f61374c8fa93b3830ab6822047f7c2925b3700",
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000080",
        "bbcb364a9ee96802084062c325f63fa98bb4903c57dd9feb1651f1c9758b6e07",
    ),
    (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "4f6f6e0d778bcdeece2a17e4d9026e1ed42e20f9f16590d67e7f3b0da5a5b401",
    ),
    (
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "4118f6acaab41f0898eb3d5a12c6faf3de5702d3860caae7abe95ce07435680f",
    ),
    (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "cdc7304a0d994ba2fa4b5622f7809e34f805d36344d952a45eff647ad15f0109",
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "631868fd3a12ab6ab4bfab44eb42c8d7083e96a744ee7807d68b13857d26cf0b",
    ),
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "caee242c45579e560cff4c65a3687d53bba006c7a01ac654540fc044606b6901",
    ),
    (
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "8c1fe1d19bbcebd61b91f233a0217ad9e5be79d69008dbe6e9206e3fc1b68104",
    ),
    (
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "d6a0bd5ef91aa000666835d8873d925c70660860df7c0ce16934ba5736699007",
    ),
    (
        "0100000000000000000000000000000000000000000000000000000000000080",
        "f34fa8d266f2a39f8cb25ff8fb5f5fb16b73688a76cefc0f030e89335dc4a008",
    ),
    (
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "7fce106227066ab9f2fbffd3af63a3027ee516497ba437a78fc0fc2232722102",
    ),
    (
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0d7ed2e2c5b376c059bb4250950a184ae7a31b9a036b1fd511b5a24250192f0b",
    ),
    (
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "b8bd24453eca55fda1f143536624b12ef8a2580c6b73fa8e3b6856a404b8d50d",
    ),
]

# A key with a part of order 8: of its holder's signatures some satisfy the equation itself, the
# others only eight times the equation. All of us must agree which.
MIXED_KEY = "6a84d583f06569edb3f5ed77df65544b27d6948b4f0b2cb76f33dd8413b20719"
MIXED_R = "0e3c048aa10cab67778feac5faa3bfa46fd9f119549e679b0f6ad24bd6bb8b71"

BIP_39 = [
    (b"\x00", "abandon " * 23 + "art"),
    (b"\x7f", "legal winner thank year wave sausage worth useful " * 2
        + "legal winner thank year wave sausage worth title"),
    (b"\x80", "letter advice cage absurd amount doctor acoustic avoid " * 2
        + "letter advice cage absurd amount doctor acoustic bless"),
    (b"\xff", "zoo " * 23 + "vote"),
]  # fmt: skip


# --- derivation ---------------------------------------------------------------------------------


def test_derivation_agrees_with_rfc_5869() -> None:
    # test case 3: SHA-256 without salt and info
    assert hkdf(b"\x0b" * 22, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


@given(st.binary(max_size=80), st.binary(max_size=40), st.integers(0, 255 * 32))
def test_a_shorter_derivation_is_the_beginning_of_a_longer_one(
    secret: bytes, label: bytes, length: int
) -> None:
    longest = hkdf(secret, label, 255 * 32)
    assert len(longest) == 255 * 32
    assert hkdf(secret, label, length) == longest[:length]


def test_each_label_leads_to_a_key_of_its_own() -> None:
    secret = material("secret")
    assert PERSON_SEED_LABEL == b"passalong/seed/person/1"
    assert BITCOIN_SEED_LABEL == b"passalong/seed/bitcoin/1"
    assert hkdf(secret, PERSON_SEED_LABEL) != hkdf(secret, BITCOIN_SEED_LABEL)


def test_sha256_is_the_one_of_fips_180() -> None:
    assert sha256(b"abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


# --- signatures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_signatures_agree_with_rfc_8032(
    seed: str, public: str, message: str, signature: str
) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public, bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(max_size=100), st.data())
def test_a_flipped_bit_of_message_key_or_signature_is_noticed(
    message: bytes, data: st.DataObject
) -> None:
    key = device_keys().signing
    parts = [bytearray(key.public), bytearray(key.sign(message)), bytearray(message)]
    part = data.draw(st.sampled_from([p for p in parts if p]), label="part")
    bit = data.draw(st.integers(0, len(part) * 8 - 1), label="bit")
    assert verify(bytes(parts[0]), bytes(parts[2]), bytes(parts[1]))
    part[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(parts[0]), bytes(parts[2]), bytes(parts[1]))


@pytest.mark.parametrize("times", range(1, 16))
def test_a_signature_has_no_second_form_with_the_order_added(times: int) -> None:
    key = device_keys().signing
    signature = key.sign(b"once")
    s = int.from_bytes(signature[32:], "little") + times * ORDER
    if s < 1 << 256:
        assert not verify(key.public, b"once", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize(("public", "message"), SMALL_ORDER_KEYS)
def test_a_key_of_small_order_signs_nothing(public: str, message: bytes) -> None:
    assert not verify(bytes.fromhex(public), message, ANYBODYS_SIGNATURE)


@pytest.mark.parametrize(("public", "message"), NOT_CANONICAL_KEYS)
def test_a_key_in_a_second_encoding_signs_nothing(public: str, message: bytes) -> None:
    assert not verify(bytes.fromhex(public), message, ANYBODYS_SIGNATURE)


@pytest.mark.parametrize(("r", "s"), SMALL_ORDER_R)
def test_an_r_of_small_order_or_in_a_second_encoding_is_refused(r: str, s: str) -> None:
    assert not verify(bytes.fromhex(KEY_OF_SMALL_ORDER_R), b"0", bytes.fromhex(r + s))


def test_the_equation_must_hold_itself_and_not_only_eight_times() -> None:
    exact = "eee08ba5ac857b3e5e418dc3af53d412ab2ca9b165a193d3f80456f829dc7d0d"
    eight = "d6d4dff40969b59ae44db1c6dcad3de8e3725354a79a86c1fbeb594dcb1c910c"
    assert verify(bytes.fromhex(MIXED_KEY), b"3", bytes.fromhex(MIXED_R + exact))
    assert not verify(bytes.fromhex(MIXED_KEY), b"0", bytes.fromhex(MIXED_R + eight))


@pytest.mark.parametrize("public", ["02" + "00" * 31, "ff" * 32, "00" * 31 + "40"])
def test_a_key_that_is_no_point_signs_nothing(public: str) -> None:
    assert not verify(bytes.fromhex(public), b"", ANYBODYS_SIGNATURE)


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_wrong(size: int) -> None:
    key = device_keys().signing
    assert not verify(key.public, b"text", (key.sign(b"text") * 2)[:size])


def test_a_longer_signature_does_not_lend_its_end_to_the_message() -> None:
    key = device_keys().signing
    assert not verify(key.public, b"xt", key.sign(b"text") + b"te")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_length_signs_nothing(size: int) -> None:
    key = device_keys().signing
    assert not verify((key.public * 2)[:size], b"text", key.sign(b"text"))


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=80))
def test_noise_is_no_signature_and_no_error(public: bytes, message: bytes, sig: bytes) -> None:
    assert not verify(public, message, sig)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(InvalidError):
        SigningKey(bytes(size))


# --- devices ------------------------------------------------------------------------------------


def test_a_device_has_one_key_to_sign_and_another_to_seal() -> None:
    random = material("device", 64)
    keys = DeviceKeys.from_random(random)
    assert keys.public == SigningKey(random[:32]).public
    assert keys.sealing_secret == random[32:]
    assert keys.sealing_public != keys.public


def test_sealing_keys_agree_with_rfc_7748() -> None:
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    keys = DeviceKeys(device_keys().signing, bob)
    assert keys.sealing_public.hex() == (
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    )


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_device_is_made_of_64_random_bytes(size: int) -> None:
    with pytest.raises(InvalidError):
        DeviceKeys.from_random(bytes(size))


# --- persons ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("byte", "words"), BIP_39)
def test_words_agree_with_bip_39(byte: bytes, words: str) -> None:
    person = PersonKey.from_words(words)
    assert person.entropy == byte * 32
    assert person.words == words.split()


@given(st.binary(min_size=32, max_size=32))
def test_the_words_bring_the_person_back(entropy: bytes) -> None:
    person = PersonKey(entropy)
    assert len(person.words) == 24
    assert PersonKey.from_words(" ".join(person.words)) == person
    assert PersonKey.from_words(" ".join(person.words)).signing == person.signing


def test_words_are_read_in_any_case_and_spacing() -> None:
    words = person_key().words
    spoken = "\n  " + "\t \r\n".join(word.upper() for word in words[:12])
    spoken += "  " + "  ".join(word.title() for word in words[12:]) + " \n"
    assert PersonKey.from_words(spoken) == person_key()


@pytest.mark.parametrize("count", [0, 1, 12, 23, 25, 48])
def test_another_number_of_words_is_refused_and_counted(count: int) -> None:
    words = (person_key().words * 2)[:count]
    with pytest.raises(InvalidError, match=f"^{count} words where 24"):
        PersonKey.from_words(" ".join(words))


def test_a_valid_phrase_of_twelve_words_is_refused() -> None:
    with pytest.raises(InvalidError, match="24"):
        PersonKey.from_words("abandon " * 11 + "about")


@pytest.mark.parametrize("wrong", ["abandonn", "aband", "ábandon", "1", "zooo"])
@pytest.mark.parametrize("place", [0, 11, 23])
def test_a_word_that_is_not_in_the_list_is_named(wrong: str, place: int) -> None:
    words = person_key().words
    words[place] = wrong
    with pytest.raises(InvalidError, match=wrong):
        PersonKey.from_words(" ".join(words))


def test_words_whose_checksum_does_not_hold_are_refused() -> None:
    with pytest.raises(InvalidError, match="order"):
        PersonKey.from_words("abandon " * 24)
    with pytest.raises(InvalidError, match="order"):
        PersonKey.from_words("zoo " * 24)


def test_of_words_in_another_order_at_most_one_in_256_fits() -> None:
    words, fitting = person_key().words, 0
    for first in range(23):
        swapped = [*words[:first], words[first + 1], words[first], *words[first + 2 :]]
        try:
            PersonKey.from_words(" ".join(swapped))
            fitting += 1
        except InvalidError:
            pass
    assert fitting == 0


def test_the_root_key_is_derived_and_not_the_words_themselves() -> None:
    person = person_key()
    assert person.signing.seed == hkdf(person.entropy, b"passalong/seed/person/1")
    assert person.signing.public != SigningKey(person.entropy).public


# --- certificates -------------------------------------------------------------------------------


def test_a_certificate_is_the_persons_signature_over_the_device() -> None:
    device = device_keys().public
    certificate = person_key().certify(device)
    assert certificate == person_key().signing.sign(b"passalong/person/1" + device)
    assert is_certified(person_key().signing.public, device, certificate)


def test_a_certificate_is_for_one_person_and_one_device() -> None:
    person, other = person_key(0), person_key(1)
    mine, yours = device_keys(0).public, device_keys(1).public
    certificate = person.certify(mine)
    assert not is_certified(person.signing.public, yours, certificate)
    assert not is_certified(other.signing.public, mine, certificate)
    assert not is_certified(other.signing.public, yours, certificate)
    assert not is_certified(mine, person.signing.public, certificate)


def test_a_device_cannot_certify_itself_for_a_person() -> None:
    keys = device_keys()
    forged = keys.signing.sign(b"passalong/person/1" + keys.public)
    assert not is_certified(person_key().signing.public, keys.public, forged)


def test_a_signature_for_another_use_is_no_certificate() -> None:
    device = device_keys().public
    for use in (b"", b"passalong/block/1", b"passalong/person/2", b"otherside/person/1"):
        signature = person_key().signing.sign(use + device)
        assert not is_certified(person_key().signing.public, device, signature)


# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "secrets"),
    [
        (device_keys().signing, [device_keys().signing.seed]),
        (device_keys(), [device_keys().signing.seed, device_keys().sealing_secret]),
        (person_key(), [person_key().entropy, person_key().signing.seed]),
    ],
)
def test_a_secret_is_never_shown(shown: object, secrets: list[bytes]) -> None:
    text = f"{shown} {shown!r} {[shown]} {shown!a}".lower()
    for secret in secrets:
        assert secret.hex() not in text
        assert repr(secret)[2:-1].lower() not in text
    assert not set(person_key().words) & set(text.replace("'", " ").split())


def test_a_refusal_does_not_repeat_a_secret() -> None:
    words = person_key().words
    with pytest.raises(InvalidError) as refusal:
        PersonKey.from_words(" ".join([*words[1:], words[0]]))
    assert not set(words) & set(str(refusal.value).split()) - {"their", "order", "the", "not"}


def test_keys_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        device_keys().signing.seed = bytes(32)  # type: ignore[misc]


def test_a_persons_statement_certifies_no_device() -> None:
    person = PersonKey(bytes(32))
    longer = bytes(33)
    assert not is_certified(person.signing.public, longer, person.certify(longer))


def test_a_person_key_has_32_bytes() -> None:
    with pytest.raises(InvalidError, match="32"):
        PersonKey(b"")
