"""The socket of a home, and the key to it, which is another one each time.

Both belong to who holds the home's lock. What a process that died has left there means nothing.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from mesh.home import HomeError, explain, whole_file
from mesh.paths import CONTROL_KEY, CONTROL_SOCKET
from mesh.rpc_greeting import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ADDRESS_BYTES: Final = 100
"""Of the path of a socket; systems take 104 or 108 with the byte that ends it."""
_BACKLOG: Final = 128
_OPEN_FILES: Final = "/proc/self/fd"
_PLACE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Give a path of the socket that is short enough, for as long as the context lasts.

    Raises:
        HomeError: There is none.
        OSError: The folder cannot be opened.
    """
    whole = str(folder.absolute() / CONTROL_SOCKET)
    if len(os.fsencode(whole)) <= MAX_ADDRESS_BYTES:
        yield whole
        return
    if not os.path.isdir(_OPEN_FILES):  # noqa: PTH112
        raise HomeError(f"the path of {folder} is too long for a socket; use a shorter --home")
    place = os.open(folder, _PLACE)
    try:
        yield f"{_OPEN_FILES}/{place}/{CONTROL_SOCKET}"
    finally:
        os.close(place)


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """Listen at the socket of a home, whose lock must be held.

    Raises:
        HomeError: The folder cannot be used.
    """
    path = folder / CONTROL_SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(0)
        try:
            path.unlink(missing_ok=True)
            with _address(folder) as address:
                listener.bind(address)
            path.chmod(0o600)
            listener.listen(_BACKLOG)
        except OSError as exc:
            raise explain(exc, path) from exc
        try:
            yield listener
        finally:
            with suppress(OSError):
                path.unlink()


def connected(folder: Path) -> socket.socket | None:
    """Return a connection to the node that runs on a home; None if none does.

    Raises:
        HomeError: The path of the home is too long.
        BlockingIOError: More wait already than are let wait.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if (folder / CONTROL_SOCKET).is_socket():
            line.settimeout(0)
            with _address(folder) as address:
                line.connect(address)
            return line
    except BlockingIOError:
        line.close()
        raise
    except OSError:  # the file of a node that was killed
        pass
    line.close()
    return None


@contextmanager
def new_key(folder: Path, key: bytes) -> Iterator[bytes]:
    """Keep the key of a home where its owner finds it, for as long as the context lasts.

    Raises:
        HomeError: It cannot be written.
    """
    path = folder / CONTROL_KEY
    with whole_file(path) as file:
        file.write(key)
    try:
        yield key
    finally:
        with suppress(OSError):
            path.unlink()


def read_key(folder: Path) -> bytes:
    """Return the key of a home on which a node runs.

    Raises:
        HomeError: It cannot be read.
    """
    path = folder / CONTROL_KEY
    try:
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
    except OSError as exc:
        raise HomeError(f"{path} cannot be read; restart the node that runs on {folder}") from exc
    if len(key) != KEY_BYTES:
        raise HomeError(f"{path} is damaged; restart the node that runs on {folder}")
    return key
