"""Making a home: keys, certificate and first blocks, in one transaction, under a vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.block import SALT_BYTES
from ledger.keys import DeviceKeys, PersonKey
from ledger.kinds import device as device_kind
from ledger.kinds import profile as profile_kind
from ledger.store.base import ROLLED_BACK, Batch
from mesh.config import load_config
from mesh.device_secrets import DEVICE, WORDS, Secrets
from mesh.home import HomeError, make_folder
from mesh.home_store import is_home, kept_of, open_store, vault_of
from mesh.node import SOCIAL_LOG
from mesh.passphrase import PassphraseError, check_passphrase
from mesh.paths import CONFIG, VAULT
from mesh.vault import new_vault
from mesh.writer import Draft, Heads, runs_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.kinds.profile import Profile
    from ledger.store.base import Store
    from mesh.node import Surroundings
    from mesh.vault import Vault


async def found(
    folder: Path,
    person: PersonKey,
    name: str | None,
    around: Surroundings,
    *,
    show_words: bool,
    passphrase: str | None = None,
) -> Secrets:
    """Make ``folder`` the home of a new device of ``person``, in one transaction.

    Args:
        folder: A new or empty folder, or a home that was rolled back.
        person: Signs the device's certificate, and is forgotten.
        name: What the person wants to be called.
        around: Clock and randomness.
        show_words: Keep the words until ``forget_words`` says that they were shown.
        passphrase: Guards the keys of a new home; None for nothing that does.

    Raises:
        HomeError: There is a home that is in order, or another person's.
        LockedError: It is a home that is locked.
        PassphraseError: The passphrase is none.
    """
    profile = None if name is None else profile_kind.Profile(around.now(), name)
    if passphrase is not None:
        check_passphrase(passphrase)
    make_folder(folder)
    had_store = is_home(folder)
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        vault = await _vault_left(store, folder, person, around, show_words=show_words)
        if vault is None:
            vault = await _vault_of_new(folder, around, passphrase, had_store=had_store)
        keys = DeviceKeys.from_random(around.random(64))
        secrets = Secrets(keys, person.signing.public, person.certify(keys.public))
        words = person.entropy if show_words else None
        notes = {
            DEVICE: secrets.seal(vault.key, around.random),
            WORDS: words and vault.key.seal(WORDS, words, around.random),
            ROLLED_BACK: None,
        }
        heads = Heads(keys.signing)
        runs = runs_of([heads.extend(draft) for draft in _first(secrets, profile, around)])
        await store.absorb(Batch(runs=runs, notes=notes), seen=around.now(), durable=True)
        return secrets


async def _vault_left(
    store: Store, folder: Path, person: PersonKey, around: Surroundings, *, show_words: bool
) -> Vault | None:
    """Return the vault of a home that was rolled back; None where there was no home."""
    kept = await kept_of(store)
    if kept is None:
        return None
    if show_words or await store.note(ROLLED_BACK) is None:
        raise HomeError(f"there is a home in {folder}; use it, or name another with --home")
    if kept.me.person != person.signing.public:
        raise HomeError(f"{folder} is another person's home; check the words, or --home")
    return vault_of(folder, kept, around)


async def _vault_of_new(
    folder: Path, around: Surroundings, passphrase: str | None, *, had_store: bool
) -> Vault:
    """Make a vault; one that an init left that died has sealed nothing, and is replaced."""
    if not had_store and (folder / VAULT).exists():  # the store it opens may come back
        raise HomeError(
            f"{folder} has a vault and no store; put store.db back, or name another with --home"
        )
    return await new_vault(folder, around, passphrase)


def _first(secrets: Secrets, profile: Profile | None, around: Surroundings) -> list[Draft]:
    """Return the first blocks of a device."""
    device = device_kind.Device(
        around.now(), secrets.keys.sealing_public, secrets.person, secrets.certificate
    )
    drafts = [Draft(0, device_kind.KIND, device.encode(around.random(SALT_BYTES)))]
    if profile is not None:
        body = profile.encode(around.random(SALT_BYTES))
        drafts.append(Draft(SOCIAL_LOG, profile_kind.KIND, body))
    return drafts


async def unshown(
    folder: Path, around: Surroundings, passphrase: str | None = None
) -> tuple[Secrets, PersonKey] | None:
    """Return keys and words of a home whose words were not shown yet.

    Args:
        folder: Where it may be.
        around: Clock and randomness.
        passphrase: Opens it where it is locked; guards it from now on where nothing does.

    Raises:
        PassphraseError: It is locked, and the passphrase is missing or wrong.
    """
    if not is_home(folder):
        return None
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        kept, words = await kept_of(store), await store.note(WORDS)
        if kept is None or words is None:
            return None
        vault = vault_of(folder, kept, around)
        await _pass(vault, passphrase)
        return kept.secrets(vault.key), PersonKey(vault.key.open(WORDS, words))


async def _pass(vault: Vault, passphrase: str | None) -> None:
    """Open a vault with its passphrase, or guard one with it that has none."""
    if passphrase is None:
        if vault.is_locked:
            raise PassphraseError(
                "the words were not shown yet, and the home is locked; run init again with its"
                " --passphrase-file"
            )
    elif vault.has_passphrase:
        await vault.unlock(passphrase)
    else:
        await vault.guard(passphrase)


async def forget_words(folder: Path, around: Surroundings) -> None:
    """The words were shown: forget them.

    Raises:
        HomeError: There is no home.
    """
    if not is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        await store.set_note(WORDS, None)
