"""The persons this node keeps something of, and finding a person by what a human types."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from ledger.errors import PassalongError
from ledger.kinds.text import BLANK
from ledger.link import SCHEME, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.store.base import Known
    from ledger.views.people import People

_MIN_DIGITS: Final = 8
_PREFIX: Final = re.compile(f"[0-9a-f]{{{_MIN_DIGITS},64}}")
_BLANKS: Final = re.compile(f"[{BLANK}]+")
_FOLLOWED: Final = attrgetter("following")
_SHOWN_DIGITS: Final = 16
_SHOWN_PERSONS: Final = 4
_SHOWN_CHARACTERS: Final = 40


class UnknownPersonError(PassalongError):
    """Nobody is known by what was given."""


class AmbiguousPersonError(PassalongError):
    """Several persons are known by what was given."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person this node keeps something of.

    Attributes:
        person: Root key, 32 bytes.
        name: What the person calls himself.
        following: Whether this node follows him.
        devices: His devices that are not revoked, ascending.
        muted: Whether his posts are hidden.
        blocked: Whether what he writes is neither wanted nor passed on.
        added: Whether his devices and this one recognise each other when they meet.
    """

    person: bytes
    name: str | None
    following: bool
    devices: tuple[bytes, ...]
    muted: bool = False
    blocked: bool = False
    added: bool = False


def list_contacts(known: Iterable[Known], people: People) -> list[Contact]:
    """Return a row a person in ``known``: by name as a reader compares them, nameless ones last."""
    rows = [
        Contact(
            one.person,
            people.name(one.person),
            one.following,
            tuple(d for d in people.devices(one.person) if not people.weights.is_revoked(d)),
            one.muted,
            one.blocked,
            one.added,
        )
        for one in known
    ]
    return sorted(rows, key=lambda row: (row.name is None, name_key(row.name or ""), row.person))


def name_key(name: str) -> str:
    """Return what two names share that a reader may take for the same.

    Case, compatible forms of a letter, spaces and all that leaves no mark do not count. Letters
    of different scripts that look alike do.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", _BLANKS.sub("", folded))


def resolve(
    text: str,
    people: People,
    contacts: Iterable[Contact],
    first: Callable[[Contact], bool] = _FOLLOWED,
) -> bytes:
    """Return the person that ``text`` means.

    In this order: a ``passalong:`` link; a whole key in hex, of a person even if nothing of him is
    held; 8 or more first digits of a person's or device's key, or the name of a contact that comes
    first; the name of anybody else. A device stands for its person. Who takes the name of somebody
    followed does not get in his way, nor once he is muted or blocked for it.

    Args:
        text: As typed.
        people: Who is who.
        contacts: Persons of whom something is kept.
        first: Says of a contact whether his name comes before those of others.

    Raises:
        InvalidError: A link that is mistyped or wrong.
        UnknownPersonError: Nobody fits.
        AmbiguousPersonError: Several do.
    """
    text = text.strip()
    if text.lower().startswith(SCHEME):
        return Link.parse(text).person
    rows, digits = list(contacts), text.lower()
    if _PREFIX.fullmatch(digits) and len(digits) == 64:
        return _by_key(bytes.fromhex(digits), people, rows)
    found = _by_prefix(digits, people, rows) | _by_name(
        text, ((row.person, row.name) for row in rows if first(row))
    )
    found = found or _by_name(text, ((person, people.name(person)) for person in people))
    if len(found) > 1:
        raise AmbiguousPersonError(_ambiguous(text, found))
    if not found:
        raise UnknownPersonError(
            f"nobody is known as {_quoted(text)}; give a name, a key, {_MIN_DIGITS} or more of "
            "its first digits, or a passalong: link"
        )
    return found.pop()


def _by_key(key: bytes, people: People, contacts: list[Contact]) -> bytes:
    is_person = key in people or any(row.person == key for row in contacts)
    return key if is_person else people.person(key)


def _by_prefix(digits: str, people: People, contacts: list[Contact]) -> set[bytes]:
    if not _PREFIX.fullmatch(digits):
        return set()
    found = {row.person for row in contacts if row.person.hex().startswith(digits)}
    for person in people:
        keys = (person, *people.devices(person))
        if any(key.hex().startswith(digits) for key in keys):
            found.add(person)
    return found


def _by_name(text: str, named: Iterable[tuple[bytes, str | None]]) -> set[bytes]:
    wanted = name_key(text)
    return {person for person, name in named if name is not None and name_key(name) == wanted}


def _ambiguous(text: str, found: Iterable[bytes]) -> str:
    keys = [person.hex()[:_SHOWN_DIGITS] for person in sorted(found)]
    listed = ", ".join(keys[:_SHOWN_PERSONS])
    more = f" and {len(keys) - _SHOWN_PERSONS} more" if len(keys) > _SHOWN_PERSONS else ""
    return f"{_quoted(text)} may be {listed}{more}; give more digits of the key that you mean"


def _quoted(text: str) -> str:
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return ascii(short) if not short.isprintable() else repr(short)
