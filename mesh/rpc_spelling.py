"""How what a ``NodePort`` takes and answers is spelled, whatever it is made of.

A spelling is found by type, so a new row, or a new field of one, needs nothing here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ledger.errors import InvalidError
from mesh.rpc_values import FILE, ONES, One, Told

if TYPE_CHECKING:
    from ledger.codec import Value
    from mesh.rpc_values import Held, Spelling

Hint: TypeAlias = Any
"""A type, as ``typing.get_type_hints`` gives it."""


@dataclass(frozen=True, slots=True)
class OrNone:
    """Spells what may be missing."""

    item: Spelling

    @property
    def name(self) -> str:
        return f"{self.item.name}?"

    def write(self, value: Held) -> Value:
        return None if value is None else self.item.write(value)

    def read(self, value: Value) -> Held:
        return None if value is None else self.item.read(value)


@dataclass(frozen=True, slots=True)
class ListOf:
    """Spells a list, as an array."""

    item: Spelling

    @property
    def name(self) -> str:
        return f"[{self.item.name}]"

    def write(self, value: Sequence[Any]) -> Value:
        return [self.item.write(one) for one in value]

    def read(self, value: Value) -> list[Any]:
        return [self.item.read(one) for one in _array(value)]


@dataclass(frozen=True, slots=True)
class SetOf:
    """Spells a set of texts, as an array in ascending order."""

    item: Spelling

    @property
    def name(self) -> str:
        return f"{{{self.item.name}}}"

    def write(self, value: AbstractSet[Any]) -> Value:
        return [self.item.write(one) for one in sorted(value)]

    def read(self, value: Value) -> frozenset[Any]:
        items = [self.item.read(one) for one in _array(value)]
        if items != sorted(set(items)):
            raise InvalidError("a set that is not in order")
        return frozenset(items)


@dataclass(frozen=True, slots=True)
class Row:
    """Spells a dataclass, as the array of its fields.

    Attributes:
        of: The dataclass.
        parts: How its fields are spelled, by their names, in their order.
    """

    of: type
    parts: dict[str, Spelling]

    @property
    def name(self) -> str:
        held = ", ".join(f"{name}: {part.name}" for name, part in self.parts.items())
        return f"{self.of.__name__}({held})"

    def write(self, value: Held) -> Value:
        return [part.write(getattr(value, name)) for name, part in self.parts.items()]

    def read(self, value: Value) -> Held:
        items = _array(value)
        if len(items) != len(self.parts):
            raise InvalidError(f"{self.of.__name__} has {len(self.parts)} fields")
        return self.of(
            *(part.read(item) for part, item in zip(self.parts.values(), items, strict=True))
        )


def spelling(hint: Hint, names: dict[str, Any]) -> Spelling:
    """Return how values of the type ``hint`` are spelled.

    Args:
        hint: A type, as ``typing.get_type_hints`` gives it.
        names: What the annotations of rows may name besides what their modules do.

    Raises:
        TypeError: Nobody has said how.
    """
    if isinstance(hint, type) and hint in ONES:
        return ONES[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return Row(hint, _parts(hint, names))
    origin: object = get_origin(hint)
    if origin in (Union, UnionType):
        return _union(get_args(hint), names)
    return _generic(hint, names)


def _generic(hint: Hint, names: dict[str, Any]) -> Spelling:
    origin: object = get_origin(hint)
    inner = get_args(hint)
    if origin is Literal:
        return _choice(inner)
    if origin is Callable:
        return ONES[Told]
    if origin in (list, Sequence):
        return ListOf(spelling(inner[0], names))
    if origin in (AbstractSet, frozenset):
        return SetOf(spelling(inner[0], names))
    raise TypeError(f"nobody has said how {hint} is spelled; see mesh.rpc_spelling")


def _parts(row: type, names: dict[str, Any]) -> dict[str, Spelling]:
    hints = get_type_hints(row, {**vars(sys.modules[row.__module__]), **names})
    return {field.name: spelling(hints[field.name], names) for field in fields(row)}


def _union(members: tuple[Any, ...], names: dict[str, Any]) -> Spelling:
    some = [member for member in members if member is not NoneType]
    if len(some) < len(members):
        return OrNone(spelling(Union[tuple(some)], names))  # noqa: UP007  built, not written
    if set(some) == {Path, BinaryIO}:
        return FILE
    raise TypeError(f"nobody has said how one of {members} is spelled; see mesh.rpc_spelling")


def _choice(words: tuple[Any, ...]) -> Spelling:
    def read(value: Value) -> str:
        if value not in words:
            raise InvalidError("a word that is not among those there are")
        return str(value)

    return One("|".join(words), str, read)


def _array(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise InvalidError("no array where one belongs")
    return value
