"""How Python reads vectors of sealed bundles and of what is in them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gossip.bundle import BundleReader
from gossip.bundle_header import read_end, read_header, read_row
from gossip.number import MAX_MESSAGE_BYTES
from gossip.sealing import SEALED, SLOT_BYTES, VERSION, Start, Unsealed, read_start, unseal
from ledger.codec import decode
from ledger.errors import InvalidError
from ledger.keys import DeviceKeys, SigningKey
from tests.vectors.read_control import shown_seen
from tests.vectors.showing import ending, hexed

if TYPE_CHECKING:
    from gossip.bundle_header import End, Row, SealedHeader


def _keys(secret: str) -> DeviceKeys:
    """Return keys of which only the sealing one matters."""
    return DeviceKeys(SigningKey(bytes(32)), hexed(secret))


def _start(raw: bytes) -> Start:
    match decode(raw, MAX_MESSAGE_BYTES):
        case [int(version), int(purpose), *fields] if (version, purpose) == (VERSION, SEALED):
            return read_start(fields)
        case _:
            raise InvalidError("not the beginning of a sealed bundle")


def _unsealed(given: dict[str, Any]) -> Unsealed:
    raw = hexed(given["start"])
    found = unseal(_start(raw), raw, _keys(given["secret"]))
    if found is None:
        raise InvalidError("sealed for others")
    return found


def read_start_of(given: dict[str, Any]) -> dict[str, Any]:
    start = _start(hexed(given["raw"]))
    places = range(0, len(start.slots), SLOT_BYTES)
    return {
        "ephemeral": start.ephemeral.hex(),
        "slots": [start.slots[at : at + SLOT_BYTES].hex() for at in places],
        "stream": start.stream.hex(),
    }


def read_chunks(given: dict[str, Any]) -> dict[str, Any]:
    """Open a device's slot and, with the key in it, chunks from the first one on."""
    unsealed, found = _unsealed(given), list[list[object]]()
    for chunk in given["chunks"]:
        opened = unsealed.pull(hexed(chunk))
        if opened is None:
            raise InvalidError("a chunk that does not open")
        found.append([opened[0].hex(), opened[1]])
    return {"chunks": found}


def read_sealed_row(given: dict[str, Any]) -> dict[str, Any]:
    row = _unsealed(given).row(map(hexed, given["rows"]))
    return {"row": None if row is None else row.hex()}


def read_row_of(given: dict[str, Any]) -> dict[str, Any]:
    return _shown_row(read_row(hexed(given["raw"])))


def _shown_row(row: Row) -> dict[str, Any]:
    return {
        "runs": [[name.hex(), last] for name, last in row.runs],
        "covers": [list(both) for both in row.covers],
        "base": row.base and [row.base[0].hex(), row.base[1]],
        "heard": row.heard,
        "seen": row.seen and shown_seen(row.seen),
    }


def _row_or_none(raw: bytes) -> dict[str, Any] | None:
    """A row that breaks a rule says nothing."""
    try:
        return _shown_row(read_row(raw))
    except InvalidError:
        return None


def read_sealed_header(given: dict[str, Any]) -> dict[str, Any]:
    return _shown_header(read_header(hexed(given["raw"]), hexed(given["bound"])))


def _shown_header(header: SealedHeader) -> dict[str, Any]:
    return {
        "device": header.device.hex(),
        "export": header.export.hex(),
        "count": header.count,
        "part": header.part,
        "rows": [row.hex() for row in header.rows],
        "frontier": [entry.encode().hex() for entry in header.frontier],
    }


def read_sealed_end(given: dict[str, Any]) -> dict[str, Any]:
    return _shown_end(read_end(*(hexed(given[what]) for what in ("raw", "device", "digest"))))


def _shown_end(end: End) -> dict[str, Any]:
    return end._asdict()


def read_sealed_bundle(given: dict[str, Any], piece: int = 1 << 20) -> dict[str, Any]:
    """Read a bundle that is sealed to the device whose secret is given."""
    raw, reader = hexed(given["raw"]), BundleReader(_keys(given["secret"]))
    messages: list[bytes] = []
    for at in range(0, len(raw), piece):
        messages += reader.feed(raw[at : at + piece])
    reader.close()
    if reader.unsealed is None:
        raise InvalidError("sealed for others, or for nobody")
    header = reader.header
    sealed = None if header is None else reader.unsealed.row(header.rows)
    return {
        "header": header and _shown_header(header),
        "row": None if sealed is None else _row_or_none(sealed),
        "messages": [message.hex() for message in messages],
        "end": reader.end and _shown_end(reader.end),
        "trailer": reader.trailer and asdict(reader.trailer),
        "ending": ending(reader),
    }
