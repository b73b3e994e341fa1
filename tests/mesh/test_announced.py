"""What arrives while logs are told page by page is covered only by a page that tells it."""

import asyncio
from collections.abc import Iterable

import pytest

from gossip.policy import Limits
from ledger.statement import Revocation
from ledger.store.base import Batch
from mesh.meeting import Meeting
from tests.gossip.meetings import Node, meet, now_run
from tests.strategies import Device, material, person_key, run_of
from tests.virtual_time import run_virtual
from transports.memory import MemoryLink

PAGE = 4
"""Mentions in a page; with 256 of them the same takes thousands of logs."""


def meeting(node: Node, link: MemoryLink, other: Node) -> Meeting:
    return Meeting(
        link,
        node.holdings,
        node.holdings,
        clock=lambda: 0,
        binding=material("before"),
        is_initiator=node.number == 1,
        secret=bytes(32),
        peer=other.peer,
    )


def all_of(devices: Iterable[Device], *, revoked: Iterable[Device]) -> Batch:
    return Batch(
        runs=[run_of(blocks) for device in devices for blocks in device.logs.values()],
        revocations=[Revocation.sign(person_key(d.number), d.public, []) for d in revoked],
    )


@pytest.mark.parametrize("have_met", [False, True])
def test_what_failed_in_the_page_that_told_it_is_told_again(*, have_met: bool) -> None:
    # given a node into whose store two imports come while it tells a contact page by page what it
    # holds: many logs, some with statements, and one with a statement that is told ahead of them
    left, right = Node(1, limits=Limits(page=PAGE)), Node(2, limits=Limits(page=PAGE))
    right.write("old")
    if have_met:  # then NEW tells, else VECTOR
        meet(left, right)
    late, *early = sorted((Device(n, n) for n in range(200, 260)), key=lambda one: one.public)
    imports = all_of(early, revoked=early[:16]), all_of([late], revoked=[late])
    if have_met:
        right.hold([late.root])

    async def scenario() -> None:
        here, there = MemoryLink.pair(latency=0.05)

        async def import_all() -> None:
            await asyncio.sleep(0.02)
            for batch in imports:
                await right.holdings.absorb(batch, seen=0, durable=False)

        await asyncio.gather(
            meeting(left, here, right).hold(), meeting(right, there, left).hold(), import_all()
        )

    run_virtual(scenario())

    # when they meet again
    for number in range(4):
        meet(right, left, binding=material(f"link {number}"))

    # then nothing was covered that was not told in full
    assert now_run(left.store.revocations({late.public})) != []
    assert left.frontier() == right.frontier()
