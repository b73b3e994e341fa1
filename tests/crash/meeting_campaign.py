"""Kills while two processes meet: either dies, and what both have left is looked at.

Pairs of homes are used for several kills in a row, so they die at the first meeting as at the
tenth. After each kill both start as ever, verify, hold all they announced, and meet again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Self

from ledger.store.base import ROLLED_BACK
from mesh.daemon import Options, run_node
from mesh.direct import confirm_words, init_home, open_port, real_world
from tests.crash.bundles import write_bundle
from tests.crash.meeting_victims import Meeting, Side
from tests.crash.parent import Parent, wrong_of
from tests.crash.system_calls import library
from tests.crash.trap import Kind
from tests.crash.witness import Place, Witness, blocks_of, life_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ledger.store.base import Store
    from mesh.direct import DirectPort
    from tests.crash.deeds import Fact
    from tests.crash.phases import Moment

KILLS_PER_PAIR = 10
LEFT_AS_IT_IS = 0.3
KINDS = (Kind.NONE, Kind.NONE, Kind.STATEMENT, Kind.STEP, Kind.WRITE)
POINTS = {Kind.STATEMENT: 150, Kind.STEP: 1_200, Kind.WRITE: 300}
"""A trap springs at one of so many points."""


@dataclass
class Tally:
    """What a campaign did and found.

    Attributes:
        moments: Phases of the store in which who died.
        syncs: Visits that were completed before a kill.
    """

    moments: Counter[tuple[str, Side]] = field(default_factory=Counter)
    inside: int = 0
    syncs: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.moments.values())

    def add(self, moment: Moment, dead: Side) -> None:
        self.moments[moment.name, dead] += 1
        self.inside += moment.is_inside

    def table(self) -> str:
        """The figures: phases down, who died across."""
        rows = [f"{'killed in phase':<22}{'host':>8}{'guest':>8}"]
        for phase in sorted({phase for phase, _ in self.moments}):
            counts = (self.moments[phase, side] for side in Side)
            rows.append(f"{phase:<22}" + "".join(f"{count:>8}" for count in counts))
        rows.append(
            f"{self.kills} kills, {self.inside} inside a transaction, {self.syncs} whole visits,"
            f" {len(self.wrong)} wrong"
        )
        return "\n".join(rows)


class Pair:
    """Two homes that meet, and the witnesses of what each announced.

    Attributes:
        is_left: Whether nobody has looked at what the last death left.
    """

    def __init__(self, folder: Path, templates: tuple[Path, Path]) -> None:
        self.homes = tuple(folder / template.name for template in templates)
        for template, home in zip(templates, self.homes, strict=True):
            shutil.copytree(template, home)
        self.witnesses = [Witness(home) for home in self.homes]
        self.folder = folder
        self.is_left = False

    @property
    def wrong(self) -> list[str]:
        return [
            f"{side.name.lower()}: {what}"
            for side, witness in zip(Side, self.witnesses, strict=True)
            for what in witness.wrong
        ]

    def hear(self, facts: list[Fact]) -> None:
        for witness in self.witnesses:
            for fact in facts:
                if fact.home == str(witness.home):
                    witness.hear(fact)

    async def look(self, seed: int) -> None:
        """Start both, verify them, and let them meet."""
        self.is_left = False
        try:
            for witness in self.witnesses:
                await witness.look(life_after(seed))
            await self._meet()
        except Exception as exc:  # noqa: BLE001  homes that cannot be looked at are what we look for
            self.witnesses[0].wrong.append(f"{type(exc).__name__}: {exc}")

    async def _meet(self) -> None:
        async with self._both_awake() as (host, guest):
            (listening,) = host.listening()
            for _ in range(2):
                done = await guest.sync(f"127.0.0.1:{listening.port}")
                self.witnesses[1].expect(done.complete, f"the next visit: {done.problem}")
            one, other = [await contents(port._store) for port in (host, guest)]
            self.witnesses[1].expect(one == other, "after two whole visits they hold other blocks")
            for witness, port in zip(self.witnesses, (host, guest), strict=True):
                await self._look_at(witness, port)

    async def _look_at(self, witness: Witness, port: DirectPort) -> None:
        """Nobody may have learnt of a block that its writer does not hold."""
        rolled_back = await port._store.note(ROLLED_BACK)
        witness.expect(rolled_back is None, "after a visit the home takes itself for an old copy")
        found = await blocks_of(port._store, port._node.me.device)
        witness.expect(found == witness.own, "after a visit its own blocks are others")

    @asynccontextmanager
    async def _both_awake(self) -> AsyncIterator[tuple[DirectPort, DirectPort]]:
        host, guest = self.homes
        async with (
            asyncio.timeout(60),
            run_node(host, real_world(), Options(port=0)) as one,
            open_port(guest) as other,
        ):
            yield one, other  # type: ignore[misc]


async def contents(store: Store) -> object:
    """All blocks that a store holds."""
    found: dict[tuple[bytes, Place], bytes] = {}
    for author in {log.author for log in await store.logs()}:
        blocks = await blocks_of(store, author)
        found |= {(author, place): ident for place, ident in blocks.items()}
    return found, await store.proofs(), await store.revocations()


async def settle(folder: Path) -> tuple[Path, Path]:
    """Make the homes of two friends, of whom one has news of others."""
    bundle = folder / "others.pal"
    await write_bundle(bundle)
    homes = folder / "host", folder / "guest"
    for home in homes:
        await init_home(home, home.name, real_world())
        await confirm_words(home, real_world())
    async with open_port(homes[0]) as host, open_port(homes[1]) as guest:
        await host.import_bundle(bundle)
        await host.add_contact((await guest.whoami()).link)
        await guest.add_contact((await host.whoami()).link)
        for number in range(30):
            await host.post(f"{number} of the host")
            await guest.post(f"{number} of the guest")
    return homes


class MeetingCampaign:
    """Runs kills. A context: its victims' parent ends with it."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self._folder = folder
        self._templates = asyncio.run(settle(folder))
        self._pair: Pair | None = None
        self._parent = Parent("tests.crash.meeting_victims", folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.end()

    def run(self, seeds: range) -> Tally:
        """Run the kills of ``seeds``; stop when too much is wrong to go on."""
        self.tally.wrong += wrong_of(seeds, self.kill)
        self.tally.wrong += [f"at the end: {what}" for what in self._finish(seeds.stop)]
        return self.tally

    def kill(self, seed: int) -> list[str]:
        """Let two meet until one is dead; return what is wrong after that."""
        random = Random(seed)
        wrong = self._finish(seed) if seed % KILLS_PER_PAIR == 0 else []
        if self._pair is None:
            self._pair = Pair(self._folder / f"pair-{seed}", self._templates)
        pair, kind = self._pair, random.choice(KINDS)
        if kind is Kind.WRITE and library() is None:
            kind = Kind.STATEMENT
        dies = random.choice(tuple(Side))
        homes = str(pair.homes[0]), str(pair.homes[1])
        job = Meeting(seed, homes, dies, kind.value, random.randint(1, POINTS.get(kind, 1)))
        *facts, ended = self._watch(job, random)
        pair.hear(facts)
        self.tally.add(self._parent.board.read(), dies)
        self.tally.syncs += sum(fact.what == "synced" for fact in facts)
        expected = [-signal.SIGKILL if side is dies else 0 for side in Side]
        if ended.value != expected:
            wrong.append(f"{job} ended with {ended.value}")
        pair.is_left = random.random() < LEFT_AS_IT_IS
        if not pair.is_left:
            asyncio.run(pair.look(seed))
        if wrong or pair.wrong:  # go on with new homes, and leave these to be looked at
            self._pair = None
        return wrong + pair.wrong

    def _finish(self, seed: int) -> list[str]:
        """Look at what was left of a pair, and remove it."""
        pair, self._pair = self._pair, None
        if pair is None:
            return []
        if pair.is_left:
            asyncio.run(pair.look(seed))
        if not pair.wrong:
            shutil.rmtree(pair.folder)
        return pair.wrong

    def _watch(self, job: Meeting, random: Random) -> list[Fact]:
        """Run two to their ends and hear all they say."""
        strike = _strike(random, job.dies) if job.trap == Kind.NONE.value else None
        facts: list[Fact] = []
        for fact in self._parent.facts(job.encode()):
            facts.append(fact)
            if strike is not None:
                strike(facts)
        return facts


def _strike(random: Random, dies: Side) -> Callable[[list[Fact]], None]:
    """Kill from outside: a moment after a line."""
    lines, pause = random.randint(1, 25), random.random() ** 2 * 0.02
    is_done = False

    def strike(facts: list[Fact]) -> None:
        nonlocal is_done
        pids = [fact.value[1] for fact in facts if fact.what == "pid" and fact.value[0] == dies]
        if is_done or not pids or len(facts) < lines:
            return
        is_done = True
        victim = os.pidfd_open(pids[0])
        try:
            time.sleep(pause)
            signal.pidfd_send_signal(victim, signal.SIGKILL)
        finally:
            os.close(victim)

    return strike
