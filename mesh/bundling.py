"""What a port does with bundles: the home's policy, mail and readers, and files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gossip.bundle import SealedForOthersError
from mesh.addressing import Readers
from mesh.readers import Bearer, find_readers
from mesh.sneakernet import BundleError, export_bundle, import_bundle, inspect_bundle
from mesh.stick_folder import import_folder
from mesh.vault import LockedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.keys import DeviceKeys
    from mesh.contacts import Contacts
    from mesh.inventory import Inventory
    from mesh.node import Node
    from mesh.port import File, Progress
    from mesh.rows import Exported, Imported, Inspected, Stick

_SHORT_OF_ROOM: Final = (
    "there was no more room, and some of what others wrote was let go; to keep more, write a larger"
    " room_mb into config.toml"
)


class Bundling:
    """Bundles of an open home; see ``NodePort`` for what each call means.

    Args:
        node: It.
        contacts: Who is meant by a name.
        inventory: Its mail, and how full it is.
    """

    def __init__(self, node: Node, contacts: Contacts, inventory: Inventory) -> None:
        self._node = node
        self._contacts = contacts
        self._inventory = inventory
        self._exporting = asyncio.Lock()

    async def export_bundle(
        self,
        target: File,
        *,
        to: Sequence[str],
        seal: bool,
        max_bytes: int | None,
        part_bytes: int | None,
        progress: Progress | None,
    ) -> Exported:
        """Write a bundle."""
        if part_bytes is not None and not isinstance(target, Path):
            raise BundleError("parts are files; name a file, not a pipe")
        if seal and self._node.is_locked:
            raise LockedError
        async with self._exporting, self._inventory.mail() as mailbag:
            bearer = await self._bearer()
            readers = await self._readers(bearer, to, seal=seal) if to or seal else None
            return await export_bundle(
                self._node.store,
                target,
                max_bytes=max_bytes,
                part_bytes=part_bytes,
                policy=bearer.policy,
                readers=readers,
                mailbag=mailbag,
                progress=progress,
            )

    async def _readers(self, bearer: Bearer, to: Sequence[str], *, seal: bool) -> Readers:
        people = await self._node.people()
        contacts = await self._contacts.listed(people)
        me = self._node.me
        devices = find_readers(to, people, contacts, me.person, me.device)
        return Readers(bearer, devices, seal, people.person)

    async def _bearer(self) -> Bearer:
        node = self._node
        policy = await self._inventory.policy()
        return Bearer(node.store, self._keys(), policy, node.around.random)

    def _keys(self) -> DeviceKeys | None:
        return None if self._node.is_locked else self._node.secrets.keys

    async def import_bundle(self, source: File, *, progress: Progress | None) -> Imported:
        """Take in a bundle."""
        before = self._inventory.let_go
        async with self._inventory.mail() as mailbag:
            bearer = await self._bearer()
            try:
                done = await import_bundle(
                    self._node.writer,
                    source,
                    own=self._node.me.device,
                    bearer=bearer,
                    mailbag=mailbag,
                    seen=self._node.around.now(),
                    progress=progress,
                )
            except SealedForOthersError:
                if bearer.keys is None:  # nobody knows for whom
                    raise LockedError from None
                raise
        short = [_SHORT_OF_ROOM] if self._inventory.let_go > before else []
        return replace(done, warnings=[*done.warnings, *short])

    async def import_folder(self, folder: Path, *, progress: Progress | None) -> Stick:
        """Take in the bundles of a folder."""
        return await import_folder(folder, lambda file: self.import_bundle(file, progress=progress))

    async def inspect_bundle(self, source: File) -> Inspected:
        """Say what a bundle holds."""
        keys = self._keys()
        found = await asyncio.to_thread(inspect_bundle, source, keys=keys)
        if keys is None and found.slots:
            raise LockedError
        return found
