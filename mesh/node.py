"""A node: a home that is open, its store, its writer, and what it knows of people."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gossip.policy import Quota
from ledger.listeners import Listeners
from mesh.config import load_config
from mesh.home import HomeError
from mesh.home_store import is_home, kept_of, open_store, seal_late, vault_of
from mesh.passphrase import PassphraseError
from mesh.paths import CONFIG
from mesh.register import Register
from mesh.vault import LockedError
from mesh.writer import Heads, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from ledger.link import Link
    from ledger.store.base import Store
    from ledger.views.people import People
    from mesh.device_secrets import Secrets
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


class Node:
    """An open home.

    Attributes:
        store: Everything it holds.
        me: Its device, and whose it is.
        writer: Writes its device's logs.
        around: Clocks and randomness.
        quota: How much it keeps.
        is_visible: Whether everybody it meets sees which device it is.

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
        self.is_visible = False
        self._register = Register(store)
        self._vault = vault
        self._secrets: Secrets | None = None
        self._turning = asyncio.Lock()
        self._turned: Listeners[()] = Listeners()

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
        self._turned.add(turned)

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
                self._turned.tell()

    async def unlock(self, passphrase: str, *, forget: bool = False) -> None:
        """Use the keys again; see ``NodePort``."""
        async with self._turning:
            await self._vault.unlock(passphrase)
            # what is unlocked is used, even if nobody waits for it any more
            await asyncio.shield(self._unlocked(forget=forget))

    async def _unlocked(self, *, forget: bool) -> None:
        was_locked = self.is_locked
        try:
            await seal_late(self.store, self._vault, self.around)
            await self.use_keys()
            self._vault.leave_open(forget=forget)
        except BaseException:
            if was_locked:
                self._vault.lock()
                self._secrets = None
                await self.writer.lock()
            raise
        self._turned.tell()

    async def use_keys(self) -> None:
        """Take the keys out of the vault, if it is open."""
        kept = None if self._vault.is_locked else await kept_of(self.store)
        if kept is not None:
            self._secrets = kept.secrets(self._vault.key)
            self.writer.unlock(self._secrets.keys.signing)

    async def people(self) -> People:
        """Return who is who, as of now."""
        return await self._register.people()


@asynccontextmanager
async def open_node(
    folder: Path,
    around: Surroundings,
    is_running: Callable[[], Awaitable[bool]] | None = None,
    *,
    is_command: bool = False,
) -> AsyncIterator[Node]:
    """Open the home in ``folder``.

    Args:
        folder: The home.
        around: Clocks and randomness.
        is_running: Says whether a node answers there, once the home is found taken.
        is_command: Whether it is for one short command: unlocking it then lasts as long as the
            login, and not as long as the node.

    Raises:
        NodeRunsError: One does.
        HomeError: There is none, or another process keeps it.
        StoreError: Its store cannot be used.
        VaultError: Nor can its vault.
    """
    if not is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    config = load_config(folder / CONFIG)
    async with open_store(folder, config, around, is_running) as store:
        kept = await kept_of(store)
        if kept is None:
            raise HomeError(f"the home in {folder} was never finished; run `passalong init` again")
        vault, device = vault_of(folder, kept, around, is_command=is_command), kept.me.device
        own = await store.logs([(device, 0), (device, SOCIAL_LOG)])
        writer = Writer(store, Heads.locked(device, own), around.now)
        node = Node(store, kept.me, vault, writer, around, Quota(config.room_mb << 20))
        node.is_visible = config.visible
        await node.use_keys()
        try:
            yield node
        finally:
            await writer.close()
