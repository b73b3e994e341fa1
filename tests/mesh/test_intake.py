"""What comes out of a bundle: whatever holds, in batches; what does not is counted and left."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

from gossip.bundle import NotABundleError
from gossip.wire import (
    MAX_HOPS,
    Bodies,
    Data,
    Proofs,
    RawRun,
    Statements,
    encode_message,
)
from ledger.codec import encode
from ledger.fork import ForkProof, Vouched
from ledger.keys import SIGNATURE_BYTES
from ledger.store.base import LateBody
from mesh.intake import BATCH_BLOCKS, BATCH_BYTES, CHUNK_BYTES, Intake
from tests.gossip.held import bundle, frames, raw_run, revocation
from tests.strategies import Device, device_keys, forked, make_block, material, written

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.run import RawBlock, Run
    from ledger.store.base import Batch

ROOT = Device().root
LEFT, RIGHT = (blocks[4] for blocks in forked(5, 1, 1))
PROOF = ForkProof.of(Vouched.of([LEFT]), Vouched.of([RIGHT])).encode()
GONE = revocation()


def taken(*messages: bytes) -> tuple[Intake, list[Batch]]:
    intake = Intake(BytesIO(bundle(messages)), None)
    batches = list(intake.batches())
    assert intake.reader.damage is None
    return intake, batches


def data(*runs: RawRun) -> bytes:
    return encode_message(Data(runs))


def runs_in(batches: list[Batch]) -> list[Run]:
    return [run for batch in batches for run in batch.runs]


# --- agreement ----------------------------------------------------------------------------------


def test_each_kind_of_message_goes_to_its_place() -> None:
    late = LateBody(ROOT.header.author, 0, 1, b"body")
    intake, (batch,) = taken(
        encode_message(Statements([(GONE.raw, GONE.signature)])),
        encode_message(Proofs([PROOF])),
        data(raw_run([ROOT], 4), raw_run(written(3))),
        encode_message(Bodies([late])),
        encode([42, []]),
    )
    assert [(len(run.blocks), run.hops) for run in batch.runs] == [(1, 5), (3, 1)]
    assert batch.bodies == [late]
    assert [proof.encode() for proof in batch.proofs] == [PROOF]
    assert batch.revocations == [GONE]
    assert (intake.refused, intake.skipped) == (0, 1)
    assert (dict(batch.notes), batch.own) == ({}, None)


def test_hops_do_not_go_beyond_255() -> None:
    _, batches = taken(data(raw_run([ROOT], MAX_HOPS)))
    assert [run.hops for run in runs_in(batches)] == [MAX_HOPS]


def test_a_signature_that_was_not_verified_is_not_kept() -> None:
    # given a run in which a signature that need not be there is wrong
    first, *rest = written(3)
    wrong = first._replace(signature=bytes(SIGNATURE_BYTES))
    _, batches = taken(data(raw_run([wrong, *rest])))
    # then the run holds, and that signature is gone
    (run,) = runs_in(batches)
    assert [bool(block.signature) for block in run.blocks] == [False, False, True]


def test_a_bundle_of_nothing_is_no_batch() -> None:
    assert taken()[1] == []


def test_batches_end_at_a_thousand_blocks_or_four_megabytes() -> None:
    # given messages of 100 short blocks
    short = [data(raw_run(written(1_200)[low : low + 100])) for low in range(0, 1_200, 100)]
    _, batches = taken(*short, *short)
    assert [sum(len(r.blocks) for r in b.runs) for b in batches] == [BATCH_BLOCKS, 1_000, 400]
    # and messages of 60 kB that hold nothing
    empty = [encode([16, bytes(60_000)])] * 100
    _, batches = taken(*empty)
    assert len(batches) == -(-100 * 60_004 // BATCH_BYTES) == 2


def test_it_reads_on_from_where_the_stream_stands() -> None:
    told: list[tuple[int, int | None]] = []
    raw = bundle([data(raw_run([ROOT]))])
    stream = BytesIO(b"before" + raw)
    stream.seek(6)
    intake = Intake(stream, lambda done, total: told.append((done, total)))
    assert len(runs_in(list(intake.batches()))) == 1
    assert intake.bytes == len(raw)
    assert told == [(len(raw), len(raw))]


class Pipe(BytesIO):
    """A stream that cannot be sought in and gives a byte at a time."""

    @override
    def seekable(self) -> bool:
        return False

    @override
    def seek(self, *_: object) -> int:
        raise OSError(29, "Illegal seek")

    @override
    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        return super().read(min(size, 1))


def test_a_pipe_that_gives_a_byte_at_a_time_is_read_whole() -> None:
    told: list[int | None] = []
    intake = Intake(Pipe(bundle([data(raw_run([ROOT]))])), lambda _, total: told.append(total))
    assert len(runs_in(list(intake.batches()))) == 1
    assert set(told) == {None}


# --- refusal ------------------------------------------------------------------------------------


def changed(blocks: tuple[Block, ...], at: int, part: int, new: bytes | None) -> RawRun:
    """Return a run in which one part of one block is another."""
    items: list[RawBlock] = [(block.raw, block.signature, block.body) for block in blocks]
    header, signature, body = items[at]
    items[at] = (
        new if part == 0 and new is not None else header,
        new if part == 1 and new is not None else signature,
        new if part == 2 else body,
    )
    return RawRun(items, 0)


WROTE = written(3)
STRANGER = make_block(device_keys(9).signing, 1, 2, WROTE[0].id)
BAD_RUNS = {
    "a header of nothing": changed(WROTE, 0, 0, b""),
    "a header with a bit flipped": changed(WROTE, 1, 0, WROTE[1].raw[:-1] + b"\x01"),
    "a header spelled otherwise": changed(
        WROTE, 0, 0, WROTE[0].raw.replace(b"\x01", b"\x18\x01", 1)
    ),
    "a header of another author": changed(WROTE, 1, 0, STRANGER.raw),
    "a body of another block": changed(WROTE, 1, 2, WROTE[0].body),
    "a body of nothing": changed(WROTE, 1, 2, b""),
    "no signature at the end": changed(WROTE, 2, 1, b""),
    "a signature of another block at the end": changed(WROTE, 2, 1, WROTE[0].signature),
    "a gap": raw_run([WROTE[0], WROTE[2]]),
    "an order upside down": raw_run(WROTE[::-1]),
    "one block twice": raw_run([WROTE[0], WROTE[0]]),
}


@pytest.mark.parametrize("what", BAD_RUNS)
def test_a_run_that_does_not_hold_is_counted_and_those_around_it_are_taken(what: str) -> None:
    run = BAD_RUNS[what]
    intake, batches = taken(data(raw_run([ROOT]), run, raw_run(WROTE)))
    assert [len(one.blocks) for one in runs_in(batches)] == [1, 3]
    assert intake.refused == len(run.blocks)


def test_a_statement_or_proof_that_does_not_hold_is_counted_and_those_around_it_are_taken() -> None:
    good, forged = (GONE.raw, GONE.signature), (GONE.raw, bytes(SIGNATURE_BYTES))
    intake, (batch,) = taken(
        encode_message(Statements([forged, good, (b"", GONE.signature)])),
        encode_message(Proofs([PROOF[:-1] + bytes([PROOF[-1] ^ 1]), PROOF, b""])),
    )
    assert batch.revocations == [GONE]
    assert [proof.encode() for proof in batch.proofs] == [PROOF]
    assert intake.refused == 4


@pytest.mark.parametrize(
    "message", [b"\xff", encode([6, []]), encode([-1]), encode(["text"]), b"\x82\x06", b"\x00"]
)
def test_a_message_that_is_none_is_counted_and_those_around_it_are_taken(message: bytes) -> None:
    intake, batches = taken(data(raw_run([ROOT])), message, data(raw_run(WROTE)))
    assert [len(run.blocks) for run in runs_in(batches)] == [1, 3]
    assert intake.refused == 1


@given(noise=st.lists(st.binary(min_size=1, max_size=60), max_size=6), at=st.integers(0, 6))
def test_noise_between_messages_takes_nothing_away(noise: list[bytes], at: int) -> None:
    kept = [one for one in noise if not one.startswith(b"\x84\x0f")]
    intake, batches = taken(*kept[:at], data(raw_run(WROTE)), *kept[at:])
    assert [len(run.blocks) for run in runs_in(batches)] == [3]
    assert intake.refused + intake.skipped <= len(kept)


class Endless:
    """A stream without end: what it begins with, then the same byte for ever."""

    def __init__(self, begins: bytes, byte: bytes = b"\0") -> None:
        self.read_so_far = 0
        self._begins, self._byte = begins, byte

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        start, self._begins = self._begins[:size], self._begins[size:]
        self.read_so_far += size
        return start + self._byte * (size - len(start))


@pytest.mark.parametrize("byte", [b"\0", b"\x89", b"\xff", b"A"])
def test_gigabytes_of_anything_are_refused_after_the_first_piece(byte: bytes) -> None:
    stream = Endless(b"", byte)
    with pytest.raises(NotABundleError):
        list(Intake(stream, None).batches())  # type: ignore[arg-type]
    assert stream.read_so_far == CHUNK_BYTES


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_gigabytes_after_good_messages_are_not_read(byte: bytes) -> None:
    whole = bundle([data(raw_run(WROTE))])
    for begins in (whole, whole[: -len(frames(whole)[-1])], whole[:-3]):
        stream = Endless(begins, byte)
        intake = Intake(stream, None)  # type: ignore[arg-type]
        assert len(runs_in(list(intake.batches()))) == 1
        assert stream.read_so_far == CHUNK_BYTES
        assert intake.reader.damage is not None


def test_random_bytes_are_no_bundle() -> None:
    with pytest.raises(NotABundleError):
        list(Intake(BytesIO(material("noise", 1 << 16)), None).batches())
