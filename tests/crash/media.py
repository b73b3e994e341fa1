"""Disks that fill up, cannot be written, and sticks that are pulled out: for tests of all three."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast
from unittest import mock

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Disk:
    """A small file system of its own, mounted for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left: int) -> None:
        """Use up all of it but ``left`` bytes."""
        free = shutil.disk_usage(self.folder).free
        with self._ballast.open("ab") as file:
            file.write(bytes(max(free - left, 0)))

    def empty(self) -> None:
        self._ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


@contextmanager
def mounted(folder: Path, size: str = "2m") -> Iterator[Disk]:
    """Mount a disk, or skip the test where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Pulled:
    """A file on a stick that is pulled out at a byte: then every call fails."""

    def __init__(self, stream: IO[bytes], at: int, *, short: bool = False) -> None:
        self._stream = stream
        self._left = at
        self._short = short

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _fail(self) -> bytes:
        if self._short:
            return b""
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data if data or not size or self._left else self._fail()

    def write(self, data: bytes) -> int:
        self._stream.write(data[: self._left])
        self._stream.flush()
        self._left -= len(data)
        if self._left < 0:
            self._left = 0
            self._fail()
        return len(data)

    def flush(self) -> None:
        if not self._left:
            self._fail()
        self._stream.flush()


@contextmanager
def pulled_out(at: int) -> Iterator[None]:
    """Every bundle file that is opened from now on is pulled out at byte ``at``."""
    real = cast("Callable[..., IO[Any]]", io.open)

    def opened(file: object, *args: object, **kwargs: object) -> IO[Any] | Pulled:
        stream = real(file, *args, **kwargs)
        name = str(Path(f"/proc/self/fd/{file}").readlink()) if isinstance(file, int) else str(file)
        return Pulled(stream, at) if ".pal" in name else stream

    with mock.patch.object(io, "open", opened):
        yield
