"""Vectors of the messages that steer a meeting, and of what was seen of another store."""

from __future__ import annotations

from ledger.codec import encode
from tests.vectors.cast import device, dice
from tests.vectors.collection import Collection

_RUN, _OTHER = dice("a run")[:8], dice("another run")[:8]
_SHORT, _CHECK, _PROOF = dice("a log")[:8], dice("check")[:4], dice("evidence")[:4]
_ROOT, _SCOPE, _ID = dice("root")[:16], dice("scope")[:16], dice("some hash")[:8]
_IDENT = _ID[:4]
_LSN, _SEQ, _INDEX = 2**53 - 1, 2**40 - 1, 2**20 - 1
_MAIL, _MAIL_SEEN = dice("mail")[:4], [dice("their mail")[:4], [1, 9, 12, 15]]
_SEEN = [_RUN, [1, 40, 42, 42, 50, 99]]
_HELLO = [0, [1], 3, 65_000, 2**20, None]
_PARTS = b"".join(dice(f"part {number}")[:4] for number in range(16))
_MANY = [end for low in range(1, 97, 3) for end in (low, low + 1)]


def _author() -> bytes:
    return device("ada").public


def _entry() -> bytes:
    return encode([_author(), 1, 12, [dice("some hash")], [[14, 20]], 3])


def _good() -> dict[str, list[object]]:
    full = [_author(), 1, 7, _CHECK]
    return {
        "HELLO, to a contact": [0, [1], 1, 65_000, 2**20, None, [_RUN, 120, _SEEN]],
        "HELLO, to a contact never met": [0, [1], 1, 65_000, 2**20, 0, [_RUN, _LSN, None]],
        "HELLO, of an empty store": [0, [1], 0, 24_000, 24_000, _LSN, [b"", 0, None]],
        "HELLO, to a stranger": [0, [1, 2, 2**64 - 1], 2**64 - 1, 24_000, _LSN, None, None],
        "HELLO, of a later version": [
            *(0, [1, 2], 0, 65_000, 24_000, 0, None, None, None),
            *([b"more"], 3),
        ],
        "HELLO, of mail to a contact": [*_HELLO, [_RUN, 120, _SEEN], [_MAIL, 17, _MAIL_SEEN]],
        "HELLO, of mail to a contact never met": [*_HELLO, [b"", 0, None], [_MAIL, 0, None]],
        "HELLO, of the most mail, of a later version": [
            *(*_HELLO, None, [_MAIL, _LSN, None], None),
            0,
        ],
        "HELLO, of mail that is null": [*_HELLO, None, None],
        "HELLO, that compares": [*_HELLO, [_RUN, 120, _SEEN], [_MAIL, 17, _MAIL_SEEN], _PARTS],
        "HELLO, that compares and carries no mail": [*_HELLO, [_RUN, 120, _SEEN], None, bytes(64)],
        "HELLO, that compares, of a later version": [*_HELLO, None, None, _PARTS, [_PARTS]],
        "NEW, of nothing": [1, 99, 100, 120, 1, []],
        "NEW, a page of three logs": [
            *(1, 0, 1, _LSN, 0),
            [*full, _SHORT, -13, _CHECK + _PROOF, 0, 8, _CHECK],
        ],
        "ROOT": [2, 1, [[b"", _ROOT, 300]]],
        "ROOT, of three scopes": [
            *(2, 0),
            [[_SCOPE, _ROOT, 0], [b"", _ROOT, _LSN], [_SCOPE[::-1], bytes(16), 1]],
        ],
        "ROOT, of 64 scopes": [2, 0, [[bytes([n]) * 16, _ROOT, n] for n in range(64)]],
        "BUCKETS": [3, b"", b"".join(dice(f"bucket {n}")[:4] for n in range(255)) + bytes(4)],
        "BUCKETS, of a closed group": [3, _SCOPE, bytes(1_024)],
        "VECTOR, of nothing": [4, _SCOPE, 1, []],
        "VECTOR, nothing joined": [4, b"", 0, [_SHORT, 0, _CHECK, _author(), 0, -1, _CHECK]],
        "VECTOR, the highest": [
            *(4, b"", 1),
            [_author(), 2**32 - 1, _SEQ, _CHECK, _INDEX, -_SEQ - 1, _CHECK + _PROOF],
        ],
        "WANT, every mode": [
            5,
            [
                [0, 3, 0, 7, 0, _IDENT],
                [1, 6, 1, 20],
                [2, 3, 2, 0, 64, b""],
                [3, 5, 3, 1, 5, 7, 7],
                [4, 0, 4],
                [5, 0, 5],
                [6, 2, 6],
                [7, 3, 7, 3, 3, 64],
            ],
        ],
        "WANT, the highest": [
            5,
            [
                [_INDEX, 6, 0, _SEQ, 0, b""],
                [_INDEX, 6, 2, _SEQ - 1, _SEQ, _IDENT],
                [_INDEX, 6, 1, _SEQ],
                [_INDEX, 6, 3, 1, 1, _SEQ, _SEQ],
                [_INDEX, 6, 7, _SEQ, _SEQ, 1],
            ],
        ],
        "WANT, bodies of 32 ranges": [5, [[0, 3, 3, *_MANY]]],
        "CREDIT": [7, 2**20 + 5],
        "CREDIT, the most": [7, _LSN],
        "ACK": [12, 3, None],
        "ACK, of what is kept": [12, 0, _SEEN],
        "ANNOUNCE": [14, b"", 121, 123, [4, 9, _CHECK]],
        "ANNOUNCE, to a stranger": [14, b"", 0, 0, [*full]],
        "ANNOUNCE, of another run": [14, _OTHER, 121, 121, []],
        "ENTRIES": [16, [[0, _entry(), _ID], [1, _entry(), b""]]],
        "IDS": [17, 3, 5, 2, _ID + dice("another hash")[:8]],
        "IDS, none": [17, _INDEX, _SEQ, _SEQ, b""],
        "IDS, 64": [17, 0, 1, 1, _ID * 64],
        "DONE": [18, [[0, 0, 1], [1, 1, 0], [2, 7, 2], [_INDEX, 5, 3]]],
        "BYE": [19],
    }


def _wrong_mentions() -> dict[str, list[object]]:
    return {
        "a mention cut short": [0, 1],
        "a mention without check": [0, 1, b""],
        "a mention with 3 bytes of check": [0, 1, _CHECK[:3]],
        "a mention with 5 bytes of check": [0, 1, _CHECK + b"5"],
        "a mention with 9 bytes of check": [0, 1, _CHECK + _PROOF + b"9"],
        "a mention in an array": [[0, 1, _CHECK]],
        "a mention of a seq of 2^40": [0, 2**40, _CHECK],
        "a mention of a seq of -2^40 - 1": [0, -(2**40) - 1, _CHECK],
        "a mention of no seq": [0, None, _CHECK],
        "a mention by index -1": [-1, 1, _CHECK],
        "a mention by index 2^20": [2**20, 1, _CHECK],
        "a mention by 7 bytes": [_SHORT[:7], 1, _CHECK],
        "a mention by a key without log": [_author(), 1, _CHECK],
        "a mention by a key of 31 bytes": [_author()[:31], 1, 1, _CHECK],
        "a mention of log 2^32": [_author(), 2**32, 1, _CHECK],
        "a mention and half of another": [0, 1, _CHECK, 1],
    }


def _wrong_requests() -> dict[str, list[object]]:
    return {
        "a want of two parts": [0, 0],
        "a want of an index of 2^20": [2**20, 0, 4],
        "a want of class 7": [0, 7, 4],
        "a want of mode 8": [0, 0, 8],
        "FROM without an id": [0, 0, 0, 4, 0],
        "FROM with 3 bytes of id": [0, 0, 0, 4, 0, _IDENT[:3]],
        "FROM with 8 bytes of id": [0, 0, 0, 4, 0, _ID],
        "FROM below 0": [0, 0, 0, -1, 0, b""],
        "FROM 2^40": [0, 0, 0, 2**40, 0, b""],
        "FROM until where it starts": [0, 0, 0, 4, 4, b""],
        "HEADERS until 2^40": [0, 0, 2, 4, 2**40, b""],
        "NEWEST of none": [0, 0, 1, 0],
        "BODIES of nothing": [0, 0, 3],
        "BODIES of half a range": [0, 0, 3, 1, 2, 3],
        "BODIES from 0": [0, 0, 3, 0, 2],
        "BODIES of ranges that overlap": [0, 0, 3, 1, 3, 3, 4],
        "BODIES of ranges that touch": [0, 0, 3, 1, 5, 6, 7],
        "BODIES of a range backwards": [0, 0, 3, 2, 1],
        "BODIES of 33 ranges": [0, 0, 3, *_MANY, 97, 97],
        "ENTRY of something": [0, 0, 4, 1],
        "EVIDENCE of something": [0, 0, 5, 1],
        "BRANCHES of something": [0, 0, 6, 1],
        "IDS from 0": [0, 0, 7, 0, 1, 1],
        "IDS with steps of 0": [0, 0, 7, 1, 0, 1],
        "IDS, none": [0, 0, 7, 1, 1, 0],
        "IDS, 65": [0, 0, 7, 1, 1, 65],
    }


def _bad() -> dict[str, list[object]]:
    flood = [[bytes([n]) * 16, _ROOT, n] for n in range(65)]
    hello, of_mail = [0, [1], 1, 65_000, 2**20, None], [*_HELLO, None]
    return {
        "HELLO without versions": [0, [], *hello[2:], None],
        "HELLO with version 0": [0, [0, 1], *hello[2:], None],
        "HELLO with versions that descend": [0, [2, 1], *hello[2:], None],
        "HELLO with a version twice": [0, [1, 1], *hello[2:], None],
        "HELLO with features below 0": [0, [1], -1, *hello[3:], None],
        "HELLO with frames of 23,999 bytes": [0, [1], 1, 23_999, 65_000, None, None],
        "HELLO with frames of 65,001 bytes": [0, [1], 1, 65_001, 65_001, None, None],
        "HELLO with a window of 23,999 bytes": [0, [1], 1, 65_000, 23_999, None, None],
        "HELLO with a window of 2^53": [0, [1], 1, 65_000, 2**53, None, None],
        "HELLO with a budget of 2^53": [0, [1], 1, 65_000, 2**20, 2**53, None],
        "HELLO that ends early": hello,
        "HELLO with a run of 7 bytes": [*hello, [_RUN[:7], 1, None]],
        "HELLO with a run and lsn 0": [*hello, [_RUN, 0, None]],
        "HELLO with an lsn and no run": [*hello, [b"", 1, None]],
        "HELLO with lsn 2^53": [*hello, [_RUN, 2**53, None]],
        "HELLO with a seen in bytes": [*hello, [_RUN, 120, encode(_SEEN)]],
        "HELLO with more after the seen": [*hello, [_RUN, 120, None, 0]],
        "HELLO with a number for mail": [*of_mail, 3],
        "HELLO with mail of two items": [*of_mail, [_MAIL, 17]],
        "HELLO with mail of four items": [*of_mail, [_MAIL, 17, None, 0]],
        "HELLO with a run of mail of 3 bytes": [*of_mail, [_MAIL[:3], 17, None]],
        "HELLO with a run of mail of 8 bytes": [*of_mail, [_RUN, 17, None]],
        "HELLO with no run of mail": [*of_mail, [b"", 0, None]],
        "HELLO with serial -1": [*of_mail, [_MAIL, -1, None]],
        "HELLO with serial 2^53": [*of_mail, [_MAIL, 2**53, None]],
        "HELLO with a seen of mail in bytes": [*of_mail, [_MAIL, 17, encode(_MAIL_SEEN)]],
        "HELLO with a seen of mail of a run of 8 bytes": [*of_mail, [_MAIL, 17, _SEEN]],
        "HELLO with a seen of mail without ranges": [*of_mail, [_MAIL, 17, [_MAIL, []]]],
        "HELLO with no parts": [*of_mail, None, b""],
        "HELLO with 63 bytes of parts": [*of_mail, None, _PARTS[:63]],
        "HELLO with 65 bytes of parts": [*of_mail, None, _PARTS + b"p"],
        "HELLO with parts in an array": [*of_mail, None, [_PARTS[:4]] * 16],
        "HELLO with a number for parts": [*of_mail, None, 64],
        "HELLO with a seen of a run of 4 bytes": [*_HELLO, [_RUN, 120, _MAIL_SEEN]],
        "NEW of lsn 0": [1, 0, 0, 1, 1, []],
        "NEW of lsn 2^53": [1, 0, 1, 2**53, 1, []],
        "NEW that ends before it begins": [1, 0, 2, 1, 1, []],
        "NEW valid up to -1": [1, -1, 1, 1, 1, []],
        "NEW with a last of 2": [1, 0, 1, 1, 2, []],
        "NEW with something after it": [1, 0, 1, 1, 1, [], None],
        "ROOT of nothing": [2, 1, []],
        "ROOT of a scope twice": [2, 1, [[b"", _ROOT, 1], [b"", _ROOT, 2]]],
        "ROOT of 65 scopes": [2, 1, flood],
        "ROOT of 15 bytes": [2, 1, [[b"", _ROOT[:15], 1]]],
        "ROOT of a scope of 15 bytes": [2, 1, [[_SCOPE[:15], _ROOT, 1]]],
        "ROOT of -1 logs": [2, 1, [[b"", _ROOT, -1]]],
        "ROOT that tells 2": [2, 2, [[b"", _ROOT, 1]]],
        "BUCKETS of 1,020 bytes": [3, b"", bytes(1_020)],
        "BUCKETS of a scope of 17 bytes": [3, _SCOPE + b"s", bytes(1_024)],
        "VECTOR without mentions": [4, b"", 1],
        "VECTOR of no scope": [4, None, 1, []],
        "WANT of nothing": [5, []],
        "CREDIT of 2^53": [7, 2**53],
        "CREDIT of null": [7, None],
        "ACK without a seen": [12, 1],
        "ACK with a seen in bytes": [12, 1, encode(_SEEN)],
        "ANNOUNCE up to 0": [14, b"", 1, 0, []],
        "ANNOUNCE from 0 to 1": [14, b"", 0, 1, []],
        "ANNOUNCE with a run of 9 bytes": [14, _RUN + b"9", 1, 1, []],
        "ENTRIES of nothing": [16, []],
        "ENTRIES with an entry that is none": [16, [[0, b"\x80", b""]]],
        "ENTRIES with an entry that is not in bytes": [16, [[0, [], b""]]],
        "ENTRIES with 7 bytes of branches": [16, [[0, _entry(), _ID[:7]]]],
        "IDS with half an id": [17, 0, 1, 1, _ID[:4]],
        "IDS, 65 of them": [17, 0, 1, 1, _ID * 65],
        "DONE of nothing": [18, []],
        "DONE of mode 8": [18, [[0, 8, 0]]],
        "DONE for reason 4": [18, [[0, 0, 4]]],
        "BYE and more": [19, None],
        **{f"VECTOR with {why}": [4, b"", 1, flat] for why, flat in _wrong_mentions().items()},
        **{f"NEW with {why}": [1, 0, 1, 1, 1, flat] for why, flat in _wrong_mentions().items()},
        **{f"WANT with {why}": [5, [row]] for why, row in _wrong_requests().items()},
    }


def controls() -> Collection:
    file = Collection("messages that steer a meeting; what was seen of another store")
    for name, message in _good().items():
        file.good("message", name, raw=encode(message))
    for why, message in _bad().items():
        file.bad("message", why, raw=encode(message))
    _seens(file)
    for name, ranges, valid, lsn in (
        ("all but the newest", [[1, 99]], 99, 120),
        ("holes", [[2, 3], [7, 7], [9, 20]], 30, 30),
        ("clipped where the run ended", [[1, 10], [15, 40]], 20, 30),
        ("nothing that counts", [[5, 9]], 4, 30),
        ("everything", [[1, 30]], 30, 30),
    ):
        file.good("gaps", name, ranges=ranges, valid=valid, lsn=lsn)
    return file


def _seens(file: Collection) -> None:
    good: dict[str, object] = {
        "one range": [_RUN, [1, 1]],
        "three ranges": _SEEN,
        "32 ranges": [_RUN, _MANY],
        "the last there is": [_RUN, [1, 2, _LSN, _LSN]],
    }
    bad: dict[str, object] = {
        "a run of 7 bytes": [_RUN[:7], [1, 1]],
        "no ranges": [_RUN, []],
        "half a range": [_RUN, [1]],
        "33 ranges": [_RUN, [*_MANY, 97, 98]],
        "a range from 0": [_RUN, [0, 1]],
        "a range up to 2^53": [_RUN, [1, 2**53]],
        "a range backwards": [_RUN, [2, 1]],
        "ranges that touch": [_RUN, [1, 2, 3, 4]],
        "ranges that descend": [_RUN, [5, 6, 1, 2]],
        "ranges in arrays": [_RUN, [[1, 2]]],
        "three parts": [_RUN, [1, 1], None],
        "null": None,
        "more than 1,024 bytes": [_RUN, [1] * 1_020],
    }
    for name, seen in good.items():
        file.good("seen", name, raw=encode(seen))
    for why, value in bad.items():
        file.bad("seen", why, raw=encode(value))
