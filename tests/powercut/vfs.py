"""Build, load and steer the "powercut" SQLite VFS.

A power cut loses what was written since the last sync: all of it, some of it, or half a
sector. No test can pull a plug, and killing a process proves nothing, because the kernel
still writes out what the dead process left. So the VFS keeps its own account of what is
durable, and at the cut replaces the files by what a disk could hold at that moment.

Typical use::

    with PowerCut(tmp_path_factory.getbasetemp()) as cut:
        cut.register(default=True)  # the code under test needs no change
        cut.arm(37, seed=5)  # the power fails at the 37th write, sync, ...
        run_until_error()  # sqlite3.OperationalError: disk I/O error
        assert cut.struck
        cut.reset()  # the power is back; old connections stay dead
        check_what_is_left()

To choose a cutting point, run the same work once unarmed: ``counters().ops`` is the number
of points there are. The dead connection may be closed before or after ``reset()``, or be
abandoned: the survivors are new files under the old names, which it neither holds nor locks.

Limits: only files opened through the VFS are simulated, and from their first opening until
``reset()`` they must be opened through it alone, in this process alone. One process has one
disk: two `PowerCut` objects share it. What a file holds when it is first opened counts as
durable; so do the directories above it.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import hashlib
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from types import TracebackType

VFS_NAME = "powercut"

_HERE = Path(__file__).parent
_SOURCES = sorted(_HERE.glob("powercut*.c"))
_HEADERS = sorted(_HERE.glob("powercut*.h"))


class Mode(enum.IntEnum):
    """What of the unsynced changes reaches the disk."""

    NOTHING = 0
    SUBSET = 1  # any subset of sectors, torn ones among them: the one to prove things with
    ALL_BUT_LAST = 2
    ALL = 3  # nothing is lost: a control, as if only the process had died


class Counters(ctypes.Structure):
    """What the VFS has done since the last reset: `Counters` in powercut.h."""

    _names = (
        *("ops", "writes", "syncs", "truncates", "deletes", "bytes", "struck", "failed"),
        *("sectors_kept", "sectors_lost", "sectors_torn", "entries_undone"),
    )
    _fields_ = [(name, ctypes.c_int64) for name in _names]

    ops: int  # writes + syncs + truncates + deletes: the points where a cut can be armed
    writes: int
    syncs: int
    truncates: int
    deletes: int
    bytes: int
    struck: int
    failed: int
    sectors_kept: int
    sectors_lost: int
    sectors_torn: int
    entries_undone: int

    def as_dict(self) -> dict[str, int]:
        """All counters by name, for comparing and printing."""
        return {name: getattr(self, name) for name in self._names}


@functools.cache
def unavailable() -> str | None:
    """Why the VFS cannot be used on this machine, or None if it can."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return "no gcc to compile the powercut VFS with"
    probe = [gcc, "-fsyntax-only", "-include", "sqlite3.h", "-x", "c", os.devnull]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "no sqlite3.h to compile the powercut VFS with"
    # A VFS is registered in one copy of the library: it must be the one Python uses.
    maps = Path("/proc/self/maps")
    if not maps.exists() or "libsqlite3.so" not in maps.read_text():
        return f"Python's SQLite {sqlite3.sqlite_version} is not a shared library"
    return None


def build(cache: Path) -> Path:
    """Compile the VFS into the folder `cache`, unless these very sources already are."""
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in _SOURCES + _HEADERS)).hexdigest()
    target = cache / f"powercut-{digest[:16]}.so"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}.tmp")
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared"]
    command += ["-o", str(fresh), *map(str, _SOURCES), "-lsqlite3", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the powercut VFS does not compile:\n{done.stderr}")
    fresh.replace(target)
    return target


def _load(cache: Path) -> ctypes.CDLL:
    """Compile and load the VFS, and say what its functions take."""
    library = ctypes.CDLL(str(build(cache)))
    library.powercut_register.argtypes = [ctypes.c_int]
    library.powercut_register.restype = ctypes.c_int
    library.powercut_unregister.restype = ctypes.c_int
    library.powercut_disk.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.powercut_disk.restype = None
    library.powercut_arm.argtypes = [ctypes.c_int64, ctypes.c_uint64, ctypes.c_int]
    library.powercut_arm.restype = None
    library.powercut_strike.argtypes = [ctypes.c_uint64, ctypes.c_int]
    library.powercut_strike.restype = None
    library.powercut_reset.restype = None
    library.powercut_counters.argtypes = [ctypes.POINTER(Counters)]
    library.powercut_counters.restype = None
    return library


class PowerCut:
    """The switch of the simulated power supply.

    ``sector`` is what the disk writes at a time. ``overwrite_safe`` says that a torn sector
    spares the bytes that were not being written, which the unix VFS promises by default:
    with it SQLite writes exactly what it does in use, without it SQLite is more careful and
    the disk is nastier. ``journaled_names`` makes creations and deletions durable at once.
    """

    _shared: ClassVar[ctypes.CDLL | None] = None  # a second copy would be a second disk

    def __init__(
        self,
        cache: Path,
        *,
        sector: int = 512,
        overwrite_safe: bool = False,
        journaled_names: bool = False,
    ) -> None:
        if sector not in (512, 4096):
            raise ValueError("a sector has 512 or 4096 bytes")
        if PowerCut._shared is None:
            PowerCut._shared = _load(cache)
        self._library = PowerCut._shared
        self._library.powercut_reset()
        self._library.powercut_disk(sector, overwrite_safe, journaled_names)

    def __enter__(self) -> Self:
        self.register()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unregister()
        self.reset()

    def register(self, *, default: bool = False) -> None:
        """Offer the VFS to new connections: by ``?vfs=powercut``, or to all of them."""
        if self._library.powercut_register(default) != 0:
            raise RuntimeError("SQLite refuses the powercut VFS")

    def unregister(self) -> None:
        """Withdraw the VFS from new connections; those there are go on working."""
        self._library.powercut_unregister()

    def arm(self, n: int, seed: int, mode: Mode = Mode.SUBSET) -> None:
        """Let the power fail at the `n`-th operation from now on; 0 disarms.

        A write, truncation or deletion that the cut lands on is lost or kept like any other;
        a sync that it lands on does not take effect.
        """
        self._library.powercut_arm(n, seed, mode)

    def strike(self, seed: int, mode: Mode = Mode.SUBSET) -> None:
        """Let the power fail now, unless it already has."""
        self._library.powercut_strike(seed, mode)
        self.counters()

    def reset(self) -> None:
        """Restore the power and forget all files; those opened before stay dead."""
        self._library.powercut_reset()

    @property
    def struck(self) -> bool:
        """Whether the power has failed since the last reset."""
        return bool(self.counters().struck)

    def counters(self) -> Counters:
        """What has happened since the last reset."""
        counters = Counters()
        self._library.powercut_counters(ctypes.byref(counters))
        if counters.failed:
            raise RuntimeError("the crash image could not be written: this cut proves nothing")
        return counters
