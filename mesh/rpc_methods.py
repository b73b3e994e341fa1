"""What can be asked of a ``NodePort``: read off its annotations, once.

So a method that is added to the protocol, or a field to a row, can be called and answered over the
socket without a word here.
"""

from __future__ import annotations

import collections.abc
import hashlib
import inspect
import typing
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from ledger.errors import InvalidError
from mesh import port, rows
from mesh.rpc_spelling import OrNone, spelling
from mesh.rpc_values import Plain, Spelling

if TYPE_CHECKING:
    from ledger.codec import Value

SOURCE: Final = "source"
"""Name of a parameter whose stream is read."""
TARGET: Final = "target"
"""Name of a parameter whose stream is written."""
PROGRESS: Final = "progress"
"""Name of a parameter that is told how far it is."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of ``NodePort``.

    Attributes:
        name: Its name.
        signature: Without ``self``.
        parts: How its arguments are spelled, by name, in order.
        answer: How what it returns is spelled; of each item if it yields.
        yields: Whether it gives an iterator.
    """

    name: str
    signature: inspect.Signature
    parts: dict[str, Spelling]
    answer: Spelling
    yields: bool

    def bound(self, *args: object, **kwargs: object) -> dict[str, Any]:
        """Return all arguments of a call, by name, in order.

        Raises:
            TypeError: They do not fit.
        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def write(self, arguments: dict[str, Any]) -> list[Value]:
        """Return how all arguments are spelled.

        Raises:
            InvalidError: One is too long.
        """
        return [part.write(arguments[name]) for name, part in self.parts.items()]

    def read(self, values: list[Value]) -> dict[str, Any]:
        """Return all arguments that are spelled so.

        Raises:
            InvalidError: They are no arguments of this method.
        """
        if len(values) != len(self.parts):
            raise InvalidError(f"{self.name} takes {len(self.parts)} arguments")
        return {
            name: part.read(value)
            for (name, part), value in zip(self.parts.items(), values, strict=True)
        }


def _names() -> dict[str, Any]:
    """Return what annotations of the port and of rows may name."""
    names: dict[str, Any] = {**vars(typing), **vars(collections.abc), **vars(rows)}
    names |= {"AbstractSet": collections.abc.Set, "Path": Path, "Plain": Plain}
    for module in (rows, port):
        aliases = {
            name: getattr(module, name)
            for name, hint in module.__annotations__.items()
            if hint == "TypeAlias" and name != "Plain"
        }
        holder = type("Aliases", (), {"__annotations__": aliases})
        names |= typing.get_type_hints(holder, names)
    return names


def methods_of(protocol: type) -> dict[str, Method]:
    """Return the methods of a protocol, by name.

    Raises:
        TypeError: One takes or returns what nobody has said how to spell.
    """
    names = _names()
    return {
        name: _method(name, function, names)
        for name, function in sorted(inspect.getmembers(protocol, inspect.isfunction))
        if not name.startswith("_")
    }


def _method(name: str, function: Callable[..., object], names: dict[str, Any]) -> Method:
    hints = typing.get_type_hints(function, names)
    returned = hints.pop("return")
    yields = get_origin(returned) is AsyncIterator
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    return Method(
        name,
        signature.replace(parameters=parameters),
        {one.name: _part(name, one.name, hints, names) for one in parameters},
        spelling(get_args(returned)[0] if yields else returned, names),
        yields,
    )


def _part(method: str, name: str, hints: dict[str, Any], names: dict[str, Any]) -> Spelling:
    part = spelling(hints[name], names)
    bare = part.item if isinstance(part, OrNone) else part
    if bare.name == "file" and name not in (SOURCE, TARGET):
        raise TypeError(f"{method}: a file is called {SOURCE} if it is read, else {TARGET}")
    if bare.name == "told" and name != PROGRESS:
        raise TypeError(f"{method}: who is told how far it is, is called {PROGRESS}")
    return part


METHODS: Final = methods_of(port.NodePort)


def _described(method: Method) -> str:
    parts = ", ".join(f"{name}: {part.name}" for name, part in method.parts.items())
    return f"{method.name}({parts}) {'yields' if method.yields else 'returns'} {method.answer.name}"


FINGERPRINT: Final = hashlib.sha256(
    "\n".join(_described(method) for method in METHODS.values()).encode("utf-8")
).digest()[:8]
"""Tells two versions apart whose methods or rows differ."""
