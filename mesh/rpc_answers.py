"""Answers of any length, in frames of a bounded one.

The items of the lists of an answer go before it, a page at a time. A list within an item does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ledger.codec import decode, encode
from ledger.errors import InvalidError
from mesh.rpc_frames import Answer, Items
from mesh.rpc_spelling import ListOf, Row
from mesh.rpc_values import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesh.rpc_values import Held, Spelling

PAGE_BYTES: Final = 1 << 16
"""Items in one frame, unless one alone is longer."""
_HEAD_BYTES: Final = 5


def frames_of(answer: Spelling, value: Held) -> Iterator[Items | Answer]:
    """Yield the frames of an answer, each computed when it is asked for.

    Args:
        answer: How it is spelled.
        value: It.

    Raises:
        InvalidError: An item is too long for a frame.
    """
    lists = _lists_of(answer)
    for place, (name, part) in lists.items():
        for page in _pages(part.item, getattr(value, name) if name else value):
            yield Items(place, page)
    if "" in [name for name, _ in lists.values()]:
        bare: Any = []
    else:
        bare = replace(value, **{name: [] for name, _ in lists.values()}) if lists else value
    yield Answer(encode(answer.write(bare)))


def _pages(item: Spelling, values: Sequence[Any]) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    size = 0
    for value in values:
        raw = encode(item.write(value))
        if page and size + len(raw) > PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append(raw)
        size += len(raw) + _HEAD_BYTES
    if page:
        yield page


def _lists_of(answer: Spelling) -> dict[int, tuple[str, ListOf]]:
    """Return the lists of an answer, by place: their fields, "" if it is one itself."""
    if isinstance(answer, ListOf):
        return {0: ("", answer)}
    if not isinstance(answer, Row):
        return {}
    parts = enumerate(answer.parts.items())
    return {place: (name, part) for place, (name, part) in parts if isinstance(part, ListOf)}


class Gathered:
    """An answer whose frames come one after the other.

    Args:
        answer: How it is spelled.
    """

    def __init__(self, answer: Spelling) -> None:
        self._answer = answer
        self._lists = _lists_of(answer)
        self._items: dict[int, list[Any]] = {place: [] for place in self._lists}

    def add(self, page: Items) -> None:
        """Take items.

        Raises:
            InvalidError: They belong nowhere.
        """
        if page.place not in self._lists:
            raise InvalidError("items of a list that is not there")
        item = self._lists[page.place][1].item
        self._items[page.place] += [read_item(item, raw) for raw in page.items]

    def end(self, last: Answer) -> Held:
        """Return the whole answer.

        Raises:
            InvalidError: It is none.
        """
        if last.value is None:
            raise InvalidError("no answer where one belongs")
        bare = read_item(self._answer, last.value)
        if isinstance(self._answer, ListOf):
            return self._items[0]
        found = {name: self._items[place] for place, (name, _) in self._lists.items()}
        return replace(bare, **found) if found else bare


def read_item(item: Spelling, raw: bytes) -> Held:
    """Return what was encoded by itself.

    Raises:
        InvalidError: It is not spelled like that.
    """
    return item.read(decode(raw, MAX_VALUE_BYTES))
