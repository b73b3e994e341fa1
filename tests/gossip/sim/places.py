"""Small traces for the tests of the simulator: times are whole seconds, so that sums are exact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gossip.envelope import Parcel
from gossip.sim.trace import Contact, Trace, trace_of
from gossip.sim.workload import Letter, Post
from gossip.sim.world import Plan, World
from ledger.store.base import Batch
from tests.strategies import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.mailbox import Sealed
    from gossip.sim.node import Node
    from tests.strategies import Device

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


# --- what nodes hold before anything happens ----------------------------------------------------


def shape(node: Node, **policy: Any) -> None:  # noqa: ANN401
    """Have a node care about other things, as after a restart."""
    node.policy = replace(node.policy, **policy)
    node.restart()


def give(node: Node, *devices: Device) -> None:
    """Have a node hold all that devices wrote."""
    for device in devices:
        runs = [run_of(blocks) for _, blocks in sorted(device.logs.items())]
        node.keep(Batch(runs=runs), 0.0, durable=True)


def deposit(node: Node, sealed: Sealed, depositor: bytes, life: int = 5_000) -> None:
    """Have a node carry a letter that somebody brought who is not there any more."""
    assert node.mailbox is not None
    parcel = Parcel(sealed.envelope.raw, 9, life, 0)
    node._keep_mail(node.mailbox.mail.take(sealed.envelope, parcel, depositor, 0.0))
