"""What a home keeps for its device, as it stands in the store: who it is, and its keys, sealed.

A key whose logs are gone must not be used again, so the two live and die together, in one note.
Who the device is anybody may read: a locked home must know it, to carry for others.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.codec import decode, encode
from ledger.errors import InvalidError, StoreError
from ledger.keys import DeviceKeys, SigningKey, is_certified
from ledger.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh.store_key import StoreKey

DEVICE: Final = "device keys"
WORDS: Final = "words to show"
_MAX_BYTES: Final = 1_024
_DAMAGED: Final = "the home's keys are damaged; `passalong restore` into a new home"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a home keeps for its device.

    Attributes:
        keys: The device's.
        person: Whose device it is.
        certificate: The person's signature over the device.
    """

    keys: DeviceKeys
    person: bytes
    certificate: bytes

    @property
    def link(self) -> Link:
        """What others add this device by."""
        return Link(self.person, self.keys.public, self.keys.sealing_public, self.certificate)

    def seal(self, key: StoreKey, random: Callable[[int], bytes]) -> bytes:
        """Return the note that is kept."""
        me, keys = self.link, self.keys
        plain = encode((keys.signing.seed, keys.sealing_secret))
        sealed = key.seal(DEVICE, plain, random)
        return encode((2, me.person, me.device, me.sealing, me.certificate, key.name, sealed))


@dataclass(frozen=True, slots=True)
class Kept:
    """The note of a device.

    Attributes:
        me: Who it is.
        vault: Name of the store key that its keys are sealed under.
        held: They, sealed; or as themselves, in a home that no vault was made for yet.
    """

    me: Link
    vault: bytes
    held: Secrets | bytes = field(repr=False)

    @property
    def is_sealed(self) -> bool:
        """Whether the keys are sealed."""
        return isinstance(self.held, bytes)

    def secrets(self, key: StoreKey) -> Secrets:
        """Return the keys.

        Raises:
            StoreError: They are damaged, or sealed under another key.
        """
        if isinstance(self.held, Secrets):
            return self.held
        with suppress(InvalidError):
            match decode(key.open(DEVICE, self.held), _MAX_BYTES):
                case [bytes(seed), bytes(sealing)]:
                    keys = DeviceKeys(SigningKey(seed), sealing)
                    secrets = Secrets(keys, self.me.person, self.me.certificate)
                    if secrets.link == self.me:
                        return secrets
                case _:
                    pass
        raise StoreError(_DAMAGED)


def read_kept(raw: bytes) -> Kept:
    """Read the note of a device.

    Raises:
        StoreError: It means nothing.
    """
    with suppress(InvalidError):
        match decode(raw, _MAX_BYTES):
            case [1, bytes(seed), bytes(sealing), bytes(person), bytes(certificate)]:
                secrets = Secrets(DeviceKeys(SigningKey(seed), sealing), person, certificate)
                return Kept(secrets.link, b"", secrets)
            case [2, bytes(person), bytes(device), bytes(sealing), bytes(certificate), *rest]:
                if is_certified(person, device, certificate):
                    return _sealed(Link(person, device, sealing, certificate), rest)
            case _:
                pass
    raise StoreError(_DAMAGED)


def _sealed(me: Link, rest: Sequence[object]) -> Kept:
    match rest:
        case [bytes(vault), bytes(sealed)]:
            return Kept(me, vault, sealed)
        case _:
            raise InvalidError("not a name and what is sealed")
