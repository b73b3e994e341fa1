"""Whole meetings: what each has afterwards, in whatever order nodes meet, and what it costs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hypothesis import event, given
from hypothesis import strategies as st

from gossip.policy import Limits
from ledger.store.base import Entry
from ledger.views.people import Census
from ledger.views.timeline import Timeline
from tests.gossip.meetings import Node, now_run
from tests.gossip.test_invariants import ALL, Watched, hold_meeting, lacks, passable
from tests.gossip.worlds import World, build, part, worlds
from tests.strategies import Device, material

limits = st.builds(
    Limits,
    frame=st.sampled_from([24_000, 65_000]),
    window=st.sampled_from([70_000, 1 << 20]),
    page=st.sampled_from([1, 2, 256]),
    newest_above=st.sampled_from([5, 200]),
    newest=st.sampled_from([2, 20]),
)


def people(world: World, limits: Limits | None = None) -> list[Watched]:
    return build(world, partial(Watched, known={}), limits)


def describe(world: World) -> None:
    """Have hypothesis count what sorts of worlds it drew."""
    for author in world.authors:
        longest = max(author.social, author.group)
        event("blocks", "none" if not longest else "many" if longest > 200 else "some")
        event("bodies", author.size)
        event("forked", author.fork is not None or author.twice)
    for held in world.nodes:
        event("detached", any(piece.low for piece in held))
        event("without bodies", any(not piece.bodies for piece in held))


@given(worlds(choosy=True, may_fork=False), limits, st.lists(st.booleans(), min_size=2, max_size=2))
def test_after_two_whole_meetings_each_holds_what_it_wants_and_may_have(
    world: World, limits: Limits, contacts: list[bool]
) -> None:
    describe(world)
    left, right = people(world, limits)

    for number, recognised in enumerate(contacts):
        binding = material(f"link {number}")
        hold_meeting(left, right, contacts=recognised, binding=binding)

    assert lacks(left, right, contacts=all(contacts)) == []
    assert lacks(right, left, contacts=all(contacts)) == []
    left.is_sound()
    right.is_sound()


everybody = ((0, 1), (1, 2), (0, 2))
orders = st.lists(st.tuples(st.sampled_from(everybody), st.booleans()), max_size=6)


async def read_all(node: Node) -> list[Entry]:
    held = [entry async for page in node.store.entries() for entry in page]
    shared = set[bytes]().union(*(passable(node, key) for key in node.ids()))
    return [entry for entry in held if entry.block.id in shared]


def derived(node: Node, *, from_forks_on: bool) -> object:
    """Return what a node makes of what it holds: who is who, what weighs, and the timeline.

    What is kept from a fork on, and weighs nothing, depends on order: a block that is held without
    the one before it goes when the verdict comes.
    """
    entries = now_run(read_all(node))
    logs = now_run(node.store.logs())
    forks = {(log.author, log.number): log.fork for log in logs if log.fork is not None}
    if not from_forks_on:
        entries = [e for e in entries if e.block.header[2] < forks.get(e.block.header[:2], ALL)]
    census = Census(forks, now_run(node.store.revocations()))
    census.add(entries)
    people = census.people()
    timeline = Timeline(people)
    timeline.add(entries)
    weights = {(g.author, g.number): people.weights.limit(g.author, g.number) for g in logs}
    owners = {person: people.devices(person) for person in people}
    return weights, owners, [replace(p, hops=0) for p in timeline.posts()]


def unforked(node: Node) -> object:
    """Return how all logs stand but forked ones."""
    logs = node.holdings.catalogue.logs
    return {key: stands for key, stands in node.frontier().items() if logs[key].fork is None}


def meet_until_quiet(nodes: Sequence[Watched]) -> int:
    """Let all meet in turn until nothing changes; return how many rounds that took."""
    for rounds in range(1, 8):
        before = [node.frontier() for node in nodes]
        for left, right in everybody:
            hold_meeting(nodes[left], nodes[right], binding=material(f"round {rounds}"))
        if before == [node.frontier() for node in nodes]:
            return rounds
    raise AssertionError("they never come to an end")


@part(2)
@given(worlds(nodes=3), limits, orders)
def test_in_whatever_order_nodes_meet_they_come_to_the_same(
    world: World, limits: Limits, order: list[tuple[tuple[int, int], bool]]
) -> None:
    describe(world)
    nodes, others = people(world, limits), people(world, limits)

    for number, ((left, right), contacts) in enumerate(order):
        binding = material(f"link {number}")
        hold_meeting(others[right], others[left], contacts=contacts, binding=binding)
    event("rounds", max(meet_until_quiet(nodes), meet_until_quiet(others)))

    first = derived(nodes[0], from_forks_on=False), unforked(nodes[0])
    for node in (*nodes, *others):
        assert (derived(node, from_forks_on=False), unforked(node)) == first
    for met in (nodes, others):
        assert all(node.frontier() == met[0].frontier() for node in met)
        made = derived(met[0], from_forks_on=True)
        assert all(derived(node, from_forks_on=True) == made for node in met)
        for key in met[0].ids():
            assert len({frozenset(passable(node, key)) for node in met}) == 1
    for node in (*nodes, *others):
        node.is_sound()


@part(4)
@given(worlds(), st.booleans(), st.integers(0, 300))
def test_who_is_equal_says_next_to_nothing_however_much_he_holds(
    world: World,
    contacts: bool,  # noqa: FBT001
    more: int,
) -> None:
    left, right = people(world)
    left.hold(*([Device(300 + number).root] for number in range(more)))
    for number in range(3):
        hold_meeting(left, right, contacts=contacts, binding=material(f"link {number}"))

    again = hold_meeting(left, right, contacts=contacts, binding=material("another link"))

    assert again.payload() <= (150 if contacts else 450)
    event("payload", again.payload())
