"""Throw-away homes to measure in."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mesh.direct import confirm_words, init_home, open_port, real_world
from mesh.node import open_node
from mesh.paths import STORE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.node import Node
    from mesh.port import NodePort


async def settle(folder: Path, name: str | None = None) -> None:
    """Make ``folder`` a new person's home, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    await init_home(folder, name)
    await confirm_words(folder)


@asynccontextmanager
async def fresh_node(folder: Path) -> AsyncIterator[Node]:
    """Open a new home below its faces."""
    await settle(folder)
    async with open_node(folder, real_world()) as node:
        yield node


@asynccontextmanager
async def fresh_port(folder: Path) -> AsyncIterator[NodePort]:
    """Open a new home as a face does."""
    await settle(folder)
    async with open_port(folder) as port:
        yield port


def store_bytes(folder: Path) -> int:
    """Return the size of a closed home's store."""
    return sum(path.stat().st_size for path in folder.glob(f"{STORE}*"))
