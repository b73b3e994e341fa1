"""Who is who: devices, their persons, and what these call themselves.

A device is its person's by the certificate in its (log 0, seq 1), whether or not that block
weighs; one whose block is not held, or fails, is its own person. A person's profile is, among the
profile blocks of all his devices that weigh, the one with the greatest (time, author, log, seq).
Only joined entries count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import MeaninglessError
from ledger.kinds.device import KIND as DEVICE
from ledger.kinds.device import Device
from ledger.kinds.profile import KIND as PROFILE
from ledger.kinds.profile import Profile
from ledger.views.weight import Weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ledger.block import Block
    from ledger.statement import Revocation
    from ledger.store.base import Entry, LogKey
    from ledger.views.weight import Place

KINDS: Final = frozenset({DEVICE, PROFILE})
"""What it reads."""
_NONE: tuple[bytes, ...] = ()


class People:
    """The persons and devices that are known, as of one ``Census``.

    Attributes:
        weights: Which blocks weigh.
    """

    def __init__(
        self,
        weights: Weights,
        persons: Mapping[bytes, bytes],
        sealing: Mapping[bytes, bytes],
        profiles: Mapping[bytes, Profile],
    ) -> None:
        self.weights = weights
        self._persons = persons
        self._sealing = sealing
        self._profiles = profiles
        devices: dict[bytes, list[bytes]] = {}
        for device in sorted(persons):
            devices.setdefault(persons[device], []).append(device)
        self._devices = {person: tuple(devices[person]) for person in sorted(devices)}

    def __iter__(self) -> Iterator[bytes]:
        """Yield the persons, ascending."""
        return iter(self._devices)

    def __contains__(self, person: object) -> bool:
        return person in self._devices

    def __len__(self) -> int:
        return len(self._devices)

    def person(self, device: bytes) -> bytes:
        """Return whose device it is; its own key if nobody's."""
        return self._persons.get(device, device)

    def devices(self, person: bytes) -> tuple[bytes, ...]:
        """Return all devices of a person, ascending, revoked ones too."""
        return self._devices.get(person, _NONE)

    def sealing(self, device: bytes) -> bytes | None:
        """Return the device's X25519 key, if its device block is held."""
        return self._sealing.get(device)

    def profile(self, person: bytes) -> Profile | None:
        """Return how the person wants to be shown, if he said."""
        return self._profiles.get(person)

    def name(self, person: bytes) -> str | None:
        """Return what the person calls himself; anybody may use the same name."""
        profile = self._profiles.get(person)
        return profile.name if profile else None


class Census:
    """Reads people, and what weighs, out of all entries.

    Those of ``KINDS`` and those at the places ``named`` will do, and word of whom there are others.

    Attributes:
        named: Places at which statements say which block is held.
    """

    def __init__(self, forks: Mapping[LogKey, int], revocations: Iterable[Revocation]) -> None:
        """Start with what is known besides the blocks: s of forked logs, and kept statements."""
        self._forks = forks
        self._revocations = tuple(revocations)
        self.named: frozenset[Place] = frozenset(
            (statement.device, cut.log, cut.seq)
            for statement in self._revocations
            for cut in statement.cuts
        )
        self._ids: dict[Place, bytes] = {}
        self._persons: dict[bytes, bytes] = {}
        self._sealing: dict[bytes, bytes] = {}
        self._profiles: dict[Place, Profile] = {}

    def meet(self, author: bytes) -> None:
        """Know of a device of which anything is held."""
        self._persons.setdefault(author, author)

    def add(self, page: Iterable[Entry]) -> None:
        """Take entries of any logs, in any order."""
        for entry in page:
            header = entry.block.header
            self._persons.setdefault(header.author, header.author)
            if not entry.joined:
                continue
            place = (header.author, header.log, header.seq)
            if place in self.named:
                self._ids[place] = entry.block.id
            try:
                self._read(entry.block, place)
            except MeaninglessError:
                continue

    def people(self) -> People:
        """Return what the entries so far say."""
        weights = Weights(self._forks, self._revocations, self._persons, dict(self._ids))
        best: dict[bytes, tuple[int, Place]] = {}
        for place, profile in self._profiles.items():
            if weights.reason(*place) is not None:
                continue
            person = self._persons[place[0]]
            best[person] = max(best.get(person, (-1, place)), (profile.time, place))
        profiles = {person: self._profiles[place] for person, (_, place) in best.items()}
        return People(weights, dict(self._persons), dict(self._sealing), profiles)

    def _read(self, block: Block, place: Place) -> None:
        author, log, seq = place
        if block.body is None:
            return
        if block.header.kind == PROFILE:
            self._profiles[place] = Profile.decode(block.body)
        elif block.header.kind == DEVICE and (log, seq) == (0, 1):
            said = Device.decode(block.body)
            self._persons[author] = said.person_of(author)
            self._sealing[author] = said.sealing
