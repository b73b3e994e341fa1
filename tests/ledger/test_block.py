from collections.abc import Mapping
from hashlib import sha256

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.block import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_LOG,
    MAX_SEQ,
    ZEROS,
    Block,
    Counterparty,
    Header,
    block_id,
    body_hash,
    check_body,
    decode_header,
    encode_header,
    log_prefix,
    prefix_after,
    sign_block,
)
from ledger.errors import InvalidError
from ledger.keys import verify
from ledger.run import verify_run
from tests.strategies import Device, blocks, device_keys, headers, make_block, make_body, material

KEY = device_keys().signing
PREVIOUS = material("previous")
PERSON = material("person")
PROPOSAL = material("proposal")
BODY_HASH = material("body hash")
THIRTY_TWO = b"\x58\x20"

HEADER = Header(KEY.public, 1, 2, PREVIOUS, None, "post", BODY_HASH, 24)
BIGGEST = Header(
    KEY.public,
    MAX_LOG,
    MAX_SEQ,
    PREVIOUS,
    Counterparty(PERSON, PROPOSAL),
    "k" * 32,
    BODY_HASH,
    MAX_BODY_BYTES,
    b"e" * 32,
)
PARTS = {
    "array": b"\x8a",
    "version": b"\x01",
    "author": THIRTY_TWO + KEY.public,
    "log": b"\x01",
    "seq": b"\x02",
    "previous": THIRTY_TWO + PREVIOUS,
    "counterparty": b"\xf6",
    "kind": b"\x64post",
    "body_hash": THIRTY_TWO + BODY_HASH,
    "body_size": b"\x18\x18",
    "ext": b"\x40",
}


def spelled(**changes: bytes) -> bytes:
    """HEADER byte by byte, with some parts spelled otherwise."""
    assert changes.keys() <= PARTS.keys()
    return b"".join((PARTS | changes).values())


def pair(person: bytes, proposal: bytes) -> bytes:
    return b"\x82" + THIRTY_TWO + person + THIRTY_TWO + proposal


# --- one spelling -------------------------------------------------------------------------------


@given(headers())
@example(HEADER)
@example(HEADER._replace(counterparty=Counterparty(ZEROS, ZEROS)))
@example(HEADER._replace(counterparty=Counterparty(PERSON, ZEROS)))
@example(HEADER._replace(seq=MAX_SEQ, log=MAX_LOG))
@example(HEADER._replace(ext=b"e" * 32))
@example(HEADER._replace(kind="0./-" * 8))
def test_a_header_is_read_back_as_it_was_written(header: Header) -> None:
    assert decode_header(encode_header(header)) == header


@given(headers())
def test_a_header_is_what_a_general_encoder_makes_of_its_ten_fields(header: Header) -> None:
    asked = header.counterparty
    fields = [
        1,
        header.author,
        header.log,
        header.seq,
        header.previous,
        None if asked is None else [asked.person, asked.proposal],
        header.kind,
        header.body_hash,
        header.body_size,
        header.ext,
    ]
    assert encode_header(header) == cbor2.dumps(fields, canonical=True)
    assert cbor2.loads(encode_header(header)) == fields


def test_a_header_is_spelled_as_its_parts_one_by_one() -> None:
    assert spelled() == encode_header(HEADER)
    assert decode_header(spelled()) == HEADER


def test_a_header_with_every_field_at_its_limit_is_valid() -> None:
    raw = encode_header(BIGGEST)
    assert len(raw) == 258
    assert decode_header(raw) == BIGGEST


def test_the_limit_of_a_header_is_the_size_of_the_biggest() -> None:
    assert len(encode_header(BIGGEST)) == MAX_HEADER_BYTES


@given(headers(), st.data())
def test_a_header_with_one_other_byte_is_refused_or_is_another_block(
    header: Header, data: st.DataObject
) -> None:
    raw = encode_header(header)
    at = data.draw(st.integers(0, len(raw) - 1), label="at")
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != raw[at]), label="byte")
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    try:
        other = decode_header(changed)
    except InvalidError:
        return
    assert encode_header(other) == changed
    assert other != header
    assert block_id(changed) != block_id(raw)


def test_every_other_byte_anywhere_is_refused_or_is_another_block() -> None:
    raw = encode_header(HEADER._replace(counterparty=Counterparty(PERSON, PROPOSAL), ext=b"ext"))
    for at in range(len(raw)):
        for byte in range(256):
            changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
            try:
                other = decode_header(changed)
            except InvalidError:
                continue
            assert encode_header(other) == changed


@given(headers())
def test_a_header_cut_anywhere_is_refused(header: Header) -> None:
    raw = encode_header(header)
    for length in range(len(raw)):
        with pytest.raises(InvalidError):
            decode_header(raw[:length])


@given(headers(), st.binary(min_size=1, max_size=40))
def test_nothing_may_follow_a_header(header: Header, more: bytes) -> None:
    with pytest.raises(InvalidError):
        decode_header(encode_header(header) + more)


@given(st.binary(max_size=300), st.sampled_from([b"", spelled()[:4], spelled()[:73]]))
def test_noise_is_refused_or_is_the_one_spelling_of_a_header(noise: bytes, start: bytes) -> None:
    try:
        header = decode_header(start + noise)
    except InvalidError:
        return
    assert encode_header(header) == start + noise


def test_a_header_too_long_to_be_one_is_refused() -> None:
    with pytest.raises(InvalidError, match="bytes"):
        decode_header(spelled() + bytes(1 << 20))


@given(headers())
def test_the_prefix_after_a_block_is_how_the_next_header_begins(header: Header) -> None:
    start = log_prefix(header.author, header.log)
    prefix = prefix_after(start, header.seq, header.previous)
    assert encode_header(header).startswith(prefix)


# --- refusals -----------------------------------------------------------------------------------

REFUSED: Mapping[str, dict[str, bytes]] = {
    "nine fields": {"array": b"\x89"},
    "eleven fields": {"array": b"\x8b"},
    "an array head that is too long": {"array": b"\x98\x0a"},
    "an array without end": {"array": b"\x9f"},
    "a map": {"array": b"\xaa"},
    "a tag before it": {"array": b"\xd9\xd9\xf7\x8a"},
    "version 0": {"version": b"\x00"},
    "version 2": {"version": b"\x02"},
    "version 1 in two bytes": {"version": b"\x18\x01"},
    "version true": {"version": b"\xf5"},
    "an author of 31 bytes": {"author": b"\x58\x1f" + KEY.public[1:]},
    "an author of 33 bytes": {"author": b"\x58\x21" + KEY.public + b"\0"},
    "an author that is text": {"author": b"\x78\x20" + b"a" * 32},
    "an author with a long head": {"author": b"\x59\x00\x20" + KEY.public},
    "no author": {"author": b"\xf6"},
    "log 2^32": {"log": bytes.fromhex("1b0000000100000000")},
    "log 2^64-1": {"log": b"\x1b" + b"\xff" * 8},
    "log -1": {"log": b"\x20"},
    "log 1 in two bytes": {"log": b"\x18\x01"},
    "log 1 in nine bytes": {"log": b"\x1b" + bytes(7) + b"\x01"},
    "log null": {"log": b"\xf6"},
    "log as text": {"log": b"\x61\x31"},
    "log 1.0": {"log": b"\xf9\x3c\x00"},
    "seq 0": {"seq": b"\x00"},
    "seq 2^40": {"seq": bytes.fromhex("1b0000010000000000")},
    "seq 2^63": {"seq": bytes.fromhex("1b8000000000000000")},
    "seq 2^64-1": {"seq": b"\x1b" + b"\xff" * 8},
    "seq -1": {"seq": b"\x20"},
    "seq 2 in two bytes": {"seq": b"\x18\x02"},
    "seq 2 in three bytes": {"seq": b"\x19\x00\x02"},
    "seq 2 in five bytes": {"seq": b"\x1a\x00\x00\x00\x02"},
    "seq 2 in nine bytes": {"seq": b"\x1b" + bytes(7) + b"\x02"},
    "seq as a big number": {"seq": b"\xc2\x41\x02"},
    "seq 2.0": {"seq": b"\xf9\x40\x00"},
    "seq true": {"seq": b"\xf5"},
    "seq without end": {"seq": b"\x1f"},
    "seq cut short": {"seq": b"\x1b\x00"},
    "previous of zeros at seq 2": {"previous": THIRTY_TWO + ZEROS},
    "previous of 31 bytes": {"previous": b"\x58\x1f" + PREVIOUS[1:]},
    "previous null": {"previous": b"\xf6"},
    "previous as text": {"previous": b"\x78\x20" + b"a" * 32},
    "counterparty false": {"counterparty": b"\xf4"},
    "counterparty undefined": {"counterparty": b"\xf7"},
    "counterparty of nothing": {"counterparty": b"\x80"},
    "counterparty of one": {"counterparty": b"\x81" + THIRTY_TWO + PERSON},
    "counterparty of three": {"counterparty": b"\x83" + pair(PERSON, ZEROS)[1:] + b"\xf6"},
    "counterparty of two nulls": {"counterparty": b"\x82\xf6\xf6"},
    "counterparty whose person is short": {
        "counterparty": b"\x82\x58\x1f" + PERSON[1:] + THIRTY_TWO + ZEROS
    },
    "counterparty whose proposal is short": {
        "counterparty": b"\x82" + THIRTY_TWO + PERSON + b"\x58\x1f" + PROPOSAL[1:]
    },
    "counterparty with a long head": {"counterparty": b"\x98\x02" + pair(PERSON, ZEROS)[1:]},
    "counterparty without end": {"counterparty": b"\x9f" + pair(PERSON, ZEROS)[1:] + b"\xff"},
    "an agreement that names nobody": {"counterparty": pair(ZEROS, PROPOSAL)},
    "kind of nothing": {"kind": b"\x60"},
    "kind of 33 letters": {"kind": b"\x78\x21" + b"k" * 33},
    "kind of 255 letters": {"kind": b"\x78\xff" + b"k" * 255},
    "kind with a capital": {"kind": b"\x64Post"},
    "kind with a space": {"kind": b"\x64po t"},
    "kind with an underscore": {"kind": b"\x64po_t"},
    "kind longer than it says": {"kind": b"\x63post"},
    "kind shorter than it says": {"kind": b"\x65post"},
    "kind with a line end": {"kind": b"\x65post\n"},
    "kind with a zero byte": {"kind": b"\x65post\0"},
    "kind with an accent": {"kind": b"\x65p\xc3\xb6st"},
    "kind with a digit of another script": {"kind": b"\x65pos\xd9\xa1"},
    "kind as bytes": {"kind": b"\x44post"},
    "kind with a long head": {"kind": b"\x78\x04post"},
    "kind without end": {"kind": b"\x7f\x64post\xff"},
    "kind longer than all": {"kind": b"\x7b" + b"\xff" * 8 + b"post"},
    "kind null": {"kind": b"\xf6"},
    "body hash of 31 bytes": {"body_hash": b"\x58\x1f" + BODY_HASH[1:]},
    "body hash null": {"body_hash": b"\xf6"},
    "body size 16385": {"body_size": b"\x19\x40\x01"},
    "body size 2^64-1": {"body_size": b"\x1b" + b"\xff" * 8},
    "body size -1": {"body_size": b"\x20"},
    "body size 24 in three bytes": {"body_size": b"\x19\x00\x18"},
    "body size null": {"body_size": b"\xf6"},
    "ext of 33 bytes": {"ext": b"\x58\x21" + b"e" * 33},
    "ext as text": {"ext": b"\x60"},
    "ext null": {"ext": b"\xf6"},
    "ext of nothing in two bytes": {"ext": b"\x58\x00"},
    "ext without end": {"ext": b"\x5f\xff"},
    "ext longer than all": {"ext": b"\x5b" + b"\xff" * 8},
    "ext shorter than all": {"ext": b"\x41ee"},
    "log 1 beginning with zeros": {"seq": b"\x01", "previous": THIRTY_TWO + ZEROS},
    "log 0 going on with zeros": {"log": b"\x00", "previous": THIRTY_TWO + ZEROS},
    "log 0 beginning with a post": {
        "log": b"\x00", "seq": b"\x01", "previous": THIRTY_TWO + ZEROS
    },
    "log 0 beginning after something": {
        "log": b"\x00", "seq": b"\x01", "kind": b"\x66device"
    },
    "log 0 beginning with a proposal": {
        "log": b"\x00",
        "seq": b"\x01",
        "previous": THIRTY_TWO + ZEROS,
        "kind": b"\x66device",
        "counterparty": pair(PERSON, ZEROS),
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_a_header_that_contradicts_itself_or_has_a_second_spelling_is_refused(
    changes: dict[str, bytes],
) -> None:
    with pytest.raises(InvalidError):
        decode_header(spelled(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"log": b"\x00"},
        {"log": b"\x1a" + b"\xff" * 4},
        {"seq": b"\x01"},
        {"seq": bytes.fromhex("1b000000ffffffffff")},
        {"counterparty": pair(ZEROS, ZEROS)},
        {"counterparty": pair(PERSON, ZEROS)},
        {"counterparty": pair(PERSON, PROPOSAL)},
        {"kind": b"\x61-"},
        {"kind": b"\x66device"},
        {"kind": b"\x78\x20" + b"0" * 32},
        {"body_size": b"\x00"},
        {"body_size": b"\x19\x40\x00"},
        {"ext": b"\x41\x00"},
        {"ext": b"\x58\x20" + b"e" * 32},
    ],
)
def test_a_field_at_its_limit_is_valid(changes: dict[str, bytes]) -> None:
    assert encode_header(decode_header(spelled(**changes))) == spelled(**changes)


def test_log_0_begins_with_a_device_block() -> None:
    first = {"log": b"\0", "seq": b"\1", "previous": THIRTY_TWO + ZEROS, "kind": b"\x66device"}
    header = decode_header(spelled(**first))
    assert (header.log, header.seq, header.previous, header.kind) == (0, 1, ZEROS, "device")


# --- bodies, identifiers, signatures ------------------------------------------------------------


@given(blocks())
def test_identifier_body_hash_and_signature_have_contexts_of_their_own(block: Block) -> None:
    assert block.body is not None
    assert block.raw == encode_header(block.header)
    assert block.id == block_id(block.raw) == sha256(b"passalong/id/1" + block.raw).digest()
    assert block.header.body_hash == sha256(b"passalong/body/1" + block.body).digest()
    assert verify(block.header.author, b"passalong/block/1" + block.raw, block.signature)


@given(blocks())
def test_a_block_alone_is_a_run(block: Block) -> None:
    run = verify_run([(block.raw, block.signature, block.body)], verify)
    assert run.blocks == (block,)


@given(blocks(), st.data())
def test_any_flipped_bit_of_header_body_or_signature_is_noticed(
    block: Block, data: st.DataObject
) -> None:
    # given a block with one bit flipped
    assert block.body is not None
    sent = [bytearray(block.raw), bytearray(block.signature), bytearray(block.body)]
    part = data.draw(st.sampled_from([part for part in sent if part]), label="part")
    bit = data.draw(st.integers(0, len(part) * 8 - 1), label="bit")
    part[bit // 8] ^= 1 << bit % 8
    raw, signature, body = map(bytes, sent)
    # when a peer delivers it
    # then it is refused
    with pytest.raises(InvalidError):
        verify_run([(raw, signature, body)], verify)


def test_every_flipped_bit_of_one_block_is_noticed() -> None:
    block = Device().write("hello")
    whole = block.raw + block.signature + (block.body or b"")
    ends = len(block.raw), len(block.raw) + len(block.signature)
    for bit in range(len(whole) * 8):
        sent = bytearray(whole)
        sent[bit // 8] ^= 1 << bit % 8
        raw, signature, body = sent[: ends[0]], sent[ends[0] : ends[1]], sent[ends[1] :]
        with pytest.raises(InvalidError):
            verify_run([(bytes(raw), bytes(signature), bytes(body))], verify)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_body_is_the_one_its_header_names(body: bytes, other: bytes) -> None:
    header = HEADER._replace(body_hash=body_hash(body), body_size=len(body))
    check_body(header, body)
    if other != body:
        with pytest.raises(InvalidError):
            check_body(header, other)


@pytest.mark.parametrize("size", [0, 23, 25, 16_384])
def test_a_body_of_another_size_than_its_header_says_is_refused(size: int) -> None:
    body = bytes(24)
    header = HEADER._replace(body_hash=body_hash(body), body_size=size)
    with pytest.raises(InvalidError):
        check_body(header, body)


def test_a_body_of_16384_bytes_is_the_biggest() -> None:
    biggest = make_block(KEY, 1, 2, PREVIOUS, body=bytes(16_384))
    assert verify_run([(biggest.raw, biggest.signature, biggest.body)], verify).high == 2
    with pytest.raises(InvalidError):
        make_block(KEY, 1, 2, PREVIOUS, body=bytes(16_385))


def test_a_block_without_a_body_of_its_own_may_have_an_empty_one() -> None:
    empty = make_block(KEY, 1, 2, PREVIOUS, body=b"")
    assert verify_run([(empty.raw, empty.signature, b"")], verify).blocks == (empty,)


# --- writing ------------------------------------------------------------------------------------


def test_a_device_signs_only_for_itself() -> None:
    body = make_body()
    header = HEADER._replace(body_hash=body_hash(body), body_size=len(body))
    assert sign_block(KEY, header, body).header == header
    with pytest.raises(InvalidError):
        sign_block(device_keys(1).signing, header, body)
    with pytest.raises(InvalidError):
        sign_block(KEY, header._replace(author=device_keys(1).public), body)


def test_a_device_signs_only_the_body_the_header_names() -> None:
    body = make_body()
    header = HEADER._replace(body_hash=body_hash(body), body_size=len(body))
    with pytest.raises(InvalidError):
        sign_block(KEY, header, body + b"\0")


@pytest.mark.parametrize(
    "wrong",
    [
        HEADER._replace(seq=0),
        HEADER._replace(seq=-1),
        HEADER._replace(seq=1 << 40),
        HEADER._replace(seq=1 << 63),
        HEADER._replace(log=1 << 32),
        HEADER._replace(log=-1),
        HEADER._replace(previous=ZEROS),
        HEADER._replace(previous=b""),
        HEADER._replace(log=0, seq=1),
        HEADER._replace(log=0, seq=1, previous=ZEROS),
        HEADER._replace(kind=""),
        HEADER._replace(kind="k" * 33),
        HEADER._replace(kind="Post"),
        HEADER._replace(kind="é"),
        HEADER._replace(counterparty=Counterparty(ZEROS, PROPOSAL)),
        HEADER._replace(counterparty=Counterparty(PERSON[1:], ZEROS)),
        HEADER._replace(ext=b"e" * 33),
    ],
)
def test_a_device_signs_no_header_that_others_would_refuse(wrong: Header) -> None:
    body = make_body()
    with pytest.raises(InvalidError):
        sign_block(KEY, wrong._replace(body_hash=body_hash(body), body_size=len(body)), body)
