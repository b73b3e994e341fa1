"""The main job on one machine, with real homes and a real file: two never meet, a third carries.

Every figure that is told is measured in this run, and the end is checked, not assumed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from mesh.direct import confirm_words, init_home, open_port
from mesh.port import PortError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesh.rows import Exported, FeedRow, Imported

NAMES: Final = ("Ann", "Bob", "Cleo")
POSTS: Final = 400
_NEWS: Final = {
    "Ann": "The bridge at the mill is closed; the ferry still runs.",
    "Bob": "We have flour and lamp oil for anyone who comes by.",
    "Cleo": "I walk between the two valleys on Mondays.",
}
_ANSWER: Final = "Thanks! Then we send the cart by the ferry."


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened.

    Attributes:
        who: Whose turn it was.
        what: In a sentence.
        seconds: How long it took.
        bytes: Size of the file concerned, if one was.
    """

    who: str
    what: str
    seconds: float
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Knows:
    """How many posts of each author everyone holds; ``posts[reader][author]``."""

    when: str
    posts: dict[str, dict[str, int]]


Event: TypeAlias = Step | Knows


@dataclass(slots=True)
class DemoResult:
    """How it ended.

    Attributes:
        everyone_has_everything: All feeds are the same, hold all that was written, and every
            store verifies.
        posts: Written in all.
        seconds: From beginning to end.
        steps: What happened.
        before: What everyone knew before anything was carried.
        after: And in the end.
    """

    everyone_has_everything: bool = False
    posts: int = 0
    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    before: Knows | None = None
    after: Knows | None = None


class Demo:
    """One run of the demonstration.

    Args:
        folder: An empty folder for the three homes and the stick.
        tell: Told each event as it happens.
    """

    def __init__(self, folder: Path, tell: Callable[[Event], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._result = DemoResult()
        self._since = time.perf_counter()

    async def run(self) -> DemoResult:
        """Play it through.

        Raises:
            PortError: A step failed; the message says which and why.
        """
        start = time.perf_counter()
        for name in NAMES:
            await self._settle(name)
        self._result.before = await self._survey("before anything is carried")
        await self._carry("Ann", "Cleo", "stick")
        await self._carry("Cleo", "Bob", "stick")
        await self._answer()
        await self._carry("Bob", "Cleo", "stick")
        await self._carry("Cleo", "Ann", "stick")
        await self._pull_out("Bob", "Ann")
        self._result.after = await self._survey("after one walk there and back")
        self._result.everyone_has_everything = await self._agree()
        self._result.seconds = time.perf_counter() - start
        return self._result

    def _home(self, name: str) -> Path:
        return self._folder / name.lower()

    def _done(self, who: str, what: str, size: int | None = None) -> None:
        now = time.perf_counter()
        step = Step(who, what, now - self._since, size)
        self._since = now
        self._result.steps.append(step)
        self._tell(step)

    async def _settle(self, name: str) -> None:
        await init_home(self._home(name), name)
        await confirm_words(self._home(name))
        async with open_port(self._home(name)) as port:
            await port.post(_NEWS[name])
            for number in range(1, POSTS):
                await port.post(f"{name}'s diary, page {number}")
        self._result.posts += POSTS
        self._done(name, f"makes a home and writes {POSTS} posts, each synced to the disk")

    async def _carry(self, giver: str, taker: str, file: str) -> None:
        stick = self._folder / f"{file}.passalong"
        async with open_port(self._home(giver)) as port:
            written: Exported = await port.export_bundle(stick)
        self._done(giver, f"puts {written.blocks} blocks on the stick", written.bytes)
        async with open_port(self._home(taker)) as port:
            taken: Imported = await port.import_bundle(stick)
        if not taken.complete or taken.refused:
            raise PortError(f"{taker} could not take the stick whole: {taken.damage}")
        self._done(
            taker, f"takes {taken.new_blocks} new ones, {taken.known_blocks} were known", None
        )

    async def _answer(self) -> None:
        async with open_port(self._home("Bob")) as port:
            (news,) = [row for row in await port.feed(everyone=True) if row.text == _NEWS["Ann"]]
            await port.post(_ANSWER, reply_to=news.id.hex())
        self._result.posts += 1
        self._done("Bob", "reads Ann's news and answers her, whom he never meets")

    async def _pull_out(self, giver: str, taker: str) -> None:
        """A stick pulled out half way costs nothing; a second try brings the rest."""
        stick = self._folder / "half.passalong"
        async with open_port(self._home(giver)) as port:
            written = await port.export_bundle(stick)
        stick.write_bytes(stick.read_bytes()[: written.bytes // 2])
        async with open_port(self._home(taker)) as port:
            taken = await port.import_bundle(stick)
        if taken.complete or taken.new_blocks:
            raise PortError("half a bundle was taken for a whole one, or changed something")
        self._done(
            taker,
            f"reads a copy cut in half: {taken.known_blocks} whole blocks, {taken.damage}; nothing"
            " is lost, nothing comes twice",
            written.bytes // 2,
        )

    async def _survey(self, when: str) -> Knows:
        posts: dict[str, dict[str, int]] = {}
        for reader in NAMES:
            rows = await self._feed(reader)
            posts[reader] = {author: sum(row.name == author for row in rows) for author in NAMES}
        knows = Knows(when, posts)
        self._tell(knows)
        return knows

    async def _feed(self, reader: str) -> list[FeedRow]:
        async with open_port(self._home(reader)) as port:
            return await port.feed(everyone=True)

    async def _agree(self) -> bool:
        feeds = [
            [
                (row.id, row.author, row.name, row.text, row.reply_to)
                for row in await self._feed(who)
            ]
            for who in NAMES
        ]
        for name in NAMES:
            async with open_port(self._home(name)) as port:
                checked = await port.check()
            if checked.problems:
                raise PortError(f"{name}'s store does not verify: {checked.problems[0]}")
        self._done("all", "verify their whole stores again and compare what they hold")
        return all(feed == feeds[0] and len(feed) == self._result.posts for feed in feeds)


async def run_demo(folder: Path, tell: Callable[[Event], None]) -> DemoResult:
    """Play the demonstration in ``folder``, which is empty, and tell each event."""
    return await Demo(folder, tell).run()
