"""Peers that lie about mail: they offer, take and bring whatever a test lets them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from gossip.control import CARRIES, Control, Hello, MailGreeting
from gossip.envelope import Parcel, Receipt, lock_of
from gossip.mail import Mail
from gossip.mail_names import MailNames
from gossip.postal import Envelopes, Leave, Notice, Offers, Post, Take, Tokens, Why
from gossip.session import Session
from gossip.standing import Salt
from gossip.wire import Bulk, encode_message
from tests.gossip.liars import ROOM, Liar
from tests.gossip.mail_builders import DAY_MIN, Letter, mail_of, make_mail, parcel
from tests.gossip.meetings import BINDING, Node


class MailLiar(Liar):
    """One end of a meeting whose other end, the honest one, carries mail.

    Attributes:
        names: How mail is named in this meeting.
        offered: How many rows were offered so far.
    """

    def __init__(self, node: Node, **how: Any) -> None:  # noqa: ANN401
        super().__init__(node, **how)
        self.setting = replace(self.setting, mail=node.mail)
        self.session = Session(self.setting)
        self.names = MailNames(
            Salt(how.get("binding", BINDING)), mail_of(node) if node.mail else make_mail()
        )
        self.offered = 0

    @property
    def mail(self) -> Mail:
        """What the honest node carries."""
        return mail_of(self.node)

    def begin_with_mail(self, greeting: MailGreeting | None = None, **how: Any) -> "MailLiar":  # noqa: ANN401
        """Say HELLO as one who carries mail."""
        self._take(self.session.start(self.now))
        told = MailGreeting(b"liar", 0, None) if self.setting.peer and not greeting else greeting
        window, budget = how.get("window", ROOM), how.get("budget")
        self.say(Hello((1,), CARRIES, 65_000, window, budget, None, told))
        return self

    def tell(self, *messages: Post | Notice) -> "MailLiar":
        """Say something about mail."""
        self.say(*map(encode_message, messages))
        return self

    @override
    def say(self, *messages: Control | Bulk | bytes) -> "MailLiar":
        super().say(*messages)
        return self

    # --- his usual words ---

    def row(self, one: Letter, life: int = DAY_MIN) -> bytes:
        """Return the row that offers an envelope."""
        return self.names.envelope(one.envelope) + life.to_bytes(2, "big")

    def offer(self, *letters: Letter, **how: Any) -> list[int]:  # noqa: ANN401
        """Offer envelopes, so many at a time; return their rows."""
        rows = [self.row(one) for one in letters]
        for at in range(0, len(rows), 256):
            self.tell(Offers(how.get("last", True), 0, 0, rows[at : at + 256]))
        first, self.offered = self.offered, self.offered + len(rows)
        return list(range(first, self.offered))

    def offer_tokens(self, *receipts: Receipt) -> list[int]:
        """Offer tokens."""
        rows = [self.names.token(lock_of(one.token)) for one in receipts]
        self.tell(Offers(True, 0, 0, receipts=rows))  # noqa: FBT003
        first, self.offered = self.offered, self.offered + len(rows)
        return list(range(first, self.offered))

    def bring(self, *letters: Letter, **how: Any) -> "MailLiar":  # noqa: ANN401
        """Bring envelopes, taken or not."""
        return self.tell(Envelopes([parcel(one, **how) for one in letters]))

    def bring_raw(self, *raws: bytes) -> "MailLiar":
        """Bring any bytes as envelopes."""
        return self.tell(Envelopes([Parcel(raw, 8, DAY_MIN, 0) for raw in raws]))

    def read(self, *receipts: Receipt) -> "MailLiar":
        """Say that mail was read."""
        return self.tell(Tokens(receipts))

    def take(self, *rows: int, rank: int = 4) -> "MailLiar":
        """Take rows, offered or not."""
        return self.tell(Take(rank, rows))

    def leave_rows(self, rows: Sequence[int], why: Why) -> "MailLiar":
        """Say that rows do not go, or are not wanted."""
        return self.tell(Leave(why, rows))

    # --- what it came to ---

    def taken(self) -> list[int]:
        """Return all rows the honest node took, in order."""
        return [row for message in self.all(Take) for row in message.rows]
