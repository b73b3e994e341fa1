"""Kills, one after another: a victim, its death, and a look at what it left.

The seed of a kill decides all but what two processes leave to chance when one is killed from
outside. Homes are used for several kills in a row, so they die in every state of growth.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Self

from mesh.direct import confirm_words, init_home, open_port
from tests.crash.bundles import write_bundle
from tests.crash.deeds import Fact, Job, export_of, seeded_world
from tests.crash.parent import Parent, wrong_of
from tests.crash.phases import Deed, Moment
from tests.crash.system_calls import library
from tests.crash.trap import Kind
from tests.crash.witness import Witness, awake, contents, life_after

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS_PER_HOME = 20
DEEDS = (*Deed, Deed.POST, Deed.EXPORT, Deed.CARRY)
POINTS = {Kind.STATEMENT: 60, Kind.STEP: 400, Kind.WRITE: 120, Kind.FILE: 60}
"""A trap springs at one of so many points."""
LEFT_AS_IT_IS = 0.3
PASSING = (Deed.INIT, Deed.IMPORT)
"""Deeds whose every round has a home of its own."""
EXPORTING = (Deed.EXPORT, Deed.CARRY)
KINDS = (Kind.NONE, Kind.NONE, Kind.STATEMENT, Kind.STEP, Kind.WRITE)


@dataclass
class Tally:
    """What a campaign did and found."""

    moments: Counter[tuple[str, str]] = field(default_factory=Counter)
    inside: int = 0
    from_outside: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.moments.values())

    def add(self, moment: Moment, kind: Kind) -> None:
        self.moments[moment.name, moment.deed.name.lower()] += 1
        self.inside += moment.is_inside
        self.from_outside += kind is Kind.NONE

    def table(self) -> str:
        """The figures: phases down, deeds across."""
        deeds = [deed.name.lower() for deed in Deed]
        rows = [f"{'killed in phase':<22}" + "".join(f"{d:>8}" for d in [*deeds, "all"])]
        for phase in sorted({phase for phase, _ in self.moments}):
            counts = [self.moments[phase, deed] for deed in deeds]
            rows.append(f"{phase:<22}" + "".join(f"{n:>8}" for n in [*counts, sum(counts)]))
        rows.append(
            f"{self.kills} kills, {self.inside} inside a transaction or rename,"
            f" {self.from_outside} from outside, {len(self.wrong)} wrong"
        )
        return "\n".join(rows)


class Grounds:
    """The homes and files that crashes happen to.

    Attributes:
        bundle: To be imported.
        template: A home to be copied, with posts of its own.
        abandoned: The same as a dead process left it.
        uncut: What an import that nothing cuts leaves.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "others.pal"
        self.template = folder / "template"
        self.abandoned = folder / "abandoned"
        asyncio.run(write_bundle(self.bundle))
        asyncio.run(settle(self.template, 0))
        asyncio.run(self._abandon())
        self.uncut = asyncio.run(self._import_uncut())

    async def _abandon(self) -> None:
        home = shutil.copytree(self.template, self.folder / "left")
        async with open_port(Path(home), seeded_world(2)) as port:
            for number in range(3):
                await port.post(f"in the log {number}")
            shutil.copytree(home, self.abandoned, ignore=shutil.ignore_patterns("*-shm"))

    async def _import_uncut(self) -> object:
        home = Path(shutil.copytree(self.template, self.folder / "uncut"))
        async with awake(home, seeded_world(1)) as (node, port):
            await port.import_bundle(self.bundle)
            return await contents(node.store, node.secrets.keys.public)


async def settle(home: Path, seed: int) -> None:
    """Make a home with a few posts and an exported file."""
    around = seeded_world(2_000_000 + seed)
    await init_home(home, "Ann", around)
    await confirm_words(home, around)
    export_of(home).parent.mkdir()
    async with open_port(home, around) as port:
        for number in range(3):
            await port.post(f"post {number}")
        await port.export_bundle(export_of(home))


class Campaign:
    """Runs kills. A context: its victims' parent ends with it."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self._grounds = Grounds(folder)
        self._folder = folder
        self._witnesses: dict[Path, Witness] = {}
        self._unseen: dict[Path, Job] = {}
        self._parent = Parent("tests.crash.victim", folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.end()

    def run(self, seeds: range) -> Tally:
        """Run the kills of ``seeds``; stop when too much is wrong to go on."""
        self.tally.wrong += wrong_of(seeds, self.kill)
        for home, job in self._unseen.items():
            asyncio.run(look(self._witnesses[home], job, self._grounds))
            wrong = self._witnesses[home].wrong
            self.tally.wrong += [f"kill {job.seed}: {what}" for what in wrong]
        self._unseen.clear()
        return self.tally

    def kill(self, seed: int) -> list[str]:
        """Run one victim until it is dead; return what is wrong after that."""
        random = Random(seed)
        job, kind = self._plan(seed, random)
        facts = self._watch(job, kind, random)
        self.tally.add(self._parent.board.read(), kind)
        homes = [Path(fact.home) for fact in facts if fact.what == "home"]
        if not homes:  # dead before it had done anything
            return []
        witness = self._witnesses.setdefault(homes[-1], Witness(homes[-1]))
        for fact in facts:
            if fact.home == str(homes[-1]):
                witness.hear(fact)
        is_left = job.deed not in PASSING and random.random() < LEFT_AS_IT_IS
        if is_left and not witness.wrong:  # the next victim has to recover it, and may die of that
            self._unseen[homes[-1]] = job
            return []
        self._unseen.pop(homes[-1], None)
        asyncio.run(look(witness, job, self._grounds))
        if witness.wrong or job.deed in PASSING:
            for home in set(homes):
                self._witnesses.pop(home, None)
                shutil.rmtree(home)
        return witness.wrong

    def _plan(self, seed: int, random: Random) -> tuple[Job, Kind]:
        deed = random.choice(DEEDS)
        kind = random.choice((*KINDS, Kind.FILE, Kind.FILE) if deed in EXPORTING else KINDS)
        if kind is Kind.WRITE and library() is None:
            kind = Kind.STATEMENT
        at = random.randint(1, POINTS.get(kind, 1))
        if deed in PASSING:
            home = self._folder / f"new-{seed}"
        else:
            home = self._folder / f"home-{deed.name.lower()}-{seed // KILLS_PER_HOME // 8}"
            if not home.exists():
                asyncio.run(settle(home, seed))
        grounds = self._grounds
        places = str(home), str(grounds.bundle), str(grounds.template)
        return Job(seed, deed, *places, kind.value, at), kind

    def _watch(self, job: Job, kind: Kind, random: Random) -> list[Fact]:
        """Run a victim to its end and hear all it says."""
        strike = self._strike(random) if kind is Kind.NONE else None
        facts: list[Fact] = []
        for fact in self._parent.facts(job.encode()):
            facts.append(fact)
            if strike is not None:
                strike(facts)
        assert facts[-1].value == [-signal.SIGKILL], f"{job} ended by itself: {facts[-1].value}"
        return facts[1:-1]

    def _strike(self, random: Random) -> Callable[[list[Fact]], None]:
        """Kill from outside: a moment after a line."""
        lines, pause = random.randint(1, 12), random.random() ** 2 * 0.01

        def strike(facts: list[Fact]) -> None:
            if len(facts) == lines:
                victim = os.pidfd_open(facts[0].value[0])
                try:
                    time.sleep(pause)
                    signal.pidfd_send_signal(victim, signal.SIGKILL)
                finally:
                    os.close(victim)

        return strike


async def look(witness: Witness, job: Job, grounds: Grounds) -> None:
    """Look at what a victim left; whatever is wrong, the witness knows it then."""
    around = life_after(job.seed)
    try:
        if job.deed is Deed.INIT and not await witness.look_at_init(around):
            return
        await witness.look(around)
        if job.deed in EXPORTING:
            await witness.look_at_export(around)
        if job.deed is Deed.IMPORT:
            await witness.look_at_import(Path(job.bundle), grounds.uncut, around)
    except Exception as exc:  # noqa: BLE001  a home that cannot be looked at is what we look for
        witness.wrong.append(f"{type(exc).__name__}: {exc}")
