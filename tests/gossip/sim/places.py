"""Small traces for the tests of the simulator: times are whole seconds, so that sums are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gossip.sim.trace import Contact, Trace, trace_of
from gossip.sim.workload import Letter, Post
from gossip.sim.world import Plan, World

if TYPE_CHECKING:
    from collections.abc import Sequence

SETUP = 5.0


def place(nodes: int, *contacts: tuple[float, float, int, int]) -> Trace:
    """Return a trace that begins at 0 whatever its first contact does."""
    return trace_of(map(str, range(nodes)), (Contact(*contact) for contact in contacts))


@st.composite
def traces(draw: st.DrawFn, most: int = 5, contacts: int = 16) -> Trace:
    nodes = draw(st.integers(2, most))
    who = st.integers(0, nodes - 1)
    rows = st.tuples(st.integers(0, 150), st.integers(1, 40), who, who).filter(
        lambda row: row[2] != row[3]
    )
    drawn = draw(st.lists(rows, min_size=1, max_size=contacts))
    return place(nodes, *((float(at), float(at + lasts), a, b) for at, lasts, a, b in drawn))


def posts_in(trace: Trace, most: int = 6) -> st.SearchStrategy[list[Post]]:
    moments = st.integers(0, int(trace.span)).map(float)
    return st.lists(
        st.builds(Post, moments, st.integers(0, len(trace.names) - 1)), max_size=most
    ).map(sorted)


def ran(trace: Trace, posts: Sequence[Post], plan: Plan | None = None) -> World:
    """Let everything happen."""
    world = World(trace, posts, plan or Plan())
    world.run()
    return world


def arrivals(world: World) -> dict[tuple[int, int], float]:
    """When which post reached whom; each at most once."""
    found = {(post, node): at for post, node, at in world.deliveries}
    assert len(found) == len(world.deliveries)
    return found


def letters_in(trace: Trace, most: int = 6) -> st.SearchStrategy[list[Letter]]:
    moments = st.integers(0, int(trace.span)).map(float)
    who = st.integers(0, len(trace.names) - 1)
    drawn = st.builds(Letter, moments, who, who)
    return st.lists(drawn.filter(lambda one: one[1] != one[2]), max_size=most).map(sorted)
