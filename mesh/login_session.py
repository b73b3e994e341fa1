"""The store key of an unlocked home between commands, for as long as its user is logged in.

It stands in ``$XDG_RUNTIME_DIR/passalong``, which is in memory and ends with the login. A folder
that is on a disk, or open to others, is not used: then only a running node keeps the key.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.errors import PassalongError
from ledger.keys import KEY_BYTES
from mesh.home import explain, whole_file
from mesh.paths import runtime_folder
from mesh.vault_file import destroy

_MOUNTS: Final = Path("/proc/self/mountinfo")
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_DIGITS: Final = 32
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NowhereError(PassalongError):
    """There is no place in which a key may lie."""

    def __init__(self) -> None:
        super().__init__(
            "this login has no private folder in memory to keep the key in; start `passalong run`"
            " first, then unlock"
        )


def keep_key(home: Path, raw: bytes) -> None:
    """Keep a store key until the login ends.

    Raises:
        NowhereError: There is no folder for that.
        HomeError: It cannot be written.
    """
    folder = _private_folder()
    if folder is None:
        raise NowhereError
    place = folder / "passalong"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise explain(exc, place) from exc
    if not _is_private(place):
        raise NowhereError
    with whole_file(place / _name(home)) as file:
        file.write(raw)


def kept_key(home: Path) -> bytes | None:
    """Return the store key that is kept for a home, if one is."""
    path = _place(home)
    if path is None:
        return None
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_closed(found):
            return None
        raw = file.read(KEY_BYTES + 1)
    return raw if len(raw) == KEY_BYTES else None


def forget_key(home: Path) -> None:
    """Keep no key of a home any longer.

    Raises:
        HomeError: It cannot be removed.
    """
    path = _place(home)
    if path is not None:
        for one in (path, path.with_name(f".{path.name}.partial")):
            destroy(one)


def _place(home: Path) -> Path | None:
    folder = _private_folder()
    if folder is None or not _is_private(folder / "passalong"):
        return None
    return folder / "passalong" / _name(home)


def _name(home: Path) -> str:
    return sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:_DIGITS]


def _private_folder() -> Path | None:
    folder = runtime_folder()
    if folder is None or not _is_private(folder) or not is_in_memory(folder):
        return None
    return folder


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and _is_closed(found)


def _is_closed(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def is_in_memory(folder: Path) -> bool:
    """Say whether a folder is known to be on no disk; on systems that do not tell, it is not."""
    with suppress(OSError, UnicodeDecodeError):
        device = folder.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        for line in _MOUNTS.read_text("utf-8").splitlines():
            before, _, after = line.partition(" - ")
            if before.split()[2:3] == [number]:
                return after.split()[:1] != [] and after.split()[0] in _IN_MEMORY
    return False
