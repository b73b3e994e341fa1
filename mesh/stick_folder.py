"""A stick with bundles on it: old ones, damaged ones, and such as are for others."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gossip.bundle import NotABundleError, SealedForOthersError
from mesh.home import HomeError, explain
from mesh.parts import BundleError
from mesh.rows import Stick, StickRow
from mesh.vault import LockedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mesh.rows import Imported

SUFFIX: Final = ".passalong"
MAX_FILES: Final = 1_000
_TAKEN: Final = "taken"


def find_bundles(folder: Path) -> tuple[list[Path], int]:
    """Return the bundles that lie in ``folder`` itself, and how many more there are.

    Links are not followed: a stick is not to lead elsewhere.

    Raises:
        HomeError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.name.endswith(SUFFIX)
                and not entry.name.startswith(".")
                and entry.is_file(follow_symlinks=False)
            )
    except OSError as exc:
        raise explain(exc, folder) from exc
    return [folder / name for name in names[:MAX_FILES]], max(0, len(names) - MAX_FILES)


async def import_folder(folder: Path, take: Callable[[Path], Awaitable[Imported]]) -> Stick:
    """Take in the bundles of a folder; those again that had to wait for others.

    Args:
        folder: Where they are.
        take: Takes in one.

    Raises:
        BundleError: None of them could be taken in.
        HomeError: The folder cannot be read.
        StoreError: The store failed; what was committed before stays.
    """
    files, left_out = find_bundles(folder)
    if not files:
        raise BundleError(f"no bundle in {folder}; files are taken that end in {SUFFIX}")
    rows = {file: await _row(file, take) for file in files}
    if not any(row.imported for row in rows.values()):
        raise BundleError(
            f"none of {len(files):,} bundles in {folder} could be taken in: "
            + "; ".join(sorted({row.outcome for row in rows.values()}))
        )
    waiting = [file for file in files if _waits(rows[file])]
    while waiting:
        for file in waiting:
            rows[file] = _joined(rows[file], await _row(file, take))
        still = [file for file in waiting if _waits(rows[file])]
        if len(still) == len(waiting):
            break
        waiting = still
    return Stick([rows[file] for file in files], left_out)


def _waits(row: StickRow) -> bool:
    """Say whether a whole bundle held something for which there was no room yet."""
    return row.imported is not None and row.imported.complete and row.imported.refused > 0


def _joined(before: StickRow, after: StickRow) -> StickRow:
    """Return a row that counts what was new both times."""
    if before.imported is None or after.imported is None:
        return after
    new = before.imported.new_blocks
    imported = replace(
        after.imported,
        new_blocks=after.imported.new_blocks + new,
        known_blocks=max(0, after.imported.known_blocks - new),
    )
    return replace(after, imported=imported)


async def _row(file: Path, take: Callable[[Path], Awaitable[Imported]]) -> StickRow:
    try:
        imported = await take(file)
    except SealedForOthersError:
        return StickRow(file.name, "sealed for others", None, None)
    except LockedError as exc:
        return StickRow(file.name, "sealed", None, str(exc))
    except NotABundleError as exc:
        return StickRow(file.name, "not a bundle", None, str(exc))
    except (BundleError, HomeError) as exc:
        return StickRow(file.name, "unreadable", None, str(exc))
    outcome = _TAKEN if imported.complete else "damaged"
    return StickRow(file.name, outcome, imported, imported.damage)
