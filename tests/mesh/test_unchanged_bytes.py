"""An unchanged meeting of two who know each other, over a session after a ticket: every byte."""

import asyncio
from pathlib import Path
from secrets import token_bytes as randbytes

import pytest

from gossip.effects import End
from mesh.writer import Draft
from tests.mesh.test_meeting import Home, home
from tests.strategies import make_body
from tests.transports.secure_pairs import BACK, THERE, Device, Wire
from transports.secure import secure
from transports.tickets import Ticket

BYE = 2
RECORD = 17
"""What a record has besides its content: its kind and 16 bytes of tag."""


ADA, BEN = Device("ada", ("ben",)), Device("ben", ("ada",))


async def meet(here: Home, there: Home, wire: Wire, ticket: Ticket | None) -> None:
    async def call() -> End:
        near = await secure(
            wire.near, is_initiator=True, who=ADA.who, random=randbytes, ticket=ticket
        )
        return (await here.meet(near, there.peer)).end

    async def answer() -> End:
        far = await secure(wire.far, is_initiator=False, who=BEN.who, random=randbytes)
        return (await there.meet(far, here.peer)).end

    assert list(await asyncio.gather(call(), answer())) == [End.DONE] * 2
    await wire.passed_all()


@pytest.mark.parametrize("posts", [1, 50])
async def test_an_unchanged_meeting_is_two_words_each_way_after_two_round_trips(
    tmp_path: Path, posts: int
) -> None:
    async with home(tmp_path, 1) as here, home(tmp_path, 2) as there:
        # given two who have met, and became equal
        for number in range(posts):
            await here.writer.write(Draft(1, "post", make_body(f"post {number}")))
        for number in range(2):
            async with Wire().open() as wire:
                await meet(here, there, wire, ADA.ticket("ben") if number else None)
        # when they meet again
        async with Wire().open() as wire:
            await meet(here, there, wire, ADA.ticket("ben"))
    # then there are the two messages, a proof, HELLO and BYE of each, and the end, of one or both
    sizes = {way: [size for which, size in wire.shape() if which == way] for way in (THERE, BACK)}
    ends = [sizes[way].pop() for way in (THERE, BACK) if sizes[way][-1] == RECORD]
    hello = [sizes[way][-2] - RECORD for way in (THERE, BACK)]
    assert sizes[THERE] == [65, RECORD + 16, RECORD + hello[0], RECORD + BYE]
    assert sizes[BACK] == [48, RECORD + hello[1], RECORD + BYE]
    assert 1 <= len(ends) <= 2
    assert all(size <= 60 for size in hello)
    assert sum(size for _, size in wire.shape()) <= 65 + 48 + 33 + 2 * (77 + 19) + 2 * 17
    # and the last words of the handshake went with the first of the meeting
    ways = [way for way, _ in wire.shape()]
    assert ways[:4] == [THERE, BACK, THERE, THERE]
