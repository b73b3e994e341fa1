"""The file ``vault`` of a home: its store key, as itself or wrapped under a passphrase.

    open     (1, name 16, store key 32)
    wrapped  (1, name 16, passes, memory, salt 16, nonce 24, box 48)

and 8 bytes of H(C(vault/file) || that) behind it, so that a damaged file is not taken for a wrong
passphrase. The box is XChaCha20-Poly1305 of the store key under argon2id(passphrase, salt), with
C(vault/wrap) and all that stands before the nonce bound to it (docs/at-rest.md).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from ledger.codec import context, decode, encode
from ledger.errors import InvalidError, PassalongError
from ledger.keys import KEY_BYTES, sha256
from mesh.home import explain, sync_folder, whole_file
from mesh.passphrase import SALT_BYTES, Cost, PassphraseError, stretch
from mesh.paths import VAULT
from mesh.store_key import NAME_BYTES, NONCE_BYTES, TAG_BYTES, StoreKey, open_box, seal_box

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 512
WRAP_RANDOM: Final = SALT_BYTES + NONCE_BYTES
_PIECE: Final = 1 << 20
_CHECK_BYTES: Final = 8
_FILE: Final = context("vault/file")
_WRAP: Final = context("vault/wrap")
_PARTIAL: Final = f".{VAULT}.partial"
_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | _SAFELY
_WRITE: Final = os.O_RDWR | _SAFELY


class VaultError(PassalongError):
    """The file that guards a home's keys is missing, damaged, or another home's."""


class WrongPassphraseError(PassphraseError):
    """It opens nothing."""

    def __init__(self) -> None:
        super().__init__("that is not the passphrase of this home; try again")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A store key under a passphrase."""

    cost: Cost
    salt: bytes
    nonce: bytes
    box: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VaultFile:
    """What stands in the file.

    Attributes:
        name: Of the store key.
        held: The store key itself, or wrapped.
    """

    name: bytes
    held: StoreKey | Wrapped = field(repr=False)

    @classmethod
    def of(cls, key: StoreKey) -> Self:
        """Hold a key as itself."""
        return cls(key.name, key)

    @classmethod
    def wrap(cls, key: StoreKey, passphrase: str, cost: Cost, random: bytes) -> Self:
        """Hold a key under a passphrase. Takes as long as ``cost`` says.

        Args:
            key: It.
            passphrase: Its guard.
            cost: Of every try.
            random: ``WRAP_RANDOM`` random bytes, for this alone.

        Raises:
            PassphraseError: It is none.
        """
        salt, nonce = random[:SALT_BYTES], random[SALT_BYTES:]
        bound = _bound(key.name, cost, salt)
        box = seal_box(stretch(passphrase, salt, cost), nonce, key.raw, bound)
        return cls(key.name, Wrapped(cost, salt, nonce, box))

    def unwrap(self, passphrase: str) -> StoreKey:
        """Return the key. Takes as long as it says.

        Raises:
            WrongPassphraseError: It is not under this passphrase.
            PassphraseError: There is none, or this machine lacks the memory.
        """
        held = self.held
        if isinstance(held, StoreKey):
            raise PassphraseError("this home has no passphrase, so nothing is locked")
        stretched = stretch(passphrase, held.salt, held.cost)
        bound = _bound(self.name, held.cost, held.salt)
        raw = open_box(stretched, held.nonce, held.box, bound)
        if raw is None or StoreKey(raw).name != self.name:
            raise WrongPassphraseError
        return StoreKey(raw)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        held = self.held
        if isinstance(held, StoreKey):
            said = encode((1, self.name, held.raw))
        else:
            cost = (held.cost.passes, held.cost.memory)
            said = encode((1, self.name, *cost, held.salt, held.nonce, held.box))
        return said + _check(said)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            InvalidError: It is something else.
        """
        said = raw[:-_CHECK_BYTES]
        if raw[-_CHECK_BYTES:] != _check(said):
            raise InvalidError("it does not hold together")
        match decode(said, MAX_BYTES):
            case [1, bytes(name), bytes(key)]:
                file = cls.of(StoreKey(key))
                if file.name != name:
                    raise InvalidError("a store key of another name")
                return file
            case [1, bytes(name), int(passes), int(memory), bytes(salt), bytes(nonce), bytes(box)]:
                sizes = (len(name), len(salt), len(nonce), len(box))
                if sizes != (NAME_BYTES, SALT_BYTES, NONCE_BYTES, KEY_BYTES + TAG_BYTES):
                    raise InvalidError("fields of other lengths")
                return cls(name, Wrapped(Cost(passes, memory), salt, nonce, box))
            case _:
                raise InvalidError("no vault, or one of a newer version")


def _check(said: bytes) -> bytes:
    return sha256(_FILE + said)[:_CHECK_BYTES]


def _bound(name: bytes, cost: Cost, salt: bytes) -> bytes:
    return _WRAP + encode((name, cost.passes, cost.memory, salt))


def read_vault(folder: Path) -> VaultFile | None:
    """Read the vault of a home; None if there is none.

    Raises:
        VaultError: It is damaged, or cannot be read.
    """
    path = folder / VAULT
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, _READ)) as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:  # a link too: what it leads to could not be wiped
        raise VaultError(
            f"{path} cannot be read: {exc.strerror}; check that it is a file, and its permissions"
        ) from exc
    try:
        return VaultFile.decode(raw)
    except InvalidError as exc:
        raise VaultError(
            f"{path} is damaged, or was wiped ({exc}); put a copy of it back, or `passalong wipe`"
            " and restore from your words"
        ) from exc


def may_be_vault(path: Path) -> bool:
    """Say whether a file is no longer than a vault is; another program's of that name may be."""
    return path.is_file() and path.stat().st_size <= MAX_BYTES


def write_vault(folder: Path, vault: VaultFile) -> None:
    """Put ``vault`` in the place of what is there, durably, and overwrite that.

    Raises:
        HomeError: It cannot be written; what was there still is.
    """
    path = folder / VAULT
    try:
        old = _open_old(path)
        try:
            with whole_file(path) as file:
                file.write(vault.encode())
            if old is not None:
                _overwrite(old)
        finally:
            if old is not None:
                os.close(old)
    except OSError as exc:
        raise explain(exc, path) from exc


def clear_partial(folder: Path) -> None:
    """Destroy what a process left that was killed while it wrote a vault: it may hold a key.

    Raises:
        HomeError: It cannot be removed.
    """
    destroy(folder / _PARTIAL)


def destroy(path: Path) -> None:
    """Overwrite a file, sync it, and remove it, durably; nothing where there is none.

    Raises:
        HomeError: It cannot be removed.
    """
    try:
        descriptor = _open_old(path)
        if descriptor is not None:
            try:
                _overwrite(descriptor)
            finally:
                os.close(descriptor)
        with suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)
    except OSError as exc:
        raise explain(exc, path) from exc


def _open_old(path: Path) -> int | None:
    """Open a file of which this is the only name; None if there is none, or it is no such file."""
    try:
        descriptor = os.open(path, _WRITE)
    except OSError:
        return None
    if os.fstat(descriptor).st_nlink == 1 and path.is_file():
        return descriptor
    os.close(descriptor)
    return None


def _overwrite(descriptor: int) -> None:
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, bytes(min(left, _PIECE)))
    os.fsync(descriptor)
