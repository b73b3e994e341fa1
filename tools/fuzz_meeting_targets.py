"""What is fuzzed of meetings: each message, and whole meetings with a peer that says anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gossip.control import Hello
from gossip.control_reader import READ, read_control
from gossip.cursor import MAX_SEEN_BYTES, Seen, decode_seen
from gossip.number import MAX_MESSAGE_BYTES
from gossip.wire import Unknown, decode_message, encode_message
from ledger.codec import decode, encode
from ledger.errors import InvalidError
from tools import fuzz_conversations as conversations
from tools import fuzz_meetings as meetings
from tools import fuzz_seeds
from tools.fuzz_readers import one_spelling, same
from tools.fuzz_target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.control import Control
    from gossip.wire import Message

_HELLO_ITEMS: Final = 7


def read_fields(data: bytes) -> Control:
    """Read a message by its number and the items after it.

    Raises:
        InvalidError: It is none that steers a meeting.
    """
    match decode(data, MAX_MESSAGE_BYTES):
        case [int(number), *fields] if number in READ:
            return read_control(number, fields)
        case _:
            raise InvalidError("another message")


def check_message(data: bytes, message: Message) -> None:
    """Refuse a message that is spelled in another way.

    What is not read cannot be written, and neither can what a later version adds to HELLO.
    """
    match message:
        case Unknown():
            pass
        case Hello():
            items = decode(data, MAX_MESSAGE_BYTES)
            same(isinstance(items, list), expected=True)
            first = items[:_HELLO_ITEMS] if isinstance(items, list) else []
            same(encode_message(message), encode(first))
        case _:
            same(encode_message(message), data)


MEETING_TARGETS: Final[Sequence[Target[Any]]] = (
    Target(
        name="message",
        of="gossip.wire.decode_message",
        error=InvalidError,
        decode=decode_message,
        agree=check_message,
        seeds=lambda: [*fuzz_seeds.message(), *conversations.controls()],
        max_bytes=4_096,
    ),
    Target(
        name="control",
        of="gossip.control_reader.read_control",
        error=InvalidError,
        decode=read_fields,
        agree=check_message,
        seeds=conversations.controls,
        max_bytes=2_048,
    ),
    Target(
        name="seen",
        of="gossip.cursor.decode_seen",
        error=InvalidError,
        decode=decode_seen,
        agree=one_spelling(Seen.encode),
        seeds=conversations.seens,
        max_bytes=MAX_SEEN_BYTES + 8,
    ),
    Target(
        name="meeting-frames",
        of="gossip.session.Session.receive",
        error=InvalidError,
        decode=meetings.play,
        agree=meetings.check,
        seeds=conversations.monologues,
        max_bytes=meetings.MAX_BYTES,
        cost=5,
    ),
    Target(
        name="meeting-spoilt",
        of="gossip.session.Session.receive",
        error=InvalidError,
        decode=meetings.play,
        agree=meetings.check,
        seeds=conversations.conversations,
        max_bytes=meetings.MAX_BYTES,
        cost=5,
    ),
)
