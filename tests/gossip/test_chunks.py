"""Chunks: what is read for a request is sent in units that end on signatures, and covers it."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.chunks import Chunk, cut_chunk
from gossip.control import IDENT_BYTES, Mode, Reason, Request
from gossip.serving import CHUNK_BLOCKS, TURN_BLOCKS
from gossip.standing import Salt
from ledger.block import Block
from ledger.chain import Log, Piece
from ledger.run import SIGNED_EVERY
from tests.gossip.meetings import BINDING
from tests.strategies import run_of, written

ENDLESS = (1 << 40) - 1
SALT = Salt(BINDING)


@dataclass
class Task:
    request: Request
    next: int
    until: int = ENDLESS
    ident: bytes = b""


def asked(after: int, until: int = 0, ident: bytes = b"", mode: Mode = Mode.FROM) -> Task:
    request = Request(0, 3, mode, (after, until, ident))
    return Task(request, after + 1, until or ENDLESS, ident)


def newest(count: int, of: int) -> Task:
    return Task(Request(0, 3, Mode.NEWEST, (count,)), max(1, of - count + 1))


def held(blocks: tuple[Block, ...]) -> Log:
    first, last = blocks[0].header, blocks[-1]
    piece = Piece(first.seq, last.header.seq, first.previous, last.id)
    return Log(first.author, first.log, frozenset({first.previous}), (piece,))


def answer(
    task: Task,
    blocks: tuple[Block, ...],
    turn: int = CHUNK_BLOCKS,
    mentioned: int | None = None,
    together: int = 0,
) -> list[Chunk]:
    """Read and cut until nothing more comes, as one who serves reads."""
    chunks: list[Chunk] = []
    while not chunks or not chunks[-1].is_last:
        high = min(task.next + turn, task.until + TURN_BLOCKS) - 1
        read = [block for block in blocks if task.next <= block.header.seq <= high]
        told = len(blocks) if mentioned is None else mentioned
        chunks.append(cut_chunk(task, read, held(blocks), told, SALT, together))
        assert len(chunks) <= len(blocks) + 1
    return chunks


def unit_size(blocks: list[Block]) -> int:
    return sum(len(block.raw) + len(block.body or b"") for block in blocks)


def sent(chunks: list[Chunk]) -> list[Block]:
    return [block for chunk in chunks for unit in chunk.units for block in unit]


# --- agreement ----------------------------------------------------------------------------------


@given(
    length=st.integers(1, 400),
    signed=st.sets(st.integers(1, 400), max_size=8),
    turn=st.sampled_from([TURN_BLOCKS, CHUNK_BLOCKS]),
    together=st.sampled_from([0, 2_000, 20_000]),
    data=st.data(),
)
def test_what_is_sent_covers_the_wish_and_every_unit_ends_on_a_signature(
    length: int, signed: set[int], turn: int, together: int, data: st.DataObject
) -> None:
    # given a log as it is held, with a few signatures besides those it must have
    whole = run_of(written(length)).blocks
    blocks = tuple(
        b._replace(signature=w.signature) if b.header.seq in signed else b
        for b, w in zip(whole, written(length), strict=True)
    )
    after = data.draw(st.integers(0, length - 1))
    until = data.draw(st.sampled_from([0]) | st.integers(after + 1, length + 100))
    # when a part of it is asked for
    chunks = answer(asked(after, until), blocks, turn, together=together)
    # then all of it comes, in order
    seqs = [block.header.seq for block in sent(chunks)]
    assert seqs == list(range(after + 1, after + 1 + len(seqs)))
    assert seqs[-1] >= min(until or length, length)
    # with no more behind it than vouches for it
    assert chunks[-1].units[-1][0].header.seq <= (until or length)
    assert seqs[-1] < (until or length) + SIGNED_EVERY
    assert all(unit[-1].signature for chunk in chunks for unit in chunk.units)
    # and no more behind a signature than goes together
    for unit in (unit for chunk in chunks for unit in chunk.units):
        before = [at for at, block in enumerate(unit[:-1], 1) if block.signature]
        assert not before or unit_size(unit[: before[-1]]) < together


@given(length=st.integers(1, 400), count=st.integers(1, 400))
def test_the_newest_end_with_the_head(length: int, count: int) -> None:
    blocks = run_of(written(length)).blocks
    found = sent(answer(newest(count, length), blocks))
    assert [block.id for block in found] == [block.id for block in blocks[-count:]]


def test_headers_go_without_bodies_and_all_else_of_them() -> None:
    blocks = run_of(written(100)).blocks
    found = sent(answer(asked(0, mode=Mode.HEADERS), blocks))
    assert found == [block._replace(body=None) for block in blocks]


# --- how it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "mentioned", "reason"),
    [
        (asked(0), 100, None),
        (asked(0), 99, None),
        (newest(20, 100), 100, None),
        (asked(0, mode=Mode.HEADERS), 100, None),
        (asked(0), 101, Reason.ALL),
        (asked(0, 80), 100, Reason.ALL),
        (asked(0, 100), 100, Reason.ALL),
        (newest(20, 100), 101, Reason.ALL),
    ],
)
def test_its_end_is_said_only_where_the_peer_does_not_see_it(
    task: Task, mentioned: int, reason: Reason | None
) -> None:
    blocks = run_of(written(100)).blocks
    last = answer(task, blocks, mentioned=mentioned)[-1]
    assert (last.is_last, last.reason) == (True, reason)


def test_one_who_holds_another_block_before_is_told_so_and_sent_nothing() -> None:
    blocks = run_of(written(100)).blocks
    assert answer(asked(64, ident=bytes(IDENT_BYTES)), blocks) == [
        Chunk([], is_last=True, reason=Reason.DIFFERS)
    ]
    right = asked(64, ident=SALT.ident(blocks[63].id, IDENT_BYTES))
    assert [b.header.seq for b in sent(answer(right, blocks))] == list(range(65, 101))


def test_only_the_first_block_is_compared_with_what_the_peer_holds() -> None:
    blocks = run_of(written(300)).blocks
    task = asked(64, ident=SALT.ident(blocks[63].id, IDENT_BYTES))
    assert len(sent(answer(task, blocks, TURN_BLOCKS))) == 236


def test_nothing_is_sent_of_what_is_not_held() -> None:
    blocks = run_of(written(100)).blocks
    nothing = Chunk([], is_last=True, reason=Reason.ALL)
    assert cut_chunk(asked(0), [], held(blocks), 100, SALT) == nothing
    assert cut_chunk(asked(0), list(blocks), None, 100, SALT) == nothing
    # where the first block is missing, nothing that follows is what was asked for
    assert cut_chunk(asked(0), list(blocks[1:]), held(blocks), 100, SALT) == nothing


def test_what_nobody_vouches_for_is_not_sent() -> None:
    # given a log that was cut by a fork: its last signature is at 64
    blocks = run_of(written(100)).blocks[:80]
    found = answer(asked(0), blocks)
    assert [b.header.seq for b in sent(found)] == list(range(1, 65))
    assert found[-1] == Chunk([], is_last=True, reason=Reason.ALL)


def test_a_gap_ends_what_is_sent() -> None:
    blocks = run_of(written(200)).blocks
    task = asked(0)
    read = [block for block in blocks if block.header.seq != 70]
    chunk = cut_chunk(task, read, held(blocks), 200, SALT)
    assert [b.header.seq for b in sent([chunk])] == list(range(1, 65))
    assert (chunk.is_last, task.next) == (False, 65)
