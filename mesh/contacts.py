"""The persons a home keeps something of: whom its holder follows, mutes and blocks.

Nobody else learns any of it. Muting hides; blocking also ends following, and what a blocked person
writes is neither taken nor passed on (``Policy.blocked``).
"""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ledger.errors import PassalongError
from ledger.views.contacts import Contact, list_contacts, resolve
from mesh.rows import ContactRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.store.base import Known, Marks
    from ledger.views.people import People
    from mesh.node import Node

Mark: TypeAlias = Literal["following", "muted", "blocked", "added"]
_GIVEN: Final[Mapping[Mark, Marks]] = {
    "following": {"following": True},
    "muted": {"muted": True},
    "blocked": {"blocked": True, "following": False, "added": False},
    "added": {"added": True, "following": True},
}
_TAKEN_BACK: Final[Mapping[Mark, Marks]] = {
    "following": {"following": False},
    "muted": {"muted": False},
    "blocked": {"blocked": False},
    "added": {"added": False},
}
_NOT_SO: Final[Mapping[Mark, str]] = {
    "following": "you do not follow {}",
    "muted": "you have not muted {}; see `contacts`",
    "blocked": "you have not blocked {}; see `contacts`",
    "added": "you have not added {}; see `contacts`",
}
_ONESELF: Final[Mapping[Mark, str]] = {
    "following": "that is yourself; your own posts are always in your feed",
    "muted": "that is yourself; name somebody else to mute",
    "blocked": "that is yourself; name somebody else to block",
    "added": "that is your own link; give it to others, and add theirs",
}


class ContactError(PassalongError):
    """A person cannot be followed, muted or blocked, or is not."""


class Contacts:
    """The contacts of an open home.

    Args:
        node: It.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._alone = asyncio.Lock()

    async def rows(self) -> list[ContactRow]:
        """Return them, by name."""
        listed = await self.listed(await self._node.people())
        return [_row(one, one.name) for one in listed]

    async def listed(self, people: People) -> list[Contact]:
        """Return them with their devices, by name."""
        return list_contacts(await self._node.store.known(), people)

    async def hidden(self) -> set[bytes]:
        """Return the persons whose posts are not shown unless one asks for theirs."""
        return {one.person for one in await self._node.store.known() if one.muted or one.blocked}

    async def find(self, text: str, people: People, first: Mark = "following") -> bytes:
        """Return the person that ``text`` means, by name first of those with the mark ``first``.

        Raises:
            PassalongError: Nobody fits, or several do.
        """
        return resolve(text, people, await self.listed(people), attrgetter(first))

    async def give(self, text: str, mark: Mark) -> ContactRow:
        """Mark a person; once more changes nothing.

        Raises:
            ContactError: It is oneself; or to be followed, and blocked.
            PassalongError: Nobody fits ``text``, or several do.
        """
        people = await self._node.people()
        person = await self._other(text, people, mark)
        async with self._alone:
            known = await self._node.store.known()
            is_blocked = any(one.person == person and one.blocked for one in known)
            if mark in ("following", "added") and is_blocked:
                raise ContactError(
                    f"you have blocked {_called(person, people)}; `passalong unblock` first"
                )
            return await self._mark(person, _GIVEN[mark], people)

    async def take_back(self, text: str, mark: Mark) -> ContactRow:
        """Remove a mark from a person.

        Raises:
            ContactError: It is oneself, or he has no such mark.
            PassalongError: Nobody fits ``text``, or several do.
        """
        people = await self._node.people()
        person = await self._other(text, people, mark, mark)
        async with self._alone:
            known = await self._node.store.known()
            if not any(one.person == person and getattr(one, mark) for one in known):
                raise ContactError(_NOT_SO[mark].format(_called(person, people)))
            return await self._mark(person, _TAKEN_BACK[mark], people)

    async def _other(
        self, text: str, people: People, mark: Mark, first: Mark = "following"
    ) -> bytes:
        person = await self.find(text, people, first)
        if person == self._node.me.person:
            raise ContactError(_ONESELF[mark])
        return person

    async def _mark(self, person: bytes, marks: Marks, people: People) -> ContactRow:
        before = await self._node.store.mark(person, **marks)
        return _row(before.marked(marks), people.name(person))


def _called(person: bytes, people: People) -> str:
    return people.name(person) or person.hex()


def _row(one: Known | Contact, name: str | None) -> ContactRow:
    return ContactRow(
        one.person,
        name,
        one.following,
        verified=False,
        muted=one.muted,
        blocked=one.blocked,
        added=one.added,
    )
