"""Faults that were found once, and mended: what budgets and classes gave to whom."""

from collections import Counter
from dataclasses import replace

import pytest

from gossip.policy import Limits
from gossip.wire import Bodies, Data, decode_message
from ledger.block import decode_header
from ledger.run import Run
from ledger.statement import Revocation
from ledger.store.base import Batch
from tests.gossip.meetings import Meeting, Node, meet, now_run
from tests.gossip.test_invariants import Watched
from tests.strategies import Device, make_body, material, person_key

WHO = pytest.mark.parametrize("who", ["giver", "taker"])


def with_budget(who: str, budget: int) -> tuple[Node, Node]:
    """A giver and a taker of whom one has little to spend in each meeting."""
    left = Node(1, limits=Limits(send=budget if who == "giver" else None))
    right = Node(2, limits=Limits(receive=budget if who == "taker" else None))
    return left, right


@WHO
def test_one_author_of_large_posts_does_not_keep_the_others_from_a_small_budget(who: str) -> None:
    # given posts of one author of which no unit fits the budget, and those of another
    large, small = Device(10, 10), Device(11, 11)
    large.write_many(64, "x" * 8_000)
    small.write_many(3)
    left, right = with_budget(who, 300_000)
    left.hold_device(large)
    left.hold_device(small)

    for _ in range(4):
        meet(left, right)

    assert len(right.ids()[small.public, 1]) == 3


@WHO
def test_a_unit_above_the_budget_comes_bit_by_bit(who: str) -> None:
    device = Device(10, 10)
    device.write_many(64, "x" * 300)
    left, right = with_budget(who, 24_000)
    left.hold_device(device)

    for _ in range(6):
        meet(left, right)

    assert right.frontier() == left.frontier()


@pytest.mark.parametrize(("budget", "text"), [(20_000, "x" * 300), (300_000, "x" * 8_000)])
def test_a_small_budget_is_not_spent_on_the_same_blocks_in_every_meeting(
    budget: int, text: str
) -> None:
    # given a long log of which not even the newest blocks fit into one meeting
    left, right = with_budget("giver", budget)
    log = tuple(left.device.write_many(500, text))
    left.absorb(Batch(runs=[Run((left.device.root,)), Run(log)]))

    counts = []
    for _ in range(4):
        meet(left, right)
        counts.append(sum(map(len, right.ids().values())))

    assert counts == sorted(set(counts)), "every meeting brings some more"


def bytes_by_author(frame: bytes) -> Counter[bytes]:
    """How many bytes of whose blocks are in a frame."""
    sizes: Counter[bytes] = Counter()
    match decode_message(frame):
        case Data(runs):
            for raws in runs:
                author = decode_header(raws.blocks[0][0]).author
                sizes[author] += sum(len(part or b"") for block in raws.blocks for part in block)
        case Bodies(bodies):
            for late in bodies:
                sizes[late.author] += len(late.body)
        case _:
            pass
    return sizes


def sent_meanwhile(meeting: Meeting, near: bytes, far: bytes) -> tuple[int, int]:
    """How much of ``near`` was sent in all, and how much of ``far`` until the last of that."""
    sent: Counter[bytes] = Counter()
    at_last = 0
    for frame in meeting.ends[1].sent:
        sizes = bytes_by_author(frame)
        sent += sizes
        if near in sizes:
            at_last = sent[far]
    return sent[near], at_last


def test_a_lower_class_gets_its_twentieth_and_no_more_however_large_its_posts_are() -> None:
    # given long logs of large posts, one of somebody followed and one of a stranger, both known
    near, far = Device(20, 20), Device(21, 21)
    for device in (near, far):
        for _ in range(600):
            device.write(body=make_body("x", None, [], bytes(8_000)))
    left, right = Node(1, followed=frozenset([near.person.signing.public])), Node(2)
    for device in (near, far):
        left.hold([device.root])
        right.hold_device(device)

    size, meanwhile = sent_meanwhile(meet(left, right), near.public, far.public)

    assert size > 600 * 8_000
    turn = 64 * 8_400
    assert 0 < meanwhile <= size / 20 + turn


def test_an_answer_that_waits_for_the_store_ends_no_later_request() -> None:
    # given room for a header only, and a mention that comes anew while its body is asked for
    device = Device(10, 10)
    device.write("hello")
    statement = Revocation.sign(person_key(10), device.public, [])
    left, right = Watched(1), Watched(2)
    left.known[right.device.public] = right
    left.absorb(Batch(revocations=[statement]))
    right.hold(device.logs[0])
    right.policy = replace(right.policy, limits=Limits(send=213))

    meet(left, right)  # no cursor covers the block whose body is missing

    assert now_run(left.store.bodiless((device.public, 0))) == [1]
    right.policy = replace(right.policy, limits=Limits())
    meet(left, right, binding=material("another"))
    assert now_run(left.store.bodiless((device.public, 0))) == []
