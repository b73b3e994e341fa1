"""What a node notes of a contact between meetings, and when that still counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.control import MAIL_RUN_BYTES
from gossip.cursor import MAX_SEEN_BYTES, Seen, decode_seen
from gossip.frontier import decode_entry
from gossip.number import MAX_MESSAGE_BYTES
from ledger.codec import decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.frontier import FrontierEntry
    from ledger.store.base import LogKey

COUNT: Final = "bundles"
"""Name of the note that says how many sealed bundles this device exported."""
_COUNT_BYTES: Final = 9
MAX_GROUPS_BYTES: Final = 1 << 16


def seen_note(device: bytes) -> str:
    """Return the name of the note that says what was processed of a device's store."""
    return f"seen/{device.hex()}"


def told_note(device: bytes) -> str:
    """Return the name of the note that says what a device processed of this store."""
    return f"told/{device.hex()}"


def groups_note(device: bytes) -> str:
    """Return the name of the note that says which closed groups a device belongs to."""
    return f"groups/{device.hex()}"


def mail_note(device: bytes) -> str:
    """Return the name of the note that says what was processed of a device's mail."""
    return f"mail/{device.hex()}"


class MailSeen(NamedTuple):
    """What was processed of a contact's mail.

    Attributes:
        seen: Its serials.
        has_declined: Whether some of it was not taken for want of room.
    """

    seen: Seen
    has_declined: bool

    def encode(self) -> bytes:
        """Return its bytes."""
        return encode((self.seen.fields(), int(self.has_declined)))


def recall_mail(note: bytes | None) -> MailSeen | None:
    """Return what is kept under ``mail_note``; None if that is nothing, or damaged."""
    try:
        match None if note is None else decode(note, MAX_SEEN_BYTES + 8):
            case [list(seen), 0 | 1 as declined]:
                return MailSeen(decode_seen(seen, MAIL_RUN_BYTES), bool(declined))
            case _:
                return None
    except InvalidError:
        return None


def bundles_note(device: bytes) -> str:
    """Return the name of the note that says what a device's sealed bundles brought."""
    return f"bundles/{device.hex()}"


def frontier_note(device: bytes) -> str:
    """Return the name of the note that says what a device holds, as it said in a bundle."""
    return f"frontier/{device.hex()}"


def remember_frontier(frontier: Iterable[FrontierEntry]) -> bytes:
    """Return the note that keeps frontier entries."""
    return encode([entry.encode() for entry in frontier])


def recall_frontier(note: bytes | None) -> dict[LogKey, FrontierEntry]:
    """Return what ``remember_frontier`` kept, by log; nothing if that is damaged."""
    try:
        found = decode(note or b"\x80", MAX_MESSAGE_BYTES)
        raws = found if isinstance(found, list) else []
        entries = [decode_entry(raw) for raw in raws if isinstance(raw, bytes)]
    except InvalidError:
        return {}
    return {(entry.author, entry.log): entry for entry in entries}


def recall_told(note: bytes | None) -> Seen | None:
    """Return what is kept under ``told_note``; None if that is nothing, or damaged."""
    try:
        return None if note is None else decode_seen(note)
    except InvalidError:
        return None


def remember_count(count: int) -> bytes:
    """Return the note ``COUNT`` names, for ``recall_count``."""
    return encode(count)


def recall_count(note: bytes | None) -> int:
    """Return how many sealed bundles were exported; ``COUNT`` names the note."""
    try:
        found = decode(note or b"\x00", _COUNT_BYTES)
    except InvalidError:
        return 0
    return found if isinstance(found, int) and found >= 0 else 0


def remember_groups(groups: Iterable[bytes]) -> bytes:
    """Return the note that keeps the ids of closed groups."""
    return encode(sorted(groups))


def recall_groups(note: bytes | None) -> frozenset[bytes]:
    """Return what ``remember_groups`` kept; nothing if that is damaged."""
    try:
        found = decode(note or b"\x80", MAX_GROUPS_BYTES)
    except InvalidError:
        return frozenset()
    groups = found if isinstance(found, list) else []
    return frozenset(group for group in groups if isinstance(group, bytes))


def remember(seen: Seen, wants: bytes) -> bytes:
    """Return the note that keeps ``seen``, which is worth something while ``wants`` is the same.

    What was declined counts as processed; once more is wanted, it no longer does.
    """
    return encode((wants, *seen.fields()))


def recall(note: bytes | None, wants: bytes) -> Seen | None:
    """Return what ``remember`` kept; None if that is worth nothing (any more)."""
    try:
        match None if note is None else decode(note, MAX_SEEN_BYTES):
            case [bytes(was), *fields] if was == wants:
                return decode_seen(fields)
            case _:
                return None
    except InvalidError:
        return None
