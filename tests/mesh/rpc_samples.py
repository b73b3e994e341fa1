"""Values of every type that a port takes or answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from mesh.rpc_spelling import ListOf, OrNone, Row, SetOf

if TYPE_CHECKING:
    from mesh.rpc_values import Spelling

plain_values = st.recursive(
    st.none() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def _ignore(_done: int, _total: int | None) -> None:
    """Be told how far something is."""


_ONES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(),
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False),
    "bytes": st.binary(),
    "text": st.text(),
    "none": st.none(),
    "plain": plain_values,
    "path": st.just(Path(__file__)),
    "file": st.just(Path(__file__)),
    "told": st.just(_ignore),
}


def values(of: Spelling) -> st.SearchStrategy[Any]:
    """Return values that ``of`` spells; of a file a path."""
    match of:
        case Row():
            return st.builds(of.of, *[values(part) for part in of.parts.values()])
        case ListOf():
            return st.lists(values(of.item), max_size=3)
        case SetOf():
            return st.frozensets(values(of.item), max_size=3)
        case OrNone():
            return st.none() | values(of.item)
        case _ if of.name in _ONES:
            return _ONES[of.name]
        case _:
            return st.sampled_from(of.name.split("|"))
