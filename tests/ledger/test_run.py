from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import (
    BLOCK_CONTEXT,
    MAX_BODY_BYTES,
    MAX_LOG,
    MAX_SEQ,
    Block,
    Counterparty,
    Header,
    block_id,
    decode_header,
    encode_header,
)
from ledger.codec import encode
from ledger.errors import InvalidError
from ledger.keys import verify
from ledger.run import RawBlock, must_be_signed, verify_run
from tests.strategies import (
    GROUP,
    SOCIAL,
    Device,
    device_keys,
    items,
    make_block,
    make_body,
    material,
    run_of,
    written,
)

LOW, INNER, MARK, HALF, HIGH = 60, 62, 64, 66, 70
"""The run of the tamper table: first seq, an ordinary one, a multiple of 64, a half-block, tip."""


def _travelling() -> list[Block]:
    device = Device()
    device.write_many(HALF - 1)
    device.write("agreed?", counterparty=Counterparty(material("person"), bytes(32)))
    return device.write_many(HIGH - HALF)[LOW - 1 :]


TRAVELLING = _travelling()
Tampering = Callable[[list[RawBlock]], list[RawBlock]]
REFUSED = None


class Counter:
    """``verify`` that counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, public: bytes, message: bytes, signature: bytes) -> bool:
        self.count += 1
        return verify(public, message, signature)


def flip(data: bytes | None) -> bytes:
    assert data
    return data[:-1] + bytes([data[-1] ^ 1])


def change(
    seq: int,
    *,
    raw: Callable[[bytes], bytes] = bytes,
    signature: Callable[[bytes], bytes] = bytes,
    body: Callable[[bytes | None], bytes | None] = lambda body: body,
) -> Tampering:
    def tamper(sent: list[RawBlock]) -> list[RawBlock]:
        header, sig, said = sent[seq - LOW]
        return replace(seq, (raw(header), signature(sig), body(said)))(sent)

    return tamper


def replace(seq: int, *instead: RawBlock) -> Tampering:
    return lambda sent: [*sent[: seq - LOW], *instead, *sent[seq - LOW + 1 :]]


def missing(_data: bytes | None) -> bytes:
    return b""


def item(block: Block) -> RawBlock:
    return block.raw, block.signature, block.body


def stranger(seq: int, *, number: int = 0, log: int = SOCIAL, previous: bytes = b"") -> RawBlock:
    """A signed block for the place ``seq``; as the run's own but for what is given."""
    before = previous or TRAVELLING[seq - LOW].header.previous
    return item(make_block(device_keys(number).signing, log, seq, before))


def zeroed(_data: bytes) -> bytes:
    return bytes(64)


KEPT = {MARK, HALF, HIGH}
"""Where an accepted run keeps signatures: it verified no others."""

TAMPER_TABLE: dict[str, tuple[Tampering, Collection[int] | None]] = {
    "nothing": (lambda sent: sent, KEPT),
    "inner body flipped": (change(INNER, body=flip), REFUSED),
    "inner body of another block": (change(INNER, body=lambda _: make_body("other")), REFUSED),
    "inner body longer": (change(INNER, body=lambda body: (body or b"") + b"\0"), REFUSED),
    "inner body empty": (change(INNER, body=missing), REFUSED),
    "inner body not there": (change(INNER, body=lambda _: None), KEPT),
    "first body flipped": (change(LOW, body=flip), REFUSED),
    "tip body flipped": (change(HIGH, body=flip), REFUSED),
    "tip body not there": (change(HIGH, body=lambda _: None), KEPT),
    "tip signature flipped": (change(HIGH, signature=flip), REFUSED),
    "tip signature missing": (change(HIGH, signature=missing), REFUSED),
    "tip signature zeros": (change(HIGH, signature=zeroed), REFUSED),
    "tip signature of another block": (
        change(HIGH, signature=lambda _: TRAVELLING[-2].signature), REFUSED,
    ),
    "inner signature flipped": (change(INNER, signature=flip), KEPT),
    "inner signature missing": (change(INNER, signature=missing), KEPT),
    "inner signature zeros": (change(INNER, signature=zeroed), KEPT),
    "first signature flipped": (change(LOW, signature=flip), KEPT),
    "inner signature one byte short": (change(INNER, signature=lambda sig: sig[1:]), REFUSED),
    "inner signature one byte long": (change(INNER, signature=lambda sig: sig + b"\0"), REFUSED),
    "signature at 64 flipped": (change(MARK, signature=flip), REFUSED),
    "signature at 64 missing": (change(MARK, signature=missing), REFUSED),
    "half-block's signature flipped": (change(HALF, signature=flip), REFUSED),
    "half-block's signature missing": (change(HALF, signature=missing), REFUSED),
    "inner header flipped": (change(INNER, raw=flip), REFUSED),
    "tip header flipped": (change(HIGH, raw=flip), REFUSED),
    "first header flipped": (change(LOW, raw=flip), REFUSED),
    "previous broken": (replace(INNER, stranger(INNER, previous=material("else"))), REFUSED),
    "previous of the tip broken": (
        replace(HIGH, stranger(HIGH, previous=material("else"))), REFUSED,
    ),
    "another block of the author inside": (replace(INNER, stranger(INNER)), REFUSED),
    "gap": (lambda sent: [*sent[:2], *sent[3:]], REFUSED),
    "gap before the tip": (lambda sent: [*sent[:-2], sent[-1]], REFUSED),
    "gap over 64": (lambda sent: [*sent[: MARK - LOW], *sent[MARK - LOW + 1 :]], REFUSED),
    "a block twice": (lambda sent: [*sent[:2], sent[1], *sent[2:]], REFUSED),
    "the tip twice": (lambda sent: [*sent, sent[-1]], REFUSED),
    "order swapped": (lambda sent: [*sent[:1], sent[2], sent[1], *sent[3:]], REFUSED),
    "order reversed": (lambda sent: sent[::-1], REFUSED),
    "begun later": (lambda sent: sent[2:], KEPT),
    "ended earlier": (lambda sent: sent[:-2], {MARK, HALF, HIGH - 2}),
    "other author inserted": (
        lambda sent: [*sent[:2], stranger(INNER, number=1), *sent[2:]], REFUSED,
    ),
    "other author instead": (replace(INNER, stranger(INNER, number=1)), REFUSED),
    "other author as tip": (replace(HIGH, stranger(HIGH, number=1)), REFUSED),
    "other author after the tip": (
        lambda sent: [*sent, stranger(HIGH, number=1)], REFUSED,
    ),
    "other log inserted": (
        lambda sent: [*sent[:2], stranger(INNER, log=GROUP), *sent[2:]], REFUSED,
    ),
    "other log instead": (replace(INNER, stranger(INNER, log=GROUP)), REFUSED),
    "other log as tip": (replace(HIGH, stranger(HIGH, log=GROUP)), REFUSED),
    "nothing left": (lambda _: [], REFUSED),
    "an empty header": (change(INNER, raw=missing), REFUSED),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "kept"), TAMPER_TABLE.values(), ids=TAMPER_TABLE.keys())
def test_tampering_is_refused_or_leaves_an_unverified_signature_empty(
    tamper: Tampering, kept: Collection[int] | None
) -> None:
    sent = tamper(items(TRAVELLING))
    if kept is REFUSED:
        with pytest.raises(InvalidError):
            verify_run(sent, verify)
        return
    run = verify_run(sent, verify)
    honest = {block.header.seq: block for block in TRAVELLING}
    assert [block.header.seq for block in run.blocks if block.signature] == sorted(kept)
    for block, (_, _, body) in zip(run.blocks, sent, strict=True):
        expected = honest[block.header.seq]
        assert block.id == expected.id
        assert block.body == body
        assert block.signature in {b"", expected.signature}


# --- what it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "length", "count"),
    [
        (1, 1, 1),
        (1, 2, 1),
        (1, 63, 1),
        (1, 64, 1),
        (1, 65, 2),
        (1, 200, 4),
        (2, 1, 1),
        (2, 63, 1),
        (2, 64, 2),
        (63, 1, 1),
        (63, 2, 1),
        (63, 63, 2),
        (63, 65, 2),
        (63, 66, 2),
        (63, 67, 3),
        (64, 1, 1),
        (64, 2, 2),
        (64, 63, 2),
        (64, 64, 2),
        (64, 65, 2),
        (64, 200, 5),
        (65, 63, 1),
        (65, 64, 1),
        (65, 65, 2),
        (65, 200, 4),
        (129, 200, 4),
    ],
)
def test_a_run_costs_one_signature_and_one_for_every_64_blocks(
    low: int, length: int, count: int
) -> None:
    sent = items(written(400)[low - 1 : low - 1 + length])
    counter = Counter()
    run = verify_run(sent, counter)
    assert counter.count == count
    assert sum(bool(block.signature) for block in run.blocks) == count


def test_every_half_block_of_a_run_costs_its_signature() -> None:
    counter = Counter()
    verify_run(items(TRAVELLING), counter)
    assert counter.count == len(KEPT)


def test_a_refused_run_costs_no_more_than_a_good_one() -> None:
    sent = items(written(200))
    counter = Counter()
    with pytest.raises(InvalidError):
        verify_run([*sent[:63], (sent[63][0], flip(sent[63][1]), None), *sent[64:]], counter)
    assert counter.count == 1


def test_a_run_that_is_not_linked_costs_no_signature() -> None:
    sent = items(written(200))
    counter = Counter()
    with pytest.raises(InvalidError):
        verify_run([*sent[:150], *sent[151:]], counter)
    assert counter.count == 0


@given(st.integers(1, 150), st.integers(1, 80), st.data())
def test_an_unverified_signature_is_never_kept(low: int, length: int, data: st.DataObject) -> None:
    # given a run in which all signatures but the mandatory ones are junk, or none
    blocks = written(240)[low - 1 : low - 1 + length]
    junk = st.sampled_from([b"", bytes(64), blocks[0].signature])
    sent = [
        (b.raw, b.signature if b is blocks[-1] or b.header.seq % 64 == 0 else data.draw(junk), None)
        for b in blocks
    ]
    # when it is verified
    run = verify_run(sent, verify)
    # then what is kept is as if it had come with good ones, and each kept signature holds
    assert run.blocks == tuple(b._replace(body=None) for b in run_of(blocks).blocks)
    for block in run.blocks:
        if block.signature:
            assert verify(block.header.author, BLOCK_CONTEXT + block.raw, block.signature)


@given(st.integers(1, 150), st.integers(1, 80))
def test_every_block_is_followed_by_a_kept_signature_within_64(low: int, length: int) -> None:
    run = run_of(written(240)[low - 1 : low - 1 + length])
    assert run.blocks[-1].signature
    for index in range(len(run.blocks)):
        assert any(block.signature for block in run.blocks[index : index + 64])


@given(st.integers(1, 300).map(lambda n: n * 64), st.booleans())
def test_the_rule_of_64_counts_from_the_log_and_not_from_the_run(seq: int, last: bool) -> None:  # noqa: FBT001
    header = written(1)[0].header
    assert must_be_signed(header._replace(seq=seq), is_last=last)
    assert must_be_signed(header._replace(seq=seq + 1), is_last=last) is last
    asked = header._replace(seq=seq + 1, counterparty=Counterparty(bytes(32), bytes(32)))
    assert must_be_signed(asked, is_last=last)


# --- what a run says of itself ------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 9))
def test_a_run_says_where_it_begins_and_ends(low: int, length: int, hops: int) -> None:
    blocks = written(80)[low - 1 : low - 1 + length]
    run = run_of(blocks, hops)
    assert (run.author, run.log, run.hops) == (Device().public, SOCIAL, hops)
    assert (run.low, run.high) == (low, low + length - 1)
    assert run.previous == blocks[0].header.previous
    assert run.tip == blocks[-1].id
    assert [run.id_at(seq) for seq in range(run.low, run.high + 1)] == [b.id for b in blocks]


def test_log_0_and_a_group_log_travel_as_any_other() -> None:
    for log in (0, GROUP):
        blocks = written(70, log)
        assert run_of(blocks).blocks == tuple(
            b if b.header.seq in {64, 70} else b._replace(signature=b"") for b in blocks
        )


# --- limits -------------------------------------------------------------------------------------


def signed_raw(header: Header) -> RawBlock:
    """Sign bytes that ``sign_block`` would refuse to."""
    raw = encode((1, *header))
    return raw, device_keys().signing.sign(b"passalong/block/1" + raw), None


def test_a_log_ends_at_seq_2_to_the_40_less_1() -> None:
    last = make_block(device_keys().signing, SOCIAL, MAX_SEQ, material("before"))
    beyond = signed_raw(last.header._replace(seq=MAX_SEQ + 1, previous=last.id))
    assert verify_run([item(last)], verify).high == (1 << 40) - 1
    with pytest.raises(InvalidError):
        verify_run([item(last), beyond], verify)
    with pytest.raises(InvalidError):
        verify_run([beyond], verify)


def test_a_run_up_to_the_last_seq_is_a_run() -> None:
    before = make_block(device_keys().signing, SOCIAL, MAX_SEQ - 1, material("before"))
    last = make_block(device_keys().signing, SOCIAL, MAX_SEQ, before.id)
    assert run_of([before, last]).high == MAX_SEQ


WRONG_INSIDE = {
    "kind with a capital": {"kind": "Post"},
    "kind of 33 letters": {"kind": "k" * 33},
    "ext of 33 bytes": {"ext": b"e" * 33},
    "body size 16385": {"body_size": 16_385},
    "an agreement that names nobody": {"counterparty": (bytes(32), bytes([1]) * 32)},
    "body hash of 31 bytes": {"body_hash": bytes(31)},
}


@pytest.mark.parametrize("wrong", WRONG_INSIDE.values(), ids=WRONG_INSIDE.keys())
def test_a_header_refused_alone_is_refused_inside_a_run(wrong: dict[str, object]) -> None:
    first = written(1)[0]
    second = first.header._replace(seq=2, previous=first.id)
    bad = signed_raw(second._replace(**wrong))  # type: ignore[arg-type]
    assert verify_run([item(first), signed_raw(second)], verify).high == 2
    with pytest.raises(InvalidError):
        verify_run([bad], verify)
    with pytest.raises(InvalidError):
        verify_run([item(first), bad], verify)


def test_a_header_accepted_inside_a_run_is_accepted_alone() -> None:
    # given a block with every field at its limit
    before = make_block(device_keys().signing, MAX_LOG, MAX_SEQ - 1, material("before"))
    biggest = before.header._replace(
        seq=MAX_SEQ,
        previous=before.id,
        counterparty=Counterparty(material("person"), material("proposal")),
        kind="k" * 32,
        body_size=MAX_BODY_BYTES,
        ext=b"e" * 32,
    )
    # then it is as valid at the beginning of a run as behind another block
    assert verify_run([item(before), signed_raw(biggest)], verify).high == MAX_SEQ
    assert verify_run([signed_raw(biggest)], verify).high == MAX_SEQ
    assert decode_header(encode_header(biggest)) == biggest


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=60) | st.sampled_from([block.raw for block in written(4)]),
            st.binary(max_size=70) | st.sampled_from([block.signature for block in written(4)]),
            st.none() | st.binary(max_size=60),
        ),
        max_size=4,
    )
)
def test_noise_is_never_more_than_refused(noise: list[RawBlock]) -> None:
    try:
        run = verify_run(noise, verify)
    except InvalidError:
        return
    assert {block.raw for block in run.blocks} <= {block.raw for block in written(4)}


def test_two_devices_that_say_the_same_have_different_blocks() -> None:
    mine, yours = Device(0).write("same"), Device(1).write("same")
    assert mine.body == yours.body
    assert block_id(mine.raw) != block_id(yours.raw)
