"""How Python reads vectors of messages, frontier entries and bundles."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gossip.bundle import BundleReader
from gossip.frontier import decode_entry
from gossip.postal import Envelopes, Leave, Offers, Pieces, Take, Tokens
from gossip.wire import Bodies, Data, Proofs, Statements, Unknown, decode_message
from tests.vectors.read_control import shown_control
from tests.vectors.read_mail import shown_postal
from tests.vectors.showing import ending, hexed

if TYPE_CHECKING:
    from gossip.wire import RawRun


def read_message(given: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911  one a message
    match decode_message(hexed(given["raw"])):
        case Data(runs):
            return {"runs": [{"hops": run.hops, "blocks": _shown_items(run)} for run in runs]}
        case Bodies(bodies):
            return {"bodies": [[b.author.hex(), b.log, b.seq, b.body.hex()] for b in bodies]}
        case Statements(statements):
            return {"statements": [[raw.hex(), sig.hex()] for raw, sig in statements]}
        case Proofs(proofs):
            return {"proofs": [raw.hex() for raw in proofs]}
        case Unknown(number):
            return {"unknown": str(number)}
        case Envelopes() | Pieces() | Tokens() | Offers() | Take() | Leave() as mail:
            return shown_postal(mail)
        case message:
            return shown_control(message)


def _shown_items(run: RawRun) -> list[list[str | None]]:
    return [
        [raw.hex(), signature.hex(), None if body is None else body.hex()]
        for raw, signature, body in run.blocks
    ]


def read_entry(given: dict[str, Any]) -> dict[str, Any]:
    entry = decode_entry(hexed(given["raw"]))
    return {
        "author": entry.author.hex(),
        "log": entry.log,
        "seq": entry.seq,
        "ids": [ident.hex() for ident in entry.ids],
        "ranges": [list(ends) for ends in entry.ranges],
        "missing": entry.missing,
    }


def read_bundle(given: dict[str, Any], piece: int = 1 << 20) -> dict[str, Any]:
    """Read a bundle that comes in pieces of ``piece`` bytes."""
    raw, reader = hexed(given["raw"]), BundleReader()
    messages: list[bytes] = []
    for at in range(0, len(raw), piece):
        messages += reader.feed(raw[at : at + piece])
    reader.close()
    return {
        "purpose": reader.purpose,
        "messages": [message.hex() for message in messages],
        "trailer": reader.trailer and asdict(reader.trailer),
        "ending": ending(reader),
    }
