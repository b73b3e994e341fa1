"""Wiping a home: its keys first, so that whoever stops it leaves a whole home or none to use.

The store key goes before anything else: the login's copy, then the vault, overwritten and synced.
From then on nothing that was sealed can be read. What the disk itself keeps of overwritten bytes
is beyond a program; see docs/at-rest.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import StoreError
from ledger.store.base import Batch
from ledger.store.migrations import APPLICATION_ID
from ledger.store.sqlite import SqliteStore
from mesh.device_secrets import DEVICE, WORDS
from mesh.home import HomeError, explain, locked, sync_folder
from mesh.login_session import forget_key
from mesh.paths import CONFIG, LOCK, STORE, VAULT
from mesh.vault_file import clear_partial, destroy, may_be_vault

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.node import Surroundings

_STORE_FILES: Final = (f"{STORE}-wal", f"{STORE}-shm", f"{STORE}-journal", STORE)
_HEAD_BYTES: Final = 100
_PROGRAM_AT: Final = 68
_REST: Final = (*_STORE_FILES, CONFIG, f".{CONFIG}.partial")


async def wipe_home(folder: Path, around: Surroundings, wait_s: float) -> list[str]:
    """Remove a home; one that was wiped in part is wiped to its end.

    Args:
        folder: The home.
        around: Clock and randomness.
        wait_s: How long to wait for its lock, seconds.

    Returns:
        Names of what is left in the folder, because it is not ours; without any it is removed too.

    Raises:
        HomeError: There is no home, another process keeps it, or something cannot be removed.
    """
    folder = _home(folder)
    async with locked(folder, wait_s):
        forget_key(folder)
        destroy(folder / VAULT)
        clear_partial(folder)
        await _erase_keys(folder, around)
        for name in _REST:
            _remove(folder / name)
        _sync(folder)
        _remove(folder / LOCK)
    return _leave(folder)


def _home(folder: Path) -> Path:
    """Return the folder itself, where links lead to it."""
    folder = folder.resolve()
    if not _is_ours(folder):
        raise HomeError(f"there is no home in {folder}; nothing was wiped")
    return folder


def _is_ours(folder: Path) -> bool:
    """Say whether there is a home, or what is left of one; what another program has is none."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
        if STORE in names and VAULT not in names and _is_of_another(folder / STORE):
            return False
        if VAULT in names and STORE not in names and not may_be_vault(folder / VAULT):
            return False
    except OSError as exc:
        raise explain(exc, folder) from exc
    is_left = LOCK in names and names <= {*_REST, LOCK}
    return is_left or not names.isdisjoint((STORE, VAULT, f".{VAULT}.partial"))


def _is_of_another(store: Path) -> bool:
    """Say whether a file is a database of another program (SQLite's file format, 1.3)."""
    with store.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    program = int.from_bytes(head[_PROGRAM_AT : _PROGRAM_AT + 4], "big")
    return head.startswith(b"SQLite format 3\0") and program != APPLICATION_ID


async def _erase_keys(folder: Path, around: Surroundings) -> None:
    """Erase keys that lie open in the store, as in a home that has no vault yet."""
    if not (folder / STORE).exists():
        return
    try:
        store = await SqliteStore.open(folder / STORE, new_run=lambda: around.random(8))
        try:
            notes = Batch(notes={DEVICE: None, WORDS: None})
            await store.absorb(notes, seen=around.now(), durable=True)
        finally:
            await store.close()
    except StoreError:  # whatever is wrong with it, nobody must read it
        for name in _STORE_FILES:
            destroy(folder / name)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise explain(exc, path) from exc


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as exc:
        raise explain(exc, folder) from exc


def _leave(folder: Path) -> list[str]:
    try:
        left = sorted(path.name for path in folder.iterdir())
        if not left:
            folder.rmdir()
            _sync(folder.absolute().parent)
    except OSError as exc:
        raise explain(exc, folder) from exc
    return left
