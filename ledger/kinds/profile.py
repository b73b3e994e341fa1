"""Kind ``profile``: how a person wants to be shown.

    [0, time, name text 1 .. 64 bytes, about text 0 .. 1,024 bytes, ...]

The name is a line that shows something (``ledger.kinds.text``); nobody owns a name, so two
persons may have the same. About is any text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ledger.errors import MeaninglessError
from ledger.kinds.body import check_time, open_body, read_open
from ledger.kinds.text import check_line, check_text, shows

if TYPE_CHECKING:
    from ledger.codec import Value

KIND: Final = "profile"
MAX_NAME_BYTES: Final = 64
MAX_ABOUT_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile block says.

    Attributes:
        time: Claimed, ms since 1970.
        name: At most ``MAX_NAME_BYTES`` in UTF-8.
        about: At most ``MAX_ABOUT_BYTES`` in UTF-8; may be empty and hold line breaks.
        rest: Fields of later versions.
    """

    time: int
    name: str
    about: str = ""
    rest: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_line(self.name, MAX_NAME_BYTES, "the name")
        if not shows(self.name):
            raise MeaninglessError("the name shows nothing; choose one that can be seen")
        check_text(self.about, MAX_ABOUT_BYTES, "the text about you")

    def encode(self, salt: bytes) -> bytes:
        """Return the body; ``salt`` is 16 random bytes.

        Raises:
            MeaninglessError: As ``open_body``.
        """
        return open_body(salt, self.time, self.name, self.about, *self.rest)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body.

        Raises:
            MeaninglessError: Not a body of this kind. No other exception leaves this function.
        """
        time, fields = read_open(body)
        match fields:
            case [str(name), str(about), *rest]:
                return cls(time, name, about, tuple(rest))
            case _:
                raise MeaninglessError("a profile says a name and a text about the person")
