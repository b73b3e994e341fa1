"""What is fuzzed of sessions: each message of a handshake, and records of a hostile other side."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

from tools.fuzz_readers import same
from tools.fuzz_target import Target
from transports.datagram_session import DatagramSession
from transports.noise import NoiseError
from transports.opening import (
    FIRST_BYTES,
    MAX_FIRST_BYTES,
    SECOND_BYTES,
    Agreed,
    HandshakeError,
    Opener,
    answer,
)
from transports.recognition import (
    ANSWER,
    ANSWER_BYTES,
    ASK,
    CONFIRM,
    PROOF_BYTES,
    SHOWN_BYTES,
    TAG_BYTES,
    TAGS_STEP,
    Credentials,
    Gathering,
    Recognition,
    Shown,
    pieces,
)
from transports.records import CLOSE, DATA, PING, PROBE, REKEY, REKEYED, TURN, WHO
from transports.stream_session import StreamSession
from transports.tickets import MemoryTickets, Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME, _KEY, _OWN = b"the other side", bytes(range(32)), b"this side"
_TICKET: Final = Ticket(bytes(range(16)), bytes(32), None)
_HOUR: Final = 3_600.0
_CHUNK_BYTES: Final = 2


class _Tickets(MemoryTickets):
    """The same ticket each time."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, [_TICKET])


def _credentials(shown: Shown | None = None) -> Credentials:
    return Credentials(_OWN, {_NAME: _KEY}, _Tickets(), shown)


def _answer(first: bytes) -> tuple[bytes, Agreed]:
    who = _credentials()
    answering = answer(first, Random(2).randbytes, who.tickets, who.pair_keys)
    try:
        answering.send(None)
    except StopIteration as done:
        result: tuple[bytes, Agreed] = done.value
        return result
    raise RuntimeError("tickets in memory wait for nothing")


def _opener(ticket: Ticket | None, size: int = FIRST_BYTES) -> Opener:
    return Opener(Random(1).randbytes, ticket, size=size)


def _firsts() -> list[bytes]:
    return [
        _opener(ticket, size).first
        for ticket in (None, _TICKET)
        for size in (FIRST_BYTES, 251, MAX_FIRST_BYTES)
    ]


def _check_first(first: bytes, answered: tuple[bytes, Agreed]) -> None:
    second, agreed = answered
    same(len(second), SECOND_BYTES)
    same(agreed.remote, first[17:49])


def _read_second(second: bytes) -> Agreed:
    """Read an answer with a ticket; ``Opener.read`` falls back to none by itself."""
    return _opener(_TICKET).read(second)


def _seconds() -> list[bytes]:
    lost = _opener(_TICKET).first
    who = Credentials(_OWN, {}, MemoryTickets(lambda: 0.0))
    answering = answer(lost, Random(3).randbytes, who.tickets, who.pair_keys)
    try:
        answering.send(None)
    except StopIteration as done:
        return [_answer(lost)[0], done.value[0]]
    raise RuntimeError("tickets in memory wait for nothing")


def _check_second(second: bytes, agreed: Agreed) -> None:
    same(second in _seconds(), expected=True)
    same(agreed.ticket is not None, second == _seconds()[0])


# --- who it is ------------------------------------------------------------------------------------


def _agreed() -> tuple[Agreed, Agreed]:
    opener = _opener(None)
    second, agreed = _answer(opener.first)
    return opener.read(second), agreed


_NEAR, _FAR = _agreed()


def _read_ask(asked: bytes) -> Recognition:
    """Read the initiator's message, of a size that pieces make."""
    tags, rest = divmod(len(asked) - SHOWN_BYTES, TAGS_STEP * TAG_BYTES)
    if rest or tags < 1:
        raise HandshakeError("of no size that pieces come together to")
    recognition = Recognition(_FAR, _credentials(), Random(4).randbytes)
    same(len(recognition.answer(asked)), ANSWER_BYTES)
    return recognition


def _asks() -> list[bytes]:
    from ledger.keys import SigningKey  # noqa: PLC0415  only a seed needs one

    key = SigningKey(_KEY)
    asks = []
    for shown in (None, Shown(key.public, key.sign)):
        who = Credentials(_NAME, {_OWN: _KEY}, _Tickets(), shown)
        asks.append(Recognition(_NEAR, who, Random(5).randbytes).ask())
    return asks


def _check_ask(_asked: bytes, recognition: Recognition) -> None:
    same(recognition.peer, None)  # nobody is recognised before he has confirmed
    recognition.finish(bytes(PROOF_BYTES))
    same(recognition.peer, None)


def _chunks(data: bytes) -> list[bytes]:
    """Cut an input into chunks, each behind its length."""
    found, at = [], 0
    while at + _CHUNK_BYTES <= len(data):
        end = at + _CHUNK_BYTES + int.from_bytes(data[at : at + _CHUNK_BYTES], "big")
        found.append(data[at + _CHUNK_BYTES : end])
        at = end
    return found


def _joined(chunks: Sequence[bytes]) -> bytes:
    return b"".join(len(chunk).to_bytes(_CHUNK_BYTES, "big") + chunk for chunk in chunks)


def _gather(data: bytes) -> bytes | None:
    gathering, whole = Gathering(data[0] if data else ASK), None
    for piece in _chunks(data[1:]):
        whole = gathering.add(piece) or whole
    return whole


def _gatherings() -> list[bytes]:
    messages = {ASK: _asks()[0], ANSWER: bytes(ANSWER_BYTES), CONFIRM: bytes(PROOF_BYTES)}
    return [
        bytes([step]) + _joined(pieces(step, message, room))
        for step, message in messages.items()
        for room in (83, 1_000)
    ]


def _check_gathered(data: bytes, whole: bytes | None) -> None:
    if whole is not None and data[:1] != bytes([ASK]):
        same(len(whole) in (ANSWER_BYTES, PROOF_BYTES), expected=True)


# --- records --------------------------------------------------------------------------------------


def _stream_sides() -> tuple[StreamSession, StreamSession]:
    near, far = (
        StreamSession(a.keys, is_initiator=own, random=Random(6).randbytes, now=0.0)
        for a, own in ((_NEAR, True), (_FAR, False))
    )
    return near, far


def _datagram_sides() -> tuple[DatagramSession, DatagramSession]:
    near, far = (
        DatagramSession(a.keys, own, other, is_initiator=first, random=Random(6).randbytes, now=0.0)
        for a, own, other, first in (
            (_NEAR, b"near", b"farr", True),
            (_FAR, b"farr", b"near", False),
        )
    )
    near.last_words = (WHO, b"\3last words")
    return near, far


def _said(data: bytes, sides: tuple[Any, Any]) -> list[tuple[int, bytes]]:
    """Let one side say chunks to the other in genuine records; return the answers.

    The first byte says who speaks, and whether it was asked for new keys before.
    """
    near, far = sides
    speaker, listener = (near, far) if data[:1] < b"\x80" else (far, near)
    answers = list(near.tick(_HOUR)) if data[:1] in (b"\1", b"\xff") else []
    for chunk in _chunks(data[1:]):
        kind = chunk[0] % 11 if chunk else DATA
        said = listener.open(speaker.seal(kind, chunk[1:]), _HOUR)
        if said is not None and said[0] not in (DATA, PING, CLOSE):
            answers += listener.hear(said[0], said[1:], _HOUR)
    return answers


def _records() -> list[bytes]:
    (asked,) = _stream_sides()[0].tick(_HOUR)
    (wide,) = _datagram_sides()[0].tick(_HOUR)
    kinds = [bytes([kind]) + b"8 bytes." for kind in (DATA, PING, WHO, PROBE, CLOSE)]
    return [
        start + _joined(chunks)
        for start in (b"\0", b"\x80")
        for chunks in (kinds, [], [b"\0frame"] * 9)
    ] + [b"\0" + _joined([bytes([REKEY]) + asked[1]]), b"\0" + _joined([bytes([REKEY]) + wide[1]])]


def _check_answers(_data: bytes, answers: list[tuple[int, bytes]]) -> None:
    for kind, content in answers:
        same(kind in (PING, WHO, REKEY, REKEYED, TURN, PROBE, PROBE + 1), expected=True)
        same(len(content) <= 64, expected=True)


def _open_raw(data: bytes) -> list[bytes]:
    """Open chunks as they are: a datagram of anybody."""
    _, far = _datagram_sides()
    return [far.open(chunk, 0.0) for chunk in _chunks(data)]


def _check_opened(data: bytes, said: list[bytes]) -> None:
    same(sum(map(len, said)) < max(1, len(data)), expected=True)
    same(all(said), expected=True)


def _datagrams() -> list[bytes]:
    near, _ = _datagram_sides()
    return [_joined([near.seal(kind, b"8 bytes.") for kind in range(9)]), _joined([])]


SESSION_TARGETS: Final[Sequence[Target[Any]]] = (
    Target(
        name="session-first",
        of="transports.opening.answer",
        error=HandshakeError,
        decode=_answer,
        agree=_check_first,
        seeds=_firsts,
        max_bytes=MAX_FIRST_BYTES + 8,
        cbor_at=None,
        cost=10,
    ),
    Target(
        name="session-second",
        of="transports.opening.Opener.read",
        error=HandshakeError,
        decode=_read_second,
        agree=_check_second,
        seeds=_seconds,
        max_bytes=SECOND_BYTES + 8,
        cbor_at=None,
        cost=20,
    ),
    Target(
        name="session-pieces",
        of="transports.recognition.Gathering.add",
        error=HandshakeError,
        decode=_gather,
        agree=_check_gathered,
        seeds=_gatherings,
        max_bytes=2_048,
        cbor_at=None,
    ),
    Target(
        name="session-ask",
        of="transports.recognition.Recognition.answer",
        error=HandshakeError,
        decode=_read_ask,
        agree=_check_ask,
        seeds=_asks,
        max_bytes=2_048,
        cbor_at=None,
    ),
    Target(
        name="session-stream",
        of="transports.stream_session.StreamSession.hear",
        error=NoiseError,
        decode=lambda data: _said(data, _stream_sides()),
        agree=_check_answers,
        seeds=lambda: _records()[:-1],
        max_bytes=1_024,
        cbor_at=None,
        cost=5,
    ),
    Target(
        name="session-datagrams",
        of="transports.datagram_session.DatagramSession.hear",
        error=NoiseError,
        decode=lambda data: _said(data, _datagram_sides()),
        agree=_check_answers,
        seeds=lambda: [*_records()[:-2], _records()[-1]],
        max_bytes=1_024,
        cbor_at=None,
        cost=5,
    ),
    Target(
        name="session-datagram",
        of="transports.datagram_session.DatagramSession.open",
        error=NoiseError,
        decode=_open_raw,
        agree=_check_opened,
        seeds=_datagrams,
        max_bytes=1_024,
        cbor_at=None,
        cost=2,
    ),
)
