"""Vectors of bodies, kind by kind. A bad one means nothing; its block would still be valid."""

from __future__ import annotations

from ledger.block import ZEROS, Block, Counterparty
from ledger.codec import encode
from ledger.errors import MeaninglessError
from tests.vectors.cast import TIME, block, body, device, dice, person
from tests.vectors.collection import Collection

_HASH = dice("some hash")
_REFERENCE = [device("ben").public, 1, 3, _HASH]
_FILE = [_HASH, 123_456, "image/jpeg", "Schäfchen.jpg"]


def bodies() -> Collection:
    file = Collection("bodies by kind; belongs_to is whose device it is", MeaninglessError)
    _outside(file)
    _devices(file)
    _profiles(file)
    _posts(file)
    _records(file)
    _half_blocks(file)
    return file


def _raw(*items: object) -> bytes:
    """Return a salt and a CBOR array of ``items``."""
    return dice("salt outside")[:16] + encode(items)


def _outside(file: Collection) -> None:
    tag = dice("tag")[:16]
    good = {
        "no fields": _raw(0, TIME),
        "fields of a kind that nobody knows": _raw(0, TIME, "a", [1, [b"b", None]], -5),
        "at the beginning of 1970": _raw(0, 0),
        "at the last moment there is": _raw(0, 2**53 - 1),
        "sealed": _raw(1, tag, b"ciphertext"),
        "sealed, with nothing in it": _raw(1, tag, b""),
    }
    for name, raw in good.items():
        file.good("body", name, body=raw)
    largest = _raw(0, TIME, bytes(16_384 - 30))
    file.good("body", "16,384 bytes", body=largest)
    bad = {
        "nothing": b"",
        "only a salt": dice("salt")[:16],
        "half a salt": dice("salt")[:8],
        "no time": _raw(0),
        "an empty array": _raw(),
        "not an array": dice("salt")[:16] + encode(0),
        "a time before 1970": _raw(0, -1),
        "time 2^53": _raw(0, 2**53),
        "a time in text": _raw(0, "2026"),
        "a body of another form": _raw(2, TIME),
        "form -1": _raw(-1, TIME),
        "sealed, with a tag of 15 bytes": _raw(1, tag[:15], b"ciphertext"),
        "sealed, without ciphertext": _raw(1, tag),
        "sealed, with a fourth part": _raw(1, tag, b"ciphertext", 0),
        "sealed, with text": _raw(1, tag, "ciphertext"),
        "the time in two bytes": dice("salt")[:16] + b"\x82\x00\x18\x05",
        "a float": dice("salt")[:16] + b"\x83\x00\x05\xf9\x00\x00",
        "a byte more": _raw(0, TIME) + b"\0",
        "16,385 bytes": _raw(0, TIME, bytes(16_384 - 29)),
    }
    for why, raw in bad.items():
        file.bad("body", why, body=raw)


def _devices(file: Collection) -> None:
    ada, phone = person("ada"), device("ada")
    root, sealing = ada.signing.public, phone.sealing_public
    right, wrong = ada.certify(phone.public), person("ben").certify(phone.public)
    good: dict[str, list[object]] = {
        "Ada's": [sealing, root, right],
        "fields of a later version": [sealing, root, right, "later", [1]],
        "its certificate is wrong: it is its own person": [sealing, root, wrong],
        "its certificate is zeros: it is its own person": [sealing, root, bytes(64)],
    }
    for name, fields in good.items():
        file.good("device", name, author=phone.public, body=body("device", *fields))
    bad: dict[str, list[object]] = {
        "no certificate": [sealing, root],
        "a sealing key of 31 bytes": [sealing[:31], root, right],
        "a person of 33 bytes": [sealing, root + b"\0", right],
        "a certificate of 63 bytes": [sealing, root, right[:63]],
        "a person in text": [sealing, "ada", right],
        "no person": [sealing, None, right],
    }
    for why, fields in bad.items():
        file.bad("device", why, author=phone.public, body=body("device", *fields))
    file.bad("device", "sealed", author=phone.public, body=_raw(1, bytes(16), b""))


def _profiles(file: Collection) -> None:
    good: dict[str, list[object]] = {
        "a name": ["Ada", ""],
        "a name and something about her": ["Ada Lovelace", "poet\nof numbers"],
        "64 bytes": ["é" * 32, "x" * 1_024],
        "many scripts": ["아다 ادا עדה 😀", ""],
        "a name of one letter": ["Ω", "e\u0301"],
        "joiners within": ["👩\u200d🚀", ""],
        "blanks around": [" Ada ", ""],
        "about shows nothing": ["Ada", "\0\u202e"],
        "fields of a later version": ["Ada", "", None, b"later"],
    }
    for name, fields in good.items():
        file.good("profile", name, body=body("profile", *fields))
    bad: dict[str, list[object]] = {
        "no name": ["", ""],
        "65 bytes": ["é" * 32 + "x", ""],
        "1,025 bytes about": ["Ada", "x" * 1_025],
        "nothing about": ["Ada"],
        "null about": ["Ada", None],
        "the name in bytes": [b"Ada", ""],
        "a line break in the name": ["Ada\nB", ""],
        "a NUL in the name": ["Ada\0", ""],
        "U+007F in the name": ["Ada\x7f", ""],
        "U+009F in the name": ["Ada\x9f", ""],
        "a line separator in the name": ["Ada\u2028", ""],
        "a mark that turns the direction": ["Ada\u202e", ""],
        "an isolate in the name": ["\u2066Ada\u2069", ""],
        "an Arabic letter mark in the name": ["Ada\u061c", ""],
        "a right-to-left mark in the name": ["Ada\u200f", ""],
        "only spaces": ["  \u00a0\u3000", ""],
        "only a joiner": ["\u200d", ""],
        "only a filler": ["\u3164\u2800", ""],
        "only a tag and a variation selector": ["\U000e0041\ufe0f", ""],
    }
    for why, fields in bad.items():
        file.bad("profile", why, body=body("profile", *fields))


def _posts(file: Collection) -> None:
    good: dict[str, list[object]] = {
        "a text": ["Hello.", None, []],
        "a reply": ["Yes.", _REFERENCE, []],
        "an attachment": ["Look.", None, [_FILE]],
        "16 attachments": ["Look.", None, [_FILE] * 16],
        "an attachment without type and name": ["Look.", None, [[_HASH, 0, "", ""]]],
        "the largest attachment": ["Look.", None, [[_HASH, 2**53 - 1, "a" * 128, "b" * 255]]],
        "8,192 bytes": ["é" * 4_096, None, []],
        "any characters": ["a\0\n\u202e\u2028", None, []],
        "a reply to the last block there can be": [
            "Yes.",
            [_HASH, 2**32 - 1, 2**40 - 1, _HASH],
            [],
        ],
        "fields of a later version": ["Hello.", None, [], "later", []],
    }
    for name, fields in good.items():
        file.good("post", name, body=body("post", *fields))
    author, log, seq, ident = _REFERENCE
    bad: dict[str, list[object]] = {
        "no text": ["", None, []],
        "null text": [None, None, []],
        "text in bytes": [b"Hello.", None, []],
        "8,193 bytes": ["é" * 4_096 + "x", None, []],
        "no attachments": ["Hello.", None],
        "null attachments": ["Hello.", None, None],
        "17 attachments": ["Look.", None, [_FILE] * 17],
        "an attachment of three": ["Look.", None, [_FILE[:3]]],
        "an attachment of five": ["Look.", None, [[*_FILE, 0]]],
        "an attachment's hash of 31 bytes": ["Look.", None, [[_HASH[:31], *_FILE[1:]]]],
        "an attachment's size of -1": ["Look.", None, [[_HASH, -1, "", ""]]],
        "an attachment's size of 2^53": ["Look.", None, [[_HASH, 2**53, "", ""]]],
        "an attachment's type of 129 bytes": ["Look.", None, [[_HASH, 0, "a" * 129, ""]]],
        "an attachment's name of 256 bytes": ["Look.", None, [[_HASH, 0, "", "a" * 256]]],
        "an attachment's type on two lines": ["Look.", None, [[_HASH, 0, "a\nb", ""]]],
        "an attachment's name with a direction": ["Look.", None, [[_HASH, 0, "", "\u202egpj.exe"]]],
        "an attachment's name with a way up": ["Look.", None, [[_HASH, 0, "", "../a"]]],
        "an attachment's name with a backslash": ["Look.", None, [[_HASH, 0, "", "a\\b"]]],
        "a reply to bytes": ["Yes.", ident, []],
        "a reply to three": ["Yes.", [author, log, seq], []],
        "a reply to five": ["Yes.", [*_REFERENCE, 0], []],
        "a reply to an author of 31 bytes": ["Yes.", [_HASH[:31], log, seq, ident], []],
        "a reply to log 2^32": ["Yes.", [author, 2**32, seq, ident], []],
        "a reply to seq 0": ["Yes.", [author, log, 0, ident], []],
        "a reply to seq 2^40": ["Yes.", [author, log, 2**40, ident], []],
        "a reply to an id of 33 bytes": ["Yes.", [author, log, seq, bytes(33)], []],
    }
    for why, fields in bad.items():
        file.bad("post", why, body=body("post", *fields))
    half_a_pair = body("post", "abc", None, []).replace(b"\x63abc", b"\x63\xed\xa0\x80")
    file.bad("post", "half of a surrogate pair", body=half_a_pair)
    file.bad("post", "sealed", body=_raw(1, bytes(16), b""))


def _records(file: Collection) -> None:
    proposal = [device("ada").public, 0, 5, _HASH]
    good: dict[str, list[object]] = {
        "a head above the proposal": [proposal, 8],
        "the head is the proposal": [proposal, 5],
        "with the kind's own fields": [proposal, 8, "byte", 1_000],
    }
    for name, fields in good.items():
        file.good("agreement", name, body=body("agreement", *fields))
    bad: dict[str, list[object]] = {
        "no head": [proposal],
        "a null head": [proposal, None],
        "a head below the proposal": [proposal, 4],
        "head 2^40": [proposal, 2**40],
        "a proposal in log 1": [[device("ada").public, 1, 5, _HASH], 8],
        "an id instead of a reference": [_HASH, 8],
        "no proposal": [None, 8],
    }
    for why, fields in bad.items():
        file.bad("agreement", why, body=body("agreement", *fields))
    file.good("withdraw", "a withdrawal", body=body("withdraw", _HASH))
    later = body("withdraw", _HASH, "I changed my mind.")
    file.good("withdraw", "fields of a later version", body=later)
    for why, what in (("31 bytes", _HASH[:31]), ("text", "a" * 32), ("a reference", proposal)):
        file.bad("withdraw", why, body=body("withdraw", what))
    file.bad("withdraw", "nothing", body=body("withdraw"))


def _half(fields: list[object], kind: str, pair: Counterparty | None, *, log: int = 0) -> Block:
    content = body("half", *fields)
    return block(device("ben"), log, 3, dice("unseen ben"), content, kind=kind, counterparty=pair)


def _half_blocks(file: Collection) -> None:
    ada = person("ada").signing.public
    asks, answers = Counterparty(ada, ZEROS), Counterparty(ada, _HASH)
    proposal = [device("ada").public, 0, 5, _HASH]
    anyone = Counterparty(ZEROS, ZEROS)
    elsewhere = [device("ada").public, 0, 5, dice("another hash")]
    cases = {
        "a proposal": _half(["byte", 1_000], "help", asks),
        "a proposal to anyone": _half(["byte", 1_000], "help", anyone),
        "an agreement": _half([proposal, 8], "help", answers),
        "a withdrawal": _half([_HASH], "withdraw", None),
        "an agreement whose body refers to another": _half([elsewhere, 8], "help", answers),
        "an agreement whose body is none": _half(["byte"], "help", answers),
        "a proposal outside log 0": _half(["byte"], "help", asks, log=1),
        "an agreement outside log 0": _half([proposal, 8], "help", answers, log=1),
        "a withdrawal outside log 0": _half([_HASH], "withdraw", None, log=1),
        "a withdrawal with a counterparty": _half([_HASH], "withdraw", asks),
        "neither": _half(["Hello.", None, []], "post", None),
    }
    for name, one in cases.items():
        file.good("half-block", name, header=one.raw, body=one.body)
    unseen = {
        "a proposal without its body": "a proposal",
        "an agreement without its body": "an agreement",
        "a withdrawal without its body": "a withdrawal",
    }
    for name, of in unseen.items():
        file.good("half-block", name, header=cases[of].raw, body=None)
