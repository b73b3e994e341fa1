"""Traces: read as written, joined and moved; a line that is none is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.sim import trace as traces
from gossip.sim.trace import HEADER, Contact, read_trace
from ledger.errors import InvalidError


def test_a_trace_begins_at_zero_and_what_overlaps_or_touches_is_one_contact() -> None:
    trace = read_trace(
        [HEADER, "130,140,7,b", "", "100,120,b,7", " 120 , 125 ,7,b ", "110,200,7,10"]
    )
    assert trace.names == ("7", "b", "10")
    assert trace.contacts == (
        Contact(0, 25, 0, 1),
        Contact(10, 100, 0, 2),
        Contact(30, 40, 0, 1),
    )
    assert trace.span == 100


def test_a_trace_is_cut_without_moving_anything() -> None:
    trace = read_trace([HEADER, "0,100,a,b", "50,58,a,c"]).cut(10)
    assert trace.contacts == (Contact(0, 10, 0, 1), Contact(50, 58, 0, 2))
    assert trace.span == 58


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2,a", "3 fields"),
        ("1,2,a,b,c", "5 fields"),
        ("x,2,a,b", "'x' is not a number"),
        ("1,nan,a,b", "'nan' is not a number"),
        ("-inf,2,a,b", "'-inf' is not a number"),
        ("1,2e13,a,b", "'2e13' is not a number"),
        ("2,2,a,b", "before it has begun"),
        ("3,2,a,b", "before it has begun"),
        ("1,2,a,a", "meets itself"),
        ("1,2,,b", "name has 1 to 64"),
        (f"1,2,a,{'b' * 65}", "name has 1 to 64"),
    ],
)
def test_a_line_that_is_no_contact_is_named(line: str, said: str) -> None:
    with pytest.raises(InvalidError, match=f"^line 3: .*{said}"):
        read_trace([HEADER, "0,1,a,b", line])


def test_a_file_of_something_else_is_no_trace() -> None:
    with pytest.raises(InvalidError, match=r"^line 1: a trace begins with"):
        read_trace(["0,1,a,b"])
    for lines in ([], [HEADER], [HEADER, "  "]):
        with pytest.raises(InvalidError, match="no contacts"):
            read_trace(lines)


@pytest.mark.parametrize("bound", ["MAX_CONTACTS", "MAX_NODES"])
def test_a_trace_is_not_larger_than_can_be_computed(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(traces, bound, 2)
    lines = [HEADER, "0,1,a,b", "2,3,a,b"]
    assert len(read_trace(lines).contacts) == 2
    with pytest.raises(InvalidError, match=r"^line 4: .*cut it in parts"):
        read_trace([*lines, "4,5,a,c"])


@given(st.lists(st.text(max_size=30) | st.just("1,2,a,b"), max_size=5))
def test_whatever_is_read_is_a_trace_or_refused(lines: list[str]) -> None:
    try:
        trace = read_trace([HEADER, *lines])
    except InvalidError:
        return
    assert trace.contacts[0].start == 0
    assert trace.contacts == tuple(sorted(trace.contacts))
