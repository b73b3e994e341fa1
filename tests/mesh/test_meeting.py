import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import nextafter
from pathlib import Path

import pytest

from gossip.control import Hello
from gossip.effects import End
from gossip.notes import seen_note
from gossip.policy import Limits, Peer, Policy
from gossip.session import State
from gossip.wire import encode_message
from ledger.errors import StoreError
from ledger.store.base import Absorbed, Batch
from ledger.store.sqlite import SqliteStore
from mesh.holdings import Holdings
from mesh.meeting import Meeting, Outcome, open_meeting
from mesh.writer import Draft, Heads, Writer
from tests.gossip.meetings import BINDING, Node
from tests.strategies import Device, device_keys, make_body, material, person_key, run_of
from tests.virtual_time import run_virtual
from transports.base import Link
from transports.memory import MemoryLink


def meeting(
    node: Node,
    link: MemoryLink,
    peer: Peer | None = None,
    steady: Callable[[], float] | None = None,
) -> Meeting:
    return Meeting(
        link,
        node.holdings,
        node.holdings,
        clock=lambda: 0,
        binding=BINDING,
        is_initiator=node.number == 1,
        secret=bytes(32),
        peer=peer,
        steady=steady,
    )


async def both(left: Meeting, right: Meeting) -> tuple[Outcome, Outcome]:
    one, other = await asyncio.gather(left.hold(), right.hold())
    return one, other


def test_two_nodes_meet_over_a_link_and_become_equal() -> None:
    # given two nodes with posts of their own
    left, right = Node(1), Node(2)
    for number in range(30):
        left.write(f"left {number}")
    right.write("right")

    async def scenario() -> tuple[Outcome, Outcome]:
        here, there = MemoryLink.pair(latency=0.05)
        return await both(meeting(left, here, right.peer), meeting(right, there, left.peer))

    # when they meet
    (one, other), _ = run_virtual(scenario())
    # then both are through and hold the same
    assert (one.end, other.end) == (End.DONE, End.DONE)
    assert left.ids() == right.ids()
    assert (one.counts.new, other.counts.new) == (2, 31)


def test_a_peer_that_never_greets_costs_ten_seconds() -> None:
    node = Node(1)

    async def scenario() -> Outcome:
        here, there = MemoryLink.pair()
        outcome = await meeting(node, here).hold()
        await there.close()
        return outcome

    outcome, seconds = run_virtual(scenario())
    assert outcome.end is End.SILENT
    assert seconds == pytest.approx(Limits().greeting)


def test_a_clock_that_rounds_otherwise_than_the_loops_does_not_keep_a_node_busy() -> None:
    node = Node(1)
    asked = 0

    async def scenario() -> Outcome:
        loop = asyncio.get_running_loop()

        def behind() -> float:
            nonlocal asked
            asked += 1
            assert asked < 100
            is_due = abs(loop.time() - Limits().greeting) < 1e-6
            return nextafter(Limits().greeting, 0) if is_due else loop.time()

        here, there = MemoryLink.pair()
        outcome = await meeting(node, here, steady=behind).hold()
        await there.close()
        return outcome

    outcome, _ = run_virtual(scenario())
    assert outcome.end is End.SILENT


def test_while_nothing_happens_a_meeting_has_only_the_task_that_holds_it() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("a post")

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.1)
        meetings = meeting(left, here, right.peer), meeting(right, there, left.peer)
        tasks = {asyncio.create_task(one.hold()) for one in meetings}
        await asyncio.sleep(60)
        assert {one.session.state for one in meetings} == {State.LIVE}
        assert asyncio.all_tasks() - {asyncio.current_task()} == tasks
        # and none is left, nor a timer, once they are over
        for one in meetings:
            one.stop()
        await asyncio.gather(*tasks)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not any(one._timer is not None and not one._timer.cancelled() for one in meetings)

    run_virtual(scenario())


@pytest.mark.parametrize("turns", range(1, 6))
def test_news_that_come_while_a_meeting_is_being_cancelled_harm_nobody(turns: int) -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("before")

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.01)
        meetings = meeting(left, here, right.peer), meeting(right, there, left.peer)
        tasks = [asyncio.create_task(one.hold()) for one in meetings]
        await asyncio.sleep(5)
        # something is being written, and will not be
        left.write("news")
        tasks[0].cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        left.write("more news")  # of which the meetings of this node are told
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(scenario())


@pytest.mark.parametrize("turns", range(1, 6))
def test_news_that_come_while_a_meeting_fails_harm_nobody(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = Node(1, live=True), Node(2, live=True)

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.01)
        meetings = meeting(left, here, right.peer), meeting(right, there, left.peer)
        tasks = [asyncio.create_task(one.hold()) for one in meetings]
        await asyncio.sleep(5)

        async def fail(_: bytes) -> None:
            raise RuntimeError("what should never be")

        monkeypatch.setattr(here, "send", fail)
        left.write("news")
        for _ in range(turns):
            await asyncio.sleep(0)
        left.write("more news")  # of which the meetings of this node are told
        with pytest.raises(ExceptionGroup):
            await tasks[0]
        await tasks[1]

    run_virtual(scenario())


def test_a_peer_that_breaks_the_protocol_is_left_and_the_reason_is_told() -> None:
    node = Node(1)

    async def scenario() -> Outcome:
        here, there = MemoryLink.pair()
        holding = asyncio.create_task(meeting(node, here).hold())
        await there.send(b"\xff")
        return await holding

    outcome, _ = run_virtual(scenario())
    assert outcome.end is End.HOSTILE
    assert outcome.detail


def test_a_meeting_that_is_cancelled_keeps_what_came_and_closes_its_link() -> None:
    # given a node with many posts, and a slow link
    left, right = Node(1), Node(2)
    for number in range(400):
        left.write("a post of some length " * 20 + str(number))

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.01, bandwidth=50_000)
        giving = asyncio.create_task(meeting(left, here).hold())
        taking = asyncio.create_task(meeting(right, there).hold())
        # when the taker is cancelled in the middle
        await asyncio.sleep(3)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        # then the giver sees the link end
        assert (await giving).end is End.LOST

    run_virtual(scenario())
    # and what came is held
    held = sum(map(len, right.ids().values()))
    assert 0 < held < 401
    assert all(log.joined for log in right.holdings.catalogue.logs.values())


def test_a_post_written_during_a_live_meeting_is_there_half_a_second_later() -> None:
    left, right = Node(1, live=True), Node(2, live=True)
    left.write("before")

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.1)
        meetings = meeting(left, here, right.peer), meeting(right, there, left.peer)
        tasks = [asyncio.create_task(one.hold()) for one in meetings]
        await asyncio.sleep(5)
        assert {one.session.state for one in meetings} == {State.LIVE}
        # when one writes
        block = left.device.write("now")
        await left.holdings.absorb(Batch(runs=[run_of([block])]), seen=0, durable=True)
        await asyncio.sleep(0.5)
        # then the other holds it
        assert block.id in right.ids()[block.header.author, 1]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(scenario())


def test_a_reader_that_stops_reading_does_not_make_the_other_side_grow() -> None:
    # given a node that is asked for everything by a peer that never reads
    node = Node(1)
    for number in range(300):
        node.write("x" * 4_000 + str(number))

    async def scenario() -> tuple[Outcome, int]:
        here, there = MemoryLink.pair(window=1_000)
        driven = meeting(node, here)
        holding = asyncio.create_task(driven.hold())
        hello = Hello((1,), 0, 65_000, 1 << 30, None, None)
        await there.send(encode_message(hello))
        await asyncio.sleep(5)
        most = len(driven._frames)
        await there.close()
        return await holding, most

    (outcome, most), _ = run_virtual(scenario())
    assert outcome.end is End.LOST
    assert most <= 4


# --- with stores on disk ------------------------------------------------------------------------


class Home:
    """A device with a store on disk and a writer."""

    def __init__(self, number: int, store: SqliteStore, holdings: Holdings, writer: Writer) -> None:
        self.number = number
        self.peer = Peer(device_keys(number).public, person_key(number).signing.public)
        self.store = store
        self.holdings = holdings
        self.writer = writer

    async def meet(self, link: Link, peer: Peer) -> Outcome:
        meeting = await open_meeting(
            link,
            self.holdings,
            self.store,
            self.writer,
            clock=lambda: 0,
            binding=BINDING,
            is_initiator=self.number == 1,
            secret=bytes(32),
            peer=peer,
        )
        return await meeting.hold()


@asynccontextmanager
async def home(folder: Path, number: int, *, live: bool = False) -> AsyncIterator[Home]:
    keys = device_keys(number)
    path = folder / f"{number}.db"
    store = await SqliteStore.open(path, new_run=lambda: material(f"run {number}", 8))
    try:
        if not await store.logs():
            root = run_of(Device(number, number).logs[0])
            await store.absorb(Batch(runs=[root]), seen=0, durable=True)
        person = person_key(number).signing.public
        holdings = await Holdings.open(store, Policy(keys.public, person, live=live))
        heads = Heads.of(keys.signing, await store.logs())
        yield Home(number, store, holdings, Writer(store, heads, lambda: 0, holdings.learn))
    finally:
        await store.close()


async def test_homes_on_disk_meet_and_the_next_meeting_is_two_hellos(tmp_path: Path) -> None:
    async with home(tmp_path, 1) as left, home(tmp_path, 2) as right:
        for number in range(20):
            await left.writer.write(Draft(1, "post", make_body(f"post {number}")))
        # when they meet twice
        outcomes: list[Outcome] = []
        for _ in range(2):
            here, there = MemoryLink.pair()
            outcomes += await asyncio.gather(
                left.meet(here, right.peer), right.meet(there, left.peer)
            )
        assert {outcome.end for outcome in outcomes} == {End.DONE}
        # then both hold all, and the second time nothing was said but HELLO and BYE
        assert [log.head for log in await right.store.logs()] == [
            log.head for log in await left.store.logs()
        ]
        counts = outcomes[-1].counts
        assert counts.frames_in == counts.frames_out == 2
        assert counts.bytes_in + counts.bytes_out <= 150
        assert await right.store.note(seen_note(left.peer.device)) is not None


async def test_what_the_writer_writes_is_announced_to_a_live_meeting(tmp_path: Path) -> None:
    async with home(tmp_path, 1, live=True) as left, home(tmp_path, 2, live=True) as right:
        here, there = MemoryLink.pair()
        tasks = [
            asyncio.create_task(left.meet(here, right.peer)),
            asyncio.create_task(right.meet(there, left.peer)),
        ]
        arrived = asyncio.Event()
        right.holdings.listen(lambda logs: arrived.set() if (left.peer.device, 1) in logs else None)
        await left.writer.write(Draft(1, "post", make_body("live")))
        async with asyncio.timeout(30):
            await arrived.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FullDisk:
    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        raise StoreError(f"no room for {len(batch.runs)} runs, {seen}, {durable}; make some")


def test_a_store_that_fails_ends_the_meeting_with_its_error() -> None:
    left, right = Node(1), Node(2)
    left.write("a post")

    async def scenario() -> tuple[BaseException | Outcome, BaseException | Outcome]:
        here, there = MemoryLink.pair()
        failing = Meeting(
            there,
            right.holdings,
            FullDisk(),
            clock=lambda: 0,
            binding=BINDING,
            is_initiator=False,
            secret=bytes(32),
        )
        one, other = await asyncio.gather(
            meeting(left, here).hold(), failing.hold(), return_exceptions=True
        )
        return one, other

    (one, other), _ = run_virtual(scenario())
    assert isinstance(other, StoreError)
    assert isinstance(one, Outcome)
    assert one.end is End.LOST
