"""Nodes that are switched off now and then.

What the oracle may use of a contact is what is left of it while both are awake; the world switches
the nodes off for real, which closes their links and leaves them with what they stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from gossip.sim.trace import Contact, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

AWAKE_S: Final = 4 * 3600.0
ASLEEP_S: Final = 3600.0
"""Means of exponential times."""

Naps: TypeAlias = "Sequence[tuple[float, float]]"
"""When a node is switched off, (from, to) in seconds, ascending."""


def draw_naps(nodes: int, span: float, dice: Random) -> dict[int, Naps]:
    """Return when each of ``nodes`` nodes is switched off within ``span`` seconds."""
    return {node: _naps(span, dice) for node in range(nodes)}


def _naps(span: float, dice: Random) -> list[tuple[float, float]]:
    naps: list[tuple[float, float]] = []
    at = dice.expovariate(1 / AWAKE_S)
    while at < span:
        until = at + dice.expovariate(1 / ASLEEP_S)
        naps.append((at, until))
        at = until + dice.expovariate(1 / AWAKE_S)
    return naps


def awake(trace: Trace, naps: Mapping[int, Naps]) -> Trace:
    """Return what is left of each contact while both are awake, at the same times."""
    left: list[Contact] = []
    for contact in trace.contacts:
        start = contact.start
        both = [*naps.get(contact.left, ()), *naps.get(contact.right, ())]
        for asleep, until in sorted(both):
            if start < asleep < contact.end:
                left.append(contact._replace(start=start, end=asleep))
            start = max(start, until) if asleep < contact.end else start
        if start < contact.end:
            left.append(contact._replace(start=start))
    return Trace(trace.names, tuple(sorted(left)))


def next_awake(naps: Naps, at: float) -> float:
    """Return ``at``, or when the nap ends in which it falls."""
    return next((until for asleep, until in naps if asleep <= at < until), at)
