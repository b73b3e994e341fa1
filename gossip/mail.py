"""The mail that a node carries for others: what it takes, how long it keeps it, what it tells.

Envelopes spread from carrier to carrier until they were read or their life is over. What keeps that
from going on for ever: a carrier remembers what it let go and does not take it back, and the
reader's token, which anybody can check against the envelope's lock, tells carriers to let go.

Pure: the owner stores the rows it is given, and tells when they are stored, or that they were not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.carried import STRANGER, Carried, Crowd, Journal, MailChanges, MailNews, Read
from gossip.claims import Claims
from gossip.envelope import MAX_COPIES, MAX_LIFE_MIN, Envelope, Parcel, Receipt, lock_of
from gossip.mail_room import MailLimits, MailRoom
from ledger.store.base import MailRow, MailWhat

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

HINT_BYTES: Final = 2
"""Of an envelope's id that are said plainly."""
PATIENCE_S: Final = 30.0
"""Until another meeting is asked for an envelope that does not come."""
MAX_BEGUN: Final = 64
"""Envelopes of which a part is kept, in memory."""
TOKEN_GRACE_S: Final = 24 * 3_600
"""A token is told while its envelope may live, and remembered so much longer, whoever told it."""


class Gone(NamedTuple):
    """An envelope that is not taken again.

    Attributes:
        tag: Its tag.
        lock: Its lock.
        until: When nobody carries it any more, seconds of elapsed time.
        is_filler: Whether it was taken to fill up, and not kept, as it came as one that goes on to
            its reader only or there was no room: it is taken again where it is to be carried.
        is_strange: Whether a stranger brought it: he may not make others' be forgotten.
    """

    tag: bytes
    lock: bytes
    until: int
    is_filler: bool
    is_strange: bool


class Mail:
    """All the mail of a node.

    Args:
        own: This node's device.
        run: Names the serials that are given from now on, 4 random bytes.
        limits: How much.
        elapsed: This node's elapsed time at ``now`` = ``began``, seconds: lives are counted by it.
        began: A moment by the clock that gives every ``now``.

    Attributes:
        reads: Tags by which this node is the reader.
        serial: The last that was given.
        letters: Ids of envelopes for this node that it holds and has not opened.
        carried: By id.
        tokens: By lock.
        gone: What was let go and is not taken again, by id.
        journal: What it came to know.
        claims: Which meeting takes which envelope.
        begun: Of envelopes that came in part the bytes so far, by tag and 2 bytes of the id.
        room: What is carried for others.
        crowd: How many have offered what.
    """

    def __init__(
        self,
        own: bytes,
        run: bytes,
        limits: MailLimits | None = None,
        elapsed: int = 0,
        began: float = 0.0,
    ) -> None:
        self.own = own
        self.run = run
        self.limits = limits or MailLimits()
        self.reads: set[bytes] = set()
        self.serial = 0
        self.letters: set[bytes] = set()
        self.carried: dict[bytes, Carried] = {}
        self.tokens: dict[bytes, Read] = {}
        self.gone: dict[bytes, Gone] = {}
        self.journal = Journal()
        self.claims = Claims(PATIENCE_S)
        self.begun: dict[bytes, bytes] = {}
        self.room = MailRoom(self.limits)
        self.crowd = Crowd()
        self._elapsed, self._began = elapsed, began
        self._came: dict[int, bytes] = {}
        self._locks: dict[bytes, set[bytes]] = {}
        self._unproven: dict[bytes, None] = {}
        self._strange: dict[bytes, None] = {}
        self._delivered: dict[bytes, list[bytes]] = {}
        self._meetings: set[int] = set()
        self._leaving: dict[bytes, set[int]] = {}

    def load(self, rows: Iterable[MailRow], sizes: dict[bytes, int]) -> None:
        """Take what a store held when the node started; call ``expire`` then.

        Args:
            rows: As ``Store.mail`` gives them.
            sizes: Bytes of each envelope carried.
        """
        for row in sorted(rows, key=lambda row: row.what):  # what is held comes before its token
            match row.what:
                case MailWhat.CARRIED:
                    size = sizes.get(row.ident, 0)
                    self._hold(Carried(row.ident, row.tag, row.lock, size, *row[4:8]))
                    self._serve(row.ident)
                case MailWhat.LETTER:
                    self.letters.add(row.ident)
                case MailWhat.EVICTED:
                    if row.ident not in self.carried:  # a write that failed may leave both
                        is_strange = row.depositor == STRANGER
                        gone = Gone(row.tag, row.lock, row.until, bool(row.copies), is_strange)
                        self._remember(row.ident, gone)
                case MailWhat.TOKEN:
                    read = Read(row.tag, row.content, row.ident, row.until, 0, is_own=False)
                    self._know(read, is_proven=bool(row.copies))

    # --- meetings ---

    def enter(self, meeting: int) -> None:
        """Note that a meeting has begun: what is read from now on does not show in it."""
        self._meetings.add(meeting)

    def leave(self, meeting: int) -> MailChanges:
        """Note that a meeting is over; return what is to be stored of that."""
        changes = MailChanges()
        self.claims.leave(meeting)
        self._meetings.discard(meeting)
        for ident, meetings in list(self._leaving.items()):
            meetings.discard(meeting)
            if not meetings and ident in self.carried:
                self._drop(self.carried[ident], changes)
        return changes

    # --- time ---

    def elapsed(self, now: float) -> int:
        """Return this node's elapsed time, whole seconds."""
        return self._elapsed + int(now - self._began)

    def life(self, until: int, now: float) -> int:
        """Return how many whole minutes of life are left."""
        return min((until - self.elapsed(now)) // 60, MAX_LIFE_MIN)

    def expire(self, now: float) -> MailChanges:
        """Let go what has lived, and what was read before a start."""
        end, changes = self.elapsed(now), MailChanges()
        for one in list(self.carried.values()):
            was_read = one.lock in self.tokens and one.id not in self._leaving
            if one.until <= end or was_read:
                self._drop(one, changes)
        for ident in [ident for ident, gone in self.gone.items() if gone.until <= end]:
            self._forget(ident, changes)
        late = end - TOKEN_GRACE_S
        for lock in [lock for lock, read in self.tokens.items() if read.until <= late]:
            self._unlearn(lock, changes)
        return changes

    # --- what is taken ---

    def wants(self, until: int, depositor: bytes) -> bool:
        """Say whether an envelope that lives until then would be kept if it were taken.

        Args:
            until: When its life ends, seconds of elapsed time.
            depositor: Who offers it.
        """
        return self.room.wants(until, depositor)

    @property
    def may_read(self) -> bool:
        """Whether there is room for another letter."""
        return len(self.letters) < self.limits.letters

    @property
    def is_ample(self) -> bool:
        """Whether there is room again for what was declined."""
        return self.room.is_ample and self.may_read

    def take(self, envelope: Envelope, parcel: Parcel, depositor: bytes, now: float) -> MailChanges:
        """Take an envelope that came; return what is to be stored before ``stored`` is called."""
        changes, (ident, tag, lock, raw) = MailChanges(), envelope
        if lock in self.tokens:  # told under another tag, or it would not have been taken
            self.tokens[lock] = self.tokens[lock]._replace(tag=tag)
            self.journal.add(tag, lock, b"")
            return changes
        if tag in self.reads and ident not in self.letters and not self.may_read:
            return changes
        if ident in self.carried or (ident in self.gone and not self.gone[ident].is_filler):
            return changes
        is_second = ident in self.gone
        if is_second:
            self._forget(ident, changes)
        if tag in self.reads:
            self._deliver(envelope, changes)
        until = self.elapsed(now) + 60 * min(parcel.life, MAX_LIFE_MIN)
        copies = parcel.copies
        if depositor == STRANGER:
            copies = min(copies or MAX_COPIES, MAX_COPIES)
        one = Carried(ident, tag, lock, len(raw), parcel.hops, copies, until, depositor)
        self.begun.pop(tag + ident[:HINT_BYTES], None)
        self.journal.add(tag, lock, ident)
        self._hold(one)
        changes.put(one.row(raw))
        self._make_room(changes, b"" if is_second else ident)
        return changes

    def take_single(self, envelope: Envelope, parcel: Parcel, now: float) -> MailChanges:
        """Take an envelope that goes on to nobody but its reader, as he does, or one who fills up.

        Neither carries it afterwards, so nobody sees by that whose it was.
        """
        changes, (ident, tag, lock, _) = MailChanges(), envelope
        is_known = ident in self.carried or ident in self.gone or lock in self.tokens
        if is_known or (tag in self.reads and not self.may_read):
            return changes
        if tag in self.reads:
            self._deliver(envelope, changes)
        until = self.elapsed(now) + 60 * min(parcel.life, MAX_LIFE_MIN)
        gone = Gone(tag, lock, until, is_filler=True, is_strange=True)
        self._let_go(ident, gone, changes)
        self.journal.add(tag, lock, ident)
        return changes

    def _deliver(self, envelope: Envelope, changes: MailChanges) -> None:
        if envelope.id not in self.letters:
            self.letters.add(envelope.id)
            ident, tag, lock, raw = envelope
            changes.put(MailRow(MailWhat.LETTER, ident, tag, lock, content=raw))

    def expect(self, tags: Iterable[bytes]) -> list[bytes]:
        """Come to read by more tags; return the ids of what is carried under them already.

        Their bytes are in the store: call ``found`` with each.
        """
        new = set(tags) - self.reads
        self.reads |= new
        for tag in new:
            self.journal.add(tag, b"", b"")
        return [one.id for one in self.carried.values() if one.tag in new]

    def found(self, envelope: Envelope) -> MailChanges:
        """Take what is carried already for a letter."""
        changes = MailChanges()
        if envelope.tag in self.reads and envelope.id in self.carried and self.may_read:
            self._deliver(envelope, changes)
        return changes

    def opened(self, ident: bytes) -> MailChanges:
        """Note that a letter was opened, and need not be kept as one."""
        changes = MailChanges()
        if ident in self.letters:
            self.letters.discard(ident)
            changes.drop(MailWhat.LETTER, ident)
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

    # --- what is stored ---

    def stored(self, rows: Iterable[MailRow]) -> MailNews:
        """Note that rows are in the store: from now on the envelopes are offered."""
        news = MailNews([], [], [])
        for row in rows:
            ident = row.ident
            if row.what is MailWhat.TOKEN:
                news.delivered.extend(self._delivered.pop(ident, ()))
            if row.what is MailWhat.LETTER:
                news.letters.append(ident)
            elif self._is_stale(row):
                news.stale.append((row.what, ident))
            elif row.what is MailWhat.CARRIED and self._is_unserved(ident):
                self._serve(ident)
        return news

    def _is_stale(self, row: MailRow) -> bool:
        """Whether what was stored was let go, or forgotten, while it was being stored."""
        held: dict[MailWhat, Container[bytes]] = {
            MailWhat.CARRIED: self.carried,
            MailWhat.TOKEN: self.tokens,
            MailWhat.EVICTED: self.gone,
        }
        return row.ident not in held[row.what]

    def failed(self, rows: Iterable[MailRow]) -> None:
        """Note that rows could not be stored: what they are about may come again."""
        for row in rows:
            ident, nothing = row.ident, MailChanges()
            if row.what is MailWhat.LETTER:
                self.letters.discard(ident)
            elif row.what is MailWhat.TOKEN and ident in self.tokens:
                self._delivered.pop(ident, None)
                self._unlearn(ident, nothing)
            elif row.what is MailWhat.EVICTED and ident in self.gone:
                self._forget(ident, nothing)
            elif row.what is MailWhat.CARRIED and self._is_unserved(ident):
                self._drop(self.carried[ident], nothing)

    def _is_unserved(self, ident: bytes) -> bool:
        return ident in self.carried and not self.carried[ident].serial

    # --- what is given ---

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
        """Set half the copies of an envelope aside for a carrier; return what to store."""
        one = self.carried.get(ident)
        if one is None or one.copies <= 1:
            return MailChanges()
        return self._count_copies(one, -(one.copies // 2))

    def kept_back(self, ident: bytes, copies: int) -> MailChanges:
        """Note that so many copies did not go after all; return what to store."""
        one = self.carried.get(ident)
        return MailChanges() if one is None else self._count_copies(one, copies)

    def _count_copies(self, one: Carried, more: int) -> MailChanges:
        self.carried[one.id] = one._replace(copies=min(one.copies + more, MAX_COPIES))
        changes = MailChanges()
        changes.put(self.carried[one.id].row())
        return changes

    def met(self, ident: bytes, carrier: bytes) -> None:
        """Note that a carrier has an envelope too; what many have goes first."""
        if (one := self.carried.get(ident)) is not None:
            self.room.met(one, carrier)

    def vouched(self, ident: bytes, depositor: bytes, copies: int) -> MailChanges:
        """Note that a contact has brought what is held as a stranger's: it is his from now on.

        Args:
            ident: The envelope's.
            depositor: The contact's device.
            copies: As he told; what has copies to count keeps those that are left.
        """
        changes, one = MailChanges(), self.carried.get(ident)
        if one is not None and one.depositor == STRANGER != depositor:
            left = one.copies if copies else 0
            self.room.remove(one)
            self.carried[ident] = one = one._replace(depositor=depositor, copies=left)
            self.room.add(one)
            self.room.met(one, STRANGER)
            changes.put(one.row())
        return changes

    # --- what was read ---

    def release(self, tag: bytes, token: bytes, now: float) -> MailChanges:
        """Note that this node has read an envelope.

        That is told in meetings that begin from now on; in those that are open it goes on being
        carried as if nothing had happened.
        """
        lives = [self._until(ident) for ident in self._held(lock_of(token))]
        until = max(lives, default=self.elapsed(now) + 60 * MAX_LIFE_MIN)
        return self._learn(tag, token, until, is_own=True)

    def learn(self, receipt: Receipt, now: float) -> MailChanges:
        """Take a token that came."""
        until = self.elapsed(now) + 60 * receipt.life
        lives = [self._until(ident) for ident in self._held(lock_of(receipt.token))]
        return self._learn(receipt.tag, receipt.token, max([until, *lives]), is_own=False)

    def _held(self, lock: bytes) -> list[bytes]:
        """Return the ids of what has that lock, here or gone."""
        return sorted(self._locks.get(lock, ()))

    def _until(self, ident: bytes) -> int:
        one = self.carried.get(ident)
        return self.gone[ident].until if one is None else one.until

    def _is_strange(self, ident: bytes) -> bool:
        one = self.carried.get(ident)
        return self.gone[ident].is_strange if one is None else one.depositor == STRANGER

    def _learn(self, tag: bytes, token: bytes, until: int, *, is_own: bool) -> MailChanges:
        lock, changes = lock_of(token), MailChanges()
        if lock in self.tokens:
            return changes
        held = self._held(lock)
        is_proven = is_own or any(not self._is_strange(ident) for ident in held)
        for one in [self.carried[ident] for ident in held if ident in self.carried]:
            tag = one.tag
            if one.depositor == self.own:
                self._delivered.setdefault(lock, []).append(one.id)
            if is_own and self._meetings:
                self._leaving[one.id] = set(self._meetings)
            else:
                self._drop(one, changes)
        self._know(Read(tag, token, lock, until, 0, is_own), is_proven=is_proven)
        changes.put(self.tokens[lock].row(is_proven=lock not in self._unproven))
        while len(self.tokens) > self.limits.memory:
            self._unlearn(next(iter(self._unproven or self.tokens)), changes)
        return changes

    def _know(self, read: Read, *, is_proven: bool) -> None:
        """Remember a token; one that opened nothing but a stranger's is forgotten first."""
        self.serial += 1
        self.journal.add(read.tag, read.lock, b"")
        self.tokens[read.lock] = read._replace(serial=self.serial)
        self._came[self.serial] = read.lock
        if not is_proven:
            self._unproven[read.lock] = None

    def _unlearn(self, lock: bytes, changes: MailChanges) -> None:
        self._unproven.pop(lock, None)
        self._came.pop(self.tokens.pop(lock).serial, None)
        changes.drop(MailWhat.TOKEN, lock)

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

    def read_at(self, one: Carried) -> int | None:
        """Return the serial of the token of an envelope that was read here; None if it was not."""
        read = self.tokens.get(one.lock)
        return None if read is None else read.serial

    def _serve(self, ident: bytes) -> None:
        self.serial += 1
        self.carried[ident] = self.carried[ident]._replace(serial=self.serial)
        self._came[self.serial] = ident

    # --- what is let go ---

    def _hold(self, one: Carried) -> None:
        self.carried[one.id] = one
        self._locks.setdefault(one.lock, set()).add(one.id)
        if one.depositor != self.own:
            self.room.add(one)

    def _drop(self, one: Carried, changes: MailChanges) -> None:
        del self.carried[one.id]
        self._unlock(one.lock, one.id)
        self._leaving.pop(one.id, None)
        self._came.pop(one.serial, None)
        if one.depositor != self.own:
            self.room.remove(one)
        changes.drop(MailWhat.CARRIED, one.id)

    def _unlock(self, lock: bytes, ident: bytes) -> None:
        self._locks[lock].discard(ident)
        if not self._locks[lock]:
            del self._locks[lock]

    def _make_room(self, changes: MailChanges, new: bytes) -> None:
        """Let go what is too much, and remember it; the ``new`` one may be had once more."""
        while self.room.is_too_much:
            victim = self.carried[self.room.victim()]
            self._drop(victim, changes)
            is_filler, is_strange = victim.id == new, victim.depositor == STRANGER
            gone = Gone(victim.tag, victim.lock, victim.until, is_filler, is_strange)
            self._let_go(victim.id, gone, changes)

    def _let_go(self, ident: bytes, gone: Gone, changes: MailChanges) -> None:
        self._remember(ident, gone)
        tag, lock, until, is_filler, is_strange = gone
        who = STRANGER if is_strange else self.own
        row = MailRow(MailWhat.EVICTED, ident, tag, lock, 0, int(is_filler), until, who)
        changes.put(row)
        while len(self.gone) > self.limits.memory:
            is_too_strange = len(self._strange) > self.limits.memory // 4
            self._forget(next(iter(self._strange if is_too_strange else self.gone)), changes)

    def _remember(self, ident: bytes, gone: Gone) -> None:
        self.gone[ident] = gone
        if gone.is_strange:
            self._strange[ident] = None
        self._locks.setdefault(gone.lock, set()).add(ident)

    def _forget(self, ident: bytes, changes: MailChanges) -> None:
        self._unlock(self.gone.pop(ident).lock, ident)
        self._strange.pop(ident, None)
        changes.drop(MailWhat.EVICTED, ident)
