"""Whom this device recognises when it meets them: devices of persons who were added, and its own.

Two devices have a key together that nobody else can know. It comes of the sealing keys of both,
which a link tells before anything else of a device is held (docs/protocol.md, Sessions).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.codec import context, decode, encode
from ledger.errors import InvalidError, MeaninglessError, PassalongError
from ledger.keys import KEY_BYTES, hkdf
from ledger.kinds.device import Device, claimed_person
from ledger.link import Link
from mesh.tickets import drop_tickets

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from ledger.store.base import Absorbed
    from mesh.node import Node

log: Final = logging.getLogger("passalong")
PAIR_LABEL: Final = context("pair")
MAX_LINKS: Final = 1_024
"""Links that are kept; devices that became known otherwise need none."""
MAX_DEVICES: Final = 32
"""Of one person, that are recognised."""
MAX_ACQUAINTANCES: Final = 4_096
"""In all: so many a session can tell apart."""
_LINKS: Final = "links of contacts"
_MAX_NOTE_BYTES: Final = 1 << 20


class TooManyContactsError(PassalongError):
    """No more links can be kept."""


class TakenDeviceError(PassalongError):
    """A device is given as that of two persons."""


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

    Links of persons who were blocked or removed since are forgotten; so is a list that is damaged:
    then the links of others have to be given again.

    Raises:
        TooManyContactsError: So many are remembered already.
        TakenDeviceError: Another person who was added has given this device as his.
    """
    async with node.writer.alone:
        added = await _added(node) | {link.person}
        links = {one.device: one for one in await _links(node) if one.person in added}
        if links.get(link.device, link).person != link.person:
            raise TakenDeviceError(
                "somebody else whom you added has given this device as his; one of them lies: see"
                " `contacts`, and remove the other first if you trust this one"
            )
        links[link.device] = link
        if len(links) > MAX_LINKS:
            raise TooManyContactsError(
                f"{MAX_LINKS:,} links are kept already; remove a contact first"
            )
        await _keep(node, links.values())


async def forget_links(node: Node, person: bytes) -> None:
    """Forget the links of a person, and what sessions with their devices have left."""
    async with node.writer.alone:
        links = await _links(node)
        left = [one for one in links if one.person != person]
        if left != links:
            await _keep(node, left)
    gone = {one.device for one in links if one.person == person}
    async for page in node.store.devices():
        gone |= {one.header.author for one in page if claimed_person(one.body) == person}
    await drop_tickets(node.store, gone)


async def _added(node: Node) -> set[bytes]:
    return {one.person for one in await node.store.known() if one.added}


async def _links(node: Node) -> list[Link]:
    """Return the links that are kept; of a list that is damaged none."""
    kept = await node.store.note(_LINKS)
    try:
        match None if kept is None else decode(kept, _MAX_NOTE_BYTES):
            case None:
                return []
            case list(texts):
                return [Link.parse(text) for text in texts if isinstance(text, str)]
            case _:
                pass
    except InvalidError:
        pass
    log.warning("the list of contacts' links is damaged; add your contacts again")
    return []


async def _keep(node: Node, links: Iterable[Link]) -> None:
    await node.store.set_note(_LINKS, encode([one.encode() for one in links]))


async def find_acquaintances(node: Node) -> list[Acquaintance]:
    """Return the devices to be recognised: of persons added, and one's own others; no revoked one.

    What a device says of itself in its first block counts more than what a link says of it. Of one
    person at most ``MAX_DEVICES`` are recognised, and ``MAX_ACQUAINTANCES`` in all; those that were
    given by a link come first, then one's own.
    """
    wanted = await _added(node) | {node.me.person}
    links = {
        one.device: Acquaintance(one.device, one.person, one.sealing) for one in await _links(node)
    }
    found = dict(links)
    async for page in node.store.devices():
        for block in page:
            device, claim = block.header.author, claimed_person(block.body)
            if block.body is not None and (claim in wanted or device in links):
                found[device] = _read(device, block.body)
    gone = {(one.person, one.device) for one in await node.store.revocations(list(found))}
    left = [
        one
        for one in found.values()
        if one.person in wanted
        and one.device != node.me.device
        and (one.person, one.device) not in gone
    ]
    return _within_bounds(left, links.keys(), node.me.person)


def _read(device: bytes, body: bytes) -> Acquaintance:
    """Return what a device says of itself; one that says nothing is nobody's but its own."""
    try:
        said = Device.decode(body)
    except MeaninglessError:
        return Acquaintance(device, device, bytes(KEY_BYTES))
    return Acquaintance(device, said.person_of(device), said.sealing)


def _within_bounds(
    found: Iterable[Acquaintance], given: Container[bytes], me: bytes
) -> list[Acquaintance]:
    """Keep those bounds that somebody's many devices would break, who certifies as he likes."""
    many: Counter[bytes] = Counter()
    ranked: list[tuple[tuple[bool, bool, int, bytes], Acquaintance]] = []
    for one in sorted(found, key=lambda one: (one.device not in given, one.device)):
        rank = (one.device not in given, one.person != me, many[one.person], one.device)
        many[one.person] += 1
        if many[one.person] <= MAX_DEVICES:
            ranked.append((rank, one))
    return sorted(one for _, one in sorted(ranked)[:MAX_ACQUAINTANCES])


class Acquaintances:
    """The keys that an open home has together with each device that it recognises.

    They are found when first needed, and anew when somebody was added, left or revoked, another
    device of somebody who matters became known, or the home was locked or unlocked.

    Args:
        node: The home.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._found: dict[bytes, Shared] | None = None
        self._finding = asyncio.Lock()
        self._persons: frozenset[bytes] = frozenset()
        self._missed: set[bytes] = set()
        self._round = 0

    def forget(self) -> None:
        """Look for them anew."""
        self._found = None
        self._round += 1

    def heard(self, absorbed: Absorbed) -> None:
        """Note that a batch came; it may bring, or take away, a device."""
        claims = {claimed_person(block.body) for block in absorbed.devices}
        if self._found is None:  # who matters is being found out
            self._missed |= {person for person in claims if person is not None}
        if absorbed.revoked or claims & self._persons:
            self.forget()

    def are(self, known: Mapping[bytes, Shared]) -> bool:
        """Say whether what ``all`` returned still holds."""
        return known is self._found

    async def all(self) -> Mapping[bytes, Shared]:
        """Return them, by device; none while the home is locked."""
        async with self._finding:
            while (found := self._found) is None:
                await self._find()
            return found

    async def _find(self) -> None:
        """Find them, unless something changes meanwhile."""
        begun = self._round
        self._missed.clear()
        found = await find_acquaintances(self._node)
        self._persons = frozenset({*await _added(self._node), self._node.me.person})
        if begun != self._round or self._missed & self._persons:
            return
        if self._node.is_locked:
            self._found = {}
            return
        secret = self._node.secrets.keys.sealing_secret
        keys = ((one, pair_key(secret, one.sealing)) for one in found)
        self._found = {one.device: Shared(one.person, key) for one, key in keys if key}


class Shared(NamedTuple):
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
