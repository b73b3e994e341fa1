from collections.abc import Callable, Sequence

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_BODY_BYTES, MAX_LOG, Block, Counterparty, Header, encode_header
from ledger.codec import encode
from ledger.errors import InvalidError
from ledger.fork import MAX_PROOF_BYTES, ForkProof, Vouched, decode_proof
from ledger.keys import verify
from tests.strategies import GROUP, SOCIAL, device_keys, forked, make_block, material, run_of

LEFT, RIGHT = forked(10, 80, 80)
"""Two logs of one device that part at seq 10."""


def vouched(log: Sequence[Block], seq: int, until: int | None = None) -> Vouched:
    """What vouches for the header at ``seq``: what follows it, up to ``until``."""
    run = run_of(log[seq - 1 : seq if until is None else until])
    return Vouched.of(run.blocks)


def spelled(one: Vouched, other: Vouched, version: object = 1) -> bytes:
    return encode([version, one.headers, one.signature, other.headers, other.signature])


def at_s(left_until: int = 10, right_until: int = 10) -> ForkProof:
    """The form with two headers at s."""
    return ForkProof.of(vouched(LEFT, 10, left_until), vouched(RIGHT, 10, right_until))


def across_s(left_until: int = 10, right_until: int = 11) -> ForkProof:
    """The form with a header at s and one at s + 1 that does not follow it."""
    return ForkProof.of(vouched(LEFT, 10, left_until), vouched(RIGHT, 11, right_until))


FORMS = {
    "two at s": at_s(),
    "two at s, one vouched by ten more": at_s(20),
    "two at s, both vouched up to 64": at_s(64, 64),
    "s and s + 1": across_s(),
    "s and s + 1, both vouched": across_s(15, 64),
    "later, two at s": ForkProof.of(vouched(LEFT, 12), vouched(RIGHT, 12)),
    "later, s and s + 1": ForkProof.of(vouched(RIGHT, 12), vouched(LEFT, 13)),
}


@pytest.mark.parametrize("proof", FORMS.values(), ids=FORMS.keys())
def test_a_proof_is_read_back_as_it_was_written(proof: ForkProof) -> None:
    assert decode_proof(proof.encode(), verify) == proof
    assert proof.encode() == cbor2.dumps(
        [
            1,
            list(proof.one.headers),
            proof.one.signature,
            list(proof.other.headers),
            proof.other.signature,
        ],
        canonical=True,
    )


def test_two_headers_at_one_place_prove_a_fork_there() -> None:
    proof = at_s()
    assert (proof.author, proof.log, proof.seq) == (device_keys().public, SOCIAL, 10)
    assert proof.ids == tuple(sorted([LEFT[9].id, RIGHT[9].id]))
    assert (proof.one.id, proof.other.id) == proof.ids


def test_a_header_that_does_not_follow_the_one_before_proves_a_fork_before_it() -> None:
    proof = across_s()
    assert (proof.author, proof.log, proof.seq) == (device_keys().public, SOCIAL, 10)
    assert proof.ids == tuple(sorted([LEFT[9].id, RIGHT[9].id]))
    assert (proof.one.id, proof.other.id) == (LEFT[9].id, RIGHT[10].id)


@given(st.integers(10, 70), st.integers(10, 70), st.integers(0, 9), st.integers(0, 9))
def test_who_shows_which_branch_first_makes_no_difference(
    low: int, offset: int, left: int, right: int
) -> None:
    mine, yours = vouched(LEFT, low, low + left), vouched(RIGHT, offset, offset + right)
    if abs(low - offset) > 1:
        with pytest.raises(InvalidError):
            ForkProof.of(mine, yours)
        return
    proof = ForkProof.of(mine, yours)
    assert proof == ForkProof.of(yours, mine)
    assert proof.seq == min(low, offset)
    assert decode_proof(proof.encode(), verify) == proof


@pytest.mark.parametrize("log", [0, SOCIAL, GROUP])
def test_any_log_can_be_forked(log: int) -> None:
    left, right = forked(5, 3, 3, log)
    proof = ForkProof.of(vouched(left, 5, 7), vouched(right, 5, 8))
    assert (proof.log, proof.seq) == (log, 5)
    assert decode_proof(proof.encode(), verify) == proof


def test_a_log_can_be_forked_at_its_first_block() -> None:
    left, right = forked(1, 3, 3)
    assert ForkProof.of(vouched(left, 1), vouched(right, 1)).seq == 1
    assert ForkProof.of(vouched(left, 1), vouched(right, 2)).seq == 1


def test_a_device_that_certifies_itself_twice_has_forked_its_log_0() -> None:
    signing, zeros = device_keys().signing, bytes(32)
    first = make_block(signing, 0, 1, zeros, kind="device")
    second = make_block(signing, 0, 1, zeros, kind="device", ext=b"x")
    proof = ForkProof.of(Vouched.of([first]), Vouched.of([second]))
    assert (proof.log, proof.seq) == (0, 1)
    assert decode_proof(proof.encode(), verify) == proof


# --- vouching -----------------------------------------------------------------------------------


def test_a_header_is_vouched_for_by_the_first_signature_after_it() -> None:
    assert vouched(LEFT, 10, 70) == Vouched(
        tuple(block.raw for block in LEFT[9:64]), LEFT[63].signature
    )
    assert vouched(LEFT, 64, 70) == Vouched((LEFT[63].raw,), LEFT[63].signature)
    assert vouched(LEFT, 65, 70) == Vouched(
        tuple(block.raw for block in LEFT[64:70]), LEFT[69].signature
    )
    assert vouched(LEFT, 10, 70).id == LEFT[9].id


def test_a_header_without_signature_among_64_is_not_vouched_for() -> None:
    bare = [block._replace(signature=b"") for block in LEFT]
    with pytest.raises(InvalidError):
        Vouched.of(bare)
    with pytest.raises(InvalidError):
        Vouched.of([*bare[:64], LEFT[64]])
    assert len(Vouched.of([*bare[:63], LEFT[63]]).headers) == 64
    with pytest.raises(InvalidError):
        Vouched.of([])


# --- refusals -----------------------------------------------------------------------------------

OTHER_LEFT, OTHER_RIGHT = forked(10, 3, 3, SOCIAL, 1)
GROUP_LEFT, _ = forked(10, 3, 3, GROUP)
TEN, ELEVEN, TWIN_TEN, TWIN_ELEVEN, TWIN_TWELVE = (
    vouched(LEFT, 10), vouched(LEFT, 11), vouched(RIGHT, 10), vouched(RIGHT, 11), vouched(RIGHT, 12)
)  # fmt: skip
NOTHING_PROVEN = {
    "a header and itself": (TEN, TEN),
    "a header and itself, vouched for otherwise": (TEN, vouched(LEFT, 10, 12)),
    "a header before the fork": (vouched(LEFT, 9), vouched(RIGHT, 9)),
    "a header and the one that follows it": (TEN, ELEVEN),
    "a header and the other one that follows it": (vouched(LEFT, 9), TWIN_TEN),
    "a header of each branch two apart": (TEN, TWIN_TWELVE),
    "two authors": (TEN, vouched(OTHER_LEFT, 10)),
    "two authors at s and s + 1": (TEN, vouched(OTHER_LEFT, 11)),
    "two logs": (TEN, vouched(GROUP_LEFT, 10)),
    "two logs at s and s + 1": (TEN, vouched(GROUP_LEFT, 11)),
}


@pytest.mark.parametrize(("one", "other"), NOTHING_PROVEN.values(), ids=NOTHING_PROVEN.keys())
def test_what_does_not_contradict_itself_proves_nothing(one: Vouched, other: Vouched) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(InvalidError):
            ForkProof.of(*pair)
        with pytest.raises(InvalidError):
            decode_proof(spelled(*pair), verify)


@pytest.mark.parametrize("proof", FORMS.values(), ids=FORMS.keys())
def test_a_proof_in_the_second_order_is_refused(proof: ForkProof) -> None:
    with pytest.raises(InvalidError, match="order"):
        decode_proof(spelled(proof.other, proof.one), verify)


@pytest.mark.parametrize("proof", FORMS.values(), ids=FORMS.keys())
def test_a_proof_that_lacks_a_signature_is_refused(proof: ForkProof) -> None:
    signature = proof.other.signature
    for wrong in (b"", bytes(64), signature[1:], signature + b"\0", proof.one.signature):
        with pytest.raises(InvalidError):
            decode_proof(spelled(proof.one, Vouched(proof.other.headers, wrong)), verify)
    for wrong in (b"", bytes(64), signature):
        with pytest.raises(InvalidError):
            decode_proof(spelled(Vouched(proof.one.headers, wrong), proof.other), verify)


def test_a_proof_signed_by_somebody_else_is_refused() -> None:
    forged = device_keys(1).signing.sign(b"passalong/block/1" + LEFT[9].raw)
    with pytest.raises(InvalidError):
        decode_proof(encode([1, [LEFT[9].raw], forged, [RIGHT[9].raw], RIGHT[9].signature]), verify)


ONE, OTHER = sorted((LEFT, RIGHT), key=lambda log: log[9].id)
"""The branches in the order in which a proof holds them."""
NO_SIDE: dict[str, Callable[[list[bytes]], object]] = {
    "none": lambda _: [],
    "65": lambda raws: raws[9:74],
    "a gap": lambda raws: [raws[9], raws[11]],
    "backwards": lambda raws: [raws[10], raws[9]],
    "one twice": lambda raws: [raws[9], raws[9]],
    "null": lambda _: [None],
    "a header and null": lambda raws: [raws[9], None],
    "null and a header": lambda raws: [None, raws[9]],
    "a header and a text": lambda raws: [raws[9], "text"],
    "an array": lambda raws: [[raws[9]]],
    "an empty header": lambda _: [b""],
    "a header cut short": lambda raws: [raws[9][:-1]],
    "a header alone": lambda raws: raws[9],
    "no list": lambda _: None,
}


@pytest.mark.parametrize("of", NO_SIDE.values(), ids=NO_SIDE.keys())
def test_a_side_is_1_to_64_linked_headers(of: Callable[[list[bytes]], object]) -> None:
    signed = {block.raw: block.signature for log in (ONE, OTHER) for block in log}
    sides = [([log[9].raw], log[9].signature) for log in (ONE, OTHER)]
    good = encode([1, *sides[0], *sides[1]])
    assert decode_proof(good, verify).seq == 10
    for at, log in enumerate((ONE, OTHER)):
        headers = of([block.raw for block in log])
        tip = log[9].raw
        if isinstance(headers, list):
            tip = next((r for r in reversed(headers) if isinstance(r, bytes) and r in signed), tip)
        wrong = [*sides[:at], (headers, signed[tip]), *sides[at + 1 :]]
        with pytest.raises(InvalidError):
            decode_proof(encode([1, *wrong[0], *wrong[1]]), verify)


def test_the_headers_of_a_side_are_of_one_branch() -> None:
    sides = [([log[9].raw], log[9].signature) for log in (ONE, OTHER)]
    mixed = ([ONE[9].raw, OTHER[10].raw], OTHER[10].signature)
    with pytest.raises(InvalidError):
        decode_proof(encode([1, *mixed, *sides[1]]), verify)


def test_64_headers_on_both_sides_are_a_proof_and_65_are_not() -> None:
    # given two branches far from any multiple of 64 that were signed only at their ends
    sides = [
        Vouched(tuple(block.raw for block in log[9:73]), log[72].signature) for log in (LEFT, RIGHT)
    ]
    proof = ForkProof.of(*sides)
    assert decode_proof(proof.encode(), verify) == proof
    longer = [
        Vouched(tuple(block.raw for block in log[9:74]), log[73].signature) for log in (LEFT, RIGHT)
    ]
    for wrong in ((longer[0], sides[1]), (sides[0], longer[1])):
        one, other = sorted(wrong, key=lambda side: side.id)
        with pytest.raises(InvalidError, match="64"):
            decode_proof(spelled(one, other), verify)


@pytest.mark.parametrize("version", [0, 2, -1, None, b"\x01", "1", []])
def test_a_proof_of_another_version_is_refused(version: object) -> None:
    proof = at_s()
    with pytest.raises(InvalidError):
        decode_proof(spelled(proof.one, proof.other, version), verify)


def test_a_proof_with_more_or_fewer_fields_is_refused() -> None:
    fields = cbor2.loads(at_s().encode())
    assert isinstance(fields, list)
    for wrong in (fields[:-1], [*fields, None], [*fields, b""], fields[1:], [fields], []):
        with pytest.raises(InvalidError):
            decode_proof(encode(wrong), verify)


def test_a_proof_with_a_second_spelling_is_refused() -> None:
    raw = at_s().encode()
    for wrong in (
        b"\x98\x05" + raw[1:],
        b"\x9f" + raw[1:] + b"\xff",
        raw[:1] + b"\x18\x01" + raw[2:],
        raw[:1] + b"\xf5" + raw[2:],
        b"\xd9\xd9\xf7" + raw,
        raw + b"\0",
        raw[:-1],
        b"",
    ):
        with pytest.raises(InvalidError):
            decode_proof(wrong, verify)


@given(st.sampled_from(list(FORMS.values())), st.data())
def test_any_flipped_bit_of_a_proof_is_noticed(proof: ForkProof, data: st.DataObject) -> None:
    sent = bytearray(proof.encode())
    bit = data.draw(st.integers(0, len(sent) * 8 - 1), label="bit")
    sent[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidError):
        decode_proof(bytes(sent), verify)


@given(st.binary(max_size=100), st.integers(1, len(at_s().encode())))
def test_noise_is_no_proof_and_no_other_error(noise: bytes, missing: int) -> None:
    with pytest.raises(InvalidError):
        decode_proof(noise, verify)
    begun = at_s().encode()[:-missing] + noise
    if begun != at_s().encode():
        with pytest.raises(InvalidError):
            decode_proof(begun, verify)


# --- size ---------------------------------------------------------------------------------------


def big_branch(salt: bytes, ext: int) -> Vouched:
    """64 linked headers with the biggest fields; the last is signed."""
    key, seq = device_keys().signing, (1 << 40) - 65
    raws: list[bytes] = []
    header = Header(
        key.public,
        MAX_LOG,
        seq,
        material("before"),
        Counterparty(material("person"), material("proposal")),
        "k" * 32,
        salt * 32,
        MAX_BODY_BYTES,
        b"e" * ext,
    )
    for _ in range(64):
        block = make_block(key, MAX_LOG, header.seq, header.previous)
        raws.append(encode_header(header))
        block = block._replace(raw=raws[-1])
        header = header._replace(seq=header.seq + 1, previous=Vouched((block.raw,), b"").id)
    return Vouched(tuple(raws), key.sign(b"passalong/block/1" + raws[-1]))


@pytest.mark.parametrize("ext", [30, 32])
def test_the_biggest_proof_fits_in_40_kilobytes(ext: int) -> None:
    proof = ForkProof.of(big_branch(b"a", ext), big_branch(b"b", ext))
    raw = proof.encode()
    assert 33_000 < len(raw) <= MAX_PROOF_BYTES == 40_000
    assert decode_proof(raw, verify) == proof


def test_the_usual_proof_takes_half_a_kilobyte() -> None:
    assert len(at_s().encode()) < 512


def test_a_proof_of_more_than_40_kilobytes_is_refused_unread() -> None:
    with pytest.raises(InvalidError, match="allowed"):
        decode_proof(at_s().encode() + bytes(MAX_PROOF_BYTES), verify)


# --- which is kept ------------------------------------------------------------------------------

POOL = [
    *FORMS.values(),
    *(at_s(left, right) for left in (10, 11, 12) for right in (10, 11, 12)),
    *(across_s(left, right) for left in (10, 11) for right in (11, 12)),
    ForkProof.of(vouched(RIGHT, 10), vouched(LEFT, 11)),
    ForkProof.of(vouched(RIGHT, 40, 41), vouched(LEFT, 40)),
]


def keep(proofs: Sequence[ForkProof]) -> ForkProof:
    kept, *rest = proofs
    for proof in rest:
        if proof.outweighs(kept):
            kept = proof
    return kept


@given(st.permutations(POOL), st.integers(1, len(POOL)))
def test_the_same_proof_is_kept_whatever_order_they_came_in(
    arrivals: list[ForkProof], count: int
) -> None:
    some = arrivals[:count]
    assert keep(some) == keep(some[::-1]) == keep(sorted(some, key=ForkProof.encode))
    assert keep(some).seq == min(proof.seq for proof in some)


@given(st.sampled_from(POOL), st.sampled_from(POOL), st.sampled_from(POOL))
def test_outweighing_is_a_total_order(a: ForkProof, b: ForkProof, c: ForkProof) -> None:
    assert not a.outweighs(a)
    assert a.outweighs(b) + b.outweighs(a) == (a != b)
    if a.outweighs(b) and b.outweighs(c):
        assert a.outweighs(c)


def test_of_two_proofs_of_one_fork_the_shorter_is_kept() -> None:
    assert at_s().outweighs(at_s(20))
    assert FORMS["two at s, both vouched up to 64"].outweighs(FORMS["later, two at s"])
