"""How Python reads vectors of keys, blocks and evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ledger.block import block_id, check_body, decode_header
from ledger.chain import BranchBlock, grow
from ledger.codec import decode
from ledger.errors import InvalidError
from ledger.fork import Vouched, decode_proof
from ledger.keys import PersonKey, hkdf, is_certified, verify
from ledger.link import Link
from ledger.pairs import Agreement, Proposal, Withdrawal, pair_up
from ledger.run import verify_run
from ledger.statement import Revocation, decode_revocation, select
from tests.vectors.showing import hexed, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.block import Header

_T = TypeVar("_T")


def shown_header(header: Header) -> dict[str, Any]:
    pair = header.counterparty
    return {
        "author": header.author.hex(),
        "log": header.log,
        "seq": header.seq,
        "previous": header.previous.hex(),
        "counterparty": pair and {"person": pair.person.hex(), "proposal": pair.proposal.hex()},
        "kind": header.kind,
        "body_hash": header.body_hash.hex(),
        "body_size": header.body_size,
        "ext": header.ext.hex(),
    }


def read_cbor(given: dict[str, Any]) -> dict[str, Any]:
    return {"value": shown(decode(hexed(given["raw"]), given["limit"]))}


def read_words(given: dict[str, Any]) -> dict[str, Any]:
    key = PersonKey.from_words(given["words"])
    return {
        "entropy": key.entropy.hex(),
        "seed": key.signing.seed.hex(),
        "person": key.signing.public.hex(),
    }


def read_hkdf(given: dict[str, Any]) -> dict[str, Any]:
    return {"key": hkdf(hexed(given["secret"]), hexed(given["label"]), given["length"]).hex()}


def read_signature(given: dict[str, Any]) -> dict[str, Any]:
    public, message, signature = (hexed(given[k]) for k in ("public", "message", "signature"))
    return _or_refuse(valid=verify(public, message, signature))


def read_certificate(given: dict[str, Any]) -> dict[str, Any]:
    person, device, certificate = (hexed(given[k]) for k in ("person", "device", "certificate"))
    return _or_refuse(valid=is_certified(person, device, certificate))


def _or_refuse(*, valid: bool) -> dict[str, Any]:
    if not valid:
        raise InvalidError("the signature does not verify")
    return {"valid": True}


def read_header(given: dict[str, Any]) -> dict[str, Any]:
    raw = hexed(given["raw"])
    return shown_header(decode_header(raw)) | {"id": block_id(raw).hex()}


def read_named_body(given: dict[str, Any]) -> dict[str, Any]:
    check_body(decode_header(hexed(given["header"])), hexed(given["body"]))
    return {"valid": True}


def read_run(given: dict[str, Any]) -> dict[str, Any]:
    items = [
        (hexed(raw), hexed(signature), None if body is None else hexed(body))
        for raw, signature, body in given["blocks"]
    ]
    run = verify_run(items, verify)
    return {
        "author": run.author.hex(),
        "log": run.log,
        "low": run.low,
        "high": run.high,
        "previous": run.previous.hex(),
        "tip": run.tip.hex(),
        "ids": [block.id.hex() for block in run.blocks],
        "signed": [block.header.seq for block in run.blocks if block.signature],
        "bodies": [block.header.seq for block in run.blocks if block.body is not None],
    }


def read_proof(given: dict[str, Any]) -> dict[str, Any]:
    proof = decode_proof(hexed(given["raw"]), verify)
    return {
        "author": proof.author.hex(),
        "log": proof.log,
        "seq": proof.seq,
        "ids": [ident.hex() for ident in proof.ids],
        "one": _shown_vouched(proof.one),
        "other": _shown_vouched(proof.other),
    }


def _shown_vouched(vouched: Vouched) -> dict[str, Any]:
    return {
        "headers": [raw.hex() for raw in vouched.headers],
        "signature": vouched.signature.hex(),
    }


def read_kept_proof(given: dict[str, Any]) -> dict[str, Any]:
    proofs = [decode_proof(hexed(raw), verify) for raw in given["proofs"]]
    kept = proofs[0]
    for proof in proofs[1:]:
        kept = proof if proof.outweighs(kept) else kept
    return {"kept": kept.encode().hex(), "seq": kept.seq}


def read_branches(given: dict[str, Any]) -> dict[str, Any]:
    pool = [
        BranchBlock(block_id(raw), header.seq, header.previous)
        for raw in map(hexed, given["headers"])
        for header in [decode_header(raw)]
    ]
    trunk = None if given["trunk"] is None else hexed(given["trunk"])
    return {"kept": sorted(ident.hex() for ident in grow(pool, given["fork"], trunk))}


def read_statement(given: dict[str, Any]) -> dict[str, Any]:
    statement = decode_revocation(hexed(given["raw"]), hexed(given["signature"]), verify)
    return {
        "person": statement.person.hex(),
        "device": statement.device.hex(),
        "cuts": [[cut.log, cut.seq, cut.id.hex()] for cut in statement.cuts],
    }


def read_kept_statements(given: dict[str, Any]) -> dict[str, Any]:
    statements: list[Revocation] = [
        decode_revocation(hexed(raw), hexed(signature), verify)
        for raw, signature in given["statements"]
    ]
    return {"kept": [[kept.raw.hex(), kept.signature.hex()] for kept in select(statements)]}


def read_link(given: dict[str, Any]) -> dict[str, Any]:
    link = Link.parse(given["text"])
    return {
        "person": link.person.hex(),
        "device": link.device.hex(),
        "sealing": link.sealing.hex(),
        "certificate": link.certificate.hex(),
        "text": link.encode(),
    }


def read_pairs(given: dict[str, Any]) -> dict[str, Any]:
    pairs = pair_up(
        [_record(Proposal, item) for item in given["proposals"]],
        [_record(Agreement, item) for item in given["agreements"]],
        [_record(Withdrawal, item) for item in given["withdrawals"]],
    )
    return {"pairs": [[pair.proposal.id.hex(), pair.agreement.id.hex()] for pair in pairs]}


def _record(record: Callable[..., _T], item: dict[str, Any]) -> _T:
    plain = ("kind", "seq", "head")
    return record(**{name: v if name in plain else hexed(v) for name, v in item.items()})
