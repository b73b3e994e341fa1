"""The mail that a node carries for others: what it takes, how long it keeps it, what goes first.

Envelopes spread from carrier to carrier until they were read or their life is over. What keeps that
from going on for ever: a carrier remembers what it let go and does not take it back, and the
reader's token, which anybody can check against the envelope's lock, tells carriers to let go.

Pure: the owner stores the rows it is given, and tells when they are stored.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.claims import Claims
from gossip.envelope import MAX_COPIES, MAX_LIFE_MIN, Envelope, Parcel, Receipt, lock_of
from gossip.policy import Quota
from ledger.store.base import MailRow, MailWhat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STRANGER: Final = b""
"""Depositor of what strangers brought: nobody knows one from the other."""
HINT_BYTES: Final = 2
"""Of an envelope's id that are said plainly."""
PATIENCE_S: Final = 30.0
"""Until another meeting is asked for an envelope that does not come."""
MAX_BEGUN: Final = 64
"""Envelopes of which a part is kept, in memory."""
MAX_JOURNAL: Final = 16_384
ROW_COST_BYTES: Final = 200
"""What an envelope takes besides its own bytes, about."""


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Bounds of what is carried.

    Attributes:
        envelopes: Carried for others, at most; one's own come on top.
        bytes: Of those; whoever has another quota takes its ``mail_bytes``.
        share: Of ``envelopes`` that one contact may have brought, while there is no room.
        strangers: Of ``envelopes`` that all strangers together may have.
        memory: Envelopes that were let go, and tokens, remembered each.
    """

    envelopes: int = 4_096
    bytes: int = Quota().mail_bytes
    share: float = 0.1
    strangers: float = 0.1
    memory: int = 8_192


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

    Attributes:
        end: How many things there were.
    """

    def __init__(self) -> None:
        self.end = 0
        self._things: deque[tuple[bytes, bytes, bytes]] = deque(maxlen=MAX_JOURNAL)

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

    Attributes:
        puts: Rows to put.
        drops: Rows to drop first.
    """

    puts: list[MailRow] = field(default_factory=list)
    drops: list[tuple[MailWhat, bytes]] = field(default_factory=list)

    def add(self, other: MailChanges) -> None:
        """Take in another change, made after this one."""
        gone = set(other.drops)
        self.puts = [p for p in self.puts if (p.what, p.ident) not in gone]
        self.puts += other.puts
        self.drops += other.drops


class Mail:
    """All the mail of a node.

    Args:
        own: This node's device.
        run: Names the serials that are given from now on, 4 random bytes.
        limits: How much.
        elapsed: This node's elapsed time at ``now`` 0, seconds: lives are counted down by it.

    Attributes:
        reads: Tags by which this node is the reader.
        serial: The last that was given.
        letters: Ids of envelopes for this node that it holds.
        journal: What it came to know.
        claims: Which meeting takes which envelope.
        begun: Of envelopes that came in part the bytes so far, by tag and 2 bytes of the id.
    """

    def __init__(
        self, own: bytes, run: bytes, limits: MailLimits | None = None, elapsed: int = 0
    ) -> None:
        self.own = own
        self.run = run
        self.limits = limits or MailLimits()
        self.reads: set[bytes] = set()
        self.serial = 0
        self.letters: set[bytes] = set()
        self.carried: dict[bytes, Carried] = {}
        self.tokens: dict[bytes, Read] = {}
        self.gone: dict[bytes, tuple[bytes, bytes, int]] = {}
        self._elapsed = elapsed
        self._came: dict[int, bytes] = {}
        self._count = self._bytes = 0
        self.journal = Journal()
        self.claims = Claims(PATIENCE_S)
        self.begun: dict[bytes, bytes] = {}
        self._delivered: dict[bytes, list[bytes]] = {}

    def load(self, rows: Iterable[MailRow], sizes: dict[bytes, int]) -> None:
        """Take what a store held when the node started.

        Args:
            rows: As ``Store.mail`` gives them.
            sizes: Bytes of each envelope carried.
        """
        for row in rows:
            match row.what:
                case MailWhat.CARRIED:
                    size = sizes.get(row.ident, 0)
                    self._hold(Carried(row.ident, row.tag, row.lock, size, *row[4:8]))
                    self._serve(row.ident)
                case MailWhat.LETTER:
                    self.letters.add(row.ident)
                case MailWhat.EVICTED:
                    self.gone[row.ident] = (row.tag, row.lock, row.until)
                case MailWhat.TOKEN:
                    self._know(row.ident, row.tag, row.content, row.until, is_own=False)

    # --- time ---

    def elapsed(self, now: float) -> int:
        """Return this node's elapsed time, whole seconds."""
        return self._elapsed + int(now)

    def life(self, until: int, now: float) -> int:
        """Return how many whole minutes of life are left."""
        return min((until - self.elapsed(now)) // 60, MAX_LIFE_MIN)

    def expire(self, now: float) -> MailChanges:
        """Let go what has lived."""
        end, changes = self.elapsed(now), MailChanges()
        for one in [c for c in self.carried.values() if c.until <= end]:
            self._drop(one, changes)
        for ident in [ident for ident, (*_, until) in self.gone.items() if until <= end]:
            self._forget(ident, changes)
        for lock in [lock for lock, read in self.tokens.items() if read.until <= end]:
            self._unlearn(lock, changes)
        return changes

    # --- what is taken ---

    def wants(self, until: int, depositor: bytes) -> bool:
        """Say whether an envelope that lives until then would be kept if it were taken.

        Args:
            until: When its life ends, seconds of elapsed time.
            depositor: Who offers it.
        """
        if not self._is_too_much(1):
            return True
        one = Carried(b"", b"", b"", 0, 0, 0, until, depositor)
        return self._victim([*self._foreign(), one]) is not one

    def take(self, envelope: Envelope, parcel: Parcel, depositor: bytes, now: float) -> MailChanges:
        """Take an envelope that came; return what is to be stored before ``stored`` is called."""
        changes, (ident, tag, lock, raw) = MailChanges(), envelope
        if lock in self.tokens:  # told under another tag, or it would not have been taken
            self.tokens[lock] = self.tokens[lock]._replace(tag=tag)
            self.journal.add(tag, lock, b"")
            return changes
        if ident in self.carried or ident in self.gone:
            return changes
        if tag in self.reads and ident not in self.letters:
            self.letters.add(ident)
            changes.puts.append(MailRow(MailWhat.LETTER, ident, tag, lock, content=raw))
        until = self.elapsed(now) + 60 * min(parcel.life, MAX_LIFE_MIN)
        copies = parcel.copies
        if depositor == STRANGER:
            copies = min(copies or MAX_COPIES, MAX_COPIES)
        one = Carried(ident, tag, lock, len(raw), parcel.hops, copies, until, depositor)
        self._hold(one)
        self.begun.pop(tag + ident[:HINT_BYTES], None)
        self.journal.add(tag, lock, ident)
        changes.puts.append(one.row(raw))
        self._make_room(changes)
        return changes

    def begin(self, tag: bytes, hint: bytes, data: bytes) -> None:
        """Keep the first part of an envelope, until the rest comes from whomever.

        Args:
            tag: The envelope's.
            hint: The first 2 bytes of its id.
            data: Its first bytes.
        """
        name = tag + hint
        self.begun.pop(name, None)
        self.begun[name] = data
        while len(self.begun) > MAX_BEGUN:
            del self.begun[next(iter(self.begun))]

    def forget(self, tag: bytes, hint: bytes) -> None:
        """Forget the first part of an envelope: the rest was of another."""
        self.begun.pop(tag + hint, None)

    def deposit(self, envelope: Envelope, hops: int, life: int, now: float) -> MailChanges:
        """Begin to carry an envelope of one's own.

        Args:
            envelope: What is sent.
            hops: How often it may be passed on; 7 to 10 by chance, so that nobody sees who began.
            life: Minutes.
            now: The moment.
        """
        return self.take(envelope, Parcel(envelope.raw, hops, life, 0), self.own, now)

    def stored(self, rows: Iterable[MailRow]) -> MailNews:
        """Note that rows are in the store: from now on the envelopes are offered."""
        news = MailNews([], [], [])
        for row in rows:
            ident = row.ident
            if row.what is MailWhat.LETTER:
                news.letters.append(ident)
            elif row.what is MailWhat.TOKEN:
                news.delivered.extend(self._delivered.pop(ident, ()))
            elif row.what is MailWhat.CARRIED and ident not in self.carried:
                news.stale.append((row.what, ident))
            elif row.what is MailWhat.CARRIED and not self.carried[ident].serial:
                self._serve(ident)
        return news

    def beside(self, ident: bytes, now: float) -> tuple[int, int, int] | None:
        """Return what travels beside an envelope to a carrier: hops, life and copies.

        None if it is not carried any more.
        """
        one = self.carried.get(ident)
        life = 0 if one is None else self.life(one.until, now)
        if one is None or life <= 0:
            return None
        return max(one.hops - 1, 0), life, one.copies // 2 or one.copies

    def given(self, ident: bytes) -> MailChanges:
        """Note that a carrier got an envelope and half its copies; return what to store."""
        changes, one = MailChanges(), self.carried.get(ident)
        if one is not None and one.copies > 1:
            self.carried[ident] = one._replace(copies=one.copies - one.copies // 2)
            changes.puts.append(self.carried[ident].row())
        return changes

    # --- what was read ---

    def release(self, tag: bytes, token: bytes, now: float) -> MailChanges:
        """Note that this node has read an envelope; told in meetings that begin from now on."""
        until = self.elapsed(now) + 60 * MAX_LIFE_MIN
        held = [one for one in self.carried.values() if one.lock == lock_of(token)]
        until = max((one.until for one in held), default=until)
        return self._learn(tag, token, until, is_own=True)

    def learn(self, receipt: Receipt, now: float) -> MailChanges:
        """Take a token that came."""
        until = self.elapsed(now) + 60 * receipt.life
        return self._learn(receipt.tag, receipt.token, until, is_own=False)

    def _learn(self, tag: bytes, token: bytes, until: int, *, is_own: bool) -> MailChanges:
        lock, changes = lock_of(token), MailChanges()
        if lock in self.tokens:
            return changes
        for one in [c for c in self.carried.values() if c.lock == lock]:
            self._drop(one, changes)
            tag = one.tag
            if one.depositor == self.own:
                self._delivered.setdefault(lock, []).append(one.id)
        self._know(lock, tag, token, until, is_own=is_own)
        changes.puts.append(MailRow(MailWhat.TOKEN, lock, tag, until=until, content=token))
        while len(self.tokens) > self.limits.memory:
            self._unlearn(next(iter(self.tokens)), changes)
        return changes

    def _know(self, lock: bytes, tag: bytes, token: bytes, until: int, *, is_own: bool) -> None:
        self.serial += 1
        self.journal.add(tag, lock, b"")
        self.tokens[lock] = Read(tag, token, lock, until, self.serial, is_own)
        self._came[self.serial] = lock

    def _unlearn(self, lock: bytes, changes: MailChanges) -> None:
        self._came.pop(self.tokens.pop(lock).serial, None)
        changes.drops.append((MailWhat.TOKEN, lock))

    # --- what is offered ---

    def came(self, low: int, high: int) -> list[Carried | Read]:
        """Return what came with serials ``low`` .. ``high`` and is still here, newest first."""
        if high - low >= len(self._came):
            serials = sorted((s for s in self._came if low <= s <= high), reverse=True)
        else:
            serials = [s for s in range(high, low - 1, -1) if s in self._came]
        found: list[Carried | Read] = []
        for serial in serials:
            what = self._came[serial]
            found.append(self.carried.get(what) or self.tokens[what])
        return found

    def _serve(self, ident: bytes) -> None:
        self.serial += 1
        self.carried[ident] = self.carried[ident]._replace(serial=self.serial)
        self._came[self.serial] = ident

    # --- what is let go ---

    def _hold(self, one: Carried) -> None:
        self.carried[one.id] = one
        if one.depositor != self.own:
            self._count += 1
            self._bytes += one.size + ROW_COST_BYTES

    def _drop(self, one: Carried, changes: MailChanges) -> None:
        del self.carried[one.id]
        self._came.pop(one.serial, None)
        if one.depositor != self.own:
            self._count -= 1
            self._bytes -= one.size + ROW_COST_BYTES
        place = (MailWhat.CARRIED, one.id)
        changes.puts = [row for row in changes.puts if (row.what, row.ident) != place]
        changes.drops.append(place)

    def _make_room(self, changes: MailChanges) -> None:
        """Let go what is too much, and remember it."""
        while self._is_too_much():
            victim = self._victim(self._foreign())
            self._drop(victim, changes)
            self.gone[victim.id] = (victim.tag, victim.lock, victim.until)
            row = MailRow(MailWhat.EVICTED, victim.id, victim.tag, victim.lock, until=victim.until)
            changes.puts.append(row)
        while len(self.gone) > self.limits.memory:
            self._forget(next(iter(self.gone)), changes)

    def _forget(self, ident: bytes, changes: MailChanges) -> None:
        del self.gone[ident]
        changes.drops.append((MailWhat.EVICTED, ident))

    def _foreign(self) -> list[Carried]:
        return [one for one in self.carried.values() if one.depositor != self.own]

    def _is_too_much(self, more: int = 0) -> bool:
        limits = self.limits
        return self._count + more > limits.envelopes or self._bytes > limits.bytes

    def _victim(self, foreign: Sequence[Carried]) -> Carried:
        """Return what goes first: of whoever brought more than his share the oldest."""
        counts = Counter(one.depositor for one in foreign)
        greedy = [one for one in foreign if self._is_greedy(one.depositor, counts)]
        return min(greedy or foreign, key=lambda one: (one.until, one.id))

    def _is_greedy(self, depositor: bytes, counts: Counter[bytes]) -> bool:
        limits = self.limits
        share = limits.strangers if depositor == STRANGER else limits.share
        return counts[depositor] > share * limits.envelopes
