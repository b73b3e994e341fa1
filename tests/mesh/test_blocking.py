"""What blocking somebody keeps out of files and meetings, and that it is had again afterwards."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.policy import Policy, Quota
from gossip.wire import Bodies, Data, Proofs, Statements, encode_message
from ledger.block import ZEROS, Counterparty
from ledger.statement import Revocation
from ledger.store.base import Batch, LateBody
from ledger.store.memory import MemoryStore
from mesh.readers import Bearer, policy_of
from mesh.sneakernet import export_bundle, import_bundle, inspect_bundle
from tests.gossip.held import WHEN, bundle, raw_run, varied
from tests.gossip.meetings import Meeting, meet, now_run
from tests.gossip.test_invariants import Watched
from tests.ledger.stores import everything
from tests.mesh.sticks import Carrier, ids
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    forked,
    make_block,
    make_body,
    material,
    person_key,
    run_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.wire import Bulk
    from ledger.store.base import Absorbed, Store
    from mesh.rows import Imported

EVE = person_key(40).signing.public
ME = Device(30, 30)
BLOCKING = Policy(ME.public, ME.person.signing.public, blocked=frozenset({EVE}))


def phone() -> Device:
    """A device of Eve's, with records, posts, and a group's."""
    device = Device(40, 40)
    device.write("asks", log=IDENTITY, counterparty=Counterparty(ZEROS, ZEROS))
    device.write_many(70, "from Eve")
    device.write_many(3, log=GROUP)
    return device


async def add_eve(store: Store) -> Store:
    """Add all that can be held of Eve: two devices, one of them forked, the other revoked."""
    device, (left, right) = phone(), forked(5, 3, 2, number=41)
    twin = Device(41, 40)
    for blocks in ([twin.root], *device.logs.values()):
        await store.absorb(Batch(runs=[run_of(blocks)]), seen=WHEN, durable=False)
    moved = [_of(twin, left), _of(twin, right)]
    for blocks in moved:
        await store.absorb(Batch(runs=[run_of(blocks)]), seen=WHEN, durable=False)
    gone = Revocation.sign(person_key(40), device.public, [])
    await store.absorb(Batch(revocations=[gone]), seen=WHEN, durable=False)
    assert len(await store.proofs()) >= 1
    return store


def _of(device: Device, blocks: Sequence[Any]) -> list[Any]:
    """Return posts of ``device`` in place of others, forked where they are."""
    twin = device.twin()
    return [twin.write(body=block.body) for block in blocks]


async def exported(store: Store, **how: Any) -> bytes:  # noqa: ANN401
    file = BytesIO()
    await export_bundle(store, file, **how)
    return file.getvalue()


async def taken(store: Store, raw: bytes, policy: Policy = BLOCKING) -> Imported:
    bearer = Bearer(store, ME.keys, policy, bytes)
    done = await import_bundle(store, BytesIO(raw), seen=WHEN, own=ME.public, bearer=bearer)
    assert await store.check() == []
    return done


def file_of(*messages: Bulk) -> bytes:
    return bundle([encode_message(message) for message in messages])


# --- what a node cares about --------------------------------------------------------------------


async def test_a_node_cares_about_whom_it_follows_and_blocks_and_mutes_nobody_for_others() -> None:
    store = MemoryStore()
    await store.mark(b"1" * 32, following=True)
    await store.mark(b"2" * 32, following=True, muted=True)
    await store.mark(b"3" * 32, muted=True)
    await store.mark(b"4" * 32, blocked=True)
    await store.mark(b"5" * 32, muted=True, blocked=True)
    policy = await policy_of(store, ME.public, EVE, Quota())
    assert policy == Policy(
        ME.public,
        EVE,
        followed=frozenset({b"1" * 32, b"2" * 32}),
        blocked=frozenset({b"4" * 32, b"5" * 32}),
    )


# --- what goes into files -----------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"max_bytes": 3_000}, {"max_bytes": 30_000}])
async def test_an_open_bundle_is_what_it_would_be_had_the_blocked_never_written(
    how: dict[str, int],
) -> None:
    without, whole = await varied(), await add_eve(await varied())
    assert await exported(whole, policy=BLOCKING, **how) == await exported(without, **how)
    # nor does his coming first change what others get
    first = await varied(await add_eve(MemoryStore()))
    assert await exported(first, policy=BLOCKING, **how) == await exported(without, **how)


async def test_who_blocks_nobody_gives_all() -> None:
    store = await add_eve(await varied())
    nobody = Policy(ME.public, ME.person.signing.public)
    assert await exported(store, policy=nobody) == await exported(store)
    assert len(await exported(store)) > len(await exported(store, policy=BLOCKING)) + 10_000


async def test_a_device_blocked_by_its_own_key_is_left_out() -> None:
    device = phone()
    policy = Policy(ME.public, ME.public, blocked=frozenset({device.public}))
    store = MemoryStore()
    # given that its log 0 is not held, so that nobody knows whose it is
    await store.absorb(Batch(runs=[run_of(device.logs[SOCIAL])]), seen=WHEN, durable=False)
    assert await exported(store, policy=policy) == await exported(MemoryStore())


@pytest.mark.parametrize("seal", [True, False])
async def test_a_bundle_for_readers_has_nothing_of_the_blocked_nor_evidence_about_him(
    *, seal: bool
) -> None:
    ann, ben = await Carrier(1).begin(5), await Carrier(2).begin()
    await add_eve(ann.store)
    ann.persons = dict.fromkeys((Device(40, 40).public, Device(41, 40).public), EVE)
    raw, open_to_ben = await ann.give(ben, seal=seal)
    found = inspect_bundle(BytesIO(raw), keys=ben.device.keys)
    assert (found.statements, found.proofs, open_to_ben.blocks > 80) == (1, 1, True)
    ann.blocked = frozenset({EVE})
    raw, done = await ann.give(ben, seal=seal)
    found = inspect_bundle(BytesIO(raw), keys=ben.device.keys)
    assert {log.author for log in found.logs} == {ann.public}
    assert (done.blocks, found.statements, found.proofs) == (6, 0, 0)
    await ben.take(raw)
    held = {log.author for log in await ben.store.logs()}
    assert held == {ann.public, ben.public}
    assert (await ben.store.proofs(), await ben.store.revocations()) == ([], [])


async def test_whom_a_reader_blocks_is_not_in_what_he_says_he_holds() -> None:
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    await add_eve(ann.store)
    ann.persons = dict.fromkeys((Device(40, 40).public, Device(41, 40).public), EVE)
    ann.blocked = frozenset({EVE})
    await ben.take((await ann.give(ben))[0])
    said = await ben.notes(ann)
    assert all(Device(40).public not in note for note in said if note)


# --- what comes out of files --------------------------------------------------------------------


async def test_of_a_blocked_person_who_is_known_nothing_is_taken_and_nothing_changes() -> None:
    raw = await exported(await add_eve(MemoryStore()))
    store = MemoryStore()
    roots = [run_of([Device(number, 40).root]) for number in (40, 41)]
    await store.absorb(Batch(runs=roots), seen=WHEN, durable=False)
    before = await everything(store)
    done = await taken(store, raw)
    assert await everything(store) == before
    assert (done.new_blocks, done.known_blocks, done.refused, done.complete) == (0, 0, 0, True)
    assert done.blocked == inspect_bundle(BytesIO(raw)).blocks


async def test_of_a_device_nobody_knows_log_0_is_taken_and_then_it_is_known() -> None:
    raw = await exported(await add_eve(await varied()))
    store = MemoryStore()
    first = await taken(store, raw)
    others = {log.author for log in await (await varied()).logs()}
    logs = {(log.author, log.number) for log in await store.logs() if log.author not in others}
    assert logs == {(Device(40).public, IDENTITY), (Device(41).public, IDENTITY)}
    # all others are as they would be without her
    alone = MemoryStore()
    await taken(alone, await exported(await varied()))
    theirs = {log for log in await store.logs() if log.author in others}
    assert theirs == set(await alone.logs())
    # and what comes of her later, without log 0, is hers
    again = await taken(store, raw)
    assert (first.new_blocks + first.blocked, again.new_blocks) == (
        inspect_bundle(BytesIO(raw)).blocks,
        0,
    )
    later = phone().write_many(2)[-2:]
    assert (await taken(store, file_of(Data([raw_run(later)])))).blocked == 2


@given(st.permutations(range(5)))
def test_in_whatever_order_her_messages_come_no_post_is_taken(order: list[int]) -> None:
    device = phone()
    bare = device.root._replace(body=None)
    log_0 = [bare, *device.logs[IDENTITY][1:]]
    messages: list[Bulk] = [
        Data([raw_run(log_0)]),
        Bodies([LateBody(device.public, IDENTITY, 1, device.root.body or b"")]),
        Data([raw_run(device.logs[SOCIAL])]),
        Data([raw_run(device.logs[GROUP])]),
        Bodies([LateBody(device.public, SOCIAL, 70, device.logs[SOCIAL][69].body or b"")]),
    ]

    async def scenario() -> None:
        store = MemoryStore()
        done = await taken(store, file_of(*(messages[at] for at in order)))
        (log,) = await store.logs()
        assert (log.author, log.number, log.bodies_missing) == (device.public, IDENTITY, 0)
        assert (done.new_blocks, done.blocked) == (2, 73)

    asyncio.run(scenario())


async def test_nobody_is_taken_for_the_blocked_by_a_body_that_is_not_his_own() -> None:
    # given a device of Ben's whose block came without its body
    ben, eve = Device(2, 2), phone()
    bare, posts = ben.root._replace(body=None), ben.write_many(3)
    store = MemoryStore()
    # when somebody gives Eve's body for it
    forged = Bodies([LateBody(ben.public, IDENTITY, 1, eve.root.body or b"")])
    done = await taken(store, file_of(Data([raw_run([bare])]), forged, Data([raw_run(posts)])))
    # then Ben's posts are taken all the same
    assert (done.new_blocks, done.blocked) == (4, 0)


async def test_nobody_is_taken_for_the_blocked_by_a_block_that_she_did_not_certify() -> None:
    keys = Device(3, 3).keys
    body = make_body(keys.sealing_public, EVE, bytes(64))
    root = make_block(keys.signing, IDENTITY, 1, ZEROS, body=body, kind="device")
    liar = Device(3, 3, {IDENTITY: [root]})
    posts = liar.write_many(3)
    store = MemoryStore()
    done = await taken(store, file_of(Data([raw_run([root]), raw_run(posts)])))
    assert (done.new_blocks, done.blocked) == (4, 0)
    assert len(await exported(store, policy=BLOCKING)) == len(await exported(store))


async def test_evidence_about_a_device_nobody_knows_is_taken_like_its_log_0() -> None:
    whole = await add_eve(MemoryStore())
    gone = await whole.revocations()
    said = Statements([(one.raw, one.signature) for one in gone])
    proofs = Proofs([one.encode() for one in await whole.proofs()])
    store = MemoryStore()
    await taken(store, file_of(said, proofs))
    # log 1 of a device nobody knows is anybody's, as in a meeting
    assert (await store.revocations(), await store.proofs()) == (gone, await whole.proofs())


async def test_who_is_unblocked_comes_again_by_sealed_bundles_and_nothing_else_does() -> None:
    # given two who exchanged everything, one of whom blocks Eve
    ann, ben = await Carrier(1).begin(20), await Carrier(2, blocked=frozenset({EVE})).begin(20)
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    device = phone()
    for blocks in device.logs.values():
        await ann.keep(run_of(blocks))
    raw, done = await ann.give(ben)
    took = await ben.take(raw)
    assert (done.blocks, took.new_blocks, took.blocked) == (75, 2, 73)
    # then what was declined counts as processed
    seen = await ben.seen(ann)
    assert seen is not None
    assert seen.ranges == ((1, (await ann.store.runs())[-1].last),)
    await ann.take((await ben.give(ann))[0])
    assert (await ann.give(ben))[1].blocks == 0
    # when she is unblocked, and Ben has said so by wanting all
    ben.blocked = frozenset()
    await ann.take((await ben.give(ann))[0])
    # then what is lacking comes, and no more
    raw, done = await ann.give(ben)
    took = await ben.take(raw)
    assert (done.blocks, took.new_blocks, took.known_blocks, took.blocked) == (73, 73, 0, 0)
    assert await ids(ben.store) == await ids(ann.store)


async def test_who_was_kept_from_a_reader_comes_to_him_once_unblocked() -> None:
    ann, ben = await Carrier(1).begin(20), await Carrier(2).begin(20)
    ann.blocked, ann.persons = frozenset({EVE}), {Device(40).public: EVE}
    for blocks in phone().logs.values():
        await ann.keep(run_of(blocks))
    for _ in range(2):
        await ben.take((await ann.give(ben))[0])
        await ann.take((await ben.give(ann))[0])
    assert (await ann.give(ben))[1].blocks == 0
    ann.blocked = frozenset()
    took = await ben.take((await ann.give(ben))[0])
    # what he knew of her store is void, so all that he may have comes, once
    assert (took.new_blocks, took.known_blocks) == (75, 42)
    assert await ids(ben.store) == await ids(ann.store)
    await ann.take((await ben.give(ann))[0])
    assert (await ann.give(ben))[1].blocks == 0


class Counting(MemoryStore):
    """Counts what it is asked."""

    absorbs = 0
    looks = 0

    @override
    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        self.absorbs += 1
        return await super().absorb(batch, seen=seen, durable=durable)

    @override
    async def read_spans(self, spans: Sequence[Any]) -> list[list[Any]]:
        self.looks += 1
        return await super().read_spans(spans)


async def test_who_blocks_nobody_pays_nothing_and_others_once_more_for_new_devices() -> None:
    raw = await exported(await add_eve(await varied()))
    free, store = Counting(), Counting()
    await taken(free, raw, Policy(ME.public, ME.public))
    assert (free.absorbs, free.looks) == (1, 0)
    await taken(store, raw)
    assert (store.absorbs, store.looks) == (2, 2)
    # given that of the devices one alone is still unknown, whose log 0 is not in the file
    await taken(store, raw)
    assert (store.absorbs, store.looks) == (3, 3)
    await exported(store, policy=Policy(ME.public, ME.public))
    assert store.looks == 3
    await exported(store, policy=BLOCKING)
    assert store.looks == 4


# --- meetings -----------------------------------------------------------------------------------


def go_on(node: Watched) -> None:
    """Let a node go on with what its store says it cares about, as after a restart."""
    own = node.policy
    policy = now_run(policy_of(node.store, own.device, own.person, own.quota))
    node.reopen(node.store.copy(), policy)


def spoken(meeting: Meeting, side: int) -> bytes:
    return b"".join(meeting.ends[side].sent)


@pytest.mark.parametrize("contacts", [True, False])
def test_the_one_in_the_middle_forwards_a_blocked_author_no_longer_and_again_once_unblocked(
    *, contacts: bool
) -> None:
    # given Eve, who reaches Ben through Ann only
    known: dict[bytes, Any] = {}
    eve, ann, ben, dan = (Watched(number, known=known) for number in range(4))
    log, turns = (eve.device.public, SOCIAL), iter(range(99))

    def hold(left: Watched, right: Watched) -> Meeting:
        binding = material(f"meeting {next(turns)}")
        return meet(left, right, contacts=contacts, binding=binding)

    def count(node: Watched) -> int:
        return len(node.ids().get(log, ()))

    eve.write("one")
    hold(eve, ann)
    hold(ann, ben)
    assert [count(node) for node in (ann, ben)] == [1, 1]
    # when Ann blocks her, and Eve writes on
    now_run(ann.store.mark(eve.device.person.signing.public, blocked=True))
    go_on(ann)
    eve.write("two")
    ann.write("Ann herself")
    hold(eve, ann)
    there, new = hold(ann, ben), hold(ann, dan)
    # then Ann keeps what she held, takes no more, and speaks of Eve to nobody, old or new
    assert [count(node) for node in (ann, ben, dan)] == [1, 1, 0]
    assert all(eve.device.public not in spoken(meeting, 0) for meeting in (there, new))
    assert (ann.device.public, SOCIAL) in dan.ids()
    assert (eve.device.public, IDENTITY) not in dan.ids()
    # when she is unblocked, all of it travels again
    now_run(ann.store.mark(eve.device.person.signing.public, blocked=False))
    go_on(ann)
    hold(eve, ann)
    hold(ann, ben)
    hold(ann, dan)
    assert [count(node) for node in (ann, ben, dan)] == [2, 2, 2]
    assert ann.ids() == ben.ids() == dan.ids()
    for node in (eve, ann, ben, dan):
        node.is_sound()


def test_who_is_muted_travels_as_ever() -> None:
    known: dict[bytes, Any] = {}
    eve, ann, ben = (Watched(number, known=known) for number in range(3))
    eve.write("one")
    now_run(ann.store.mark(eve.device.person.signing.public, muted=True))
    go_on(ann)
    meet(eve, ann)
    meet(ann, ben)
    assert eve.ids() == ann.ids() == ben.ids()
