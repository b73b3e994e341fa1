"""How a log stands at a node, as one hash that two nodes can compare.

Two nodes hold the same of a log exactly if its hashes are equal: they run over the frontier entry,
the last id of every piece, the branches of a fork, and over what convicts or revokes the author.
In a meeting only a few bytes travel, keyed with what the two sides share of that session, so that
nobody can make two different states that look alike (docs/protocol.md, standing).
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.control import BUCKET_BYTES, CHECK_BYTES, ID_BYTES, ROOT_BYTES, SCOPE_BYTES, SHORT_BYTES
from gossip.frontier import FrontierEntry, entry_of
from ledger.block import ZEROS
from ledger.chain import Log, Piece
from ledger.codec import context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import LogKey

_STANDING: Final = context("standing")
_EVIDENCE: Final = context("evidence")
_BRANCHES: Final = context("branches")
MAX_MISSING: Final = 256
"""Seqs without body that are compared, the lowest of a log."""
_LOG: Final = context("log")
_SHORT: Final = context("short")
_CHECK: Final = context("check")
_CHECK_EVIDENCE: Final = context("check/evidence")
_CHECK_BRANCHES: Final = context("check/branches")
_CHECK_ID: Final = context("check/id")
_CHECK_ROOT: Final = context("check/root")
_CHECK_BUCKET: Final = context("check/bucket")
_CHECK_PART: Final = context("check/part")
_OF_INITIATOR: Final = context("scope/initiator")
_OF_RESPONDER: Final = context("scope/responder")
_COUNT: Final = context("scope/count")
_DECOY: Final = context("scope/decoy")
_MAIL_TAG: Final = context("mail/tag")
_MAIL_LOCK: Final = context("mail/lock")
_MAIL_ID: Final = context("mail/id")
_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
"""What HMAC makes of its key, byte by byte (RFC 2104)."""


class Standing(NamedTuple):
    """How a log stands.

    Attributes:
        entry: Its frontier entry.
        plain: Whether it is joined from 1 to ``entry.seq``, whole, and nothing else is to say.
        held: Hash over what is held of it, 32 bytes.
        evidence: Hash over the author's statements (of log 0) and the log's verdict, or none.
        branches: Hash over the branches, or none.
    """

    entry: FrontierEntry
    plain: bool
    held: bytes
    evidence: bytes
    branches: bytes

    @property
    def digest(self) -> bytes:
        """All of it in 32 bytes."""
        return sha256(self.held + self.evidence).digest()


def standing_of(
    log: Log,
    missing: Sequence[int],
    proof: ForkProof | None,
    branches: bytes,
    statements: Sequence[Revocation],
) -> Standing:
    """Return how ``log`` stands.

    Of a proof only s counts: another one with the same s convicts just as well, and whoever
    forks his log could make ever new ones.

    Args:
        log: What is held.
        missing: The lowest seqs whose bodies are wanted and not held, at most ``MAX_MISSING``.
        proof: The proof kept of it, if it is forked.
        branches: ``branches_digest`` of what is kept from the fork on.
        statements: About the log's author, if it is log 0, by person.
    """
    entry = entry_of(log, proof, missing[0] if missing else None)
    tips = b"".join(piece.tip for piece in log.pieces)
    shown = entry if proof is None else entry._replace(ids=())
    count = log.bodies_missing if missing else 0
    lacking = b"".join(seq.to_bytes(5, "big") for seq in (count, *missing))
    parts = shown.encode() + lacking + tips + branches
    held = sha256(_STANDING + parts).digest()
    plain = proof is None and not entry.ranges and not missing
    return Standing(entry, plain, held, _evidence(proof, statements), branches)


def standing_at(key: LogKey, seq: int, ident: bytes) -> Standing:
    """Return how a log stands that is plain and whose block at ``seq``, its last, is ``ident``."""
    log = Log(*key, pieces=(Piece(1, seq, ZEROS, ident),))
    return standing_of(log, (), None, b"", ())


def _evidence(proof: ForkProof | None, statements: Sequence[Revocation]) -> bytes:
    if proof is None and not statements:
        return b""
    digest = sha256(_EVIDENCE)
    if proof is not None:
        digest.update(proof.seq.to_bytes(8, "big"))
    for statement in statements:
        digest.update(sha256(statement.raw + statement.signature).digest())
    return digest.digest()


def branches_digest(branches: Sequence[Block], *, wants_bodies: bool = True) -> bytes:
    """Return a hash over what can be passed on of ``branches``, 32 bytes; nothing of none.

    What follows a branch's last signature cannot be, and does not count.

    Args:
        branches: What is kept from the fork on.
        wants_bodies: Whether one that lacks its body is told from one that has it.
    """
    vouched: set[bytes] = set()
    parents = {block.id: block.header.previous for block in branches}
    for block in branches:
        ident = block.id if block.signature else None
        while ident in parents and ident not in vouched:
            vouched.add(ident)
            ident = parents[ident]
    if not vouched:
        return b""
    bare = {block.id for block in branches if wants_bodies and block.body is None}
    shown = (ident + bytes((ident in bare,)) for ident in sorted(vouched))
    return sha256(_BRANCHES + b"".join(shown)).digest()


@lru_cache(maxsize=1 << 16)
def place_of(key: LogKey) -> bytes:
    """Return the hash that says which bucket a log is in: that of its first byte."""
    return sha256(_LOG + key[0] + key[1].to_bytes(4, "big")).digest()


class Salt:
    """Keyed hashes of one session: HMAC-SHA256 under the binding, each with a context of its own.

    Args:
        binding: What both sides know of this session and neither chose alone: 32 bytes.
    """

    def __init__(self, binding: bytes) -> None:
        padded = binding.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(padded.translate(_INNER))
        self._outer = sha256(padded.translate(_OUTER))

    def _hash(self, what: bytes, shown: bytes, size: int) -> bytes:
        """Return an HMAC; with the key's blocks hashed before, it takes half the time."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(what + shown)
        outer.update(inner.digest())
        return outer.digest()[:size]

    def short(self, key: LogKey, bucket: int) -> bytes:
        """Return what names a log in this session: its bucket, then 7 keyed bytes."""
        named = key[0] + key[1].to_bytes(4, "big")
        return bytes((bucket,)) + self._hash(_SHORT, named, SHORT_BYTES - 1)

    def check(self, standing: Standing) -> bytes:
        """Return what is compared of what is held."""
        return self._hash(_CHECK, standing.held, CHECK_BYTES)

    def evidence(self, standing: Standing) -> bytes:
        """Return what is compared of the evidence; nothing of none."""
        if not standing.evidence:
            return b""
        return self._hash(_CHECK_EVIDENCE, standing.evidence, CHECK_BYTES)

    def branches(self, standing: Standing) -> bytes:
        """Return what is compared of the branches; nothing of none."""
        if not standing.branches:
            return b""
        return self._hash(_CHECK_BRANCHES, standing.branches, ID_BYTES)

    def ident(self, ident: bytes, size: int) -> bytes:
        """Return what is compared of a block's id."""
        return self._hash(_CHECK_ID, ident, size)

    def root(self, group: bytes, digest: bytes) -> bytes:
        """Return what is compared of a scope; of a closed group only members can make it."""
        return self._hash(_CHECK_ROOT, group + digest, ROOT_BYTES)

    def part(self, hashes: Sequence[bytes]) -> bytes:
        """Return what is compared of some buckets of a scope: of the hash of each, or nothing."""
        return self._hash(_CHECK_PART, b"".join(hashes), BUCKET_BYTES)

    def bucket(self, digest: bytes) -> bytes:
        """Return what is compared of a bucket that is not empty; never zeros."""
        shown = self._hash(_CHECK_BUCKET, digest, BUCKET_BYTES)
        return shown if any(shown) else b"\x00\x00\x00\x01"

    def mail_tag(self, tag: bytes) -> bytes:
        """Return what names an envelope's tag, 4 bytes."""
        return self._hash(_MAIL_TAG, tag, 4)

    def mail_lock(self, lock: bytes) -> bytes:
        """Return what names a token, 5 bytes; an envelope shows the first 3 of its lock's."""
        return self._hash(_MAIL_LOCK, lock, 5)

    def mail_id(self, ident: bytes) -> bytes:
        """Return what names an envelope's id, 3 bytes."""
        return self._hash(_MAIL_ID, ident, 3)

    def scope(self, group: bytes, *, of_initiator: bool) -> bytes:
        """Return what names a scope in this session; the public one's name is empty.

        Args:
            group: Id of a closed group, or nothing.
            of_initiator: Whether the side that opened the link says it, or the other.
        """
        what = _OF_INITIATOR if of_initiator else _OF_RESPONDER
        return self._hash(what, group, SCOPE_BYTES) if group else b""

    def count(self, group: bytes, number: int) -> int:
        """Return how a scope's number of logs is said: of a closed group only members can tell."""
        if not group:
            return number
        return number ^ int.from_bytes(self._hash(_COUNT, group, 4), "big")


def decoy(secret: bytes, number: int) -> tuple[bytes, bytes, int]:
    """Return name, root and number of logs of a scope that there is not.

    Args:
        secret: 32 bytes that nobody else knows, for one session.
        number: Which decoy, from 0.
    """
    shown = hmac.digest(secret, _DECOY + bytes((number,)), "sha512")
    end = SCOPE_BYTES + ROOT_BYTES
    return shown[:SCOPE_BYTES], shown[SCOPE_BYTES:end], int.from_bytes(shown[end : end + 4], "big")
