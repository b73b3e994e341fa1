"""What is kept in mind of who is who is what one would find by reading everything anew."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter as Tally
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from gossip.policy import Quota
from ledger.errors import StoreError
from ledger.kinds.profile import KIND as PROFILE
from ledger.kinds.profile import Profile
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch, Floor, LateBody
from ledger.store.memory import MemoryStore
from ledger.views.people import Census
from mesh.device_secrets import Secrets
from mesh.node import Node, Surroundings
from mesh.register import PAGE_BLOCKS, Register
from mesh.writer import Draft, Heads, Writer
from tests.gossip.held import WHEN
from tests.ledger.stores import live, open_sqlite, proof_of, runs, without_bodies
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, device_keys, forked, run_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
    from pathlib import Path

    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import Entry, LogKey, Span, Store
    from ledger.store.sqlite import SqliteStore
    from ledger.views.people import People
    from mesh.vault import Vault

SALT = bytes(range(16))
SEQS = 8
"""Further than any log of these tests goes."""
UNREADABLE = StoreError("the disk cannot be read")


def profile(device: Device, name: str, time: int = 1) -> Block:
    return device.write(kind=PROFILE, body=Profile(time, name).encode(SALT))


def facts(people: People, keys: Sequence[LogKey]) -> object:
    """Return all that one may ask."""
    devices = sorted({device for device, _ in keys})
    return (
        [(one, people.profile(one), people.devices(one)) for one in people],
        [(people.person(d), people.sealing(d), people.weights.is_revoked(d)) for d in devices],
        [[people.weights.reason(*key, seq) for seq in range(1, SEQS)] for key in keys],
    )


async def read_anew(store: Store) -> People:
    logs = await store.logs()
    forks = {(log.author, log.number): log.fork for log in logs if log.fork is not None}
    census = Census(forks, await store.revocations())
    async for page in store.entries():
        census.add(page)
    return census.people()


async def assert_right(register: Register, store: Store) -> None:
    keys = [(log.author, log.number) for log in await store.logs()]
    people = await register.people()
    assert facts(people, keys) == facts(await read_anew(store), keys)


def _logs(number: int, owner: int) -> list[list[Block]]:
    """Return the logs of a device and of its copy; they show another name each time, or post."""
    device = Device(number, owner)
    for time in (1, 2):
        profile(device, f"{number} {time}", time)
    twin = device.twin()
    for one, what in ((device, "original"), (twin, "copy")):
        one.write(what)
        profile(one, f"{number} {what}", 3)
    device.write(log=GROUP)
    return [*device.logs.values(), twin.logs[SOCIAL]]


DEVICES = ((1, 1), (2, 1), (3, 3))
"""Two devices of one person, and one of another."""
LOGS = {
    (number, at): log for number, owner in DEVICES for at, log in enumerate(_logs(number, owner))
}
ORIGINAL, COPY = 1, 3
a_log = st.sampled_from(sorted(LOGS))
a_device = st.sampled_from(DEVICES)


@st.composite
def stretches(draw: st.DrawFn) -> Sequence[Block]:
    blocks = LOGS[draw(a_log)]
    low, high = sorted(draw(st.tuples(*[st.integers(0, len(blocks) - 1)] * 2)))
    return blocks[low : high + 1]


@st.composite
def statements(draw: st.DrawFn) -> Revocation:
    (number, owner), at = draw(a_device), draw(st.integers(0, 3))
    first, last = LOGS[number, 0][0], LOGS[number, draw(st.sampled_from([ORIGINAL, COPY]))][at]
    cuts = [Cut(block.header.log, block.header.seq, block.id) for block in (first, last)]
    return Revocation.sign(Device(number, owner).person, first.header.author, cuts)


def _proof(device: tuple[int, int]) -> Batch:
    ours, theirs = (LOGS[device[0], at] for at in (ORIGINAL, COPY))
    return Batch(proofs=[proof_of(ours[2:], theirs[2:])])


def _bodies(blocks: Sequence[Block]) -> Batch:
    return Batch(bodies=[LateBody(*block.header[:3], block.body or b"") for block in blocks])


def _let_go(device: tuple[int, int], log: int, seq: int) -> Batch:
    return Batch(floors={(Device(*device).public, log): Floor(seq, 1)})


arriving = st.one_of(
    a_log.map(lambda key: runs(run_of(LOGS[key]))),
    stretches().map(lambda blocks: runs(run_of(blocks))),
    stretches().map(lambda blocks: runs(without_bodies(run_of(blocks)))),
    stretches().map(_bodies),
    st.lists(stretches(), max_size=4).map(lambda some: runs(*map(run_of, some))),
)
rare = st.one_of(
    a_device.map(_proof),
    statements().map(lambda statement: Batch(revocations=[statement])),
    st.builds(_let_go, a_device, st.sampled_from([IDENTITY, SOCIAL]), st.integers(1, 5)),
    st.just(Batch(lift=True)),
)
steps = st.lists(st.tuples(st.one_of(arriving, arriving, rare), st.booleans()), max_size=16)
Step = tuple[Batch, bool]


async def follow(store: Store, steps: Sequence[Step]) -> None:
    """Give a store one batch after the other, and ask after some of them, and at last."""
    register = Register(store)
    await register.people()
    for batch, asks in steps:
        await store.absorb(batch, seen=0, durable=False)
        if asks:
            await assert_right(register, store)
    await assert_right(register, store)


@settings(max_examples=4 * settings().max_examples)
@given(steps)
def test_what_is_kept_in_mind_is_what_one_would_read(steps: list[Step]) -> None:
    live(follow(MemoryStore(), steps))


@given(steps)
def test_so_it_is_with_a_store_on_disk(steps: list[Step]) -> None:
    async def scenario() -> None:
        store = await open_sqlite()
        try:
            await follow(store, steps)
        finally:
            await store.close()

    live(scenario())


# --- a store that is looked over the shoulder of ------------------------------------------------


async def nothing(_: str) -> None:
    """Happen."""


class Watched(MemoryStore):
    """A store that counts what it is asked.

    Attributes:
        calls: How often each read was begun.
        asked: The spans of each ``read_spans``.
        meanwhile: Awaited when a read of that name has read, before it answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tally[str] = Tally()
        self.asked: list[list[tuple[LogKey, int, int]]] = []
        self.meanwhile: Callable[[str], Awaitable[None]] = nothing

    @override
    async def logs(self, keys: Collection[LogKey] | None = None) -> list[Log]:
        self.calls["logs"] += 1
        found = await super().logs(keys)
        await self.meanwhile("logs")
        return found

    @override
    async def revocations(self, devices: Collection[bytes] | None = None) -> list[Revocation]:
        self.calls["revocations"] += 1
        found = await super().revocations(devices)
        await self.meanwhile("revocations")
        return found

    @override
    async def read_spans(self, spans: Sequence[Span]) -> list[list[Block]]:
        self.calls["read_spans"] += 1
        self.asked.append([(span.key, span.low, span.high) for span in spans])
        found = await super().read_spans(spans)
        await self.meanwhile("read_spans")
        return found

    @override
    async def entries(
        self, log: int | None = None, *, kinds: Collection[str] | None = None, page: int = 512
    ) -> AsyncIterator[list[Entry]]:
        self.calls["entries"] += 1
        async for some in super().entries(log, kinds=kinds, page=page):
            yield some
            await self.meanwhile("entries")

    def once(self, read: str, do: Callable[[], Awaitable[object]]) -> None:
        """Have something happen in the middle of the next read of that name."""

        async def meanwhile(name: str) -> None:
            if name == read:
                self.meanwhile = nothing
                await do()

        self.meanwhile = meanwhile


async def give(store: Store, *logs: Sequence[Block]) -> None:
    await store.absorb(runs(*map(run_of, logs)), seen=0, durable=False)


async def town(*devices: Device) -> Watched:
    """Return a store that holds the devices' logs."""
    store = Watched()
    for device in devices:
        await give(store, *device.logs.values())
    return store


def ada() -> Device:
    device = Device(1)
    profile(device, "Ada")
    return device


def name(people: People, device: Device) -> str | None:
    return people.name(people.person(device.public))


async def asked(register: Register, store: Watched) -> tuple[People, Tally[str]]:
    """Ask; return the answer and what the store was asked for it."""
    store.calls.clear()
    store.asked.clear()
    return await register.people(), Tally(store.calls)


WHOLE = Tally(logs=1, revocations=1, entries=1)


async def test_the_store_is_read_once_and_then_only_what_came() -> None:
    phone = ada()
    store = await town(phone, Device(2, 2))
    register = Register(store)
    first, calls = await asked(register, store)
    assert calls == WHOLE
    # given that nothing came, nor what says nothing of anybody
    again, calls = await asked(register, store)
    await store.absorb(Batch(notes={"some": b"thing"}), seen=0, durable=False)
    await store.mark(phone.public, muted=True)
    third, calls_then = await asked(register, store)
    assert again is third is first
    assert calls == calls_then == Tally()
    # when a post comes, it alone is read
    await give(store, [phone.write("hello")])
    people, calls = await asked(register, store)
    assert calls == Tally(read_spans=1)
    assert store.asked == [[((phone.public, SOCIAL), 2, 2)]]
    assert people is not first
    assert (await asked(register, store))[1] == Tally()


async def test_a_node_keeps_it_in_mind_and_listens_to_nothing_before_it_is_asked() -> None:
    store, around = await town(ada()), Surroundings(lambda: WHEN, bytes, lambda: 0.0)
    writer = Writer(store, Heads.of(device_keys(1).signing, await store.logs()), around.now)
    link = Secrets(device_keys(1), b"", b"").link
    node = Node(store, link, cast("Vault", None), writer, around, Quota())
    store.calls.clear()
    await writer.write(Draft(SOCIAL, PROFILE, Profile(2, "Ada L.").encode(SALT)))
    assert (len(store._listeners), store.calls) == (0, Tally())
    assert name(await node.people(), Device(1)) == "Ada L."
    assert await node.people() is await node.people()
    await writer.write(Draft(SOCIAL, PROFILE, Profile(3, "Ada King").encode(SALT)))
    assert name(await node.people(), Device(1)) == "Ada King"
    assert store.calls == WHOLE + Tally(read_spans=1)
    assert len(store._listeners) == 1


# --- what may come ------------------------------------------------------------------------------


async def test_a_new_person_and_his_late_bodies_are_read_alone() -> None:
    store, bob = await town(ada()), Device(2, 2)
    said = profile(bob, "Bob")
    register = Register(store)
    await register.people()
    # given headers alone
    headers = [without_bodies(run_of(bob.logs[log])) for log in (IDENTITY, SOCIAL)]
    await store.absorb(runs(*headers), seen=0, durable=False)
    people, calls = await asked(register, store)
    assert people.person(bob.public) == bob.public
    assert calls == Tally(read_spans=1)
    # when their bodies come
    late = [LateBody(*block.header[:3], block.body or b"") for block in (bob.root, said)]
    await store.absorb(Batch(bodies=late), seen=0, durable=False)
    people, calls = await asked(register, store)
    assert name(people, bob) == "Bob"
    assert people.person(bob.public) == bob.person.signing.public
    assert calls == Tally(read_spans=1)


async def test_what_a_gap_kept_apart_counts_once_it_is_joined() -> None:
    phone = ada()
    profile(phone, "between", 2)
    profile(phone, "Ada L.", 3)
    blocks = phone.logs[SOCIAL]
    store = await town(Device(1))
    register = Register(store)
    await give(store, blocks[:1])
    assert name(await register.people(), phone) == "Ada"
    await give(store, blocks[2:])
    assert name(await register.people(), phone) == "Ada"
    await give(store, blocks[1:2])
    people, calls = await asked(register, store)
    assert name(people, phone) == "Ada L."
    assert calls == Tally(read_spans=1)


async def test_a_log_without_its_device_block_counts_once_that_came() -> None:
    phone = ada()
    store = await town(Device(2, 2))
    register = Register(store)
    await register.people()
    await give(store, phone.logs[SOCIAL])
    assert phone.public in await register.people()
    assert name(await register.people(), phone) is None
    await give(store, phone.logs[IDENTITY])
    assert name(await register.people(), phone) == "Ada"


def _fork() -> Batch:
    left, right = forked(2, 1, 1, number=1)
    return Batch(proofs=[proof_of(left[1:], right[1:])])


def _revocation() -> Batch:
    return Batch(revocations=[Revocation.sign(Device(1).person, Device(1).public, [])])


def _floor() -> Batch:
    return Batch(floors={(Device(1).public, SOCIAL): Floor(2, 1)})


@pytest.mark.parametrize("change", [_fork, _revocation, _floor])
async def test_what_takes_something_back_has_all_read_anew(change: Callable[[], Batch]) -> None:
    # given a person who shows himself twice
    phone = ada()
    profile(phone, "Ada L.", 2)
    store = await town(phone)
    register = Register(store)
    assert name(await register.people(), phone) == "Ada L."
    # when the second, or both, or what the second follows, is void
    await store.absorb(change(), seen=0, durable=False)
    people, calls = await asked(register, store)
    assert calls == WHOLE
    assert name(people, phone) == name(await read_anew(store), phone) != "Ada L."
    await assert_right(register, store)


async def test_a_statement_that_names_another_post_than_is_held_takes_back_the_whole_log() -> None:
    phone = ada()
    twin = phone.twin()
    post, other = phone.write("mine"), twin.write("a copy's")
    for named, shown in ((post, "Ada"), (other, None)):
        store = await town(phone)
        await store.absorb(_cut_at(phone, named), seen=0, durable=False)
        people, calls = await asked(Register(store), store)
        assert name(people, phone) == shown
        assert calls == WHOLE + Tally(read_spans=1)


def _cut_at(device: Device, last: Block) -> Batch:
    cuts = [Cut(block.header.log, block.header.seq, block.id) for block in (device.root, last)]
    return Batch(revocations=[Revocation.sign(device.person, device.public, cuts)])


async def test_what_is_held_behind_a_gap_says_nothing_against_a_statement() -> None:
    phone = ada()
    twin = phone.twin()
    named, held = ([device.write(text) for text in "abc"][2] for device in (phone, twin))
    store = await town(ada())
    await give(store, [held])
    await store.absorb(_cut_at(phone, named), seen=0, durable=False)
    people, _ = await asked(Register(store), store)
    assert name(people, phone) == "Ada"
    assert store.asked == [[((phone.public, IDENTITY), 1, 1)]]


async def test_who_has_only_branches_of_a_forked_log_is_known() -> None:
    left, right = forked(2, 2, 2, number=1)
    store = await town(Device(2, 2))
    await store.absorb(Batch(proofs=[proof_of(left[1:], right[1:])]), seen=0, durable=False)
    register = Register(store)
    assert Device(1).public not in await register.people()
    await give(store, left[1:])
    assert Device(1).public in await register.people()


# --- how much -----------------------------------------------------------------------------------


async def test_what_came_is_read_in_pages() -> None:
    phone, store = Device(1), await town(Device(1))
    register = Register(store)
    await register.people()
    blocks = phone.write_many(600)
    await give(store, blocks[:590])
    for block in blocks[590:]:
        await give(store, [block])
    await give(store, phone.write_many(200, log=GROUP))
    await register.people()
    spans = [[(low, high) for _, low, high in page] for page in store.asked]
    assert spans == [
        [(1, 256), (257, 512)],
        [(513, 590), *((seq, seq) for seq in range(591, 601)), (1, 200)],
    ]
    sizes = [sum(high - low + 1 for low, high in page) for page in spans]
    assert (sizes, PAGE_BLOCKS) == ([512, 288], 512)


async def test_no_page_has_more_spans_than_a_store_reads_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mesh.register._PAGE_SPANS", 3)
    phone, store = Device(1), await town(Device(1))
    register = Register(store)
    await register.people()
    for block in phone.write_many(7):
        await give(store, [block])
    await register.people()
    assert [len(page) for page in store.asked] == [3, 3, 1]


async def test_when_too_much_came_all_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.register.MAX_PENDING", 20)
    phone, store = Device(1), await town(Device(1))
    register = Register(store)
    await register.people()
    for number in (20, 20, 21, 20):
        for _ in range(number):
            await give(store, [phone.write()])
        assert len(register._pending) == number % 21
        calls = Tally(read_spans=1) if number == 20 else WHOLE
        assert (await asked(register, store))[1] == calls
        assert register._pending == []
    await assert_right(register, store)


# --- at the same time, and in vain --------------------------------------------------------------


async def test_those_who_ask_at_once_have_it_read_once() -> None:
    phone = ada()
    store = await town(phone)
    store.meanwhile = lambda _: asyncio.sleep(0)  # which lets the other go on
    register = Register(store)
    for calls in (WHOLE, Tally(read_spans=1)):
        store.calls.clear()
        one, other = await asyncio.gather(register.people(), register.people())
        assert one is other
        assert store.calls == calls
        await give(store, [phone.write()])


def _news() -> Batch:
    phone = ada()
    return runs(run_of([*phone.logs[SOCIAL], profile(phone, "Ada L.", 2)]))


CHANGES = pytest.mark.parametrize("change", [_fork, _revocation, _floor, _news])


@pytest.mark.parametrize("read", WHOLE)
@CHANGES
async def test_what_comes_while_all_is_read_is_not_lost(
    read: str, change: Callable[[], Batch]
) -> None:
    store = await town(ada())
    register = Register(store)
    store.once(read, lambda: store.absorb(change(), seen=0, durable=False))
    await register.people()
    assert store.meanwhile is nothing
    await assert_right(register, store)


@CHANGES
async def test_what_comes_while_the_new_is_read_is_not_lost(change: Callable[[], Batch]) -> None:
    store, bob = await town(ada()), Device(2, 2)
    register = Register(store)
    await register.people()
    await give(store, bob.logs[IDENTITY], [profile(bob, "Bob")])
    store.once("read_spans", lambda: store.absorb(change(), seen=0, durable=False))
    await register.people()
    assert store.meanwhile is nothing
    await assert_right(register, store)


async def fail() -> None:
    raise UNREADABLE


@pytest.mark.parametrize("read", WHOLE)
async def test_a_read_of_all_that_fails_is_done_again(read: str) -> None:
    store = await town(ada())
    register = Register(store)
    store.once(read, fail)
    with pytest.raises(StoreError, match="cannot be read"):
        await register.people()
    await give(store, Device(2, 2).logs[IDENTITY])
    _, calls = await asked(register, store)
    assert calls == WHOLE
    await assert_right(register, store)
    assert len(store._listeners) == 1


@pytest.fixture
async def on_disk(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(tmp_path / "store.db")
    yield store
    await store.close()


async def test_what_could_not_be_stored_is_not_said_until_it_is(
    on_disk: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = on_disk
    await give(store, *ada().logs.values())
    register, phone = Register(store), Device(1)
    asking: list[asyncio.Task[People]] = []

    async def full() -> None:
        """Have somebody ask, and find the disk full only once he waits or has his answer."""
        asking.append(asyncio.create_task(register.people()))
        while not (asking[0].done() or store._lock._waiters):  # noqa: ASYNC110  a lock tells nobody
            await asyncio.sleep(0)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store._db, "commit", full)
        with pytest.raises(StoreError):
            await store.absorb(_news(), seen=0, durable=False)
    assert name(await asking[0], phone) == "Ada"
    # when there is room for the same
    await store.absorb(_news(), seen=0, durable=False)
    assert name(await register.people(), phone) == "Ada L."
    await assert_right(register, store)


async def test_a_read_of_the_new_that_fails_goes_on_where_it_failed() -> None:
    phone = ada()
    store = await town(phone)
    register = Register(store)
    await register.people()
    phone.write_many(600)
    profile(phone, "Ada L.", 2)
    await give(store, phone.logs[SOCIAL][1:])

    async def second_page_fails(_: str) -> None:
        if store.calls["read_spans"] == 2:
            raise UNREADABLE

    store.meanwhile = second_page_fails
    with pytest.raises(StoreError, match="cannot be read"):
        await register.people()
    people, _ = await asked(register, store)
    key = (phone.public, SOCIAL)
    assert store.asked == [[(key, 514, 602)]]
    assert name(people, phone) == "Ada L."


@pytest.mark.parametrize("is_first", [True, False])
async def test_one_who_asked_and_went_away_takes_nothing_with_him(*, is_first: bool) -> None:
    # given one who asks, and another who waits for him
    phone, reading = ada(), asyncio.Event()
    store = await town(Device(1))
    register = Register(store)
    if not is_first:
        await register.people()
    await give(store, phone.logs[SOCIAL])

    async def for_ever() -> None:
        reading.set()
        await asyncio.Event().wait()

    store.once("entries" if is_first else "read_spans", for_ever)
    one, other = (asyncio.create_task(register.people()) for _ in range(2))
    await reading.wait()
    # when he is cancelled
    one.cancel()
    # then the other has his answer
    assert name(await other, phone) == "Ada"
    assert one.cancelled()
