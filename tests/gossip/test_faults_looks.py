"""Faults that were found once, and mended: looks, searches, and what is asked for after them."""

from collections.abc import Collection

import pytest
from typing_extensions import override

from gossip.control import Greeting, Mention
from gossip.effects import Answer, Keep, Load, Query, Spans
from gossip.standing import Salt, place_of
from ledger.errors import StoreError
from ledger.fork import ForkProof
from ledger.store.base import LogKey
from ledger.store.memory import MemoryStore
from tests.gossip.liars import WRONG, Liar, claim
from tests.gossip.meetings import BINDING, Node, meet
from tests.strategies import SOCIAL, Device, forked, make_body, material

HIS_RUN = material("his run", 8)
BODY_BYTES = 16_000


def test_few_blocks_are_read_at_once_however_many_logs_end_before_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a node that holds long posts of many, each log longer than a stranger says
    node, devices = Node(1), [Device(1_000 + number, 1_000 + number) for number in range(100)]
    for device in devices:
        for time in range(2):
            device.write(body=make_body(bytes(BODY_BYTES), time=time))
        node.hold_device(device)
    read, answer = list[int](), node.holdings.answer

    async def watch(query: Query) -> Answer:
        if isinstance(query, Spans):
            rows = await node.store.read_spans(query.spans)
            read.append(sum(len(block.body or b"") for row in rows for block in row))
        return await answer(query)

    monkeypatch.setattr(node.holdings, "answer", watch)
    keys = [(device.public, SOCIAL) for device in devices]
    names = [Salt(BINDING).short(key, place_of(key)[0]) for key in keys]

    # when he says so of all of them in one message
    liar = Liar(node, is_contact=False).begin()
    liar.mention(*[Mention(name, 1, plain=True, check=WRONG, evidence=b"") for name in names])

    assert max(read) < 20 * BODY_BYTES
    assert sum(read) > len(devices) * BODY_BYTES


class FailingStore(MemoryStore):
    """A store of which a read of proofs can fail.

    Attributes:
        fails: Whether the next one does.
    """

    fails = False

    @override
    async def proofs(self, keys: Collection[LogKey] | None = None) -> list[ForkProof]:
        if self.fails:
            self.fails = False
            raise StoreError("the disk cannot be read")
        return await super().proofs(keys)


class CountedLiar(Liar):
    """A liar for whom a node reads its store a hundred times at most."""

    @override
    def _answer(self, effect: Load | Keep) -> None:
        assert self.loads < 100, "it reads the same again and again"
        super()._answer(effect)


def test_a_look_at_a_block_that_is_gone_ends() -> None:
    # given a node that has not noticed yet that a fork made it drop blocks
    one, other = forked(3, 3, 3, number=5)
    store = FailingStore()
    node = Node(1, store=store)
    node.hold(Device(5).logs[0], one)
    store.fails = True
    with pytest.raises(StoreError):
        node.hold(other)

    # when somebody says that he ends with one of them
    liar = CountedLiar(node)
    liar.begin(Greeting(HIS_RUN, 9, None))
    liar.mention(claim((Device(5).public, SOCIAL), 4))

    assert liar.loads > 0


def test_a_difference_that_was_found_is_fetched_once_another_meeting_lets_it() -> None:
    # given two who hold different blocks, and another meeting that may be fetching that log
    one, other = Device(10, 10), Device(10, 10)
    one.write_many(3, "this")
    other.write_many(3, "that")
    left, right = Node(1), Node(2, public=False)
    left.hold_device(one)
    right.hold_device(other)
    key = (one.public, SOCIAL)
    left.holdings.claims.take(key, left.holdings.claims.enter(), 0.0)

    meet(left, right)

    assert left.holdings.catalogue.logs[key].fork == 1


def test_of_the_newest_blocks_come_only_those_that_are_not_held() -> None:
    # given one who lacks some of the newest, fewer than there are from one signature to the next
    author = Device(10, 10)
    blocks = author.write_many(325)
    left, right = Node(1), Node(2)
    left.hold(author.logs[0], blocks[180:299])
    right.hold(author.logs[0], blocks)

    counts = meet(left, right).ends[0].session.counts

    # then nothing comes twice but what leads to a signature: of the old ones only 192 kept its own
    assert left.frontier() == right.frontier()
    assert counts.blocks_in - counts.new <= 12
