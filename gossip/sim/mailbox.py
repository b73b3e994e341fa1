"""A node's mail: what it carries, what it sends, and what is read the moment it comes.

A sealed letter is as good as any bytes to those who carry it, so these say nothing. Their tags and
tokens are what real ones are: the reader knows the tag beforehand, and only he has the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.envelope import MAX_LIFE_MIN, TAG_BYTES, TOKEN_BYTES, decode_envelope, encode_envelope
from gossip.mail import Mail
from gossip.sim.seeds import drawn
from ledger.store.base import MailWhat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.carried import MailChanges
    from gossip.envelope import Envelope
    from gossip.mail_room import MailLimits
    from ledger.store.base import MailRow

HOPS: Final = (7, 8, 9, 10)
"""A letter begins with one of these, by chance."""


class Sealed(NamedTuple):
    """A letter as its writer and its reader know it."""

    envelope: Envelope
    token: bytes
    hops: int

    @classmethod
    def of(cls, seed: int, number: int, size: int) -> Sealed:
        """Return letter ``number`` of a world, with ``size`` bytes of ciphertext."""
        tag = drawn(seed, f"tag {number}", TAG_BYTES)
        token = drawn(seed, f"token {number}", TOKEN_BYTES)
        said = (drawn(seed, f"letter {number}", 64) * (size // 64 + 1))[:size]
        hops = HOPS[drawn(seed, f"hops {number}", 1)[0] % len(HOPS)]
        return cls(decode_envelope(encode_envelope(tag, token, said)), token, hops)


class Mailbox:
    """What a node has to do with mail.

    Args:
        own: Its device.
        limits: How much it carries for others.
        keep: Stores what changed.

    Attributes:
        mail: What it carries.
    """

    def __init__(self, own: bytes, limits: MailLimits, keep: Callable[[MailChanges], None]) -> None:
        self.mail = Mail(own, bytes(4), limits)
        self._keep = keep
        self._letters: dict[bytes, Sealed] = {}

    def restart(self, run: bytes, rows: Sequence[MailRow], sizes: dict[bytes, int]) -> None:
        """Begin with what is stored.

        Args:
            run: Names what comes from now on, 4 bytes.
            rows: As ``Store.mail`` gives them.
            sizes: Bytes of each envelope carried.
        """
        self.mail = Mail(self.mail.own, run, self.mail.limits)
        self.mail.reads |= {sealed.envelope.tag for sealed in self._letters.values()}
        self.mail.load(rows, sizes)

    def expect(self, sealed: Sealed) -> None:
        """Know the tag of a letter that will be for this node, and what opens its lock."""
        self._letters[sealed.envelope.id] = sealed
        self.mail.reads.add(sealed.envelope.tag)

    def send(self, sealed: Sealed, now: float) -> None:
        """Begin to carry a letter of one's own."""
        self._keep(self.mail.deposit(sealed.envelope, sealed.hops, MAX_LIFE_MIN, now))

    def read(self, ident: bytes, now: float) -> None:
        """Read a letter that came, so that others need not carry it any more."""
        sealed = self._letters[ident]
        self._keep(self.mail.release(sealed.envelope.tag, sealed.token, now))


def carried(rows: Sequence[MailRow]) -> list[bytes]:
    """Return the ids of the envelopes that are carried."""
    return [row.ident for row in rows if row.what is MailWhat.CARRIED]
