"""What every link must do, whatever it is made of.

A test file makes a class of each kind of link: ``class TestOverTcp(LinkContract)``, says in
``pair`` how two ends are joined, and gets all the tests below.
"""

import asyncio
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transports.joined_links import (
    JoinedLinks,
    ended,
    numbered,
    received,
    rest,
    send_all,
    until_the_end,
)
from transports.base import Link, LinkClosedError

Turn: TypeAlias = tuple[bytes | None, bool]
"""A frame to send (None: as long as the link takes), and whether to pause after it."""

turns: st.SearchStrategy[list[Turn]] = st.lists(
    st.tuples(st.binary(min_size=1, max_size=300) | st.none(), st.booleans()), max_size=12
)
# Each kind of link is an executor of its own, on purpose.
many_kinds = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
either_side = pytest.mark.parametrize("closer", [0, 1], ids=["near", "far"])


class LinkContract(JoinedLinks):
    """The tests."""

    # --- frames -------------------------------------------------------------------------------

    def test_frames_arrive_whole_and_in_order(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            frames = [numbered(number, 4 * number) for number in range(1, 50)]
            sending = asyncio.create_task(send_all(near, frames))
            assert await received(far, len(frames)) == frames
            await sending

        self.meet(scenario)

    def test_both_ends_say_the_same_of_the_frames_they_take(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            assert near.info.transport == far.info.transport != ""
            assert near.info.max_frame == far.info.max_frame > 0
            assert near.info == near.info

        self.meet(scenario)

    def test_the_shortest_and_the_longest_frame_pass(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            frames = [b"\0", bytes(near.info.max_frame), b"\xff" * near.info.max_frame, b"1"]
            sending = asyncio.create_task(send_all(near, frames))
            assert await received(far, 4) == frames
            await sending

        self.meet(scenario)

    def test_frames_that_are_empty_or_too_long_are_refused_and_the_link_goes_on(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            for size in (0, near.info.max_frame + 1, 2 * near.info.max_frame):
                with pytest.raises(ValueError, match="frame"):
                    await near.send(bytes(size))
            await near.send(b"after all")
            assert await far.receive() == b"after all"

        self.meet(scenario)

    @many_kinds
    @given(turns, turns)
    def test_both_sides_talk_at_once(self, mine: list[Turn], yours: list[Turn]) -> None:
        async def scenario(near: Link, far: Link) -> None:
            longest = b"l" * near.info.max_frame

            async def talk(link: Link, story: list[Turn]) -> None:
                for frame, pause in story:
                    await link.send(frame or longest)
                    await asyncio.sleep(self.moment if pause else 0)

            heard = await asyncio.gather(
                received(near, len(yours)),
                received(far, len(mine)),
                talk(near, mine),
                talk(far, yours),
            )
            assert heard[0] == [frame or longest for frame, _ in yours]
            assert heard[1] == [frame or longest for frame, _ in mine]

        self.meet(scenario)

    def test_frames_that_are_sent_at_once_do_not_mix(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            frames = [numbered(number, 4 + 900 * (number % 7)) for number in range(40)]
            sending = [asyncio.create_task(near.send(frame)) for frame in frames]
            assert sorted(await received(far, 40)) == sorted(frames)
            await asyncio.gather(*sending)

        self.meet(scenario)

    def test_waiting_counts_the_frames_that_can_be_received_at_once(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            assert (near.waiting(), far.waiting()) == (0, 0)
            for number in range(3):
                await near.send(bytes([number]))
            await asyncio.sleep(self.patience)
            for left in (3, 2, 1):
                assert (near.waiting(), far.waiting()) == (0, left)
                await far.receive()
            assert far.waiting() == 0

        self.meet(scenario)

    # --- a receiver that does not read ----------------------------------------------------------

    def test_a_sender_waits_for_a_receiver_that_does_not_read_and_then_goes_on(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            async with self.full(near) as (sent, sender):
                stuck_at = len(sent)
                assert await received(far, stuck_at + 50) == [
                    numbered(number) for number in range(stuck_at + 50)
                ]
                assert not sender.done()

        self.meet(scenario)

    def test_a_direction_that_is_full_does_not_hold_up_the_other(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            async with self.full(near):
                await far.send(b"still here")
                assert await near.receive() == b"still here"

        self.meet(scenario)

    # --- what is cancelled ----------------------------------------------------------------------

    def test_a_receive_that_is_cancelled_loses_nothing_whenever_that_is(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            got: list[object] = []
            for number in range(30):
                receiving = asyncio.create_task(far.receive())
                await asyncio.sleep(0)
                await near.send(bytes([number]))
                await asyncio.sleep(self.moment if number % 3 == 0 else 0)
                for _ in range(number // 3):
                    await asyncio.sleep(0)
                receiving.cancel()
                got += [r for r in await ended([receiving]) if isinstance(r, bytes)]
            got += await received(far, 30 - len(got))
            assert got == [bytes([number]) for number in range(30)]

        self.meet(scenario)

    @many_kinds
    @given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 3))
    def test_a_send_that_is_cancelled_sends_the_whole_frame_or_nothing(
        self, cancelled: list[bool], later: int
    ) -> None:
        async def scenario(near: Link, far: Link) -> None:
            size = min(5000, near.info.max_frame)
            frames = [numbered(number, size) for number in range(1, len(cancelled) + 1)]
            # given sends that wait for one another and for the receiver, some of them cancelled
            sending = [asyncio.create_task(near.send(frame)) for frame in frames]
            reading = asyncio.create_task(until_the_end(far))
            await asyncio.sleep(self.moment if later == 3 else 0)
            for _ in range(later):
                await asyncio.sleep(0)
            for task, stop in zip(sending, cancelled, strict=True):
                if stop:
                    task.cancel()
            sent = await ended(sending)
            # when one more is sent
            await near.send(b"end")
            # then all arrive whole that were not cancelled, and the others whole or not at all
            got = await reading
            assert [f for f in frames if f in got] == got
            assert {f for f, s in zip(frames, sent, strict=True) if s is None} <= set(got)

        self.meet(scenario)

    # --- the end --------------------------------------------------------------------------------

    def test_what_was_sent_before_closing_arrives(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            frames = [numbered(number, 80) for number in range(1, 10)]
            first = asyncio.create_task(far.receive())
            await send_all(near, frames)
            assert await first == frames[0]
            await send_all(near, [b"last words"])
            await near.close()
            assert await rest(far) == [*frames[1:], b"last words"]

        self.meet(scenario)

    @either_side
    def test_both_sides_learn_of_an_end_and_nothing_passes_after_it(self, closer: int) -> None:
        async def scenario(*ends: Link) -> None:
            await ends[closer].close()
            for link in (ends[closer], ends[1 - closer]):
                for _ in range(2):
                    with pytest.raises(LinkClosedError, match=r"\w"):
                        await link.receive()
                with pytest.raises(LinkClosedError, match=r"\w"):
                    await link.send(b"anybody there?")
                assert link.waiting() == 0

        self.meet(scenario)

    def test_who_closes_a_link_receives_nothing_more(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            await near.send(b"unread")
            await asyncio.sleep(self.patience)
            await far.close()
            assert far.waiting() == 0
            assert await rest(far) == []

        self.meet(scenario)

    def test_closing_twice_or_from_both_sides_is_closing_once(self) -> None:
        async def scenario(near: Link, far: Link) -> None:
            await near.send(b"last words")
            await near.close()
            await near.close()
            assert await rest(far) == [b"last words"]
            await asyncio.gather(far.close(), near.close(), far.close())
            assert await rest(near) == await rest(far) == []

        self.meet(scenario)

    @either_side
    def test_an_end_wakes_who_waits_to_receive(self, closer: int) -> None:
        async def scenario(*ends: Link) -> None:
            receiving = [asyncio.create_task(link.receive()) for link in ends]
            await asyncio.sleep(self.moment)
            await ends[closer].close()
            assert await ended(receiving) == [LinkClosedError] * 2

        self.meet(scenario)

    @either_side
    def test_an_end_wakes_who_waits_to_send(self, closer: int) -> None:
        async def scenario(*ends: Link) -> None:
            async with self.full(ends[0]) as (_, one), self.full(ends[1]) as (_, other):
                behind = [asyncio.create_task(link.send(b"queued")) for link in ends]
                await asyncio.sleep(self.moment)
                await ends[closer].close()
                assert await ended([one, other, *behind]) == [LinkClosedError] * 4

        self.meet(scenario)
