"""Whether a machine and a home are fit to run a node, one finding a row.

Nothing is repaired and nothing is kept. It works without a home, and where a package that the
node needs is missing: those are imported only to be looked at.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from mesh.paths import STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State: TypeAlias = Literal["ok", "warn", "fail"]

DISTRIBUTION: Final = "passalong"
OURS: Final = ("mesh", "transports", "gossip", "ledger", "app")
RELEASED_MS: Final = 1_785_542_400_000
"""2026-08-01, before which this version was not there."""
OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 37)
SCARCE_BYTES: Final = 100_000_000
_TOO_FEW_BYTES: Final = 1_000_000
_NEEDED: Final = ("aiosqlite", "click", "mnemonic", "platformdirs", "rich", "segno")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        state: ``ok``; ``warn``: it works, but; ``fail``: it does not.
        detail: What was found.
        advice: What to do; empty if nothing.
    """

    name: str
    state: State
    detail: str
    advice: str = ""


async def examine(folder: Path, now: int, encoding: str) -> list[Finding]:
    """Look at everything.

    Args:
        folder: The home, which need not be there.
        now: What the machine's clock says, ms since 1970.
        encoding: Of standard output.
    """
    machine = [_python(), *_cryptography(), _codec(), _packages(), *_names()]
    surroundings = [_terminal(encoding), _clock(now)]
    radios = Finding("radios", "ok", "not in this version")
    home = [*_folder(folder), _space(folder), _sqlite(folder), await _opening(folder)]
    return [*machine, *surroundings, radios, *home, _keys(folder)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("Python", "fail", version, "install Python 3.11 or newer")
    return Finding("Python", "ok", version)


def _tried(name: str, attempt: Callable[[], str], package: str) -> Finding:
    try:
        return Finding(name, "ok", attempt())
    except Exception as exc:  # noqa: BLE001  whatever is wrong with it, it is unfit
        return Finding(name, "fail", f"{type(exc).__name__}: {exc}", f"pip install {package}")


def _cryptography() -> Iterator[Finding]:
    def attempt() -> str:
        signing = importlib.import_module("nacl.signing")
        key = signing.SigningKey(bytes(32))
        key.verify_key.verify(key.sign(b"passalong"))
        return f"PyNaCl {metadata.version('pynacl')} signs and verifies"

    yield _tried("libsodium", attempt, "pynacl")


def _codec() -> Finding:
    def attempt() -> str:
        cbor2 = importlib.import_module("cbor2")
        if cbor2.dumps([1, b"a"]) != b"\x82\x01Aa":
            raise ValueError("it encodes wrongly")
        return f"cbor2 {metadata.version('cbor2')}"

    return _tried("cbor2", attempt, "cbor2")


def _packages() -> Finding:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        return Finding("packages", "fail", f"missing: {names}", f"pip install {names}")
    return Finding("packages", "ok", "all that are needed")


def _names() -> Iterator[Finding]:
    """Our packages have common names; another distribution may have put its own in their place."""
    owners = metadata.packages_distributions()
    root = Path(__file__).parent.parent
    for name in OURS:
        others = set(owners.get(name, ())) - {DISTRIBUTION}
        place = _root_of(name)
        if others:
            detail = f"also provided by {', '.join(sorted(others))}"
        elif place != root:
            detail = f"is found in {place}" if place else "is not there"
        else:
            continue
        advice = "install passalong into an environment of its own: pipx install passalong"
        yield Finding(f"package {name}", "fail", detail, advice)
        return
    yield Finding("package names", "ok", "nobody else uses ours")


def _root_of(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent.parent if spec and spec.origin else None


def _terminal(encoding: str) -> Finding:
    if encoding.lower().replace("-", "") == "utf8":
        return Finding("terminal", "ok", "UTF-8")
    advice = "set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
    return Finding("terminal", "warn", f"{encoding}: it cannot show every script", advice)


def _clock(now: int) -> Finding:
    if now < RELEASED_MS:
        detail = "it is earlier than this version is old"
        return Finding("clock", "warn", detail, "set the clock: posts carry its time")
    return Finding("clock", "ok", "plausible")


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding("home", "warn", f"{folder} is not there yet", "passalong init")
    elif not folder.is_dir():
        yield Finding("home", "fail", f"{folder} is not a folder", "name another with --home")
    else:
        yield Finding("home", "ok", str(folder))
        yield _permissions(folder)


def _permissions(folder: Path) -> Finding:
    mode = stat.S_IMODE(folder.stat().st_mode)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        advice = "check its owner and its permissions"
        return Finding("permissions", "fail", f"cannot be written: {exc.strerror}", advice)
    if mode & 0o077:
        return Finding("permissions", "warn", f"{mode:04o}: open to others", f"chmod 700 {folder}")
    return Finding("permissions", "ok", f"{mode:04o}, writable")


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(_nearest(folder)).free
    detail = f"{free / 1e6:,.0f} MB free"
    if free >= SCARCE_BYTES:
        return Finding("disk", "ok", detail)
    state: State = "warn" if free >= _TOO_FEW_BYTES else "fail"
    return Finding("disk", state, detail, "free some space")


def _nearest(folder: Path) -> Path:
    """Return ``folder``, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _sqlite(folder: Path) -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info[:2] < OLDEST_SQLITE:
        return Finding("SQLite", "fail", version, "install a Python with SQLite 3.37 or newer")
    try:
        mode = _journal_mode(_nearest(folder))
    except (OSError, sqlite3.Error) as exc:
        advice = "put the home on a local disk that can be written"
        return Finding("SQLite", "fail", f"{version}: {exc}", advice)
    if mode != "wal":
        return Finding("SQLite", "warn", f"{version}: no WAL here", "put the home on a local disk")
    return Finding("SQLite", "ok", f"{version}, WAL and STRICT")


def _journal_mode(place: Path) -> str:
    usable = place if os.access(place, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=usable, prefix=".passalong-") as scratch:
        database = sqlite3.connect(Path(scratch) / "scratch.db")
        try:
            (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
            database.execute("CREATE TABLE t (a INTEGER) STRICT")
        finally:
            database.close()
    return str(mode)


async def _opening(folder: Path) -> Finding:
    if not (folder / STORE).exists():
        return Finding("store", "ok", "none yet")
    try:
        from mesh.direct import open_port  # noqa: PLC0415  needs the packages looked at above
        from mesh.home import locked  # noqa: PLC0415
        from mesh.opening import is_served  # noqa: PLC0415
        from mesh.port import PortError  # noqa: PLC0415
    except ImportError as exc:
        return Finding("store", "fail", str(exc), "see to the failures above first")
    try:
        if await is_served(folder):
            return Finding("store", "ok", "a node runs on it, and answers")
        async with locked(folder, 0):
            pass
    except PortError as exc:
        return Finding("store", "warn", str(exc), "run doctor again when it is done")
    try:
        async with open_port(folder) as port:
            await port.whoami()
    except PortError as exc:
        return Finding("store", "fail", str(exc), "see there; nothing was changed")
    return Finding("store", "ok", "opens, and nobody else has it")


def _keys(folder: Path) -> Finding:
    if not (folder / STORE).exists():
        return Finding("keys", "ok", "none yet")
    try:
        from mesh.direct import has_passphrase  # noqa: PLC0415
        from mesh.port import PortError  # noqa: PLC0415
    except ImportError as exc:
        return Finding("keys", "fail", str(exc), "see to the failures above first")
    try:
        is_guarded = has_passphrase(folder)
    except PortError as exc:
        return Finding("keys", "fail", str(exc), "see there; nothing was changed")
    if is_guarded:
        return Finding("keys", "ok", "a passphrase guards them on the disk")
    detail = "whoever gets at the disk can use them"
    return Finding("keys", "warn", detail, "passalong lock, which asks for a passphrase")
