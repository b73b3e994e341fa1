"""What this side offers of the mail it carries, and gives when it is taken.

A contact is offered what came since he was here, anybody else the newest; both what comes during
the meeting. What this node itself has read it tells only in meetings that begin later, so that
who brought it does not see that it has arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip import cursor
from gossip.carried import STRANGER, Carried, MailChanges, Read
from gossip.envelope import MAX_ENVELOPE_BYTES, Parcel, Piece, Receipt
from gossip.fair import Place
from gossip.postal import (
    CARRIED_CLASS,
    FIRST_CLASS,
    LIFE_BYTES,
    MAX_OFFERED,
    REST_CLASS,
    TOKEN_CLASS,
    Envelopes,
    Leave,
    Offers,
    Pieces,
    Tokens,
    Why,
)
from gossip.talk import ProtocolError
from gossip.wire import encode_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gossip.cursor import Seen
    from gossip.mail import Mail
    from gossip.mail_names import MailNames
    from gossip.postal import Take
    from gossip.talk import Talk

PAGE_ROWS: Final = 16
"""Offered in one message: it is processed as a whole."""
MAX_STRANGE: Final = 1_024
"""Offered to a stranger at first."""
URGENT_BYTES: Final = 2_048
"""Of tokens in class 0; the others wait with the rest."""
TOKEN_COST_BYTES: Final = 38
PIECE_BYTES: Final = 1_024
"""Longer envelopes travel in pieces: where a slow link is cut not more is lost."""
MOST_PIECES: Final = -(-MAX_ENVELOPE_BYTES // PIECE_BYTES)


class Errand(NamedTuple):
    """Something of the mail that the peer takes.

    Attributes:
        rank: Its class.
        row: Its index.
        is_token: Whether it is a token.
        offset: At which byte of the envelope to begin.
    """

    rank: int
    row: int
    is_token: bool
    offset: int = 0

    @property
    def place(self) -> Place:
        """Where it waits."""
        return Place(self.rank, older=True, author=b"mail")


class MailGiving:
    """What is offered to the peer.

    Args:
        talk: The session's surroundings.
        mail: What this node carries.
        names: How it is named in this meeting.
        offered: What the peer has, by these names.

    Attributes:
        greeted: The serial up to which ``begin`` offers; what came later is offered as it comes.
        full_since: When the peer last took anything since there was more than fits one meeting;
            None while all fits.
    """

    def __init__(self, talk: Talk, mail: Mail, names: MailNames, offered: set[bytes]) -> None:
        self._talk = talk
        self._mail = mail
        self._names = names
        self._offered = offered
        self.greeted = self._told = mail.serial
        self._is_contact = False
        self._rows: list[tuple[bytes, bool]] = []
        self._taken: dict[int, int] = {}
        self._cancelled: set[int] = set()
        self._urgent = 0
        self._on_the_way: dict[int, int] = {}
        self.full_since: float | None = None

    # --- what is offered ---

    def begin(self, seen: Seen | None, *, is_contact: bool) -> None:
        """Offer what the peer has not processed.

        Args:
            seen: What he processed, if he is a contact and says so.
            is_contact: Whether he is told serials.
        """
        self._is_contact = is_contact
        ranges = seen.ranges if seen is not None and seen.run == self._mail.run else ()
        gaps = cursor.unseen(ranges, self.greeted) if is_contact else [(1, self.greeted)]
        most = MAX_OFFERED if is_contact else MAX_STRANGE
        for number, (low, high) in enumerate(gaps, 1):
            rows = self._offerable(low, high, most - len(self._rows))
            self._offer(rows, low, high, last=number == len(gaps))
        self.changed()

    def _offerable(self, low: int, high: int, room: int) -> list[Carried | Read]:
        rows = [one for one in self._mail.came(low, high) if not self._is_withheld(one)]
        alive = [one for one in rows if self._mail.life(one.until, self._talk.now) > 0]
        return alive[: max(room, 0) + self._is_contact]  # one more says that there was more

    def _is_withheld(self, one: Carried | Read) -> bool:
        """Whether it does not show here: what is read here meanwhile, and what was read before."""
        if isinstance(one, Read):
            return one.is_own and one.serial > self.greeted
        read_at = self._mail.read_at(one)
        return read_at is not None and read_at <= self.greeted

    def _offer(self, rows: list[Carried | Read], low: int, high: int, *, last: bool) -> None:
        """Offer rows, newest first, so many at a time; each message covers down to its last."""
        pages = [rows[at : at + PAGE_ROWS] for at in range(0, len(rows), PAGE_ROWS)] or [[]]
        for number, page in enumerate(pages, 1):
            is_end = number == len(pages)
            fits = page[: MAX_OFFERED - len(self._rows)]
            if len(fits) < len(page):  # what is not offered is not covered
                self.full_since = self._talk.now
                if fits or last:
                    self._page(fits, fits[-1].serial if fits else 0, high if fits else 0, last=True)
                return
            reached = low if is_end else page[-1].serial
            self._page(page, reached, high, last=last and is_end)
            high = reached - 1

    def _page(self, rows: list[Carried | Read], low: int, high: int, *, last: bool) -> None:
        """Send rows that the peer has not offered himself."""
        lists: tuple[list[bytes], ...] = ([], [], [])
        ordered: tuple[list[tuple[bytes, bool]], ...] = ([], [], [])
        for one in rows:
            if isinstance(one, Carried):
                kind, name = int(one.is_single), self._names.row(one.tag, one.lock, one.id)
                life = self._mail.life(one.until, self._talk.now)
                said, what = name + life.to_bytes(LIFE_BYTES, "big"), (one.id, False)
            else:
                kind, name = 2, self._names.token(one.lock)
                said, what = name, (one.lock, True)
            if name not in self._offered:
                lists[kind].append(said)
                ordered[kind].append(what)
        self._rows += [what for some in ordered for what in some]
        if not self._is_contact:
            low = high = 0
        if any(lists) or last or low:
            self._talk.send(Offers(last, low, high, *lists))

    def changed(self) -> None:
        """Offer what came meanwhile; what is withheld is covered by no message."""
        low, end = self._told + 1, self._mail.serial
        self._told = end
        came = self._mail.came(low, end) if low <= end else []
        if came and len(self._rows) >= MAX_OFFERED and self.full_since is None:
            self.full_since = self._talk.now
        withheld = sorted(
            one.serial for one in came if isinstance(one, Read) and self._is_withheld(one)
        )
        for stop in [*withheld, end + 1]:
            if low < stop:
                rows = self._offerable(low, stop - 1, MAX_OFFERED - len(self._rows))
                self._offer(rows, low, stop - 1, last=False)
            low = stop + 1

    # --- what is taken ---

    def take(self, message: Take) -> list[Errand]:
        """Return what is to be done for what the peer takes.

        Raises:
            ProtocolError: Rows that were not offered, or not in such a class, or taken again and
                again.
        """
        if self.full_since is not None:
            self.full_since = self._talk.now
        return [self._errand(message, row) for row in message.rows]

    def _errand(self, message: Take, row: int) -> Errand:
        if row >= len(self._rows):
            raise ProtocolError("mail that was not offered")
        is_token = self._rows[row][1]
        if is_token is not (message.rank in (TOKEN_CLASS, REST_CLASS)):
            raise ProtocolError("mail in a class where there is none")
        self._taken[row] = self._taken.get(row, 0) + 1
        if self._taken[row] > 2:
            raise ProtocolError("the same mail taken again and again")
        self._cancelled.discard(row)
        return Errand(self._rank(message.rank), row, is_token, message.offsets.get(row, 0))

    def _rank(self, asked: int) -> int:
        """Tokens go ahead of everything for a short while only."""
        if asked in (FIRST_CLASS, CARRIED_CLASS):
            return asked
        self._urgent += TOKEN_COST_BYTES if asked == TOKEN_CLASS else 0
        return asked if self._urgent <= URGENT_BYTES else REST_CLASS

    def cancel(self, message: Leave) -> None:
        """Note what the peer wants no more."""
        self._cancelled.update(row for row in message.rows if row < len(self._rows))

    def is_cancelled(self, errand: Errand) -> bool:
        """Whether it is not to be done any more."""
        return errand.row in self._cancelled

    def ident(self, errand: Errand) -> bytes:
        """Return which envelope, or which token's lock, it is about."""
        return self._rows[errand.row][0]

    # --- what is given ---

    def token_frame(self, errands: list[Errand]) -> bytes | None:
        """Return the message that tells what was read; None if there is nothing to tell."""
        mail, told, gone = self._mail, list[Receipt](), list[Errand]()
        for errand in errands:
            read = mail.tokens.get(self.ident(errand))
            life = 0 if read is None else mail.life(read.until, self._talk.now)
            if read is None or life <= 0:
                gone.append(errand)
            else:
                told.append(Receipt(read.tag, read.token, life))
        self.gone(gone)
        return encode_message(Tokens(told)) if told else None

    def frames(self, errand: Errand, raw: bytes) -> list[bytes]:
        """Return the messages that bring an envelope; none if it is gone."""
        beside = self._mail.beside(self.ident(errand), self._talk.now) if raw else None
        if beside is None:
            self.gone([errand])
            return []
        if errand.offset >= len(raw):
            self._talk.send(Leave(Why.OTHER, [errand.row]))
            return []
        if not errand.offset and len(raw) <= PIECE_BYTES:
            return [encode_message(Envelopes([Parcel(raw, *beside)]))]
        return list(self._cut(errand, Parcel(raw, *beside)))

    def _cut(self, errand: Errand, parcel: Parcel) -> Iterator[bytes]:
        """Yield the messages that bring an envelope in pieces."""
        raw, *beside = parcel
        for at in range(errand.offset, len(raw), PIECE_BYTES):
            data = raw[at : at + PIECE_BYTES]
            yield encode_message(Pieces([Piece(errand.row, at, len(raw), data, *beside)]))

    def given(self, errand: Errand) -> MailChanges:
        """Note that an envelope is on its way to the peer; return what is to be stored of that."""
        ident, peer = self.ident(errand), self._talk.setting.peer
        before = self._copies(ident)
        changes = self._mail.given(ident)
        self._on_the_way[errand.row] = before - self._copies(ident)
        self._mail.met(ident, STRANGER if peer is None else peer.device)
        return changes

    def _copies(self, ident: bytes) -> int:
        one = self._mail.carried.get(ident)
        return 0 if one is None else one.copies

    def arrived(self, errand: Errand) -> None:
        """Note that the link has taken all of an envelope."""
        self._on_the_way.pop(errand.row, None)

    def kept_back(self) -> MailChanges:
        """Take back the copies of what the link did not take; return what is to be stored."""
        changes = MailChanges()
        for row, copies in self._on_the_way.items():
            if copies:
                changes.add(self._mail.kept_back(self._rows[row][0], copies))
        self._on_the_way = {}
        return changes

    def gone(self, errands: list[Errand]) -> None:
        """Say that something taken is not here any more."""
        if errands:
            self._talk.send(Leave(Why.GONE, [errand.row for errand in errands]))
