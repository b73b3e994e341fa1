from collections.abc import Sequence
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.errors import InvalidError
from ledger.keys import is_certified, verify
from ledger.statement import (
    MAX_CUTS,
    MAX_PER_PERSON,
    MAX_STATEMENT_BYTES,
    Cut,
    Revocation,
    decode_revocation,
    select,
)
from tests.strategies import device_keys, hashes, log_numbers, material, person_key, seqs

PERSON = person_key().signing
DEVICE = device_keys().public
ID = material("block")

cuts = st.lists(
    st.builds(Cut, log_numbers, seqs, hashes), max_size=MAX_CUTS, unique_by=lambda cut: cut.log
)


def spelled(
    cuts: object = (), version: object = 1, person: object = PERSON.public, device: object = DEVICE
) -> bytes:
    return encode([version, person, device, cuts])


def sign(raw: bytes) -> bytes:
    return PERSON.sign(b"passalong/person/1" + raw)


def read(raw: bytes) -> Revocation:
    return decode_revocation(raw, sign(raw), verify)


# --- reading and writing ------------------------------------------------------------------------


@given(cuts)
def test_a_statement_is_read_back_as_it_was_signed(cuts: list[Cut]) -> None:
    statement = Revocation.sign(person_key(), DEVICE, cuts)
    assert decode_revocation(statement.raw, statement.signature, verify) == statement
    assert (statement.person, statement.device) == (PERSON.public, DEVICE)
    assert statement.cuts == tuple(sorted(cuts))


@given(cuts)
def test_a_statement_is_what_a_general_encoder_makes_of_its_fields(cuts: list[Cut]) -> None:
    statement = Revocation.sign(person_key(), DEVICE, cuts)
    rows = [[cut.log, cut.seq, cut.id] for cut in sorted(cuts)]
    assert statement.raw == cbor2.dumps([1, PERSON.public, DEVICE, rows], canonical=True)
    assert statement.signature == sign(statement.raw)


@given(cuts)
def test_the_order_in_which_cuts_are_named_makes_no_difference(cuts: list[Cut]) -> None:
    statement = Revocation.sign(person_key(), DEVICE, cuts)
    assert Revocation.sign(person_key(), DEVICE, cuts[::-1]) == statement


def test_a_statement_with_32_of_the_biggest_cuts_is_the_biggest() -> None:
    biggest = [Cut((1 << 32) - 1 - index, (1 << 40) - 1, ID) for index in range(32)]
    statement = Revocation.sign(person_key(), DEVICE, biggest)
    assert len(statement.raw) <= MAX_STATEMENT_BYTES
    assert read(statement.raw) == statement


def test_a_33rd_cut_is_refused() -> None:
    many = [Cut(index, 1, ID) for index in range(33)]
    rows = [[cut.log, cut.seq, cut.id] for cut in many]
    assert read(spelled(rows[:32])).cuts == tuple(many[:32])
    with pytest.raises(InvalidError):
        Revocation.sign(person_key(), DEVICE, many)
    with pytest.raises(InvalidError):
        read(spelled(rows))


REFUSED = {
    "cuts out of order": spelled([[2, 1, ID], [1, 1, ID]]),
    "a log twice": spelled([[1, 1, ID], [1, 2, ID]]),
    "a cut twice": spelled([[1, 1, ID], [1, 1, ID]]),
    "a cut at 0": spelled([[1, 0, ID]]),
    "a cut before 0": spelled([[1, -1, ID]]),
    "a cut at 2^40": spelled([[1, 1 << 40, ID]]),
    "a cut at 2^63": spelled([[1, 1 << 63, ID]]),
    "a cut in log 2^32": spelled([[1 << 32, 1, ID]]),
    "a cut in log -1": spelled([[-1, 1, ID]]),
    "a cut with an id of 31 bytes": spelled([[1, 1, ID[1:]]]),
    "a cut with an id of 33 bytes": spelled([[1, 1, ID + b"\0"]]),
    "a cut with a text for id": spelled([[1, 1, "i" * 32]]),
    "a cut without id": spelled([[1, 1]]),
    "a cut with one field more": spelled([[1, 1, ID, None]]),
    "a cut in log null": spelled([[None, 1, ID]]),
    "a cut that is a number": spelled([1]),
    "a cut that is null": spelled([None]),
    "no list of cuts": spelled(None),
    "cuts as bytes": spelled(b""),
    "a person of 31 bytes": spelled(person=PERSON.public[1:]),
    "a person of 33 bytes": spelled(person=PERSON.public + b"\0"),
    "no person": spelled(person=None),
    "a device of 31 bytes": spelled(device=DEVICE[1:]),
    "a device of 33 bytes": spelled(device=DEVICE + b"\0"),
    "a device as text": spelled(device="d" * 32),
    "version 0": spelled(version=0),
    "version 2": spelled(version=2),
    "version true": spelled(version=True),
    "version 1.0": spelled(version=1.0),
    "version null": spelled(version=None),
    "a log true": spelled([[True, 1, ID]]),
    "a seq true": spelled([[1, True, ID]]),
    "no cuts": encode([1, PERSON.public, DEVICE]),
    "a field more": encode([1, PERSON.public, DEVICE, [], None]),
    "no statement": encode([]),
    "a number": encode(1),
    "nothing": b"",
    "a byte after it": spelled() + b"\0",
    "the last byte missing": spelled([[1, 1, ID]])[:-1],
    "a long array head": b"\x98\x04" + spelled()[1:],
    "an array without end": b"\x9f" + spelled()[1:] + b"\xff",
    "a tag": b"\xd9\xd9\xf7" + spelled(),
    "a long version": spelled()[:1] + b"\x18\x01" + spelled()[2:],
    "too many bytes": spelled(device=bytes(MAX_STATEMENT_BYTES)),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_statement_out_of_bounds_is_refused_though_its_person_signed_it(raw: bytes) -> None:
    assert read(spelled([[1, 1, ID]])).cuts == (Cut(1, 1, ID),)
    with pytest.raises(InvalidError):
        read(raw)


def test_a_statement_too_big_to_be_one_is_refused_unread() -> None:
    with pytest.raises(InvalidError, match="allowed"):
        read(bytes(MAX_STATEMENT_BYTES + 1))


@given(st.binary(max_size=100), st.binary(max_size=70))
def test_noise_is_no_statement_and_no_other_error(noise: bytes, signature: bytes) -> None:
    with pytest.raises(InvalidError):
        decode_revocation(noise, signature, verify)
    with pytest.raises(InvalidError):
        decode_revocation(spelled()[:40] + noise, signature, verify)


@given(cuts, st.data())
def test_any_flipped_bit_of_a_statement_is_noticed(cuts: list[Cut], data: st.DataObject) -> None:
    statement = Revocation.sign(person_key(), DEVICE, cuts)
    sent = [bytearray(statement.raw), bytearray(statement.signature)]
    part = data.draw(st.sampled_from(sent), label="part")
    bit = data.draw(st.integers(0, len(part) * 8 - 1), label="bit")
    part[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidError):
        decode_revocation(bytes(sent[0]), bytes(sent[1]), verify)


# --- who may sign -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_a_statement_with_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidError):
        decode_revocation(spelled(), (sign(spelled()) * 2)[:size], verify)


def test_a_statement_is_signed_by_its_person_and_by_nobody_else() -> None:
    raw = spelled([[1, 5, ID]])
    for key in (device_keys().signing, person_key(1).signing, device_keys(1).signing):
        with pytest.raises(InvalidError, match="signed"):
            decode_revocation(raw, key.sign(b"passalong/person/1" + raw), verify)


def test_a_device_cannot_revoke_in_its_own_name() -> None:
    # given a statement that names the device as the person
    raw = spelled(person=DEVICE)
    statement = decode_revocation(
        raw, device_keys().signing.sign(b"passalong/person/1" + raw), verify
    )
    # then it is the statement of that person and not of the one who certified the device
    assert statement.person == DEVICE != PERSON.public


def test_a_signature_for_another_use_is_no_statement() -> None:
    for use in (b"", b"passalong/block/1", b"passalong/person/2", b"otherside/person/1"):
        with pytest.raises(InvalidError):
            decode_revocation(spelled(), PERSON.sign(use + spelled()), verify)


def test_a_certificate_is_no_statement_and_a_statement_certifies_no_device() -> None:
    certificate = person_key().certify(DEVICE)
    assert is_certified(PERSON.public, DEVICE, certificate)
    with pytest.raises(InvalidError):
        decode_revocation(spelled(), certificate, verify)
    assert not is_certified(PERSON.public, DEVICE, sign(spelled()))


@pytest.mark.parametrize(
    "cut",
    [
        Cut(1, 0, ID),
        Cut(1, 1 << 40, ID),
        Cut(1 << 32, 1, ID),
        Cut(-1, 1, ID),
        Cut(1, 1, ID[1:]),
    ],
)
def test_what_others_would_refuse_is_not_signed(cut: Cut) -> None:
    with pytest.raises(InvalidError):
        Revocation.sign(person_key(), DEVICE, [cut])


@pytest.mark.parametrize("device", [b"", DEVICE[1:], DEVICE + b"\0"], ids=len)
def test_only_a_device_key_is_revoked(device: bytes) -> None:
    with pytest.raises(InvalidError):
        Revocation.sign(person_key(), device, [])


# --- which are kept -----------------------------------------------------------------------------


def unsigned(device: int, *ends: tuple[int, int], signature: bytes = b"") -> Revocation:
    """A statement as ``select`` sees it, which looks at no signature."""
    marks = tuple(Cut(log, seq, bytes([seq % 256]) * 32) for log, seq in ends)
    return Revocation(PERSON.public, device.to_bytes(32, "big"), marks, signature)


def keep(arrivals: Sequence[Revocation]) -> list[Revocation]:
    """What is left after each came by itself, as at a node that meets many."""
    kept: list[Revocation] = []
    for statement in arrivals:
        kept = select([*kept, statement])
    return kept


ends = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=3).map(
    lambda pairs: sorted(dict(pairs).items())
)
statements = st.builds(
    lambda device, ends, mark: replace(
        unsigned(device, *ends),
        cuts=tuple(Cut(log, seq, bytes([mark]) * 32) for log, seq in ends),
    ),
    st.integers(0, 4),
    ends,
    st.integers(0, 1),
)


@given(st.lists(statements, max_size=12), st.data())
def test_the_same_statements_are_kept_whatever_order_they_came_in(
    arrivals: list[Revocation], data: st.DataObject
) -> None:
    again = data.draw(st.permutations(arrivals), label="again")
    assert select(arrivals) == select(again) == keep(arrivals) == keep(again)
    assert select(arrivals * 2) == select(select(arrivals)) == select(arrivals)


@given(st.permutations([b"\1" * 64, b"\2" * 64, b"\3" * 64]))
def test_a_statement_signed_twice_is_kept_with_the_same_signature_everywhere(
    signatures: list[bytes],
) -> None:
    # given one text with several signatures, which its person can make
    arrivals = [unsigned(1, (1, 5), signature=signature) for signature in signatures]
    # then two nodes that met them in different order end up the same
    assert select(arrivals) == select(arrivals[::-1])
    assert keep(arrivals) == keep(arrivals[::-1])


@given(st.lists(statements, min_size=1, max_size=12))
def test_one_statement_is_kept_for_each_device(arrivals: list[Revocation]) -> None:
    kept = select(arrivals)
    assert [s.device for s in kept] == sorted({s.device for s in arrivals})
    assert set(kept) <= set(arrivals)


@given(st.permutations(range(100)))
def test_of_many_statements_those_of_the_64_smallest_devices_are_kept(order: list[int]) -> None:
    arrivals = [unsigned(device) for device in order]
    expected = [unsigned(device) for device in range(64)]
    assert MAX_PER_PERSON == 64
    assert select(arrivals) == keep(arrivals) == expected


@given(ends, st.data())
def test_the_strictest_statement_wins(most: list[tuple[int, int]], data: st.DataObject) -> None:
    # given two statements of which one leaves no log longer than the other does
    less = [(log, data.draw(st.integers(0, seq))) for log, seq in most]
    less = [(log, seq) for log, seq in less if seq]
    mild, strict = unsigned(1, *most), unsigned(1, *less)
    # then that one is kept
    assert select([mild, strict]) == select([strict, mild]) == [strict]
    assert strict.outweighs(mild) is (strict != mild)
    assert not mild.outweighs(strict)


@given(statements, statements, statements)
def test_outweighing_is_a_total_order(a: Revocation, b: Revocation, c: Revocation) -> None:
    b, c = replace(b, device=a.device), replace(c, device=a.device)
    assert not a.outweighs(a)
    assert a.outweighs(b) + b.outweighs(a) == (a != b)
    if a.outweighs(b) and b.outweighs(c):
        assert a.outweighs(c)


def test_a_statement_that_names_no_log_leaves_nothing_and_wins() -> None:
    assert unsigned(1).outweighs(unsigned(1, (0, 1)))


def test_of_statements_about_different_logs_the_one_that_leaves_fewer_blocks_wins() -> None:
    assert unsigned(1, (0, 5), (1, 1)).outweighs(unsigned(1, (0, 1), (1, 100)))
    assert unsigned(1, (0, 1), (1, 1)).outweighs(unsigned(1, (0, 5)))
    assert unsigned(1, (3, 1)).outweighs(unsigned(1, (0, 2)))


def test_nothing_is_kept_of_nothing() -> None:
    assert select([]) == []
