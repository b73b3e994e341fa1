"""What victims do, and the facts they announce: each exactly when, and as, the API returned it.

The same deeds are done by processes that are killed and by one whose simulated power fails.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import mesh.intake
from mesh.direct import confirm_words, init_home, open_port
from mesh.node import Surroundings
from tests.crash.phases import Deed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mesh.port import NodePort

BATCH_BLOCKS = 25  # of an import's transactions, so that small bundles take several
START_MS = 1_900_000_000_000
TEXTS = (1, 30, 300, 300, 300, 2_000, 8_000)


class Fact(NamedTuple):
    """One line of what a victim says.

    ``what`` and ``value`` go together: ``home`` (work begins there), ``founded`` device person
    words, ``shown``, ``posted`` seq id, ``exported`` blocks bytes, ``imported`` complete.
    """

    what: str
    home: str
    value: list[Any]


Announce = "Callable[[Fact], None]"


@dataclass(frozen=True)
class Job:
    """What one victim is to do, and where it dies."""

    seed: int
    deed: Deed
    home: str  # of its own, or the first part of the names of new ones
    bundle: str  # to be imported
    template: str  # a home that imports are done in copies of
    trap: str = "none"
    at: int = 0

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, line: str) -> Job:
        said = json.loads(line)
        return cls(**said | {"deed": Deed(said["deed"])})


def export_of(home: Path) -> Path:
    """Where the home in ``home`` exports to."""
    return home / "stick" / "news.pal"


def seeded_world(seed: int) -> Surroundings:
    """A clock and dice that are the same for the same seed."""
    ticks = itertools.count(START_MS + seed * 1_000)
    return Surroundings(lambda: next(ticks), Random(seed).randbytes, lambda: 0.0)


class Worker:
    """Does a job's deed, round after round."""

    def __init__(self, job: Job, announce: Callable[[Fact], None]) -> None:
        self._job = job
        self._announce = announce
        self._around = seeded_world(job.seed)
        self._random = Random(job.seed)

    async def work(self, sessions: Iterable[int], rounds: int | None = None) -> None:
        """Do the deed in so many sessions of so many (None: some) rounds."""
        with mock.patch.object(mesh.intake, "BATCH_BLOCKS", BATCH_BLOCKS):
            for number in sessions:
                await self._do(number, rounds)

    async def _do(self, number: int, rounds: int | None) -> None:
        match self._job.deed:
            case Deed.INIT:
                await self._init(Path(f"{self._job.home}-{number}"))
            case Deed.IMPORT:
                await self._import(Path(f"{self._job.home}-{number}"))
            case deed:
                await self._session(Path(self._job.home), deed, rounds)

    async def _init(self, home: Path) -> None:
        self._announce(Fact("home", str(home), []))
        new = await init_home(home / "new" / "home", "Ann", self._around)
        said = [new.device.hex(), new.person.hex(), " ".join(new.words)]
        self._announce(Fact("founded", str(home), said))
        await confirm_words(home / "new" / "home", self._around)
        self._announce(Fact("shown", str(home), []))

    async def _import(self, home: Path) -> None:
        shutil.copytree(self._job.template, home)
        self._announce(Fact("home", str(home), []))
        async with open_port(home, self._around) as port:
            imported = await port.import_bundle(Path(self._job.bundle))
            self._announce(Fact("imported", str(home), [imported.complete]))
            await self._post(port, home)

    async def _session(self, home: Path, deed: Deed, rounds: int | None) -> None:
        self._announce(Fact("home", str(home), []))
        async with open_port(home, self._around) as port:
            for _ in range(rounds or self._random.randint(1, 6)):
                if deed is Deed.GROUP:
                    many = self._random.randint(2, 12)
                    await asyncio.gather(*(self._post(port, home) for _ in range(many)))
                elif deed is Deed.CARRY:
                    await self._carry(port, home)
                else:
                    await self._post(port, home)
                    if deed is Deed.EXPORT:
                        await self._export(port, home)

    async def _carry(self, port: NodePort, home: Path) -> None:
        await asyncio.gather(
            self._post(port, home), self._export(port, home), self._post(port, home)
        )
        await port.import_bundle(export_of(home))

    async def _post(self, port: NodePort, home: Path) -> None:
        size = self._random.choice(TEXTS)
        text = f"{self._job.seed}/{self._random.randrange(1 << 30)} ".ljust(size, "x")
        posted = await port.post(text)
        self._announce(Fact("posted", str(home), [posted.seq, posted.id.hex()]))

    async def _export(self, port: NodePort, home: Path) -> None:
        exported = await port.export_bundle(export_of(home))
        self._announce(Fact("exported", str(home), [exported.blocks, exported.bytes]))
