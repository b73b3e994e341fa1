"""A link says how long its frames are, and no meeting over it makes longer ones."""

import asyncio

import pytest

from gossip.control import MIN_FRAME_BYTES
from gossip.effects import End
from mesh.meeting import Outcome, open_meeting
from tests.gossip.meetings import BINDING, Node
from tests.mesh.test_meeting import both, meeting
from tests.virtual_time import run_virtual
from transports.base import LinkClosedError
from transports.memory import MemoryLink

SHORT = 30_000


def test_two_nodes_become_equal_over_a_link_of_shorter_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given more than fits into a frame of such a link, on both sides
    left, right = Node(1), Node(2)
    for node in (left, right):
        for number in range(100):
            node.write("x" * 1_000 + str(number))
    sizes: list[int] = []
    send = MemoryLink.send

    async def count(link: MemoryLink, frame: bytes) -> None:
        sizes.append(len(frame))
        await send(link, frame)

    monkeypatch.setattr(MemoryLink, "send", count)

    async def scenario() -> tuple[Outcome, Outcome]:
        here, there = MemoryLink.pair(max_frame=SHORT)
        return await both(meeting(left, here), meeting(right, there))

    # when they meet
    outcomes, _ = run_virtual(scenario())

    # then both hold the same, and frames were as long as they may be and no longer
    assert [outcome.end for outcome in outcomes] == [End.DONE, End.DONE]
    assert left.ids() == right.ids()
    assert SHORT // 2 < max(sizes) <= SHORT


@pytest.mark.parametrize("longest", [1_000, MIN_FRAME_BYTES - 1])
def test_there_is_no_meeting_over_a_link_of_frames_that_are_too_short(longest: int) -> None:
    async def scenario() -> None:
        here, there = MemoryLink.pair(max_frame=longest)
        with pytest.raises(ValueError, match=f"a frame limit is {MIN_FRAME_BYTES} to"):
            meeting(Node(1), here)
        await asyncio.gather(here.close(), there.close())

    run_virtual(scenario())


def test_a_link_over_which_there_is_no_meeting_is_closed() -> None:
    async def scenario() -> None:
        node = Node(1)
        here, there = MemoryLink.pair(max_frame=1_000)
        with pytest.raises(ValueError, match="a frame limit"):
            await open_meeting(
                here,
                node.holdings,
                node.store,
                node.holdings,
                clock=lambda: 0,
                binding=BINDING,
                is_initiator=True,
                secret=bytes(32),
            )
        with pytest.raises(LinkClosedError):
            await there.receive()

    run_virtual(scenario())
