"""Sealed bundles between nodes: each gets what it lacks, once, and never a false word of it."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gossip.bundle import SealedForOthersError
from gossip.bundle_header import Row, SealedHeader
from gossip.bundle_notes import Heard
from gossip.bundle_sealed import SealedWriter
from gossip.cursor import Seen
from gossip.notes import (
    COUNT,
    bundles_note,
    frontier_note,
    recall_count,
    recall_frontier,
    remember,
    remember_frontier,
    seen_note,
    told_note,
)
from gossip.number import MAX_MESSAGE_BYTES
from gossip.packing import Packer
from gossip.sealing import Sealer
from gossip.wire import Data, encode_message
from ledger.fork import ForkProof, Vouched
from ledger.link import Link
from ledger.statement import Cut, Revocation
from ledger.store.base import Absorbed, Arrival, Batch, LateBody, What
from ledger.store.memory import MemoryStore
from ledger.views.people import Census
from mesh.acknowledging import Contents
from mesh.addressing import Readers, address
from mesh.readers import NoReaderError, find_readers
from mesh.serve import plan, serve
from mesh.sneakernet import BundleError, import_bundle, inspect_bundle
from tests.gossip.held import WHEN, frames, raw_run, varied
from tests.mesh.sticks import Carrier, ids, opened, raw_bytes
from tests.strategies import IDENTITY, SOCIAL, Device, forked, person_key, run_of

if TYPE_CHECKING:
    from ledger.store.base import Store
    from ledger.views.people import People

HEADER_BYTES = 2_000


async def pair(posts: int = 30) -> tuple[Carrier, Carrier]:
    """Return two who have exchanged everything once."""
    ann, ben = await Carrier(1).begin(posts), await Carrier(2).begin(posts)
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    assert await ids(ann.store) == await ids(ben.store)
    return ann, ben


# --- agreement ----------------------------------------------------------------------------------


async def test_a_sealed_bundle_brings_everything_to_one_who_had_nothing() -> None:
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    await varied(ann.store)
    await ben.take((await ann.give(ben))[0])
    assert await ids(ben.store) == await ids(ann.store) | {ben.device.root.id + b"+"}
    assert await ben.store.proofs() == await ann.store.proofs()
    assert await ben.store.revocations() == await ann.store.revocations()


async def test_the_second_export_is_the_news_and_little_more() -> None:
    ann, ben = await pair(200)
    for giver, taker in ((ann, ben), (ben, ann)):
        await giver.post(20, "x" * 100)
        raw, done = await giver.give(taker)
        news = giver.device.logs[SOCIAL][-20:]
        assert done.blocks == 20
        assert len(raw) <= raw_bytes(news) + HEADER_BYTES
        took = await taker.take(raw)
        assert (took.new_blocks, took.known_blocks, took.refused) == (20, 0, 0)
    assert await ids(ann.store) == await ids(ben.store)


async def test_nothing_goes_back_to_whom_it_came_from() -> None:
    ann, ben = await Carrier(1).begin(50), await Carrier(2).begin()
    # given that Ann gives several times before she hears anything
    for _ in range(3):
        await ben.take((await ann.give(ben))[0])
        await ann.post(5)
    raw, done = await ben.give(ann)
    assert done.blocks == 1
    assert (await ann.take(raw)).known_blocks == 0
    # then she has it all acknowledged
    seen = await ann.seen(ben)
    assert seen is not None
    assert seen.ranges == ((1, (await ben.store.runs())[-1].last),)


async def test_what_is_acknowledged_is_what_was_imported_and_no_more() -> None:
    ann, ben = await Carrier(1).begin(10), await Carrier(2).begin()
    first, _ = await ann.give(ben)
    await ann.post(10)
    await ben.take(first)
    # when Ben answers, Ann learns that he has the first ten
    await ann.take((await ben.give(ann))[0])
    told = await ann.told(ben)
    assert told is not None
    assert (await ann.give(ben))[1].blocks == 10


async def test_an_exchange_goes_on_for_ever_without_anything_twice() -> None:
    ann, ben = await pair()
    for turn in range(40):
        for giver, taker in ((ann, ben), (ben, ann)):
            await giver.post(1 + turn % 3)
            raw, done = await giver.give(taker)
            took = await taker.take(raw)
            assert (done.blocks, took.new_blocks) == (1 + turn % 3, 1 + turn % 3)
            assert len(raw) < 4_000


async def test_a_third_whose_news_both_carry_gets_nothing_twice_back() -> None:
    ann, ben = await pair()
    cleo = await Carrier(3).begin(20)
    await ann.take((await cleo.give(ann, ben))[0])
    # given that Ben has Cleo's news from Ann, and then from Cleo's own stick
    await ben.take((await ann.give(ben))[0])
    await ben.take((await cleo.give(ann, ben))[0])
    # then Cleo is not sent her own posts
    assert (await ben.give(cleo))[1].blocks == 62
    sent = {
        log.author
        for log in inspect_bundle(BytesIO((await ben.give(cleo))[0]), keys=cleo.device.keys).logs
    }
    assert sent == {ann.public, ben.public}


async def test_an_open_bundle_for_somebody_has_only_what_he_lacks_and_says_nothing() -> None:
    ann, ben = await pair()
    await ann.post(7)
    before = await ann.store.note(COUNT)
    raw, done = await ann.give(ben, seal=False)
    assert done.blocks == 7
    assert await ann.store.note(COUNT) == before
    notes = await ben.notes(ann)
    took = await ben.take(raw)
    assert took.new_blocks == 7
    # it acknowledges nothing, so it is given again
    assert await ben.notes(ann) == notes
    assert (await ann.give(ben, seal=False))[0] == raw


async def test_for_several_readers_goes_what_any_of_them_lacks() -> None:
    ann, ben = await pair()
    cleo = await Carrier(3).begin()
    await ann.post(3)
    raw, done = await ann.give(ben, cleo)
    assert done.blocks == 31 + 31 + 3
    assert (await ben.take(raw)).new_blocks == 3
    assert (await cleo.take(raw)).new_blocks == 65
    for taker in (ben, cleo):
        seen = await taker.seen(ann)
        assert seen is not None
        assert seen.ranges == ((1, (await ann.store.runs())[-1].last),)


async def test_bodies_that_come_later_follow_in_the_next_bundle() -> None:
    ann, ben = await pair()
    blocks = Device(7, 7).write_many(5)
    bare = [block._replace(body=None) for block in blocks]
    await ann.keep(run_of([Device(7, 7).root]))
    await ann.keep(run_of(bare))
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    await ann.keep(run_of(blocks))
    raw, done = await ann.give(ben)
    assert done.blocks == 5
    await ben.take(raw)
    assert await ids(ben.store) == await ids(ann.store)


async def test_a_fork_and_a_revocation_follow_in_the_next_bundle() -> None:
    ann, ben = await pair()
    left, right = forked(70, 5, 3, number=6)
    await ann.keep(run_of([Device(6).root]))
    await ann.keep(run_of(left))
    await ben.take((await ann.give(ben))[0])
    await ann.keep(run_of(right))
    gone = Revocation.sign(person_key(0), Device(6).public, [Cut(SOCIAL, 1, left[0].id)])
    await ann.store.absorb(Batch(revocations=[gone]), seen=WHEN, durable=False)
    raw, _ = await ann.give(ben)
    await ben.take(raw)
    assert await ben.store.proofs() == await ann.store.proofs() != []
    assert await ben.store.revocations() == [gone]
    assert await ids(ben.store) == await ids(ann.store)
    # and do not come again
    await ann.take((await ben.give(ann))[0])
    assert (await ann.give(ben))[1].blocks == 0
    assert len(frames((await ann.give(ben))[0])) == 3


async def test_a_proof_without_blocks_follows_in_the_next_bundle() -> None:
    ann, ben = await pair()
    left, right = forked(4, 1, 1, number=6)
    for one in (ann, ben):
        await one.keep(run_of([Device(6).root]))
        await one.keep(run_of(left[:3]))
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    proof = ForkProof.of(Vouched.of(left[3:]), Vouched.of(right[3:]))
    await ann.store.absorb(Batch(proofs=[proof]), seen=WHEN, durable=False)
    await ben.take((await ann.give(ben))[0])
    assert await ben.store.proofs() == [proof]


async def test_two_branches_that_two_hold_meet_by_stick() -> None:
    ann, ben = await pair()
    left, right = forked(5, 3, 2, number=6)
    for one, branch in ((ann, left), (ben, right)):
        await one.keep(run_of([Device(6).root]))
        await one.keep(run_of(branch))
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    assert await ids(ann.store) == await ids(ben.store)
    assert await ann.store.proofs() == await ben.store.proofs() != []


async def test_a_segment_for_which_a_meeting_had_no_room_follows_once_it_is_joined() -> None:
    ann, ben = await pair()
    blocks = Device(7, 7).write_many(12)
    await ann.keep(run_of([Device(7, 7).root]))
    await ann.keep(run_of(blocks[9:]))
    # given that Ben processed all that in a meeting, but passed over the segment
    await ben.keep(run_of([Device(7, 7).root]))
    lsn = (await ann.store.runs())[-1].last
    told = await ann.told(ben)
    assert told is not None
    await ann.store.set_note(told_note(ben.public), Seen(told.run, ((1, lsn),)).encode())
    await ann.keep(run_of(blocks[:9]))
    await ben.take((await ann.give(ben))[0])
    assert {b.id + b"+" for b in blocks} <= await ids(ben.store)


async def test_a_segment_that_was_joined_does_not_go_back_to_whom_it_came_from() -> None:
    ann, ben = await pair()
    blocks = Device(7, 7).write_many(12)
    await ben.keep(run_of([Device(7, 7).root]))
    await ben.keep(run_of(blocks[9:]))
    await ann.take((await ben.give(ann))[0])
    await ann.keep(run_of(blocks[:9]))
    raw, done = await ann.give(ben)
    assert done.blocks == 9
    await ben.take(raw)
    assert await ids(ben.store) == await ids(ann.store)


# --- a limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", range(12_000, 46_000, 1_700))
async def test_a_limited_bundle_keeps_to_its_size_and_claims_only_what_went(limit: int) -> None:
    ann, ben = await Carrier(1).begin(100, "x" * 200), await Carrier(2).begin()
    await ann.post(20, "y" * 900)
    rounds = 0
    while await ids(ben.store) - {ben.device.root.id + b"+"} != await ids(ann.store) - {
        ben.device.root.id + b"+"
    }:
        raw, _ = await ann.give(ben, max_bytes=limit)
        assert len(raw) <= limit
        await ben.take(raw)
        await ann.take((await ben.give(ann))[0])
        rounds += 1
        assert rounds < 30
    # about as many bundles as it takes
    total = raw_bytes([*ann.device.logs[IDENTITY], *ann.device.logs[SOCIAL]])
    assert rounds <= 2 + total / (limit - 2_700) * 1.35
    assert (await ann.give(ben))[1].blocks == 0


async def test_statements_that_do_not_fit_are_not_claimed() -> None:
    ann, ben = await pair()
    gone = [Revocation.sign(person_key(n), Device(n).public, []) for n in range(20, 70)]
    for one in gone:
        await ann.store.absorb(Batch(revocations=[one]), seen=WHEN, durable=False)
    for _ in range(6):
        raw, _ = await ann.give(ben, max_bytes=7_000)
        assert len(raw) <= 7_000
        await ben.take(raw)
        await ann.take((await ben.give(ann))[0])
    assert await ben.store.revocations() == await ann.store.revocations()
    assert len(await ben.store.revocations()) == 50


# --- what is not acknowledged -------------------------------------------------------------------


async def test_a_cut_bundle_acknowledges_nothing_and_the_whole_one_completes_it() -> None:
    ann, there = await Carrier(1).begin(600, "x" * 500), await Carrier(2).begin()
    raw, _ = await ann.give(there)
    assert len(raw) > 300_000
    start = there.copy()
    sizes = set()
    for cut in range(600, len(raw), 1_000):
        ben = Carrier(2)
        ben.store = start.copy()
        took = await ben.take(raw[:cut])
        assert (took.complete, took.damage) == (False, "the bundle is cut short")
        assert await ben.notes(ann) == [None] * 4
        sizes.add(took.new_blocks)
        whole = await ben.take(raw)
        assert (whole.complete, whole.new_blocks) == (True, 601 - took.new_blocks)
        assert (await ben.seen(ann)) is not None
        # nothing of it goes back
        assert (await ben.give(ann))[1].blocks == 1
    assert len(sizes) > 4


async def test_a_replayed_bundle_changes_nothing() -> None:
    ann, ben = await Carrier(1).begin(10), await Carrier(2).begin(10)
    old = [(await ann.give(ben))[0]]
    await ben.take(old[0])
    for _ in range(3):
        await ann.take((await ben.give(ann))[0])
        await ann.post(3)
        await ben.post(3)
        old.append((await ann.give(ben))[0])
        await ben.take(old[-1])
    notes = await ben.notes(ann)
    for raw in [*old, *old[::-1]]:
        assert (await ben.take(raw)).new_blocks == 0
        assert await ben.notes(ann) == notes


async def test_an_old_bundle_that_comes_late_acknowledges_nothing() -> None:
    ann, ben = await pair()
    await ann.post(3)
    late, _ = await ann.give(ben)
    await ann.post(3)
    # given that Ann knew less of Ben when she wrote the first of two
    await ben.post(5)
    await ann.take((await ben.give(ann))[0])
    await ben.take((await ann.give(ben))[0])
    told = await ben.told(ann)
    await ben.take(late)
    assert await ben.told(ann) == told
    assert (await ben.give(ann))[1].blocks == 0


async def test_a_wiped_reader_gets_everything_again() -> None:
    ann, _ = await pair(40)
    again = Carrier(2)
    again.dice.seed(99)
    await again.keep(run_of([again.device.root]))
    # when he who lost all but his device block gives, and hears how often he gave before
    blocks = 0
    for _ in range(2):
        await ann.take((await again.give(ann))[0])
        raw, done = await ann.give(again)
        await again.take(raw)
        blocks += done.blocks
    assert blocks == 41 + 40
    assert await ids(again.store) == await ids(ann.store)


async def test_a_new_device_of_a_reader_gets_everything() -> None:
    ann, _ = await pair(40)
    again = await Carrier(5, owner=2).begin()
    raw, done = await ann.give(again)
    assert done.blocks == 41 + 41
    await again.take(raw)
    assert await ids(again.store) >= await ids(ann.store)


async def test_a_reader_that_was_set_back_gets_what_it_lost() -> None:
    ann, ben = await pair()
    old = ben.copy()
    await ann.post(9)
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    await ben.set_back(old)
    for _ in range(3):
        await ann.take((await ben.give(ann))[0])
        await ben.take((await ann.give(ben))[0])
    assert await ids(ben.store) == await ids(ann.store)


async def test_a_store_that_was_set_back_does_not_count_what_others_saw_of_it_later() -> None:
    ann, ben = await pair()
    old, wrote = ann.copy(), len(ann.device.logs[SOCIAL])
    other = Device(8, 8)
    await ann.keep(run_of([other.root]))
    await ben.take((await ann.give(ben))[0])
    await ann.take((await ben.give(ann))[0])
    # given that Ann's store is an old copy, and takes in something else under the same lsns
    await ann.set_back(old)
    assert len(ann.device.logs[SOCIAL]) == wrote
    stranger = Device(9, 9)
    await ann.keep(run_of([stranger.root]))
    for _ in range(3):
        await ben.take((await ann.give(ben))[0])
        await ann.take((await ben.give(ann))[0])
    assert stranger.root.id + b"+" in await ids(ben.store)
    assert await ids(ann.store) == await ids(ben.store)


async def test_what_was_refused_is_not_acknowledged() -> None:
    # given a log in six pieces, of which a store keeps four detached
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    blocks = Device(7, 7).write_many(60)
    await ann.keep(run_of([Device(7, 7).root]))
    await ann.keep(run_of(blocks))
    for low in (10, 20, 30):
        await ben.keep(run_of(blocks[low : low + 2]))
    await ben.keep(run_of(blocks[40:42]))
    raw, _ = await ann.give(ben, max_bytes=6_000)
    took = await ben.take(raw)
    if took.refused:
        assert await ben.notes(ann) == [None] * 4
        assert any("take in what else" in warning for warning in took.warnings)
    await ben.take((await ann.give(ben))[0])
    assert await ids(ben.store) == await ids(ann.store) | {ben.device.root.id + b"+"}


async def test_a_bundle_with_something_after_its_end_is_not_acknowledged() -> None:
    ann, ben = await pair()
    await ann.post(2)
    raw, _ = await ann.give(ben)
    notes = await ben.notes(ann)
    took = await ben.take(raw + b"more")
    assert (took.new_blocks, took.complete) == (2, False)
    assert await ben.notes(ann) == notes


async def test_messages_of_a_later_version_are_not_acknowledged() -> None:
    ann, ben = await pair()
    await ann.post(1)
    raw = await _with_message(ann, ben, b"\x82\x18\x2a\xf6")
    seen = await ben.seen(ann)
    took = await ben.take(raw)
    assert took.complete
    assert took.warnings
    assert await ben.seen(ann) == seen


async def _with_message(giver: Carrier, taker: Carrier, message: bytes) -> bytes:
    """Return a sealed bundle of a giver that has one more message than it should."""
    readers = Readers(giver.bearer, [taker.reader], is_sealed=True, person=lambda device: device)
    said = await address(readers, None)
    chosen = await plan(giver.store, None, said.lacking)
    writer = (await said.begin(chosen))(1)
    raws = [raw async for raw in serve(giver.store, chosen, Packer())]
    return b"".join([writer.begin(), *map(writer.message, [*raws, message]), writer.end(1)])


async def test_a_forged_block_in_a_signed_bundle_leaves_it_unacknowledged() -> None:
    ann, ben = await pair()
    block = Device(7, 7).root
    forged = block._replace(signature=bytes(64))
    raw = await _with_message(ann, ben, encode_message(Data([raw_run([forged])])))
    seen = await ben.seen(ann)
    assert (await ben.take(raw)).refused == 1
    assert await ben.seen(ann) == seen


async def test_of_one_whose_device_block_is_not_held_little_is_noted() -> None:
    ann, ben = Carrier(1), await Carrier(2).begin()
    await ann.keep(run_of([Device(7, 7).root]))
    raw, _ = await ann.give(ben)
    assert opened(raw, ben)[0].frontier
    assert (await ben.take(raw)).new_blocks == 1
    assert await ben.seen(ann) is not None
    assert await ben.store.note(frontier_note(ann.public)) is None


async def test_ones_own_bundle_is_no_news_of_oneself() -> None:
    ann = await Carrier(1).begin(3)
    raw, _ = await ann.give(ann)
    await ann.take(raw)
    assert await ann.notes(ann) == [None] * 4


async def test_a_liar_about_what_it_covers_hurts_only_itself() -> None:
    ann, ben = await pair()
    raw, _ = await ann.give(ben)
    header, row = opened(raw, ben)
    assert isinstance(header, SealedHeader)
    lies = row._replace(
        covers=((1, (1 << 53) - 1),), heard=(1 << 53) - 1, seen=Seen(b"no such!", ((1, 1 << 50),))
    )
    before = recall_count(await ben.store.note(COUNT))
    await ben.take(_lying(ann, ben, header, lies))
    seen = await ben.seen(ann)
    assert seen is not None
    assert seen.ranges == ((1, (1 << 53) - 1),)
    # its own count stays within reach, and others are told what they lack as before
    assert recall_count(await ben.store.note(COUNT)) == before
    cleo = await Carrier(3).begin()
    assert (await ben.give(cleo))[1].blocks == 62
    # of the liar's own words about itself nothing counts that is not so
    told = await ben.told(ann)
    assert told is None or told.ranges[-1][1] <= (await ben.store.runs())[-1].last


def _lying(giver: Carrier, taker: Carrier, header: SealedHeader, row: Row) -> bytes:
    key = taker.device.keys.sealing_public
    sealer = Sealer([key], bytes(range(32)))
    said = replace(header, count=header.count + 1, rows=sealer.rows([(key, row.encode())]))
    writer = SealedWriter(sealer, giver.device.keys.signing, said)
    return writer.begin() + writer.end(0)


async def test_a_count_that_was_lost_is_had_again_from_those_who_heard_it() -> None:
    ann, ben = await pair()
    old = ann.copy()
    for _ in range(5):
        raw, _ = await ann.give(ben)
        await ben.take(raw)
    await ann.set_back(old)
    await ann.take((await ben.give(ann))[0])
    raw, _ = await ann.give(ben)
    assert opened(raw, ben)[0].count > 5


# --- for whom -----------------------------------------------------------------------------------


async def test_a_bundle_for_others_is_refused_and_nothing_changes() -> None:
    ann, ben = await pair()
    cleo = await Carrier(3).begin(2)
    before = await ids(cleo.store)
    raw, _ = await ann.give(ben)
    for size in (len(raw), 600):
        with pytest.raises(SealedForOthersError, match="sealed for others"):
            await cleo.take(raw[:size])
    with pytest.raises(SealedForOthersError):
        await import_bundle(MemoryStore(), BytesIO(raw), seen=WHEN)
    assert await ids(cleo.store) == before
    assert await cleo.notes(ann) == [None] * 4


async def test_what_is_sealed_for_others_is_looked_at_from_outside() -> None:
    ann, ben = await pair()
    raw, _ = await ann.give(ben)
    found = inspect_bundle(BytesIO(raw))
    assert (found.opened, found.slots, found.bytes, found.complete) == (False, 8, len(raw), True)
    assert (found.blocks, found.logs, found.writer) == (0, [], None)
    assert not inspect_bundle(BytesIO(raw[:-1])).complete
    opened_ = inspect_bundle(BytesIO(raw), keys=ben.device.keys)
    assert (opened_.opened, opened_.writer, opened_.part) == (True, ann.public, 1)


async def test_nothing_in_a_sealed_bundle_can_be_read_without_a_slot() -> None:
    ann, ben = await Carrier(1).begin(3, "a secret"), await Carrier(2).begin()
    raw, _ = await ann.give(ben)
    for secret in (b"a secret", ann.public, ann.person, ben.public, ben.reader.sealing):
        assert secret not in raw
    assert b"a secret" in (await ann.give(ben, seal=False))[0]


async def test_a_reader_is_not_told_who_the_others_are() -> None:
    ann, ben = await pair()
    cleo = await Carrier(3).begin()
    raw, _ = await ann.give(ben, cleo)
    header, row = opened(raw, cleo)
    plain = replace(header, frontier=()).encode() + row.encode()
    for secret in (ben.public, ben.person, ben.reader.sealing):
        assert secret not in plain


# --- frontier -----------------------------------------------------------------------------------


async def test_a_frontier_goes_along_only_while_nothing_is_known_of_a_reader() -> None:
    ann, ben = await Carrier(1).begin(5), await Carrier(2).begin(5)
    raw, _ = await ann.give(ben)
    assert [(e.author, e.log, e.seq) for e in opened(raw, ben)[0].frontier] == [
        (ann.public, 1, 5),
        (ann.public, 0, 1),
    ]
    await ben.take(raw)
    assert recall_frontier(await ben.store.note(frontier_note(ann.public)))
    back, _ = await ben.give(ann)
    await ann.take(back)
    raw, _ = await ann.give(ben)
    assert opened(raw, ben)[0].frontier == ()
    await ben.take(raw)
    assert await ben.store.note(frontier_note(ann.public)) is None


async def test_by_a_frontier_nothing_goes_to_one_who_has_it_already() -> None:
    ann, ben, cleo = [await Carrier(number).begin() for number in (1, 2, 3)]
    blocks = Device(7, 7).write_many(50)
    for one, count in ((ann, 50), (ben, 30), (cleo, 50)):
        await one.keep(run_of([Device(7, 7).root]))
        await one.keep(run_of(blocks[:count]))
    # when Ben tells Ann how far he has a log, she gives him the rest
    await ann.take((await ben.give(ann))[0])
    raw, done = await ann.give(ben)
    assert done.blocks == 20 + 1
    assert (await ben.take(raw)).new_blocks == 21
    assert await ids(ben.store) == await ids(ann.store)


async def test_a_frontier_with_another_branch_hides_nothing() -> None:
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    left, right = forked(5, 3, 3, number=6)
    for one, branch in ((ann, left), (ben, right)):
        await one.keep(run_of([Device(6).root]))
        await one.keep(run_of(branch))
    raw, _ = await ben.give(ann)
    # given that Ann knows Ben's frontier, but has not his blocks
    header, _ = opened(raw, ann)
    assert {entry.author for entry in header.frontier} >= {Device(6).public}
    await ann.store.set_note(frontier_note(ben.public), remember_frontier(header.frontier))
    await ben.take((await ann.give(ben))[0])
    assert len(await ben.store.proofs()) == 1


async def test_by_a_frontier_bodies_go_to_one_who_has_only_headers() -> None:
    ann, ben = await Carrier(1).begin(), await Carrier(2).begin()
    blocks = Device(7, 7).write_many(20)
    bare = [b._replace(body=None) if b.header.seq in (8, 9) else b for b in blocks]
    for one, some in ((ann, blocks), (ben, bare)):
        await one.keep(run_of([Device(7, 7).root]))
        await one.keep(run_of(some))
    await ann.take((await ben.give(ann))[0])
    raw, done = await ann.give(ben)
    assert done.blocks == 1 + 13
    await ben.take(raw)
    assert await ids(ben.store) == await ids(ann.store)


# --- people -------------------------------------------------------------------------------------


async def test_a_revoked_device_gets_no_slot() -> None:
    ann = await Carrier(1).begin()
    phone, laptop = Device(5, 5), Device(6, 5)
    for device in (phone, laptop):
        await ann.keep(run_of([device.root]))
    person = phone.person.signing.public

    async def readers() -> list[bytes]:
        people = await people_of(ann.store)
        found = find_readers([person.hex()], people, [], ann.person, ann.public)
        return [one.device for one in found]

    assert sorted(await readers()) == sorted([phone.public, laptop.public])
    for gone in (phone, laptop):
        statement = Revocation.sign(person_key(5), gone.public, [])
        await ann.store.absorb(Batch(revocations=[statement]), seen=WHEN, durable=False)
        if gone is phone:
            assert await readers() == [laptop.public]
    with pytest.raises(NoReaderError, match="no device of"):
        await readers()


async def people_of(store: Store) -> People:
    census = Census({}, await store.revocations())
    async for page in store.entries():
        census.add(page)
    return census.people()


async def test_without_a_name_ones_own_other_devices_are_meant() -> None:
    ann = await Carrier(1).begin()
    people = await people_of(ann.store)
    with pytest.raises(NoReaderError, match="no other device"):
        find_readers([], people, [], ann.person, ann.public)
    laptop = Device(2, 1)
    await ann.keep(run_of([laptop.root]))
    people = await people_of(ann.store)
    for texts in ([], [ann.person.hex()]):
        found = find_readers(texts, people, [], ann.person, ann.public)
        assert [one.device for one in found] == [laptop.public]


async def test_what_a_device_says_of_its_key_counts_more_than_a_link() -> None:
    ann, phone = await Carrier(1).begin(), Device(5, 5)
    certificate = phone.person.certify(phone.public)
    forged = Link(
        phone.person.signing.public, phone.public, Device(9, 9).keys.sealing_public, certificate
    )
    # while nothing else is known of the device, its link has to do
    people = await people_of(ann.store)
    (found,) = find_readers([forged.encode()], people, [], ann.person, ann.public)
    assert found.sealing == forged.sealing
    # but not once it has said itself
    await ann.keep(run_of([phone.root]))
    people = await people_of(ann.store)
    (found,) = find_readers([forged.encode()], people, [], ann.person, ann.public)
    assert found.sealing == phone.keys.sealing_public


async def test_a_device_that_published_no_key_gets_no_slot_and_stops_nobody() -> None:
    ann = await Carrier(1).begin()
    phone, laptop = Device(5, 5), Device(6, 5)
    for device in (phone, laptop):
        await ann.keep(run_of([device.root]))
    people = await people_of(ann.store)
    person = phone.person.signing.public
    sealing = {phone.public: bytes(32), laptop.public: laptop.keys.sealing_public}
    people._sealing = sealing
    found = find_readers([person.hex()], people, [], ann.person, ann.public)
    assert [one.device for one in found] == [laptop.public]


async def test_more_devices_than_slots_are_refused() -> None:
    ann = await Carrier(1).begin()
    others = [Carrier(number) for number in range(2, 67)]
    with pytest.raises(BundleError, match="65 devices where a bundle can be sealed to 64"):
        await ann.give(*others)
    raw, _ = await ann.give(*others[:64])
    assert (await others[63].take(raw)).new_blocks == 1


async def test_with_64_readers_and_much_to_say_to_each_all_fits_into_a_header() -> None:
    ann = await Carrier(1).begin(3)
    others = [Carrier(number) for number in range(2, 66)]
    far = [(n * 1_000_000_000_000, n * 1_000_000_000_000) for n in range(1, 33)]
    for one in others:
        runs = tuple((bytes([n]) * 8, n << 40) for n in range(1, 65))
        heard = Heard(1 << 50, 0, runs, Seen(bytes(8), tuple(far)))
        await ann.store.set_note(bundles_note(one.public), heard.encode())
        wants = ann.bearer.policy.wants
        await ann.store.set_note(seen_note(one.public), remember(Seen(bytes(8), tuple(far)), wants))
    for number in range(1_000):
        await ann.keep(run_of([Device(100 + number).root]))
    raw, _ = await ann.give(*others)
    header, row = opened(raw, others[40])
    assert len(header.encode()) + 64 <= MAX_MESSAGE_BYTES
    assert row.heard == 1 << 50
    assert row.seen is not None
    assert len(header.frontier) > 100
    limited, _ = await ann.give(*others, max_bytes=150_000)
    assert len(limited) <= 150_000


# --- what a writer must have --------------------------------------------------------------------

KEY = (Device(7).public, SOCIAL)
HELD = Contents(blocks={KEY: ((1, 9),)}, bodies={KEY: ((1, 6),)}, statements={12})


def came(what: What, low: int, high: int, lsn: int = 3) -> Arrival:
    return Arrival(lsn, what, *KEY, low, high, 0, WHEN)


@pytest.mark.parametrize(
    ("arrival", "proof", "fork", "is_his"),
    [
        (came(What.BLOCKS, 1, 6), None, None, True),
        (came(What.BLOCKS, 1, 9), None, None, False),
        (came(What.BLOCKS, 1, 10), None, None, False),
        (came(What.BLOCKS, 10, 10), None, None, False),
        (came(What.BODIES, 2, 6), None, None, True),
        (came(What.BODIES, 7, 7), None, None, False),
        (came(What.JOINED, 1, 9), None, None, False),
        (came(What.STATEMENT, 0, 0, 12), None, None, True),
        (came(What.STATEMENT, 0, 0, 13), None, None, False),
        # of a forked log he may have another branch, or not know that it is forked
        (came(What.BLOCKS, 1, 4), None, 5, False),
        (came(What.BLOCKS, 1, 4), 5, 5, True),
        (came(What.BLOCKS, 1, 5), 5, 5, False),
        (came(What.BLOCKS, 5, 6), 5, 5, False),
        (came(What.BLOCKS, 1, 4), 6, 5, False),
        (came(What.VERDICT, 5, 5), 5, 5, True),
        (came(What.VERDICT, 5, 5), 6, 5, False),
        (came(What.VERDICT, 5, 5), None, 5, False),
    ],
)
def test_only_what_was_in_a_bundle_is_taken_for_its_writers(
    arrival: Arrival,
    proof: int | None,
    fork: int | None,
    is_his: bool,  # noqa: FBT001
) -> None:
    contents = replace(HELD, forks={} if proof is None else {KEY: proof})
    assert contents.has(arrival, fork) is is_his


async def test_headers_without_bodies_do_not_stand_for_bodies() -> None:
    contents, blocks = Contents(), Device(7).write_many(6)
    bare = [b._replace(body=None) if n in (2, 3) else b for n, b in enumerate(blocks)]
    contents.add(Batch(runs=[run_of(bare)]), Absorbed())
    assert contents.blocks == {KEY: ((1, 6),)}
    assert contents.bodies == {KEY: ((1, 2), (5, 6))}
    late = LateBody(*KEY, 3, b"")
    contents.add(Batch(bodies=[late]), Absorbed())
    assert contents.bodies == {KEY: ((1, 3), (5, 6))}
