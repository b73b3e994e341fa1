"""Two honest nodes always come to an end, whatever they hold and in whatever order things happen.

Each seed is a world: authors with forks, stretches and missing bodies, two nodes with limits of
their own, and an order in which stores, links and clocks get their turn.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from typing_extensions import override

from gossip.effects import End, Send
from gossip.policy import Limits
from gossip.session import State
from ledger.block import Block
from ledger.chain import MAX_DETACHED
from ledger.statement import Revocation
from ledger.store.base import Batch
from tests.gossip.liars import is_sound
from tests.gossip.meetings import Meeting, Node, Side
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, material, person_key

BROKE = (81, 391, 398, 458, 1066, 1150, 1240, 1774, 1802, 1955, 1996, 2060, 2116, 2216, 2802, 2934)
"""Worlds in which two nodes once did not come to an end, or not to the same one."""
SEEDS = (*range(50), *BROKE)
FRIEND = 50
"""Owns some of the devices; one of the nodes follows him."""
FIRST = 10
LOGS = (IDENTITY, SOCIAL, GROUP, GROUP + 1)
SECRET = material("a closed group")
MEMBERS = {SECRET: frozenset({Device(1, 1).public, Device(2, 2).public})}
QUIET = {End.DONE, End.SPENT}


class Shuffled(Meeting):
    """A meeting in which whatever can happen next happens by chance."""

    def __init__(self, chance: Random, left: Node, right: Node, **how: Any) -> None:  # noqa: ANN401
        super().__init__(left, right, **how)
        self.chance = chance
        self.pace = {
            "link": chance.choice([0.2, 1, 5]),
            "store": chance.choice([0.1, 1, 5]),
            "sent": 1.0,
        }

    def _possible(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        for end, other in zip(self.ends, reversed(self.ends), strict=True):
            if any(isinstance(effect, Send) for effect in end.pending):
                yield "sent", partial(self._first, end, is_sent=True)
            if any(not isinstance(effect, Send) for effect in end.pending):
                yield "store", partial(self._first, end, is_sent=False)
            if end.out:
                yield "link", partial(self._deliver, end, other)

    def _first(self, end: Side, *, is_sent: bool) -> bool:
        effect = next(one for one in end.pending if isinstance(one, Send) == is_sent)
        end.pending.remove(effect)
        end.pending.appendleft(effect)
        return self._answer(end)

    @override
    def step(self) -> bool:
        possible = list(self._possible())
        if not possible:
            return False
        weights = [self.pace[what] for what, _ in possible]
        self.chance.choices(possible, weights)[0][1]()
        return True

    def _is_over(self) -> bool:
        ends = self.ends
        return all(e.finish for e in ends) or all(e.session.state is State.LIVE for e in ends)

    @override
    def run(self) -> "Shuffled":
        self.start().settle(60_000)
        while not self._is_over():
            due = [at for end in self.ends if (at := end.session.next_tick()) is not None]
            assert due, "nobody waits for anything, and it is not over"
            self.now = max(self.now, min(due))
            for end in self.ends:
                self._tick(end)
            self.settle(60_000)
        return self

    def _tick(self, end: Side) -> None:
        at = end.session.next_tick()
        if at is None or at > self.now:
            return
        self._carry_out(end, end.session.tick(self.now))
        after = end.session.next_tick()
        assert after is None or after > self.now, "due again at once: it spins"

    def part(self) -> None:
        """End it, if both would stay."""
        for end in self.ends:
            if end.finish is None:
                self._carry_out(end, end.session.stop(self.now, End.LOST))
        self.settle()


# --- worlds ---


def limits(chance: Random, *, has_budget: bool) -> Limits:
    budgets = [None, None, 0, 5_000, 70_000] if has_budget else [None]
    return Limits(
        frame=chance.choice([24_000, 65_000]),
        window=chance.choice([65_000, 130_000, 1 << 20]),
        receive=chance.choice(budgets),
        send=chance.choice(budgets),
        page=chance.choice([1, 2, 3, 8, 256]),
        newest=chance.choice([1, 20]),
        newest_above=chance.choice([2, 50, 200]),
        recent=chance.choice([1, 3, 1_000]),
    )


def logs_of(chance: Random) -> list[list[Block]]:
    """What up to seven authors wrote, every copy of every log."""
    found: list[list[Block]] = []
    for number in range(FIRST, FIRST + chance.randint(0, 7)):
        device = Device(number, number if chance.random() < 0.7 else FRIEND)
        for log in chance.sample(LOGS, chance.randint(0, 3)):
            device.write_many(chance.choice([1, 2, 5, 70, 130, 260]), log=log)
        found += device.logs.values()
        for log in device.logs if chance.random() < 0.5 else ():
            found += forks(chance, device, log)
    return found


def forks(chance: Random, device: Device, log: int) -> Iterator[list[Block]]:
    trunk = chance.randint(1, len(device.logs[log]))
    for number in range(chance.choice([0, 0, 1, 2, 3])):
        twin = device.twin()
        del twin.logs[log][trunk:]
        yield twin.write_many(chance.choice([1, 3, 70]), f"copy {number}", log=log)


def fill(chance: Random, node: Node, logs: Sequence[list[Block]]) -> None:
    """Let a node hold stretches of logs, some without bodies, and statements."""
    for blocks in logs:
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            low = chance.choice([0, chance.randrange(len(blocks))])
            held = blocks[low : chance.choice([len(blocks), chance.randint(low + 1, len(blocks))])]
            if chance.random() < 0.2:
                held = [bare(block) if chance.random() < 0.3 else block for block in held]
            node.hold(held)
    for number in range(FIRST, FIRST + 6) if chance.random() < 0.3 else ():
        owner = person_key(chance.choice([number, FRIEND, FRIEND + 1]))
        node.absorb(Batch(revocations=[Revocation.sign(owner, Device(number).public, [])]))


def bare(block: Block) -> Block:
    is_device_block = (block.header.log, block.header.seq) == (IDENTITY, 1)
    return block if is_device_block else block._replace(body=None)


def nodes(chance: Random, *, is_even: bool) -> list[Node]:
    """Two nodes; even ones want the same, have no budgets and belong to the same groups."""
    logs, live = logs_of(chance), chance.random() < 0.3
    group = {GROUP: SECRET}
    shared = chance.choice([{}, group])
    made = []
    for number in (1, 2):
        node = Node(
            number,
            limits=limits(chance, has_budget=not is_even),
            live=live,
            groups=shared if is_even else chance.choice([{}, group]),
            members=MEMBERS if shared and is_even else {},
            public=is_even or chance.random() < 0.8,
            followed=frozenset(
                {person_key(FRIEND).signing.public} if chance.random() < 0.3 else ()
            ),
        )
        fill(chance, node, logs)
        if chance.random() < 0.5:
            node.write("mine")
        made.append(node)
    return made


def hold(seed: int, *, contacts: bool, is_even: bool) -> list[Node]:
    """Let the two nodes of a world meet three times, and judge every meeting."""
    chance = Random(seed)
    both = nodes(chance, is_even=is_even)
    for number in range(3):
        binding = material(f"binding {number}")
        meeting = Shuffled(chance, *both, contacts=contacts, binding=binding).run()
        assert all(end.finish is None or end.finish.end in QUIET for end in meeting.ends)
        assert meeting.now < 10, "somebody waited for what never came"
        meeting.part()
    assert all(map(is_sound, both))
    return both


# --- tests ---


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("contacts", [True, False])
def test_whatever_happens_in_whatever_order_both_come_to_an_end(
    seed: int, *, contacts: bool
) -> None:
    hold(seed, contacts=contacts, is_even=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_contacts_who_want_the_same_without_budgets_end_equal(seed: int) -> None:
    left, right = hold(seed, contacts=True, is_even=True)

    full = {key for node in (left, right) for key in in_pieces(node)}
    ours, theirs = left.frontier(), right.frontier()
    assert {key: ours[key] for key in ours.keys() - full} == {
        key: theirs[key] for key in theirs.keys() - full
    }


def in_pieces(node: Node) -> list[tuple[bytes, int]]:
    """Logs of which as many pieces are held as may be: there is no room for those of others."""
    logs = node.holdings.catalogue.logs
    return [key for key, log in logs.items() if len(log.detached) >= MAX_DETACHED]
