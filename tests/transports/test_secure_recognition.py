"""Who recognises whom inside a session, and what an outsider sees of it: sizes."""

import asyncio
import hmac
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.secure_pairs import (
    BACK,
    THERE,
    Device,
    Mode,
    Wire,
    at_once,
    met,
    name_of,
    parted,
    virtually,
)
from transports import recognition
from transports.opening import HandshakeError, Opener, answer, context
from transports.recognition import (
    ANSWER,
    ASK,
    CONFIRM,
    MAX_NAMES,
    Credentials,
    Gathering,
    Recognition,
    Shown,
    pieces,
)
from transports.tickets import MemoryTickets, Ticket

each_mode = pytest.mark.parametrize("mode", ["stream", "datagram"])


def friends() -> tuple[Device, Device]:
    return Device("ada", ("ben",)), Device("ben", ("cleo", "ada", "dan"))


def outcome(
    near: Device, far: Device, *, ticket: Ticket | None = None, mode: Mode = "stream", seed: int = 1
) -> tuple[bytes | None, bytes | None, bool, bool]:
    """Whom each side recognises, and whether each says that a ticket was used."""

    async def scenario() -> tuple[bytes | None, bytes | None, bool, bool]:
        a, b = await met(near, far, ticket=ticket, mode=mode, seed=seed)
        assert a.binding == b.binding
        await a.send(b"hello")
        assert await b.receive() == b"hello"
        await b.send(b"hello yourself")
        assert await a.receive() == b"hello yourself"
        await parted(a, b)
        return a.peer, b.peer, a.was_resumed, b.was_resumed

    return virtually(scenario())


@each_mode
def test_two_who_added_each_other_recognise_each_other(mode: Mode) -> None:
    assert outcome(*friends(), mode=mode) == (name_of("ben"), name_of("ada"), False, False)


@each_mode
@pytest.mark.parametrize(
    ("knows", "known_by"),
    [((), ()), (("ben",), ()), ((), ("ada",)), (("cleo",), ("cleo",))],
    ids=["neither", "only the one who opens", "only the one who answers", "a common friend"],
)
def test_nobody_is_recognised_unless_both_added_each_other(
    knows: tuple[str, ...], known_by: tuple[str, ...], mode: Mode
) -> None:
    near, far = Device("ada", knows), Device("ben", known_by)
    assert outcome(near, far, mode=mode) == (None, None, False, False)
    # and nothing is kept of strangers
    assert near.tickets.newest(name_of("ben")) is far.tickets.newest(name_of("ada")) is None


def test_a_device_that_is_led_to_itself_recognises_nobody() -> None:
    # given a session of which both ends hold the same keys
    ada = Device("ada", ("ben", "cleo"))
    assert outcome(ada, Device("ada", ("ben", "cleo"))) == (None, None, False, False)


@pytest.mark.parametrize("many", [1, 64, 65, 300])
def test_one_of_many_is_recognised(many: int) -> None:
    crowd = tuple(f"person {number}" for number in range(many - 1))
    near, far = Device("ada", (*crowd, "ben")), Device("ben", ("ada", *crowd))
    assert outcome(near, far)[:2] == (name_of("ben"), name_of("ada"))


def test_more_names_than_can_be_recognised_are_refused() -> None:
    keys = {bytes([n >> 8, n & 255]): bytes(32) for n in range(MAX_NAMES + 1)}
    tickets = MemoryTickets(lambda: 0.0)
    with pytest.raises(ValueError, match="4096"):
        Credentials(b"", keys, tickets)
    keys.popitem()
    assert len(Credentials(b"", keys, tickets).pair_keys) == MAX_NAMES
    with pytest.raises(ValueError, match="32 bytes"):
        Credentials(b"", {b"n": bytes(31)}, tickets)


# --- visible to everyone --------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize("who", ["near", "far", "both"])
def test_a_device_that_shows_itself_is_seen_by_a_stranger(who: str, mode: Mode) -> None:
    near = Device("ada", visible=who in ("near", "both"))
    far = Device("ben", visible=who in ("far", "both"))

    async def scenario() -> None:
        a, b = await met(near, far, mode=mode)
        assert a.shown == (name_of("ben") if far.visible else None)
        assert b.shown == (name_of("ada") if near.visible else None)
        assert a.peer is b.peer is None
        await parted(a, b)

    virtually(scenario())


def test_a_device_key_that_somebody_else_signed_for_is_refused() -> None:
    eve = Device("eve", visible=True)
    shown = eve.who.shown
    assert shown is not None
    forged = Credentials(b"", {}, eve.tickets, Shown(name_of("ada"), shown.sign))
    near, far = handshaken(forged, Device("ben").who)
    with pytest.raises(HandshakeError, match="not its own"):
        far.answer(near.ask())


def test_what_was_shown_in_one_session_shows_nothing_in_another() -> None:
    ada, ben = Device("ada", visible=True).who, Device("ben").who
    first, _ = handshaken(ada, ben, seed=1)
    _, elsewhere = handshaken(ada, ben, seed=2)
    with pytest.raises(HandshakeError, match="not its own"):
        elsewhere.answer(first.ask())


# --- what the three messages are made of ----------------------------------------------------------


def handshaken(
    near: Credentials, far: Credentials, seed: int = 1
) -> tuple[Recognition, Recognition]:
    """Both sides of a recognition, without a link."""
    opener = Opener(Random(seed).randbytes)
    dice = Random(seed + 1_000).randbytes
    second, agreed = at_once(answer(opener.first, dice, far.tickets, far.pair_keys))
    return (
        Recognition(opener.read(second), near, Random(seed + 2_000).randbytes),
        Recognition(agreed, far, dice),
    )


def said(near: Device, far: Device, seed: int = 1) -> list[bytes]:
    """The three messages as the two inside see them."""
    one, other = handshaken(near.who, far.who, seed)
    asked = one.ask()
    answered = other.answer(asked)
    confirmed = one.confirm(answered)
    other.finish(confirmed)
    assert (one.peer is None) == (other.peer is None)
    return [asked, answered, confirmed]


def test_the_sizes_are_multiples_of_64_tags_whoever_is_known() -> None:
    for many, tags in [(0, 64), (1, 64), (64, 64), (65, 128), (4_096, 4_096)]:
        near = Device("ada", tuple(f"person {n}" for n in range(many)))
        assert list(map(len, said(near, Device("ben")))) == [tags * 8 + 96, 32 + 96, 32]


def test_the_place_of_a_tag_says_nothing_about_the_order_of_contacts() -> None:
    near = Device("ada", tuple(f"person {n}" for n in range(70)))
    tags = said(near, Device("ben"))[0][:-96]
    cut = [tags[at : at + 8] for at in range(0, len(tags), 8)]
    assert cut == sorted(cut)
    assert len(set(cut)) == 128


def test_who_is_not_known_sees_nothing_that_any_of_his_keys_explains() -> None:
    # given ada, who added ben; ben did not add her, and holds keys of his own friends
    ben = Device("ben", ("cleo", "dan"))
    views = [said(near, ben, seed=9) for near in (Device("ada", ("ben",)), Device("ada"))]
    hashes = [handshaken(ben.who, ben.who, seed=9)[1]._agreed.keys.hash]
    keys = [*ben.who.pair_keys.values(), bytes(32)]
    guesses = {
        hmac.digest(key, context(what) + h + name, "sha256")
        for key in keys
        for name in (name_of("ada"), name_of("ben"))
        for what in ("tag", "r", "i")
        for h in hashes
    }
    for asked, _, confirmed in views:
        tags = {asked[at : at + 8] for at in range(0, len(asked) - 96, 8)}
        assert not tags & {guess[:8] for guess in guesses}
        assert confirmed not in guesses
        assert asked[-96:] == bytes(96)
    # then both views have the same sizes, and differ in nothing but bytes that look random
    assert list(map(len, views[0])) == list(map(len, views[1]))


def test_what_is_answered_to_a_stranger_is_never_the_same() -> None:
    answers = [said(Device("eve"), Device("ben", ("ada",)), seed)[1][:32] for seed in range(20)]
    assert len(set(answers)) == 20


def test_the_work_is_the_same_whether_anybody_is_recognised_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work: Counter[str] = Counter()
    digest, compare = hmac.digest, hmac.compare_digest

    class Counting:
        @staticmethod
        def digest(key: bytes, message: bytes, name: str) -> bytes:
            work["digest"] += 1
            return digest(key, message, name)

        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            work["compare"] += 1
            return compare(one, other)

    monkeypatch.setattr(recognition, "hmac", Counting)
    crowd = tuple(f"person {n}" for n in range(9))
    counts = []
    for known, known_by in [("ben", "ada"), ("ben", "x"), ("x", "ada"), ("x", "y")]:
        work.clear()
        said(Device("ada", (known, *crowd)), Device("ben", (*crowd, known_by)))
        counts.append(dict(work))
    assert counts[0] == counts[1] == counts[2] == counts[3]
    assert counts[0]["compare"] == 11


def test_a_mirror_is_not_recognised() -> None:
    # given somebody who sends back what he gets, as if it were his own
    ada = Device("ada", ("ben",)).who
    near, far = handshaken(ada, ada)
    asked = near.ask()
    far.finish(near.confirm(asked[:32] + bytes(96)))
    assert near.peer is far.peer is None


def test_proofs_of_one_role_are_worth_nothing_in_the_other() -> None:
    ada, ben = friends()
    near, far = handshaken(ada.who, ben.who)
    proof = far.answer(near.ask())[:32]
    far.finish(proof)  # its own, sent back
    assert (near.peer, far.peer) == (None, None)
    far.finish(near.confirm(proof + bytes(96)))
    assert (near.peer, far.peer) == (name_of("ben"), name_of("ada"))


def test_messages_of_another_session_between_the_same_two_prove_nothing() -> None:
    ada, ben = friends()
    old_near, old_far = handshaken(ada.who, ben.who, seed=1)
    asked = old_near.ask()
    answered = old_far.answer(asked)
    confirmed = old_near.confirm(answered)
    near, far = handshaken(ada.who, ben.who, seed=2)
    far.answer(asked)
    far.finish(confirmed)
    near.confirm(answered)
    assert near.peer is far.peer is None


# --- pieces ---------------------------------------------------------------------------------------


@given(
    st.sampled_from([(ASK, 608), (ASK, 32_864), (ANSWER, 128), (CONFIRM, 32)]),
    st.integers(83, 600),
    st.randoms(use_true_random=False),
)
def test_pieces_come_together_in_any_order_and_doubled(
    message: tuple[int, int], room: int, dice: Random
) -> None:
    step, size = message
    whole = Random(size).randbytes(size)
    cut = pieces(step, whole, room)
    assert all(len(piece) <= room for piece in cut)
    shuffled = cut + dice.sample(cut, len(cut) // 2)
    dice.shuffle(shuffled)
    gathering = Gathering(step)
    got = [part for piece in shuffled if (part := gathering.add(piece)) is not None]
    assert got
    assert set(got) == {whole}


@given(st.integers(1, 3), st.lists(st.binary(max_size=40), max_size=20))
def test_strange_pieces_are_refused_with_the_one_error(step: int, strange: list[bytes]) -> None:
    gathering = Gathering(step)
    for piece in strange:
        try:
            message = gathering.add(piece)
        except HandshakeError:
            continue
        assert message is None or len(message) in (32, 128)


@pytest.mark.parametrize(
    "piece",
    [
        b"",
        b"\1\2\x60\0\0",  # nothing in it
        b"\2\0\x80\0\0" + bytes(10),  # of another step
        b"\1\0\x80\0\0" + bytes(10),  # of a message that has no such size
        b"\1\x82\x60\0\0" + bytes(10),  # of one with 65 times 64 tags
        b"\1\2\x60\2\x5a" + bytes(10),  # beyond its end
    ],
)
def test_a_piece_of_no_message_is_refused(piece: bytes) -> None:
    with pytest.raises(HandshakeError, match="who it is"):
        Gathering(ASK).add(piece)


def test_pieces_that_speak_of_different_sizes_make_no_message() -> None:
    gathering = Gathering(ASK)
    assert gathering.add(b"\1" + (1_120).to_bytes(2, "big") + b"\0\0" + bytes(1_000)) is None
    with pytest.raises(HandshakeError):
        gathering.add(b"\1" + (608).to_bytes(2, "big") + b"\0\0" + bytes(8))


def test_tiny_and_overlapping_pieces_are_bounded() -> None:
    gathering = Gathering(ASK)
    head = b"\1" + (32_864).to_bytes(2, "big")
    for at in range(512):
        assert gathering.add(head + at.to_bytes(2, "big") + b"x") is None
    with pytest.raises(HandshakeError):
        gathering.add(head + (512).to_bytes(2, "big") + b"x")
    overlapping = Gathering(CONFIRM)
    assert overlapping.add(b"\3\0\x20\0\0" + bytes(20)) is None
    with pytest.raises(HandshakeError):
        overlapping.add(b"\3\0\x20\0\x0a" + bytes(20))


# --- what an outsider sees ------------------------------------------------------------------------


async def heard(
    near: Device,
    far: Device,
    *,
    ticket: Ticket | None = None,
    mode: Mode = "stream",
    seed: int = 1,
    say: bytes = b"the same words",
) -> Wire:
    async with Wire().open() as wire:
        a, b = await met(near, far, wire, ticket=ticket, mode=mode, seed=seed)
        await a.send(say)
        assert await b.receive() == say
        await b.send(say)
        assert await a.receive() == say
        await a.close()
        await asyncio.sleep(1.0)
        await b.close()
    return wire


@each_mode
def test_sizes_and_order_are_the_same_for_strangers_contacts_and_who_lost_a_ticket(
    mode: Mode,
) -> None:
    async def scenario() -> None:
        crowd = tuple(f"person {number}" for number in range(70))
        ada, ben = Device("ada", ("ben", *crowd)), Device("ben", ("ada", *crowd))
        strangers = await heard(Device("eve", ("x", *crowd)), ben, mode=mode)
        first = await heard(ada, ben, mode=mode)
        lost = await heard(ada, Device("ben", ("ada",)), ticket=ada.ticket("ben"), mode=mode)
        seen = await heard(
            Device("ada", crowd, visible=True), Device("ben", visible=True), mode=mode
        )
        shapes = [wire.shape() for wire in (strangers, first, lost, seen)]
        assert len(shapes[0]) == 8
        assert all(shape == shapes[0] for shape in shapes)

    virtually(scenario())


@each_mode
@pytest.mark.parametrize("visible", [False, True])
def test_after_a_ticket_nothing_is_said_but_a_short_proof(mode: Mode, *, visible: bool) -> None:
    async def scenario() -> None:
        crowd = tuple(f"person {number}" for number in range(70))
        ada = Device("ada", ("ben", *crowd), visible)
        ben = Device("ben", ("ada", *crowd), visible)
        first = await heard(ada, ben, mode=mode)
        again = await heard(ada, ben, ticket=ada.ticket("ben"), mode=mode, seed=2)
        head = 0 if mode == "stream" else 11
        assert again.shape()[:2] == first.shape()[:2]
        assert again.shape()[2] == (THERE, head + 1 + 16 + 16)
        assert again.shape()[3:] == first.shape()[5:]

    virtually(scenario())


def test_a_proof_after_a_ticket_belongs_to_one_session_and_one_speaker() -> None:
    ada, ben = friends()
    ticket = Ticket(bytes(16), bytes(32), name_of("ben"))
    ours, theirs = (resumed(ada.who, ben.who, ticket, seed) for seed in (1, 2))
    proofs = [near.vouch() for near, _ in (ours, theirs)]
    _, far = ours
    for wrong in (bytes(16), proofs[1], b"", resumed(ada.who, ben.who, ticket, 1)[1].vouch()):
        far.believe(wrong)
        assert far.peer is None
    far.believe(proofs[0])
    assert (ours[0].peer, far.peer) == (name_of("ben"), name_of("ada"))


def resumed(
    near: Credentials, far: Credentials, ticket: Ticket, seed: int
) -> tuple[Recognition, Recognition]:
    """Both sides of a recognition after a ticket, without a link."""
    sides = handshaken(near, far, seed)
    tickets = (ticket, replace(ticket, name=near.name))
    one, other = (
        Recognition(replace(side._agreed, ticket=one), side._who, Random(seed).randbytes)
        for side, one in zip(sides, tickets, strict=True)
    )
    return one, other


def grams(messages: list[bytes]) -> Counter[bytes]:
    return Counter(m[at : at + 4] for m in messages for at in range(len(m) - 3))


def unheaded(wire: Wire, mode: Mode) -> list[bytes]:
    """What was said without what the protocol has at fixed places: kinds and counters."""
    if mode == "stream":
        return wire.bytes_said()
    kinds = {frame[0] for frame in wire.bytes_said()}
    assert kinds == {0x70, 0x71, 0x72}
    return [
        frame[11:] if frame[0] == 0x72 else frame[6 if frame[0] == 0x70 else 5 :]
        for frame in wire.bytes_said()
    ]


@each_mode
def test_no_four_bytes_recur_in_any_sessions_of_the_same_two(mode: Mode) -> None:
    async def scenario() -> None:
        near = Device("ada", ("ben",), visible=True)
        far = Device("ben", ("ada",), visible=True)
        wires = [await heard(near, far, mode=mode, seed=seed) for seed in (1, 2)]
        wires += [
            await heard(near, far, ticket=near.ticket("ben"), mode=mode, seed=seed)
            for seed in (3, 4)
        ]
        counted = grams([part for wire in wires for part in unheaded(wire, mode)])
        assert len(counted) > 1_000
        assert max(counted.values()) == 1
        # nor do the numbers by which datagrams are told apart
        sessions = [{f[1:5] for f in wire.bytes_said() if f[0] != 0x70} for wire in wires]
        if mode == "datagram":
            assert [len(numbers) for numbers in sessions] == [2] * 4
            assert len(set.union(*sessions)) == 8

    virtually(scenario())


def test_somebody_who_calls_twice_hears_nothing_twice() -> None:
    async def scenario() -> None:
        ben = Device("ben", ("ada", "cleo"))
        calls = [await heard(Device("eve"), ben, seed=seed) for seed in (1, 2)]
        answers = [frame for wire in calls for way, frame in wire.said if way == BACK]
        assert max(grams(answers).values()) == 1
        inside = [said(Device("eve"), ben, seed)[1] for seed in (1, 2)]
        assert not set(grams([inside[0][:32]])) & set(grams([inside[1][:32]]))

    virtually(scenario())


def test_first_words_with_a_ticket_and_without_have_one_shape() -> None:
    ticket = Ticket(bytes(range(16)), bytes(32), None)
    for size in (65, 251):
        plain, sealed = (Opener(Random(1).randbytes, t, size=size).first for t in (None, ticket))
        assert len(plain) == len(sealed) == size
        assert plain[0] == sealed[0] == 1
        assert sealed[1:17] == ticket.ident
