"""When the store took a batch and then cannot be read, what it took is noticed the next time."""

import asyncio
from collections.abc import Collection, Sequence

import pytest
from typing_extensions import override

from gossip.policy import Policy
from ledger.block import Block
from ledger.errors import StoreError
from ledger.fork import ForkProof
from ledger.kinds.post import KIND
from ledger.store.base import Absorbed, Batch, LogKey
from ledger.store.memory import MemoryStore
from mesh.holdings import Holdings
from mesh.writer import Draft, Heads, Writer
from tests.gossip.held import WHEN
from tests.gossip.meetings import Node, meet, now_run
from tests.strategies import SOCIAL, Device, device_keys, forked, make_body, material, run_of

AUTHOR = Device(5)
KEY = (AUTHOR.public, SOCIAL)
OURS = device_keys()
UNREADABLE = StoreError("the disk cannot be read")


class FailingStore(MemoryStore):
    """A store that takes batches, and can fail to read what holdings ask about them.

    Attributes:
        fails: Whether the next read of proofs or of missing bodies does.
    """

    fails = False

    @override
    async def proofs(self, keys: Collection[LogKey] | None = None) -> list[ForkProof]:
        self._fail_once()
        return await super().proofs(keys)

    @override
    async def bodiless(self, key: LogKey, *, limit: int = 256) -> list[int]:
        self._fail_once()
        return await super().bodiless(key, limit=limit)

    def _fail_once(self) -> None:
        if self.fails:
            self.fails = False
            raise UNREADABLE


def node_of_one_branch() -> tuple[Node, FailingStore]:
    store = FailingStore(new_run=lambda: material("run", 8))
    node = Node(1, store=store)
    node.hold(AUTHOR.logs[0], branches()[0])
    return node, store


def without_bodies(blocks: Sequence[Block]) -> list[Block]:
    return [block._replace(body=None) for block in blocks]


def branches() -> tuple[Sequence[Block], Sequence[Block]]:
    return forked(3, 3, 3, number=5)


def fail_to_notice_the_fork(node: Node, store: FailingStore) -> None:
    store.fails = True
    with pytest.raises(StoreError):
        node.hold(branches()[1])
    assert not store.fails


def test_what_is_known_is_what_is_held_after_a_read_failed() -> None:
    node, store = node_of_one_branch()
    fail_to_notice_the_fork(node, store)

    node.write("later")

    mine, anew = node.holdings.catalogue, now_run(Holdings.open(store, node.policy)).catalogue
    assert mine.lsn == anew.lsn
    assert mine.logs[KEY].fork == 3
    assert {key: mine.standing(key) for key in mine.logs} == {
        key: anew.standing(key) for key in anew.logs
    }


def test_contacts_are_told_of_a_fork_though_a_read_failed_and_it_was_begun_anew() -> None:
    # given a node that failed to notice a fork and met a contact afterwards
    (node, store), friend = node_of_one_branch(), Node(2)
    meet(node, friend)
    fail_to_notice_the_fork(node, store)
    node.write("later")
    meet(node, friend, binding=material("after the failure"))

    # when it is begun anew
    node.holdings = now_run(Holdings.open(store, node.policy))
    for number in range(3):
        meet(node, friend, binding=material(f"link {number}"))

    assert friend.holdings.catalogue.logs[KEY].fork == 3


# --- what one writes ----------------------------------------------------------------------------


def draft(text: str) -> Draft:
    return Draft(SOCIAL, KIND, make_body(text))


async def own_store() -> MemoryStore:
    store = MemoryStore()
    await store.absorb(Batch(runs=[run_of([Device().root])]), seen=0, durable=True)
    return store


async def writer_of(store: MemoryStore) -> Writer:
    return Writer(store, Heads.of(OURS.signing, await store.logs()), lambda: WHEN)


async def test_what_is_written_is_returned_though_nobody_could_be_told() -> None:
    # given a writer of whom somebody who hears fails once
    store = await own_store()
    writer = await writer_of(store)
    heard: list[Absorbed] = []

    async def hear(absorbed: Absorbed) -> None:
        heard.append(absorbed)
        if len(heard) == 1:
            raise UNREADABLE

    writer.heard = hear

    # when two blocks are written
    first = await writer.write(draft("first"))
    second = await writer.write(draft("second"))

    # then both are held, one after the other
    assert [block.header.seq for block in (first, second)] == [1, 2]
    assert second.header.previous == first.id
    assert await store.read((OURS.public, SOCIAL), 1, 9) == [first, second]
    (log,) = [log for log in await store.logs() if log.number == SOCIAL]
    assert (log.fork, log.head) == (None, 2)
    assert await store.check() == []
    assert len(heard) == 2


async def test_what_is_written_is_noticed_in_order_once_a_read_works_again() -> None:
    # given a device that lacks a body of its own, so that whatever it writes makes holdings read
    device, store = Device(), FailingStore()
    device.write("first")
    key = (device.public, SOCIAL)
    batch = Batch(runs=[run_of([device.root]), run_of(without_bodies(device.logs[SOCIAL]))])
    await store.absorb(batch, seen=0, durable=True)
    policy = Policy(device.public, device.person.signing.public)
    holdings, writer = await Holdings.open(store, policy), await writer_of(store)
    writer.heard, heads = holdings.learn, list[int]()
    holdings.listen(lambda _: heads.append(holdings.catalogue.logs[key].head))

    # when a read fails after the first of two blocks was written
    store.fails = True
    first = await writer.write(draft("second"))
    assert (store.fails, heads) == (False, [])
    second = await writer.write(draft("third"))

    # then both are noticed, one after the other
    assert [block.header.seq for block in (first, second)] == heads == [2, 3]
    anew = (await Holdings.open(store, policy)).catalogue
    assert holdings.catalogue.lsn == anew.lsn
    assert holdings.catalogue.standing(key) == anew.standing(key)


class SlowStore(MemoryStore):
    """A store that lets others go on while it is read."""

    @override
    async def bodiless(self, key: LogKey, *, limit: int = 256) -> list[int]:
        for _ in range(5):
            await asyncio.sleep(0)
        return await super().bodiless(key, limit=limit)


async def test_what_others_bring_and_what_is_written_at_once_are_both_noticed_once() -> None:
    store, me, other = SlowStore(), Device(1, 1), Device(2, 2)
    holdings = await Holdings.open(store, Policy(me.public, me.person.signing.public))
    await holdings.absorb(Batch(runs=[run_of(me.logs[0])]), seen=WHEN, durable=True)
    heads = Heads.of(me.keys.signing, await store.logs())
    writer = Writer(store, heads, lambda: WHEN, holdings.learn)
    bare = [block._replace(body=None) for block in other.write_many(3)]

    await asyncio.gather(
        holdings.absorb(Batch(runs=[run_of(bare)]), seen=WHEN, durable=False),
        writer.write(Draft(SOCIAL, KIND, make_body("a"))),
    )
    await writer.close()

    anew = (await Holdings.open(store, holdings.policy)).catalogue
    known = holdings.catalogue
    assert known.lsn == anew.lsn == 3
    assert {key: known.standing(key) for key in known.logs} == {
        key: anew.standing(key) for key in anew.logs
    }
