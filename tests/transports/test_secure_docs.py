"""The example of a session in docs/protocol.md is what the code does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.transports.secure_pairs import at_once
from transports.opening import Agreed, Opener, answer, context, psk_of
from transports.recognition import Credentials, Recognition
from transports.records import DATA, PROOF, DatagramOut, StreamRecords
from transports.rekeying import Secrets
from transports.stream_session import tickets_of
from transports.tickets import MemoryTickets, Ticket, TicketPair

TEXT = Path(__file__).parents[2].joinpath("docs", "protocol.md").read_text("utf-8")
NEAR, FAR, PAIR = b"\x55" * 32, b"\x66" * 32, b"\x44" * 32


def drawn(*parts: bytes) -> Callable[[int], bytes]:
    left: Iterator[bytes] = iter(parts)

    def draw(size: int) -> bytes:
        part = next(left)
        assert len(part) == size
        return part

    return draw


def example() -> dict[str, bytes]:
    """What is in the example, by what it is called there."""
    tickets = MemoryTickets(lambda: 0.0)
    opener = Opener(drawn(bytes(range(16)), b"\x11" * 32, b"\x22" * 16))
    second, far = at_once(answer(opener.first, drawn(b"\x33" * 32), tickets, {}))
    near: Agreed = opener.read(second)
    one = Recognition(near, Credentials(NEAR, {FAR: PAIR}, tickets), bytes)
    other = Recognition(far, Credentials(FAR, {NEAR: PAIR}, tickets), bytes)
    asked = one.ask()
    answered = other.answer(asked)
    confirmed = one.confirm(answered)
    other.finish(confirmed)
    assert (one.peer, other.peer) == (FAR, NEAR)
    secrets = Secrets(near.keys, "passalong")
    pair = tickets_of(near.keys, FAR, "passalong", is_initiator=True)
    records = StreamRecords(near.keys.send, near.keys.receive)
    resumed = resumption(pair.to_open)
    return {
        "message 1": opener.first,
        "message 2": second,
        "h": near.keys.hash,
        "ck": near.keys.chain,
        "initiator's key": near.keys.send,
        "responder's key": near.keys.receive,
        "binding": secrets.binding,
        "rekey secret": secrets.rekey,
        "initiator's ticket": pair.to_open.ident + pair.to_open.psk,
        "responder's ticket": pair.to_answer.ident + pair.to_answer.psk,
        "the one tag": asked[-96 - 8 : -96],
        "responder's proof": answered[:32],
        "initiator's proof": confirmed,
        "frame `hi`, count 0": records.seal(DATA, b"hi"),
        "as a datagram to `01020304`": DatagramOut(near.keys.send, b"\1\2\3\4").seal(DATA, b"hi"),
        **resumed,
    }


def resumption(ticket: Ticket) -> dict[str, bytes]:
    """The next session that the initiator opens."""
    tickets = MemoryTickets(lambda: 0.0)
    mine = replace(ticket, name=FAR)
    at_once(tickets.keep(TicketPair(ticket, replace(ticket, name=NEAR))))
    opener = Opener(drawn(b"\x77" * 32), mine, {FAR: PAIR})
    second, far = at_once(answer(opener.first, drawn(b"\x88" * 32), tickets, {NEAR: PAIR}))
    near = opener.read(second)
    one = Recognition(near, Credentials(NEAR, {FAR: PAIR}, tickets), bytes)
    other = Recognition(far, Credentials(FAR, {NEAR: PAIR}, tickets), bytes)
    assert one.is_resumed
    proof = one.vouch()
    other.believe(proof)
    assert (one.peer, other.peer) == (FAR, NEAR)
    return {
        "psk of NNpsk0": psk_of(mine, {FAR: PAIR}),
        "message 1 with the ticket": opener.first,
        "message 2 to it": second,
        "proof": proof,
        "record of the proof": StreamRecords(near.keys.send, near.keys.receive).seal(PROOF, proof),
    }


def rows() -> list[str]:
    """The example as the document has it."""
    return [f"| {name} | `{value.hex()}` |" for name, value in example().items()]


def test_the_example_of_a_session_is_what_the_code_does() -> None:
    for row in rows():
        assert row in TEXT


def test_every_context_of_a_session_is_named_in_the_document() -> None:
    for what in ("noise", "binding", "rekey", "ticket", "resume"):
        assert context(what) == f"passalong/{what}/1".encode()
        assert f"C({what})" in TEXT
