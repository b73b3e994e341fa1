"""The main job on real texts: ``python -m bench.changelogs``.

Every Debian package of this machine becomes a person whose posts are the entries of its
changelogs. Each home's bundle is carried to a second home, and all of that, as one file, to a
third; then the third has to show what the second shows, which has to be what was written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from bench.changelog_entries import FOLDER, Found, find_entries
from bench.changelog_feeds import (
    content,
    feed_by_command,
    feed_by_port,
    tally,
    tally_of,
    verified,
    without_hops,
)
from bench.changelog_report import Facts, Report
from bench.child import Done, run_child
from bench.homes import settle, store_bytes
from bench.measure import Lap, lap
from bench.starting import children_cpu
from mesh.direct import open_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractContextManager

    from mesh.rows import Exported

AT_ONCE: Final = 8
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one run stands."""

    root: Path

    def home(self, package: str) -> Path:
        """Return a package's home."""
        return self.root / "homes" / package

    def bundle(self, package: str) -> Path:
        """Return the file a package's home is carried in."""
        return self.root / "bundles" / f"{package}.passalong"

    @property
    def second(self) -> Path:
        """Where all bundles go."""
        return self.root / "second"

    @property
    def third(self) -> Path:
        """Where the second's only bundle goes."""
        return self.root / "third"

    @property
    def everything(self) -> Path:
        """The second's only bundle."""
        return self.root / "everything.passalong"


async def _each(items: Iterable[S], work: Callable[[S], Awaitable[T]]) -> list[T]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(item: S) -> T:
        async with free:
            return await work(item)

    return await asyncio.gather(*map(one, items))


async def write(report: Report, places: Places, found: Found) -> int:
    """Make the homes and write the posts, several homes at once; return the blocks that are."""

    async def post_all(package: str) -> None:
        async with open_port(places.home(package)) as port:
            await asyncio.gather(*map(port.post, found.posts[package]))

    posts = sum(map(len, found.posts.values()))
    with lap() as making:
        await _each([*found.posts, ""], lambda name: _settle(places, name))
    report.tell("making homes", homes=len(found.posts) + 2, cpu_s=making.cpu, wall_s=making.wall)
    with lap() as writing:
        await _each(found.posts, post_all)
    report.tell("writing", posts=posts, **_speed(writing, posts))
    return posts


async def _settle(places: Places, package: str) -> None:
    if package:
        await settle(places.home(package), package)
    else:
        await settle(places.second, "second")
        await settle(places.third, "third")


def _speed(taken: Lap | Done, blocks: int) -> Facts:
    return {
        "cpu_s": taken.cpu,
        "wall_s": taken.wall,
        "cpu_us_per_block": taken.cpu / blocks * 1e6,
        "blocks_per_cpu_s": blocks / taken.cpu,
        "blocks_per_s": blocks / taken.wall,
    }


async def export(report: Report, places: Places, found: Found) -> int:
    """Write each home's bundle; return how many blocks they hold."""

    async def export_one(package: str) -> Exported:
        async with open_port(places.home(package)) as port:
            return await port.export_bundle(places.bundle(package))

    places.bundle("x").parent.mkdir(exist_ok=True)
    with lap() as exporting:
        written = await _each(found.posts, export_one)
    blocks, size = sum(one.blocks for one in written), sum(one.bytes for one in written)
    report.tell(
        "first hop: export, homes opened included",
        bundles=len(written),
        blocks=blocks,
        bytes=size,
        bytes_per_block=size / blocks,
        **_speed(exporting, blocks),
    )
    return blocks


def carry(report: Report, places: Places, found: Found) -> None:
    """Take all bundles to the second home, and from there one to the third."""
    bundles = [places.bundle(package) for package in found.posts]
    _tell_import(report, "first hop: import", run_child("import", places.second, bundles))
    out = run_child("export", places.second, [places.everything])
    report.tell(
        "second hop: export",
        blocks=out.new,
        bytes=out.bytes,
        bytes_per_block=out.bytes / out.new,
        peak_mib=out.peak_kib / 1_024,
        **_speed(out, out.new),
    )
    into = run_child("import", places.third, [places.everything])
    _tell_import(report, "second hop: import", into)
    size = store_bytes(places.third)
    text = sum(len(one.encode("utf-8")) for some in found.posts.values() for one in some)
    report.tell(
        "disk of the third home",
        bytes=size,
        bytes_per_block=size / into.new,
        text_bytes_per_post=text / sum(map(len, found.posts.values())),
        bytes_per_byte_of_text=size / text,
    )


def _tell_import(report: Report, section: str, done: Done) -> None:
    report.tell(
        section,
        new_blocks=done.new,
        known_blocks=done.known,
        refused=done.refused,
        whole=done.whole,
        memory_before_mib=done.idle_kib / 1_024,
        peak_mib=done.peak_kib / 1_024,
        **_speed(done, done.new + done.known),
    )


def repeat(report: Report, places: Places, found: Found) -> None:
    """Import everything once more; nothing may change."""
    for hop, home, files in (
        ("first", places.second, [places.bundle(package) for package in found.posts]),
        ("second", places.third, [places.everything]),
    ):
        before = content(home)
        section = f"{hop} hop: import again"
        _tell_import(report, section, run_child("import", home, files))
        report.tell(section, store_unchanged=content(home) == before)


async def compare(report: Report, places: Places, found: Found) -> None:
    """See whether the third home shows what the second shows, and that what was written."""
    with lap() as asking:
        second, third = await feed_by_port(places.second), await feed_by_port(places.third)
    before = children_cpu()
    by_command = feed_by_command(places.second), feed_by_command(places.third)
    commanding = children_cpu() - before
    checked = await verified(places.third)
    report.tell(
        "the end",
        posts_in_second=len(second),
        posts_in_third=len(third),
        posts_as_written=tally(third) == tally_of(found.posts),
        same_feed_by_command=without_hops(by_command[0]) == without_hops(by_command[1]),
        same_feed_by_port=without_hops(second) == without_hops(third),
        command_as_port=by_command == (second, third),
        feed_of_all_by_port_cpu_s=asking.cpu / 2,
        feed_of_all_by_command_cpu_s=commanding / 2,
        verified_blocks_in_third=checked.blocks,
        problems_in_third=len(checked.problems),
    )


def tell_found(report: Report, found: Found) -> None:
    """Say what there is to write."""
    report.tell(
        "found",
        packages=len(found.posts),
        entries=found.entries,
        posts=sum(map(len, found.posts.values())),
        entries_split=found.split,
        lines_broken=found.broken_lines,
        files_as_latin1=found.latin1,
        skipped_files_of_other_formats=found.foreign,
        skipped_links=found.linked,
        skipped_entries_without_end=found.unended,
        entries_without_date=found.undated,
        oldest=found.first.date().isoformat() if found.first else "",
        newest=found.last.date().isoformat() if found.last else "",
    )


def whole_job(root: Path, limit: int | None) -> Report:
    """Do all of it below ``root``."""
    report, places = Report(), Places(root)
    found = find_entries(limit)
    tell_found(report, found)
    with lap() as everything:
        asyncio.run(write(report, places, found))
        asyncio.run(export(report, places, found))
        carry(report, places, found)
        repeat(report, places, found)
        asyncio.run(compare(report, places, found))
    report.tell("all of it", wall_s=everything.wall, load=f"{os.getloadavg()[0]:.1f}")
    return report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.changelogs", description=__doc__)
    parser.add_argument("--limit-packages", type=int, metavar="N", help="the first N only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder to work in and keep")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    if asked.limit_packages is not None and asked.limit_packages < 1:
        parser.error("N is at least 1")
    if asked.keep is not None and asked.keep.exists():
        parser.error(f"{asked.keep} is there already; name a new folder")
    if not find_entries(1).posts:
        parser.error(f"no changelog of a Debian package in {FOLDER}")
    return asked


def _place(keep: Path | None) -> AbstractContextManager[str]:
    if keep is None:
        return tempfile.TemporaryDirectory(prefix="passalong-changelogs-")
    keep.mkdir(parents=True)
    return nullcontext(str(keep.resolve()))


def main() -> int:
    """Do it and print the report."""
    asked = _arguments()
    with _place(asked.keep) as root:
        report = whole_job(Path(root), asked.limit_packages)
    if asked.json:
        print(json.dumps(report.sections))
    else:
        report.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
