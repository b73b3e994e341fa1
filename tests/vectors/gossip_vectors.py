"""Vectors of messages and frontier entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.codec import encode
from tests.vectors.cast import device, dice, first_block, stretch
from tests.vectors.collection import Collection
from tests.vectors.evidence_vectors import proof_bytes, statement_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block

_HASH = dice("some hash")


def raw_run(blocks: Sequence[Block], hops: int = 0, *, bodies: bool = True) -> list[object]:
    """Return a run as it stands in DATA: only the last signature, and that of first blocks."""
    flat: list[object] = [hops]
    for one in blocks:
        is_signed = one is blocks[-1]
        flat += [one.raw, one.signature if is_signed else b"", one.body if bodies else None]
    return flat


def data_bytes(*runs: list[object]) -> bytes:
    return encode([6, list(runs)])


def _late(blocks: Sequence[Block]) -> list[object]:
    return [[*one.header[:3], one.body] for one in blocks]


def a_proof() -> bytes:
    one, other = stretch("ada", 1), stretch("ada", 1, story="otherwise")
    return proof_bytes(one, other) if one[0].id < other[0].id else proof_bytes(other, one)


def messages() -> Collection:
    file = Collection("messages: bytes to fields; whether runs and the like hold is not asked here")
    three = stretch("ada", 3)
    first, statement = first_block("ada"), list(statement_bytes().values())
    of_all_sizes: list[list[object]] = [
        [0, (_HASH * 9)[:size], b"", None] for size in (0, 23, 24, 255, 256, 258)
    ]
    good: dict[str, bytes] = {
        "DATA, one block": data_bytes(raw_run([first])),
        "DATA, three runs": data_bytes(
            raw_run([first]), raw_run(three, 255), raw_run(stretch("ben", 1), 3)
        ),
        "DATA, headers alone": data_bytes(raw_run(three, bodies=False)),
        "DATA, unsigned: the run will be refused, the message is not": data_bytes(
            [0, three[0].raw, b"", three[0].body]
        ),
        "DATA, a header of no bytes: likewise": data_bytes([0, b"", b"", None]),
        "DATA, headers of all sizes: likewise": data_bytes(*of_all_sizes),
        "BODIES": encode([8, _late(three)]),
        "BODIES, of no bytes": encode([8, [[_HASH, 2**32 - 1, 2**40 - 1, b""]]]),
        "STATEMENTS": encode([9, [statement]]),
        "PROOFS": encode([10, [a_proof(), a_proof()]]),
        "of a bundle: its trailer": encode([15, 1, 2, [b"abc"]]),
        "unknown: 40": encode([40, None]),
        "unknown: 41, nothing but its number": encode([41]),
        "unknown: 2^64 - 1": encode([2**64 - 1]),
    }
    for name, raw in good.items():
        file.good("message", name, raw=raw)
    _bad_messages(file, three, statement)
    return file


def _bad_messages(file: Collection, three: list[Block], statement: list[bytes]) -> None:
    raw, signature, content = three[0].raw, three[0].signature, three[0].body or b""
    author, log, seq = three[0].header[:3]
    rows: dict[str, list[object]] = {
        "DATA without runs": [6, []],
        "DATA without an array": [6],
        "DATA with something after the runs": [6, [raw_run(three)], 0],
        "DATA with a run of nothing": [6, [[]]],
        "DATA with a run without blocks": [6, [[0]]],
        "DATA with half a block": [6, [[0, raw, signature]]],
        "DATA with a block and a bit": [6, [[0, raw, signature, None, raw]]],
        "DATA with 256 hops": [6, [[256, raw, signature, None]]],
        "DATA with -1 hops": [6, [[-1, raw, signature, None]]],
        "DATA with blocks in arrays": [6, [[0, [raw, signature, None]]]],
        "DATA with a header of 259 bytes": [6, [[0, bytes(259), signature, None]]],
        "DATA with a signature of 63 bytes": [6, [[0, raw, bytes(63), None]]],
        "DATA with a signature of 65 bytes": [6, [[0, raw, bytes(65), None]]],
        "DATA with no signature at all": [6, [[0, raw, None, None]]],
        "DATA with a body of 16,385 bytes": [6, [[0, raw, signature, bytes(16_385)]]],
        "DATA with a body in text": [6, [[0, raw, signature, "body"]]],
        "BODIES without any": [8, []],
        "BODIES with something after them": [8, _late(three), 0],
        "BODIES with an author of 31 bytes": [8, [[author[:31], log, seq, content]]],
        "BODIES of log 2^32": [8, [[author, 2**32, seq, content]]],
        "BODIES of seq 0": [8, [[author, log, 0, content]]],
        "BODIES of seq 2^40": [8, [[author, log, 2**40, content]]],
        "BODIES of 16,385 bytes": [8, [[author, log, seq, bytes(16_385)]]],
        "BODIES that are null": [8, [[author, log, seq, None]]],
        "BODIES with a hash": [8, [[author, log, seq, _HASH, content]]],
        "STATEMENTS without any": [9, []],
        "STATEMENTS with a signature of 63 bytes": [9, [[statement[0], statement[1][:63]]]],
        "STATEMENTS with an empty signature": [9, [[statement[0], b""]]],
        "STATEMENTS of three parts": [9, [[*statement, 0]]],
        "STATEMENTS of 2,049 bytes": [9, [[bytes(2_049), statement[1]]]],
        "STATEMENTS without arrays": [9, statement],
        "PROOFS without any": [10, []],
        "PROOFS of 40,001 bytes": [10, [bytes(40_001)]],
        "PROOFS that are null": [10, [None]],
        "a number below zero": [-1, []],
        "a number in text": ["DATA", []],
        "no number": [None],
        "an empty array": [],
    }
    for why, row in rows.items():
        file.bad("message", why, raw=encode(row))
    whole = data_bytes(raw_run(three))
    spelled = {
        "nothing": b"",
        "a number alone": b"\x06",
        "a map": b"\xa0",
        "DATA cut short": whole[:-1],
        "DATA and a byte": whole + b"\0",
        "DATA with its number in two bytes": whole[:1] + b"\x18\x06" + whole[2:],
        "DATA with the runs' count in two bytes": whole[:2] + b"\x98\x01" + whole[3:],
        "DATA with a header's length in three bytes": whole.replace(
            b"\x58" + bytes([len(raw)]) + raw, b"\x59\0" + bytes([len(raw)]) + raw
        ),
        "DATA with a header of 1 byte, its length in two": bytes.fromhex("820681840058010040f6"),
        "DATA with a signature's length in three bytes": whole.replace(
            b"\x58\x40", b"\x59\0\x40", 1
        ),
        "DATA cut in a header": whole[:100],
        "DATA cut in the last signature": data_bytes(raw_run(three, bodies=False))[:-40],
        "DATA cut before its last null": data_bytes(raw_run(three, bodies=False))[:-1],
        "DATA with runs of indefinite count": whole[:2] + b"\x9f" + whole[3:] + b"\xff",
        "an unknown one with a float": b"\x82\x18\x28\xf9\0\0",
        "65,001 bytes": encode([40, bytes(64_995)]),
    }
    for why, raw_message in spelled.items():
        file.bad("message", why, raw=raw_message)


def frontiers() -> Collection:
    file = Collection("frontier entries")
    author, low, high = device("ada").public, *sorted((_HASH, dice("another hash")))
    good: dict[str, list[object]] = {
        "nothing joined": [author, 1, 0, [], [[5, 9]], None],
        "nothing at all": [author, 0, 0, [], [], None],
        "a head": [author, 1, 12, [low], [], None],
        "bodies missing": [author, 1, 12, [low], [], 3],
        "detached segments": [author, 1, 12, [low], [[14, 14], [16, 20]], None],
        "four of them": [
            author,
            1,
            12,
            [low],
            [[14, 14], [16, 20], [22, 23], [2**40 - 2, 2**40 - 1]],
            1,
        ],
        "forked, nothing before it is held": [author, 1, 12, [low, high], [], None],
        "forked, with what is held before": [author, 1, 12, [low, high], [[1, 11]], 7],
        "forked, with the most ranges": [
            author,
            1,
            12,
            [low, high],
            [[2 * n - 1, 2 * n - 1] for n in range(1, 6)],
            None,
        ],
        "forked at the first block": [author, 0, 1, [low, high], [], None],
        "the last there is": [author, 2**32 - 1, 2**40 - 1, [high], [], 2**40 - 1],
    }
    for name, entry in good.items():
        file.good("frontier entry", name, raw=encode(entry))
    bad: dict[str, list[object]] = {
        "an author of 31 bytes": [author[:31], 1, 12, [low], [], None],
        "log 2^32": [author, 2**32, 12, [low], [], None],
        "seq 2^40": [author, 1, 2**40, [low], [], None],
        "seq -1": [author, 1, -1, [], [], None],
        "a seq without id": [author, 1, 12, [], [], None],
        "an id without seq": [author, 1, 0, [low], [], None],
        "two ids that descend": [author, 1, 12, [high, low], [], None],
        "one id twice": [author, 1, 12, [low, low], [], None],
        "three ids": [author, 1, 12, [low, high, b"\xff" * 32], [], None],
        "an id of 31 bytes": [author, 1, 12, [low[:31]], [], None],
        "an id without an array": [author, 1, 12, low, [], None],
        "a segment that ends before it begins": [author, 1, 12, [low], [[20, 19]], None],
        "a segment of seq 0": [author, 1, 0, [], [[0, 9]], None],
        "a segment up to 2^40": [author, 1, 12, [low], [[20, 2**40]], None],
        "a segment that touches the joined part": [author, 1, 12, [low], [[13, 20]], None],
        "segments that touch": [author, 1, 12, [low], [[14, 15], [16, 20]], None],
        "segments that descend": [author, 1, 12, [low], [[30, 31], [20, 21]], None],
        "five segments": [author, 1, 12, [low], [[20 * n, 20 * n + 1] for n in range(1, 6)], None],
        "six ranges before a fork": [
            author,
            1,
            40,
            [low, high],
            [[2 * n, 2 * n] for n in range(1, 7)],
            None,
        ],
        "a range that reaches the fork": [author, 1, 12, [low, high], [[5, 12]], None],
        "a range beyond the fork": [author, 1, 12, [low, high], [[14, 15]], None],
        "ranges that touch before a fork": [author, 1, 12, [low, high], [[1, 5], [6, 7]], None],
        "a segment of three numbers": [author, 1, 12, [low], [[20, 21, 22]], None],
        "a segment of one number": [author, 1, 12, [low], [[20]], None],
        "a missing body at 0": [author, 1, 12, [low], [], 0],
        "a missing body at 2^40": [author, 1, 12, [low], [], 2**40],
        "a missing body in bytes": [author, 1, 12, [low], [], low],
        "five fields": [author, 1, 12, [low], []],
        "seven fields": [author, 1, 12, [low], [], None, 0],
        "nothing": [],
    }
    for why, entry in bad.items():
        file.bad("frontier entry", why, raw=encode(entry))
    file.bad("frontier entry", "a byte more", raw=encode(good["a head"]) + b"\0")
    file.bad("frontier entry", "longer than 256 bytes", raw=encode([bytes(253)]))
    return file
