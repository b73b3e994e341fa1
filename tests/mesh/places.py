"""Homes, clocks and disks for the tests of mesh."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from mesh.node import Surroundings
from tests.gossip.held import WHEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class World:
    """Clocks that a test sets, and dice that fall the same way every time."""

    seed: int = 0
    ms: int = WHEN
    seconds: float = 0.0
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    @property
    def around(self) -> Surroundings:
        """What a node is given; every reading of the wall's clock is a millisecond later."""
        return Surroundings(self._now, self.dice.randbytes, lambda: self.seconds)

    def _now(self) -> int:
        self.ms += 1
        return self.ms


@contextmanager
def disk(place: Path, size: str = "1m") -> Iterator[Path]:
    """Give a small disk of its own, mounted at ``place``; skip where that is not permitted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("a disk may be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def make_read_only(place: Path) -> None:
    """Refuse all writing to a ``disk`` from now on."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True, capture_output=True)


def fill(place: Path) -> None:
    """Leave no room on a ``disk``."""
    with (place / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python code in a process of its own, once it has said its first line."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


HOLD = """
import asyncio, sys
from pathlib import Path
from mesh.home import locked

async def hold():
    async with locked(Path(sys.argv[1]), 0):
        print("held", flush=True)
        sys.stdin.readline()

asyncio.run(hold())
"""
"""Takes the lock of a home and keeps it until it is told a line, or ends."""
