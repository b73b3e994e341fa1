"""The catalogue: kept up to date batch by batch, it is as if it were read anew."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.catalogue import MAX_STATEMENTS, Catalogue, Changes
from gossip.control import BUCKETS
from gossip.policy import PUBLIC, Policy
from gossip.standing import Standing, place_of, standing_of
from ledger.block import Block
from ledger.chain import Log
from ledger.run import Run, verify_run
from ledger.statement import Cut, Revocation
from ledger.store.base import Batch, LateBody
from mesh.holdings import Holdings
from tests.gossip.meetings import Counter, Node, now_run
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    Device,
    items,
    material,
    person_key,
)

CLOSED = material("closed group", 16)
LOGS = (IDENTITY, SOCIAL, GROUP)


def world() -> list[Device]:
    """Two devices each of two persons, and a copy of each that wrote something else."""
    devices = [Device(number, owner=10 + number // 2) for number in range(1, 5)]
    twins = [device.twin() for device in devices]
    for device, twin in zip(devices, twins, strict=True):
        for log in LOGS:
            device.write_many(2, "both", log=log)
            twin.logs[log] = list(device.logs[log])
            device.write_many(3, "one", log=log)
            twin.write_many(4, "other", log=log)
    return devices + twins


WORLD = world()
PERSONS = [person_key(number).signing.public for number in (10, 11, 12)]


def stretch(draw: st.DrawFn) -> list[Block]:
    blocks = draw(st.sampled_from(WORLD)).logs[draw(st.sampled_from(LOGS))]
    low = draw(st.integers(0, len(blocks) - 1))
    return blocks[low : draw(st.integers(low + 1, len(blocks)))]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A stretch of a log, with or without bodies, a device block's among them; early or late."""
    bare, blocks = draw(st.booleans()), stretch(draw)
    shown = [b._replace(body=None) if bare else b for b in blocks]
    if draw(st.booleans()):
        return verify_run(items(shown), Counter(), draw(st.integers(0, 3)))
    return Run(tuple(shown), draw(st.integers(0, 3)))


@st.composite
def bodies(draw: st.DrawFn) -> list[LateBody]:
    return [LateBody(*b.header[:3], b.body) for b in stretch(draw) if b.body is not None]


@st.composite
def statements(draw: st.DrawFn) -> Revocation:
    device, owner = draw(st.sampled_from(WORLD)), draw(st.sampled_from([10, 11, 12]))
    cut = Cut(SOCIAL, draw(st.integers(1, 3)), bytes(32))
    return Revocation.sign(person_key(owner), device.public, [cut])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    return Batch(
        runs=draw(st.lists(runs(), max_size=4)),
        bodies=draw(st.just([]) | bodies()),
        revocations=draw(st.lists(statements(), max_size=2)),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        WORLD[0].public,
        PERSONS[0],
        followed=draw(st.frozensets(st.sampled_from(PERSONS), max_size=1)),
        blocked=draw(st.frozensets(st.sampled_from([*PERSONS[1:], WORLD[3].public]), max_size=1)),
        groups=draw(st.sampled_from([{}, {GROUP: CLOSED}])),
        headers_only=draw(st.sampled_from([frozenset(), frozenset({(WORLD[1].public, SOCIAL)})])),
        public=draw(st.booleans()),
    )


def all_of(catalogue: Catalogue) -> object:
    """All that a catalogue can be asked."""
    keys = sorted({*catalogue.logs, *((device.public, 0) for device in WORLD)})
    return (
        {key: catalogue.logs.get(key) for key in keys},
        catalogue.proofs,
        (catalogue.runs, catalogue.run, catalogue.lsn),
        {key: catalogue.standing(key) for key in keys},
        {key: (catalogue.scope(key), catalogue.hops(key)) for key in keys},
        {key: (catalogue.person(key[0]), catalogue.statements(key[0])) for key in keys},
        {scope: sorted(catalogue.digest(scope)) for scope in (PUBLIC, CLOSED)},
        {scope: catalogue.digest(scope).root() for scope in (PUBLIC, CLOSED)},
        {few: sorted(catalogue.digest(PUBLIC, few)) for few in (0, 1, 3)},
        [sorted(catalogue.in_bucket(bucket)) for bucket in range(BUCKETS)],
    )


def node_with(policy: Policy) -> Node:
    node = Node(1)
    node.policy = policy
    node.holdings = now_run(Holdings.open(node.store, policy))
    return node


# --- agreement ----------------------------------------------------------------------------------


@given(policy=policies(), given_=st.lists(batches(), max_size=5), looked_at=st.booleans())
def test_a_catalogue_that_learned_is_as_one_that_is_opened_anew(
    policy: Policy,
    given_: list[Batch],
    looked_at: bool,  # noqa: FBT001
) -> None:
    # given a node that takes in whatever comes, forks and late bodies and device blocks among it
    node = node_with(policy)
    for batch in given_:
        node.absorb(batch)
        if looked_at:
            all_of(node.holdings.catalogue)
    # then what it knows of its store is what the store holds
    anew = now_run(Holdings.open(node.store, policy)).catalogue
    assert all_of(node.holdings.catalogue) == all_of(anew)


# --- what it answers ----------------------------------------------------------------------------


def test_it_says_which_logs_changed_and_which_began() -> None:
    device, catalogue = WORLD[0], node_with(Policy(bytes(32), bytes(32))).holdings.catalogue
    node = Node(9)
    heard: list[dict[tuple[bytes, int], bool]] = []
    node.holdings.listen(lambda logs: heard.append(dict(logs)))
    node.hold(device.logs[SOCIAL][:2])
    node.hold(device.logs[SOCIAL][2:])
    node.hold(device.logs[IDENTITY])
    node.hold(device.logs[IDENTITY])
    social, identity = (device.public, SOCIAL), (device.public, IDENTITY)
    # the device block joins the log that came before it; what is known already is no news
    assert heard == [{social: True}, {social: False}, {identity: True, social: False}]
    assert catalogue.standing(social) is None


def test_of_statements_by_anybody_about_a_device_so_many_are_told() -> None:
    node, device = Node(9), WORLD[0]
    said = [Revocation.sign(person_key(n), device.public, []) for n in range(20, 40)]
    node.absorb(Batch(revocations=said))
    kept = node.holdings.catalogue.statements(device.public)
    assert (len(kept), MAX_STATEMENTS) == (16, 16)
    # once it is known whose device it is, none of these can ever count
    assert node.holdings.catalogue.standing((device.public, 0)) is not None
    node.hold(device.logs[IDENTITY])
    assert node.holdings.catalogue.statements(device.public) == []
    his = Revocation.sign(device.person, device.public, [])
    node.absorb(Batch(revocations=[his]))
    assert node.holdings.catalogue.statements(device.public) == [his]


def test_strangers_are_told_of_the_logs_that_changed_last() -> None:
    node = Node(9)
    devices = [Device(number, number) for number in range(20, 30)]
    for device in devices:
        node.hold(device.logs[IDENTITY])
    recent = node.holdings.catalogue.digest(PUBLIC, 3)
    assert sorted(recent) == sorted((device.public, 0) for device in devices[-3:])
    # when an old one changes, it is among them
    first = devices[0]
    node.hold(first.write_many(1))
    recent = node.holdings.catalogue.digest(PUBLIC, 3)
    assert (first.public, SOCIAL) in list(recent)
    assert recent.count == 3


# --- refusal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("comes_late", [False, True])
def test_nothing_of_a_blocked_person_is_in_any_scope(*, comes_late: bool) -> None:
    device = WORLD[2]
    node = node_with(replace(Node(1).policy, blocked=frozenset({PERSONS[1]})))
    logs = [device.logs[IDENTITY], device.logs[SOCIAL]]
    node.hold(*(reversed(logs) if comes_late else logs))
    catalogue = node.holdings.catalogue
    assert list(catalogue.digest(PUBLIC)) == []
    assert catalogue.scope((device.public, SOCIAL)) is None
    # but his logs are known by name, so that a peer who mentions them is not asked
    key = (device.public, SOCIAL)
    assert key in catalogue.in_bucket(place_of(key)[0])


def test_a_certificate_that_does_not_verify_makes_nobody_a_person() -> None:
    # given a device that says it is of a person whom this node follows, and is not
    liar = Device(50, owner=11)
    forged = liar.root.body
    assert forged is not None
    node = node_with(replace(Node(1).policy, followed=frozenset({PERSONS[1]})))
    catalogue = node.holdings.catalogue
    block = liar.root._replace(body=forged[:-64] + bytes(64))
    catalogue.learn(Changes(devices=[block]))
    assert catalogue.person(liar.public) == liar.public
    catalogue.learn(Changes(devices=[liar.root]))
    assert catalogue.person(liar.public) == PERSONS[1]


def test_a_person_who_is_blocked_is_so_too_when_his_device_block_gets_its_body_late() -> None:
    bad = Device(5, owner=11)
    node = node_with(replace(Node(1).policy, blocked=frozenset({PERSONS[1]})))
    node.hold([bad.root._replace(body=None)])
    node.hold(bad.write_many(3))
    assert list(node.holdings.catalogue.digest(PUBLIC)) != []
    node.absorb(Batch(bodies=[LateBody(bad.public, 0, 1, bad.root.body or b"")]))
    assert list(node.holdings.catalogue.digest(PUBLIC)) == []


# --- economy ------------------------------------------------------------------------------------


def test_a_batch_costs_the_standings_of_its_logs_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node(9)
    for number in range(20, 60):
        node.hold_device(Device(number, number))
    catalogue = node.holdings.catalogue
    catalogue.digest(PUBLIC).root()
    made: list[bytes] = []
    real = standing_of

    def counted(log: Log, *rest: Any) -> Standing:  # noqa: ANN401
        made.append(log.author)
        return real(log, *rest)

    monkeypatch.setattr("gossip.catalogue.standing_of", counted)
    catalogue.digest(PUBLIC).root()
    assert made == []
    device = Device(20, 20)
    node.hold(device.write_many(1))
    catalogue.digest(PUBLIC).root()
    assert made == [device.public]
