"""Whom this device recognises when it meets them: devices of persons who were added, and its own.

Two devices have a key together that nobody else can know. It comes of the sealing keys of both,
which a link tells before anything else of a device is held (docs/protocol.md, Sessions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.codec import context, decode, encode
from ledger.errors import InvalidError, PassalongError, StoreError
from ledger.keys import hkdf
from ledger.kinds.device import Device, claimed_person
from ledger.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.store.base import Absorbed
    from mesh.node import Node

PAIR_LABEL: Final = context("pair")
MAX_LINKS: Final = 1_024
"""Links that are kept; devices that became known otherwise need none."""
_LINKS: Final = "links of contacts"
_MAX_NOTE_BYTES: Final = 1 << 20


class TooManyContactsError(PassalongError):
    """No more links can be kept."""


class Acquaintance(NamedTuple):
    """A device that is recognised.

    Attributes:
        device: Its key.
        person: Whose it is.
        sealing: Its X25519 key.
    """

    device: bytes
    person: bytes
    sealing: bytes


async def keep_link(node: Node, link: Link) -> None:
    """Remember a device that a person gave by its link.

    Raises:
        TooManyContactsError: So many are remembered already.
    """
    links = {one.device: one for one in await _links(node)}
    links[link.device] = link
    if len(links) > MAX_LINKS:
        raise TooManyContactsError(f"{MAX_LINKS:,} links are kept already; remove a contact first")
    await _keep(node, links.values())


async def forget_links(node: Node, person: bytes) -> None:
    """Forget the links of a person."""
    links = await _links(node)
    left = [one for one in links if one.person != person]
    if left != links:
        await _keep(node, left)


async def _links(node: Node) -> list[Link]:
    kept = await node.store.note(_LINKS)
    if kept is None:
        return []
    try:
        match decode(kept, _MAX_NOTE_BYTES):
            case list(texts):
                return [Link.parse(text) for text in texts if isinstance(text, str)]
            case _:
                raise StoreError("the list of contacts is damaged; add them again")
    except InvalidError as exc:
        raise StoreError("the list of contacts is damaged; add them again") from exc


async def _keep(node: Node, links: Iterable[Link]) -> None:
    await node.store.set_note(_LINKS, encode([one.encode() for one in links]))


async def find_acquaintances(node: Node) -> list[Acquaintance]:
    """Return the devices to be recognised: of persons added, and one's own others; no revoked one.

    What a device says of itself in its first block counts more than what a link says of it.
    """
    wanted = {one.person for one in await node.store.known() if one.added} | {node.me.person}
    found = {
        one.device: Acquaintance(one.device, one.person, one.sealing) for one in await _links(node)
    }
    async for page in node.store.devices():
        for block in page:
            if claimed_person(block.body) in wanted and block.body is not None:
                one = _read(block.header.author, block.body)
                found[one.device] = one
    gone = {(one.person, one.device) for one in await node.store.revocations(list(found))}
    return [
        one
        for _, one in sorted(found.items())
        if one.person in wanted
        and one.device != node.me.device
        and (one.person, one.device) not in gone
    ]


def _read(device: bytes, body: bytes) -> Acquaintance:
    said = Device.decode(body)
    return Acquaintance(device, said.person_of(device), said.sealing)


class Acquaintances:
    """The keys that an open home has together with each device that it recognises.

    They are found when first needed, and anew when somebody was added, left or revoked, or another
    device of somebody who matters became known.

    Args:
        node: The home.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        node.listen(self.forget)
        self._found: dict[bytes, Known] | None = None
        self._persons: frozenset[bytes] = frozenset()

    def forget(self) -> None:
        """Look for them anew."""
        self._found = None

    def heard(self, absorbed: Absorbed) -> None:
        """Note that a batch came; it may bring, or take away, a device."""
        claims = (claimed_person(block.body) for block in absorbed.devices)
        if absorbed.revoked or any(person in self._persons for person in claims):
            self.forget()

    async def all(self) -> Mapping[bytes, Known]:
        """Return them, by device; none while the home is locked."""
        if self._node.is_locked:
            return {}
        if self._found is None:
            found = await find_acquaintances(self._node)
            self._persons = frozenset({one.person for one in found} | {self._node.me.person})
            secret = self._node.secrets.keys.sealing_secret
            keys = ((one, pair_key(secret, one.sealing)) for one in found)
            self._found = {one.device: Known(one.person, key) for one, key in keys if key}
        return self._found


class Known(NamedTuple):
    """An acquaintance, and what this device has with it.

    Attributes:
        person: Whose it is.
        key: 32 secret bytes that only the two know.
    """

    person: bytes
    key: bytes


def pair_key(sealing_secret: bytes, sealing: bytes) -> bytes | None:
    """Return the key that two devices have together; None if one of the keys is no good.

    HKDF-SHA256 (RFC 5869) of the X25519 of both (RFC 7748); a key of small order gives none.
    """
    try:
        shared = bindings.crypto_scalarmult(sealing_secret, sealing)
    except (CryptoError, RuntimeError):
        return None
    return None if shared == bytes(32) else hkdf(shared, PAIR_LABEL)
