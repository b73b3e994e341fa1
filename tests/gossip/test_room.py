"""What goes when there is no more room, and how fast strangers' things may come then."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.policy import Quota
from gossip.room import LEAST_BLOCKS, MAX_DEVICES, Room
from ledger.store.base import NEVER, Batch, Floor
from tests.gossip.meetings import Node, now_run
from tests.gossip.worlds import part
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, make_body, material, run_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.store.base import LogKey

SIZE = 500
HOUR_S = 3_600.0
FRIEND, COUSIN = Device(50, 50), Device(51, 51)


def quota(cap: int, **parts: float) -> Quota:
    return Quota(cap=cap, **parts)  # type: ignore[arg-type]


def node_with(cap: int, *, number: int = 1, seed: int = 1, **policy: Any) -> Node:  # noqa: ANN401
    """Return a node that may hold ``cap`` bytes, follows FRIEND and is near COUSIN."""
    cares: dict[str, Any] = {
        "followed": frozenset({FRIEND.person.signing.public}),
        "near": frozenset({COUSIN.person.signing.public}),
    }
    node = Node(number, **({"quota": quota(cap)} | cares | policy))
    node.holdings._dice = Random(seed)
    return node


def writes(device: Device, count: int, log: int = SOCIAL) -> None:
    for number in range(count):
        device.write(log=log, body=make_body("x", None, [], bytes(SIZE), time=number))


def stranger(number: int, count: int = 10) -> Device:
    device = Device(number, number)
    writes(device, count)
    return device


def friend(count: int, who: Device = FRIEND) -> Device:
    device = who.twin()
    writes(device, count)
    return device


def is_exact(node: Node) -> None:
    """What is known in memory is what is in the store."""
    catalogue = node.holdings.catalogue
    logs = {(log.author, log.number): log for log in now_run(node.store.logs())}
    assert catalogue.bytes == sum(log.bytes for log in logs.values())
    assert catalogue.logs == logs
    assert catalogue.floors == now_run(node.store.floors())
    assert now_run(node.store.check()) == []


def held(node: Node, device: Device, log: int = SOCIAL) -> list[int]:
    blocks = now_run(node.store.read((device.public, log), 0, NEVER, limit=NEVER))
    return [block.header.seq for block in blocks]


# --- what goes ----------------------------------------------------------------------------------


def test_while_there_is_room_nothing_goes() -> None:
    node = node_with(1 << 20)
    for number in range(60, 90):
        node.hold_device(stranger(number))
    assert node.holdings.catalogue.bytes > 200_000
    assert now_run(node.store.floors()) == {}
    assert not node.holdings.room.is_tight
    assert node.holdings.room.victims(Random(1)) == {}


@pytest.mark.parametrize("over", [0, 1])
def test_something_goes_from_the_first_byte_above_the_mark_on(over: int) -> None:
    probe = node_with(1 << 30)
    probe.hold_device(stranger(60))
    cap = next(c for c in range(1, 1 << 20) if quota(c).high_mark >= probe.holdings.catalogue.bytes)
    assert quota(cap - 1).high_mark < probe.holdings.catalogue.bytes
    node = node_with(cap - over)
    node.hold_device(stranger(60))
    assert bool(now_run(node.store.floors())) == bool(over)


def test_of_strangers_whole_devices_go_by_chance() -> None:
    gone: set[frozenset[LogKey]] = set()
    for seed in range(4):
        node = node_with(100_000, seed=seed)
        devices = [stranger(number) for number in range(60, 90)]
        for device in devices:
            node.hold_device(device)
            assert node.holdings.catalogue.bytes <= node.policy.quota.high_mark
        floors = now_run(node.store.floors())
        assert set(floors.values()) == {Floor(NEVER, 6)}
        for device in devices:
            here = {log for log in device.logs if held(node, device, log)}
            assert here in (set(), set(device.logs))
            assert {(device.public, log) in floors for log in device.logs} == {not here}
        is_exact(node)
        gone.add(frozenset(floors))
    assert len(gone) == 4, "other dice, others go"


def test_the_same_dice_choose_the_same() -> None:
    chosen = []
    for _ in range(2):
        node = node_with(100_000, seed=7)
        for number in range(60, 90):
            node.hold_device(stranger(number))
        chosen.append(now_run(node.store.floors()))
    assert chosen[0] == chosen[1]


def test_own_blocks_never_go() -> None:
    node = node_with(40_000)
    for number in range(100):
        node.write("x" * SIZE + str(number))
    node.hold_device(stranger(60, 3))
    assert len(held(node, node.device)) == 100
    assert held(node, node.device, IDENTITY) == [1]
    assert (node.device.public, SOCIAL) not in now_run(node.store.floors())
    is_exact(node)


def test_strangers_within_their_part_stay_where_others_are_too_much() -> None:
    node = node_with(200_000)
    small = stranger(60, 5)
    node.hold_device(small)
    node.hold_device(friend(400))
    assert len(held(node, small)) == 5
    assert len(held(node, FRIEND)) < 400


def test_of_a_friend_the_older_half_goes_and_the_newest_stay() -> None:
    node = node_with(200_000)
    node.hold_device(friend(400))
    kept = held(node, FRIEND)
    assert kept == list(range(kept[0], 401))
    assert len(kept) >= LEAST_BLOCKS
    assert node.holdings.catalogue.bytes <= node.policy.quota.high_mark
    assert held(node, FRIEND, IDENTITY) == [1]
    assert now_run(node.store.floors()) == {(FRIEND.public, SOCIAL): Floor(kept[0], 3)}
    is_exact(node)


def test_of_two_friends_the_largest_log_is_cut() -> None:
    other = Device(52, 52)
    both = frozenset({FRIEND.person.signing.public, other.person.signing.public})
    node = node_with(200_000, followed=both)
    node.hold_device(friend(60, other))
    node.hold_device(friend(300))
    assert len(held(node, other)) == 60
    assert len(held(node, FRIEND)) == 150


def test_of_a_friends_log_that_is_shortened_so_many_blocks_are_kept() -> None:
    node = node_with(50_000)
    node.hold_device(friend(300))
    assert held(node, FRIEND) == list(range(301 - LEAST_BLOCKS, 301))
    is_exact(node)


def test_what_friends_of_friends_wrote_goes_before_what_friends_did() -> None:
    node = node_with(300_000)
    node.hold_device(friend(200))
    node.hold_device(friend(300, COUSIN))
    assert len(held(node, FRIEND)) == 200
    assert len(held(node, COUSIN)) < 300
    assert now_run(node.store.floors()).keys() == {(COUSIN.public, SOCIAL)}


def test_evidence_goes_as_a_whole_and_that_of_the_circle_last() -> None:
    near, close = COUSIN.twin(), FRIEND.twin()
    for device in (near, close):
        writes(device, 120, GROUP)
    node = node_with(100_000)
    node.hold_device(close)
    node.hold_device(near)
    assert len(held(node, close, GROUP)) == 120
    assert held(node, near, GROUP) == []
    assert held(node, near, IDENTITY) == [1]
    is_exact(node)


def test_a_friends_forked_log_is_kept() -> None:
    device = friend(100)
    twin = device.twin()
    twin.logs[SOCIAL] = twin.logs[SOCIAL][:50]
    writes(twin, 20)
    node = node_with(30_000)
    node.absorb(Batch(runs=[run_of([device.root]), run_of(device.logs[SOCIAL])]))
    before = held(node, FRIEND)
    node.hold(twin.logs[SOCIAL])
    assert set(before[:10]) <= set(held(node, FRIEND)) | set(range(1, 100))
    is_exact(node)


device_numbers = st.integers(60, 75)
writings = st.tuples(
    st.one_of(device_numbers, st.sampled_from([50, 51])),
    st.integers(1, 40),
    st.sampled_from([SOCIAL, SOCIAL, GROUP]),
)


@part(5)
@given(
    written=st.lists(writings, min_size=1, max_size=12),
    cap=st.integers(20_000, 150_000),
    seed=st.integers(0, 9),
)
def test_after_every_batch_all_is_within_the_cap(
    written: list[tuple[int, int, int]], cap: int, seed: int
) -> None:
    node, devices = node_with(cap, seed=seed), dict[int, Device]()
    for number, count, log in written:
        device = devices.setdefault(number, Device(number, number))
        writes(device, count, log)
        node.hold_device(device)
        catalogue = node.holdings.catalogue
        assert catalogue.bytes == sum(one.bytes for one in catalogue.logs.values())
        if catalogue.bytes > node.policy.quota.high_mark:
            assert set(stubborn(node)) >= too_much(node)
    is_exact(node)


def too_much(node: Node) -> set[LogKey]:
    """All logs that could still go for being in a class that has more than its part."""
    return set(node.holdings.room.victims(Random(1)))


def stubborn(node: Node) -> Iterable[LogKey]:
    """Logs of which nothing more goes."""
    return node.holdings.catalogue.logs.keys()


# --- how fast strangers' things come ------------------------------------------------------------


def room_of(blocks: int, **parts: float) -> tuple[Room, Device]:
    """Return a tight room, in which so many blocks of a stranger are held."""
    node = node_with(100_000, quota=quota(100_000, **parts))
    device = Device(60, 60)
    writes(device, blocks)
    node.hold_device(device)
    return node.holdings.room, device


@pytest.mark.parametrize(
    ("blocks", "allowed"), [(0, 15), (5, 10), (15, 16), (16, 17), (30, 31), (100, 101)]
)
def test_what_is_held_of_a_strangers_device_may_double(blocks: int, allowed: int) -> None:
    room, device = room_of(blocks)
    assert room.allowance((device.public, SOCIAL), b"link", 0) == allowed


def test_a_new_device_begins_with_sixteen_blocks() -> None:
    room, _ = room_of(0)
    assert room.allowance((material("new"), SOCIAL), b"link", 0) == 16


def test_a_device_of_too_many_bytes_gets_no_more() -> None:
    node = node_with(1 << 20, quota=quota(1 << 20, bytes=4_000))
    node.hold_device(stranger(60, 10))
    assert node.holdings.room.allowance((stranger(60).public, SOCIAL), b"link", 0)
    room = node.holdings.room
    node.hold_device(stranger(60, 25))
    assert room.allowance((stranger(60).public, SOCIAL), b"link", 1) == 0
    assert room.allowance((stranger(60).public, SOCIAL), b"link", HOUR_S)


def test_a_link_has_its_part_of_an_hour() -> None:
    room, device = room_of(5)
    key, share = (device.public, SOCIAL), int(100_000 * 0.05 * 0.125)
    room.take(key, b"link", share - 1, 0)
    assert room.allowance(key, b"link", 10) == 10
    room.release(key, b"link", 15)
    assert room.has_part(b"link", 15)
    room.take(key, b"link", 1, 20)
    assert room.allowance(key, b"link", 30) is None
    assert room.allowance(key, b"other", 30) == 10
    assert room.allowance(key, b"link", HOUR_S - 1) is None
    assert room.allowance(key, b"link", HOUR_S) == 10


def test_what_was_asked_for_counts_until_it_has_come() -> None:
    room, device = room_of(5)
    key, share = (device.public, SOCIAL), int(100_000 * 0.05 * 0.125)
    assert room.allowance(key, b"link", 0) == 10
    assert room.allowance(key, b"link", 0) == 10, "it was asked for already"
    assert room.allowance((device.public, 0), b"link", 0) is None
    room.take(key, b"link", share - 1, 1)
    room.release(key, b"link", 1)
    assert room.has_part(b"link", 1)
    room.release(key, b"link", 1)
    room.take(key, b"link", 1, 1)
    assert not room.has_part(b"link", 1)


def test_a_link_begins_with_a_bounded_number_of_devices_in_an_hour() -> None:
    room, _ = room_of(0)
    for number in range(MAX_DEVICES):
        key = (number.to_bytes(32, "big"), 0)
        assert room.allowance(key, b"link", 0) == 16
        room.release(key, b"link", 0)
    assert room.allowance((material("one more"), 0), b"link", 0) == 0
    assert room.allowance((bytes(32), 0), b"link", 0) == 16
    assert room.allowance((material("one more"), 0), b"link", HOUR_S) == 16
    assert len(room._hours) == 1


def test_hours_that_are_over_are_forgotten() -> None:
    room, _ = room_of(0)
    for number in range(50):
        room.take((bytes(32), 0), bytes([number]), 1, 60.0 * number)
    assert len(room._hours) == 50
    room.take((bytes(32), 0), b"x", 1, 3 * HOUR_S)
    assert len(room._hours) == 1


def test_parts_are_not_negative_and_one_in_all_at_most() -> None:
    for wrong in ({"circle": -0.1}, {"circle": 0.9}, {"cap": 0}):
        with pytest.raises(ValueError, match="parts of a quota"):
            Quota(**wrong)


def test_what_one_wrote_on_another_device_never_goes() -> None:
    node = node_with(60_000)
    other = Device(90, owner=1)
    writes(other, 200)
    node.hold_device(other)
    node.hold_device(stranger(60, 60))
    mine = [log for log in now_run(node.store.logs()) if log.author == other.public]
    assert sum(piece.high - piece.low + 1 for log in mine for piece in log.pieces) == 201
    assert not any(author == other.public for author, _ in now_run(node.store.floors()))
    assert not any(log.author == stranger(60).public for log in now_run(node.store.logs()))


def test_another_share_of_the_cap_makes_floors_void() -> None:
    plain, larger = (node_with(60_000, quota=q).policy for q in (
        Quota(cap=60_000), Quota(cap=60_000, strangers=0.1, groups=0.05)
    ))  # fmt: skip
    assert plain.wants != larger.wants
