"""Kind ``post``: something said in public.

    [0, time, text 1 .. 8,192 bytes, reply_to, attachments, ...]

    reply_to     null, or a reference (``ledger.kinds.body``) to any block
    attachments  array of at most 16 x [hash 32, size uint < 2^53, type text <= 128 bytes,
                 name text <= 255 bytes]

``type`` and ``name`` are lines (``ledger.kinds.text``) and may be empty; a name has no
slash of either direction, for it names a file and no way to one. The blob itself travels apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ledger.block import HASH_BYTES
from ledger.errors import MeaninglessError
from ledger.kinds.body import (
    Reference,
    check_range,
    check_reference,
    check_size,
    check_time,
    open_body,
    read_open,
    read_reference,
)
from ledger.kinds.text import check_line, check_text

if TYPE_CHECKING:
    from ledger.codec import Value

KIND: Final = "post"
MAX_TEXT_BYTES: Final = 8_192
MAX_ATTACHMENTS: Final = 16
MAX_ATTACHMENT_SIZE: Final = (1 << 53) - 1
MAX_TYPE_BYTES: Final = 128
MAX_FILE_NAME_BYTES: Final = 255


class Attachment(NamedTuple):
    """Names a blob.

    Attributes:
        hash: 32 bytes.
        size: Bytes, as the author claims.
        type: Media type, as the author claims.
        name: What the author called the file.
    """

    hash: bytes
    size: int
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Post:
    """What a post says.

    Attributes:
        time: Claimed, ms since 1970.
        text: 1 .. ``MAX_TEXT_BYTES`` in UTF-8, any characters; a face makes them harmless.
        reply_to: The block it answers.
        attachments: At most ``MAX_ATTACHMENTS``.
        rest: Fields of later versions.
    """

    time: int
    text: str
    reply_to: Reference | None = None
    attachments: tuple[Attachment, ...] = ()
    rest: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_text(self.text, MAX_TEXT_BYTES, "the post", least=1)
        if self.reply_to is not None:
            check_reference(self.reply_to)
        if len(self.attachments) > MAX_ATTACHMENTS:
            raise MeaninglessError(f"at most {MAX_ATTACHMENTS} attachments; post the rest apart")
        for attachment in self.attachments:
            _check_attachment(attachment)

    def encode(self, salt: bytes) -> bytes:
        """Return the body; ``salt`` is 16 random bytes.

        Raises:
            MeaninglessError: As ``open_body``.
        """
        return open_body(salt, self.time, self.text, self.reply_to, self.attachments, *self.rest)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body.

        Raises:
            MeaninglessError: Not a body of this kind. No other exception leaves this function.
        """
        time, fields = read_open(body)
        match fields:
            case [str(text), reply_to, list(attachments), *rest]:
                target = None if reply_to is None else read_reference(reply_to)
                files = tuple(map(_attachment, attachments))
                return cls(time, text, target, files, tuple(rest))
            case _:
                raise MeaninglessError("a post says a text, what it answers, and attachments")


def _attachment(value: Value) -> Attachment:
    match value:
        case [bytes(digest), int(size), str(media), str(name)]:
            return Attachment(digest, size, media, name)
        case _:
            raise MeaninglessError("an attachment is a hash, a size, a type and a name")


def _check_attachment(attachment: Attachment) -> None:
    check_size(attachment.hash, HASH_BYTES, "an attachment's hash")
    check_range(attachment.size, 0, MAX_ATTACHMENT_SIZE, "an attachment's size")
    check_line(attachment.type, MAX_TYPE_BYTES, "an attachment's type")
    check_line(attachment.name, MAX_FILE_NAME_BYTES, "an attachment's name")
    if "/" in attachment.name or "\\" in attachment.name:
        raise MeaninglessError("an attachment's name holds / or \\; give the file's name alone")
