"""Budgets and classes (P8), seen from outside: what goes over slow links, byte by byte."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import event, example, given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.policy import Limits
from gossip.sim.air import Air
from gossip.sim.world import Plan, World
from gossip.wire import Bodies, Data, Proofs, Statements, decode_message
from ledger.block import decode_header
from tests.gossip.sim.places import give, place, shape
from tests.gossip.worlds import SECRET, Author, copies, part
from tests.strategies import GROUP, SOCIAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gossip.sim.node import Node
    from gossip.sim.trace import Trace

LONG = 1_000.0
CLASSES = (2, 3, 5, 6)
AUTHORS = (10, 11, 12, 13)
"""Of each class one: of a group, followed, near somebody followed, and anybody."""


class Overheard(World):
    """A world of two that notes what bulk goes over which link.

    Attributes:
        sent: Number of the link, who sends, and the message, with its bytes.
    """

    def __init__(self, trace: Trace, plan: Plan) -> None:
        super().__init__(trace, [], plan)
        self.sent: list[tuple[int, int, bytes]] = []

    @override
    def _spoken(self, node: Node, frame: bytes) -> Iterable[bytes]:
        if isinstance(decode_message(frame), Data | Bodies | Statements | Proofs):
            self.sent.append((self._opened, node.number, frame))
        return super()._spoken(node, frame)


def ranked(world: Overheard) -> Iterator[tuple[int, int]]:
    """Yield class and bytes of all that node 0 sends, device blocks aside."""
    devices = [copies(Author(number))[0].public for number in AUTHORS]
    ranks = dict(zip(devices, CLASSES, strict=True))
    for message in (decode_message(frame) for _, node, frame in world.sent if node == 0):
        if isinstance(message, Bodies):
            yield from ((ranks[late.author], len(late.body)) for late in message.bodies)
        elif isinstance(message, Data):
            for run in message.runs:
                header = decode_header(run.blocks[0][0])
                if header.log in (SOCIAL, GROUP):
                    size = sum(len(part or b"") for block in run.blocks for part in block)
                    yield ranks[header.author], size


def meet_slowly(counts: tuple[int, ...], size: int, rate: float) -> Overheard:
    """Let node 1, who has nothing, meet node 0."""
    plan = Plan(air=Air(rate=rate, latency=0.1))
    world = Overheard(place(2, (0.0, LONG, 0, 1)), plan)
    wrote = [Author(AUTHORS[0], size=size, group=counts[0])]
    wrote += [Author(n, size=size, social=c) for n, c in zip(AUTHORS[1:], counts[1:], strict=True)]
    source, reader = world.nodes
    shape(source, groups={GROUP: SECRET})
    followed, near = frozenset({wrote[1].person}), frozenset({wrote[2].person})
    shape(reader, groups={GROUP: SECRET}, followed=followed, near=near)
    for author in wrote:
        give(source, copies(author)[0])
        give(reader, copies(Author(author.number))[0])
    world.run()
    return world


@part(8)
@given(
    st.tuples(*4 * [st.integers(0, 700)]),
    st.sampled_from([0, 300]),
    st.sampled_from([20_000.0, 100_000.0]),
)
@example((700, 700, 700, 700), 300, 20_000.0)
def test_while_better_waits_the_lower_classes_get_a_twentieth(
    counts: tuple[int, ...], size: int, rate: float
) -> None:
    """As long as anything of a class is to come, those below have a twentieth of what it had.

    What is under way is not taken back: up to four chunks of 64 blocks each, on the air, with the
    link and being read, before the older blocks of a log are asked for after its newest.
    """
    world, chunk = meet_slowly(counts, size, rate), 64 * (size + 300)
    order = list(ranked(world))
    last = {rank: at for at, (rank, _) in enumerate(order)}
    sent: Counter[int] = Counter()
    for at, (rank, length) in enumerate(order):
        for better in CLASSES:
            if at < last.get(better, 0) and rank > better:
                above = sum(sent[one] for one in CLASSES if one <= better)
                below = sum(sent[one] for one in CLASSES if one > better)
                assert below <= above / 20 + 4 * chunk
        sent[rank] += length
    event("chunks", sum(sent.values()) // chunk)
    for author, rank, count in zip(AUTHORS, CLASSES, counts, strict=True):
        key = (copies(Author(author))[0].public, GROUP if rank == 2 else SOCIAL)
        held = world.nodes[1].held().get(key, 0)
        assert held == world.nodes[0].held().get(key, 0) <= count


@part(8)
@given(st.integers(0, 60_000), st.integers(0, 60_000), st.sampled_from([None, 5_000.0]))
def test_no_meeting_brings_more_than_both_budgets_allow(
    receive: int, send: int, rate: float | None
) -> None:
    """In links that are opened again and again; what a frame has room for comes in the end."""
    plan = Plan(air=Air(rate=rate), live=False)
    world = Overheard(place(2, (0.0, 3_000.0, 0, 1)), plan)
    shape(world.nodes[0], limits=Limits(send=send, frame=24_000))
    shape(world.nodes[1], limits=Limits(receive=receive))
    give(world.nodes[0], *(copies(Author(n, social=40))[0] for n in AUTHORS))
    world.run()
    spent: Counter[int] = Counter()
    for link, node, frame in world.sent:
        spent[link] += len(frame) if node == 0 else 0
    assert max(spent.values(), default=0) <= min(receive, send)
    has_all = world.nodes[0].held().items() <= world.nodes[1].held().items()
    event("all came", has_all)
    assert has_all or min(receive, send) < 24_000
