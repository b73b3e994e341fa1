"""Person statements: a person revokes one of his devices.

A statement lives in no log; it only takes weight away. A block of a revoked device weighs up to
the seq named for its log, and nothing in a log that is not named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ledger.block import HASH_BYTES, MAX_LOG, MAX_SEQ
from ledger.codec import decode, encode
from ledger.errors import InvalidError
from ledger.keys import CERTIFICATE_CONTEXT, KEY_BYTES, SIGNATURE_BYTES
from ledger.keys import verify as is_signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.keys import PersonKey
    from ledger.run import Verify

MAX_CUTS: Final = 32
MAX_PER_PERSON: Final = 64
MAX_STATEMENT_BYTES: Final = 2_048
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """Where a revoked device's log ends.

    Attributes:
        log: Which log.
        seq: The last seq that still weighs.
        id: Id of the block at ``seq``: names the branch meant. Another block there weighs nothing.
    """

    log: int
    seq: int
    id: bytes


@dataclass(frozen=True, slots=True)
class Revocation:
    """A signed statement of ``person`` that ``device`` is no longer his.

    Attributes:
        person: Root key, 32 bytes.
        device: Device key, 32 bytes.
        cuts: At most ``MAX_CUTS``, ascending by log, each log once.
        signature: The person's, over the context and ``raw``.
    """

    person: bytes
    device: bytes
    cuts: tuple[Cut, ...]
    signature: bytes

    @property
    def raw(self) -> bytes:
        """The signed bytes."""
        return encode(
            (_VERSION, self.person, self.device, [(c.log, c.seq, c.id) for c in self.cuts])
        )

    @classmethod
    def sign(cls, key: PersonKey, device: bytes, cuts: Iterable[Cut]) -> Revocation:
        """Revoke ``device``; its logs weigh up to ``cuts``.

        Raises:
            InvalidError: Others would refuse it.
        """
        raw = cls(key.signing.public, device, tuple(sorted(cuts)), b"").raw
        return decode_revocation(raw, key.signing.sign(CERTIFICATE_CONTEXT + raw), is_signed)

    def outweighs(self, other: Self) -> bool:
        """Say which of two statements about one device is kept: the one that leaves less."""
        return self._rank() < other._rank()

    def _rank(self) -> tuple[int, bytes, bytes]:
        return sum(cut.seq for cut in self.cuts), self.raw, self.signature


def decode_revocation(raw: bytes, signature: bytes, verify: Verify) -> Revocation:
    """Read and check a person statement.

    Raises:
        InvalidError: Malformed or not signed by the person it names. No other exception leaves
            this function.
    """
    match decode(raw, MAX_STATEMENT_BYTES):
        case [int(version), bytes(person), bytes(device), list(cuts)] if (
            version == _VERSION and version is not True and len(person) == len(device) == KEY_BYTES
        ):
            statement = Revocation(person, device, tuple(map(_cut, cuts)), signature)
        case _:
            raise InvalidError("not a person statement of version 1")
    _check_cuts(statement.cuts)
    if len(signature) != SIGNATURE_BYTES or not verify(
        person, CERTIFICATE_CONTEXT + raw, signature
    ):
        raise InvalidError("a person statement that is not signed by its person")
    return statement


def select(statements: Iterable[Revocation]) -> list[Revocation]:
    """Return those of one person's statements that are kept, whatever order they came in.

    One a device, and those of the ``MAX_PER_PERSON`` smallest device keys.
    """
    kept: dict[bytes, Revocation] = {}
    for statement in statements:
        rival = kept.get(statement.device)
        if rival is None or statement.outweighs(rival):
            kept[statement.device] = statement
    return [kept[device] for device in sorted(kept)[:MAX_PER_PERSON]]


def _cut(value: object) -> Cut:
    match value:
        case [int(log), int(seq), bytes(ident)] if (
            0 <= log <= MAX_LOG and 0 < seq <= MAX_SEQ and len(ident) == HASH_BYTES
        ):
            return Cut(log, seq, ident)
        case _:
            raise InvalidError("a cut is a log, a seq and an id")


def _check_cuts(cuts: Sequence[Cut]) -> None:
    logs = [cut.log for cut in cuts]
    if len(cuts) > MAX_CUTS or logs != sorted(set(logs)):
        raise InvalidError(f"at most {MAX_CUTS} cuts, ascending, each log once")
