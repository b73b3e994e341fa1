"""Verify a whole store again, from the bytes up: what ``passalong check`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.block import BLOCK_CONTEXT, MAX_SEQ, Block, block_id, check_body, decode_header
from ledger.chain import MAX_BRANCH_BLOCKS, BranchBlock, grow
from ledger.errors import InvalidError, StoreError
from ledger.fork import decode_proof
from ledger.keys import verify
from ledger.run import must_be_signed
from ledger.statement import decode_revocation
from ledger.store.ground import block_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.chain import Log, Piece
    from ledger.store.base import LogKey, Store

_PAGE = 256


async def check_store(store: Store) -> list[str]:
    """Return what is wrong in ``store``, one line each; an empty list is a clean bill."""
    wrong: list[str] = []
    try:
        logs = await store.logs()
    except StoreError as exc:
        return [str(exc)]
    for log in logs:
        try:
            await _check_log(store, log)
        except (InvalidError, StoreError) as exc:
            wrong.append(f"log {log.number} of {log.author.hex()}: {exc}")
    return wrong + await _check_proofs(store, logs) + await _check_revocations(store)


async def _check_log(store: Store, log: Log) -> None:
    key = (log.author, log.number)
    lacking = 0
    end = MAX_SEQ + 2 if log.fork is None else log.fork + 1
    edges = [piece.low for piece in log.pieces] + [end]
    for piece, after in zip(log.pieces, edges[1:], strict=True):
        if not piece.low <= piece.high < after - 1:
            raise InvalidError(f"pieces touch or overlap, or pass a fork, at seq {piece.high}")
        lacking += await _check_piece(store, key, piece, fork=log.fork)
    if lacking != log.bodies_missing:
        raise InvalidError(f"{lacking} bodies missing where {log.bodies_missing} are noted")
    if log.fork is not None:
        await _check_branches(store, log, log.fork)
    held = sum(piece.high - piece.low + 1 for piece in log.pieces)
    if await _count(store, key) != held:
        raise InvalidError("blocks outside of every piece")
    if await _measure(store, log) != log.bytes:
        raise InvalidError("its size is noted wrong")


async def _measure(store: Store, log: Log) -> int:
    key, seq, size = (log.author, log.number), 0, 0
    while blocks := await store.read(key, seq, MAX_SEQ, limit=_PAGE):
        size += sum(map(block_bytes, blocks))
        seq = blocks[-1].header.seq + 1
    return size + sum(map(block_bytes, await store.branches(key)))


async def _check_piece(store: Store, key: LogKey, piece: Piece, *, fork: int | None) -> int:
    previous, lacking, seq = piece.previous, 0, piece.low
    while seq <= piece.high:
        blocks = await store.read(key, seq, piece.high, limit=_PAGE)
        for block in blocks:
            if block.header.seq > seq:
                break
            _check_block(block, key, seq, previous)
            is_last = seq == piece.high and fork != seq + 1
            if must_be_signed(block.header, is_last=is_last) and not block.signature:
                raise InvalidError(f"no signature at seq {seq}")
            lacking += block.body is None
            previous, seq = block.id, seq + 1
        if not blocks or blocks[-1].header.seq >= seq:
            raise InvalidError(f"no block at seq {seq}")
    if previous != piece.tip:
        raise InvalidError(f"the block at seq {piece.high} is not the noted tip")
    return lacking


def _check_block(block: Block, key: LogKey, seq: int, previous: bytes) -> None:
    header = decode_header(block.raw)
    if (header.author, header.log, header.seq) != (*key, seq):
        raise InvalidError(f"another block stands at seq {seq}")
    if header.previous != previous or block_id(block.raw) != block.id:
        raise InvalidError(f"the block at seq {seq} does not follow the one before")
    if block.body is not None:
        check_body(header, block.body)
    _check_signature(block)


def _check_signature(block: Block) -> None:
    signed = BLOCK_CONTEXT + block.raw
    if block.signature and not verify(block.header.author, signed, block.signature):
        raise InvalidError(f"the signature at seq {block.header.seq} is wrong")


async def _check_branches(store: Store, log: Log, fork: int) -> None:
    blocks = await store.branches((log.author, log.number))
    for block in blocks:
        key = (log.author, log.number)
        _check_block(block, key, block.header.seq, block.header.previous)
    trunk = next((piece.tip for piece in log.pieces if piece.high == fork - 1), None)
    shape = [BranchBlock(b.id, b.header.seq, b.header.previous) for b in blocks]
    if grow(shape, fork, trunk) != {block.id for block in blocks}:
        raise InvalidError(f"blocks that belong to no branch from seq {fork}")
    followed = {block.header.previous for block in blocks}
    for block in blocks:
        seq = block.header.seq
        is_last = block.id not in followed and seq != fork + MAX_BRANCH_BLOCKS
        if must_be_signed(block.header, is_last=is_last) and not block.signature:
            raise InvalidError(f"no signature at seq {seq} after a fork")
    if trunk is not None and trunk not in followed:
        tips = await store.read((log.author, log.number), fork - 1, fork - 1)
        if not all(tip.signature for tip in tips):
            raise InvalidError(f"nothing vouches for seq {fork - 1}")


async def _count(store: Store, key: LogKey) -> int:
    count = low = 0
    while blocks := await store.read(key, low, 1 << 40, limit=_PAGE):
        if blocks[-1].header.seq < low:
            raise InvalidError("blocks outside of every piece")
        count += len(blocks)
        low = blocks[-1].header.seq + 1
    return count


async def _check_proofs(store: Store, logs: Sequence[Log]) -> list[str]:
    wrong: list[str] = []
    forks = {(log.author, log.number): log.fork for log in logs if log.fork is not None}
    try:
        proofs = await store.proofs()
    except StoreError as exc:
        return [f"fork proofs: {exc}"]
    for proof in proofs:
        try:
            decode_proof(proof.encode(), verify)
        except InvalidError as exc:
            wrong.append(f"fork proof of {proof.author.hex()}: {exc}")
        if forks.pop((proof.author, proof.log), None) != proof.seq:
            wrong.append(f"the verdict on {proof.author.hex()} is not what its proof says")
    return wrong + [f"a verdict on {author.hex()} without proof" for author, _ in forks]


async def _check_revocations(store: Store) -> list[str]:
    wrong: list[str] = []
    try:
        revocations = await store.revocations()
    except StoreError as exc:
        return [f"person statements: {exc}"]
    for revocation in revocations:
        try:
            decode_revocation(revocation.raw, revocation.signature, verify)
        except InvalidError as exc:
            wrong.append(f"statement of {revocation.person.hex()}: {exc}")
    return wrong
