"""Whoever writes too much loses his own things, and the cap is kept whatever he does."""

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
    GROUP_CLASS,
    REST_CLASS,
    WIDER_CLASS,
    Policy,
    Quota,
)
from gossip.room import Room
from ledger.chain import Log, Piece
from ledger.statement import Cut, Revocation
from ledger.store.base import NEVER, Batch, Floor
from tests.gossip.meetings import Node, now_run
from tests.gossip.test_room import (
    COUSIN,
    FRIEND,
    held,
    is_exact,
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
    make_body,
    material,
    person_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.block import Block
    from ledger.store.base import LogKey

CAP = 100_000
OTHER = 2
"""A log that is neither log 0 nor log 1, nor of a group."""
EVIDENCE = GROUP + 1
"""A group's log; this node is not in it."""


def is_kept(node: Node) -> None:
    """The cap is, but for what the node's own person wrote."""
    own = node.policy.person
    catalogue = node.holdings.catalogue
    mine = sum(log.bytes for key, log in catalogue.logs.items() if catalogue.person(key[0]) == own)
    assert node.holdings.room.used <= max(node.policy.quota.high_mark, mine)
    assert node.holdings.room.victims(Random(1)) == {}
    is_exact(node)


def floors(node: Node) -> dict[LogKey, Floor]:
    return now_run(node.store.floors())


def forks(device: Device, before: int, count: int, log: int = SOCIAL) -> Sequence[Block]:
    """Return what a device writes in ``log`` besides what it wrote from block ``before`` on."""
    twin = device.twin()
    twin.logs[log] = twin.logs[log][:before]
    for number in range(count):
        twin.write(log=log, body=make_body("other", None, [], bytes(500), time=number))
    return twin.logs[log]


# --- who fills a log ----------------------------------------------------------------------------

CLASSES = [(COUSIN, WIDER_CLASS), (FRIEND, CIRCLE_CLASS)]


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_another_open_log_is_shortened_like_log_1(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 400, OTHER)
    node = node_with(CAP)
    node.hold_device(device)
    kept = held(node, device, OTHER)
    assert kept == list(range(kept[0], 401))
    assert len(kept) >= LEAST_BLOCKS
    assert floors(node) == {(device.public, OTHER): Floor(kept[0], rank)}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_log_of_evidence_goes_as_a_whole_and_log_0_stays(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 200, EVIDENCE)
    node = node_with(CAP)
    node.hold_device(device)
    assert held(node, device, EVIDENCE) == []
    assert held(node, device, IDENTITY) == [1]
    assert floors(node) == {(device.public, EVIDENCE): Floor(NEVER, rank)}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_log_0_that_is_too_long_goes_with_the_whole_device(who: Device, rank: int) -> None:
    device = who.twin()
    writes(device, 3)
    writes(device, 3, EVIDENCE)
    writes(device, 200, IDENTITY)
    node = node_with(CAP)
    node.hold_device(device)
    assert not any(author == device.public for author, _ in node.holdings.catalogue.logs)
    assert floors(node)[device.public, IDENTITY] == Floor(NEVER, rank)
    assert floors(node).keys() == {(device.public, log) for log in device.logs}
    is_kept(node)


@pytest.mark.parametrize(("who", "rank"), CLASSES)
def test_a_forked_log_goes_as_a_whole_and_its_author_stays_convicted(
    who: Device, rank: int
) -> None:
    device = who.twin()
    writes(device, 200)
    node = node_with(CAP)
    node.hold([device.root], device.logs[SOCIAL], forks(device, 195, 5))
    key, catalogue = (device.public, SOCIAL), node.holdings.catalogue
    log, standing = catalogue.logs[key], catalogue.standing(key)
    assert (held(node, device), log.fork, log.bytes) == ([], 196, 0)
    assert [proof.seq for proof in now_run(node.store.proofs())] == [196]
    assert standing is not None
    assert standing.evidence
    assert floors(node) == {key: Floor(NEVER, rank)}
    is_kept(node)


def test_what_convicts_somebody_counts_and_goes_with_his_device() -> None:
    # given a friend who forks one log after the other, each of blocks that go
    device, node = FRIEND.twin(), node_with(20_000)
    node.hold([device.root])
    catalogue, proven = node.holdings.catalogue, []
    for log in range(OTHER, OTHER + 40):
        writes(device, 20, log)
        node.hold(device.logs[log], forks(device, 18, 2, log))
        is_kept(node)
        if not catalogue.holds(device.public):
            break
        proven.append(len(catalogue.proofs))
    # then he is let go as a whole in the end, with all that convicts him
    assert proven == list(range(1, len(proven) + 1))
    assert 10 < len(proven) < 39
    assert now_run(node.store.proofs()) == []


def test_evidence_of_a_friend_goes_after_all_that_is_open() -> None:
    device = FRIEND.twin()
    writes(device, 60, EVIDENCE)
    writes(device, 20, OTHER)
    writes(device, 60)
    node = node_with(CAP)
    node.hold_device(device)
    assert len(held(node, device, EVIDENCE)) == 60
    assert held(node, device)[-1] == 60
    assert len(held(node, device)) < 60
    is_kept(node)
    writes(device, 74, EVIDENCE)
    node.hold_device(device)
    assert held(node, device) == held(node, device, OTHER) == []
    assert len(held(node, device, EVIDENCE)) == 134
    assert floors(node)[device.public, SOCIAL] == Floor(61, CIRCLE_CLASS)
    is_kept(node)


@pytest.mark.parametrize("log", [SOCIAL, OTHER, EVIDENCE, IDENTITY])
@pytest.mark.parametrize("fork", [False, True])
def test_one_who_writes_too_much_loses_his_own_things_and_nobody_else_s(
    log: int, *, fork: bool
) -> None:
    friends = [Device(number, number) for number in range(52, 57)]
    everybody = frozenset(one.person.signing.public for one in [FRIEND, *friends])
    node = node_with(CAP, followed=everybody)
    for one in friends:
        writes(one, 6)
        writes(one, 4, EVIDENCE)
        node.hold_device(one)
    before = node.ids()
    device = FRIEND.twin()
    for _ in range(6):
        writes(device, 60, log)
        node.hold_device(device)
        if fork:
            node.hold(forks(device, len(device.logs[log]) - 2, 3, log))
        is_kept(node)
    assert floors(node)
    assert {author for author, _ in floors(node)} == {device.public}
    assert {key: ids for key, ids in node.ids().items() if key[0] != device.public} == before


def test_many_devices_of_one_person_count_as_one() -> None:
    many = [Device(number, 50) for number in range(100, 120)]
    small = Device(52, 52)
    both = frozenset({FRIEND.person.signing.public, small.person.signing.public})
    node = node_with(CAP, followed=both)
    writes(small, 40)
    node.hold_device(small)
    for device in many:
        writes(device, 10)
        node.hold_device(device)
    assert len(held(node, small)) == 40
    assert {author for author, _ in floors(node)} <= {one.public for one in many}
    assert floors(node)
    is_kept(node)


def test_of_a_log_with_gaps_the_newest_that_are_held_stay() -> None:
    device = FRIEND.twin()
    writes(device, 300)
    blocks = device.logs[SOCIAL]
    node = node_with(CAP)
    node.hold([device.root], blocks[:150], blocks[294:296], blocks[298:])
    kept = held(node, device)
    assert kept == [*range(kept[0], 151), 295, 296, 299, 300]
    assert len(kept) == 77
    is_kept(node)


def test_what_a_file_brings_again_goes_first() -> None:
    device = FRIEND.twin()
    writes(device, 400)
    node = node_with(200_000)
    node.hold_device(device)
    low = held(node, device)[0]
    node.hold(device.logs[SOCIAL][: low - 1])
    kept = held(node, device)
    assert kept == list(range(kept[0], 401))
    assert floors(node)[device.public, SOCIAL].seq == kept[0] >= low
    # when older ones come than those that stayed, and the log goes on beyond a gap
    writes(device, 10)
    other = node_with(200_000)
    other.absorb(Batch(floors={(device.public, SOCIAL): Floor(401, CIRCLE_CLASS)}))
    other.hold(*(device.logs[log][:400] for log in (IDENTITY, SOCIAL)))
    assert held(other, device) == []
    assert floors(other)[device.public, SOCIAL] == Floor(401, CIRCLE_CLASS)
    is_kept(other)


def test_of_what_was_let_go_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.shelf.MAX_FLOORS", 40)
    node = node_with(CAP)
    friend = FRIEND.twin()
    writes(friend, 200)
    node.hold_device(friend)
    mine, last = (friend.public, SOCIAL), floors(node)
    for number in range(60, 160):
        node.hold_device(stranger(number))
        after = floors(node)
        assert len(after) <= 40 + len(after.keys() - last.keys())
        assert after[mine].rank == CIRCLE_CLASS, "strangers' are forgotten first"
        last = after
    assert {key for key in last if key != mine} <= {
        (Device(number).public, log) for number in range(60, 160) for log in (0, SOCIAL)
    }
    assert 10 < len(last) <= 42
    is_kept(node)


def test_strangers_however_many_make_nobody_else_s_things_go() -> None:
    member = Device(61, 61)
    node = node_with(CAP, groups={GROUP: material("a group", 16)})
    kept = [FRIEND.twin(), COUSIN.twin(), member]
    for device, log in zip(kept, (SOCIAL, SOCIAL, GROUP), strict=True):
        writes(device, 12, log)
        node.hold_device(device)
    before = node.ids()
    for number in range(70, 130):
        node.hold_device(stranger(number, 14))
    after = node.ids()
    assert {key: after[key] for key in before} == before
    assert len(floors(node)) > 20
    is_kept(node)


# --- log 0 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["named", "group"])
def test_log_0_goes_with_the_strangers_only_if_no_log_of_the_device_is_wanted(how: str) -> None:
    device = Device(60, 60)
    writes(device, 3)
    writes(device, 3, GROUP)
    cares: dict[str, Any] = {"groups": {GROUP: material("a group", 16)}}
    if how == "named":
        cares = {"named": frozenset({(device.public, GROUP)})}
    node = node_with(CAP, **cares)
    node.hold_device(device)
    for number in range(70, 99):
        node.hold_device(stranger(number, 12))
    for number in range(100, 129):
        node.hold_device(stranger(number, 12))
    assert held(node, device) == []
    assert (held(node, device, IDENTITY), held(node, device, GROUP)) == ([1], [1, 2, 3])
    assert floors(node)[device.public, SOCIAL] == Floor(NEVER, REST_CLASS)
    is_kept(node)


def test_log_0_of_a_device_that_fills_a_group_goes_with_the_group_s_things() -> None:
    device, member = Device(60, 60), Device(61, 61)
    node = node_with(CAP, groups={GROUP: material("a group", 16)})
    writes(member, 10, GROUP)
    node.hold_device(member)
    writes(device, 1, GROUP)
    writes(device, 160, IDENTITY)
    node.hold_device(device)
    assert len(held(node, member, GROUP)) == 10
    assert not any(author == device.public for author, _ in node.holdings.catalogue.logs)
    assert set(floors(node).values()) == {Floor(NEVER, GROUP_CLASS)}
    is_kept(node)


def test_where_log_0_went_the_other_logs_are_known_to_be_detached() -> None:
    blocked = Device(60, 60)
    node = node_with(CAP, blocked=frozenset({blocked.person.signing.public}))
    writes(blocked, 5)
    node.hold_device(blocked)
    key, catalogue = (blocked.public, SOCIAL), node.holdings.catalogue
    assert catalogue.scope(key) is None
    node.absorb(Batch(floors={(blocked.public, IDENTITY): Floor(NEVER, REST_CLASS)}))
    assert catalogue.logs[key].joined is None
    assert catalogue.person(blocked.public) is None
    assert catalogue.scope(key) == b""
    assert key in list(catalogue.digest(b""))
    is_exact(node)
    anew = Node(1, store=node.store, blocked=node.policy.blocked).holdings.catalogue
    assert anew.standing(key) == catalogue.standing(key)
    assert anew.digest(b"").root() == catalogue.digest(b"").root()


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
