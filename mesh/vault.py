"""The vault of an open home: whether its keys can be used, and what makes that so.

Without a passphrase the store key lies in the open, and all works as if there were none. With one
it is known only to who was told the passphrase: this process, or this login (``login_session``).
What Python has held in memory it cannot overwrite; see docs/at-rest.md.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger.errors import PassalongError
from ledger.keys import KEY_BYTES
from mesh import passphrase as passphrases
from mesh.login_session import forget_key, keep_key, kept_key
from mesh.passphrase import PassphraseError
from mesh.store_key import StoreKey
from mesh.vault_file import (
    WRAP_RANDOM,
    VaultError,
    VaultFile,
    WrongPassphraseError,
    read_vault,
    write_vault,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.node import Surroundings

PAUSE_S: Final = 1.0
"""After a wrong passphrase, until another may be tried."""


class LockedError(PassalongError):
    """The home's keys are sealed, and its passphrase was not given."""

    def __init__(self) -> None:
        super().__init__("the home is locked; run `passalong unlock`")


class Vault:
    """The vault of a home whose lock is held.

    Args:
        folder: The home.
        file: What stands there.
        key: The store key, where it is known.
        around: Clock and randomness.
        is_command: Whether this is a short command: then unlocking lasts as long as the login.
    """

    def __init__(
        self,
        folder: Path,
        file: VaultFile,
        key: StoreKey | None,
        around: Surroundings,
        *,
        is_command: bool = False,
    ) -> None:
        self._folder = folder
        self._file = file
        self._key = key
        self._around = around
        self._is_command = is_command
        self._trying = asyncio.Lock()
        self._refused_until: float | None = None

    @property
    def has_passphrase(self) -> bool:
        """Whether a passphrase guards the store key."""
        return not isinstance(self._file.held, StoreKey)

    @property
    def is_locked(self) -> bool:
        """Whether the store key is not known."""
        return self._key is None

    @property
    def key(self) -> StoreKey:
        """The store key.

        Raises:
            LockedError: It is not known.
        """
        if self._key is None:
            raise LockedError
        return self._key

    async def guard(self, passphrase: str) -> None:
        """Put a passphrase, or another than before, before the store key.

        Raises:
            LockedError: The key is not known.
            PassphraseError: It is none.
            HomeError: It cannot be written; all is as before.
        """
        wrapped = await _wrap(self.key, passphrase, self._around)
        write_vault(self._folder, wrapped)
        self._file = wrapped

    def lock(self) -> None:
        """Know the store key no longer.

        Raises:
            PassphraseError: There would be no way to know it again.
        """
        if not self.has_passphrase:
            raise PassphraseError("no passphrase is set yet; give one to lock the home with")
        self._key = None

    def leave_login(self) -> None:
        """Let the login know it no longer.

        Raises:
            HomeError: Its copy cannot be removed.
        """
        forget_key(self._folder)

    async def unlock(self, passphrase: str) -> None:
        """Learn the store key.

        Raises:
            PassphraseError: Not by this passphrase, or not so soon after a wrong one.
        """
        async with self._trying:
            self._key = await self._try(passphrase)

    def leave_open(self, *, forget: bool) -> None:
        """Let others who come later know the store key, which is known: this login, if it is to.

        Args:
            forget: Let it lie in the open instead, guarded by nothing.

        Raises:
            NowhereError: This is a short command, and the login has no place for the key.
            HomeError: What is to change cannot be written.
        """
        if forget:
            forget_key(self._folder)
            opened = VaultFile.of(self.key)
            write_vault(self._folder, opened)
            self._file = opened
        elif self._is_command:
            keep_key(self._folder, self.key.raw)

    async def _try(self, passphrase: str) -> StoreKey:
        now = self._around.steady()
        if self._refused_until is not None and now < self._refused_until:
            raise PassphraseError("that was tried a moment ago; wait a second and try again")
        try:
            return await asyncio.to_thread(self._file.unwrap, passphrase)
        except (WrongPassphraseError, asyncio.CancelledError):  # who gives up has tried as well
            self._refused_until = self._around.steady() + PAUSE_S
            raise


async def _wrap(key: StoreKey, passphrase: str, around: Surroundings) -> VaultFile:
    random = around.random(WRAP_RANDOM)
    return await asyncio.to_thread(VaultFile.wrap, key, passphrase, passphrases.USUAL, random)


async def new_vault(folder: Path, around: Surroundings, passphrase: str | None) -> Vault:
    """Make the vault of a home that has sealed nothing yet.

    With a passphrase the store key never lies in the open.

    Raises:
        PassphraseError: It is none.
        HomeError: It cannot be written.
    """
    key = StoreKey(around.random(KEY_BYTES))
    file = VaultFile.of(key) if passphrase is None else await _wrap(key, passphrase, around)
    write_vault(folder, file)
    return Vault(folder, file, key, around)


def open_vault(
    folder: Path, name: bytes | None, around: Surroundings, *, is_command: bool = False
) -> Vault:
    """Open the vault that a store's keys are sealed under.

    Args:
        folder: The home.
        name: Of the store key; None if nothing is sealed yet.
        around: Clock and randomness.
        is_command: As ``Vault``.

    Raises:
        VaultError: It is missing, damaged, or another home's.
    """
    file = read_vault(folder)
    if file is None:
        raise VaultError(
            f"the file vault of {folder} is gone, and the keys with it; put a copy of it back, or"
            " `passalong wipe` and restore from your words"
        )
    if name is not None and file.name != name:
        raise VaultError(
            f"the file vault in {folder} is another home's; put back the one of this home"
        )
    key = file.held if isinstance(file.held, StoreKey) else _recalled(folder, file)
    return Vault(folder, file, key, around, is_command=is_command)


def _recalled(folder: Path, file: VaultFile) -> StoreKey | None:
    """Return the store key if the login knows it."""
    raw = kept_key(folder)
    key = None if raw is None else StoreKey(raw)
    return key if key is not None and key.name == file.name else None
