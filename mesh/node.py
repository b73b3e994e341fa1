"""A node: a home that is open, its store, its writer, and what it knows of people."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gossip.policy import Quota
from ledger.block import SALT_BYTES
from ledger.keys import DeviceKeys, PersonKey
from ledger.kinds import device as device_kind
from ledger.kinds import profile as profile_kind
from ledger.store.base import ROLLED_BACK, Batch
from ledger.views.people import Census
from mesh.config import load_config
from mesh.device_secrets import DEVICE, WORDS, Secrets
from mesh.home import HomeError, explain, make_folder
from mesh.opening import kept_of, open_store, seal_late, vault_of, vault_of_new
from mesh.passphrase import PassphraseError, check_passphrase
from mesh.paths import CONFIG, STORE
from mesh.vault import LockedError
from mesh.writer import Draft, Heads, Writer, runs_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ledger.link import Link
    from ledger.store.base import Store
    from ledger.views.people import People
    from mesh.vault import Vault

SOCIAL_LOG: Final = 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node takes from the world.

    Attributes:
        now: Gives ms since 1970; it may jump by years.
        random: Gives so many random bytes.
        steady: Gives seconds that never go back and pass while the machine sleeps, from any moment.
    """

    now: Callable[[], int]
    random: Callable[[int], bytes]
    steady: Callable[[], float]


def _is_home(folder: Path) -> bool:
    try:
        return (folder / STORE).exists()
    except OSError as exc:
        raise explain(exc, folder) from exc


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
    had_store = _is_home(folder)
    config = load_config(folder / CONFIG)
    async with open_store(folder, config, around) as store:
        kept = await kept_of(store)
        if kept is None:
            vault = await vault_of_new(folder, around, passphrase, had_store=had_store)
        else:
            if show_words or await store.note(ROLLED_BACK) is None:
                raise HomeError(f"there is a home in {folder}; use it, or name another with --home")
            if kept.me.person != person.signing.public:
                raise HomeError(f"{folder} is another person's home; check the words, or --home")
            vault = vault_of(folder, kept, around)
        key = vault.key
        keys = DeviceKeys.from_random(around.random(64))
        secrets = Secrets(keys, person.signing.public, person.certify(keys.public))
        device = device_kind.Device(
            around.now(), keys.sealing_public, secrets.person, secrets.certificate
        )
        drafts = [Draft(0, device_kind.KIND, device.encode(around.random(SALT_BYTES)))]
        if profile is not None:
            body = profile.encode(around.random(SALT_BYTES))
            drafts.append(Draft(SOCIAL_LOG, profile_kind.KIND, body))
        heads = Heads(keys.signing)
        words = key.seal(WORDS, person.entropy, around.random) if show_words else None
        notes = {DEVICE: secrets.seal(key, around.random), WORDS: words, ROLLED_BACK: None}
        runs = runs_of([heads.extend(draft) for draft in drafts])
        await store.absorb(Batch(runs=runs, notes=notes), seen=around.now(), durable=True)
        return secrets


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
    if not _is_home(folder):
        return None
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        kept, words = await kept_of(store), await store.note(WORDS)
        if kept is None or words is None:
            return None
        vault = vault_of(folder, kept, around)
        if vault.is_locked:
            if passphrase is None:
                raise PassphraseError(
                    "the words were not shown yet, and the home is locked; run init again with its"
                    " --passphrase-file"
                )
            await vault.unlock(passphrase)
        elif passphrase is not None and not vault.has_passphrase:
            await vault.guard(passphrase)
        return kept.secrets(vault.key), PersonKey(vault.key.open(WORDS, words))


async def forget_words(folder: Path, around: Surroundings) -> None:
    """The words were shown: forget them.

    Raises:
        HomeError: There is no home.
    """
    if not _is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        await store.set_note(WORDS, None)


class Node:
    """An open home.

    Attributes:
        store: Everything it holds.
        me: Its device, and whose it is.
        writer: Writes its device's logs.
        around: Clocks and randomness.
        quota: How much it keeps.

    Args:
        vault: Opens what the device keeps for itself.
    """

    def __init__(
        self,
        store: Store,
        me: Link,
        vault: Vault,
        writer: Writer,
        around: Surroundings,
        quota: Quota,
    ) -> None:
        self.quota = quota
        self.store = store
        self.me = me
        self.writer = writer
        self.around = around
        self._vault = vault
        self._secrets: Secrets | None = None
        self._turning = asyncio.Lock()
        self._listeners: set[Callable[[], None]] = set()

    @property
    def secrets(self) -> Secrets:
        """What the device keeps for itself.

        Raises:
            LockedError: The home is locked.
        """
        if self._secrets is None:
            raise LockedError
        return self._secrets

    @property
    def is_locked(self) -> bool:
        """Whether the keys cannot be used: then it only carries."""
        return self._secrets is None

    @property
    def has_passphrase(self) -> bool:
        """Whether a passphrase guards the keys on the disk."""
        return self._vault.has_passphrase

    def listen(self, turned: Callable[[], None]) -> None:
        """Call ``turned`` whenever the home was locked or unlocked."""
        self._listeners.add(turned)

    async def lock(self, passphrase: str | None = None, *, new: bool = False) -> None:
        """Use the keys no longer, once what is being written is; see ``NodePort``."""
        async with self._turning:
            if passphrase is not None:
                if self.has_passphrase and not new:
                    raise PassphraseError(
                        "a passphrase is set already; lock without one, or change it with"
                        " `passalong lock --new-passphrase`"
                    )
                await self._vault.guard(passphrase)
            elif new:
                raise PassphraseError("give the new passphrase")
            self._vault.lock()
            self._secrets = None
            try:
                self._vault.leave_login()
            finally:
                await self.writer.lock()
                self._turned()

    async def unlock(self, passphrase: str, *, forget: bool = False) -> None:
        """Use the keys again; see ``NodePort``."""
        async with self._turning:
            await self._vault.unlock(passphrase, forget=forget)
            await seal_late(self.store, self._vault, self.around)
            await self.use_keys()
            self._turned()

    async def use_keys(self) -> None:
        """Take the keys out of the vault, if it is open."""
        kept = None if self._vault.is_locked else await kept_of(self.store)
        if kept is not None:
            self._secrets = kept.secrets(self._vault.key)
            self.writer.unlock(self._secrets.keys.signing)

    def _turned(self) -> None:
        for turned in self._listeners:
            turned()

    async def people(self) -> People:
        """Return who is who, as of now."""
        logs = await self.store.logs()
        forks = {(log.author, log.number): log.fork for log in logs if log.fork is not None}
        census = Census(forks, await self.store.revocations())
        async for page in self.store.entries():
            census.add(page)
        return census.people()


@asynccontextmanager
async def open_node(
    folder: Path, around: Surroundings, *, is_command: bool = False
) -> AsyncIterator[Node]:
    """Open the home in ``folder``.

    Args:
        folder: Where it is.
        around: Clocks and randomness.
        is_command: Whether it is for one short command: unlocking it then lasts as long as the
            login, and not as long as the node.

    Raises:
        HomeError: There is none, or another process keeps it.
        StoreError: Its store cannot be used.
        VaultError: Nor can its vault.
    """
    if not _is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    config = load_config(folder / CONFIG)
    async with open_store(folder, config, around) as store:
        kept = await kept_of(store)
        if kept is None:
            raise HomeError(f"the home in {folder} was never finished; run `passalong init` again")
        vault, device = vault_of(folder, kept, around, is_command=is_command), kept.me.device
        own = await store.logs([(device, 0), (device, SOCIAL_LOG)])
        writer = Writer(store, Heads.locked(device, own), around.now)
        node = Node(store, kept.me, vault, writer, around, Quota(config.room_mb << 20))
        await node.use_keys()
        try:
            yield node
        finally:
            await writer.close()
