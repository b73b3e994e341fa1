"""Opening a home's store, and bringing over one whose keys were not sealed yet.

A vault is durable before anything is sealed under its key, and what is sealed takes the place of
what lay open in one transaction. So whoever is killed in between leaves keys that lie open, and a
vault that the next opening uses; there is never a moment without them, nor one with two.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ledger.store.base import Batch
from ledger.store.sqlite import SqliteStore
from mesh.device_secrets import DEVICE, WORDS, Kept, read_kept
from mesh.home import explain, locked
from mesh.paths import STORE
from mesh.vault import Vault, new_vault, open_vault
from mesh.vault_file import clear_partial, read_vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from ledger.store.base import Store
    from mesh.config import Config
    from mesh.node import Surroundings


def is_home(folder: Path) -> bool:
    """Say whether there is a store in ``folder``.

    Raises:
        HomeError: Nobody can say.
    """
    try:
        return (folder / STORE).exists()
    except OSError as exc:
        raise explain(exc, folder) from exc


@asynccontextmanager
async def open_store(
    folder: Path,
    config: Config,
    around: Surroundings,
    is_running: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[SqliteStore]:
    """Hold the lock of the home ``folder`` and open its store; see ``locked``.

    Raises:
        NodeRunsError: A node answers there.
        HomeError: Another process keeps it, or it cannot be written.
        StoreError: Its store cannot be used.
        VaultError: Nor can its vault.
    """
    async with locked(folder, config.lock_wait_s, is_running):
        clear_partial(folder)
        store = await _open(folder, around)
        try:
            if await _bring_over(store, folder, around):
                await store.close()  # what lay open is still in the file until then
                store = await _open(folder, around)
            yield store
        finally:
            await store.close()


async def _open(folder: Path, around: Surroundings) -> SqliteStore:
    return await SqliteStore.open(folder / STORE, new_run=lambda: around.random(8))


async def _bring_over(store: Store, folder: Path, around: Surroundings) -> bool:
    """Seal what lies open; say whether anything did that could be sealed."""
    kept = await kept_of(store)
    if kept is None or kept.is_sealed:
        return False
    vault = await _vault_for(folder, around)
    if vault.is_locked:  # an old copy of the store, beside a vault that was locked since
        return False
    await store.absorb(
        Batch(notes=await _sealed_notes(store, kept, vault, around)),
        seen=around.now(),
        durable=True,
    )
    return True


async def _vault_for(folder: Path, around: Surroundings) -> Vault:
    if read_vault(folder) is None:
        return await new_vault(folder, around, None)
    return open_vault(folder, None, around)


async def _sealed_notes(
    store: Store, kept: Kept, vault: Vault, around: Surroundings
) -> dict[str, bytes | None]:
    key, words = vault.key, await store.note(WORDS)
    return {
        DEVICE: kept.secrets(key).seal(key, around.random),
        WORDS: None if words is None else key.seal(WORDS, words, around.random),
    }


async def seal_late(store: Store, vault: Vault, around: Surroundings) -> None:
    """Seal what lay open while the vault was locked, now that it is not."""
    kept = await kept_of(store)
    if kept is not None and not kept.is_sealed:
        notes = await _sealed_notes(store, kept, vault, around)
        await store.absorb(Batch(notes=notes), seen=around.now(), durable=True)


async def kept_of(store: Store) -> Kept | None:
    """Return the note of the home's device; None in a home that was never finished.

    Raises:
        StoreError: It is damaged.
    """
    raw = await store.note(DEVICE)
    return None if raw is None else read_kept(raw)


def vault_of(folder: Path, kept: Kept, around: Surroundings, *, is_command: bool = False) -> Vault:
    """Open the vault of a home whose device is known.

    Raises:
        VaultError: It is missing, damaged, or another home's.
    """
    name = kept.vault if kept.is_sealed else None
    return open_vault(folder, name, around, is_command=is_command)
