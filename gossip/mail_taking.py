"""What a peer offers of the mail it carries, and which of it is taken.

A row tells a carrier nothing but whether it knows the envelope already. Only a few envelopes are
asked for at a time: one's own mail first, then the youngest, for another meeting may bring the
rest sooner. The first few are asked for in one class, whosever they are, so that who gives them
away does not see whose they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gossip import cursor
from gossip.envelope import (
    MAX_LIFE_MIN,
    Parcel,
    decode_envelope,
    lock_of,
    tag_at_start,
)
from gossip.mail import STRANGER, MailChanges
from gossip.postal import (
    CARRIED_CLASS,
    FIRST_CLASS,
    MAX_OFFERED,
    MAX_ROWS,
    NAME_BYTES,
    REST_CLASS,
    TOKEN_CLASS,
    Leave,
    Take,
    Why,
)
from gossip.talk import ProtocolError
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.envelope import Envelope, Piece, Receipt
    from gossip.mail import Mail
    from gossip.mail_names import MailNames
    from gossip.postal import Offers
    from gossip.talk import Talk

FIRST: Final = 4
"""So many envelopes at least are asked for in the first class."""
MOST_TOGETHER: Final = 8
"""So many are under way at a time where they come fast,"""
FAST_S: Final = 1.0
"""that is sooner than this after they were asked for; else one: others may bring the next."""


@dataclass(slots=True)
class Came:
    """What a message brought.

    Attributes:
        changes: What is to be stored of it.
        rows: The rows by which it was offered.
        unasked: How much of it nobody asked for.
    """

    changes: MailChanges = field(default_factory=MailChanges)
    rows: list[int] = field(default_factory=list)
    unasked: int = 0


@dataclass(slots=True)
class _Row:
    """Something offered.

    Attributes:
        page: Number of the message that offered it.
        name: What names it in this meeting.
        until: When its life ends, seconds of elapsed time; None of a token.
        is_mine: Whether this node is its reader.
        part: What has come of an envelope that was asked for.
        asked: Whether it is asked for.
        since: When it was.
        came: Whether it has come, and is not stored yet.
    """

    page: int
    name: bytes
    until: int | None
    is_mine: bool = False
    part: bytearray = field(default_factory=bytearray)
    asked: bool = False
    since: float = 0.0
    came: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether it is an envelope that was asked for and has not come."""
        return self.asked and not self.came and self.until is not None


class MailTaking:
    """What the peer offers.

    Args:
        talk: The session's surroundings.
        mail: What this node carries.
        names: What it knows, as it is named in this meeting.

    Attributes:
        ranges: Serials of the peer's mail that are processed.
        awaits: Whether the peer is still to offer what it had before the meeting.
        offered: What the peer has, as named in this meeting.
        moved: When the peer brought something last.
        retry_at: When to try again what another meeting takes; None while nothing waits for that.
    """

    def __init__(self, talk: Talk, mail: Mail, names: MailNames) -> None:
        self._talk = talk
        self._mail = mail
        self._names = names
        peer = talk.setting.peer
        self._depositor = STRANGER if peer is None else peer.device
        self.ranges: tuple[tuple[int, int], ...] = ()
        self.awaits = False
        self.offered: set[bytes] = set()
        self.moved = 0.0
        self.retry_at: float | None = None
        self._rows: list[_Row] = []
        self._pages: list[tuple[int, int]] = []
        self._left: list[int] = []
        self._open: dict[bytes, int] = {}
        self._pool: list[int] = []
        self._first = 0
        self._together = 1

    # --- what is offered ---

    def offers(self, message: Offers) -> None:
        """Look at what is offered, and take of it.

        Raises:
            ProtocolError: More than a meeting has.
        """
        if len(self._rows) + message.count > MAX_OFFERED:
            raise ProtocolError("more mail than is listened to in one meeting")
        self.moved = self._talk.now
        self.awaits &= not message.last
        self._pages.append((message.low, message.high))
        self._left.append(0)
        self._names.catch_up()
        before = len(self._pool)
        for rows, is_single in ((message.envelopes, False), (message.singles, True)):
            for row in rows:
                self._look(row, is_single=is_single)
        self._take_tokens(message.receipts)
        mine = sum(self._rows[index].is_mine for index in self._pool[before:])
        self._first = max(self._first, -(-max(mine, 1) // FIRST) * FIRST)
        self._settle_page(len(self._pages) - 1)
        self.pump()

    def _look(self, row: bytes, *, is_single: bool) -> None:
        """See whether an envelope is one's own, or one to carry."""
        name, minutes = row[:NAME_BYTES], int.from_bytes(row[NAME_BYTES:], "big")
        until = self._mail.elapsed(self._talk.now) + 60 * min(minutes, MAX_LIFE_MIN)
        index = self._add(name, until)
        if not self._names.is_new(name) or name in self._open:
            return
        is_mine = self._rows[index].is_mine = self._names.is_mine(name)
        may_carry = not is_single and minutes > 0
        if is_mine or (may_carry and self._mail.wants(until, self._depositor)):
            self._expect(index)
            self._pool.append(index)

    def _take_tokens(self, names: Iterable[bytes]) -> None:
        urgent: list[int] = []
        others: list[int] = []
        for name in names:
            index = self._add(name, None)
            if not self._names.is_read(name) and name not in self._open:
                self._expect(index)
                (urgent if self._names.holds(name) else others).append(index)
        self._ask(TOKEN_CLASS, urgent)
        self._ask(REST_CLASS, others)

    def _add(self, name: bytes, until: int | None) -> int:
        self._rows.append(_Row(len(self._pages) - 1, name, until))
        self.offered.add(name)
        return len(self._rows) - 1

    def _expect(self, index: int) -> None:
        row = self._rows[index]
        self._open[row.name] = index
        self._left[row.page] += 1

    # --- what is asked for ---

    def _ask(self, rank: int, rows: list[int]) -> None:
        for index in rows:
            self._rows[index].asked = True
            self._rows[index].since = self._talk.now
        for at in range(0, len(rows), MAX_ROWS):
            some = rows[at : at + MAX_ROWS]
            offsets = {i: len(self._rows[i].part) for i in some if self._rows[i].part}
            self._talk.send(Take(rank, some, offsets))
            self.moved = self._talk.now

    def pump(self) -> None:
        """Ask for what comes next, as long as it is still wanted."""
        self.retry_at = None
        under_way = (self._rows[index] for index in self._open.values())
        room = self._together - sum(row.is_under_way for row in under_way)
        if room <= 0 or not self._pool:
            return
        self._names.catch_up()
        waiting = deque(sorted(self._pool, key=self._order))
        self._pool, now = [], list[int]()
        while waiting and len(now) < room:
            index = waiting.popleft()
            if not self._is_wanted(self._rows[index]):
                self._settle(index)
            elif (retry := self._claim(index)) is not None:
                self._pool.append(index)
                self.retry_at = min(retry, self.retry_at or retry)
            else:
                now.append(index)
        self._pool += waiting
        self._begin(now)

    def _order(self, index: int) -> tuple[bool, int, int]:
        """One's own first, then the youngest."""
        row = self._rows[index]
        return not row.is_mine, -(row.until or 0), index

    def _is_wanted(self, row: _Row) -> bool:
        if not self._names.is_new(row.name):
            return False
        return row.is_mine or self._mail.wants(row.until or 0, self._depositor)

    def _claim(self, index: int) -> float | None:
        """Claim an envelope; return when to try again if another meeting takes it."""
        talk, hint = self._talk, self._names.hint(self._rows[index].name)
        return self._mail.claims.take((hint, 0), talk.meeting, talk.now)

    def _begin(self, rows: list[int]) -> None:
        """Ask for envelopes; those that came in part before from there on."""
        begun = self._names.begun() if rows else {}
        for index in rows:
            row = self._rows[index]
            row.part = bytearray(begun.get(self._names.of_part(row.name), b""))
        first, self._first = rows[: self._first], max(self._first - len(rows), 0)
        self._ask(FIRST_CLASS, first)
        self._ask(CARRIED_CLASS, rows[len(first) :])

    def reconsider(self) -> None:
        """Give up asking for what another meeting has brought."""
        self._names.catch_up()
        here = [index for index in self._open.values() if self._is_here(self._rows[index])]
        for at in range(0, len(here), MAX_ROWS):
            self._talk.send(Leave(Why.UNWANTED, here[at : at + MAX_ROWS]))
        for index in here:
            self._settle(index)
        self.pump()

    def _is_here(self, row: _Row) -> bool:
        if not row.asked or row.came:
            return False
        known = self._names
        return known.is_read(row.name) if row.until is None else not known.is_new(row.name)

    def left(self, message: Leave) -> None:
        """Note that what was asked for is gone, or does not come in this meeting."""
        self.moved = self._talk.now
        for index in message.rows:
            row = self._rows[index] if index < len(self._rows) else None
            if row is None or not row.asked or row.came or self._open.get(row.name) != index:
                continue
            if message.why is Why.OTHER and (tag := tag_at_start(row.part)) is not None:
                self._mail.forget(tag, self._names.hint(row.name))
            if message.why in (Why.LATER, Why.OTHER):
                self._put_off(index)
            else:
                self._settle(index)
        self.pump()

    # --- what comes ---

    def envelopes(self, parcels: Iterable[Parcel]) -> Came:
        """Take envelopes that came whole.

        Raises:
            InvalidError: One is none; then nothing of the message is taken.
        """
        came = Came()
        self.moved = self._talk.now
        for envelope, parcel in [(decode_envelope(parcel.raw), parcel) for parcel in parcels]:
            self._take(self._due(self._names.envelope(envelope)), envelope, parcel, came)
        return came

    def pieces(self, pieces: Iterable[Piece]) -> Came:
        """Take parts of envelopes; the beginning may have come from somebody else."""
        came = Came()
        self.moved = self._talk.now
        for piece in pieces:
            row = self._rows[piece.row] if piece.row < len(self._rows) else None
            if row is None or not row.is_under_way or len(row.part) != piece.offset:
                came.unasked += 1
                continue
            self._mail.claims.progress(self._talk.meeting, self._talk.now)
            row.part += piece.data
            if piece.is_last:
                self._join(piece, bytes(row.part), came)
            elif (tag := tag_at_start(row.part)) is not None:
                self._mail.begin(tag, self._names.hint(row.name), bytes(row.part))
        return came

    def _join(self, piece: Piece, raw: bytes, came: Came) -> None:
        """Take an envelope whose last part has come."""
        parcel = Parcel(raw, piece.hops, piece.life, piece.copies)
        try:
            envelope = decode_envelope(raw)
        except InvalidError:
            envelope = None
        if envelope is None or self._due(self._names.envelope(envelope)) != piece.row:
            if (tag := tag_at_start(raw)) is not None:  # the beginning was of another
                self._mail.forget(tag, self._names.hint(self._rows[piece.row].name))
            self._put_off(piece.row)
        else:
            self._take(piece.row, envelope, parcel, came)

    def _take(self, index: int | None, envelope: Envelope, parcel: Parcel, came: Came) -> None:
        self._talk.counts.envelopes_in += 1
        if index is None:
            came.unasked += 1
            return
        row = self._rows[index]
        row.came = True
        is_fast = self._talk.now - row.since < FAST_S
        self._together = min(self._together + 1, MOST_TOGETHER) if is_fast else 1
        came.rows.append(index)
        changes = self._mail.take(envelope, parcel, self._depositor, self._talk.now)
        came.changes.add(changes)

    def receipts(self, receipts: Iterable[Receipt]) -> Came:
        """Take tokens."""
        came = Came()
        self.moved = self._talk.now
        for receipt in receipts:
            index = self._due(self._names.token(lock_of(receipt.token)))
            if index is None:
                came.unasked += 1
                continue
            self._rows[index].came = True
            came.rows.append(index)
            came.changes.add(self._mail.learn(receipt, self._talk.now))
        return came

    def _due(self, name: bytes) -> int | None:
        """Return the row of what was asked for and has not come; None if there is none."""
        index = self._open.get(name)
        if index is None or not self._rows[index].asked or self._rows[index].came:
            return None
        return index

    # --- what is processed ---

    def stored(self, rows: Iterable[int]) -> None:
        """Note that what came is stored."""
        for index in rows:
            self._settle(index)
        self.pump()

    def _settle(self, index: int) -> None:
        row = self._rows[index]
        if self._open.get(row.name) != index:
            return
        del self._open[row.name]
        row.part = bytearray()
        if row.until is not None:
            self._mail.claims.drop((self._names.hint(row.name), 0), self._talk.meeting)
        self._left[row.page] -= 1
        self._settle_page(row.page)

    def _put_off(self, index: int) -> None:
        """Give something up; its page counts as processed in no meeting before it has come."""
        self._left[self._rows[index].page] += 1
        self._settle(index)

    def _settle_page(self, page: int) -> None:
        low, high = self._pages[page]
        if not self._left[page] and low:
            self.ranges = cursor.add(self.ranges, low, high)

    def leave(self) -> None:
        """Note that the meeting is over: what it asked for may be asked of others."""
        self._mail.claims.leave(self._talk.meeting)

    @property
    def is_waiting(self) -> bool:
        """Whether the peer is to bring something."""
        open_rows = (self._rows[index] for index in self._open.values())
        return self.awaits or any(row.asked and not row.came for row in open_rows)

    @property
    def is_done(self) -> bool:
        """Whether all that was offered is settled."""
        return not (self.awaits or self._open)
