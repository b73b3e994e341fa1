"""Messages that steer a meeting: each comes back as it was, and is spelled as is specified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.control import (
    MAX_COUNT,
    MAX_MENTIONS,
    Ack,
    Announce,
    Buckets,
    Bye,
    Control,
    Credit,
    Done,
    DoneRow,
    Entries,
    EntryRow,
    Greeting,
    Hello,
    Ids,
    MailGreeting,
    Mention,
    Mode,
    New,
    Reason,
    Request,
    Root,
    ScopeRoot,
    Vector,
    Want,
)
from gossip.control_reader import READ
from gossip.cursor import Seen
from gossip.frontier import FrontierEntry
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.policy import MAX_PAGE
from gossip.wire import decode_message, encode_message
from ledger.block import MAX_LOG, MAX_SEQ
from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError
from tests.gossip.control_strategies import controls

RUN, KEY = b"store run"[:8], b"k" * 32
SHORT, CHECK, ID = b"shorts!!", b"chck", b"id bytes"
SEEN = Seen(RUN, ((1, 5), (8, 8)))
MAIL_SEEN = Seen(b"mail", ((1, 5),))
SEEN_HEX = f"82 48{RUN.hex()} 84 01 05 08 08"
ENTRY = FrontierEntry(KEY, 1, 2, (b"i" * 32,))

EXAMPLES: dict[str, tuple[Control, str]] = {
    "HELLO": (
        Hello((1,), 1, 65_000, 1 << 20, None, Greeting(RUN, 9, SEEN)),
        "87 00 8101 01 19fde8 1a00100000 f6 83" + f"48{RUN.hex()} 09" + SEEN_HEX,
    ),
    "HELLO of a carrier": (
        Hello((1,), 2, 65_000, 65_000, None, None, MailGreeting(b"mail", 7, MAIL_SEEN)),
        "88 00 8101 02 19fde8 19fde8 f6 f6 83 44 6d61696c 07 82 44 6d61696c 82 01 05",
    ),
    "HELLO that compares": (
        Hello((1,), 0, 65_000, 65_000, None, None, None, b"part" * 16),
        "89 00 8101 00 19fde8 19fde8 f6 f6 f6 5840" + b"part".hex() * 16,
    ),
    "HELLO to a stranger": (
        Hello((1, 2), 0, 24_000, 24_000, 500, None),
        "87 00 820102 00 195dc0 195dc0 1901f4 f6",
    ),
    "NEW": (
        New(9, 6, 9, last=True, mentions=[Mention(3, 7, plain=True, check=CHECK)]),
        "86 01 09 06 09 01 83 03 07 44 6368636b",
    ),
    "ROOT": (
        Root(tells=True, scopes=[ScopeRoot(b"", b"r" * 16, 300)]),
        "83 02 01 81 83 40 50" + "72" * 16 + "19012c",
    ),
    "BUCKETS": (Buckets(b"", b"b" * 1_024), "83 03 40 590400" + "62" * 1_024),
    "VECTOR": (
        Vector(
            b"",
            last=False,
            mentions=[
                Mention(SHORT, 5, plain=False, check=CHECK, evidence=CHECK),
                Mention((KEY, 1), 0, plain=True, check=CHECK),
            ],
        ),
        "84 04 40 00 87 48 73686f7274732121 25 48 6368636b6368636b"
        " 5820" + "6b" * 32 + "01 00 44 6368636b",
    ),
    "WANT": (
        Want(
            [
                Request(0, 3, Mode.FROM, (4, 0, ID[:4])),
                Request(1, 6, Mode.NEWEST, (20,)),
                Request(2, 3, Mode.HEADERS, (0, 64, b"")),
                Request(3, 3, Mode.BODIES, (1, 5, 7, 7)),
                Request(4, 0, Mode.ENTRY),
                Request(5, 0, Mode.EVIDENCE),
                Request(6, 3, Mode.BRANCHES),
                Request(7, 3, Mode.IDS, (2, 2, 64)),
            ]
        ),
        "82 05 88 86 00 03 00 04 00 44" + ID[:4].hex() + "84 01 06 01 14 86 02 03 02 00 1840 40"
        "87 03 03 03 01 05 07 07 83 04 00 04 83 05 00 05 83 06 03 06 86 07 03 07 02 02 1840",
    ),
    "CREDIT": (Credit(1 << 20), "82 07 1a00100000"),
    "ACK": (Ack(2, None), "83 0c 02 f6"),
    "ACK of what is kept": (Ack(2, SEEN), "83 0c 02" + SEEN_HEX),
    "ANNOUNCE": (
        Announce(RUN, 10, 12, [Mention(0, 8, plain=True, check=CHECK)]),
        "85 0e 48 73746f7265207275 0a 0c 83 00 08 44 6368636b",
    ),
    "ENTRIES": (
        Entries([EntryRow(4, ENTRY, ID)]),
        "82 10 81 83 04 584a" + ENTRY.encode().hex() + "48 6964206279746573",
    ),
    "IDS": (Ids(7, 2, 2, ID), "85 11 07 02 02 48 6964206279746573"),
    "DONE": (
        Done([DoneRow(1, Mode.NEWEST, Reason.BUDGET), DoneRow(2, Mode.HEADERS, Reason.ALL)]),
        "82 12 82 83 01 01 02 83 02 02 00",
    ),
    "BYE": (Bye(), "81 13"),
}


# --- both ways ----------------------------------------------------------------------------------


@given(message=controls)
def test_a_message_comes_back_as_it_was(message: Control) -> None:
    assert decode_message(encode_message(message)) == message


@given(message=controls)
def test_a_message_has_one_spelling(message: Control) -> None:
    raw = encode_message(message)
    assert encode(decode(raw, MAX_MESSAGE_BYTES)) == raw


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_is_spelled_as_the_specification_says(name: str) -> None:
    message, spelled = EXAMPLES[name]
    raw = bytes.fromhex(spelled.replace(" ", ""))
    assert encode_message(message).hex() == raw.hex()
    assert decode_message(raw) == message


def test_there_is_an_example_of_every_message() -> None:
    assert {type(message) for message, _ in EXAMPLES.values()} == set(Control.__args__)
    assert len(Control.__args__) == len(READ)


def test_the_numbers_of_messages_are_those_of_the_specification() -> None:
    assert {number.name: number.value for number in Number} == {
        "HELLO": 0, "NEW": 1, "ROOT": 2, "BUCKETS": 3, "VECTOR": 4, "WANT": 5, "DATA": 6,
        "CREDIT": 7, "BODIES": 8, "STATEMENTS": 9, "PROOFS": 10, "ENVELOPES": 11, "ACK": 12,
        "TOKENS": 13, "ANNOUNCE": 14, "TRAILER": 15, "ENTRIES": 16, "IDS": 17, "DONE": 18,
        "BYE": 19, "OFFERS": 20, "TAKE": 21, "LEAVE": 22, "PIECES": 23,
    }  # fmt: skip
    modes = ["FROM", "NEWEST", "HEADERS", "BODIES", "ENTRY", "EVIDENCE", "BRANCHES", "IDS"]
    assert [(mode.value, mode.name) for mode in Mode] == list(enumerate(modes))
    assert [reason.name for reason in sorted(Reason)] == ["ALL", "DIFFERS", "BUDGET", "LATER"]


@given(message=controls, rest=st.binary(min_size=1, max_size=3))
def test_bytes_after_a_message_are_refused(message: Control, rest: bytes) -> None:
    with pytest.raises(InvalidError):
        decode_message(encode_message(message) + rest)


@given(message=controls, data=st.data())
def test_a_message_cut_anywhere_is_refused(message: Control, data: st.DataObject) -> None:
    raw = encode_message(message)
    with pytest.raises(InvalidError):
        decode_message(raw[: data.draw(st.integers(0, len(raw) - 1), label="cut")])


def test_a_later_version_may_say_more_in_hello() -> None:
    message, _ = EXAMPLES["HELLO"]
    fields = decode(encode_message(message), MAX_MESSAGE_BYTES)
    assert isinstance(fields, list)
    assert decode_message(encode([*fields, None, None, b"more", [1]])) == message


WRONG_MAIL: dict[str, Value] = {
    "a short run": [b"run", 7, None],
    "a long run": [b"a run", 7, None],
    "a serial below 0": [b"run!", -1, None],
    "a serial too large": [b"run!", MAX_COUNT, None],
    "seen of another length": [b"run!", 7, [RUN, [1, 5]]],
    "seen as bytes": [b"run!", 7, encode([b"run!", [1, 5]])],
    "a field less": [b"run!", 7],
    "a field more": [b"run!", 7, None, 0],
    "no array": b"run!",
}


@pytest.mark.parametrize("what", WRONG_MAIL)
def test_a_greeting_about_mail_that_is_wrong_is_refused(what: str) -> None:
    fields = decode(encode_message(EXAMPLES["HELLO"][0]), MAX_MESSAGE_BYTES)
    assert isinstance(fields, list)
    with pytest.raises(InvalidError):
        decode_message(encode([*fields, WRONG_MAIL[what]]))


@pytest.mark.parametrize("parts", [b"", bytes(63), bytes(65), "x" * 64, 1])
def test_parts_of_a_scope_that_are_not_sixteen_are_refused(parts: Value) -> None:
    fields = decode(encode_message(EXAMPLES["HELLO"][0]), MAX_MESSAGE_BYTES)
    assert isinstance(fields, list)
    with pytest.raises(InvalidError):
        decode_message(encode([*fields, None, parts]))


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [MAX_MENTIONS - 1, SHORT, (KEY, MAX_LOG)])
def test_a_page_of_the_longest_mentions_fits_the_shortest_frame(name: int | bytes) -> None:
    longest = Mention(name, MAX_SEQ, plain=False, check=CHECK, evidence=CHECK)
    page = New(MAX_COUNT - 1, 1, MAX_COUNT - 1, last=True, mentions=[longest] * MAX_PAGE)
    assert len(encode_message(page)) <= 24_000


def test_a_mention_of_a_known_log_costs_18_bytes() -> None:
    mention = Mention(SHORT, 200, plain=True, check=CHECK)
    empty, one = (encode_message(Vector(b"", last=True, mentions=m)) for m in ([], [mention]))
    assert len(one) - len(empty) <= 18
