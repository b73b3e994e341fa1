"""A bundle for several readers, of whom one may have what another may not: closed groups."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.sneakernet import inspect_bundle
from tests.gossip.meetings import now_run
from tests.mesh.sticks import Carrier, ids, opened
from tests.strategies import GROUP, SOCIAL, Device, forked, run_of

CLUB, CREW = b"the club", b"the crew"
CREW_LOG = GROUP + 1


async def three() -> tuple[Carrier, Carrier, Carrier]:
    """Return one who shares a closed group with a second, and a third who is in none."""
    ben, cleo = await Carrier(2).begin(), await Carrier(3).begin()
    members = {CLUB: frozenset({ben.public})}
    ann = await Carrier(1, groups={GROUP: CLUB}, members=members).begin()
    return ann, ben, cleo


async def write(ann: Carrier, count: int, log: int = SOCIAL) -> None:
    blocks = ann.device.write_many(count, log=log)
    await ann.keep(run_of(blocks[-count:]))


async def give(ann: Carrier, *to: Carrier, max_bytes: int | None = None) -> list[int]:
    """Give one bundle to all of them; return how many blocks were new to each."""
    raw, _ = await ann.give(*to, max_bytes=max_bytes)
    return [(await one.take(raw)).new_blocks for one in to]


async def last(ann: Carrier) -> int:
    return (await ann.store.runs())[-1].last


async def test_what_one_reader_may_not_have_is_not_covered_for_another_who_may() -> None:
    ann, ben, cleo = await three()
    await write(ann, 3)
    await write(ann, 4, GROUP)
    await write(ann, 5)
    assert await give(ann, ben, cleo) == [9, 9]
    seen = await ben.seen(ann), await cleo.seen(ann)
    assert [one and one.ranges for one in seen] == [((1, 2), (4, 4)), ((1, 4),)]
    # once Ann knows what came, Ben alone gets the rest, and each the other's first block
    for one in (ben, cleo):
        await ann.take((await one.give(ann))[0])
    assert [await give(ann, cleo), await give(ann, ben)] == [[1], [4 + 1]]
    rest = await ben.seen(ann)
    assert rest is not None
    assert rest.ranges == ((1, await last(ann)),)
    assert await ids(ben.store) >= {block.id + b"+" for block in ann.device.logs[GROUP]}


@pytest.mark.parametrize("limit", [None, 3_000, 1 << 20])
async def test_a_reader_of_no_group_gets_nothing_of_it_and_does_not_hear_of_it(
    limit: int | None,
) -> None:
    ann, ben, cleo = await three()
    await write(ann, 6, GROUP)
    await write(ann, 6)
    raw, _ = await ann.give(ben, cleo, max_bytes=limit)
    for one in (ben, cleo):
        found = inspect_bundle(BytesIO(raw), keys=one.device.keys)
        assert {(log.author, log.log) for log in found.logs} == {(ann.public, 0), (ann.public, 1)}
        header, row = opened(raw, one)
        assert {(entry.author, entry.log) for entry in header.frontier} == {
            (ann.public, 0), (ann.public, 1),
        }  # fmt: skip
        # lsn 2 is the group's
        is_covered = any(low <= 2 <= high for low, high in row.covers)
        assert is_covered is (one is cleo)


async def test_for_readers_who_are_all_in_a_group_it_goes_and_is_covered() -> None:
    ann, ben, cleo = await three()
    ann.members = {CLUB: frozenset({ben.public, cleo.public})}
    await write(ann, 4, GROUP)
    assert await give(ann, ben, cleo) == [5, 5]
    for one in (ben, cleo):
        seen = await one.seen(ann)
        assert seen is not None
        assert seen.ranges == ((1, await last(ann)),)


async def test_a_verdict_on_a_log_of_a_group_is_not_covered_for_its_members() -> None:
    ann, ben, cleo = await three()
    left, right = forked(5, 2, 2, log=GROUP, number=6)
    for blocks in ([Device(6).root], left, right):
        await ann.keep(run_of(blocks))
    assert await ann.store.proofs() != []
    assert await give(ann, ben, cleo) == [2, 2]
    assert await ben.store.proofs() == []
    await ann.take((await ben.give(ann))[0])
    await give(ann, ben)
    assert await ben.store.proofs() == await ann.store.proofs()
    assert await ids(ben.store) >= await ids(ann.store) - {cleo.device.root.id + b"+"}


async def test_what_is_withheld_for_long_costs_nothing_twice() -> None:
    ann, ben, cleo = await three()
    for _ in range(2):
        await give(ann, ben, cleo)
        for one in (ben, cleo):
            await ann.take((await one.give(ann))[0])
    for _ in range(40):
        await write(ann, 1, GROUP)
        await write(ann, 2)
        raw, done = await ann.give(ben, cleo)
        assert done.blocks == 2
        assert len(raw) < 4_000
        for one in (ben, cleo):
            took = await one.take(raw)
            assert (took.new_blocks, took.known_blocks) == (2, 0)
            await ann.take((await one.give(ann))[0])
    raw, done = await ann.give(ben)
    assert done.blocks == 40
    assert (await ben.take(raw)).new_blocks == 40


# --- whatever is written and given --------------------------------------------------------------

readers = st.sets(st.integers(0, 2), min_size=1)
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([SOCIAL, GROUP, CREW_LOG]), st.integers(1, 9)),
    st.tuples(st.just("give"), readers, st.sampled_from([None, None, 3_500])),
    st.tuples(st.just("answer"), st.integers(0, 2), st.none()),
)


class Club:
    """One who belongs to two closed groups, and three others of whom some belong to them."""

    def __init__(self, members: dict[bytes, set[int]]) -> None:
        self.others = [now_run(Carrier(number).begin()) for number in (2, 3, 4)]
        self.members = {
            group: frozenset(self.others[n].public for n in some) for group, some in members.items()
        }
        groups = {GROUP: CLUB, CREW_LOG: CREW}
        self.ann = now_run(Carrier(1, groups=groups, members=self.members).begin())

    def do(self, what: str, whom: object, more: object) -> None:
        match what, whom, more:
            case "write", int(log), int(count):
                now_run(write(self.ann, count, log))
            case "give", set(some), limit:
                assert limit is None or isinstance(limit, int)
                now_run(give(self.ann, *(self.others[n] for n in sorted(some)), max_bytes=limit))
            case "answer", int(number), None:
                raw, _ = now_run(self.others[number].give(self.ann))
                now_run(self.ann.take(raw))
            case _:
                raise AssertionError(what)

    def may_have(self, other: Carrier) -> set[bytes]:
        """Return the ids of what Ann wrote and the other may have."""
        secret = {GROUP: CLUB, CREW_LOG: CREW}
        return {
            block.id + b"+"
            for log, blocks in self.ann.device.logs.items()
            if log not in secret or other.public in self.members[secret[log]]
            for block in blocks
        }


@given(
    members=st.fixed_dictionaries({group: st.sets(st.integers(0, 2)) for group in (CLUB, CREW)}),
    steps=st.lists(STEPS, max_size=14),
)
@settings(deadline=None, max_examples=max(20, settings().max_examples // 2))
def test_in_the_end_each_has_just_what_he_may_whoever_shared_his_bundles(
    members: dict[bytes, set[int]], steps: list[tuple[str, object, object]]
) -> None:
    club = Club(members)
    for step in steps:
        club.do(*step)
    for other in club.others:
        now_run(give(club.ann, other))
        own = {other.device.root.id + b"+"}
        held = now_run(ids(other.store))
        everybody = {one.device.root.id + b"+" for one in club.others}
        assert held - everybody == club.may_have(other)
        assert own <= held
        seen = now_run(other.seen(club.ann))
        assert seen is not None
        assert seen.ranges == ((1, now_run(last(club.ann))),)
