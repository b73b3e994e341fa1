"""What a port takes and answers, spelled in CBOR and read again: any of it, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, is_dataclass, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import decode, encode
from ledger.errors import InvalidError
from mesh import rows
from mesh.port import NodePort
from mesh.rpc_methods import METHODS, methods_of
from mesh.rpc_spelling import Row, spelling
from mesh.rpc_values import Plain, Stream, Told
from tests.mesh.rpc_samples import plain_values, values

if TYPE_CHECKING:
    from ledger.codec import Value
    from mesh.rpc_spelling import Hint

ROWS = [row for row in vars(rows).values() if isinstance(row, type) and is_dataclass(row)]
HERE = Path(__file__)

st.register_type_strategy(Plain, plain_values)


def any_of(row: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(row, {**vars(rows), "Plain": Plain})
    return st.builds(row, **{name: st.from_type(hint) for name, hint in hints.items()})


def again(hint: Hint, value: object) -> object:
    """Return what is read of ``value`` once it was written."""
    spelled = spelling(hint, {"Plain": Plain})
    return spelled.read(decode(encode(spelled.write(value)), 1 << 20))


@pytest.mark.parametrize("row", ROWS)
@given(data=st.data())
def test_every_row_is_read_as_it_was_written(row: type, data: st.DataObject) -> None:
    value = data.draw(any_of(row))
    found = again(row, value)
    assert type(found) is row
    assert repr(found) == repr(value)  # a float that is no number equals nothing


def test_a_body_nested_as_deep_as_bodies_are_is_read_again() -> None:
    deep: rows.Plain = [7]
    for _ in range(7):
        deep = [deep]
    row = rows.LogRow(b"i", b"a", 1, 2, "x/deep", None, deep)
    assert again(rows.LogRow, row) == row


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 10**30),
        (int, -(10**99)),
        (float, 0.1),
        (float, -0.0),
        (float, float("inf")),
        (float, 5e-324),
        (bool, True),
        (str, "half \ud800 a character"),
        (Path, Path("/a/ä/\udcff")),
        (Sequence[str], ["a", ""]),
        (str | None, None),
        (str | None, ""),
    ],
)
def test_values_on_the_edge_are_read_as_they_were_written(hint: Hint, value: object) -> None:
    found = again(hint, value)
    assert (type(found), repr(found)) == (type(value), repr(value))


def test_a_number_of_seconds_without_a_fraction_is_read_as_one_with() -> None:
    found = again(float, 3)
    assert (found, type(found)) == (3.0, float)


@pytest.mark.parametrize(
    ("hint", "spelled"),
    [
        (int, "7"),
        (int, "18446744073709551615"),
        (int, "018446744073709551616"),
        (int, b"7"),
        (int, None),
        (bool, 2),
        (bool, None),
        (float, 1),
        (float, "0.1"),
        (float, "one"),
        (float, "0x1p+999999"),
        (bytes, "text"),
        (str, 7),
        (str, b"text in the spelling of half a character"),
        (str, b"\xff"),
        (Path, b"not/from/the/root"),
        (Path, b"/two//strokes"),
        (Path, b"/a/\0"),
        (Path, "/text"),
        (list[int], 7),
        (list[int], ["7"]),
        (rows.Posted, [b"id"]),
        (rows.Posted, [b"id", 1, 2]),
        (rows.Posted, [1, b"id"]),
        (rows.Posted, b"id"),
        (Plain, 7),
        (Plain, b"\x18\x07"),
    ],
)
def test_what_is_of_another_type_or_has_another_spelling_is_refused(
    hint: Hint, spelled: Value
) -> None:
    with pytest.raises(InvalidError):
        spelling(hint, {"Plain": Plain}).read(spelled)


def test_a_set_has_one_order() -> None:
    changes = METHODS["changes"].answer
    assert changes.write({"status", "feed"}) == ["feed", "status"]
    assert changes.read(["feed", "status"]) == {"feed", "status"}
    wrongs: list[Value] = [["status", "feed"], ["feed", "feed"], ["weather"], "feed"]
    for wrong in wrongs:
        with pytest.raises(InvalidError):
            changes.read(wrong)


def test_a_number_of_more_than_100_digits_is_refused() -> None:
    with pytest.raises(InvalidError, match="100 digits; check"):
        spelling(int, {}).write(10**100)


# --- methods --------------------------------------------------------------------------------------


def test_every_method_of_the_port_can_be_called() -> None:
    methods = {name for name in vars(NodePort) if not name.startswith("_")}
    assert set(METHODS) == methods
    assert len(methods) > 15
    for name, method in METHODS.items():
        written = getattr(NodePort, name)
        assert list(method.parts) == list(inspect.signature(written).parameters)[1:]
        assert method.yields != inspect.iscoroutinefunction(written)


@pytest.mark.parametrize("name", sorted(METHODS))
@given(data=st.data())
def test_every_argument_is_read_as_it_was_written(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    whole = {part: data.draw(values(spelled)) for part, spelled in method.parts.items()}
    found = method.read(method.write(whole))
    for part, value in whole.items():
        assert isinstance(found[part], Told) if callable(value) else found[part] == value


@pytest.mark.parametrize(
    ("name", "files"), [("export_bundle", "target"), ("import_bundle", "source")]
)
def test_a_file_is_its_path_and_a_stream_comes_apart(name: str, files: str) -> None:
    method = METHODS[name]
    fitting = {"to": (), "seal": False}
    for file in (HERE, inspect):
        whole = {**dict.fromkeys(method.parts), **fitting, files: file}
        found = method.read(method.write({part: whole[part] for part in method.parts}))
        assert found[files] == HERE if file is HERE else isinstance(found[files], Stream)


def test_arguments_of_another_number_are_refused() -> None:
    with pytest.raises(InvalidError, match="takes 2 arguments"):
        METHODS["post"].read(["text"])


@dataclass(frozen=True, slots=True)
class Nothing:
    """A row without fields."""


class Later(Protocol):
    """A port of a later version."""

    async def sleep(self, seconds: float, *, progress: Callable[[int, int | None], None]) -> bool:
        """Return whether it was enough."""
        ...

    def dreams(self) -> AsyncIterator[list[int] | None]:
        """Yield them."""
        ...

    async def wake(self) -> None:
        """Return nothing."""
        ...


def test_a_new_method_with_new_types_needs_no_word_here() -> None:
    methods = methods_of(Later)
    assert [(name, one.answer.name, one.yields) for name, one in methods.items()] == [
        ("dreams", "[int]?", True),
        ("sleep", "bool", False),
        ("wake", "none", False),
    ]
    assert (
        methods["sleep"].read(methods["sleep"].write({"seconds": 0.5, "progress": print}))[
            "seconds"
        ]
        == 0.5
    )


def test_a_method_that_takes_what_nobody_can_spell_is_noticed_at_once() -> None:
    class Complex(Protocol):
        async def turn(self, by: complex) -> int: ...

    class Unclear(Protocol):
        async def burn(self, papers: Path | BinaryIO) -> int: ...

    with pytest.raises(TypeError, match="nobody has said how"):
        methods_of(Complex)
    with pytest.raises(TypeError, match="called source if it is read, else target"):
        methods_of(Unclear)


def test_a_new_field_makes_another_spelling() -> None:
    before = make_dataclass("Posted", [("id", bytes)])
    after = make_dataclass("Posted", [("id", bytes), ("seq", int)])
    assert spelling(before, {}).name != spelling(after, {}).name
    assert isinstance(spelling(after, {}), Row)
