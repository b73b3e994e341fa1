"""SQLite's own writes, one by one: by the interface it offers to its tests for that.

``xSetSystemCall`` of the unix VFS replaces the function SQLite writes with. It must be the copy
of the library that Python uses, so this works only where that is a shared one.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_METHODS = (
    *("xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym"),
    *("xDlClose", "xRandomness", "xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64"),
    *("xSetSystemCall", "xGetSystemCall"),
)


class _Vfs(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("iVersion", "szOsFile", "mxPathname")),
        *((name, ctypes.c_void_p) for name in ("pNext", "zName", "pAppData", *_METHODS)),
    ]


_Set = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_Get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_Write = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64
)
_kept: list[Any] = []  # SQLite holds only addresses


def library() -> str | None:
    """The shared library that Python's SQLite is, if it is one."""
    maps = Path("/proc/self/maps")
    if not sqlite3.sqlite_version or not maps.exists():
        return None
    paths = (line.split()[-1] for line in maps.read_text().splitlines())
    return next((path for path in paths if "libsqlite3.so" in path), None)


def watch_writes(see: Callable[[Callable[[int], int], int], int]) -> None:
    """Have ``see`` do every write of SQLite in this process from now on.

    It is given a function that writes the first so many bytes, and how many bytes there are.
    """
    path = library()
    if path is None:
        raise RuntimeError("Python's SQLite is not a shared library")
    sqlite = ctypes.CDLL(path)
    sqlite.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = sqlite.sqlite3_vfs_find(b"unix").contents
    here = ctypes.addressof(vfs)
    found = 0
    for name in (b"pwrite", b"pwrite64"):
        address = _Get(vfs.xGetSystemCall)(here, name)
        if address:
            call = _Write(_watched(_Write(address), see))
            _kept.append(call)
            _Set(vfs.xSetSystemCall)(here, name, ctypes.cast(call, ctypes.c_void_p))
            found += 1
    if not found:
        raise RuntimeError("this SQLite writes in another way")


def _watched(
    original: Callable[..., int], see: Callable[[Callable[[int], int], int], int]
) -> Callable[[int, int, int, int], int]:
    def write(descriptor: int, data: int, size: int, offset: int) -> int:
        return see(lambda count: original(descriptor, data, count, offset), size)

    return write
