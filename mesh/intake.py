"""A bundle on its way in: bytes from a stream, checked, in batches for the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from gossip.bundle import BundleReader, SealedForOthersError
from gossip.postal import Envelopes, Tokens
from gossip.wire import (
    MAX_HOPS,
    Bodies,
    Data,
    Message,
    Proofs,
    Statements,
    decode_message,
)
from ledger.errors import InvalidError
from ledger.fork import ForkProof, decode_proof
from ledger.keys import verify
from ledger.run import Run, verify_run
from ledger.statement import Revocation, decode_revocation
from ledger.store.base import Batch, LateBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gossip.wire import RawRun
    from ledger.keys import DeviceKeys
    from mesh.port import Progress

CHUNK_BYTES: Final = 1 << 16
BATCH_BLOCKS: Final = 1_000
BATCH_BYTES: Final = 4 << 20


class Intake:
    """Reads one bundle.

    Args:
        stream: Where from.
        progress: Told bytes read, and the stream's size where it has one.
        keys: This device's, to open a sealed bundle with.
        mail: Given the mail that the bundle carries; without it that is passed over.
        must_open: Refuse a bundle that is sealed to others, rather than look at its frames.

    Attributes:
        reader: Knows how the bundle ended, once ``batches`` is through.
        refused: Blocks, bodies, statements, proofs and messages that did not hold.
        skipped: Messages of numbers that this version does not read.
        bytes: Read so far.
    """

    def __init__(
        self,
        stream: BinaryIO,
        progress: Progress | None,
        keys: DeviceKeys | None = None,
        mail: Callable[[Envelopes | Tokens], None] | None = None,
        *,
        must_open: bool = True,
    ) -> None:
        self.reader = BundleReader(keys)
        self.refused = 0
        self.skipped = 0
        self.bytes = 0
        self._stream = stream
        self._progress = progress
        self._mail = mail
        self._must_open = must_open
        self._size = _size(stream)
        self._clear()

    def _clear(self) -> None:
        self._runs: list[Run] = []
        self._bodies: list[LateBody] = []
        self._proofs: list[ForkProof] = []
        self._revocations: list[Revocation] = []
        self._held = 0

    def batches(self) -> Iterator[Batch]:
        """Yield what holds, in batches of about ``BATCH_BLOCKS`` blocks or ``BATCH_BYTES``.

        Raises:
            NotABundleError: Nothing could be read.
            SealedForOthersError: Only others can read it.
        """
        while not self.reader.ended and (chunk := self._stream.read(CHUNK_BYTES)):
            self.bytes += len(chunk)
            for raw in self.reader.feed(chunk):
                self._held += len(raw)
                self._take(raw)
                if self._is_full():
                    yield self._batch()
            if self.reader.is_locked and self._must_open:
                raise SealedForOthersError
            if self._progress is not None:
                self._progress(self.bytes, self._size)
        self.reader.close()
        if self._held:
            yield self._batch()

    def _is_full(self) -> bool:
        blocks = sum(len(run.blocks) for run in self._runs)
        return blocks >= BATCH_BLOCKS or self._held >= BATCH_BYTES

    def _batch(self) -> Batch:
        batch = Batch(self._runs, self._bodies, self._proofs, self._revocations)
        self._clear()
        return batch

    def _take(self, raw: bytes) -> None:
        try:
            message = decode_message(raw)
        except InvalidError:
            self.refused += 1
            return
        self._sort(message)

    def _sort(self, message: Message) -> None:
        match message:
            case Data(runs):
                for run in runs:
                    self._verify_run(run)
            case Bodies(bodies):
                self._bodies += bodies
            case Statements(statements):
                self._verify_statements(statements)
            case Proofs(proofs):
                self._verify_proofs(proofs)
            case Envelopes() | Tokens() if self._mail is not None:
                self._mail(message)
            case _:
                self.skipped += 1

    def _verify_run(self, run: RawRun) -> None:
        try:
            self._runs.append(verify_run(run.blocks, verify, min(run.hops + 1, MAX_HOPS)))
        except InvalidError:
            self.refused += len(run.blocks)

    def _verify_statements(self, statements: Sequence[tuple[bytes, bytes]]) -> None:
        for raw, signature in statements:
            try:
                self._revocations.append(decode_revocation(raw, signature, verify))
            except InvalidError:
                self.refused += 1

    def _verify_proofs(self, proofs: Sequence[bytes]) -> None:
        for raw in proofs:
            try:
                self._proofs.append(decode_proof(raw, verify))
            except InvalidError:
                self.refused += 1


def _size(stream: BinaryIO) -> int | None:
    if not stream.seekable():
        return None
    at = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(at)
    return size - at
