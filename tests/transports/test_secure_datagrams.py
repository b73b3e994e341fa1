"""Sessions in datagrams that are lost, come twice, overtake each other, and change their way."""

import asyncio
from collections import deque
from collections.abc import Hashable
from random import Random

import pytest

from tests.transports.secure_pairs import Device, met, name_of, parted, virtually
from transports.base import Link, LinkClosedError, LinkInfo
from transports.datagram_session import DatagramSession
from transports.memory import MemoryLink
from transports.noise import NoiseError
from transports.opening import HandshakeError
from transports.recognition import ANSWER, pieces
from transports.records import FIRST, PROBE, PROBED, RECORD, REKEY, REKEYED, SECOND, WHO
from transports.roaming import Paths, RoamingSecureLink
from transports.secure import secure
from transports.secure_link import SecureLink

HOUR = 3_600.0


class Lossy:
    """A link that loses, doubles and holds back what is sent, as dice say."""

    def __init__(self, link: Link, dice: Random, loss: float) -> None:
        self._link = link
        self._dice = dice
        self.loss = loss
        self._held: deque[bytes] = deque()
        self.sent: list[bytes] = []

    @property
    def info(self) -> LinkInfo:
        return self._link.info

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)
        fate = self._dice.random()
        if fate < self.loss:
            return
        if fate < 1.3 * self.loss:
            self._held.append(frame)
            return
        await self._link.send(frame)
        if fate < 1.6 * self.loss:
            await self._link.send(frame)
        while self._held:
            await self._link.send(self._held.popleft())

    async def receive(self) -> bytes:
        return await self._link.receive()

    def waiting(self) -> int:
        return self._link.waiting()

    async def close(self) -> None:
        await self._link.close()


def lossy(seed: int, loss: float, max_frame: int = 1_200) -> tuple[Lossy, Lossy]:
    one, other = MemoryLink.pair(max_frame=max_frame, latency=0.02)
    return Lossy(one, Random(seed), loss), Lossy(other, Random(-seed), loss)


def session(link: SecureLink) -> DatagramSession:
    assert isinstance(link._session, DatagramSession)
    return link._session


def friends() -> tuple[Device, Device]:
    crowd = tuple(f"person {number}" for number in range(200))
    return Device("ada", ("ben", *crowd)), Device("ben", ("ada", *crowd))


@pytest.mark.parametrize("seed", range(1, 40))
def test_a_handshake_comes_about_though_datagrams_are_lost_doubled_and_overtaken(
    seed: int,
) -> None:
    async def scenario() -> None:
        ends = lossy(seed, 0.07)
        a, b = await met(*friends(), ends, mode="datagram", seed=seed)
        assert (a.peer, b.peer) == (name_of("ben"), name_of("ada"))
        assert a.binding == b.binding
        for end in ends:
            end.loss = 0.0
        await a.send(b"there")
        await b.send(b"back")
        assert [await b.receive(), await a.receive()] == [b"there", b"back"]
        await parted(a, b)

    virtually(scenario())


@pytest.mark.parametrize("resumed", [False, True], ids=["confirm", "proof after a ticket"])
def test_the_last_word_of_a_handshake_is_said_again_when_it_was_lost(*, resumed: bool) -> None:
    async def scenario() -> None:
        ada, ben = friends()
        ticket = None
        if resumed:
            await parted(*await met(ada, ben, lossy(1, 0.0), mode="datagram"))
            ticket = ada.ticket("ben")
        one, other = lossy(1, 0.0)
        size = 11 + 1 + (16 if resumed else 5 + 32) + 16
        sending = one._link.send
        lost: list[bytes] = []

        async def losing(frame: bytes) -> None:
            if frame[0] == RECORD and len(frame) == size and not lost:
                lost.append(frame)
            else:
                await sending(frame)

        one._link.send = losing  # type: ignore[method-assign]
        dice = Random(1).randbytes
        answering = asyncio.create_task(
            secure(other, is_initiator=False, who=ben.who, random=dice, mode="datagram")
        )
        a = await secure(
            one, is_initiator=True, who=ada.who, random=dice, mode="datagram", ticket=ticket
        )
        assert lost
        assert a.was_resumed is resumed
        assert not answering.done()
        receiving = asyncio.create_task(a.receive())
        b = await answering
        assert b.peer == name_of("ada")
        await b.send(b"there you are")
        assert await receiving == b"there you are"
        await parted(a, b)

    virtually(scenario())


def test_no_answer_is_longer_than_three_times_what_asked_for_it() -> None:
    async def scenario() -> None:
        one, other = lossy(1, 0.0)
        with pytest.raises(HandshakeError):  # nobody answers the answers
            await asyncio.gather(
                secure(
                    other,
                    is_initiator=False,
                    who=Device("ben").who,
                    random=Random(1).randbytes,
                    mode="datagram",
                ),
                one.send(bytes([FIRST]) + b"sess\1" + Random(2).randbytes(250)),
            )
        assert {frame[0] for frame in other.sent} == {SECOND}
        assert sum(map(len, other.sent)) <= 3 * len(one.sent[0])

    virtually(scenario())


@pytest.mark.parametrize("kind", [0, ord("d"), SECOND, RECORD])
def test_what_begins_with_something_else_is_not_answered(kind: int) -> None:
    async def scenario() -> None:
        one, other = lossy(1, 0.0)
        await one.send(bytes([kind]) + bytes(255))
        with pytest.raises(HandshakeError, match=f"kind {kind}"):
            await secure(
                other,
                is_initiator=False,
                who=Device("ben").who,
                random=Random(1).randbytes,
                mode="datagram",
            )
        assert other.sent == []

    virtually(scenario())


@pytest.mark.parametrize("size", [1, 70, 255, 518])
def test_a_first_datagram_of_a_wrong_size_is_not_answered(size: int) -> None:
    async def scenario() -> None:
        one, other = lossy(1, 0.0)
        await one.send((bytes([FIRST]) + b"sess\1" + bytes([7]) * 600)[:size])
        with pytest.raises(HandshakeError, match="bytes"):
            await secure(
                other,
                is_initiator=False,
                who=Device("ben").who,
                random=Random(1).randbytes,
                mode="datagram",
            )
        assert other.sent == []

    virtually(scenario())


def test_what_anybody_else_sends_meanwhile_disturbs_no_handshake() -> None:
    async def scenario() -> None:
        one, other = lossy(1, 0.0)
        ada, ben = friends()
        junk = [b"d1:ad2:id20:", b"\0\1", bytes([SECOND]) + bytes(56), bytes([RECORD]) + bytes(80)]
        opening = asyncio.create_task(
            secure(one, is_initiator=True, who=ada.who, random=Random(1).randbytes, mode="datagram")
        )
        await asyncio.sleep(0.01)
        for frame in (*junk, bytes([SECOND]) + one.sent[0][1:5] + bytes(52)):
            await other.send(frame)
        b = await secure(
            other, is_initiator=False, who=ben.who, random=Random(2).randbytes, mode="datagram"
        )
        a = await opening
        for frame in junk:
            await other.send(frame)
        await b.send(b"through")
        assert await a.receive() == b"through"
        assert a.dropped == len(junk)
        await parted(a, b)

    virtually(scenario())


def test_what_is_lost_stays_lost_and_nothing_comes_twice() -> None:
    async def scenario() -> None:
        ends = lossy(5, 0.0)
        a, b = await met(Device("ada"), Device("ben"), ends, mode="datagram")
        for end in ends:
            end.loss = 0.3
        sent = [number.to_bytes(2, "big") for number in range(1, 400)]
        for frame in sent:
            await a.send(frame)
        await asyncio.sleep(5.0)
        got = [await b.receive() for _ in range(b.waiting()) if b.waiting()]
        assert len(got) == len(set(got))
        assert set(got) < set(sent)
        assert len(got) > 200
        assert got != sorted(got)
        assert b.dropped > 10
        await parted(a, b)

    virtually(scenario())


# --- new keys -------------------------------------------------------------------------------------


async def listen(link: SecureLink, got: list[int]) -> None:
    while True:
        got.append(int.from_bytes(await link.receive(), "big"))


async def talk(link: SecureLink, many: int) -> None:
    for number in range(1, many + 1):
        await link.send(number.to_bytes(4, "big"))
        await asyncio.sleep(3.7)


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_keys_change_within_the_hour_and_whatever_is_under_way_still_opens(loss: float) -> None:
    async def scenario() -> None:
        ends = lossy(7, 0.0)
        a, b = await met(Device("ada"), Device("ben"), ends, mode="datagram")
        binding, first = a.binding, {*session(a).own, *session(b).own}
        for end in ends:
            end.loss = loss
        heard: tuple[list[int], list[int]] = ([], [])
        listening = [asyncio.create_task(listen(*each)) for each in zip((a, b), heard, strict=True)]
        await asyncio.gather(talk(a, 1_000), talk(b, 1_000))
        await asyncio.sleep(30.0)
        for link, got in zip((a, b), heard, strict=True):
            (own,) = session(link).own
            assert own not in first
            assert link.binding == binding
            if loss:
                assert 500 < len(got) == len(set(got))
                assert max(got) > 990
            else:
                assert (got, link.dropped) == (list(range(1, 1_001)), 0)
        await parted(a, b)
        await asyncio.gather(*listening, return_exceptions=True)

    virtually(scenario())


def both() -> tuple[DatagramSession, DatagramSession]:
    async def scenario() -> tuple[DatagramSession, DatagramSession]:
        a, b = await met(Device("ada"), Device("ben"), lossy(3, 0.0), mode="datagram")
        await parted(a, b)
        for link in (a, b):
            session(link)._rekeying._keyed_at = 0.0
        return session(a), session(b)

    return virtually(scenario())


def reached(side: DatagramSession) -> int:
    return len(side.own)


def test_an_old_key_opens_what_is_under_way_for_ten_seconds_and_is_forgotten() -> None:
    one, other = both()
    late = [other.seal(0, bytes([number])) for number in range(1, 4)]
    ((kind, content),) = one.tick(HOUR)
    ((_, answered),) = other.hear(kind, content, HOUR)
    # the side that answered goes on with the old key until the new one was used
    under_way = other.seal(0, b"old key")
    ((_, ping),) = one.hear(REKEYED, answered, HOUR)
    assert one.open(under_way, HOUR) == b"\0old key"
    assert other.open(one.seal(1, ping), HOUR) == b"\1" + ping
    assert one.open(other.seal(0, b"new key"), HOUR + 1) == b"\0new key"
    assert one.open(late[0], HOUR + 10.9) == b"\0\1"
    assert reached(one) == 2
    with pytest.raises(NoiseError, match="no record"):
        one.open(late[1], HOUR + 11)
    assert reached(one) == 1
    times = [other.due()]
    other.tick(HOUR + 10)
    assert reached(other) == 1
    assert [*times, other.due(), one.due()] == [HOUR + 10, None, 2 * HOUR]


def test_new_keys_never_come_under_the_four_bytes_of_the_old_ones() -> None:
    one, _ = both()
    (own,) = one.own
    drawn = [own, own, b"else"]
    one._random = lambda size: drawn.pop(0) if size == 4 else bytes([9]) * size
    one.tick(HOUR)
    assert one._asked is not None
    assert one._asked.own == b"else"


def test_keys_change_when_they_were_used_often() -> None:
    for side, many in (("sent", 1 << 32), ("newest", (1 << 32) - 1)):
        one, other = both()
        if side == "sent":
            one._out.sent = many
        else:
            one._in[one.own[0]]._window.newest = many
        assert one.tick(60.0)[0][0] == REKEY
        assert other.tick(60.0) == ()


def test_a_request_for_new_keys_is_repeated_and_answered_alike() -> None:
    one, other = both()
    asked = [one.tick(HOUR + second) for second in (0, 0.5, 1, 2)]
    assert asked[1] == ()
    assert asked[0] == asked[2] == asked[3]
    ((kind, content),) = asked[0]
    answers = {other.hear(kind, content, HOUR) for _ in range(3)}
    assert len(answers) == 1
    assert len(other.own) == 2
    with pytest.raises(NoiseError, match="out of turn"):
        other.hear(REKEY, bytes(52), HOUR)
    with pytest.raises(NoiseError, match="too soon"):
        both()[1].hear(REKEY, bytes(52), 9.0)
    with pytest.raises(NoiseError, match="out of turn"):
        other.hear(REKEYED, bytes(52), HOUR)
    ((_, answered),) = answers.pop()
    one.hear(REKEYED, answered, HOUR)
    with pytest.raises(NoiseError, match="out of turn"):
        one.hear(REKEYED, answered, HOUR)
    with pytest.raises(NoiseError, match="out of turn"):
        one.hear(REKEY, content, HOUR)


def test_only_who_opened_the_session_says_its_last_words_again() -> None:
    one, other = both()
    (piece,) = pieces(ANSWER, bytes(128), 600)
    ((kind, words),) = one.hear(WHO, piece, 0.0)
    assert (kind, words[0], len(words)) == (WHO, 3, 37)
    assert other.hear(WHO, piece, 0.0) == ()
    assert one.hear(WHO, b"", 0.0) == ()


# --- roaming --------------------------------------------------------------------------------------


class Roaming:
    """One socket that hears and sends along paths; ``lines`` are where they lead."""

    def __init__(self) -> None:
        self.info = LinkInfo("test", 1_200)
        self.arrived: asyncio.Queue[tuple[Hashable, bytes]] = asyncio.Queue()
        self.came_by: Hashable = None
        self.path: Hashable = "home"
        self.sent: list[tuple[Hashable, bytes]] = []
        self.lines: dict[Hashable, tuple[Roaming, Hashable]] = {}

    async def send(self, frame: bytes) -> None:
        await self.send_to(frame, self.path)

    async def send_to(self, frame: bytes, path: Hashable) -> None:
        self.sent.append((path, frame))
        if path in self.lines:
            other, back = self.lines[path]
            other.arrived.put_nowait((back, frame))

    def follow(self, path: Hashable) -> None:
        self.path = path

    async def receive(self) -> bytes:
        path, frame = await self.arrived.get()
        if not frame:
            raise LinkClosedError("closed")
        self.came_by = path
        return frame

    def waiting(self) -> int:
        return self.arrived.qsize()

    async def close(self) -> None:
        self.arrived.put_nowait((None, b""))


async def roamers() -> tuple[SecureLink, SecureLink, Roaming, Roaming]:
    near, far = Roaming(), Roaming()
    near.lines["home"], far.lines["home"] = (far, "home"), (near, "home")
    a, b = await met(*friends(), (near, far), mode="datagram")
    return a, b, near, far


def test_the_other_side_is_followed_to_a_new_address_after_it_answered_from_there() -> None:
    async def scenario() -> None:
        a, b, near, far = await roamers()
        assert isinstance(b, RoamingSecureLink)
        assert [frame[1:5] for _, frame in near.sent[-1:]] == [*b.sessions]
        receiving = [asyncio.create_task(a.receive()), asyncio.create_task(b.receive())]
        # when ada is somewhere else, where nothing reaches her under her old address
        near.lines = {"home": (far, "cafe")}
        far.lines = {"cafe": (near, "home")}
        await a.send(b"from the cafe")
        assert await receiving[1] == b"from the cafe"
        ways = [far.path]
        assert ways == ["home"]
        receiving[1] = asyncio.create_task(b.receive())
        await asyncio.sleep(0.1)
        # then ben asked along the new way, got the answer from there, and follows
        ways.append(far.path)
        assert ways == ["home", "cafe"]
        probes = [path for path, _ in far.sent[-1:]]
        assert probes == ["cafe"]
        await b.send(b"welcome")
        assert await receiving[0] == b"welcome"
        receiving[0] = asyncio.create_task(a.receive())
        assert await a.ping() == 0.0
        await parted(a, b)
        await asyncio.gather(*receiving, return_exceptions=True)

    virtually(scenario())


def test_what_somebody_sends_again_from_elsewhere_leads_nobody_there() -> None:
    async def scenario() -> None:
        a, b, near, far = await roamers()
        receiving = [asyncio.create_task(link.receive()) for link in (a, b)]
        old = near.sent[-1][1]
        # given a datagram that eve holds back and sends from her own address
        near.lines = {}
        await a.send(b"held back")
        held = near.sent[-1][1]
        for frame in (old, held, held):
            far.arrived.put_nowait(("eve", frame))
        assert await receiving[1] == b"held back"
        await asyncio.sleep(0.1)
        # then she is asked what she cannot answer, once, with less than three times as much
        probed = [frame for path, frame in far.sent if path == "eve"]
        assert len(probed) == 1
        assert len(probed[0]) <= 3 * len(held)
        assert far.path == "home"
        for frame in probed:
            far.arrived.put_nowait(("eve", frame))
        receiving[1] = asyncio.create_task(b.receive())
        await asyncio.sleep(5.0)
        assert far.path == "home"
        await parted(a, b)
        await asyncio.gather(*receiving, return_exceptions=True)

    virtually(scenario())


def test_an_answer_counts_along_the_way_that_was_asked_and_once() -> None:
    paths = Paths("home", Random(1).randbytes)
    assert paths.heard("home", 0.0, is_newest=True) is None
    assert paths.heard("cafe", 0.0, is_newest=False) is None
    word = paths.heard("cafe", 0.0, is_newest=True)
    assert word is not None
    assert len(word) == 8
    assert paths.heard("eve", 0.9, is_newest=True) is None  # one question a second
    assert not paths.answered("eve", word)
    assert not paths.answered("cafe", bytes(8))
    assert paths.answered("cafe", word)
    assert paths.current == "cafe"
    assert not paths.answered("cafe", word)
    assert not Paths("home", Random(1).randbytes).answered(None, b"")


def test_a_question_about_a_way_is_answered_word_for_word() -> None:
    one, other = both()
    assert one.hear(PROBE, b"8 bytes.", 0.0) == ((PROBED, b"8 bytes."),)
    assert other.hear(PROBE, b"short", 0.0) == ()
