"""New keys every hour, while frames are under way, on a stream."""

import asyncio
from random import Random

import pytest

from tests.transports.joined_links import numbered
from tests.transports.secure_pairs import Device, Wire, met, parted, virtually
from transports.noise import NoiseError, unseal
from transports.opening import Opener, answer
from transports.records import REKEY, REKEYED, TURN
from transports.rekeying import REKEY_AFTER_RECORDS
from transports.secure import CutError
from transports.secure_link import SecureLink
from transports.stream_session import StreamSession
from transports.tickets import MemoryTickets

HOUR = 3_600.0


def session(link: SecureLink) -> StreamSession:
    assert isinstance(link._session, StreamSession)
    return link._session


def keys(link: SecureLink) -> tuple[bytes, bytes, bytes]:
    inside = session(link)
    return inside._records._send, inside._records._receive, inside._rekeying._secret


def held(thing: object, depth: int = 4) -> set[bytes]:
    """All byte strings that an object still holds."""
    if isinstance(thing, bytes):
        return {thing}
    slots = [s for kind in type(thing).__mro__ for s in getattr(kind, "__slots__", ())]
    parts = list(thing) if isinstance(thing, tuple) else [getattr(thing, s, None) for s in slots]
    return set().union(*(held(part, depth - 1) for part in parts)) if depth else set()


async def talk(link: SecureLink, until: float) -> list[bytes]:
    """Send a frame now and then; return them all."""
    sent: list[bytes] = []
    while asyncio.get_running_loop().time() < until:
        sent.append(numbered(len(sent) + 1, 40))
        await link.send(sent[-1])
        await asyncio.sleep(1.7)
    return sent


async def listen(link: SecureLink, got: list[bytes]) -> None:
    while True:
        got.append(await link.receive())


async def past_the_hour(a: SecureLink, b: SecureLink) -> None:
    """Both talk until keys have changed, and hear everything."""
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    listening = [asyncio.create_task(listen(*each)) for each in zip((b, a), heard, strict=True)]
    sent = await asyncio.gather(talk(a, HOUR + 30), talk(b, HOUR + 30))
    await asyncio.sleep(1.0)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    assert heard == tuple(sent)


def test_keys_change_within_the_hour_and_no_frame_is_lost_doubled_or_late() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        binding, old = a.binding, [*keys(a), *keys(b)]
        await past_the_hour(a, b)
        # then both have new keys, and each the other's
        one, other = keys(a), keys(b)
        assert one == (other[1], other[0], other[2])
        assert not set(old) & set(one)
        assert a.binding == b.binding == binding
        await parted(a, b)

    virtually(scenario())


def test_nobody_holds_an_old_key_and_who_does_cannot_read_what_was_said_since() -> None:
    async def scenario() -> None:
        async with Wire().open() as wire:
            a, b = await met(Device("ada"), Device("ben"), wire)
            old = {*keys(a), *keys(b)}
            await past_the_hour(a, b)
            for link in (a, b):
                assert set(keys(link)) <= held(session(link))
                assert not held(session(link)) & old
            await parted(a, b)
        last = wire.said[-1][1]
        for key in old:
            for count in range(3_000):
                with pytest.raises(NoiseError):
                    unseal(key, count, last)

    virtually(scenario())


def test_keys_change_once_an_hour_for_as_long_as_it_lasts() -> None:
    async def scenario() -> None:
        a, b = await met(Device("ada"), Device("ben"))
        seen = []
        for _ in range(5):
            seen.append(keys(a)[0])
            await asyncio.sleep(HOUR + 60)
        assert len(set(seen)) == 5
        await a.send(b"still in order")
        assert await b.receive() == b"still in order"
        await b.send(b"either way")
        assert await a.receive() == b"either way"
        await parted(a, b)

    virtually(scenario())


def test_keys_change_when_they_were_used_often() -> None:
    async def scenario() -> None:
        for which in ("sent", "received"):
            a, b = await met(Device("ada"), Device("ben"))
            old = keys(a)
            for link, name in ((a, which), (b, "received" if which == "sent" else "sent")):
                setattr(session(link)._records, name, REKEY_AFTER_RECORDS)
            await asyncio.sleep(60.0)
            assert not set(keys(a)) & set(old)
            await b.send(b"on")
            assert await a.receive() == b"on"
            await parted(a, b)

    virtually(scenario())


def test_only_who_opened_the_session_asks_for_new_keys_and_only_once() -> None:
    async def scenario() -> None:
        for kind, content in [(REKEY, bytes(48)), (REKEYED, bytes(48)), (TURN, b"")]:
            a, b = await met(Device("ada"), Device("ben"))
            async with b._turn:
                await b._put(kind, content)
            with pytest.raises(CutError, match="out of turn"):
                await a.receive()
            await parted(a, b)
        for kind, content, why in [
            (REKEY, bytes(48), "small order|hold"),
            (REKEY, bytes(47), "out of turn"),
            (REKEYED, bytes(48), "out of turn"),
            (TURN, b"", "out of turn"),
        ]:
            a, b = await met(Device("ada"), Device("ben"))
            await asyncio.sleep(10.0)
            async with a._turn:
                await a._put(kind, content)
            with pytest.raises(CutError, match=why):
                await b.receive()
            await parted(a, b)

    virtually(scenario())


def sessions(seed: int = 1) -> tuple[StreamSession, StreamSession]:
    dice = Random(seed).randbytes
    opener = Opener(dice)
    answering = answer(opener.first, dice, MemoryTickets(lambda: 0.0), {})
    with pytest.raises(StopIteration) as done:
        answering.send(None)
    second, agreed = done.value.value
    return (
        StreamSession(opener.read(second).keys, is_initiator=True, random=dice, now=0.0),
        StreamSession(agreed.keys, is_initiator=False, random=dice, now=0.0),
    )


def test_nothing_is_asked_before_it_is_time_nor_twice() -> None:
    one, other = sessions()
    assert other.due() is None
    assert one.due() == HOUR
    assert one.tick(HOUR - 0.1) == ()
    ((kind, content),) = one.tick(HOUR)
    assert (kind, len(content)) == (REKEY, 48)
    assert one.tick(HOUR + 1) == ()
    assert one.due() is None
    ((kind, answered),) = other.hear(kind, content, HOUR)
    with pytest.raises(NoiseError, match="out of turn"):
        other.hear(REKEY, content, HOUR)
    assert one.hear(kind, answered, HOUR) == ((TURN, b""),)
    with pytest.raises(NoiseError, match="out of turn"):
        one.hear(REKEYED, answered, HOUR)


def test_who_asks_for_new_keys_again_and_again_is_refused() -> None:
    one, other = sessions()
    one._rekeying._keyed_at = -HOUR
    ((kind, content),) = one.tick(0.0)
    with pytest.raises(NoiseError, match="too soon"):
        other.hear(kind, content, 9.9)
    ((kind, _),) = other.hear(kind, content, 10.0)
    assert kind == REKEYED


def test_a_request_of_another_session_is_not_answered() -> None:
    one, _ = sessions(1)
    _, elsewhere = sessions(2)
    ((kind, content),) = one.tick(HOUR)
    with pytest.raises(NoiseError, match="genuine"):
        elsewhere.hear(kind, content, HOUR)
