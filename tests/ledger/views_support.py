"""People with devices that write logs, and the entries a store would make of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ledger.block import ZEROS, Block, Counterparty, Header, body_hash, sign_block
from ledger.keys import DeviceKeys, PersonKey, sha256
from ledger.kinds.device import Device
from ledger.kinds.post import Post
from ledger.kinds.profile import Profile
from ledger.statement import Cut, Revocation
from ledger.store.base import Entry
from ledger.views.people import Census, People

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.store.base import LogKey

SALT = bytes(range(16))
LATER = 1_900_000_000_000
"""When everything arrived, unless a test says otherwise; later than all that is written."""


@cache
def person(name: str) -> PersonKey:
    return PersonKey(sha256(f"person {name}".encode()))


@cache
def root(name: str) -> bytes:
    return person(name).signing.public


@cache
def keys(name: str) -> DeviceKeys:
    seed = f"device {name}".encode()
    return DeviceKeys.from_random(sha256(seed) + sha256(b"sealing " + seed))


class Writer:
    """One device; ``of`` is its person's name, or None for a device whose certificate is wrong."""

    def __init__(self, name: str, of: str | None = None) -> None:
        self.keys = keys(name)
        self.device = self.keys.public
        self.tips: dict[int, tuple[int, bytes]] = {}
        owner = of or "a stranger"
        certificate = person(owner).certify(self.device) if of else bytes(64)
        said = Device(0, self.keys.sealing_public, root(owner), certificate)
        self.first = self.write("device", said.encode(SALT), log=0)

    def write(
        self, kind: str, body: bytes, log: int = 1, counterparty: Counterparty | None = None
    ) -> Block:
        """Append to a log."""
        start = self.first.id if log else ZEROS
        seq, previous = self.tips.get(log, (0, start))
        block = self.block_at(seq + 1, previous, kind, body, log, counterparty)
        self.tips[log] = (seq + 1, block.id)
        return block

    def block_at(
        self,
        seq: int,
        previous: bytes,
        kind: str,
        body: bytes,
        log: int = 1,
        counterparty: Counterparty | None = None,
    ) -> Block:
        """Sign any block, one that forks the log too."""
        digest, size = body_hash(body), len(body)
        header = Header(self.device, log, seq, previous, counterparty, kind, digest, size)
        return sign_block(self.keys.signing, header, body)

    def post(self, text: str, time: int = 1, log: int = 1) -> Block:
        return self.write("post", Post(time, text).encode(SALT), log)

    def profile(self, name: str, time: int = 1, about: str = "") -> Block:
        return self.write("profile", Profile(time, name, about).encode(SALT))


def entry(block: Block, *, joined: bool = True, hops: int = 0, seen: int = LATER) -> Entry:
    return Entry(block, joined, hops, seen)


def without_body(block: Block) -> Block:
    return block._replace(body=None)


def census(
    entries: Iterable[Entry],
    forks: Mapping[LogKey, int] | None = None,
    revocations: Iterable[Revocation] = (),
) -> People:
    """Fold all entries as one page."""
    fold = Census(forks or {}, revocations)
    fold.add(entries)
    return fold.people()


def revoke(owner: str, device: bytes, *cuts: Block) -> Revocation:
    """Let a person revoke a device; its logs weigh up to the blocks given."""
    places = [Cut(block.header.log, block.header.seq, block.id) for block in cuts]
    return Revocation.sign(person(owner), device, places)
