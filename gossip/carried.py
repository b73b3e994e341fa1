"""What is kept of mail: an envelope that is carried, a token that is known, and their changes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.store.base import MailRow, MailWhat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STRANGER: Final = b""
"""Depositor of what strangers brought: nobody knows one from the other."""
MAX_JOURNAL: Final = 16_384
MAX_SPREAD: Final = 32
"""Carriers of one envelope that are told apart."""
MAX_HINTS: Final = 16_384
"""Of ids of which is remembered who offered them."""


class Carried(NamedTuple):
    """An envelope that is carried.

    Attributes:
        id: 32 bytes.
        tag: 16 bytes.
        lock: 32 bytes.
        size: Bytes of the envelope.
        hops: How often it may be passed on.
        copies: To how many carriers it may; 0 for any number.
        until: When its life ends, seconds of elapsed time.
        depositor: The device that brought it; ``STRANGER``; this node's own for its own.
        serial: Its place in what came, from 1; 0 until it is stored.
    """

    id: bytes
    tag: bytes
    lock: bytes
    size: int
    hops: int
    copies: int
    until: int
    depositor: bytes
    serial: int = 0

    @property
    def is_single(self) -> bool:
        """Whether it goes on to nobody but its reader."""
        return self.hops == 0 or self.copies == 1

    def row(self, content: bytes = b"") -> MailRow:
        """Return what is stored of it."""
        return MailRow(
            MailWhat.CARRIED,
            self.id,
            self.tag,
            self.lock,
            self.hops,
            self.copies,
            self.until,
            self.depositor,
            content,
        )


class Read(NamedTuple):
    """That an envelope was read: it need not be carried any more.

    Attributes:
        tag: The envelope's.
        token: What opens its lock.
        lock: That lock.
        until: When nobody carries the envelope any more, seconds of elapsed time.
        serial: Its place in what came, from 1.
        is_own: Whether this node read it: then it is told in meetings that begin later.
    """

    tag: bytes
    token: bytes
    lock: bytes
    until: int
    serial: int
    is_own: bool

    def row(self, *, is_proven: bool) -> MailRow:
        """Return what is stored of it; of one that opened something here the copies are 1."""
        proven, content = int(is_proven), self.token
        return MailRow(
            MailWhat.TOKEN, self.lock, self.tag, copies=proven, until=self.until, content=content
        )


class MailNews(NamedTuple):
    """What a node's own user hears of.

    Attributes:
        letters: Ids of envelopes for this node, which it now keeps.
        delivered: Ids of this node's own that were read.
        stale: What was let go while it was being stored: it is to be dropped.
    """

    letters: list[bytes]
    delivered: list[bytes]
    stale: list[tuple[MailWhat, bytes]]


class Journal:
    """What a node came to know of mail, one thing after the other; the oldest is forgotten.

    Args:
        most: Remembered.

    Attributes:
        end: How many things there were.
    """

    def __init__(self, most: int = MAX_JOURNAL) -> None:
        self.end = 0
        self._things: deque[tuple[bytes, bytes, bytes]] = deque(maxlen=most)

    def add(self, tag: bytes, lock: bytes, ident: bytes) -> None:
        """Add an envelope's tag, lock and id; of a token the last is empty."""
        self.end += 1
        self._things.append((tag, lock, ident))

    def since(self, at: int) -> Iterable[tuple[bytes, bytes, bytes]]:
        """Return what came after the first ``at`` things, as far as it is remembered."""
        skip = len(self._things) - (self.end - at)
        return islice(self._things, max(skip, 0), None)


@dataclass(slots=True)
class MailChanges:
    """What is to be stored of a change, in one batch.

    A bundle may bring tens of thousands of them: each costs the same, however many there were.
    """

    _puts: dict[tuple[MailWhat, bytes], MailRow] = field(default_factory=dict)
    _drops: dict[tuple[MailWhat, bytes], None] = field(default_factory=dict)

    @property
    def puts(self) -> Sequence[MailRow]:
        """Rows to put."""
        return list(self._puts.values())

    @property
    def drops(self) -> Sequence[tuple[MailWhat, bytes]]:
        """Rows to drop first."""
        return list(self._drops)

    def add(self, other: MailChanges) -> None:
        """Take in another change, made after this one."""
        for what, ident in other._drops:
            self.drop(what, ident)
        for row in other._puts.values():
            self.put(row)

    def put(self, row: MailRow) -> None:
        """Put a row; one that is to be put already is changed as a store changes it."""
        was = self._puts.get((row.what, row.ident), row)
        row = row._replace(content=was.content, tag=was.tag, lock=was.lock)
        self._puts[row.what, row.ident] = row

    def drop(self, what: MailWhat, ident: bytes) -> None:
        """Drop a row, and do not put it if that was to be."""
        self._puts.pop((what, ident), None)
        self._drops[what, ident] = None


class Crowd:
    """How many have offered what, by the two plain bytes of its id; of strangers all are one."""

    def __init__(self) -> None:
        self._who: dict[bytes, set[bytes]] = {}

    def add(self, hint: bytes, who: bytes) -> None:
        """Note that ``who`` offers something."""
        known = self._who.setdefault(hint, set())
        if len(known) < MAX_SPREAD:
            known.add(who)
        while len(self._who) > MAX_HINTS:
            del self._who[next(iter(self._who))]

    def count(self, hint: bytes) -> int:
        """Return how many offered it, as far as that is remembered."""
        return len(self._who.get(hint, ()))
