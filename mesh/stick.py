"""Where a bundle is read from: a file on a medium that may fail, or a stream."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from gossip.bundle import NotABundleError
from mesh.home import explain
from mesh.intake import Intake
from mesh.parts import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gossip.postal import Envelopes, Tokens
    from ledger.keys import DeviceKeys
    from mesh.port import File, Progress


class Stick:
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

    def take(
        self,
        progress: Progress | None,
        keys: DeviceKeys | None = None,
        mail: Callable[[Envelopes | Tokens], None] | None = None,
        *,
        must_open: bool = True,
    ) -> Intake:
        """Begin to read the bundle; see ``Intake``."""
        return Intake(cast("BinaryIO", self), progress, keys, mail, must_open=must_open)

    def damage(self, intake: Intake) -> str | None:
        """Say why the bundle could not be read to its end."""
        if self.failure is not None and intake.reader.trailer is None:
            return f"reading failed: {self.failure.strerror or self.failure}"
        return intake.reader.damage


@contextmanager
def open_source(source: File) -> Iterator[Stick]:
    """Open a bundle for reading: a regular file, or a stream that is open already."""
    if not isinstance(source, Path):
        with _explained(Stick(source), Path("the bundle")) as stick:
            yield stick
        return
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise BundleError(f"{source} is not a file; name a bundle, or - to read from a pipe")
        # a buffer would lose what it had read when the disk failed
        with source.open("rb", buffering=0) as file, _explained(Stick(file), source) as stick:
            yield stick
    except OSError as exc:
        raise explain(exc, source) from exc


@contextmanager
def _explained(stick: Stick, name: Path) -> Iterator[Stick]:
    """A bundle that was not read as far as its header need not be to blame."""
    try:
        yield stick
    except NotABundleError as exc:
        if stick.failure is None:
            raise
        raise explain(stick.failure, name) from exc
