"""What somebody in between may do to a session, and how little comes of it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.joined_links import rest
from tests.transports.secure_pairs import (
    BACK,
    THERE,
    Change,
    Device,
    Wire,
    met,
    name_of,
    parted,
    virtually,
)
from tests.transports.test_noise import LOW_ORDER
from transports.base import Link, LinkClosedError
from transports.entry import StreamEntry
from transports.memory import MemoryLink
from transports.noise import Handshake, NoiseError, expand, unseal
from transports.opening import HandshakeError, context, psk_of
from transports.recognition import ANSWER, ASK, CONFIRM
from transports.records import CLOSE, DATA, REKEY, WHO
from transports.secure import CutError, secure
from transports.stream_session import StreamSession

FRAMES = [b"one", b"two" * 100, b"three", bytes(3_000)]
HANDSHAKE_THERE, HANDSHAKE_BACK = 3, 2
"""How many frames a handshake has each way: first words, ask, confirm; second words, answer."""


def pair() -> tuple[Device, Device]:
    return Device("ada", ("ben",)), Device("ben", ("ada",))


def told(change: Change, *, ticket: bool = False) -> tuple[list[bytes], list[str]]:
    """What ben hears of ada when somebody changes what passes, and how each side ended."""

    async def scenario() -> tuple[list[bytes], list[str]]:
        ada, ben = pair()
        if ticket:
            await parted(*await met(ada, ben, seed=7))
        async with Wire(change).open() as wire:
            try:
                a, b = await met(ada, ben, wire, ticket=ada.ticket("ben") if ticket else None)
            except BaseExceptionGroup as failed:
                return [], [type(error).__name__ for error in failed.exceptions]
            assert (a.peer, b.peer) == (name_of("ben"), name_of("ada"))
            with suppress(LinkClosedError):
                for frame in FRAMES:
                    await a.send(frame)
                await asyncio.sleep(1.0)
                await a.close()
            got, end = [], ""
            try:
                while True:
                    got.append(await b.receive())
            except LinkClosedError as closed:
                end = type(closed).__name__
            await parted(a, b)
            return got, [end]

    return virtually(scenario())


def at(way: int, number: int, change: bytes | None, *more: bytes) -> Change:
    """Put something else in the place of one frame; None leaves it where it is."""

    def changed(which: int, count: int, frame: bytes) -> Iterable[bytes]:
        if (which, count) != (way, number):
            return (frame,)
        return (*(() if change is None else (change,)), *more)

    return changed


def flipped(way: int, number: int, byte: int, bit: int) -> Change:
    def changed(which: int, count: int, frame: bytes) -> Iterable[bytes]:
        if (which, count) != (way, number):
            return (frame,)
        spoilt = bytearray(frame)
        spoilt[byte % len(frame)] ^= 1 << bit
        return (bytes(spoilt),)

    return changed


def test_who_only_passes_on_what_he_gets_is_not_noticed_and_learns_nothing() -> None:
    got, end = told(lambda _way, _number, frame: (frame,))
    assert got == FRAMES
    assert end == ["LinkClosedError"]


@pytest.mark.parametrize("ticket", [False, True], ids=["first meeting", "with a ticket"])
def test_any_change_of_the_first_words_makes_both_sides_fail(*, ticket: bool) -> None:
    for byte in range(65):
        got, ends = told(flipped(THERE, 0, byte, byte % 8), ticket=ticket)
        assert (got, ends) == ([], ["HandshakeError"] * 2), byte


@pytest.mark.parametrize("ticket", [False, True], ids=["first meeting", "with a ticket"])
def test_any_change_of_the_second_words_makes_both_sides_fail(*, ticket: bool) -> None:
    for byte in range(48):
        got, ends = told(flipped(BACK, 0, byte, byte % 8), ticket=ticket)
        assert (got, ends) == ([], ["HandshakeError"] * 2), byte


@given(
    st.sampled_from([(THERE, n) for n in range(7)] + [(BACK, n) for n in range(2)]),
    st.integers(0, 4_000),
    st.integers(0, 7),
)
def test_no_bit_of_anything_can_be_changed(which: tuple[int, int], byte: int, bit: int) -> None:
    got, ends = told(flipped(*which, byte, bit))
    assert got == FRAMES[: len(got)]
    assert len(got) < len(FRAMES)
    assert set(ends) <= {"HandshakeError", "CutError"}


@pytest.mark.parametrize("suite", [0, 2, 255])
def test_another_suite_cannot_be_forced_upon_anybody(suite: int) -> None:
    def downgraded(way: int, number: int, frame: bytes) -> Iterable[bytes]:
        return (bytes([suite]) + frame[1:],) if (way, number) == (THERE, 0) else (frame,)

    assert told(downgraded) == ([], ["HandshakeError"] * 2)


def test_an_unknown_suite_is_refused_and_the_error_says_what_to_do() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        await near.send(b"\2" + bytes(64))
        with pytest.raises(HandshakeError, match=r"suite 2 .* suite 1; the older .* updated"):
            await secure(far, is_initiator=False, who=pair()[0].who, random=Random(1).randbytes)
        with pytest.raises(LinkClosedError):
            await near.receive()

    virtually(scenario())


def test_a_ticket_cannot_be_taken_out_of_the_first_words() -> None:
    def stripped(way: int, number: int, frame: bytes) -> Iterable[bytes]:
        return (frame[:1] + bytes(16) + frame[17:],) if (way, number) == (THERE, 0) else (frame,)

    assert told(stripped, ticket=True) == ([], ["HandshakeError"] * 2)


@pytest.mark.parametrize("passed", range(len(FRAMES) + 1))
def test_an_end_that_was_cut_off_is_no_end(passed: int) -> None:
    async def scenario() -> None:
        closing: list[asyncio.Task[None]] = []
        async with Wire().open() as wire:

            def cutting(way: int, number: int, frame: bytes) -> Iterable[bytes]:
                if way == THERE and number >= HANDSHAKE_THERE + passed:
                    closing.append(asyncio.create_task(wire.ends[1].close()))
                    return ()
                return (frame,)

            wire.change = cutting
            a, b = await met(*pair(), wire)
            for frame in FRAMES:
                await a.send(frame)
            await a.close()
            assert await rest(b) == FRAMES[:passed]
            with pytest.raises(CutError, match="cut"):
                await b.receive()
            with pytest.raises(LinkClosedError):
                await b.send(b"anybody there?")

    virtually(scenario())


def test_the_end_that_the_other_side_said_is_an_end() -> None:
    async def scenario() -> None:
        a, b = await met(*pair())
        await a.send(b"last words")
        await a.close()
        assert await b.receive() == b"last words"
        with pytest.raises(LinkClosedError, match="the other side closed") as closed:
            await b.receive()
        assert not isinstance(closed.value, CutError)

    virtually(scenario())


def test_records_that_change_places_end_the_link() -> None:
    held: list[bytes] = []

    def swapping(way: int, number: int, frame: bytes) -> Iterable[bytes]:
        if way == THERE and number == HANDSHAKE_THERE + 1:
            held.append(frame)
            return ()
        return (frame, *held) if way == THERE and held else (frame,)

    assert told(swapping) == (FRAMES[:1], ["CutError"])


def test_a_record_that_is_left_out_ends_the_link() -> None:
    assert told(at(THERE, HANDSHAKE_THERE + 1, None)) == (FRAMES[:1], ["CutError"])


def test_a_record_that_somebody_adds_ends_the_link() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, b = await met(*pair(), wire)
            await a.send(b"one")
            assert await b.receive() == b"one"
            await wire.ends[1].send(bytes(30))
            with pytest.raises(CutError, match="does not hold"):
                await b.receive()
            with pytest.raises(LinkClosedError):
                await a.receive()

    virtually(scenario())


def test_an_old_record_that_comes_again_ends_the_link_and_the_last_one_changes_nothing() -> None:
    def doubled(way: int, number: int, frame: bytes) -> Iterable[bytes]:
        return (frame, frame) if way == THERE and number >= HANDSHAKE_THERE else (frame,)

    assert told(doubled) == (FRAMES, ["LinkClosedError"])
    kept: list[bytes] = []

    def replayed(way: int, number: int, frame: bytes) -> Iterable[bytes]:
        if way == THERE and number >= HANDSHAKE_THERE:
            kept.append(frame)
        return (frame, kept[0]) if len(kept) == 3 else (frame,)

    assert told(replayed) == (FRAMES[:3], ["CutError"])


def test_who_gets_his_own_words_back_meets_nobody() -> None:
    async def scenario() -> None:
        mirror, far = MemoryLink.pair()

        async def reflect() -> None:
            with suppress(LinkClosedError):
                while True:
                    frame = await far.receive()
                    await far.send(frame)
                    await far.send(frame[17:])  # the fresh key first, as an answer has it

        reflecting = asyncio.create_task(reflect())
        with pytest.raises(HandshakeError, match="answer"):
            await secure(mirror, is_initiator=True, who=pair()[0].who, random=Random(1).randbytes)
        await reflecting

    virtually(scenario())


def test_records_that_are_sent_back_to_their_sender_end_the_link() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, _b = await met(*pair(), wire)
            await a.send(b"mine")
            await asyncio.sleep(1.0)
            await wire.ends[0].send(wire.said[-1][1])
            with pytest.raises(CutError, match="does not hold"):
                await a.receive()

    virtually(scenario())


def test_who_holds_a_session_with_either_is_recognised_by_neither() -> None:
    # given eve, who answers ada as ben, calls ben as ada, and passes on what they say inside
    async def eve(one: Link, other: Link) -> None:
        who, dice = Device("eve").who, Random(99).randbytes
        to_ada, to_ben = StreamEntry(one, who, dice), StreamEntry(other, who, dice)
        await to_ada.answer()
        await to_ben.open(None)
        await to_ben._say(ASK, await to_ada._hear(ASK))
        await to_ada._say(ANSWER, await to_ben._hear(ANSWER))
        await to_ben._say(CONFIRM, await to_ada._hear(CONFIRM))

    async def scenario() -> None:
        ada, ben = pair()
        (near, one), (other, far) = MemoryLink.pair(), MemoryLink.pair()
        a, _, b = await asyncio.gather(
            secure(near, is_initiator=True, who=ada.who, random=Random(1).randbytes),
            eve(one, other),
            secure(far, is_initiator=False, who=ben.who, random=Random(2).randbytes),
        )
        assert a.peer is b.peer is None
        assert a.binding != b.binding

    virtually(scenario())


def test_a_resumption_that_is_replayed_a_thousand_times_proves_nothing() -> None:
    async def scenario() -> None:
        ada, ben = pair()
        await parted(*await met(ada, ben))
        ticket = ada.ticket("ben")
        assert len(await ben.tickets.find(ticket.ident)) == 1
        async with Wire().open() as wire:
            a, b = await met(ada, ben, wire, ticket=ticket, seed=2)
            assert b.was_resumed
            await parted(a, b)
        first = wire.said[0][1]
        held = dict(ben.tickets._to_answer)
        answers = set()
        for number in range(1_000):
            near, far = MemoryLink.pair()
            await near.send(first)
            answering = asyncio.create_task(
                secure(far, is_initiator=False, who=ben.who, random=Random(number).randbytes)
            )
            answers.add(await near.receive())
            await near.close()
            with pytest.raises(HandshakeError):
                await answering
        assert len(answers) == 1_000
        assert ben.tickets._to_answer == held
        assert not await ben.tickets.find(ticket.ident)

    virtually(scenario())


@pytest.mark.parametrize("byte", range(33))
def test_any_change_of_the_proof_after_a_ticket_makes_the_other_side_fail(byte: int) -> None:
    got, ends = told(flipped(THERE, 1, byte, byte % 8), ticket=True)
    assert (got, ends) == ([], ["HandshakeError"])


def test_a_resumption_that_never_arrived_can_be_replayed_once_and_proves_nothing() -> None:
    async def scenario() -> None:
        ada, ben = pair()
        await parted(*await met(ada, ben))
        ticket = ada.ticket("ben")
        async with Wire(lambda _way, _number, _frame: ()).open() as wire:
            with pytest.raises(BaseExceptionGroup):
                await met(ada, ben, wire, ticket=ticket, seed=2)
        assert len(await ben.tickets.find(ticket.ident)) == 1
        for number in range(3):
            near, far = MemoryLink.pair()
            await near.send(wire.said[0][1])
            answering = asyncio.create_task(
                secure(far, is_initiator=False, who=ben.who, random=Random(number).randbytes)
            )
            await near.receive()
            await near.send(bytes(33))
            with pytest.raises(HandshakeError, match="hold"):
                await answering
            assert not await ben.tickets.find(ticket.ident)

    virtually(scenario())


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:4])
def test_a_key_of_small_order_opens_no_session_from_either_side(point: bytes) -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        await near.send(b"\1" + bytes(16) + point + bytes(16))
        with pytest.raises(HandshakeError, match="small order"):
            await secure(far, is_initiator=False, who=pair()[0].who, random=Random(1).randbytes)
        near, far = MemoryLink.pair()
        await far.send(point + bytes(16))
        with pytest.raises(HandshakeError, match="answer"):
            await secure(near, is_initiator=True, who=pair()[0].who, random=Random(1).randbytes)

    virtually(scenario())


@pytest.mark.parametrize("size", [1, 16, 64, 513, 65_000])
def test_first_words_of_a_wrong_size_are_refused_before_anything_is_computed(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: object) -> bytes:
        raise AssertionError("computed something")

    monkeypatch.setattr("transports.noise.bindings.crypto_scalarmult", compute)
    monkeypatch.setattr("transports.noise.bindings.crypto_scalarmult_base", compute)

    async def scenario() -> None:
        near, far = MemoryLink.pair()
        await near.send(b"\1" * size)
        with pytest.raises(HandshakeError, match=f"{size} bytes"):
            await secure(far, is_initiator=False, who=pair()[0].who, random=Random(1).randbytes)

    virtually(scenario())


@given(st.binary(min_size=1, max_size=600))
def test_any_first_words_are_answered_or_refused_with_the_one_error(first: bytes) -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        await near.send(first)
        await near.close()
        with pytest.raises(HandshakeError):
            await secure(far, is_initiator=False, who=pair()[0].who, random=Random(1).randbytes)

    virtually(scenario())


def test_a_handshake_that_comes_to_no_end_is_given_up() -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        with pytest.raises(HandshakeError, match="5 s"):
            await secure(near, is_initiator=True, who=pair()[0].who, random=Random(1).randbytes)
        assert asyncio.get_running_loop().time() == 5.0
        assert len(await rest(far)) == 1

    virtually(scenario())


def test_a_link_that_takes_too_little_at_a_time_is_refused() -> None:
    async def scenario() -> None:
        for most in (99, 100):
            ends = MemoryLink.pair(max_frame=most)
            if most == 99:
                with pytest.raises(BaseExceptionGroup) as failed:
                    await met(*pair(), ends)
                assert "takes 99 bytes" in str(failed.value.exceptions[0])
            else:
                a, b = await met(*pair(), ends)
                assert (a.info.max_frame, a.peer, b.peer) == (83, name_of("ben"), name_of("ada"))

    virtually(scenario())


# --- forward secrecy ------------------------------------------------------------------------------


class Thief:
    """Somebody who heard a session with a ticket, and tries a fresh secret of one side on it."""

    def __init__(self, said: list[tuple[int, bytes]], psk: bytes) -> None:
        self.there = [frame for way, frame in said if way == THERE]
        self.back = [frame for way, frame in said if way == BACK]
        self.psk = psk

    def read(self, fresh: bytes) -> bytes:
        """Return what the first frame after the handshake says, if ``fresh`` is ada's secret."""
        first = self.there[0]
        listening, handshake = (
            Handshake(
                is_initiator=is_initiator,
                prologue=context("noise") + first[:17],
                seed=fresh,
                psk=self.psk,
            )
            for is_initiator in (False, True)
        )
        listening.read_first(first[17:])
        handshake._state = listening._state  # what was said is known; only her secret is not
        handshake.read_second(self.back[0])
        return unseal(handshake.keys().send, 1, self.there[2])[1:]  # behind the proof


def test_who_takes_every_key_afterwards_cannot_read_what_he_heard() -> None:
    async def scenario() -> None:
        ada, ben = pair()
        await parted(*await met(ada, ben))
        ticket = ada.ticket("ben")
        dice = Random(5)
        drawn: list[bytes] = []

        def noted(size: int) -> bytes:
            drawn.append(dice.randbytes(size))
            return drawn[-1]

        async with Wire().open() as wire:
            a, b = await met(ada, ben, wire, ticket=ticket, dice=(noted, Random(6).randbytes))
            await a.send(b"between us")
            assert await b.receive() == b"between us"
            await parted(a, b)
        psk = psk_of(ticket, ada.who.pair_keys)
        thief = Thief(wire.said, psk)
        # the attack works for who has a secret that is thrown away when the handshake is over
        assert thief.read(drawn[0]) == b"between us"
        # and for nobody with all that is kept: pair keys, tickets, and what follows from them
        kept = [psk, ticket.psk, *ada.who.pair_keys.values(), *ben.who.pair_keys.values()]
        kept += [t.psk for device in (ada, ben) for _, t in device.tickets._to_open.values()]
        kept += [t.psk for device in (ada, ben) for _, t in device.tickets._to_answer.values()]
        assert len(set(kept)) >= 4
        kept += [part for key in kept for part in expand(key, b"", 3)]
        for key in kept:
            with pytest.raises(NoiseError):
                thief.read(key)
        assert drawn[0] not in kept

    virtually(scenario())


# --- what comes out of turn -----------------------------------------------------------------------


async def half_way(far: Link) -> StreamSession:
    """Open a session up to the point where one says who one is."""
    entry = StreamEntry(far, Device("eve").who, Random(3).randbytes)
    await entry.open(None)
    return entry.session


@pytest.mark.parametrize("kind", [DATA, CLOSE, REKEY, WHO])
def test_who_goes_on_after_a_ticket_before_he_has_proven_himself_is_refused(kind: int) -> None:
    async def scenario() -> None:
        ada, ben = pair()
        await parted(*await met(ada, ben))
        near, far = MemoryLink.pair()
        answering = asyncio.create_task(
            secure(near, is_initiator=False, who=ben.who, random=Random(1).randbytes)
        )
        entry = StreamEntry(far, ada.who, Random(3).randbytes)
        agreed = await entry.open(ada.ticket("ben"))
        assert agreed.ticket is not None
        await far.send(entry.session.seal(kind, bytes(16)))
        with pytest.raises(HandshakeError, match="before it has said who it is"):
            await answering

    virtually(scenario())


@pytest.mark.parametrize("kind", [DATA, CLOSE, REKEY])
def test_who_goes_on_before_he_has_said_who_he_is_is_refused(kind: int) -> None:
    async def scenario() -> None:
        near, far = MemoryLink.pair()
        answering = asyncio.create_task(
            secure(near, is_initiator=False, who=pair()[1].who, random=Random(1).randbytes)
        )
        session = await half_way(far)
        await far.send(session.seal(kind, bytes(48)))
        with pytest.raises(HandshakeError, match="before it has said who it is"):
            await answering

    virtually(scenario())
