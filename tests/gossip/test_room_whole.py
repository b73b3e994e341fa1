"""How much each may have, what it costs to find out what goes, and that it always works out."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gossip.catalogue import Catalogue, Changes
from gossip.letting_go import LEAST_BLOCKS
from gossip.policy import (
    CIRCLE_CLASS,
    FIRST_TO_GO,
    Policy,
    Quota,
)
from gossip.room import Room
from ledger.chain import Log, Piece
from ledger.statement import Cut, Revocation
from ledger.store.base import NEVER, Batch, Floor
from tests.gossip.meetings import now_run
from tests.gossip.test_room import (
    FRIEND,
    held,
    node_with,
    stranger,
    writes,
)
from tests.gossip.worlds import part
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    material,
    person_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block
    from ledger.store.base import LogKey
from tests.gossip.test_letting_go import CAP, EVIDENCE, OTHER, floors, forks, is_kept

# --- shares -------------------------------------------------------------------------------------


@given(
    own=st.integers(0, 200_000),
    cap=st.integers(1, 120_000),
    parts=st.lists(st.integers(0, 100), min_size=5, max_size=5).filter(any),
)
def test_the_shares_are_never_more_than_ones_own_blocks_leave(
    own: int, cap: int, parts: list[int]
) -> None:
    circle, wider, groups, mail, strangers = (part / sum(parts) for part in parts)
    whole = Quota(cap, circle, wider, groups, mail, strangers)
    shares = whole.shares(own)
    assert shares.keys() == set(FIRST_TO_GO)
    assert min(shares.values()) >= 0
    assert sum(shares.values()) <= max(whole.high_mark - own, 0) + 3, "of which each is rounded"


def test_ones_own_blocks_count_with_the_circle_until_that_leaves_too_little() -> None:
    whole = Quota(cap=1_000_000)
    assert whole.shares(0) == {6: 50_000, 5: 250_000, 2: 100_000, 3: 500_000}
    assert whole.shares(300_000) == {6: 50_000, 5: 250_000, 2: 100_000, 3: 200_000}
    assert whole.shares(800_000) == {6: 9_375, 5: 46_875, 2: 18_750, 3: 25_000}
    assert set(whole.shares(900_000).values()) == set(whole.shares(2_000_000).values()) == {0}


@pytest.mark.parametrize(
    "nothing", [Quota(1), Quota(10, 0, 0, 0, 1, 0), Quota(100_000, 0, 0, 0, 0.95, 0.05, slack=0.1)]
)
def test_where_there_is_no_room_at_all_only_ones_own_blocks_are_kept(nothing: Quota) -> None:
    assert 0 <= nothing.low_mark <= nothing.high_mark
    node = node_with(1, quota=nothing)
    node.write("mine")
    friend = FRIEND.twin()
    writes(friend, 20, EVIDENCE)
    node.hold_device(friend)
    node.hold_device(stranger(60, 20))
    assert len(held(node, node.device)) == 1
    assert {author for author, _ in node.holdings.catalogue.logs} == {node.device.public}
    is_kept(node)


def test_beside_many_own_blocks_the_cap_is_kept_all_the_same() -> None:
    node = node_with(CAP)
    for number in range(110):
        node.write("x" * 500 + str(number))
    node.hold_device(stranger(60, 20))
    node.hold_device(stranger(61, 5))
    friend = FRIEND.twin()
    writes(friend, 20)
    node.hold_device(friend)
    assert len(held(node, node.device)) == 110
    assert held(node, friend)
    is_kept(node)


# --- what it costs ------------------------------------------------------------------------------


class Counting(Policy):
    """Counts how often it was asked for a class."""

    asked = 0

    @override
    def rank(self, key: LogKey, person: bytes | None) -> int | None:
        type(self).asked += 1
        return super().rank(key, person)


MANY = 3_000


def crowded(logs: Sequence[Log], **cares: Any) -> Room:  # noqa: ANN401
    """Return a room full of ``logs``, of which nobody has the blocks."""
    whole = Quota(sum(log.bytes for log in logs))
    policy = Counting(bytes(32), bytes(32), **{"quota": whole} | cares)
    catalogue = Catalogue(policy)
    catalogue.learn(Changes(logs={(log.author, log.number): log for log in logs}))
    Counting.asked = 0
    return Room(catalogue, policy)


def made_up(device: int, log: int, blocks: int = 2) -> Log:
    return Log(device.to_bytes(32, "big"), log, pieces=(Piece(1, blocks, b"", b""),), bytes=500)


@pytest.mark.parametrize("shape", ["one device", "many devices", "a group"])
def test_what_to_let_go_is_found_by_looking_at_each_log_once(shape: str) -> None:
    logs = [made_up(1, number) for number in range(MANY)]
    cares: dict[str, Any] = {}
    if shape == "many devices":
        logs = [made_up(1 + number // 2, number % 2) for number in range(MANY)]
    if shape == "a group":
        logs = [made_up(number, 0) for number in range(1, MANY // 2)]
        logs += [made_up(number, GROUP) for number in range(1, MANY // 2)]
        cares = {"groups": {GROUP: bytes(16)}}
    room = crowded(logs, **cares)
    gone = room.victims(Random(1))
    assert len(gone) * 500 >= room.used - room._policy.quota.low_mark
    assert Counting.asked <= 3 * len(logs)


def test_where_all_classes_are_full_each_gives_a_little_and_that_is_room_for_a_while() -> None:
    logs = [made_up(number, GROUP) for number in range(1, 901)]
    logs += [made_up(number, SOCIAL) for number in range(1_000, 1_901)]
    whole = Quota(1_000_000, circle=0, wider=0, groups=0.45, strangers=0.45)
    room = crowded(logs, groups={GROUP: bytes(16)}, quota=whole)
    assert room.used - 500 == whole.high_mark == sum(whole.shares(0).values())
    gone = room.victims(Random(1))
    assert whole.low_mark - 1_000 <= room.used - 500 * len(gone) <= whole.low_mark
    left = 450_000 * whole.low_mark // whole.high_mark
    for log in (GROUP, SOCIAL):
        lost = sum(key[1] == log for key in gone)
        assert 0 <= left - 500 * (900 + (log == SOCIAL) - lost) <= 1_000


def test_while_there_is_room_no_log_is_looked_at() -> None:
    room = crowded([made_up(1, number) for number in range(100)])
    room._policy = Policy(bytes(32), bytes(32))
    assert room.victims(Random(1)) == {}
    assert Counting.asked == 0


def test_a_log_with_a_few_blocks_too_many_is_not_shortened() -> None:
    logs = [made_up(1, number, LEAST_BLOCKS + 1) for number in range(1, 1_000)]
    room = crowded([made_up(1, 0), *logs], followed=frozenset({(1).to_bytes(32, "big")}))
    room._catalogue._persons[(1).to_bytes(32, "big")] = (1).to_bytes(32, "big")
    gone = room.victims(Random(1))
    assert set(gone.values()) == {Floor(LEAST_BLOCKS + 2, CIRCLE_CLASS)}
    assert len(gone) <= (room.used - room._policy.quota.low_mark) // 500 + 1


# --- whatever happens ---------------------------------------------------------------------------

NUMBERS = (50, 51, 52, 60, 61, 62, 63)
"""A friend, a friend's friend, a member of the group, and strangers."""
deeds = st.tuples(
    st.sampled_from(NUMBERS),
    st.sampled_from(["write", "write", "write", "write", "fork", "own", "revoke", "half"]),
    st.sampled_from([IDENTITY, SOCIAL, SOCIAL, OTHER, GROUP, EVIDENCE]),
    st.integers(1, 60),
)


class Life:
    """A node that keeps whatever comes, and what ever came."""

    def __init__(self, cap: int, seed: int) -> None:
        self.node = node_with(cap, seed=seed, groups={GROUP: material("a group", 16)})
        self.devices = {number: Device(number, number) for number in NUMBERS}
        self.ever: dict[LogKey, set[int]] = {}
        self.said: set[bytes] = set()

    def live(self, number: int, deed: str, log: int, count: int) -> None:
        device, blocks = self.devices[number], self.devices[number].logs.get(log, [])
        match deed:
            case "own":
                for one in range(count):
                    self.node.write("x" * 400 + str(one))
            case "revoke":
                said = Revocation.sign(person_key(number), device.public, [Cut(1, 1, bytes(32))])
                self.node.absorb(Batch(revocations=[said]))
                self.said.add(device.public)
            case "fork" if len(blocks) > 2:
                self.take(device, forks(device, len(blocks) - 1, 3, log))
            case "half" if len(blocks) > 2:
                self.take(device, blocks[len(blocks) // 2 :])
            case _:
                writes(device, count, log)
                self.take(device, *device.logs.values())

    def take(self, device: Device, *logs: Sequence[Block]) -> None:
        self.node.hold(*logs)
        for blocks in logs:
            seqs = {block.header.seq for block in blocks}
            self.ever.setdefault((device.public, blocks[0].header.log), set()).update(seqs)

    def is_sound(self) -> None:
        node, catalogue = self.node, self.node.holdings.catalogue
        is_kept(node)
        assert {one.device for one in now_run(node.store.revocations())} == self.said
        own = node.device.logs.get(SOCIAL, [])
        assert len(held(node, node.device)) == len(own)
        forked = {key for key, log in catalogue.logs.items() if log.fork is not None}
        assert catalogue.proofs.keys() == forked
        for key, seqs in self.ever.items():
            self.is_remembered(key, seqs)

    def is_remembered(self, key: LogKey, seqs: set[int]) -> None:
        """What is not held any more was let go, and evidence is whole or gone."""
        catalogue, floor = self.node.holdings.catalogue, floors(self.node).get(key, Floor(1, 6))
        log = catalogue.logs.get(key)
        if log is not None and log.fork is not None:
            return
        pieces = () if log is None else log.pieces
        lost = {seq for seq in seqs if not any(p.low <= seq <= p.high for p in pieces)}
        assert all(seq < floor.seq for seq in lost)
        is_evidence = key[1] == 0 or key[1] >= GROUP
        assert not is_evidence or not pieces or not lost or floor.seq == NEVER


@part(5)
@given(
    story=st.lists(deeds, min_size=1, max_size=14),
    cap=st.integers(10_000, 120_000),
    seed=st.integers(0, 9),
)
def test_whatever_comes_the_cap_is_kept_and_what_must_stay_does(
    story: list[tuple[int, str, int, int]], cap: int, seed: int
) -> None:
    life = Life(cap, seed)
    for deed in story:
        life.live(*deed)
        life.is_sound()
