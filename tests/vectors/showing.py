"""How values are written in a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossip.bundle import BundleReader

hexed = bytes.fromhex


def shown(value: object) -> object:
    """Return a CBOR value so that JSON tells bytes from text and keeps 64 bits."""
    match value:
        case int():
            return {"int": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case str():
            return {"text": value}
        case list():
            return [shown(item) for item in value]
        case _:
            return value


def ending(reader: BundleReader) -> str:
    """Return how a bundle ended."""
    if reader.damage is None:
        return "whole"
    if reader.trailer is not None:
        return "more"
    return "cut" if "cut short" in reader.damage else "damaged"
