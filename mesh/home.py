"""A home folder and its lock: one process at a time, and whole files or none.

The lock is the operating system's on an open file, so it ends with the process that held it,
however that ended; a lock file that lies about means nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from ledger.errors import PassalongError
from mesh.paths import LOCK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

_POLL_S: Final = 0.02
_NOT_PLAIN: Final = "{} is no plain file; remove it, or use another medium"
_PARTIAL: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRIES: Final = 8


class HomeError(PassalongError):
    """The home folder is not there, taken, or cannot be used."""


class NodeRunsError(HomeError):
    """A node runs on the home, and can be asked instead."""


def explain(exc: OSError, path: Path) -> HomeError:
    """Say in a line what a person can do about an error of the file system at ``path``."""
    match exc.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return HomeError(f"the disk of {path} is full; free some space and try again")
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return HomeError(f"{path} cannot be written; check its permissions")
        case errno.ENOENT:
            return HomeError(f"{path} is not there; check the path")
        case errno.ENOTDIR | errno.EEXIST:
            return HomeError(f"{path} is in the way of a folder; use another path")
        case errno.EFBIG:
            return HomeError(f"{path} became larger than its disk allows; use --max-bytes")
        case _:
            return HomeError(f"{path}: {exc.strerror or exc}; try again or use another disk")


def make_folder(folder: Path) -> None:
    """Make the home folder, closed to others, so that it survives a power cut."""
    try:
        new = [one.parent for one in (folder, *folder.parents) if not one.exists()]
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
        for above in new or folder.absolute().parents:  # any of which an init that died has made
            with contextlib.suppress(PermissionError):
                sync_folder(above)
    except OSError as exc:
        raise explain(exc, folder) from exc


@asynccontextmanager
async def locked(
    folder: Path, wait_s: float, is_running: Callable[[], Awaitable[bool]] | None = None
) -> AsyncIterator[None]:
    """Hold the lock of the home ``folder``, waiting up to ``wait_s`` seconds for it.

    Args:
        folder: The home.
        wait_s: How long.
        is_running: Says whether a node answers there, which ends the waiting.

    Raises:
        NodeRunsError: One does.
        HomeError: Another process keeps it, or the folder cannot be used.
    """
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise explain(exc, folder) from exc
    try:
        await _take(descriptor, folder, wait_s, is_running)
        if os.fstat(descriptor).st_nlink == 0:
            raise HomeError(f"the home in {folder} was wiped meanwhile; look whether it is there")
        yield
    finally:
        os.close(descriptor)


async def _take(
    descriptor: int, folder: Path, wait_s: float, is_running: Callable[[], Awaitable[bool]] | None
) -> None:
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if is_running is not None and await is_running():
                raise NodeRunsError(f"a node runs on {folder}; stop it first") from exc
            if asyncio.get_running_loop().time() >= deadline:
                raise HomeError(
                    f"another passalong is using {folder}; wait for it or stop it"
                ) from exc
            await asyncio.sleep(_POLL_S)
        except OSError as exc:
            raise explain(exc, folder) from exc
        else:
            return


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable, where its file system knows how to."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name whole and durable, or not at all.

    It is written beside its place, synced and renamed, which is atomic on FAT too.
    """
    try:
        if path.is_dir():
            raise HomeError(f"{path} is a folder; name a file")
        partial = path.with_name(f".{path.name}.partial")
        if path.exists() and not path.is_file():
            raise HomeError(f"{path} is a device or a pipe; name a file, or - for a pipe")
        with _alone(partial) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                partial.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise
        sync_folder(path.parent)
    except BlockingIOError as exc:
        raise HomeError(f"{path} is being written already; wait for that to end") from exc
    except OSError as exc:
        raise explain(exc, path) from exc


@contextmanager
def _alone(partial: Path) -> Iterator[BinaryIO]:
    """Open a partial file, empty, for nobody else; one that a dead process left will do.

    Raises:
        BlockingIOError: Another export is writing it.
    """
    for _ in range(_TRIES):
        with _open_plain(partial) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                if exc.errno not in (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL):
                    raise
            if _is_at(file, partial):  # not renamed between being opened and being locked
                file.truncate(0)
                yield file
                return
    raise BlockingIOError


def _open_plain(partial: Path) -> BinaryIO:
    """Open a file for writing, but never through what a stranger left on the medium.

    Raises:
        HomeError: A link, a pipe, or a file with a second name stands there.
    """
    try:
        descriptor = os.open(partial, _PARTIAL, 0o600)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            raise HomeError(_NOT_PLAIN.format(partial)) from exc
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise HomeError(_NOT_PLAIN.format(partial))
    return os.fdopen(descriptor, "wb")


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
