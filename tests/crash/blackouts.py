"""Power cuts, one after another: the deeds of victims, in this process, on a disk that forgets.

Only SQLite's files are simulated. That folders and exported files are made durable in the right
order is shown by ``test_order_of_calls``.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ledger.errors import PassalongError
from tests.crash.campaign import Grounds, look
from tests.crash.deeds import Fact, Job, Worker
from tests.crash.phases import Deed
from tests.crash.witness import Witness
from tests.powercut import Mode, PowerCut

SESSIONS = range(2)
ROUNDS = 4
SECTORS = (512, 4096)


@dataclass
class Darkness:
    """What a campaign did and found."""

    cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    facts: int = 0  # announced before the cuts
    sectors_lost: int = 0
    cuts_that_lost: int = 0
    names_undone: int = 0
    wrong: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The figures: modes and disks down, deeds across."""
        deeds = [deed.name.lower() for deed in Deed]
        rows = [f"{'what the disk keeps':<30}" + "".join(f"{d:>8}" for d in [*deeds, "all"])]
        for mode in sorted({mode for mode, _ in self.cuts}):
            counts = [self.cuts[mode, deed] for deed in deeds]
            rows.append(f"{mode:<30}" + "".join(f"{n:>8}" for n in [*counts, sum(counts)]))
        rows.append(
            f"{sum(self.cuts.values())} power cuts after {self.facts} announced facts,"
            f" {self.sectors_lost} sectors lost in {self.cuts_that_lost} of them,"
            f" {self.names_undone} names undone, {len(self.wrong)} wrong"
        )
        return "\n".join(rows)


async def work(job: Job, facts: list[Fact]) -> None:
    """Do the deed, and leave no thread behind: a connection that fails to open ends by itself."""
    others = threading.active_count()
    try:
        await Worker(job, facts.append).work(SESSIONS, ROUNDS)
    finally:
        while threading.active_count() > others:  # noqa: ASYNC110  threads set no events
            await asyncio.sleep(0.001)


class Blackouts:
    """Runs power cuts on homes under ``folder``; the compiled VFS is kept in ``cache``."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.darkness = Darkness()
        self._folder = folder
        self._cache = cache
        self._grounds = Grounds(folder)
        self._points: dict[tuple[Deed, bool, int, int], int] = {}

    def run(self, seeds: range) -> Darkness:
        for seed in seeds:
            self.darkness.wrong += [f"power cut {seed}: {what}" for what in self.cut(seed)]
        return self.darkness

    def cut(self, seed: int) -> list[str]:
        """Do a deed until the power fails; return what is wrong when it is back."""
        random = Random(seed)
        deed = tuple(Deed)[seed % len(Deed)]
        mode = random.choice((*[Mode.SUBSET] * 5, *Mode))
        overwrite_safe, sector = bool(seed // len(Deed) % 2), random.choice(SECTORS)
        with PowerCut(self._cache, sector=sector, overwrite_safe=overwrite_safe) as cut:
            key = deed, overwrite_safe, sector, seed % 2
            if key not in self._points:
                facts = self._work(cut, self._job(deed, seed % 2, "uncut"))
                assert not cut.struck
                assert facts[-1].what != "failed", facts[-1]
                self._points[key] = cut.counters().ops
                cut.reset()
            job = self._job(deed, seed, "cut")
            at = random.randint(1, self._points[key])
            facts = self._work(cut, job, at, mode)
            counters = cut.counters()
        if counters.struck:
            safe = "spares neighbours" if overwrite_safe else "may tear them"
            self.darkness.cuts[f"{mode.name.lower()}, {safe}", deed.name.lower()] += 1
            self.darkness.facts += len(facts)
            self.darkness.sectors_lost += counters.sectors_lost + counters.sectors_torn
            self.darkness.cuts_that_lost += bool(counters.sectors_lost + counters.sectors_torn)
            self.darkness.names_undone += counters.entries_undone
        return self._look(job, facts)

    def _job(self, deed: Deed, seed: int, name: str) -> Job:
        home = self._folder / f"{name}-{seed}-{deed.name.lower()}"
        for old in self._folder.glob(f"{home.name}*"):
            shutil.rmtree(old)
        grounds = self._grounds
        template = grounds.abandoned if seed % 2 else grounds.template
        if deed not in (Deed.INIT, Deed.IMPORT):
            shutil.copytree(template, home)
        return Job(seed, deed, str(home), str(grounds.bundle), str(template))

    def _work(self, cut: PowerCut, job: Job, at: int = 0, mode: Mode = Mode.SUBSET) -> list[Fact]:
        """Do the deed, with the power failing at operation ``at``; return what was announced."""
        facts: list[Fact] = []
        cut.register(default=True)
        if at:
            cut.arm(at, job.seed, mode)
        try:
            asyncio.run(work(job, facts))
        except PassalongError as exc:
            if not cut.struck:
                facts.append(Fact("failed", "", [str(exc)]))
        except Exception as exc:  # noqa: BLE001  nothing but a PassalongError may leave the API
            facts.append(Fact("failed", "", [f"{type(exc).__name__}: {exc}"]))
        finally:
            cut.unregister()
        return facts

    def _look(self, job: Job, facts: list[Fact]) -> list[str]:
        homes = [fact.home for fact in facts if fact.what == "home"]
        if not homes:
            return [f"{fact.value}" for fact in facts if fact.what == "failed"]
        witness = Witness(Path(homes[-1]))
        for fact in facts:
            witness.expect(fact.what != "failed", f"failed: {fact.value}")
            if fact.home == homes[-1]:
                witness.hear(fact)
        asyncio.run(look(witness, job, self._grounds))
        if not witness.wrong:
            for home in set(homes):
                shutil.rmtree(home)
        return witness.wrong
