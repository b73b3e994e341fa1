"""Any exchange of sealed bundles, whatever happens to sticks: in the end nobody lacks a thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.bundle import NotABundleError
from tests.gossip.meetings import now_run
from tests.mesh.sticks import Carrier, ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.store.memory import MemoryStore

NODES = 3
nodes = st.integers(0, NODES - 1)
pairs = st.tuples(nodes, nodes).filter(lambda pair: pair[0] != pair[1])
STEPS = st.one_of(
    st.tuples(st.just("post"), nodes, st.integers(1, 70)),
    st.tuples(st.just("give"), pairs, st.sampled_from([None, None, 4_000, 9_000])),
    st.tuples(st.just("give all"), nodes, st.none()),
    st.tuples(st.just("take"), nodes, st.integers(0, 50)),
    st.tuples(st.just("cut"), nodes, st.integers(0, 50)),
    st.tuples(st.just("save"), nodes, st.none()),
    st.tuples(st.just("set back"), nodes, st.none()),
    st.tuples(st.just("open again"), nodes, st.none()),
)


def cut(raw: bytes, place: int) -> bytes:
    """Return so many fiftieths of a file."""
    return raw[: len(raw) * place // 50]


class Town:
    """Three who post, write sticks, take some in, lose some, and go back to old copies."""

    def __init__(self) -> None:
        self.nodes = [now_run(Carrier(number).begin()) for number in range(1, NODES + 1)]
        self.sticks: list[bytes] = []
        self.saved: dict[int, tuple[MemoryStore, int]] = {}

    def do(self, what: str, who: Any, more: Any) -> None:  # noqa: ANN401  as ``STEPS`` has it
        steps: dict[str, Callable[[Any, Any], object]] = {
            "post": lambda number, count: now_run(self.nodes[number].post(count)),
            "give": lambda pair, limit: self.give(pair[0], [pair[1]], limit),
            "give all": lambda giver, _: self.give(giver, [n for n in range(NODES) if n != giver]),
            "take": lambda number, place: self.take(number, self.stick(place)),
            "cut": lambda number, place: self.take(number, cut(self.stick(place), place)),
            "save": lambda number, _: self.save(self.nodes[number], number),
            "set back": lambda number, _: self.set_back(number),
            "open again": lambda number, _: self.open(number, self.nodes[number].copy()),
        }
        steps[what](who, more)

    def stick(self, place: int) -> bytes:
        """Return one of the sticks that were written, if any was."""
        return self.sticks[place % len(self.sticks)] if self.sticks else b""

    def save(self, node: Carrier, number: int) -> None:
        self.saved[number] = (node.copy(), len(node.device.write_many(0)))

    def open(self, number: int, store: MemoryStore) -> None:
        now_run(self.nodes[number].set_back(store))

    def set_back(self, number: int) -> None:
        """Restore an old copy, if it lacks nothing that the device itself wrote."""
        if number in self.saved and self.saved[number][1] == len(
            self.nodes[number].device.write_many(0)
        ):
            self.open(number, self.saved[number][0])

    def give(self, giver: int, takers: list[int], limit: int | None = None) -> bytes:
        raw, _ = now_run(self.nodes[giver].give(*(self.nodes[n] for n in takers), max_bytes=limit))
        self.sticks.append(raw)
        return raw

    def take(self, number: int, raw: bytes) -> None:
        try:
            now_run(self.nodes[number].take(raw))
        except NotABundleError:
            return

    def level(self, rounds: int) -> None:
        """Everybody gives to everybody else, a few times, and all sticks arrive."""
        for _ in range(rounds):
            for giver in range(NODES):
                for taker in range(NODES):
                    if giver != taker:
                        self.take(taker, self.give(giver, [taker]))


@given(steps=st.lists(STEPS, max_size=25))
@settings(deadline=None)
def test_whatever_happens_to_sticks_in_the_end_all_have_everything(
    steps: list[tuple[str, object, object]],
) -> None:
    town = Town()
    for step in steps:
        town.do(*step)
    town.level(3)
    held = [now_run(ids(node.store)) for node in town.nodes]
    assert held[0] == held[1] == held[2]
    assert len(held[0]) == sum(len(log) for node in town.nodes for log in node.device.logs.values())
    # and nothing is left to say
    for giver in range(NODES):
        for taker in range(NODES):
            if giver != taker:
                _, done = now_run(town.nodes[giver].give(town.nodes[taker]))
                assert done.blocks == 0
