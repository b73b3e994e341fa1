"""Writes sealed bundles; ``gossip.bundle`` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from gossip.bundle import MAGIC, MAX_CHUNK_BYTES
from gossip.bundle_header import End
from gossip.bundle_open import BundleWriter
from gossip.number import MAX_MESSAGE_BYTES
from ledger.keys import sha256

if TYPE_CHECKING:
    from gossip.bundle_header import SealedHeader
    from gossip.sealing import Sealer
    from ledger.keys import SigningKey


class SealedWriter(BundleWriter):
    """Turns messages into the bytes of a sealed bundle.

    Args:
        sealer: Made for this file.
        key: The writer's device key.
        header: What it says of itself, and to the readers.
    """

    def __init__(self, sealer: Sealer, key: SigningKey, header: SealedHeader) -> None:
        super().__init__()
        self._start = sealer.start.encode()
        self._stream = sealer.stream()
        self._key = key
        self._header = header

    @override
    def begin(self) -> bytes:
        start = MAGIC + self.frame(self._start, MAX_MESSAGE_BYTES)
        return start + self.message(self._header.sign(self._key, sha256(self._start)))

    @override
    def message(self, raw: bytes) -> bytes:
        if not 1 <= len(raw) <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a payload of {len(raw)} bytes")
        self._frames += 1
        return self.frame(self._stream.push(raw), MAX_CHUNK_BYTES)

    @override
    def end(self, blocks: int, envelopes: int = 0, *, is_last: bool = True) -> bytes:
        end = End(self._frames, blocks, envelopes, is_last).sign(self._key, self._digest)
        return self.frame(self._stream.push(end, final=True), MAX_CHUNK_BYTES)
