"""A bundle for certain readers: what goes, and what a sealed one says to each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gossip.bundle_header import (
    MAX_COUNT,
    MAX_FRONTIER_BYTES,
    MAX_PARTS,
    NAME_BYTES,
    Row,
    SealedHeader,
)
from gossip.bundle_sealed import SealedWriter
from gossip.cursor import add
from gossip.frontier import entry_of
from gossip.notes import COUNT, recall_count, remember_count
from gossip.policy import PUBLIC
from gossip.sealing import MAX_SLOTS, Sealer
from mesh.lacking import arrived, find_lacking
from mesh.parts import END_BYTES, FRAME_OVERHEAD_BYTES, BundleError
from mesh.readers import account_of
from mesh.vault import LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gossip.bundle_header import Ranges
    from gossip.bundle_open import BundleWriter
    from gossip.frontier import FrontierEntry
    from ledger.store.base import LogKey
    from mesh.lacking import Lacking
    from mesh.readers import Account, Bearer, Reader
    from mesh.serve import Plan

SEED_BYTES: Final = 32
_LONGEST: Final = MAX_COUNT - 1
_PART_SHARE: Final = 8
"""Of a part a frontier takes at most one in so many bytes."""


@dataclass(frozen=True, slots=True)
class Readers:
    """For whom a bundle is.

    Attributes:
        bearer: The node that writes it.
        devices: Theirs, at least one.
        is_sealed: Whether it is sealed to them, or open with only what they lack.
        person: Tells whose device one is.
    """

    bearer: Bearer
    devices: Sequence[Reader]
    is_sealed: bool
    person: Callable[[bytes], bytes]


class Address:
    """What is said to the readers of one export.

    Args:
        readers: They.
        accounts: What is known of each of their devices.
        frontier: What goes into the header.
        lacking: What they lack.
        withheld: By device the logs that it may have and another reader may not: they stay out.
    """

    def __init__(
        self,
        readers: Readers,
        accounts: Sequence[Account],
        frontier: Sequence[FrontierEntry],
        lacking: Lacking,
        withheld: Mapping[bytes, Collection[LogKey]],
    ) -> None:
        self.lacking = lacking
        self._withheld = withheld
        self._readers = readers
        self._accounts = accounts
        self._header = SealedHeader(
            readers.bearer.policy.device, bytes(NAME_BYTES), 1, 1, (), tuple(frontier)
        )
        self._rows: list[tuple[bytes, bytes]] = []

    @property
    def overhead(self) -> int:
        """Most bytes that a file has besides messages and their frames, and half a smallest one."""
        if not self._readers.is_sealed:
            return 0
        longest = tuple((_LONGEST - 2 * n, _LONGEST - 2 * n) for n in range(32))
        rows = [row.encode() for row in self._said([longest] * len(self._accounts))]
        header = replace(self._header, count=_LONGEST, part=MAX_PARTS, rows=tuple(rows))
        sealer = Sealer([one.sealing for one in self._readers.devices], bytes(SEED_BYTES))
        signed = len(header.encode()) + 16 * len(rows) + 64
        return len(sealer.start.encode()) + signed + 2 * FRAME_OVERHEAD_BYTES + END_BYTES

    def _said(self, covered: Sequence[Ranges]) -> list[Row]:
        many = len(self._accounts)
        return [
            Row(
                account.spoken_runs(many),
                account.covered(covers, many),
                account.heard.base,
                account.heard.count,
                account.spoken_seen(many),
            )
            for account, covers in zip(self._accounts, covered, strict=True)
        ]

    async def begin(self, chosen: Plan) -> Callable[[int], BundleWriter]:
        """Say what the export covers, and that there is one; return how its parts are begun.

        The count is durable before this returns: it must never stand in two exports.

        Raises:
            LockedError: The home is locked; it cannot sign.
        """
        bearer = self._readers.bearer
        if bearer.keys is None:
            raise LockedError
        signing = bearer.keys.signing
        covered = [await self._covered(account, chosen) for account in self._accounts]
        count = recall_count(await bearer.store.note(COUNT)) + 1
        await bearer.store.set_note(COUNT, remember_count(count))
        header = replace(self._header, export=bearer.random(NAME_BYTES), count=count)
        sealing = [one.sealing for one in self._readers.devices]
        rows = [(key, row.encode()) for key, row in zip(sealing, self._said(covered), strict=True)]

        def make(part: int) -> BundleWriter:
            sealer = Sealer(sealing, bearer.random(SEED_BYTES))
            said = replace(header, part=part, rows=sealer.rows(rows))
            return SealedWriter(sealer, signing, said)

        return make

    async def _covered(self, account: Account, chosen: Plan) -> Ranges:
        """Return the lsns of which a device has all that it may once it has read the bundle."""
        covers: Ranges = ()
        withheld = self._withheld.get(account.peer.device, ())
        if chosen.lows is None and not withheld:
            for low, high in account.gaps:
                covers = add(covers, low, high)
            return covers
        for low, high in account.gaps:
            after = high
            async for arrival in arrived(self._readers.bearer.store, [(low, high)]):
                is_withheld = (arrival.author, arrival.log) in withheld
                if chosen.carries(arrival) and not is_withheld:
                    continue
                if arrival.lsn < after:
                    covers = add(covers, arrival.lsn + 1, after)
                after = arrival.lsn - 1
            if low <= after:
                covers = add(covers, low, after)
        return covers


async def address(readers: Readers, part_bytes: int | None) -> Address:
    """Find out what the readers lack, and what a sealed bundle says to them.

    Raises:
        BundleError: They have more devices than a bundle can be sealed to.
    """
    if readers.is_sealed and len(readers.devices) > MAX_SLOTS:
        raise BundleError(
            f"{len(readers.devices)} devices where a bundle can be sealed to {MAX_SLOTS}; name "
            "fewer people with --to"
        )
    bearer = readers.bearer
    accounts = [await account_of(bearer, one.device, one.person) for one in readers.devices]

    def is_offered(key: LogKey) -> bool:
        return all(_may_have(readers, account, key) for account in accounts)

    frontier: list[FrontierEntry] = []
    if readers.is_sealed and not all(account.is_level for account in accounts):
        room = min(MAX_FRONTIER_BYTES, (part_bytes or MAX_FRONTIER_BYTES * 8) // _PART_SHARE)
        frontier = await _frontier(bearer, is_offered, room)
    lacking = await find_lacking(bearer.store, accounts, is_offered)
    withheld = await _withheld(readers, accounts, is_offered)
    return Address(readers, accounts, frontier, lacking, withheld)


def _may_have(readers: Readers, account: Account, key: LogKey) -> bool:
    """Say whether a device may be offered a log."""
    policy = readers.bearer.policy
    scope = policy.scope(key, readers.person(key[0]))
    if scope is None or scope == PUBLIC:
        return scope is not None
    return scope in account.shown or policy.shares(scope, account.peer)


async def _withheld(
    readers: Readers, accounts: Sequence[Account], is_offered: Callable[[LogKey], bool]
) -> dict[bytes, frozenset[LogKey]]:
    """Return by device the logs of closed groups that it may have and another reader may not."""
    bearer = readers.bearer
    if not bearer.policy.groups:
        return {}
    held = [(log.author, log.number) for log in await bearer.store.logs()]
    left_out = [key for key in held if not is_offered(key)]
    return {
        account.peer.device: frozenset(key for key in left_out if _may_have(readers, account, key))
        for account in accounts
    }


async def _frontier(
    bearer: Bearer, is_offered: Callable[[LogKey], bool], room: int
) -> list[FrontierEntry]:
    """Return what is held of the logs that changed last, as many as fit."""
    store = bearer.store
    newest = await store.newest()
    logs = {(log.author, log.number): log for log in await store.logs()}
    proofs = {(proof.author, proof.log): proof for proof in await store.proofs()}
    entries: list[FrontierEntry] = []
    for key in sorted(logs, key=lambda key: -newest[key].lsn if key in newest else 0):
        log = logs[key]
        lacks = log.bodies_missing and key not in bearer.policy.headers_only
        missing = await store.bodiless(key, limit=1) if lacks else []
        entry = entry_of(log, proofs.get(key), missing[0] if missing else None)
        room -= len(entry.encode()) + 3
        if room < 0:
            break
        if is_offered(key):
            entries.append(entry)
    return entries
