"""A device's own writing: durable before it counts, in groups, and no seq is ever used twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

from ledger.block import MAX_BODY_BYTES, Block
from ledger.errors import InvalidError, StoreError
from ledger.kinds.post import KIND
from ledger.store.base import ROLLED_BACK, Absorbed, Batch
from ledger.store.memory import MemoryStore
from mesh.writer import MAX_GROUP, Draft, Heads, RolledBackError, Writer
from tests.gossip.held import WHEN
from tests.ledger.stores import log_of
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, device_keys, make_body, run_of

KEY = device_keys().signing
FULL = StoreError("the disk is full; free some space and try again, nothing was lost")
Settle: TypeAlias = Callable[[], Awaitable[None]]


class GatedStore(MemoryStore):
    """A store whose commits wait until they are let through.

    Attributes:
        gate: Closed: commits wait.
        groups: Blocks in each commit that began, in order.
        failures: What the next commits fail with, after they were let through.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.groups: list[int] = []
        self.failures: list[BaseException] = []

    @override
    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        assert durable
        assert seen == WHEN
        self.groups.append(sum(len(run.blocks) for run in batch.runs))
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return await super().absorb(batch, seen=seen, durable=durable)


@pytest.fixture
async def store() -> GatedStore:
    """Give a store that holds a device block and nothing else."""
    kept = GatedStore()
    await MemoryStore.absorb(kept, Batch(runs=[run_of([Device().root])]), seen=0, durable=True)
    return kept


@pytest.fixture
async def writer(store: GatedStore) -> Writer:
    """Give the writer of that device."""
    return Writer(store, Heads.of(KEY, await store.logs()), lambda: WHEN)


def draft(text: str = "", log: int = SOCIAL) -> Draft:
    return Draft(log, KIND, make_body(text))


def write(writer: Writer, count: int = 1) -> list[asyncio.Task[Block]]:
    return [asyncio.create_task(writer.write(draft(str(n)))) for n in range(count)]


async def settle() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def held(store: MemoryStore) -> list[Block]:
    return await store.read((KEY.public, SOCIAL), 1, 1 << 40, limit=1 << 30)


async def assert_whole(store: MemoryStore, blocks: int) -> None:
    """Check that the social log has no gap, no fork and so many blocks."""
    assert await store.check() == []
    log = await log_of(store, (KEY.public, SOCIAL))
    assert (log.fork, log.head, log.detached) == (None, blocks, ())


# --- agreement ----------------------------------------------------------------------------------


async def test_what_is_written_is_signed_linked_and_held(store: GatedStore, writer: Writer) -> None:
    first, second = [await writer.write(draft(text)) for text in ("a", "b")]
    other = await writer.write(draft("c", log=GROUP))
    assert [block.header.seq for block in (first, second, other)] == [1, 2, 1]
    assert first.header.previous == other.header.previous == Device().root.id
    assert second.header.previous == first.id
    assert await held(store) == [first, second]
    await assert_whole(store, 2)


async def test_log_0_goes_on_after_the_device_block(writer: Writer) -> None:
    block = await writer.write(draft(log=IDENTITY))
    assert (block.header.seq, block.header.previous) == (2, Device().root.id)


async def test_a_writer_goes_on_where_the_store_ends(store: GatedStore, writer: Writer) -> None:
    blocks = [await task for task in write(writer, 5)]
    again = Writer(store, Heads.of(KEY, await store.logs()), lambda: WHEN)
    block = await again.write(draft())
    assert (block.header.seq, block.header.previous) == (6, blocks[-1].id)


async def test_nothing_is_returned_before_it_is_on_the_disk(
    store: GatedStore, writer: Writer
) -> None:
    store.gate.clear()
    (task,) = write(writer)
    await settle()
    assert not task.done()
    assert await held(store) == []
    store.gate.set()
    assert [await task] == await held(store)


# --- economy ------------------------------------------------------------------------------------


async def test_who_writes_during_a_commit_is_in_the_next_one(
    store: GatedStore, writer: Writer
) -> None:
    # given a commit under way
    store.gate.clear()
    tasks = write(writer)
    await settle()
    # when a hundred more write
    tasks += write(writer, 100)
    await settle()
    assert store.groups == [1]
    store.gate.set()
    blocks = await asyncio.gather(*tasks)
    # then all of them share one commit, in the order they came
    assert store.groups == [1, 100]
    assert [block.header.seq for block in blocks] == list(range(1, 102))


async def test_a_commit_takes_no_more_than_a_group(store: GatedStore, writer: Writer) -> None:
    await asyncio.gather(*write(writer, 2 * MAX_GROUP + 3))
    assert store.groups == [MAX_GROUP, MAX_GROUP, 3]
    await assert_whole(store, 2 * MAX_GROUP + 3)


async def test_who_writes_alone_waits_for_nobody(store: GatedStore, writer: Writer) -> None:
    for _ in range(3):
        await writer.write(draft())
    assert store.groups == [1, 1, 1]


# --- callers that go away -----------------------------------------------------------------------


@pytest.mark.parametrize("gone", [[0], [3], [0, 1, 2, 3, 4]])
async def test_a_seq_whose_writer_was_cancelled_is_not_used_again(
    store: GatedStore, writer: Writer, gone: list[int]
) -> None:
    # given five that wait for one commit
    store.gate.clear()
    tasks = write(writer, 5)
    await settle()
    # when some of them are cancelled, and another comes
    for number in gone:
        tasks[number].cancel()
    await settle()
    later = write(writer)[0]
    store.gate.set()
    # then the block that comes next follows all five
    assert (await later).header.seq == 6
    for number, task in enumerate(tasks):
        if number in gone:
            assert task.cancelled()
        else:
            assert (await task).header.seq == number + 1
    await assert_whole(store, 6)


async def test_closing_waits_for_what_is_being_written(store: GatedStore, writer: Writer) -> None:
    store.gate.clear()
    (task,) = write(writer)
    await settle()
    task.cancel()
    closing = asyncio.create_task(writer.close())
    await settle()
    assert not closing.done()
    store.gate.set()
    await closing
    await assert_whole(store, 1)


async def test_closing_a_writer_that_never_wrote_is_nothing(writer: Writer) -> None:
    await writer.close()


# --- refusal ------------------------------------------------------------------------------------


async def test_a_store_that_fails_fails_all_who_wait_and_uses_no_seq(
    store: GatedStore, writer: Writer
) -> None:
    # given a full disk
    await writer.write(draft())
    store.failures = [FULL]
    # when many write
    outcomes = await asyncio.gather(*write(writer, 10), return_exceptions=True)
    # then all are told so
    assert outcomes == [FULL] * 10
    # and the next one, for which there is room, follows without a gap
    assert (await writer.write(draft())).header.seq == 2
    await assert_whole(store, 2)


async def test_who_waits_behind_a_commit_that_fails_is_tried_on_its_own(
    store: GatedStore, writer: Writer
) -> None:
    store.gate.clear()
    store.failures = [FULL]
    (first,) = write(writer)
    await settle()
    second, third = write(writer, 2)
    await settle()
    store.gate.set()
    with pytest.raises(StoreError, match="full"):
        await first
    assert [(await task).header.seq for task in (second, third)] == [1, 2]
    await assert_whole(store, 2)


@pytest.mark.parametrize("failure", [ZeroDivisionError("a bug"), OSError(5, "broken")])
async def test_a_failure_that_nobody_foresaw_leaves_nobody_waiting(
    store: GatedStore, writer: Writer, failure: Exception
) -> None:
    store.gate.clear()
    store.failures = [failure]
    first = write(writer)
    await settle()
    more = write(writer, 3)
    await settle()
    store.gate.set()
    outcomes = await asyncio.wait_for(
        asyncio.gather(*first, *more, return_exceptions=True), timeout=5
    )
    assert outcomes == [failure] * 4
    assert (await writer.write(draft())).header.seq == 1
    await writer.close()
    await assert_whole(store, 1)


async def test_a_device_that_was_rolled_back_writes_no_more(
    store: GatedStore, writer: Writer
) -> None:
    await store.set_note(ROLLED_BACK, b"\x01")
    with pytest.raises(RolledBackError, match="passalong restore") as refusal:
        await writer.write(draft())
    assert len(str(refusal.value).splitlines()) == 1
    assert store.groups == []


async def test_who_waits_when_a_rollback_is_noticed_writes_no_more(
    store: GatedStore, writer: Writer
) -> None:
    # given a store that holds less than its device wrote, which nobody knows yet
    device = Device()
    device.write_many(3, "before the rollback")
    lost = Batch(runs=[run_of(device.logs[SOCIAL])], own=KEY.public)
    # when someone brings the rest just as a post is on its way
    task = write(writer)[0]
    await asyncio.sleep(0)
    await MemoryStore.absorb(store, lost, seen=WHEN, durable=True)
    # then the post is refused, and there is no fork
    with pytest.raises(RolledBackError):
        await task
    await assert_whole(store, 3)


async def test_what_others_bring_is_not_taken_in_the_middle_of_a_commit(
    store: GatedStore, writer: Writer
) -> None:
    # given a commit under way
    store.gate.clear()
    (task,) = write(writer)
    await settle()
    # when others bring something, and more is written
    other = Batch(runs=[run_of([Device(5).root])])
    taking = asyncio.create_task(writer.absorb(other, seen=WHEN, durable=True))
    later = write(writer, 2)
    await settle()
    assert store.groups == [1]
    store.gate.set()
    # then one goes after the other
    assert [block.header.seq for block in await asyncio.gather(task, *later)] == [1, 2, 3]
    assert (await taking).new == 1
    assert store.groups == [1, 1, 2]


async def test_a_body_that_is_too_long_is_refused_and_harms_nobody(
    store: GatedStore, writer: Writer
) -> None:
    large = asyncio.create_task(writer.write(Draft(SOCIAL, KIND, bytes(MAX_BODY_BYTES + 1))))
    other = write(writer)[0]
    with pytest.raises(InvalidError, match="16385 bytes where 16384 fit; shorten it"):
        await large
    assert (await other).header.seq == 1
    assert (await writer.write(Draft(SOCIAL, KIND, bytes(MAX_BODY_BYTES)))).header.seq == 2
    await assert_whole(store, 2)


async def test_a_draft_that_makes_no_block_harms_nobody(store: GatedStore, writer: Writer) -> None:
    wrong = asyncio.create_task(writer.write(Draft(SOCIAL, "No Kind!", b"")))
    other = write(writer)[0]
    with pytest.raises(InvalidError):
        await wrong
    assert (await other).header.seq == 1
    await assert_whole(store, 1)


async def test_what_is_taken_in_is_finished_before_the_writer_is_closed(
    store: GatedStore, writer: Writer
) -> None:
    store.gate.clear()
    blocks = Device(1, 1).write_many(3)
    taking = asyncio.create_task(
        writer.absorb(Batch(runs=[run_of(blocks)]), seen=WHEN, durable=True)
    )
    await settle()
    taking.cancel()
    closing = asyncio.create_task(writer.close())
    await settle()
    assert not closing.done()

    store.gate.set()
    await closing

    taken = await store.read((blocks[0].header.author, SOCIAL), 1, 3, limit=3)
    assert [block.id for block in taken] == [block.id for block in blocks]


async def test_what_is_taken_in_is_finished_though_it_had_not_yet_begun(
    store: GatedStore, writer: Writer
) -> None:
    blocks = Device(1, 1).write_many(3)
    taking = asyncio.create_task(
        writer.absorb(Batch(runs=[run_of(blocks)]), seen=WHEN, durable=True)
    )
    await asyncio.sleep(0)
    taking.cancel()

    await writer.close()

    assert len(await store.read((blocks[0].header.author, SOCIAL), 1, 3, limit=3)) == 3
