"""What two homes show, and whether that is the same, and what was written."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from bench.starting import ROOT, command
from mesh.direct import open_port
from mesh.paths import STORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mesh.rows import Checked

Row: TypeAlias = dict[str, object]


def feed_by_command(home: Path) -> list[Row]:
    """Return what the command shows a program of all posts."""
    line = [*command(), "--home", str(home), "feed", "--all", "--limit", "0", "--json"]
    ended = subprocess.run(line, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    rows: list[Row] = json.loads(ended.stdout)
    return rows


async def feed_by_port(home: Path) -> list[Row]:
    """Return what the node says of all posts, spelled as the command does."""
    async with open_port(home) as port:
        said = [asdict(row) for row in await port.feed(everyone=True)]
    rows: list[Row] = json.loads(json.dumps(said, default=bytes.hex))
    return rows


async def verified(home: Path) -> Checked:
    """Verify the whole home again."""
    async with open_port(home) as port:
        return await port.check()


def without_hops(rows: Iterable[Row]) -> list[Row]:
    """Return what must be the same wherever the posts were carried to."""
    return [{name: value for name, value in row.items() if name != "hops"} for row in rows]


def tally(rows: Iterable[Row]) -> Counter[tuple[str, bytes]]:
    """Count the posts by name and text."""
    return Counter((str(row["name"]), _digest(str(row["text"]))) for row in rows)


def tally_of(posts: Mapping[str, list[str]]) -> Counter[tuple[str, bytes]]:
    """Count what was to be posted, likewise."""
    return Counter((name, _digest(text)) for name, texts in posts.items() for text in texts)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8")).digest()


def content(home: Path) -> str:
    """Return a hash of everything in a closed home's store, row by row."""
    whole = sha256()
    with closing(sqlite3.connect(f"file:{home / STORE}?mode=ro", uri=True)) as db:
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (name,) in names.fetchall():
            whole.update(str(name).encode())
            for row in db.execute(f'SELECT * FROM "{name}"'):  # noqa: S608  its own tables
                whole.update(repr(row).encode())
    return whole.hexdigest()
