"""Vectors of runs."""

from __future__ import annotations

from ledger.block import (
    BLOCK_CONTEXT,
    MAX_SEQ,
    ZEROS,
    Block,
    Counterparty,
    encode_header,
)
from ledger.codec import context
from tests.vectors.cast import (
    block,
    body,
    device,
    dice,
    first_block,
    person,
    stretch,
    triples,
)
from tests.vectors.collection import Collection

_HASH = dice("some hash")


def _half_block(seq: int, previous: bytes) -> Block:
    asked = Counterparty(person("ben").signing.public, ZEROS)
    return block(
        device("ada"),
        0,
        seq,
        previous,
        body("help", "byte", 1_000),
        kind="help",
        counterparty=asked,
    )


def _with_half_block() -> list[Block]:
    first = first_block("ada")
    second = _half_block(2, first.id)
    third = block(device("ada"), 0, 3, second.id, body("third", "later"), kind="note")
    return [first, second, third]


def runs() -> Collection:
    file = Collection(
        "runs as they travel: header, signature or none, body or null; signed says whose "
        "signature is kept, bodies whose body came along"
    )
    good: dict[str, list[list[str | None]]] = {
        "the first block alone": triples([first_block("ada")]),
        "three, all signed: only the last signature is kept": triples(stretch("ada", 3)),
        "three, only the last signed": triples(stretch("ada", 3), [3]),
        "from seq 62 on: 64 and the last are signed": triples(stretch("ada", 5, low=62), [64, 66]),
        "it ends at 64": triples(stretch("ada", 3, low=62), [64]),
        "a half-block is signed": triples(_with_half_block(), [2, 3]),
        "the last seq there is": triples(stretch("ada", 2, low=MAX_SEQ - 1), [MAX_SEQ]),
        "a group's log": triples(stretch("ada", 2, log=2**31 + 5), [2]),
    }
    for name, blocks in good.items():
        file.good("run", name, blocks=blocks)
    garbage = triples(stretch("ada", 3), [3])
    garbage[0][1] = "ab" * 64
    file.good("run", "a wrong signature where none is needed is not kept", blocks=garbage)
    no_bodies = [[raw, signature, None] for raw, signature, _ in triples(stretch("ada", 3), [3])]
    file.good("run", "without bodies", blocks=no_bodies)
    file.good("run", "one body of three", blocks=[*no_bodies[:1], garbage[1], *no_bodies[2:]])
    _bad_runs(file)
    return file


def _bad_runs(file: Collection) -> None:
    three, forked = stretch("ada", 3), stretch("ada", 3, story="otherwise")
    plain = triples(three, [3])
    far, half = stretch("ada", 5, low=62), _with_half_block()
    elsewhere = stretch("ada", 3, log=2, previous=three[0].header.previous)
    after_end = [*stretch("ada", 1, low=MAX_SEQ)]
    header = after_end[0].header._replace(seq=MAX_SEQ + 1, previous=after_end[0].id)
    strays = {
        "the last follows, but leaves a seq out": block(
            device("ada"), 1, 4, three[1].id, three[2].body or b""
        ),
        "the last follows, but is of another log": block(
            device("ada"), 2, 3, three[1].id, three[2].body or b""
        ),
        "the last follows, but is of another device": block(
            device("ben"), 1, 3, three[1].id, three[2].body or b""
        ),
    }
    for why, stray in strays.items():
        file.bad("run", why, blocks=[*plain[:2], *triples([stray])])
    beyond = [triples(after_end)[0], [encode_header(header).hex(), "ab" * 64, None]]
    cases: dict[str, list[list[str | None]]] = {
        "no blocks": [],
        "the last has no signature": triples(three, []),
        "the last has another's signature": _resigned(plain, 2, three[1].signature),
        "the last is signed by another device": _resigned(
            plain, 2, device("ben").signing.sign(BLOCK_CONTEXT + three[2].raw)
        ),
        "the last is signed without its context": _resigned(
            plain, 2, device("ada").signing.sign(three[2].raw)
        ),
        "the last is signed under another context": _resigned(
            plain, 2, device("ada").signing.sign(context("person") + three[2].raw)
        ),
        "seq 64 has no signature": triples(far, [66]),
        "seq 64 has a wrong signature": _resigned(triples(far, [64, 66]), 2, far[4].signature),
        "a half-block has no signature": triples(half, [3]),
        "a half-block has a wrong signature": _resigned(triples(half), 1, half[2].signature),
        "a signature of 63 bytes where none is needed": _resigned(plain, 0, bytes(63)),
        "a signature of 65 bytes where none is needed": _resigned(plain, 0, bytes(65)),
        "a seq is left out": [plain[0], plain[2]],
        "a block twice": [plain[0], plain[1], plain[1], plain[2]],
        "two changed places": [plain[1], plain[0], plain[2]],
        "the second is of another branch": [plain[0], triples(forked)[1], plain[2]],
        "the last is of another branch": [*plain[:2], triples(forked)[2]],
        "the last is of another log": [*plain[:2], triples(elsewhere)[2]],
        "the last is of another device": [*plain[:2], triples(stretch("ben", 3))[2]],
        "a header in the middle has two spellings": [
            plain[0],
            [str(plain[1][0])[:-2] + "5800", *plain[1][1:]],
            plain[2],
        ],
        "a header is nothing": [plain[0], ["", "", None], plain[2]],
        "the body of another block": [[*plain[0][:2], plain[1][2]], *plain[1:]],
        "a body cut short": [[*plain[0][:2], str(plain[0][2])[:-2]], *plain[1:]],
        "it goes on after the last seq there is": beyond,
    }
    for why, blocks in cases.items():
        file.bad("run", why, blocks=blocks)


def _resigned(items: list[list[str | None]], at: int, signature: bytes) -> list[list[str | None]]:
    changed = [items[at][0], signature.hex(), items[at][2]]
    return [*items[:at], changed, *items[at + 1 :]]
