"""Vectors of how logs stand, of scopes' digests, and of the few bytes that travel of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.block import ZEROS
from ledger.codec import context, encode
from tests.vectors.cast import device, dice, first_block, person, stretch
from tests.vectors.collection import Collection
from tests.vectors.evidence_vectors import proof_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block


def _piece(blocks: Sequence[Block]) -> list[object]:
    first, last = blocks[0], blocks[-1]
    return [first.header.seq, last.header.seq, first.header.previous, last.id]


def _held(log: int, *pieces: Sequence[Block], **more: object) -> dict[str, Any]:
    """Return what is held of one of ada's logs."""
    return {
        "author": device("ada").public,
        "log": log,
        "roots": [first_block("ada").id] if log else [ZEROS],
        "pieces": [_piece(blocks) for blocks in pieces],
        "missing": [],
        "lacking": 0,
        "proof": None,
        "branches": [],
        "statements": [],
    } | more


def _fork() -> dict[str, Any]:
    """Return two branches of log 1 from seq 6 on, and what may be kept of them."""
    trunk = stretch("ada", 5)
    sides = [
        stretch("ada", 2, low=6, previous=trunk[-1].id, story=story) for story in ("one", "two")
    ]
    one, other = sorted(sides, key=lambda side: side[0].id)
    by_the_next = [[one[0].raw, False, False], [one[1].raw, True, False]]
    both = [[block.raw, True, False] for block in (*one, *other)]
    return {
        "trunk": trunk,
        "proof": proof_bytes(one[:1], other[:1]),
        "again": proof_bytes(one, other),
        "both": both,
        "short": both[:3],
        "unsigned": [*by_the_next, both[2], [other[1].raw, False, False]],
        "bare": [both[0], [one[1].raw, True, True], *both[2:]],
        "alone": [[one[0].raw, False, False]],
    }


def standings() -> Collection:
    file = Collection("how logs stand, digests of scopes, and what of them travels in a meeting")
    for name, held in (_whole_logs() | _forked_logs()).items():
        file.good("standing", name, **held)
    _scopes(file)
    _keyed(file)
    return file


def _statement(name: str) -> list[bytes]:
    """Return what a person states about ada's device, and the signature."""
    key, device_key = person(name).signing, device("ada").public
    raw = encode([1, key.public, device_key, [[1, 7, dice("some hash")]]])
    return [raw, key.sign(context("person") + raw)]


def _whole_logs() -> dict[str, dict[str, Any]]:
    blocks, detached = stretch("ada", 7), stretch("ada", 3, low=9)
    statements = [_statement(name) for name in ("ada", "ben")]
    statements.sort()
    return {
        "plain": _held(1, blocks),
        "plain, log 0": _held(0, [first_block("ada")]),
        "a body missing": _held(1, blocks, missing=[3], lacking=1),
        "three bodies missing": _held(1, blocks, missing=[3, 4, 6], lacking=3),
        "three other bodies missing": _held(1, blocks, missing=[3, 5, 6], lacking=3),
        "300 bodies missing, of which 256 are told apart": _held(
            1, stretch("ada", 301), missing=list(range(1, 257)), lacking=300
        ),
        "bodies missing that nobody wants: as with all of them": _held(1, blocks, lacking=3),
        "a detached segment": _held(1, blocks, detached),
        "rootless": _held(1, blocks, roots=[]),
        "two segments, nothing joined": _held(1, blocks[2:4], detached),
        "five segments, of which the entry says four": _held(
            1, *(stretch("ada", 1, low=seq) for seq in range(3, 13, 2))
        ),
        "a statement about a device of which nothing is held": _held(0, statements=statements[:1]),
        "log 0 with two statements, by person": _held(
            0, [first_block("ada")], statements=statements
        ),
    }


def _forked_logs() -> dict[str, dict[str, Any]]:
    fork = _fork()
    trunk = fork["trunk"]
    branches = {name: fork[name] for name in ("both", "short", "unsigned", "bare")}
    forked = {
        f"forked, branches: {name}": _held(1, trunk, proof=fork["proof"], branches=rows)
        for name, rows in branches.items()
    }
    return forked | {
        "forked, nothing of the branches can be passed on": _held(
            1, trunk, proof=fork["proof"], branches=fork["alone"]
        ),
        "forked, by another proof of the same seq: the same standing": _held(
            1, trunk, proof=fork["again"], branches=fork["both"]
        ),
        "forked, nothing before it is held": _held(1, proof=fork["proof"], branches=fork["both"]),
    }


def _scopes(file: Collection) -> None:
    logs: list[list[object]] = [
        [device(name).public, log, dice(f"standing {name} {log}")]
        for name in ("ada", "ben", "eve")
        for log in (0, 1, 2**31)
    ]
    crowd: list[list[object]] = [
        [device("ada").public, log, dice(f"standing {log}")] for log in range(300)
    ]
    file.good("scope", "no log", logs=[])
    file.good("scope", "one log", logs=logs[:1])
    file.good("scope", "nine logs", logs=logs)
    file.good("scope", "the same in another order", logs=logs[::-1])
    file.good("scope", "300 logs, so that some share a bucket", logs=crowd)


def _keyed(file: Collection) -> None:
    given = {
        "author": device("ada").public,
        "log": 1,
        "held": dice("held"),
        "evidence": dice("evidence"),
        "branches": dice("branches"),
        "id": dice("some hash"),
        "root": dice("a scope"),
        "bucket": dice("a bucket"),
        "group": dice("a group"),
        "count": 300,
        "part": [dice("a bucket"), *[b""] * 14, dice("another bucket")],
        "tag": dice("a tag")[:16],
        "lock": dice("a lock"),
        "mail": dice("an envelope"),
    }
    for name, changes in (
        ("all there is", {}),
        ("another session", {"binding": dice("another session")}),
        ("the last log", {"log": 2**32 - 1}),
        ("without evidence", {"evidence": b""}),
        ("without branches", {"branches": b""}),
        ("no log", {"count": 0}),
        ("the most logs", {"count": 2**32 - 1}),
        ("the public scope", {"group": b""}),
        ("a part of a scope that holds nothing", {"part": [b""] * 16}),
        ("another tag", {"tag": dice("another tag")[:16]}),
        ("another lock", {"lock": dice("another lock")}),
        ("another envelope under the same tag and lock", {"mail": dice("another envelope")}),
    ):
        file.good("keyed", name, **({"binding": dice("a session")} | given | changes))
