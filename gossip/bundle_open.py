"""Writes open bundles; ``gossip.bundle`` reads them."""

from __future__ import annotations

from hashlib import sha256

from gossip.bundle import CHECK_BYTES, MAGIC, OPEN
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.sealing import VERSION
from ledger.codec import context, encode


class BundleWriter:
    """Turns messages into the bytes of an open bundle, one frame at a time."""

    def __init__(self) -> None:
        self._digest = sha256(context("bundle") + MAGIC).digest()
        self._frames = 0

    def begin(self) -> bytes:
        """Return the file's first bytes."""
        return MAGIC + self.frame(encode((VERSION, OPEN)), MAX_MESSAGE_BYTES)

    def message(self, raw: bytes) -> bytes:
        """Return the frame that carries one encoded message."""
        self._frames += 1
        return self.frame(raw, MAX_MESSAGE_BYTES)

    def end(self, blocks: int, envelopes: int = 0, *, is_last: bool = True) -> bytes:
        """Return the file's last bytes; an open bundle does not say whether it is the last part."""
        del is_last
        trailer = (Number.TRAILER.value, self._frames, blocks, envelopes)
        return self.frame(encode(trailer), MAX_MESSAGE_BYTES)

    def frame(self, payload: bytes, limit: int) -> bytes:
        """Return a payload of 1 to ``limit`` bytes in its frame.

        Raises:
            ValueError: It has more, or none.
        """
        if not 1 <= len(payload) <= limit:
            raise ValueError(f"a payload of {len(payload)} bytes")
        self._digest = sha256(self._digest + payload).digest()
        return len(payload).to_bytes(4, "big") + self._digest[:CHECK_BYTES] + payload
