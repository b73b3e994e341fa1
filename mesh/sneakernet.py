"""Bundles on real media: what a store gives to a file, and takes from one.

Memory grows with the number of logs, not with that of blocks. Whatever comes out of a file goes
through the same checks as what comes over a link; a person who imports consents, so only sizes are
bounded.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from gossip.bundle import BundleWriter, NotABundleError
from gossip.packing import Packer
from ledger.errors import PassalongError
from ledger.store.base import Absorbed
from mesh.home import explain, whole_file
from mesh.intake import Intake
from mesh.port import BundledLog, Exported, Imported, Inspected
from mesh.serve import LEAST_BYTES, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.run import Run
    from ledger.store.base import Batch, LogKey, Store
    from mesh.port import File, Progress


class BundleError(PassalongError):
    """A bundle cannot be written or read where it was asked for."""


class _Stick:
    """What a bundle is read from. It ends where it cannot be read on; ``failure`` says why."""

    def __init__(self, stream: BinaryIO) -> None:
        self.failure: OSError | None = None
        self.seekable, self.seek, self.tell = stream.seekable, stream.seek, stream.tell
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        try:
            return self._stream.read(size)
        except OSError as exc:
            self.failure = exc
            return b""

    def take(self, progress: Progress | None) -> Intake:
        """Begin to read the bundle."""
        return Intake(cast("BinaryIO", self), progress)

    def damage(self, intake: Intake) -> str | None:
        """Say why the bundle could not be read to its end."""
        if self.failure is not None and intake.reader.trailer is None:
            return f"reading failed: {self.failure.strerror or self.failure}"
        return intake.reader.damage


@contextmanager
def open_source(source: File) -> Iterator[_Stick]:
    """Open a bundle for reading: a regular file, or a stream that is open already."""
    if not isinstance(source, Path):
        with _explained(_Stick(source), Path("the bundle")) as stick:
            yield stick
        return
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise BundleError(f"{source} is not a file; name a bundle, or - to read from a pipe")
        # a buffer would lose what it had read when the disk failed
        with source.open("rb", buffering=0) as file, _explained(_Stick(file), source) as stick:
            yield stick
    except OSError as exc:
        raise explain(exc, source) from exc


@contextmanager
def _explained(stick: _Stick, name: Path) -> Iterator[_Stick]:
    """A bundle that was not read as far as its header need not be to blame."""
    try:
        yield stick
    except NotABundleError as exc:
        if stick.failure is None:
            raise
        raise explain(stick.failure, name) from exc


@contextmanager
def _open_target(target: File) -> Iterator[BinaryIO]:
    """Open a bundle for writing; a stream whose reader went away says so by itself."""
    if isinstance(target, Path):
        with whole_file(target) as file:
            yield file
        return
    try:
        yield target
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise explain(exc, Path("the bundle")) from exc


async def export_bundle(
    store: Store, target: File, *, max_bytes: int | None = None, progress: Progress | None = None
) -> Exported:
    """Write all that ``store`` holds, or the newest of it up to ``max_bytes``, to ``target``.

    Raises:
        BundleError: ``max_bytes`` is too small for any bundle.
        HomeError: The file cannot be written; what stood there before still does.
    """
    if max_bytes is not None and max_bytes < LEAST_BYTES:
        raise BundleError(f"a bundle needs at least {LEAST_BYTES} bytes")
    with _open_target(target) as file:
        writer, packer, size = BundleWriter(), Packer(), 0
        size += file.write(writer.begin())
        async for raw in serve(store, packer, max_bytes):
            size += file.write(writer.message(raw))
            if progress is not None:
                progress(packer.blocks, None)
        size += file.write(writer.end(packer.blocks))
        file.flush()
    return Exported(packer.blocks, 0, size)


class Taker(Protocol):
    """A store, or what stands before it."""

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """As a store does."""
        ...


async def import_bundle(
    store: Taker,
    source: File,
    *,
    seen: int,
    own: bytes | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Take in what ``source`` holds.

    Args:
        store: Where to.
        source: A bundle.
        seen: Now, ms since 1970.
        own: This node's device; others bringing blocks of it show that the home is an old copy.
        progress: Told bytes read, and the file's size where there is one.

    Raises:
        NotABundleError: Nothing could be read.
        HomeError: The file cannot be read.
        StoreError: The store failed; what was committed before stays.
    """
    total = Absorbed()
    with open_source(source) as stick:
        intake = stick.take(progress)
        for batch in intake.batches():
            absorbed = await store.absorb(replace(batch, own=own), seen=seen, durable=True)
            total.new += absorbed.new
            total.known += absorbed.known
            total.rolled_back |= absorbed.rolled_back
            intake.refused += len(absorbed.refused)
    return Imported(
        new_blocks=total.new,
        known_blocks=total.known,
        envelopes=0,
        refused=intake.refused,
        complete=intake.reader.trailer is not None and intake.reader.damage is None,
        damage=stick.damage(intake),
        warnings=_warnings(intake, rolled_back=total.rolled_back),
    )


def _warnings(intake: Intake, *, rolled_back: bool) -> list[str]:
    warnings: list[str] = []
    if intake.skipped:
        warnings.append(f"{intake.skipped} parts are of a newer version; update passalong")
    if rolled_back:
        warnings.append(
            "this bundle holds blocks of this very device that this home had lost; it is an old"
            " copy: run `passalong restore --words-file FILE` to go on as a new device"
        )
    return warnings


def inspect_bundle(source: File, *, progress: Progress | None = None) -> Inspected:
    """Say what ``source`` holds, verified as for an import, and store nothing.

    Raises:
        NotABundleError: Nothing could be read.
        HomeError: The file cannot be read.
    """
    logs: dict[LogKey, BundledLog] = {}
    blocks = bodies = statements = proofs = 0
    with open_source(source) as stick:
        intake = stick.take(progress)
        for batch in intake.batches():
            statements += len(batch.revocations)
            proofs += len(batch.proofs)
            bodies += len(batch.bodies)
            for run in batch.runs:
                blocks += len(run.blocks)
                bodies += sum(block.body is not None for block in run.blocks)
                _note(logs, run)
    reader = intake.reader
    return Inspected(
        bytes=intake.bytes,
        blocks=blocks,
        bodies=bodies,
        statements=statements,
        proofs=proofs,
        envelopes=reader.trailer.envelopes if reader.trailer else 0,
        refused=intake.refused,
        complete=reader.trailer is not None and reader.damage is None,
        damage=stick.damage(intake),
        logs=[logs[key] for key in sorted(logs)],
    )


def _note(logs: dict[LogKey, BundledLog], run: Run) -> None:
    key = (run.author, run.log)
    before = logs.get(key, BundledLog(*key, run.low, run.high, 0))
    logs[key] = BundledLog(
        *key,
        min(before.low, run.low),
        max(before.high, run.high),
        before.blocks + len(run.blocks),
    )
