"""Real texts: what the maintainers of this machine's Debian packages wrote, entry by entry."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.kinds.post import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

FOLDER: Final = Path("/usr/share/doc")
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9+.-]* \([^() ]+\)(?: [A-Za-z0-9+.-]+)+;")
_TRAILER: Final = " -- "
_BREAK: Final = re.compile(r"(?<=\n)")


class Entry(NamedTuple):
    """One version's changes.

    Attributes:
        text: From the header's line to the trailer, without it.
        date: As the trailer says; None where it says none.
    """

    text: str
    date: datetime | None


@dataclass(slots=True)
class Found:
    """What was read.

    Attributes:
        posts: By package, oldest first, each short enough for a post.
        entries: How many the posts were made from.
        split: Entries that were too long for one post.
        broken_lines: Lines that were too long for one post.
        latin1: Files that were not UTF-8.
        foreign: Files without a single entry: not Debian's format.
        linked: Files that are another package's.
        unended: Entries without a trailer, left out.
        undated: Entries whose trailer says no date.
        first: The oldest date.
        last: The newest.
    """

    posts: dict[str, list[str]] = field(default_factory=dict)
    entries: int = 0
    split: int = 0
    broken_lines: int = 0
    latin1: int = 0
    foreign: int = 0
    linked: int = 0
    unended: int = 0
    undated: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def count(self, name: str, entries: list[Entry]) -> None:
        """Take the entries of one file of package ``name``, newest first."""
        posts = self.posts.setdefault(name, [])
        for entry in reversed(entries):
            parts = self._parts(entry.text)
            posts += parts
            self.split += len(parts) > 1
            self._date(entry.date)
        self.entries += len(entries)

    def _parts(self, text: str) -> list[str]:
        pieces: list[str] = []
        for line in _BREAK.split(text):
            broken = list(_break_line(line))
            self.broken_lines += len(broken) > 1
            pieces += broken
        return list(_joined(pieces))

    def _date(self, date: datetime | None) -> None:
        if date is None:
            self.undated += 1
            return
        self.first = date if self.first is None else min(self.first, date)
        self.last = date if self.last is None else max(self.last, date)


def _break_line(line: str) -> Iterator[str]:
    most = MAX_TEXT_BYTES // 4
    whole = len(line.encode("utf-8")) <= MAX_TEXT_BYTES
    yield from [line] if whole else (line[i : i + most] for i in range(0, len(line), most))


def _joined(pieces: list[str]) -> Iterator[str]:
    """Join neighbours to texts that are as long as a post may be."""
    held, size = "", 0
    for piece in pieces:
        more = len(piece.encode("utf-8"))
        if size + more > MAX_TEXT_BYTES:
            yield held
            held, size = "", 0
        held, size = held + piece, size + more
    if held:
        yield held


def find_entries(limit: int | None, folder: Path = FOLDER) -> Found:
    """Read the changelogs of the packages installed here, of the first ``limit`` of them."""
    found = Found()
    seen: set[Path] = set()
    for path in sorted(folder.glob("*/changelog*.gz")):
        name = path.parent.name
        if limit is not None and len(found.posts) >= limit and name not in found.posts:
            break
        real = path.resolve()
        if real in seen or not real.is_file():
            found.linked += 1
            continue
        seen.add(real)
        _read(found, name, real)
    return found


def _read(found: Found, name: str, path: Path) -> None:
    raw = gzip.decompress(path.read_bytes())
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text, found.latin1 = raw.decode("latin-1"), found.latin1 + 1
    entries, unended = parse(text)
    found.unended += unended
    if entries:
        found.count(name, entries)
    else:
        found.foreign += 1


def parse(text: str) -> tuple[list[Entry], int]:
    """Return the entries of a changelog in Debian's format, and how many had no end."""
    entries: list[Entry] = []
    lines: list[str] = []
    unended = 0
    for line in text.split("\n"):
        if _HEADER.match(line):
            unended += bool(lines)
            lines = [line]
        elif lines and line.startswith(_TRAILER):
            entries.append(Entry("\n".join(lines).rstrip(), _date_of(line)))
            lines = []
        elif lines:
            lines.append(line)
    return entries, unended + bool(lines)


def _date_of(trailer: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(trailer.rpartition(">")[2].strip())
    except ValueError:
        return None
    return date if date.tzinfo is not None else None
