"""What a node notes of a contact between meetings, and when that still counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.cursor import MAX_SEEN_BYTES, Seen, decode_seen
from ledger.codec import decode, encode
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
