"""Vectors of what a sealed bundle says inside: rows, header and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.bundle_header import End, Row, SealedHeader
from gossip.cursor import Seen
from gossip.frontier import FrontierEntry
from ledger.codec import context, encode
from tests.vectors.cast import device, dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vectors.collection import Collection

_BOUND, _DIGEST = dice("a first payload"), dice("all payloads before")
_RUN, _LATER, _THEIRS = (dice(f"run {name}")[:8] for name in ("one", "two", "theirs"))
_TOP: Final = 2**53
_MANY: Final = [end for low in range(1, 97, 3) for end in (low, low)]
ROW: Final = Row(
    ((_RUN, 9), (_LATER, 12)),
    ((3, 4), (6, 12)),
    (_THEIRS, 7),
    3,
    Seen(_THEIRS, ((1, 9), (11, 12))),
)


def _but(fields: Sequence[object], at: int, value: object) -> list[object]:
    return [*fields[:at], value, *fields[at + 1 :]]


def rows(file: Collection) -> None:
    fields: list[object] = [
        [_RUN, 9, _LATER, 12],
        [3, 4, 6, 12],
        [_THEIRS, 7],
        3,
        [_THEIRS, [1, 9, 11, 12]],
    ]
    assert ROW.encode() == encode(fields)
    most = [item for last in range(1, 65) for item in (_RUN, _TOP - 65 + last)]
    good: dict[str, list[object]] = {
        "all there is": fields,
        "nothing": [[], [], None, 0, None],
        "64 runs, 32 ranges": [most, _MANY, [_RUN, _TOP - 1], _TOP - 1, [_RUN, _MANY]],
        "two runs of one name": _but(fields, 0, [_RUN, 9, _RUN, 10]),
        "of a later version": [*fields, b"more", []],
    }
    for name, some in good.items():
        file.good("row", name, raw=encode(some))
    bad: dict[str, list[object]] = {
        "no items": [],
        "four items": fields[:4],
        "half a run": _but(fields, 0, [_RUN]),
        "runs that do not ascend": _but(fields, 0, [_RUN, 9, _LATER, 9]),
        "runs that descend": _but(fields, 0, [_RUN, 9, _LATER, 8]),
        "a run of lsn 0": _but(fields, 0, [_RUN, 0]),
        "a run of lsn 2^53": _but(fields, 0, [_RUN, _TOP]),
        "a run's name of 7 bytes": _but(fields, 0, [_RUN[:7], 1]),
        "65 runs": _but(fields, 0, [item for n in range(1, 66) for item in (_RUN, n)]),
        "runs in arrays": _but(fields, 0, [[_RUN, 9]]),
        "half a range": _but(fields, 1, [1]),
        "a range backwards": _but(fields, 1, [2, 1]),
        "a range from 0": _but(fields, 1, [0, 1]),
        "a range up to 2^53": _but(fields, 1, [1, _TOP]),
        "ranges that touch": _but(fields, 1, [1, 2, 3, 4]),
        "33 ranges": _but(fields, 1, [*_MANY, 97, 97]),
        "null for ranges": _but(fields, 1, None),
        "a base of nothing": _but(fields, 2, []),
        "a base without lsn": _but(fields, 2, [_THEIRS]),
        "a base of lsn 0": _but(fields, 2, [_THEIRS, 0]),
        "a base of three": _but(fields, 2, [_THEIRS, 7, 7]),
        "heard -1": _but(fields, 3, -1),
        "heard 2^53": _but(fields, 3, _TOP),
        "heard null": _but(fields, 3, None),
        "a seen without ranges": _but(fields, 4, [_THEIRS, []]),
        "a seen of a run of 7 bytes": _but(fields, 4, [_THEIRS[:7], [1, 2]]),
        "a number for a seen": _but(fields, 4, 7),
        "longer than 4,096 bytes": [*fields, bytes(4_096)],
    }
    for why, some in bad.items():
        file.bad("row", why, raw=encode(some))
    file.bad("row", "a byte more", raw=encode(fields) + b"\0")


def a_header() -> SealedHeader:
    entry = FrontierEntry(device("ben").public, 1, 3, (dice("some hash"),))
    return SealedHeader(device("ada").public, dice("an export")[:8], 5, 1, (), (entry,))


def headers(file: Collection) -> None:
    ada = device("ada")
    entry = a_header().frontier[0].encode()
    sealed = sorted(dice(f"sealed row {n}") for n in range(3))
    fields: list[object] = [ada.public, dice("an export")[:8], 5, 1, sealed, [entry]]

    def signed(some: object) -> bytes:
        raw = encode(some)
        return raw + ada.signing.sign(context("bundle") + _BOUND + raw)

    assert signed(_but(fields, 4, [])) == a_header().sign(ada.signing, _BOUND)
    last = _but(_but(fields, 2, _TOP - 1), 3, 9_999)
    good: dict[str, object] = {
        "three rows and a frontier": fields,
        "neither": [*fields[:4], [], []],
        "the last there is": last,
        "64 rows": _but(fields, 4, [b""] * 63 + [bytes(4_096)]),
        "of a later version": [*fields, b"more"],
    }
    for name, some in good.items():
        file.good("sealed header", name, raw=signed(some), bound=_BOUND)
    bad: dict[str, object] = {
        "no items": [],
        "five items": fields[:5],
        "a number": 5,
        "a device of 31 bytes": _but(fields, 0, ada.public[:31]),
        "an export of 7 bytes": _but(fields, 1, b"7 bytes"),
        "count 0": _but(fields, 2, 0),
        "count -1": _but(fields, 2, -1),
        "count 2^53": _but(fields, 2, _TOP),
        "part 0": _but(fields, 3, 0),
        "part 10,000": _but(fields, 3, 10_000),
        "65 rows": _but(fields, 4, [b"row"] * 65),
        "a row of 4,097 bytes": _but(fields, 4, [bytes(4_097)]),
        "a row in text": _but(fields, 4, ["row"]),
        "null for rows": _but(fields, 4, None),
        "4,097 entries": _but(fields, 5, [b""] * 4_097),
        "an entry that is none": _but(fields, 5, [b"\x80"]),
        "an entry in an array": _but(fields, 5, [[]]),
        "null for a frontier": _but(fields, 5, None),
        "of another device": _but(fields, 0, device("eve").public),
    }
    for why, some in bad.items():
        file.bad("sealed header", why, raw=signed(some), bound=_BOUND)
    whole = signed(fields)
    spelled = {
        "nothing": b"",
        "a signature alone": whole[-64:],
        "without its signature": whole[:-64],
        "a bit flipped in its signature": whole[:-1] + bytes([whole[-1] ^ 1]),
        "a byte before its signature": whole[:-64] + b"\0" + whole[-64:],
    }
    for why, raw in spelled.items():
        file.bad("sealed header", why, raw=raw, bound=_BOUND)
    file.bad("sealed header", "of another file", raw=whole, bound=_DIGEST)


def ends(file: Collection) -> None:
    ada = device("ada")
    given = {"device": ada.public, "digest": _DIGEST}

    def signed(*fields: object) -> bytes:
        text = context("bundle/end") + _DIGEST + encode(fields)
        return encode([*fields, ada.signing.sign(text)])

    assert signed(15, 4, 7, 0, 1) == End(4, 7, 0, is_last=True).sign(ada.signing, _DIGEST)
    file.good("end", "of the last part", raw=signed(15, 4, 7, 0, 1), **given)
    file.good("end", "of another part", raw=signed(15, 0, 0, 0, 0), **given)
    file.good("end", "the most", raw=signed(15, *[_TOP - 1] * 3, 1), **given)
    bad: dict[str, tuple[object, ...]] = {
        "without last": (15, 1, 2, 3),
        "with a last of 2": (15, 1, 2, 3, 2),
        "with a last of null": (15, 1, 2, 3, None),
        "of -1 envelopes": (15, 1, 2, -1, 1),
        "of 2^53 frames": (15, _TOP, 2, 3, 1),
        "of 2^53 blocks": (15, 1, _TOP, 3, 1),
        "of another number": (14, 1, 2, 3, 1),
        "with more than there is to say": (15, 1, 2, 3, 1, 0),
    }
    for why, fields in bad.items():
        file.bad("end", why, raw=signed(*fields), **given)
    whole = signed(15, 4, 7, 0, 1)
    file.bad("end", "cut short", raw=whole[:-1], **given)
    file.bad("end", "a signature of 63 bytes", raw=whole[:-66] + b"\x58\x3f" + whole[-63:], **given)
    file.bad("end", "a bit flipped", raw=whole[:-1] + bytes([whole[-1] ^ 1]), **given)
    file.bad("end", "of another device", raw=whole, device=device("eve").public, digest=_DIGEST)
    file.bad("end", "behind something else", raw=whole, device=ada.public, digest=_BOUND)
