"""Vectors of the codec, headers, and the bodies that headers name."""

from __future__ import annotations

from ledger.block import (
    MAX_SEQ,
    ZEROS,
    Counterparty,
    body_hash,
    encode_header,
)
from ledger.codec import encode
from tests.vectors.cast import (
    dice,
    first_block,
    person,
    raw_header,
    stretch,
)
from tests.vectors.collection import Collection

_HASH = dice("some hash")


def codec() -> Collection:
    file = Collection("the one spelling of a value; limit is the most bytes the reader allows")
    edges = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**64 - 1]
    for number in [*edges, -1, -24, -25, -256, -257, -(2**53), -(2**64)]:
        file.good("cbor", f"the number {number}", raw=encode(number), limit=16)
    for size in (0, 23, 24, 255, 256):
        file.good("cbor", f"{size} bytes", raw=encode((dice("bytes") * 8)[:size]), limit=300)
    texts = [
        "",
        "a",
        "\0",
        "Grüße",
        "多言語",
        "😀",
        "\ufeffwith a mark",
        "e\u0301",
        "\x7f\uffff\U0010ffff",
    ]
    for text in texts:
        file.good("cbor", f"the text {text!r}", raw=encode(text), limit=64)
    nested: list[object] = []
    for _ in range(7):
        nested = [nested]
    arrays: list[object] = [None, [], [None], [1, [2, b"3"], "4"], list(range(24)), nested]
    for array in arrays:
        file.good("cbor", "null" if array is None else "an array", raw=encode(array), limit=64)
    for why, raw in _BAD_CBOR.items():
        file.bad("cbor", why, raw=raw, limit=64)
    file.bad("cbor", "longer than the limit", raw=encode(bytes(62)), limit=63)
    file.bad("cbor", "nested nine deep", raw="81" * 8 + "80", limit=64)
    file.bad("cbor", "nested very deep", raw="81" * 5_000 + "80", limit=65_000)
    return file


_BAD_CBOR = {
    "nothing": "",
    "something after the end": "0000",
    "0 in two bytes": "1800",
    "23 in two bytes": "1817",
    "255 in three bytes": "1900ff",
    "65,535 in five bytes": "1a0000ffff",
    "2^32 - 1 in nine bytes": "1b00000000ffffffff",
    "-1 in two bytes": "3800",
    "a byte string's length in two bytes": "580100",
    "a text's length in two bytes": "780161",
    "an array's length in two bytes": "980100",
    "a big number by tag": "c249010000000000000000",
    "a date by tag": "c074323032362d30312d30315430303a30303a30305a",
    "a map": "a10001",
    "an empty map": "a0",
    "false": "f4",
    "true": "f5",
    "undefined": "f7",
    "null in two bytes": "f816",
    "simple value 32": "f820",
    "half a float": "f90000",
    "a float": "fa00000000",
    "a double": "fb0000000000000000",
    "a break": "ff",
    "bytes of indefinite length": "5f4100ff",
    "text of indefinite length": "7f6161ff",
    "an array of indefinite length": "9f00ff",
    "a reserved head": "1c",
    "another reserved head": "9d",
    "a head cut short": "19ff",
    "a head cut very short": "1b",
    "bytes cut short": "4200",
    "text cut short": "626f",
    "an array cut short": "8200",
    "more bytes than there are in the world": "5bffffffffffffffff00",
    "more items than there are bytes": "9bffffffffffffffff00",
    "text that begins in the middle": "6180",
    "text cut inside a character": "61c3",
    "text with a long spelling of NUL": "62c080",
    "text with half a surrogate pair": "63eda080",
    "text beyond the last character": "64f4908080",
    "an array with a float in it": "8200f90000",
}


def headers() -> Collection:
    file = Collection("headers, their ids, and the bodies they name")
    agreement = Counterparty(person("ben").signing.public, _HASH)
    to_ben, to_anyone = agreement._replace(proposal=ZEROS), Counterparty(ZEROS, ZEROS)
    file.good("header", "(log 0, seq 1)", raw=first_block("ada").raw)
    file.good("header", "(log 1, seq 1)", raw=stretch("ada", 1)[0].raw)
    longest = {
        "log": 2**32 - 1,
        "seq": MAX_SEQ,
        "counterparty": agreement,
        "kind": "a" * 32,
        "body_size": 16_384,
    }
    good: dict[str, dict[str, object]] = {
        "258 bytes: each field at its longest": {**longest, "ext": bytes(32)},
        "an ordinary one": {},
        "a proposal to Ben": {"log": 0, "counterparty": to_ben, "kind": "help"},
        "a proposal to anyone": {"log": 0, "counterparty": to_anyone, "kind": "help"},
        "an agreement with Ben": {"log": 0, "counterparty": agreement, "kind": "help"},
        "the highest log": {"log": 2**32 - 1},
        "the highest seq": {"seq": MAX_SEQ},
        "heads of two bytes": {"log": 24, "seq": 255},
        "heads of three bytes": {"log": 256, "seq": 65_535},
        "heads of five bytes": {"log": 2**31, "seq": 65_536},
        "a kind of one letter": {"kind": "x"},
        "a kind of 32 characters": {"kind": "abcdefghijklmnopqrst/0123.456-89"},
        "an unknown kind": {"kind": "game/chess.move"},
        "device as the kind of a later block": {"kind": "device"},
        "an empty body": {"body_size": 0},
        "the largest body": {"body_size": 16_384},
        "an ext of one byte": {"ext": b"\0"},
        "an ext of 32 bytes": {"ext": _HASH},
    }
    for name, changes in good.items():
        file.good("header", name, raw=raw_header(**changes))
    _bad_headers(file)
    _named_bodies(file)
    return file


def _bad_headers(file: Collection) -> None:
    first = first_block("ada").header._asdict()
    ben = person("ben").signing.public
    bad: dict[str, dict[str, object]] = {
        "version 0": {"version": 0},
        "version 2": {"version": 2},
        "an author of 31 bytes": {"author": _HASH[:31]},
        "an author of 33 bytes": {"author": _HASH + b"\0"},
        "an author in text": {"author": "a" * 32},
        "log 2^32": {"log": 2**32},
        "log -1": {"log": -1},
        "no log": {"log": None},
        "seq 0": {"seq": 0},
        "seq -1": {"seq": -1},
        "seq 2^40": {"seq": 2**40},
        "a previous of 31 bytes": {"previous": _HASH[:31]},
        "no previous": {"previous": None},
        "zeros as previous of seq 2": {"previous": ZEROS},
        "zeros as previous of (log 1, seq 1)": {"seq": 1, "previous": ZEROS},
        "(log 0, seq 1) that follows something": {**first, "previous": _HASH},
        "(log 0, seq 1) of another kind": {**first, "kind": "post"},
        "(log 0, seq 1) with a counterparty": {**first, "counterparty": (ben, ZEROS)},
        "counterparty of nothing": {"counterparty": []},
        "counterparty of one": {"counterparty": (ben,)},
        "counterparty of three": {"counterparty": (ben, ZEROS, ZEROS)},
        "counterparty without an array": {"counterparty": ben},
        "counterparty with a person of 31 bytes": {"counterparty": (ben[:31], ZEROS)},
        "counterparty with a proposal of 33 bytes": {"counterparty": (ben, bytes(33))},
        "counterparty with a null proposal": {"counterparty": (ben, None)},
        "an agreement with nobody": {"counterparty": (ZEROS, _HASH)},
        "an empty kind": {"kind": ""},
        "a kind of 33 characters": {"kind": "a" * 33},
        "a kind with a capital": {"kind": "Post"},
        "a kind with an underscore": {"kind": "my_post"},
        "a kind with a line end": {"kind": "post\n"},
        "a kind with an accent": {"kind": "pöst"},
        "a kind in bytes": {"kind": b"post"},
        "a kind that is a number": {"kind": 7},
        "a body size in text": {"body_size": "7"},
        "a body hash of 31 bytes": {"body_hash": _HASH[:31]},
        "a body of 16,385 bytes": {"body_size": 16_385},
        "a body of -1 bytes": {"body_size": -1},
        "an ext of 33 bytes": {"ext": bytes(33)},
        "an ext in text": {"ext": ""},
        "no ext": {"ext": None},
    }
    for why, changes in bad.items():
        file.bad("header", why, raw=raw_header(**changes))
    raw = raw_header()
    fields = (1, *stretch("ada", 2)[1].header)
    spelled: dict[str, bytes] = {
        "nothing": b"",
        "nine fields": encode(fields[:-1]),
        "eleven fields": encode((*fields, 0)),
        "one byte more": raw + b"\0",
        "one byte less": raw[:-1],
        "half of it": raw[: len(raw) // 2],
        "only the author": raw[:36],
        "the array's length in two bytes": b"\x98\x0a" + raw[1:],
        "an array of indefinite length": b"\x9f" + raw[1:] + b"\xff",
        "the version in two bytes": raw[:1] + b"\x18\x01" + raw[2:],
        "the author's length in three bytes": raw[:2] + b"\x59\0\x20" + raw[4:],
        "the log in two bytes": raw[:36] + b"\x18\x01" + raw[37:],
        "the seq in two bytes": raw[:37] + b"\x18\x02" + raw[38:],
        "the ext's length in two bytes": raw[:-1] + b"\x58\0",
        "a tag before it": b"\xc0" + raw,
        "300 bytes": raw[:-1] + b"\x58\x78" + bytes(120),
    }
    for why, wrong in spelled.items():
        file.bad("header", why, raw=wrong)


def _named_bodies(file: Collection) -> None:
    own, other = stretch("ada", 2)[1], stretch("ada", 2, story="otherwise")[1]
    content = own.body or b""
    file.good("named body", "its own", header=own.raw, body=content)
    empty = encode_header(own.header._replace(body_hash=body_hash(b""), body_size=0))
    file.good("named body", "empty", header=empty, body=b"")
    cases = {
        "another block's": other.body,
        "a bit flipped": bytes([content[0] ^ 1]) + content[1:],
        "a byte less": content[:-1],
        "a byte more": content + b"\0",
        "nothing": b"",
    }
    for why, wrong in cases.items():
        file.bad("named body", why, header=own.raw, body=wrong)
    lying = encode_header(own.header._replace(body_size=own.header.body_size + 1))
    file.bad("named body", "the header's size is wrong", header=lying, body=content)
