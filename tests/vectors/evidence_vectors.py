"""Vectors of fork proofs, branches and person statements."""

from __future__ import annotations

from hashlib import sha512

from ledger.block import (
    BLOCK_CONTEXT,
    MAX_SEQ,
    ZEROS,
    Block,
)
from ledger.codec import context, encode
from tests.vectors.cast import (
    block,
    body,
    device,
    device_body,
    dice,
    first_block,
    person,
    stretch,
)
from tests.vectors.collection import Collection
from tests.vectors.curve import BASE, ORDER, challenge, scalar

_HASH = dice("some hash")


def proof_bytes(left: list[Block], right: list[Block], **changes: object) -> bytes:
    parts = {
        "version": 1,
        "one": [b.raw for b in left],
        "signed": left[-1].signature if left else bytes(64),
        "other": [b.raw for b in right],
        "countersigned": right[-1].signature if right else bytes(64),
    }
    return encode(list((parts | changes).values()))


def _ordered(left: list[Block], right: list[Block]) -> tuple[list[Block], list[Block]]:
    return (left, right) if left[0].id < right[0].id else (right, left)


def _forked_first_blocks() -> tuple[list[Block], list[Block]]:
    other = device_body(device("ada"), person("ada"), "ada device again")
    again = block(device("ada"), 0, 1, ZEROS, other, kind="device")
    return _ordered([first_block("ada")], [again])


def forks() -> Collection:
    file = Collection("fork proofs, which one is kept, which branches are kept")
    left, right = _ordered(stretch("ada", 1), stretch("ada", 1, story="otherwise"))
    file.good("fork proof", "two at one seq", raw=proof_bytes(left, right))
    file.good("fork proof", "two first blocks", raw=proof_bytes(*_forked_first_blocks()))
    long_left, long_right = _ordered(stretch("ada", 64), stretch("ada", 2, story="otherwise"))
    file.good("fork proof", "vouched for by 63 and 1 more", raw=proof_bytes(long_left, long_right))
    trunk, stray = stretch("ada", 4), stretch("ada", 3, low=3)
    neighbours = proof_bytes(trunk[1:2], stray[:1])
    file.good("fork proof", "seq 3 does not follow seq 2", raw=neighbours)
    file.good("fork proof", "the same, vouched for later", raw=proof_bytes(trunk[1:], stray))
    _bad_proofs(file, left, right)
    file.bad("fork proof", "65 headers", raw=proof_bytes(*_ordered(stretch("ada", 65), long_right)))
    proofs = [neighbours, proof_bytes(trunk[1:], stray), proof_bytes(left, right)]
    file.good("kept proof", "the smallest seq", proofs=proofs)
    file.good("kept proof", "in another order", proofs=proofs[::-1])
    file.good("kept proof", "at one seq the shorter", proofs=proofs[1::-1])
    thirds = stretch("ada", 1, story="a third time")
    equal = [proof_bytes(*_ordered(one, other)) for one, other in ((left, right), (left, thirds))]
    file.good("kept proof", "of one length the smaller bytes", proofs=equal)
    file.good("kept proof", "whatever came first", proofs=equal[::-1])
    _branches(file)
    return file


def _bad_proofs(file: Collection, left: list[Block], right: list[Block]) -> None:
    two, late = stretch("ada", 2), stretch("ada", 1, low=4)
    elsewhere = stretch("ada", 1, log=2)
    stranger = _ordered(left, stretch("ben", 1))
    twin = [two[0], block(device("ada"), 1, 2, two[0].id, body("twin", "otherwise", None, []))]
    unlinked = [left[0], late[0]]
    cases: dict[str, bytes] = {
        "the second order": proof_bytes(right, left),
        "one header twice": proof_bytes(left, left),
        "the first headers are the same": proof_bytes(*_ordered(two, twin)),
        "seq 2 follows seq 1": proof_bytes(two[:1], two[1:]),
        "seq 2 before seq 1": proof_bytes(stretch("ada", 1, low=2), left),
        "seq 1 and seq 4": proof_bytes(left, late),
        "two logs": proof_bytes(*_ordered(left, elsewhere)),
        "two devices": proof_bytes(*stranger),
        "no headers on one side": proof_bytes([], right),
        "unlinked headers": proof_bytes(unlinked, right),
        "not signed": proof_bytes(left, right, countersigned=b""),
        "signed by another device": proof_bytes(
            left, right, signed=device("ben").signing.sign(BLOCK_CONTEXT + left[0].raw)
        ),
        "the signature of the first header of two": _signed_at_first(two, right),
        "signed without its context": proof_bytes(
            left, right, signed=device("ada").signing.sign(left[0].raw)
        ),
        "version 2": proof_bytes(left, right, version=2),
        "a sixth part": proof_bytes(left, right, sixth=0),
        "a header that is not bytes": proof_bytes(left, right, one=[0]),
        "a header with two spellings": proof_bytes(left, right, one=[left[0].raw[:-1] + b"\x58\0"]),
        "half of it": proof_bytes(left, right)[:300],
        "a byte more": proof_bytes(left, right) + b"\0",
        "nothing": b"",
    }
    for why, raw in cases.items():
        file.bad("fork proof", why, raw=raw)


def _signed_at_first(two: list[Block], right: list[Block]) -> bytes:
    """Give the side of ``two`` the signature of its first header instead of its last."""
    if two[0].id < right[0].id:
        return proof_bytes(two, right, signed=two[0].signature)
    return proof_bytes(right, two, countersigned=two[0].signature)


def _branches(file: Collection) -> None:
    starts = [stretch("ada", 3, low=2, previous=_HASH, story=story) for story in "abc"]
    pool = [one for start in starts for one in start]
    again = stretch("ada", 2, low=3, previous=starts[0][0].id, story="parted again")
    astray = block(device("ada"), 1, 9, starts[0][0].id, body("astray", "too far", None, []))
    largest = max(pool, key=lambda one: (one.header.seq == 2, one.id))
    trunk = dice("the block before")
    on_trunk = stretch("ada", 2, low=2, previous=trunk, story="follows 2")
    cases: dict[str, tuple[list[Block], bytes | None]] = {
        "the two smallest ids of three": (pool, None),
        "in another order": (pool[::-1], None),
        "all follow the block before: still two": (pool, largest.header.previous),
        "a third, for only it follows the block before": ([*pool, *on_trunk], trunk),
        "no third, for nobody knows the block before": ([*pool, *on_trunk], None),
        "a branch that parts again": ([*starts[0], *again, *starts[1]], None),
        "what does not follow is left out": (
            [starts[0][0], starts[0][2], starts[1][1], astray],
            None,
        ),
        "64 further and no more": (stretch("ada", 66, low=2, previous=_HASH), None),
    }
    for name, (blocks, before) in cases.items():
        headers = [one.raw for one in blocks]
        file.good("branches", name, fork=2, trunk=before, headers=headers)
    file.good("branches", "nothing at the fork", fork=9, trunk=None, headers=[])


def statements() -> Collection:
    file = Collection("person statements that revoke a device, and which are kept")
    ada, phone = person("ada"), device("ada").public
    cuts: dict[str, list[object]] = {
        "nothing of the device weighs": [],
        "up to seq 7 of log 1": [[1, 7, _HASH]],
        "logs at both ends": [[0, 1, _HASH], [2**32 - 1, MAX_SEQ, _HASH]],
        "32 logs": [[log, log + 1, dice(f"cut {log}")] for log in range(32)],
    }
    for name, some in cuts.items():
        file.good("statement", name, **statement_bytes(cuts=some))
    person_himself = statement_bytes(device=ada.signing.public)
    file.good("statement", "a device that has the person's key", **person_himself)
    bad: dict[str, dict[str, object]] = {
        "33 logs": {"cuts": [[log, 1, _HASH] for log in range(33)]},
        "logs in the wrong order": {"cuts": [[2, 1, _HASH], [1, 1, _HASH]]},
        "a log twice": {"cuts": [[1, 1, _HASH], [1, 2, _HASH]]},
        "seq 0": {"cuts": [[1, 0, _HASH]]},
        "seq 2^40": {"cuts": [[1, 2**40, _HASH]]},
        "log 2^32": {"cuts": [[2**32, 1, _HASH]]},
        "log -1": {"cuts": [[-1, 1, _HASH]]},
        "an id of 31 bytes": {"cuts": [[1, 1, _HASH[:31]]]},
        "no id": {"cuts": [[1, 1]]},
        "a cut of four": {"cuts": [[1, 1, _HASH, 0]]},
        "a cut that is a number": {"cuts": [1]},
        "no cuts": {"cuts": None},
        "version 2": {"version": 2},
        "a device of 31 bytes": {"device": phone[:31]},
        "a person of 33 bytes": {"person": ada.signing.public + b"\0"},
        "another person": {"person": person("ben").signing.public},
        "a fifth part": {"fifth": 0},
    }
    for why, changes in bad.items():
        file.bad("statement", why, **statement_bytes(**changes))
    right = statement_bytes(cuts=[])
    raw, signature = right["raw"], right["signature"]
    unlabelled = ada.signing.sign(raw)
    by_device = device("ada").signing.sign(context("person") + raw)
    wrong: dict[str, tuple[bytes, bytes]] = {
        "not signed": (raw, b""),
        "signed without its context": (raw, unlabelled),
        "signed by the device": (raw, by_device),
        "a signature of 65 bytes": (raw, signature + b"\0"),
        "a byte more": (raw + b"\0", signature),
        "a byte less": (raw[:-1], signature),
        "nothing": (b"", signature),
        "longer than 2,048 bytes": (raw + bytes(2_048), signature),
    }
    for why, (some_raw, some_signature) in wrong.items():
        file.bad("statement", why, raw=some_raw, signature=some_signature)
    _kept_statements(file)
    return file


def statement_bytes(**changes: object) -> dict[str, bytes]:
    parts = {
        "version": 1,
        "person": person("ada").signing.public,
        "device": device("ada").public,
        "cuts": [[1, 7, _HASH]],
    } | changes
    raw = encode(list(parts.values()))
    return {"raw": raw, "signature": person("ada").signing.sign(context("person") + raw)}


def _kept_statements(file: Collection) -> None:
    some = [
        [given["raw"], given["signature"]]
        for given in (
            statement_bytes(cuts=[[1, 7, _HASH]]),
            statement_bytes(cuts=[[1, 3, _HASH], [2, 3, _HASH]]),
            statement_bytes(cuts=[[1, 6, _HASH]]),
            statement_bytes(device=device("ben").public, cuts=[]),
        )
    ]
    file.good("kept statements", "one a device: the smallest sum of seqs", statements=some)
    file.good("kept statements", "in another order", statements=some[::-1])
    raw, signature = some[0]
    other = _signed_otherwise(context("person") + raw)
    pair = sorted(([raw, signature], [raw, other]))
    file.good("kept statements", "of equal bytes the smaller signature", statements=pair)
    file.good("kept statements", "whatever came first", statements=pair[::-1])
    many = [statement_bytes(device=dice(f"lost {n}"), cuts=[]) for n in range(66)]
    file.good(
        "kept statements",
        "64 a person: those of the smallest device keys",
        statements=[[given["raw"], given["signature"]] for given in many],
    )


def _signed_otherwise(message: bytes) -> bytes:
    """Sign as Ada, with a nonce that an honest signer does not choose."""
    key = person("ada").signing
    half = bytearray(sha512(key.seed).digest()[:32])
    half[0], half[31] = half[0] & 248, half[31] & 63 | 64
    secret, nonce = int.from_bytes(half, "little"), 12345
    r = BASE.times(nonce).encode()
    return r + scalar((nonce + challenge(r, key.public, message) * secret) % ORDER)
