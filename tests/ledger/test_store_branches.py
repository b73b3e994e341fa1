from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ledger.block import Block
from ledger.store.base import Batch, LateBody, Store, What
from tests.ledger.stores import (
    agreed,
    both,
    live,
    log_of,
    proof_of,
    runs,
    settle,
    without_bodies,
)
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, forked, run_of

KEY = (Device().public, SOCIAL)


def copies(parting: int, *lengths: int) -> list[list[Block]]:
    """Return the logs of copies of one device that parted at one seq, smallest id there first."""
    device = Device()
    device.write_many(parting - 1)
    logs = []
    for number, length in enumerate(lengths):
        twin = device.twin()
        logs.append(twin.write_many(length, f"copy {number}"))
    return sorted(logs, key=lambda blocks: blocks[parting - 1].id)


async def test_bodies_and_signatures_of_branch_blocks_are_filled_in_and_never_lost(
    store: Store,
) -> None:
    # given headers of both branches
    left, right = forked(3, 2, 6)
    await store.absorb(
        runs(without_bodies(run_of(left)), without_bodies(run_of(right[:5]))), seen=0, durable=True
    )
    assert all(block.body is None for block in await store.branches(KEY))
    before = len(await store.arrivals())
    # when the whole comes, in a run that ends later and so vouches for less by signature
    outcome = await store.absorb(runs(run_of(right)), seen=1, durable=True)
    # then nothing is lost of what was there
    assert (outcome.new, outcome.known, outcome.bodies) == (3, 5, 5)
    kept = {block.id: block for block in await store.branches(KEY)}
    assert kept[right[4].id] == right[4]
    assert kept[right[7].id] == right[7]
    assert kept[right[6].id] == right[6]._replace(signature=b"")
    assert await store.check() == []
    new = (await store.arrivals(limit=1 << 30))[:-before]
    assert [(a.what, a.low, a.high) for a in new] == [
        (What.BODIES, 1, 2),
        (What.BLOCKS, 6, 8),
        (What.BODIES, 3, 5),
    ][::-1]


async def test_a_signature_at_the_end_of_the_trunk_is_filled_in(store: Store) -> None:
    # given a trunk of which only what follows has a signature
    left, right = forked(5, 4, 4)
    await store.absorb(runs(run_of(left), run_of(right)), seen=0, durable=True)
    assert (await store.read(KEY, 4, 4))[0].signature == b""
    # when its end comes with one
    outcome = await store.absorb(runs(run_of(left[:4])), seen=0, durable=True)
    # then that is kept, as are the blocks
    assert (outcome.new, outcome.known) == (0, 4)
    assert (await store.read(KEY, 4, 4))[0].signature == left[3].signature
    assert await store.check() == []


async def test_a_third_branch_is_kept_where_nothing_else_vouches_for_what_is_held(
    store: Store,
) -> None:
    # given a copy that is held, and others, of another trunk, with smaller ids at 3
    second, first = copies(3, 4, 4)
    stranger = Device()
    stranger.write_many(2, "another trunk")
    twins = [stranger.twin() for _ in range(16)]
    others = [twin.write_many(2, f"other {number}")[2:] for number, twin in enumerate(twins)]
    smaller = [blocks for blocks in others if blocks[0].id < first[2].id][:2]
    assert len(smaller) == 2
    await store.absorb(runs(run_of(first)), seen=0, durable=True)
    for blocks in smaller:
        await store.absorb(
            Batch(runs=[run_of(blocks)], proofs=[proof_of(first[2:], blocks)]),
            seen=0,
            durable=True,
        )
    # then the branch that vouches for seq 2 is kept besides the two with smaller ids
    assert (await log_of(store, KEY)).fork == 3
    assert {block.id for block in await store.branches(KEY)} == {
        block.id for block in [*first[2:], *smaller[0], *smaller[1]]
    }
    assert await store.check() == []
    # and so a fork before it can still be proven
    await store.absorb(runs(run_of(stranger.logs[SOCIAL])), seen=0, durable=True)
    assert (await log_of(store, KEY)).fork == 1
    assert second[0].id in {block.id for block in await store.branches(KEY)}
    assert await store.check() == []


async def test_of_three_copies_the_branch_with_the_largest_id_is_dropped(store: Store) -> None:
    small, middle, large = copies(2, 3, 3, 3)
    for blocks in (large, middle):
        await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    assert large[1].id in {block.id for block in await store.branches(KEY)}
    await store.absorb(runs(run_of(small)), seen=0, durable=True)
    assert [block.id for block in await store.branches(KEY)] == [
        block.id for block in sorted([*small[1:], *middle[1:]], key=lambda b: (b[0].seq, b.id))
    ]
    assert await store.check() == []


async def test_what_was_held_after_a_later_fork_survives_an_earlier_verdict(store: Store) -> None:
    # given one copy whole and the end of the other: the verdict is from 5 on
    left, right = forked(3, 6, 6)
    await store.absorb(runs(run_of(left)), seen=0, durable=True)
    await store.absorb(runs(run_of(right[4:])), seen=0, durable=True)
    assert (await log_of(store, KEY)).fork == 4
    await store.absorb(runs(run_of(right[3:])), seen=0, durable=True)
    held = {block.id for block in await store.branches(KEY)}
    assert held == {block.id for block in [*left[3:], *right[3:]]}
    # when what is between arrives alone
    outcome = await store.absorb(runs(run_of(right[:3])), seen=0, durable=True)
    # then both branches are whole at once
    assert outcome.forks == [KEY]
    assert (await log_of(store, KEY)).fork == 3
    assert {block.id for block in await store.branches(KEY)} == {
        block.id for block in [*left[2:], *right[2:]]
    }
    assert await store.check() == []


def roots(*owners: int) -> list[Device]:
    """Return copies of one device with different device blocks, smallest id first."""
    return sorted((Device(0, owner) for owner in owners), key=lambda device: device.root.id)


async def test_a_device_with_two_device_blocks_is_forked_from_its_start(store: Store) -> None:
    # given a device that began twice and wrote a log from each start
    one, other = roots(0, 1)
    one.write_many(3, log=SOCIAL)
    other.write_many(2, log=GROUP)
    for device in (one, other):
        for blocks in device.logs.values():
            await store.absorb(runs(run_of(blocks)), seen=0, durable=True)
    # then log 0 has no joined part, and each of the others follows one of the starts
    identity, social, group = await store.logs()
    assert (identity.fork, identity.pieces, identity.head) == (1, (), 0)
    assert (social.fork, social.head, group.fork, group.head) == (None, 3, None, 2)
    assert social.roots == group.roots == {one.root.id, other.root.id}
    assert [block.id for block in await store.branches((one.public, IDENTITY))] == [
        one.root.id,
        other.root.id,
    ]
    assert await store.check() == []


@given(st.permutations(range(6)))
def test_starts_and_logs_may_come_in_any_order(order: Sequence[int]) -> None:
    async def scenario() -> None:
        three = roots(0, 1, 2)
        for device, log in zip(three, (SOCIAL, GROUP, GROUP + 1), strict=True):
            device.write_many(2, log=log)
        batches = [runs(run_of(blocks)) for device in three for blocks in device.logs.values()]
        async with both() as stores:
            await settle(stores, [batches[index] for index in order])
            state = await agreed(stores)
            heads = {log.number: log.head for log in state.logs}
            # the log that follows the largest of three starts is not joined
            assert heads == {IDENTITY: 0, SOCIAL: 2, GROUP: 2, GROUP + 1: 0}

    live(scenario())


async def test_a_log_joins_when_its_start_turns_out_to_be_one_of_two(store: Store) -> None:
    one, other = roots(0, 1)
    other.write_many(2)
    await store.absorb(runs(run_of([one.root]), run_of(other.logs[SOCIAL])), seen=0, durable=True)
    assert (await log_of(store, KEY)).head == 0
    outcome = await store.absorb(runs(run_of([other.root])), seen=0, durable=True)
    assert outcome.forks == [(one.public, IDENTITY)]
    assert (await log_of(store, KEY)).head == 2
    joined = [(a.log, a.low, a.high) for a in await store.arrivals() if a.what is What.JOINED]
    assert joined == [(SOCIAL, 1, 2)]
    # and that a log joined is never said without its being news
    again = await store.absorb(runs(run_of([other.root])), seen=0, durable=True)
    assert (again.new, again.known) == (0, 1)
    assert [a.lsn for a in await store.arrivals()] == [5, 4, 3, 2, 1]


async def test_a_proof_against_a_start_parts_the_logs_that_followed_it(store: Store) -> None:
    one, other = roots(0, 1)
    one.write_many(2)
    proof = proof_of([one.root], [other.root])
    await store.absorb(Batch(proofs=[proof]), seen=0, durable=True)
    await store.absorb(runs(run_of(one.logs[SOCIAL])), seen=0, durable=True)
    assert (await log_of(store, KEY)).head == 0
    await store.absorb(runs(run_of([one.root])), seen=0, durable=True)
    assert (await log_of(store, KEY)).head == 2
    assert await store.check() == []


async def test_late_bodies_find_their_branch(store: Store) -> None:
    # given the headers of both branches of a fork at 3
    left, right = forked(3, 3, 3)
    headers = runs(without_bodies(run_of(left)), without_bodies(run_of(right)))
    await store.absorb(headers, seen=0, durable=True)
    # when the bodies come apart, as they do where a run is too long for a message, and one wrong
    late = [LateBody(*b.header[:3], b.body or b"") for b in (*left[2:], *right[2:])]
    wrong = LateBody(*left[2].header[:3], b"somebody else's")
    outcome = await store.absorb(Batch(bodies=[wrong, *late]), seen=1, durable=True)
    # then each is where its header is
    assert outcome.bodies == 6
    kept = {block.id: block.body for block in await store.branches(KEY)}
    assert kept == {block.id: block.body for block in (*left[2:], *right[2:])}
    assert await store.check() == []
    again = await store.absorb(Batch(bodies=late), seen=2, durable=True)
    assert again.bodies == 0
