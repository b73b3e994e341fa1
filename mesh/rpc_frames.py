"""What goes over the control socket once both sides are known: frames, and their bytes.

frame = length u32, the highest byte first || deterministic CBOR
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.codec import Value, decode, encode
from ledger.errors import InvalidError
from mesh.rpc_values import MAX_VALUE_BYTES

if TYPE_CHECKING:
    import asyncio

HEAD_BYTES: Final = 4
MAX_FRAME_BYTES: Final = MAX_VALUE_BYTES + 64
PIECE_BYTES: Final = 1 << 16
"""Of a stream in one frame."""


@dataclass(frozen=True, slots=True)
class Call:
    """Do this; the first frame of a client.

    Attributes:
        method: Its name.
        arguments: All of them, in order.
    """

    method: str
    arguments: list[Value]


@dataclass(frozen=True, slots=True)
class Piece:
    """What comes next in the stream that is read or written."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The stream that is read is over.

    Attributes:
        error: Number of the error it could not be read on for; None at its end.
    """

    error: int | None


@dataclass(frozen=True, slots=True)
class Next:
    """Send the next item of an iterator."""


@dataclass(frozen=True, slots=True)
class Items:
    """Items of a list of the answer, or one item of an iterator.

    Attributes:
        place: Which list.
        items: Encoded.
    """

    place: int
    items: list[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """The last frame of a call that was done.

    Attributes:
        value: Encoded, without the items that went before; None at the end of an iterator.
    """

    value: bytes | None


@dataclass(frozen=True, slots=True)
class Far:
    """How far it is."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The last frame of a call that was refused or failed; one line that says what to do."""

    text: str | bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The last frame of a call that the operating system let down."""

    error: int
    text: str
    file: bytes | None


Asked: TypeAlias = Call | Piece | End | Next
Said: TypeAlias = Items | Answer | Far | Piece | Refused | Broken
_NUMBERED: Final = (Call, Piece, End, Next, Items, Answer, Far, Refused, Broken)
_NUMBERS: Final = {of: number for number, of in enumerate(_NUMBERED)}


def encode_frame(frame: Asked | Said) -> bytes:
    """Return the bytes of a frame.

    Raises:
        InvalidError: It is too long.
    """
    held = (getattr(frame, field.name) for field in fields(frame))
    raw = encode([_NUMBERS[type(frame)], *held])
    if len(raw) > MAX_FRAME_BYTES:
        raise InvalidError(f"{len(raw):,} bytes at once are too many; give it less")
    return len(raw).to_bytes(HEAD_BYTES, "big") + raw


def decode_asked(raw: bytes) -> Asked:
    """Read the CBOR of a frame of a client.

    Raises:
        InvalidError: It is none. No other exception leaves this function.
    """
    match decode(raw, MAX_FRAME_BYTES):
        case [0, str(method), list(arguments)]:
            return Call(method, arguments)
        case [1, bytes(data)]:
            return Piece(data)
        case [2, (None | int()) as error]:
            return End(error)
        case [3]:
            return Next()
        case _:
            raise InvalidError("a frame that no client sends")


def decode_said(raw: bytes) -> Said:
    """Read the CBOR of a frame of a server.

    Raises:
        InvalidError: It is none. No other exception leaves this function.
    """
    match decode(raw, MAX_FRAME_BYTES):
        case [1, bytes(data)]:
            return Piece(data)
        case [4, int(place), list(items)]:
            return Items(place, _encoded(items))
        case [5, (None | bytes()) as value]:
            return Answer(value)
        case [6, int(done), (None | int()) as total]:
            return Far(done, total)
        case [7, (str() | bytes()) as text]:
            return Refused(text)
        case [8, int(error), str(text), (None | bytes()) as file]:
            return Broken(error, text, file)
        case _:
            raise InvalidError("a frame that no server sends")


def _encoded(items: list[Value]) -> list[bytes]:
    found = [item for item in items if isinstance(item, bytes)]
    if len(found) < len(items):
        raise InvalidError("an item that is not encoded")
    return found


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Return the CBOR of the next frame.

    Raises:
        EOFError: There is none, or not all of it.
        OSError: The connection broke.
        InvalidError: It claims to be too long.
    """
    size = int.from_bytes(await reader.readexactly(HEAD_BYTES), "big")
    if size > MAX_FRAME_BYTES:
        raise InvalidError("a frame that is too long")
    return await reader.readexactly(size)
