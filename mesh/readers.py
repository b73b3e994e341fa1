"""Whom a bundle is for, and what this node knows of each of their devices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.bundle_notes import Heard, recall_heard
from gossip.cursor import Seen, add, run_name, unseen, valid_up_to
from gossip.notes import (
    bundles_note,
    frontier_note,
    groups_note,
    recall,
    recall_frontier,
    recall_groups,
    recall_told,
    seen_note,
    told_note,
)
from gossip.policy import Peer, Policy, Quota
from gossip.sealing import can_seal_to
from ledger.errors import PassalongError
from ledger.link import SCHEME, Link
from ledger.views.contacts import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gossip.bundle_header import Ranges, Run
    from gossip.frontier import FrontierEntry
    from ledger.keys import DeviceKeys
    from ledger.store.base import LogKey, Store, StoreRun
    from ledger.views.contacts import Contact
    from ledger.views.people import People

_ROW_RUNS: Final = 64
_ROW_RANGES: Final = 32
_ROOM: Final = 512
"""Runs, and ranges, in all rows together: all rows must fit into one frame with a frontier."""


class Reader(NamedTuple):
    """A device that may read a bundle.

    Attributes:
        device: Its key.
        person: Whose it is.
        sealing: Its X25519 key.
    """

    device: bytes
    person: bytes
    sealing: bytes


class NoReaderError(PassalongError):
    """A bundle is for somebody who could not read it."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The node that writes or reads a bundle.

    Attributes:
        store: What it holds.
        keys: Its device's; None while it is locked.
        policy: What it cares about; the same as in meetings.
        random: Gives so many random bytes.
    """

    store: Store
    keys: DeviceKeys | None
    policy: Policy
    random: Callable[[int], bytes]


async def policy_of(store: Store, device: bytes, person: bytes, quota: Quota) -> Policy:
    """Return what a node cares about; no closed group is joined as yet."""
    known = await store.known()
    return Policy(
        device,
        person,
        followed=frozenset(one.person for one in known if one.following),
        blocked=frozenset(one.person for one in known if one.blocked),
        quota=quota,
    )


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a contact's device, and of what it knows of this store.

    Attributes:
        peer: Whose it is.
        shown: Closed groups that it has shown to belong to.
        offers: What it is offered, as ``Policy.offers`` says.
        runs: This store's, ascending.
        told: What it processed of this store, or brought itself, as far as that counts.
        seen: What this node processed of its store.
        heard: What its bundles brought.
        frontier: What it said it holds.
    """

    peer: Peer
    shown: frozenset[bytes]
    offers: bytes
    runs: Sequence[StoreRun]
    told: Ranges
    seen: Seen | None
    heard: Heard
    frontier: Mapping[LogKey, FrontierEntry]

    @property
    def lsn(self) -> int:
        """The newest lsn of this store, 0 of an empty one."""
        return self.runs[-1].last if self.runs else 0

    @property
    def is_level(self) -> bool:
        """Whether what was processed of its store tells it all that is held of what it has."""
        if self.seen is None or self.heard.base is None:
            return self.seen is not None
        return self.seen.covers(self.seen.run, self.heard.base[1])

    @property
    def named(self) -> tuple[Run, ...]:
        """This store's runs as they are called to the device."""
        return tuple((run_name(run.run, self.offers), run.last) for run in self.runs)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """The lsns that it knows nothing of, highest first."""
        return unseen(self.told, self.lsn)

    def with_told(self, told: Seen | None) -> Account:
        """Return the same with what of ``told`` counts."""
        return replace(self, told=self.counts(told))

    def counts(self, seen: Seen | None) -> Ranges:
        """Return what still counts of something that was seen of this store."""
        if seen is None:
            return ()
        return seen.clipped(valid_up_to(seen, self.runs, self.offers))

    def spoken_runs(self, readers: int) -> tuple[Run, ...]:
        """Return the newest runs as a row has them; fewer where there are many rows."""
        return self.named[-min(_ROW_RUNS, _ROOM // readers) :]

    def covered(self, ranges: Ranges, readers: int) -> Ranges:
        """Return ``ranges`` and what came from the device, as a row has them."""
        for low, high in self.counts(self.heard.gave):
            ranges = add(ranges, low, high)
        return ranges[-_room(readers) :]

    def spoken_seen(self, readers: int) -> Seen | None:
        """Return what was processed of the device's store, as a row has it."""
        return self.seen and Seen(self.seen.run, self.seen.ranges[-_room(readers) :])


def _room(readers: int) -> int:
    return min(_ROW_RANGES, _ROOM // readers)


async def account_of(bearer: Bearer, device: bytes, person: bytes) -> Account:
    """Read what is kept of a device."""
    store, policy, peer = bearer.store, bearer.policy, Peer(device, person)
    shown = recall_groups(await store.note(groups_note(device)))
    bare = Account(
        peer=peer,
        shown=shown,
        offers=policy.offers(peer, shown),
        runs=await store.runs(),
        told=(),
        seen=recall(await store.note(seen_note(device)), policy.wants),
        heard=recall_heard(await store.note(bundles_note(device))),
        frontier=recall_frontier(await store.note(frontier_note(device))),
    )
    return bare.with_told(recall_told(await store.note(told_note(device))))


def find_readers(
    texts: Sequence[str], people: People, contacts: Sequence[Contact], me: bytes, own: bytes
) -> list[Reader]:
    """Return the devices of persons, as far as they are known, not revoked, and can be sealed to.

    What a device says of its sealing key in its first block counts more than what a link says.

    Args:
        texts: PERSON arguments; none for ``me``.
        people: Who is who.
        contacts: As ``resolve`` takes them.
        me: This node's person; of his only other devices are meant.
        own: This device.

    Raises:
        NoReaderError: Somebody has no such device.
        PassalongError: As ``resolve``.
    """
    found: dict[bytes, Reader] = {}
    for text in texts or ("",):
        person = resolve(text, people, contacts) if text else me
        known = {device: people.sealing(device) for device in people.devices(person)}
        if text.strip().lower().startswith(SCHEME):
            link = Link.parse(text)
            known[link.device] = known.get(link.device) or link.sealing
        devices = [
            Reader(device, person, sealing)
            for device, sealing in sorted(known.items())
            if sealing is not None and device != own and _can_read(people, device, sealing)
        ]
        if not devices:
            raise NoReaderError(_nobody(text, is_me=person == me))
        found |= {one.device: one for one in devices}
    return list(found.values())


def _can_read(people: People, device: bytes, sealing: bytes) -> bool:
    return not people.weights.is_revoked(device) and can_seal_to(sealing)


def _nobody(text: str, *, is_me: bool) -> str:
    if is_me:
        return "you have no other device that is known here; name a reader with --to"
    return (
        f"no device of {text!r} is known; take in a bundle of theirs first, or give their "
        "passalong: link"
    )
