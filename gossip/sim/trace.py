"""Who was near whom, when: contacts read from a file, or made up by ``gossip.sim.city``.

A file is CSV with the header ``start_s,end_s,node_a,node_b``. Nodes are called what the file
calls them there, and by their place among those names here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER: Final = "start_s,end_s,node_a,node_b"
MAX_CONTACTS: Final = 5_000_000
MAX_NODES: Final = 100_000
MAX_NAME: Final = 64
_SHOWN: Final = 12


class Contact(NamedTuple):
    """Two nodes near each other.

    Attributes:
        start: When they came into range, seconds.
        end: When they left it, later than ``start``.
        left: One node, the lower number.
        right: The other.
    """

    start: float
    end: float
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Contacts of some nodes.

    Attributes:
        names: What the nodes are called, by number.
        contacts: Ascending; those of a pair neither overlap nor touch.
        span: When the last contact ends, seconds; 0 without any.
    """

    names: tuple[str, ...]
    contacts: tuple[Contact, ...]
    span: float = field(init=False)

    def __post_init__(self) -> None:
        last = max((contact.end for contact in self.contacts), default=0.0)
        object.__setattr__(self, "span", last)

    def cut(self, seconds: float) -> Trace:
        """Return the trace with no contact longer than ``seconds``."""
        short = [one._replace(end=min(one.end, one.start + seconds)) for one in self.contacts]
        return Trace(self.names, tuple(short))


def trace_of(names: Iterable[str], contacts: Iterable[Contact]) -> Trace:
    """Return a trace that begins at 0, what overlaps or touches of a pair joined."""
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for start, end, one, other in contacts:
        pairs.setdefault((min(one, other), max(one, other)), []).append((start, end))
    first = min((start for times in pairs.values() for start, _ in times), default=0.0)
    joined = [
        Contact(start - first, end - first, left, right)
        for (left, right), times in pairs.items()
        for start, end in _joined(sorted(times))
    ]
    return Trace(tuple(names), tuple(sorted(joined)))


def _joined(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    whole = times[:1]
    for start, end in times[1:]:
        begun, until = whole[-1]
        if start <= until:
            whole[-1] = (begun, max(until, end))
        else:
            whole.append((start, end))
    return whole


def read_trace(lines: Iterable[str]) -> Trace:
    """Read a trace.

    Args:
        lines: The file's, ``HEADER`` first; empty ones do not count.

    Raises:
        InvalidError: A line is none; the message says which and what is wrong. Or there are no
            contacts, or more than ``MAX_CONTACTS`` of them or ``MAX_NODES`` nodes. No other
            exception leaves this function.
    """
    rows: list[tuple[float, float, str, str]] = []
    names: set[str] = set()
    has_header = False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not has_header:
            if text.lstrip("\ufeff") != HEADER:
                raise InvalidError(f"line {number}: a trace begins with the line {HEADER}")
            has_header = True
        elif text:
            row = _row(text, number)
            rows.append(row)
            names.update(row[2:])
            if len(rows) > MAX_CONTACTS or len(names) > MAX_NODES:
                raise InvalidError(
                    f"line {number}: a trace has up to {MAX_CONTACTS:,} contacts of up to"
                    f" {MAX_NODES:,} nodes; cut it in parts"
                )
    if not rows:
        raise InvalidError(f"no contacts; below {HEADER} there is one a line")
    ordered = sorted(names, key=lambda name: (len(name), name))
    place = {name: at for at, name in enumerate(ordered)}
    return trace_of(ordered, (Contact(s, e, place[a], place[b]) for s, e, a, b in rows))


def _row(text: str, number: int) -> tuple[float, float, str, str]:
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 4:
        raise InvalidError(f"line {number}: {len(fields)} fields where {HEADER} are four")
    start, end = (_seconds(field, number) for field in fields[:2])
    one, other = fields[2:]
    if not (0 < len(one) <= MAX_NAME and 0 < len(other) <= MAX_NAME):
        raise InvalidError(f"line {number}: a node's name has 1 to {MAX_NAME} characters")
    if one == other:
        raise InvalidError(f"line {number}: node {one[:_SHOWN]!r} meets itself")
    if end <= start:
        raise InvalidError(f"line {number}: the contact ends at {end:g} s, before it has begun")
    return start, end, one, other


def _seconds(field: str, number: int) -> float:
    try:
        seconds = float(field)
    except ValueError:
        seconds = float("nan")
    if not isfinite(seconds) or abs(seconds) > 1e12:
        raise InvalidError(f"line {number}: {field[:_SHOWN]!r} is not a number of seconds")
    return seconds
