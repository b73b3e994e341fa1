"""Two homes on disk and one stick between them: what costs what."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from mesh.direct import DirectPort, confirm_words, init_home
from mesh.node import SOCIAL_LOG, open_node
from tests.mesh.places import World
from tests.mesh.sticks import raw_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.block import Block
    from mesh.rows import Exported, Imported

POSTS = 10_000
NEWS = 100
LITTLE_BYTES = 2_000


class Two:
    """Ada and Ben, each with a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World()
        self.links: dict[str, str] = {}

    @asynccontextmanager
    async def home(self, name: str) -> AsyncIterator[DirectPort]:
        async with open_node(self.folder / name, self.world.around) as node:
            yield DirectPort(node)

    async def begin(self, name: str, posts: int) -> None:
        await init_home(self.folder / name, name, self.world.around)
        await confirm_words(self.folder / name, self.world.around)
        async with self.home(name) as port:
            self.links[name] = (await port.whoami()).link
        await self.post(name, posts)

    async def post(self, name: str, count: int) -> None:
        async with self.home(name) as port:
            for low in range(0, count, 500):
                texts = [f"{name} {n} {'x' * 100}" for n in range(low, min(low + 500, count))]
                await asyncio.gather(*map(port.post, texts))

    async def carry(self, giver: str, taker: str) -> tuple[Exported, Imported]:
        stick = self.folder / "stick.passalong"
        async with self.home(giver) as port:
            done = await port.export_bundle(stick, to=[self.links[taker]], seal=True)
        assert done.bytes == stick.stat().st_size
        async with self.home(taker) as port:
            return done, await port.import_bundle(stick)

    async def newest(self, name: str, count: int) -> list[Block]:
        async with open_node(self.folder / name, self.world.around) as node:
            key = (node.secrets.keys.public, SOCIAL_LOG)
            (log,) = await node.store.logs([key])
            return await node.store.read(key, log.head - count + 1, log.head)


@pytest.mark.slow
async def test_after_a_round_trip_a_stick_holds_the_news_and_little_more(tmp_path: Path) -> None:
    two = Two(tmp_path)
    for name in ("Ada", "Ben"):
        await two.begin(name, POSTS)
    for giver, taker in (("Ada", "Ben"), ("Ben", "Ada")):
        done, took = await two.carry(giver, taker)
        assert (done.blocks, took.new_blocks, took.known_blocks) == (POSTS + 2, POSTS + 2, 0)
    for giver, taker in (("Ada", "Ben"), ("Ben", "Ada"), ("Ada", "Ben")):
        await two.post(giver, NEWS)
        done, took = await two.carry(giver, taker)
        assert (done.blocks, took.new_blocks, took.known_blocks) == (NEWS, NEWS, 0)
        news = raw_bytes(await two.newest(giver, NEWS))
        print(f"{giver}: {done.bytes:,} bytes for {news:,}")  # noqa: T201  shown with -s
        assert news < done.bytes <= news + LITTLE_BYTES
