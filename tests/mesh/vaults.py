"""Homes with and without a passphrase, as they were before there were vaults, and their bytes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.codec import encode
from ledger.store.sqlite import SqliteStore
from mesh import login_session, passphrase
from mesh.device_secrets import DEVICE, WORDS
from mesh.direct import DirectPort, confirm_words, init_home
from mesh.node import open_node
from mesh.passphrase import Cost
from mesh.paths import STORE, VAULT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from mesh.node import Node
    from tests.mesh.places import World

CHEAP: Final = Cost(1, 8 << 10)
PASSPHRASE: Final = "a carrier passes by at noon"  # noqa: S105  of homes in tests
OTHER: Final = "another carrier passes by at night"


def make_cheap(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    """Let passphrases cost nothing, and the login have a folder in memory, at ``runtime``."""
    runtime.mkdir(mode=0o700)
    monkeypatch.setattr(passphrase, "USUAL", CHEAP)
    monkeypatch.setattr(login_session, "is_in_memory", lambda _: True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))


@dataclass(frozen=True)
class Hidden:
    """What must not be seen of a home, and who its device is."""

    seed: bytes
    sealing: bytes
    store_key: bytes
    device: bytes

    def found_in(self, *folders: Path) -> list[str]:
        """Return the files in which anything of it stands."""
        secrets = (self.seed, self.sealing, self.store_key)
        return [
            str(path)
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
        ]


@asynccontextmanager
async def opened(home: Path, world: World) -> AsyncIterator[tuple[DirectPort, Node]]:
    async with open_node(home, world.around) as node:
        yield DirectPort(node), node


def hidden(node: Node) -> Hidden:
    keys = node.secrets.keys
    return Hidden(keys.signing.seed, keys.sealing_secret, node._vault.key.raw, keys.public)


async def settled(home: Path, world: World, passphrase: str | None = None) -> Hidden:
    """Make a home, with a post if it is not locked, and return what it hides."""
    await init_home(home, "Ann", world.around, passphrase=passphrase)
    await confirm_words(home, world.around)
    async with opened(home, world) as (port, node):
        if passphrase is not None:
            await port.unlock(passphrase)
        await port.post("first")
        return hidden(node)


async def notes(home: Path) -> tuple[bytes | None, bytes | None]:
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    try:
        return await store.note(DEVICE), await store.note(WORDS)
    finally:
        await store.close()


async def put_notes(home: Path, device: bytes | None, words: bytes | None = None) -> None:
    store = await SqliteStore.open(home / STORE, new_run=lambda: bytes(8))
    await store.set_note(DEVICE, device)
    await store.set_note(WORDS, words)
    await store.close()


async def make_old(home: Path, world: World, words: bytes | None = None) -> bytes:
    """Make of a home what it was before there were vaults; return its note."""
    async with opened(home, world) as (_, node):
        keys, me = node.secrets.keys, node.me
    note = encode((1, keys.signing.seed, keys.sealing_secret, me.person, me.certificate))
    await put_notes(home, note, words)
    (home / VAULT).unlink()
    return note
