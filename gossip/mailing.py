"""Mail in a meeting: what both sides carry is offered, taken and given.

``mail_giving`` is this side's mail, ``mail_taking`` the peer's; here they meet the rest of the
session. Where one of the two sides carries no mail nothing is said of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.control import CARRIES, MailGreeting
from gossip.cursor import Seen, unseen
from gossip.mail_giving import MOST_PIECES, MailGiving
from gossip.mail_names import MailNames
from gossip.mail_taking import Came, MailTaking
from gossip.notes import MailSeen, mail_note
from gossip.postal import Envelopes, Leave, Offers, Pieces, Take, Tokens, Why
from gossip.talk import ProtocolError
from ledger.store.base import Batch

if TYPE_CHECKING:
    from gossip.carried import MailChanges
    from gossip.control import Hello
    from gossip.inbox import Inbox
    from gossip.mail import Mail
    from gossip.postal import Notice, Post
    from gossip.talk import Talk


class Mailing:
    """The part of a session that is about mail.

    Args:
        talk: The session's surroundings.
        mail: What this node carries.
        inbox: Where what comes waits to be stored.

    Attributes:
        giving: What this side offers.
        is_on: Whether both carry mail.
    """

    def __init__(self, talk: Talk, mail: Mail, inbox: Inbox) -> None:
        self._talk = talk
        self._mail = mail
        self._inbox = inbox
        names = MailNames(talk.salt, mail)
        self._taking = MailTaking(talk, mail, names)
        self.giving = MailGiving(talk, mail, names, self._taking.offered)
        self.is_on = False
        self._their_run = b""
        self._unasked = 0
        self._seen = self._usable(talk.setting.mail_seen)
        mail.enter(talk.meeting)

    def _usable(self, noted: MailSeen | None) -> Seen | None:
        """Return what was processed; nothing if more of it may be wanted now."""
        if noted is None or (noted.has_declined and self._mail.is_ample):
            return None
        self._taking.has_declined = noted.has_declined
        return noted.seen

    def greet(self) -> MailGreeting | None:
        """Return what HELLO says to a contact."""
        setting = self._talk.setting
        if setting.peer is None:
            return None
        return MailGreeting(self._mail.run, self.giving.greeted, self._seen)

    def begin(self, hello: Hello) -> None:
        """Begin, once the peer's HELLO is there."""
        self.is_on = bool(hello.features & CARRIES)
        if not self.is_on:
            return
        setting, told = self._talk.setting, hello.mail
        self.keep(self._mail.expire(self._talk.now))
        is_contact = setting.peer is not None and told is not None
        self._taking.moved = self._talk.now
        self._taking.awaits = True
        if told is not None and is_contact:
            self._their_run = told.run
            seen = self._seen
            if seen is not None and seen.run == told.run:
                self._taking.ranges = seen.clipped(told.serial)
            self._taking.awaits = bool(unseen(self._taking.ranges, told.serial))
        self.giving.begin(told.seen if told is not None else None, is_contact=is_contact)

    # --- messages ---

    def steer(self, message: Notice) -> None:
        """Take a message that steers; what is taken is served by ``Serving``.

        Raises:
            ProtocolError: It is not due, or asks for what was not offered.
        """
        if not self.is_on:
            raise ProtocolError("mail that was not agreed upon")
        match message:
            case Offers():
                self._taking.offers(message)
            case Leave(Why.UNWANTED):
                self.giving.cancel(message)
            case Leave():
                self._taking.left(message)
            case Take():
                pass

    def receive(self, message: Post, size: int) -> bool:
        """Take mail in a message of ``size`` bytes; say whether any of it was asked for.

        Raises:
            ProtocolError: Too much of it was never asked for.
            InvalidError: It is none.
        """
        self._inbox.arrive(size)
        came = self._take(message)
        self._unasked += came.unasked
        self._inbox.add(mail=came.changes)
        unwanted = self._talk.setting.policy.limits.unwanted
        if self._unasked > unwanted + MOST_PIECES * self._taking.given_up:
            raise ProtocolError("mail that nobody asked for")
        if came.rows:
            self._inbox.after(lambda: self._taking.stored(came.rows))
        if self._inbox.is_half_full:
            self._inbox.flush()
        return came.is_progress

    def _take(self, message: Post) -> Came:
        match message:
            case Envelopes(parcels):
                return self._taking.envelopes(parcels)
            case Pieces(pieces):
                return self._taking.pieces(pieces)
            case Tokens(receipts):
                return self._taking.receipts(receipts)

    def keep(self, changes: MailChanges) -> None:
        """Store what giving has changed."""
        if changes.puts or changes.drops:
            batch = Batch(mail=changes.puts, mail_drops=changes.drops)
            self._talk.keep(batch, lambda _: None)

    def changed(self) -> None:
        """Look at what came through other meetings."""
        if self.is_on:
            self.giving.changed()
            self._taking.reconsider()

    def tick(self) -> None:
        """Try again what another meeting did not bring."""
        self._taking.pump()

    def finish(self) -> None:
        """Note that the meeting is over."""
        changes = self.giving.kept_back()
        changes.add(self._mail.leave(self._talk.meeting))
        self.keep(changes)

    # --- how far it is ---

    @property
    def next_tick(self) -> float | None:
        """When ``tick`` is due."""
        return self._taking.retry_at if self.is_on else None

    @property
    def is_done(self) -> bool:
        """Whether all that was offered is settled."""
        return not self.is_on or self._taking.is_done

    @property
    def is_waiting(self) -> bool:
        """Whether the peer is to bring something."""
        return self.is_on and self._taking.is_waiting

    @property
    def moved(self) -> float:
        """When he brought anything last."""
        return self._taking.moved

    def notes(self) -> dict[str, bytes]:
        """Return what is to be kept of a contact."""
        peer, ranges = self._talk.setting.peer, self._taking.ranges
        seen = MailSeen(Seen(self._their_run, ranges), self._taking.has_declined)
        if peer is None or not ranges or seen == self._talk.setting.mail_seen:
            return {}
        return {mail_note(peer.device): seen.encode()}
