"""Vectors of envelopes, and of the messages that offer, take and bring mail."""

from __future__ import annotations

from gossip.envelope import MAX_ENVELOPE_BYTES, encode_envelope, lock_of
from ledger.codec import encode
from tests.vectors.cast import dice
from tests.vectors.collection import Collection

_TAG, _TOKEN = dice("a tag")[:16], dice("a token")[:16]
_OTHER = dice("another token")[:16]
_LOCK = lock_of(_TOKEN)
_NAME, _PART = dice("a name")[:5], dice("a part of an envelope")
_WEEK = 7 * 24 * 60
_SERIAL, _INDEX = 2**53 - 1, 2**13 - 1


def _sealed(size: int) -> bytes:
    """Return a ciphertext that looks random and is always the same for a size."""
    return b"".join(dice(f"ciphertext {number}") for number in range(size // 32 + 1))[:size]


def _envelope(size: int = 48) -> bytes:
    return encode_envelope(_TAG, _TOKEN, _sealed(size))


def _row(what: str, life: int) -> bytes:
    return dice(what)[:12] + life.to_bytes(2, "big")


def _rows(count: int) -> bytes:
    return b"".join(_row(f"row {number}", number + 1) for number in range(count))


def _names(count: int) -> bytes:
    return b"".join(dice(f"name {number}")[:5] for number in range(count))


def mails() -> Collection:
    file = Collection("envelopes; messages that offer, take and bring mail")
    _envelopes(file)
    for name, message in (_good_bulk() | _good_notices()).items():
        file.good("message", name, raw=encode(message))
    for why, message in (_bad_bulk() | _bad_notices()).items():
        file.bad("message", why, raw=encode(message))
    return file


def _envelopes(file: Collection) -> None:
    for size in (1, 23, 24, 255, 256, 512, 8_192):
        name = f"a ciphertext of {size:,} bytes"
        file.good("envelope", name, raw=_envelope(size), token=_TOKEN)
    file.good("envelope", "the token of another", raw=_envelope(), token=_OTHER)
    file.good(
        "envelope",
        "the same tag and lock: another id",
        raw=encode([1, _TAG, _LOCK, _sealed(49)[1:]]),
        token=_TOKEN,
    )
    for version in (2, 23):
        later = encode([version, _TAG, _LOCK, _sealed(48)])
        file.good("envelope", f"of version {version}: carried as it is", raw=later, token=_TOKEN)
    wrong: dict[str, object] = {
        "version 0": [0, _TAG, _LOCK, _sealed(48)],
        "version -1": [-1, _TAG, _LOCK, _sealed(48)],
        "version 24": [24, _TAG, _LOCK, _sealed(48)],
        "a version in bytes": [b"1", _TAG, _LOCK, _sealed(48)],
        "a tag of 15 bytes": [1, _TAG[:15], _LOCK, _sealed(48)],
        "a tag of 17 bytes": [1, _TAG + b"t", _LOCK, _sealed(48)],
        "a lock of 31 bytes": [1, _TAG, _LOCK[:31], _sealed(48)],
        "a lock of 33 bytes": [1, _TAG, _LOCK + b"l", _sealed(48)],
        "no lock": [1, _TAG, None, _sealed(48)],
        "a ciphertext of no bytes": [1, _TAG, _LOCK, b""],
        "a ciphertext of 8,193 bytes": [1, _TAG, _LOCK, _sealed(8_193)],
        "a ciphertext in text": [1, _TAG, _LOCK, "sealed"],
        "three items": [1, _TAG, _LOCK],
        "five items": [1, _TAG, _LOCK, _sealed(48), None],
        "a byte string": _sealed(48),
        "null": None,
    }
    spelled = {why: encode(value) for why, value in wrong.items()} | {
        "nothing": b"",
        "cut short": _envelope()[:-1],
        "a byte more": _envelope() + b"\0",
        "its version in two bytes": b"\x84\x18\x01" + _envelope()[2:],
        "its tag's length in two bytes": b"\x84\x01\x58\x10" + _envelope()[3:],
    }
    for why, raw in spelled.items():
        file.bad("envelope", why, raw=raw, token=_TOKEN)


def _good_bulk() -> dict[str, list[object]]:
    return {
        "ENVELOPES": [11, [[_envelope(), 7, 4_321, 0]]],
        "ENVELOPES, three": [
            11,
            [
                [_envelope(1), 0, 1, 0],
                [_envelope(300), 10, _WEEK, 64],
                [_envelope(2), 9, 255, 1],
            ],
        ],
        "ENVELOPES, the longest": [11, [[_envelope(8_192), 10, _WEEK, 64]]],
        "ENVELOPES, one that is none: it will be refused, the message is not": [
            11,
            [[b"", 1, 1, 0], [bytes(MAX_ENVELOPE_BYTES), 1, 1, 0]],
        ],
        "TOKENS": [13, [[_TAG, _TOKEN, 4_321]]],
        "TOKENS, three": [
            13,
            [[dice(f"tag {life}")[:16], _TOKEN, life] for life in (1, 24, _WEEK)],
        ],
        "PIECES, the first": [23, [[0, 0, 1_500, _sealed(1_024), 7, 4_321, 0]]],
        "PIECES, the last": [23, [[0, 1_024, 1_500, _sealed(476), 7, 4_321, 0]]],
        "PIECES, an envelope at once, and a byte of another": [
            23,
            [
                [3, 0, len(_envelope()), _envelope(), 10, _WEEK, 64],
                [_INDEX, MAX_ENVELOPE_BYTES - 1, MAX_ENVELOPE_BYTES, b"p", 0, 1, 1],
            ],
        ],
    }


def _good_notices() -> dict[str, list[object]]:
    every = [*range(255), _INDEX]
    return {
        "OFFERS, of nothing": [20, 1, 1, 40, b"", b"", b""],
        "OFFERS, of nothing to a stranger": [20, 1, 0, 0, b"", b"", b""],
        "OFFERS, a page": [
            *(20, 0, 38, 40),
            _row("one", 10_080) + _row("two", 61),
            _row("three", 1),
            _NAME,
        ],
        "OFFERS, of rows that claim no life, and more than there is": [
            *(20, 0, 7, 7),
            _row("dead", 0) + _row("long", 2**16 - 1),
            b"",
            b"",
        ],
        "OFFERS, of tokens": [20, 0, 1, _SERIAL, b"", b"", _names(3)],
        "OFFERS, what came meanwhile to a stranger": [20, 0, 0, 0, _rows(1), b"", b""],
        "OFFERS, 256 rows": [20, 1, _SERIAL, _SERIAL, _rows(200), _rows(50), _names(6)],
        "TAKE": [21, 1, [0, 3, 1, 2], []],
        "TAKE, of a token": [21, 0, [_INDEX], []],
        "TAKE, of mail to carry, where it was left": [21, 4, [9, 7, 8], [7, 1, 9, 8_247]],
        "TAKE, 256 rows": [21, 6, every, []],
        "LEAVE, not wanted": [22, 0, [0, 3]],
        "LEAVE, gone": [22, 1, [_INDEX]],
        "LEAVE, later": [22, 2, every],
        "LEAVE, another": [22, 3, [7]],
    }


def _bad_bulk() -> dict[str, list[object]]:
    envelope, piece = _envelope(), [3, 0, 64, _PART, 7, 1, 0]

    def but(at: int, value: object) -> list[object]:
        return [23, [[*piece[:at], value, *piece[at + 1 :]]]]

    return {
        "ENVELOPES without any": [11, []],
        "ENVELOPES without an array": [11, envelope],
        "ENVELOPES with something after them": [11, [[envelope, 7, 1, 0]], 0],
        "ENVELOPES of three parts": [11, [[envelope, 7, 1]]],
        "ENVELOPES of five parts": [11, [[envelope, 7, 1, 0, 0]]],
        "ENVELOPES of 8,249 bytes": [11, [[bytes(8_249), 7, 1, 0]]],
        "ENVELOPES that are null": [11, [[None, 7, 1, 0]]],
        "ENVELOPES that are not in bytes": [11, [[[1, _TAG, _LOCK, _PART], 7, 1, 0]]],
        "ENVELOPES with -1 hops": [11, [[envelope, -1, 1, 0]]],
        "ENVELOPES with 11 hops": [11, [[envelope, 11, 1, 0]]],
        "ENVELOPES with no life": [11, [[envelope, 7, 0, 0]]],
        "ENVELOPES with a life of 10,081 minutes": [11, [[envelope, 7, _WEEK + 1, 0]]],
        "ENVELOPES with -1 copies": [11, [[envelope, 7, 1, -1]]],
        "ENVELOPES with 65 copies": [11, [[envelope, 7, 1, 65]]],
        "ENVELOPES with copies of null": [11, [[envelope, 7, 1, None]]],
        "TOKENS without any": [13, []],
        "TOKENS without arrays": [13, [_TAG, _TOKEN, 1]],
        "TOKENS with something after them": [13, [[_TAG, _TOKEN, 1]], 0],
        "TOKENS without a life": [13, [[_TAG, _TOKEN]]],
        "TOKENS with no life": [13, [[_TAG, _TOKEN, 0]]],
        "TOKENS with a life of 10,081 minutes": [13, [[_TAG, _TOKEN, _WEEK + 1]]],
        "TOKENS of a tag of 15 bytes": [13, [[_TAG[:15], _TOKEN, 1]]],
        "TOKENS of 17 bytes": [13, [[_TAG, _TOKEN + b"t", 1]]],
        "TOKENS that are locks": [13, [[_TAG, _LOCK, 1]]],
        "PIECES without any": [23, []],
        "PIECES of six parts": [23, [piece[:6]]],
        "PIECES of eight parts": [23, [[*piece, 0]]],
        "PIECES of row -1": but(0, -1),
        "PIECES of row 2^13": but(0, 2**13),
        "PIECES at -1": but(1, -1),
        "PIECES beyond the end": but(1, 33),
        "PIECES of an envelope of 8,249 bytes": but(2, 8_249),
        "PIECES of an envelope shorter than they are": but(2, 31),
        "PIECES of no bytes": but(3, b""),
        "PIECES in text": but(3, "a part"),
        "PIECES with 11 hops": but(4, 11),
        "PIECES with no life": but(5, 0),
        "PIECES with 65 copies": but(6, 65),
    }


def _bad_notices() -> dict[str, list[object]]:
    many = list(range(257))
    return {
        "OFFERS with a last of 2": [20, 2, 1, 1, b"", b"", b""],
        "OFFERS from 0 to 1": [20, 0, 0, 1, b"", b"", b""],
        "OFFERS up to 0": [20, 0, 1, 0, b"", b"", b""],
        "OFFERS that end before they begin": [20, 0, 2, 1, b"", b"", b""],
        "OFFERS of serial 2^53": [20, 0, 1, 2**53, b"", b"", b""],
        "OFFERS of serial -1": [20, 0, -1, -1, b"", b"", b""],
        "OFFERS without names": [20, 0, 1, 1, b"", b""],
        "OFFERS with something after them": [20, 0, 1, 1, b"", b"", b"", None],
        "OFFERS with a row of 13 bytes": [20, 0, 1, 1, _rows(1)[:13], b"", b""],
        "OFFERS with a row without a life": [20, 0, 1, 1, _rows(1)[:12], b"", b""],
        "OFFERS with a row and a byte": [20, 0, 1, 1, b"", _rows(1) + b"r", b""],
        "OFFERS with a name of 4 bytes": [20, 0, 1, 1, b"", b"", _NAME[:4]],
        "OFFERS with a name and a byte": [20, 0, 1, 1, b"", b"", _NAME + b"n"],
        "OFFERS with rows in an array": [20, 0, 1, 1, [_rows(1)], b"", b""],
        "OFFERS with null for names": [20, 0, 1, 1, b"", b"", None],
        "OFFERS of 257 rows": [20, 0, 1, 1, _rows(257), b"", b""],
        "OFFERS of 257 rows, of three sorts": [20, 0, 1, 1, _rows(200), _rows(50), _names(7)],
        "TAKE of nothing": [21, 1, [], []],
        "TAKE without offsets": [21, 1, [0]],
        "TAKE with something after it": [21, 1, [0], [], None],
        **{f"TAKE in class {rank}": [21, rank, [0], []] for rank in (-1, 2, 3, 5, 7)},
        "TAKE of row -1": [21, 1, [-1], []],
        "TAKE of row 2^13": [21, 1, [2**13], []],
        "TAKE of a row twice": [21, 1, [0, 1, 0], []],
        "TAKE of a row in bytes": [21, 1, [_NAME], []],
        "TAKE of 257 rows": [21, 1, many, []],
        "TAKE from byte 0 on": [21, 4, [0], [0, 0]],
        "TAKE from byte 8,248 on": [21, 4, [0], [0, 8_248]],
        "TAKE with half an offset": [21, 4, [0, 1], [0, 5, 1]],
        "TAKE with an offset of a row that is not taken": [21, 4, [0, 1], [2, 5]],
        "TAKE with two offsets of a row": [21, 4, [0, 1], [0, 5, 0, 6]],
        "TAKE with offsets that descend": [21, 4, [0, 1], [1, 5, 0, 5]],
        "TAKE with offsets in arrays": [21, 4, [0, 1], [[0, 5]]],
        "LEAVE of nothing": [22, 0, []],
        "LEAVE without rows": [22, 0],
        "LEAVE for reason 4": [22, 4, [0]],
        "LEAVE for reason -1": [22, -1, [0]],
        "LEAVE of a row twice": [22, 1, [0, 0]],
        "LEAVE of row 2^13": [22, 1, [2**13]],
        "LEAVE of 257 rows": [22, 1, many],
        "LEAVE with something after it": [22, 1, [0], None],
    }
