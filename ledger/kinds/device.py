"""Kind ``device``: what a device says of itself in (log 0, seq 1).

    [0, time, sealing key 32, person 32, certificate 64, ...]

The sealing key is X25519. The certificate is Ed25519(person, "passalong/person/1" || device key).
A body whose certificate is wrong still decodes; its device is its own person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ledger.block import DEVICE_KIND
from ledger.errors import MeaninglessError
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES, is_certified
from ledger.kinds.body import check_size, check_time, open_body, read_open

if TYPE_CHECKING:
    from ledger.codec import Value

KIND: Final = DEVICE_KIND


@dataclass(frozen=True, slots=True)
class Device:
    """What a device block says.

    Attributes:
        time: Claimed, ms since 1970.
        sealing: The device's X25519 key, 32 bytes.
        person: Root key of whom it says it belongs to, 32 bytes.
        certificate: That person's signature over the device key, 64 bytes; not yet checked.
        rest: Fields of later versions.
    """

    time: int
    sealing: bytes
    person: bytes
    certificate: bytes
    rest: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_size(self.sealing, KEY_BYTES, "the sealing key")
        check_size(self.person, KEY_BYTES, "the person's key")
        check_size(self.certificate, SIGNATURE_BYTES, "the certificate")

    def encode(self, salt: bytes) -> bytes:
        """Return the body; ``salt`` is 16 random bytes.

        Raises:
            MeaninglessError: As ``open_body``.
        """
        return open_body(salt, self.time, self.sealing, self.person, self.certificate, *self.rest)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body.

        Raises:
            MeaninglessError: Not a body of this kind. No other exception leaves this function.
        """
        time, fields = read_open(body)
        match fields:
            case [bytes(sealing), bytes(person), bytes(certificate), *rest]:
                return cls(time, sealing, person, certificate, tuple(rest))
            case _:
                raise MeaninglessError("a device says a sealing key, a person and a certificate")

    def person_of(self, author: bytes) -> bytes:
        """Return the person if the certificate is for the device ``author``, else ``author``."""
        return self.person if is_certified(self.person, author, self.certificate) else author


def person_of(author: bytes, body: bytes | None) -> bytes:
    """Return whose device ``author`` is.

    Args:
        author: Device key.
        body: Body of its (log 0, seq 1); None where that is not held.

    Returns:
        The person, if the body says one and the certificate verifies; else ``author`` itself.
    """
    if body is None:
        return author
    try:
        return Device.decode(body).person_of(author)
    except MeaninglessError:
        return author


def claimed_person(body: bytes | None) -> bytes | None:
    """Return whose device a device block says it is, unchecked; None if it does not say."""
    if body is None:
        return None
    try:
        return Device.decode(body).person
    except MeaninglessError:
        return None
