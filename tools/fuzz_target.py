"""One way of reading hostile bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tools.fuzz_readers import DisagreementError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
MAX_REFUSAL_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Target(Generic[_T]):
    """One way of reading hostile bytes.

    Attributes:
        name: For the command line and for folders.
        of: The decoder, with its module.
        error: The only one that may leave it, subclasses included.
        decode: Reads an input.
        agree: Given the input and what it was read as, raises if that does not hold.
        seeds: Builds inputs that are accepted.
        max_bytes: Longest input that is tried.
        cbor_at: Where in an input a CBOR value begins that takes the rest; None for no such thing.
        cost: How many inputs of another target one of this costs; so many fewer are tried.
    """

    name: str
    of: str
    error: type[Exception]
    decode: Callable[[bytes], _T]
    agree: Callable[[bytes, _T], None]
    seeds: Callable[[], Sequence[bytes]]
    max_bytes: int
    cbor_at: int | None = 0
    cost: int = 1

    def __call__(self, data: bytes) -> bool:
        """Read ``data`` and say whether it was accepted; any exception from here is a fault."""
        try:
            value = self.decode(data)
        except self.error as refusal:
            text = str(refusal)
            if not 0 < len(text) <= MAX_REFUSAL_CHARACTERS or not text.isprintable():
                raise DisagreementError(f"a refusal that is no short line: {text!r}") from refusal
            return False
        self.agree(data, value)
        return True
