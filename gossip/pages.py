"""Pages the peer sent, and what of his store is thereby processed.

A page is done once every log in it is settled, and *clean* if none of them failed. Done pages are
acknowledged; only clean ones count as processed, so that what failed is told again next time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossip import cursor
from gossip.cursor import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.control import Greeting


@dataclass(slots=True)
class _Page:
    left: set[int]
    covers: tuple[int, int] | None
    clean: bool = True


class Pages:
    """Pages in the order they came.

    Attributes:
        done: How many are done, counted from the first without a gap.
        is_clean: Whether no log of any page has failed.
    """

    def __init__(self) -> None:
        self.done = 0
        self.is_clean = True
        self._came = 0
        self._open: dict[int, _Page] = {}
        self._of_log: dict[int, set[int]] = {}
        self._loose: set[int] = set()
        self._loose_clean = True

    @property
    def waiting(self) -> int:
        """How many came and are not counted as done."""
        return self._came - self.done

    def begin(self, logs: Iterable[int], covers: tuple[int, int] | None) -> int:
        """Take in a page of logs, which tells all of the lsns ``covers``; return its number."""
        number, self._came = self._came, self._came + 1
        page = self._open[number] = _Page(set(logs), covers)
        for log in page.left:
            self._of_log.setdefault(log, set()).add(number)
        return number

    def continues(self, logs: Iterable[int], covers: tuple[int, int]) -> int:
        """Take in a page that leaves out what pages before it told, as ``begin``.

        What is left out may have failed there: the page counts only if all of them are clean.
        """
        open_before = [page for page in self._open.values() if page.left]
        number = self.begin(set(logs).union(*(page.left for page in open_before)), covers)
        self._open[number].clean = self.is_clean and all(page.clean for page in open_before)
        return number

    def announced(self, logs: Iterable[int], covers: tuple[int, int] | None) -> int:
        """Take in a page of news, as ``begin``.

        What is told in pages that cover nothing is covered by the next one that does.
        """
        told = set(logs)
        if covers is None:
            self._loose |= told
            return self.begin(told, None)
        number = self.begin(told | self._loose, covers)
        self._open[number].clean = self._loose_clean
        self._loose, self._loose_clean = set(), True
        return number

    def settle(self, log: int, *, clean: bool) -> list[tuple[int, int]]:
        """Note that nothing more is to be done about a log; return ranges that are processed."""
        processed: list[tuple[int, int]] = []
        if log in self._loose:
            self._loose.remove(log)
            self._loose_clean &= clean
        for number in self._of_log.pop(log, ()):
            page = self._open[number]
            page.left.discard(log)
            page.clean &= clean
            processed += self.close(number)
        return processed

    def close(self, number: int) -> list[tuple[int, int]]:
        """Close a page if nothing is left of it; return the range that is processed, if any."""
        page = self._open[number]
        if page.left:
            return []
        del self._open[number]
        self.is_clean &= page.clean
        while self.done < self._came and self.done not in self._open:
            self.done += 1
        return [page.covers] if page.clean and page.covers is not None else []


class Processed:
    """What of the peer's store is processed.

    Args:
        told: What the peer's HELLO says of his store; None of a stranger's.
        seen: What was processed in earlier meetings.
    """

    def __init__(self, told: Greeting | None, seen: Seen | None) -> None:
        self._told = told
        self._run = b"" if told is None else told.run
        self._before = seen
        self._ranges: tuple[tuple[int, int], ...] = ()
        self.is_changed = False
        self._is_void = False
        if told is not None and seen is not None and seen.run == told.run:
            self._ranges = seen.clipped(told.lsn)

    @property
    def is_whole(self) -> bool:
        """Whether all that the peer's HELLO spoke of was processed before."""
        if self._told is None:
            return False
        return self._told.lsn == 0 or (
            self._before is not None and self._before.covers(self._run, self._told.lsn)
        )

    def valid(self, lsn: int) -> None:
        """Take from the peer how far what was seen before counts."""
        if self._told is not None and self._before is not None:
            kept = self._before.clipped(min(lsn, self._told.lsn))
            for low, high in kept:
                self._ranges = cursor.add(self._ranges, low, high)

    def goes_on(self, run: bytes) -> None:
        """The peer's store began another run; what was processed of the one before counts."""
        self._run = run

    def add(self, low: int, high: int) -> None:
        """Count lsns as processed; those of a run without a name nobody could ever say."""
        if self._told is not None and self._run:
            self._ranges = cursor.add(self._ranges, low, high)
            self.is_changed = True

    def add_all(self) -> None:
        """Count all that the peer's HELLO spoke of."""
        if self._told is not None and self._told.lsn:
            self.add(1, self._told.lsn)

    def forget(self) -> None:
        """Have all told again in the next meeting: more of it is wanted by now."""
        self.is_changed |= self._told is not None and not self._is_void
        self._is_void = True

    @property
    def seen(self) -> Seen | None:
        """What to remember."""
        if self._is_void or not self._ranges or not self._run:
            return None
        return Seen(self._run, self._ranges)
