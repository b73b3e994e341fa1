"""How Python reads vectors of how logs stand, of scopes' digests and of what travels of them."""

from __future__ import annotations

from typing import Any

from gossip.control import ID_BYTES, IDENT_BYTES
from gossip.digest import Digest
from gossip.frontier import FrontierEntry
from gossip.mail import Mail
from gossip.mail_names import MailNames
from gossip.standing import Salt, Standing, branches_digest, place_of, standing_of
from ledger.block import ZEROS, Block, block_id, decode_header
from ledger.chain import Log, Piece
from ledger.fork import decode_proof
from ledger.keys import verify
from ledger.statement import decode_revocation
from tests.vectors.showing import hexed


def read_standing(given: dict[str, Any]) -> dict[str, Any]:
    proof = None if given["proof"] is None else decode_proof(hexed(given["proof"]), verify)
    log = Log(
        hexed(given["author"]),
        given["log"],
        frozenset(map(hexed, given["roots"])),
        tuple(Piece(low, high, hexed(b), hexed(tip)) for low, high, b, tip in given["pieces"]),
        None if proof is None else proof.seq,
        given["lacking"],
    )
    branches = branches_digest(
        [
            _branch_block(raw, is_signed=signed, is_bare=bare)
            for raw, signed, bare in given["branches"]
        ]
    )
    statements = [decode_revocation(hexed(r), hexed(s), verify) for r, s in given["statements"]]
    standing = standing_of(log, given["missing"], proof, branches, statements)
    return {
        "entry": standing.entry.encode().hex(),
        "plain": standing.plain,
        "branches": standing.branches.hex(),
        "held": standing.held.hex(),
        "evidence": standing.evidence.hex(),
        "digest": standing.digest.hex(),
    }


def _branch_block(raw: str, *, is_signed: bool, is_bare: bool) -> Block:
    header, body = hexed(raw), None if is_bare else b"b"
    signature = b"s" if is_signed else b""
    return Block(decode_header(header), header, block_id(header), signature, body)


def read_scope(given: dict[str, Any]) -> dict[str, Any]:
    """Read a scope's digest: its buckets that are not empty, by number, and the whole."""
    logs = {(hexed(author), log): hexed(digest) for author, log, digest in given["logs"]}
    digest = Digest(logs.__getitem__, logs)
    hashes = {str(at): found.hex() for at in range(256) if (found := digest.bucket(at))}
    return {"count": digest.count, "buckets": hashes, "root": digest.root().hex()}


def read_keyed(given: dict[str, Any]) -> dict[str, Any]:
    """Read what travels of hashes in one meeting."""
    salt, key = Salt(hexed(given["binding"])), (hexed(given["author"]), given["log"])
    entry = FrontierEntry(*key, 0, ())
    held, evidence, branches = (hexed(given[what]) for what in ("held", "evidence", "branches"))
    standing = Standing(entry, plain=True, held=held, evidence=evidence, branches=branches)
    ident, group = hexed(given["id"]), hexed(given["group"])
    tag, lock, mail = hexed(given["tag"]), hexed(given["lock"]), hexed(given["mail"])
    names = MailNames(salt, Mail(own=bytes(32), run=bytes(4)))
    return {
        "short": salt.short(key, place_of(key)[0]).hex(),
        "check": salt.check(standing).hex(),
        "evidence": salt.evidence(standing).hex(),
        "branches": salt.branches(standing).hex(),
        "ids": {
            "compared": salt.ident(ident, ID_BYTES).hex(),
            "followed": salt.ident(ident, IDENT_BYTES).hex(),
        },
        "root": salt.root(group, hexed(given["root"])).hex(),
        "bucket": salt.bucket(hexed(given["bucket"])).hex(),
        "part": salt.part([hexed(one) or ZEROS for one in given["part"]]).hex(),
        "scope": {
            "initiator": salt.scope(group, of_initiator=True).hex(),
            "responder": salt.scope(group, of_initiator=False).hex(),
        },
        "count": salt.count(group, given["count"]),
        "mail": {"envelope": names.row(tag, lock, mail).hex(), "token": names.token(lock).hex()},
    }
