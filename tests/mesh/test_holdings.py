"""Holdings: the store and what is known of it in memory agree, and whoever listens hears of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from gossip.effects import Arrivals, Bodiless, Branches, Spans
from gossip.policy import PUBLIC, Policy
from ledger.block import Block
from ledger.fork import ForkProof, Vouched
from ledger.statement import Cut, Revocation
from ledger.store.base import Absorbed, Batch, LateBody, LogKey, Span
from ledger.store.memory import MemoryStore
from mesh.holdings import Holdings
from tests.gossip.meetings import now_run
from tests.strategies import IDENTITY, SOCIAL, Device, forked, person_key, run_of

POLICY = Policy(bytes(32), bytes(32))


class Held:
    """Holdings over a store in memory, and what one who listens heard."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.store = MemoryStore()
        self.holdings = now_run(Holdings.open(self.store, policy))
        self.heard: list[dict[LogKey, bool]] = []
        self.stop = self.holdings.listen(self._hear)

    def _hear(self, logs: Mapping[LogKey, bool]) -> None:
        self.heard.append(dict(logs))

    def absorb(self, batch: Batch) -> Absorbed:
        return now_run(self.holdings.take(batch, seen=0, durable=False))

    def hold(self, *runs: Iterable[Block]) -> Absorbed:
        return self.absorb(Batch(runs=[run_of(list(run)) for run in runs]))

    def is_as_anew(self) -> bool:
        anew = now_run(Holdings.open(self.store, self.policy)).catalogue
        mine = self.holdings.catalogue
        keys = mine.logs.keys() | anew.logs.keys()
        return (
            mine.digest(PUBLIC).root() == anew.digest(PUBLIC).root()
            and {key: mine.standing(key) for key in keys}
            == {key: anew.standing(key) for key in keys}
            and (mine.run, mine.lsn, mine.proofs) == (anew.run, anew.lsn, anew.proofs)
        )


def test_a_proof_that_outweighs_another_of_the_same_seq_is_known() -> None:
    # given three branches from one block on, and the two proofs that convict by the last of them
    left, right = forked(5, 1, 1, number=10)
    trunk = Device(10)
    trunk.write_many(4, "trunk")
    third = (trunk.write("third"),)
    pairs = [(left[-1:], third), (right[-1:], third)]
    proofs = sorted(
        (ForkProof.of(Vouched.of(one), Vouched.of(other)) for one, other in pairs),
        key=ForkProof.encode,
    )
    held = Held()
    held.absorb(Batch(proofs=[proofs[1]]))

    outcome = held.absorb(Batch(proofs=[proofs[0]]))

    assert list(outcome.logs) == [(trunk.public, SOCIAL)]
    assert held.holdings.catalogue.proofs[trunk.public, SOCIAL] == proofs[0]
    assert held.is_as_anew()


def author(count: int = 5) -> Device:
    device = Device(10, 10)
    device.write_many(count)
    return device


def fork() -> tuple[Device, list[Block], list[Block]]:
    left, right = forked(5, 70, 3, number=10)
    return Device(10), list(left), list(right)


# --- agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("logs", [[IDENTITY, SOCIAL], [SOCIAL, IDENTITY]])
def test_what_is_known_is_what_is_held_in_whichever_order_it_came(logs: list[int]) -> None:
    held, device = Held(), author()
    for log in logs:
        held.hold(device.logs[log])
        assert held.is_as_anew()
    assert held.holdings.catalogue.has_device(device.public)


def test_a_fork_and_its_branches_are_known() -> None:
    held = Held()
    device, left, right = fork()
    held.hold(device.logs[IDENTITY], left)
    held.hold(right)
    assert list(held.holdings.catalogue.proofs) == [(device.public, SOCIAL)]
    assert held.is_as_anew()


def missing(held: Held, key: LogKey) -> int | None:
    standing = held.holdings.catalogue.standing(key)
    assert standing is not None
    return standing.entry.missing


def test_bodies_that_come_late_are_known() -> None:
    held, device = Held(), author()
    held.hold(device.logs[IDENTITY], [b._replace(body=None) for b in device.logs[SOCIAL]])
    key = (device.public, SOCIAL)
    assert missing(held, key) == 1
    first = device.logs[SOCIAL][0]
    held.absorb(Batch(bodies=[LateBody(device.public, SOCIAL, 1, first.body or b"")]))
    assert missing(held, key) == 2
    assert held.is_as_anew()


def test_bodies_nobody_wants_are_not_missing() -> None:
    device = author()
    key = (device.public, SOCIAL)
    held = Held(Policy(bytes(32), bytes(32), headers_only=frozenset({key})))
    held.hold(device.logs[IDENTITY], [b._replace(body=None) for b in device.logs[SOCIAL]])
    assert missing(held, key) is None
    assert held.is_as_anew()


def test_a_device_block_without_its_body_is_known_once_that_comes() -> None:
    held, device = Held(), author()
    held.hold([device.root._replace(body=None)], device.logs[SOCIAL])
    assert not held.holdings.catalogue.has_device(device.public)
    held.absorb(Batch(bodies=[LateBody(device.public, IDENTITY, 1, device.root.body or b"")]))
    assert held.holdings.catalogue.has_device(device.public)
    assert held.is_as_anew()


@pytest.mark.parametrize("last", [0, 30, 64])
def test_of_more_than_64_statements_of_a_person_those_that_are_kept_are_known(last: int) -> None:
    held, owner = Held(), person_key(77)
    devices = sorted(Device(number, 77).public for number in range(100, 165))
    said = [Revocation.sign(owner, device, [Cut(1, 1, bytes(32))]) for device in devices]
    held.absorb(Batch(revocations=[*said[:last], *said[last + 1 :]]))
    held.absorb(Batch(revocations=[said[last]]))
    catalogue = held.holdings.catalogue
    assert [d for d in devices if catalogue.statements(d)] == devices[:64]
    assert held.is_as_anew()


# --- who listens --------------------------------------------------------------------------------


def test_who_listens_hears_what_changed_until_he_stops() -> None:
    held, device = Held(), author()
    held.hold(device.logs[IDENTITY], device.logs[SOCIAL][:2])
    held.hold(device.logs[SOCIAL][2:])
    held.hold(device.logs[SOCIAL])
    keys = [(device.public, IDENTITY), (device.public, SOCIAL)]
    assert held.heard == [dict.fromkeys(keys, True), {keys[1]: False}]
    held.stop()
    held.stop()
    held.hold([device.write()])
    assert len(held.heard) == 2


def test_one_who_stops_while_he_is_told_does_not_keep_others_from_hearing() -> None:
    held = Held()
    heard: list[str] = []
    stops: list[Callable[[], None]] = []

    def hear_once(_: Mapping[LogKey, bool]) -> None:
        heard.append("one")
        stops[0]()

    stops.append(held.holdings.listen(hear_once))
    held.holdings.listen(lambda _: heard.append("other"))
    held.hold([Device(10).root])
    held.hold([Device(11).root])
    assert sorted(heard) == ["one", "other", "other"]


# --- what a session asks for --------------------------------------------------------------------


def test_a_session_is_answered_what_the_store_holds() -> None:
    held, device = Held(), author(300)
    held.hold(device.logs[IDENTITY], device.logs[SOCIAL])
    key = (device.public, SOCIAL)
    assert answer(held, Arrivals(99, 10)) == now_run(held.store.arrivals(99, limit=10))
    assert answer(held, Bodiless(key, 10)) == []
    # more spans than a store takes at once, in the order they were asked for
    spans = tuple(Span(key, seq, seq) for seq in (*range(300, 0, -1), 301))
    rows = answer(held, Spans(spans))
    assert [[block.header.seq for block in row] for row in rows] == [
        *([seq] for seq in range(300, 0, -1)),
        [],
    ]
    assert answer(held, Branches(key)) == []


def test_branches_come_with_what_only_they_vouch_for() -> None:
    # given a log that was held signed at 64 only, when it forks at 70
    left, right = forked(70, 5, 3, number=10)
    held = Held()
    held.hold(Device(10).logs[IDENTITY], left)
    held.hold(right)
    found = answer(held, Branches((Device(10).public, SOCIAL)))
    seqs = [block.header.seq for block in found]
    # then the trunk since its last signature comes first, and both branches after it
    assert seqs[:5] == [65, 66, 67, 68, 69]
    assert sorted(seqs[5:]) == sorted([*range(70, 75), *range(70, 73)])


def answer(held: Held, query: Any) -> Any:  # noqa: ANN401
    return now_run(held.holdings.answer(query))
