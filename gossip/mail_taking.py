"""What a peer offers of the mail it carries, and which of it is taken.

A row tells a carrier nothing but whether it knows the envelope already. Only a few envelopes are
asked for at a time, for another meeting may bring the rest sooner; ``mail_choice`` says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gossip import cursor
from gossip.carried import STRANGER, MailChanges
from gossip.envelope import (
    MAX_LIFE_MIN,
    Parcel,
    decode_envelope,
    lock_of,
    tag_at_start,
)
from gossip.mail_choice import ENDING_BYTES, Choice, Row
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


@dataclass(slots=True)
class Came:
    """What a message brought.

    Attributes:
        changes: What is to be stored of it.
        rows: The rows by which it was offered.
        unasked: How much of it nobody asked for.
        is_progress: Whether any of it was asked for.
    """

    changes: MailChanges = field(default_factory=MailChanges)
    rows: list[int] = field(default_factory=list)
    unasked: int = 0
    is_progress: bool = False


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
        has_declined: Whether something was not taken for want of room.
        given_up: How many rows that were asked for are not wanted any more: they may still come.
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
        self.has_declined = False
        self.given_up = 0
        self._rows: list[Row] = []
        self._pages: list[tuple[int, int]] = []
        self._left: list[int] = []
        self._open: dict[bytes, int] = {}
        self._under_way: dict[int, Row] = {}
        self._tokens: dict[int, Row] = {}
        crowd = mail.crowd
        self._choice = Choice(
            talk.setting.secret or b"", lambda row: crowd.count(names.hint(row.name))
        )

    # --- what is offered ---

    def offers(self, message: Offers) -> None:
        """Look at what is offered, and take of it.

        Raises:
            ProtocolError: More than a meeting has.
        """
        if len(self._rows) + message.count > MAX_OFFERED:
            raise ProtocolError("more mail than is listened to in one meeting")
        if message.count or self.awaits:
            self.moved = self._talk.now
        self.awaits &= not message.last
        if not message.count:
            self._cover(message.low, message.high)
            self.pump()
            return
        self._pages.append((message.low, message.high))
        self._left.append(0)
        self._names.catch_up()
        for rows, is_single in ((message.envelopes, False), (message.singles, True)):
            for row in rows:
                self._look(row, is_single=is_single)
        self._take_tokens(message.receipts)
        if message.envelopes or message.singles:
            self._choice.offered()
        self._settle_page(len(self._pages) - 1)
        self.pump()

    def _look(self, said: bytes, *, is_single: bool) -> None:
        """See whether an envelope is one's own, or one to carry."""
        name, minutes = said[:NAME_BYTES], int.from_bytes(said[NAME_BYTES:], "big")
        until = self._mail.elapsed(self._talk.now) + 60 * min(minutes, MAX_LIFE_MIN)
        row = self._add(name, until)
        row.is_single = is_single
        self._mail.crowd.add(self._names.hint(name), self._depositor)
        if (ident := self._names.ident(name)) is not None:
            self._mail.met(ident, self._depositor)
        if name in self._open:
            return
        if not self._is_new(row):
            self.has_declined |= self._is_filler(row)
            return
        row.is_mine = self._names.is_mine(name)
        if row.is_mine and not self._mail.may_read:
            self.has_declined = True
            return
        may_carry = not is_single and minutes > 0
        is_wanted = may_carry and self._mail.wants(until, self._depositor)
        self.has_declined |= may_carry and not is_wanted
        if is_wanted or row.is_mine:
            self._expect(row)
        self._choice.add(row, is_wanted=is_wanted)

    def _is_new(self, row: Row) -> bool:
        only_fills = row.is_single or not self._mail.is_ample
        return self._names.is_new(row.name, only_fills=only_fills)

    def _is_filler(self, row: Row) -> bool:
        """Whether it is to be carried, filled up once, and is not taken before there is room."""
        return not (row.is_single or self._is_new(row)) and self._names.is_new(row.name)

    def _take_tokens(self, names: Iterable[bytes]) -> None:
        urgent: list[Row] = []
        others: list[Row] = []
        for name in names:
            row = self._add(name, None)
            if not self._names.is_read(name) and name not in self._open:
                self._expect(row)
                (urgent if self._names.holds(name) else others).append(row)
        self._ask(TOKEN_CLASS, urgent)
        self._ask(REST_CLASS, others)

    def _add(self, name: bytes, until: int | None) -> Row:
        row = Row(len(self._rows), len(self._pages) - 1, name, until)
        self._rows.append(row)
        self.offered.add(name)
        return row

    def _expect(self, row: Row) -> None:
        self._open[row.name] = row.index
        self._left[row.page] += 1

    def _is_open(self, row: Row) -> bool:
        return self._open.get(row.name) == row.index

    # --- what is asked for ---

    def _ask(self, rank: int, rows: list[Row]) -> None:
        for row in rows:
            row.since = self._talk.now
            asked = self._under_way if row.is_envelope else self._tokens
            asked[row.index] = row
        for at in range(0, len(rows), MAX_ROWS):
            some = rows[at : at + MAX_ROWS]
            offsets = {row.index: len(row.part) for row in some if row.part}
            self._talk.send(Take(rank, [row.index for row in some], offsets))
            self.moved = self._talk.now

    def pump(self) -> None:
        """Ask for what comes next, as long as it is still wanted."""
        self.retry_at = None
        under_way = sum(not row.is_ending for row in self._under_way.values())
        room = self._choice.together - under_way
        if room <= 0:
            return
        self._names.catch_up()
        now: dict[bool, list[Row]] = {True: [], False: []}
        for _ in range(room):
            found = self._choice.next(self._may_ask)
            if found is None:
                break
            row, is_drawn = found
            now[is_drawn].append(row)
        self._begin(FIRST_CLASS, now[True])
        self._begin(CARRIED_CLASS, now[False])

    def _may_ask(self, row: Row, *, is_drawn: bool) -> bool:
        """Say whether to ask for an envelope now; settle it if it is not wanted any more."""
        is_new = self._is_new(row)
        is_taken = row.name in self._open and not self._is_open(row)
        wanted = is_drawn or row.is_mine or self._mail.wants(row.until or 0, self._depositor)
        if not is_new or is_taken or not wanted:
            self.has_declined |= not wanted or self._is_filler(row)
            self._choice.drop(row)
            self._settle(row)
            if not is_taken:
                self._mail.claims.drop(self._claim(row), self._talk.meeting)
            return False
        retry = self._mail.claims.take(self._claim(row), self._talk.meeting, self._talk.now)
        if retry is None:
            if not self._is_open(row):  # it only fills up
                self._expect(row)
            return True
        self.retry_at = min(retry, self.retry_at or retry)
        return False

    def _claim(self, row: Row) -> tuple[bytes, int]:
        """Return by what meetings see that they offer the same."""
        return self._names.hint(row.name), 0

    def _begin(self, rank: int, rows: list[Row]) -> None:
        """Ask for envelopes; those that came in part before from there on."""
        begun = self._names.begun() if rows else {}
        for row in rows:
            row.part = bytearray(begun.get(self._names.of_part(row.name), b""))
        self._ask(rank, rows)

    def reconsider(self) -> None:
        """Look again at what is asked for: another meeting may have brought it."""
        self._names.catch_up()
        asked = [*self._under_way.values(), *self._tokens.values()]
        here = [row for row in asked if self._is_here(row)]
        for at in range(0, len(here), MAX_ROWS):
            rows = [row.index for row in here[at : at + MAX_ROWS]]
            self._talk.send(Leave(Why.UNWANTED, rows))
        for row in here:
            self._settle(row)
        self.given_up += len(here)
        self.pump()

    def _is_here(self, row: Row) -> bool:
        return not self._is_new(row) if row.is_envelope else self._names.is_read(row.name)

    def left(self, message: Leave) -> None:
        """Note that what was asked for is gone, or does not come in this meeting."""
        rows = [row for index in message.rows if (row := self._asked(index)) is not None]
        for row in rows:
            self.moved = self._talk.now
            if message.why is Why.OTHER:
                self._start_again(row)
            elif message.why is Why.LATER:
                self._put_off(row)
            else:
                self._settle(row)
        if rows:
            self.pump()

    def _asked(self, index: int) -> Row | None:
        """Return a row that was asked for and has not come; None if it is none."""
        return self._under_way.get(index) or self._tokens.get(index)

    def _start_again(self, row: Row) -> None:
        """Ask once more, from the start: the beginning that was here is of another."""
        if (tag := tag_at_start(row.part)) is not None:
            self._mail.forget(tag, self._names.hint(row.name))
        if row.is_second or not row.part:
            self._put_off(row)
            return
        row.is_second, row.is_ending, row.part = True, False, bytearray()
        self._ask(CARRIED_CLASS, [row])

    # --- what comes ---

    def envelopes(self, parcels: Iterable[Parcel]) -> Came:
        """Take envelopes that came whole.

        Raises:
            InvalidError: One is none; then nothing of the message is taken.
        """
        came = Came()
        for envelope, parcel in [(decode_envelope(parcel.raw), parcel) for parcel in parcels]:
            self._take(self._due(self._names.envelope(envelope)), envelope, parcel, came)
        return came

    def pieces(self, pieces: Iterable[Piece]) -> Came:
        """Take parts of envelopes; the beginning may have come from somebody else."""
        came = Came()
        for piece in pieces:
            row = self._under_way.get(piece.row)
            if row is None or len(row.part) != piece.offset:
                came.unasked += 1
                continue
            self._move(came)
            self._mail.claims.progress(self._talk.meeting, self._talk.now)
            row.part += piece.data
            if piece.is_last:
                self._join(row, piece, came)
            else:
                self._hold_part(row, piece)
        return came

    def _hold_part(self, row: Row, piece: Piece) -> None:
        if (tag := tag_at_start(row.part)) is not None:
            self._mail.begin(tag, self._names.hint(row.name), bytes(row.part))
        if not row.is_ending and piece.size - len(row.part) <= ENDING_BYTES:
            row.is_ending = True
            self.pump()

    def _join(self, row: Row, piece: Piece, came: Came) -> None:
        """Take an envelope whose last part has come."""
        raw = bytes(row.part)
        try:
            envelope = decode_envelope(raw)
        except InvalidError:
            envelope = None
        if envelope is None or self._due(self._names.envelope(envelope)) is not row:
            self._start_again(row)
        else:
            self._take(row, envelope, Parcel(raw, piece.hops, piece.life, piece.copies), came)

    def _take(self, row: Row | None, envelope: Envelope, parcel: Parcel, came: Came) -> None:
        self._talk.counts.envelopes_in += 1
        if row is None:
            came.unasked += 1
            return
        del self._under_way[row.index]
        self._move(came)
        self._choice.came(row, self._talk.now)
        came.rows.append(row.index)
        mail, now = self._mail, self._talk.now
        if row.is_single:
            changes = mail.take_single(envelope, parcel, now)
        else:
            changes = mail.take(envelope, parcel, self._depositor, now)
        is_full = envelope.tag in mail.reads and not mail.may_read
        self.has_declined |= is_full and not changes.puts
        came.changes.add(changes)

    def receipts(self, receipts: Iterable[Receipt]) -> Came:
        """Take tokens."""
        came = Came()
        for receipt in receipts:
            row = self._due(self._names.token(lock_of(receipt.token)))
            if row is None:
                came.unasked += 1
                continue
            del self._tokens[row.index]
            self._move(came)
            came.rows.append(row.index)
            came.changes.add(self._mail.learn(receipt, self._talk.now))
        return came

    def _move(self, came: Came) -> None:
        came.is_progress = True
        self.moved = self._talk.now

    def _due(self, name: bytes) -> Row | None:
        """Return the row of what was asked for and has not come; None if there is none."""
        index = self._open.get(name)
        return None if index is None else self._asked(index)

    # --- what is processed ---

    def stored(self, rows: Iterable[int]) -> None:
        """Note that what came is stored."""
        for index in rows:
            self._settle(self._rows[index])
        self.pump()

    def _settle(self, row: Row) -> None:
        if not self._is_open(row):
            return
        del self._open[row.name]
        self._under_way.pop(row.index, None)
        self._tokens.pop(row.index, None)
        row.part = bytearray()
        if row.is_envelope:
            self._mail.claims.drop(self._claim(row), self._talk.meeting)
        self._left[row.page] -= 1
        self._settle_page(row.page)

    def _put_off(self, row: Row) -> None:
        """Give something up; its page counts as processed in no meeting before it has come."""
        self._left[row.page] += 1
        self._settle(row)

    def _settle_page(self, page: int) -> None:
        if not self._left[page]:
            self._cover(*self._pages[page])

    def _cover(self, low: int, high: int) -> None:
        if low:
            self.ranges = cursor.add(self.ranges, low, high)

    @property
    def is_waiting(self) -> bool:
        """Whether the peer is to bring something."""
        return self.awaits or bool(self._under_way or self._tokens)

    @property
    def is_done(self) -> bool:
        """Whether all that was offered is settled."""
        return not (self.awaits or self._open)
