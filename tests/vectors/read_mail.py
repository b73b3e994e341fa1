"""How Python reads vectors of envelopes and of the messages about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gossip.envelope import decode_envelope, lock_of
from gossip.postal import (
    NAME_BYTES,
    Envelopes,
    Leave,
    Notice,
    Offers,
    Pieces,
    Post,
    Take,
    Tokens,
)
from tests.vectors.showing import hexed

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_envelope(given: dict[str, Any]) -> dict[str, Any]:
    """Read an envelope, and say whether a token opens its lock."""
    envelope = decode_envelope(hexed(given["raw"]))
    return {
        "id": envelope.id.hex(),
        "tag": envelope.tag.hex(),
        "lock": envelope.lock.hex(),
        "opens": lock_of(hexed(given["token"])) == envelope.lock,
    }


def shown_postal(message: Post | Notice) -> dict[str, Any]:
    match message:
        case Envelopes(parcels):
            return {"envelopes": [[raw.hex(), *beside] for raw, *beside in parcels]}
        case Pieces(pieces):
            return {
                "pieces": [
                    [row, offset, size, data.hex(), *beside]
                    for row, offset, size, data, *beside in pieces
                ]
            }
        case Tokens(receipts):
            return {"tokens": [[r.tag.hex(), r.token.hex(), r.life] for r in receipts]}
        case Offers(last, low, high, envelopes, singles, receipts):
            page = {"last": last, "low": low, "high": high}
            rows = {"envelopes": _shown_rows(envelopes), "singles": _shown_rows(singles)}
            return {"offers": page | rows | {"receipts": [name.hex() for name in receipts]}}
        case Take(rank, indexes, offsets):
            begun = [list(both) for both in offsets.items()]
            return {"take": {"class": rank, "rows": list(indexes), "offsets": begun}}
        case Leave(why, indexes):
            return {"leave": {"why": why.name, "rows": list(indexes)}}


def _shown_rows(rows: Sequence[bytes]) -> list[list[object]]:
    return [[row[:NAME_BYTES].hex(), int.from_bytes(row[NAME_BYTES:], "big")] for row in rows]
