"""How mail is named in one meeting, and what this node knows by such names.

    an envelope   K(mail/tag, tag)[:4] | K(mail/lock, lock)[:3] | K(mail/id, id)[:3] | id[:2]
    a token       K(mail/lock, lock)[:5]

Who does not know an envelope cannot tell one meeting's name of it from another's but by the two
plain bytes: by these a node in several meetings takes it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.carried import MAX_JOURNAL
from gossip.envelope import TAG_BYTES

if TYPE_CHECKING:
    from gossip.envelope import Envelope
    from gossip.mail import Mail
    from gossip.standing import Salt

_TAG: Final = 4
_LOCK: Final = 3
_HEAD: Final = _TAG + _LOCK
_HINT: Final = 2
_FILLER: Final = b"f"
_LOCKED: Final = b"l"
_READ: Final = b"r"
_READ_HEAD: Final = b"h"
_MINE: Final = b"m"
"""Before what is known of a name: one set costs less than five, and most meetings have no mail."""


class MailNames:
    """Names of one meeting.

    Args:
        salt: The meeting's.
        mail: What this node carries.
    """

    def __init__(self, salt: Salt, mail: Mail) -> None:
        self._salt = salt
        self._mail = mail
        self._began: int | None = None
        self._at = 0
        self._clear()

    def _clear(self) -> None:
        self._ids: dict[bytes, bytes] = {}
        self._known: set[bytes] = set()

    def envelope(self, one: Envelope) -> bytes:
        """Return the name of an envelope, 12 bytes."""
        return self.row(one.tag, one.lock, one.id)

    def row(self, tag: bytes, lock: bytes, ident: bytes) -> bytes:
        """As ``envelope``, of its parts."""
        return self._head(tag, lock) + self._salt.mail_id(ident) + ident[:_HINT]

    def _head(self, tag: bytes, lock: bytes) -> bytes:
        return self._salt.mail_tag(tag) + self._salt.mail_lock(lock)[:_LOCK]

    def token(self, lock: bytes) -> bytes:
        """Return the name of a token, 5 bytes."""
        return self._salt.mail_lock(lock)

    def hint(self, name: bytes) -> bytes:
        """Return what an envelope's name shows in every meeting, 2 bytes."""
        return name[-_HINT:]

    def begun(self) -> dict[bytes, bytes]:
        """Return what has come in part, by the keyed tag and the hint of a name."""
        return {
            self._salt.mail_tag(name[:TAG_BYTES]) + name[TAG_BYTES:]: data
            for name, data in self._mail.begun.items()
        }

    def of_part(self, name: bytes) -> bytes:
        """Return by what ``begun`` has the beginning of an envelope."""
        return name[:_TAG] + name[-_HINT:]

    # --- what is known ---

    def catch_up(self) -> None:
        """Take note of what came since; of all that is known the first time.

        In a meeting that lasts, all that is known is gone through anew now and then: what was
        forgotten since does not stay, and what the journal forgot is not missed.
        """
        journal = self._mail.journal
        if self._began is None or journal.end - self._began > MAX_JOURNAL:
            self._learn_all()
            self._began = journal.end
        else:
            for tag, lock, ident in journal.since(self._at):
                self._learn(tag, lock, ident)
        self._at = journal.end

    def _learn_all(self) -> None:
        mail = self._mail
        self._clear()
        for one in mail.carried.values():
            self._learn(one.tag, one.lock, one.id)
        for ident, gone in mail.gone.items():
            self._learn(gone.tag, gone.lock, ident, is_filler=gone.is_filler)
        for read in mail.tokens.values():
            self._learn(read.tag, read.lock, b"")
        self._known |= {_MINE + self._salt.mail_tag(tag) for tag in mail.reads}

    def _learn(self, tag: bytes, lock: bytes, ident: bytes, *, is_filler: bool = False) -> None:
        if not lock:
            self._known.add(_MINE + self._salt.mail_tag(tag))
        elif is_filler:
            self._known |= {_FILLER + self.row(tag, lock, ident), _LOCKED + self.token(lock)}
        elif ident:
            self._ids[self.row(tag, lock, ident)] = ident
            self._known.add(_LOCKED + self.token(lock))
        else:
            self._known |= {_READ + self.token(lock), _READ_HEAD + self._head(tag, lock)}

    def is_new(self, name: bytes, *, only_fills: bool = False) -> bool:
        """Whether an envelope is neither here nor was let go, nor read by anybody.

        One that filled up, and was not kept, is new where there is more to it than that.
        """
        if name in self._ids or _READ_HEAD + name[:_HEAD] in self._known:
            return False
        return not (only_fills and _FILLER + name in self._known)

    def ident(self, name: bytes) -> bytes | None:
        """Return the id of an envelope that is here or was; None of one that is not known."""
        return self._ids.get(name)

    def is_read(self, name: bytes) -> bool:
        """Whether a token is known."""
        return _READ + name in self._known

    def holds(self, name: bytes) -> bool:
        """Whether a token is of an envelope that is here or was."""
        return _LOCKED + name in self._known

    def is_mine(self, name: bytes) -> bool:
        """Whether this node reads by an envelope's tag."""
        return _MINE + name[:_TAG] in self._known
