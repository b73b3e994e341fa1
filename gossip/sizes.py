"""How much is held: of every device, and in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ledger.chain import Log
    from ledger.fork import ForkProof
    from ledger.store.base import LogKey


class Size(NamedTuple):
    """How much something takes.

    Attributes:
        blocks: Of the pieces; those of kept branches are not counted.
        bytes: Of headers and bodies, kept branches included.
        proof: Bytes of what convicts its author.
    """

    blocks: int = 0
    bytes: int = 0
    proof: int = 0

    @property
    def all(self) -> int:
        """Bytes in all."""
        return self.bytes + self.proof

    def plus(self, more: Size) -> Size:
        """Return the sum of both."""
        return Size(self.blocks + more.blocks, self.bytes + more.bytes, self.proof + more.proof)


def count(log: Log) -> int:
    """Return how many blocks are held of a log's pieces."""
    return sum(piece.high - piece.low + 1 for piece in log.pieces)


class Sizes:
    """Keeps count.

    Attributes:
        whole: Of all.
    """

    def __init__(self) -> None:
        self.whole = Size()
        self._devices: dict[bytes, Size] = {}
        self._proofs: dict[LogKey, int] = {}

    def put(self, key: LogKey, before: Log | None, log: Log, proof: ForkProof | None) -> None:
        """Note that a log, which was ``before``, takes something else now."""
        size = Size(count(log), log.bytes, 0 if proof is None else len(proof.encode()))
        self.drop(key, before)
        self._add(key[0], size)
        if size.proof:
            self._proofs[key] = size.proof

    def drop(self, key: LogKey, before: Log | None) -> None:
        """Note that nothing is left of a log."""
        proof = self._proofs.pop(key, 0)
        if before is not None:
            self._add(key[0], Size(-count(before), -before.bytes, -proof))

    def _add(self, device: bytes, more: Size) -> None:
        self.whole = self.whole.plus(more)
        size = self.of(device).plus(more)
        if size == Size():
            self._devices.pop(device, None)
        else:
            self._devices[device] = size

    def proof(self, key: LogKey) -> int:
        """Return the bytes of what convicts a log."""
        return self._proofs.get(key, 0)

    def of(self, device: bytes) -> Size:
        """Return how much all logs of a device take."""
        return self._devices.get(device, Size())
