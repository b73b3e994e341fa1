"""Bundles on real media: what a store gives to a file, and takes from one.

Both ways run in constant memory. Whatever comes out of a file goes through the same checks as
what comes over a link; a person who imports consents, so only sizes are bounded.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gossip.bundle import BundleWriter
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
    from ledger.store.base import LogKey, Store
    from mesh.port import File, Progress


class BundleError(PassalongError):
    """A bundle cannot be written or read where it was asked for."""


@contextmanager
def open_source(source: File) -> Iterator[BinaryIO]:
    """Open a bundle for reading: a regular file, or a stream that is open already."""
    if not isinstance(source, Path):
        with nullcontext(source) as stream:
            yield stream
        return
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise BundleError(f"{source} is not a file; name a bundle, or - to read from a pipe")
        with source.open("rb") as file:
            yield file
    except OSError as exc:
        raise explain(exc, source) from exc


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
    with whole_file(target) if isinstance(target, Path) else nullcontext(target) as file:
        writer, packer, size = BundleWriter(), Packer(), 0
        size += file.write(writer.begin())
        async for raw in serve(store, packer, max_bytes):
            size += file.write(writer.message(raw))
            if progress is not None:
                progress(packer.blocks, None)
        size += file.write(writer.end(packer.blocks))
        file.flush()
    return Exported(packer.blocks, 0, size)


async def import_bundle(
    store: Store,
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
    with open_source(source) as stream:
        intake = Intake(stream, progress)
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
        damage=intake.reader.damage,
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


def inspect_bundle(source: File) -> Inspected:
    """Say what ``source`` holds, verified as for an import, and store nothing.

    Raises:
        NotABundleError: Nothing could be read.
        HomeError: The file cannot be read.
    """
    logs: dict[LogKey, BundledLog] = {}
    blocks = bodies = statements = proofs = 0
    with open_source(source) as stream:
        intake = Intake(stream, None)
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
        damage=reader.damage,
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
