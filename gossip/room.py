"""What goes when there is no more room, and how fast strangers' things may come then.

While there is room all of this says nothing. Beyond the cap what is worth least goes first, down
to a little below it: of strangers some device by chance, of others the older half of the largest
log. One's own blocks never go. What went is remembered and not taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.policy import CIRCLE_CLASS, FIRST_GROUP_LOG, GROUP_CLASS, REST_CLASS, WIDER_CLASS
from ledger.store.base import NEVER, Floor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from gossip.catalogue import Catalogue
    from gossip.policy import Policy
    from ledger.chain import Log
    from ledger.store.base import LogKey

SOCIAL_LOG: Final = 1
LEAST_BLOCKS: Final = 32
"""So many of the newest blocks of a log that is wanted are always kept."""
MAX_DEVICES: Final = 8_192
"""Of strangers, that one link may begin or go on with in an hour."""
MEAN_BYTES: Final = 1_024
"""What a block that was asked for counts until it has come."""
_ORDER: Final = (REST_CLASS, WIDER_CLASS, GROUP_CLASS, CIRCLE_CLASS)
_HOUR_S: Final = 3_600


class _Device(NamedTuple):
    """A device's logs in one class, and their bytes."""

    logs: dict[LogKey, Log]
    bytes: int


@dataclass(slots=True)
class _Hour:
    """What a link brought in an hour, and what was held of each stranger's device before.

    Attributes:
        since: When it began, seconds.
        size: Bytes of it that strangers wrote, with those that may still come of what was asked.
        due: Of that what may still come of each log.
        held: Blocks and bytes of each device when it was first asked about.
    """

    since: float
    size: int = 0
    due: dict[LogKey, int] = field(default_factory=dict)
    held: dict[bytes, tuple[int, int]] = field(default_factory=dict)


class Room:
    """How full a node is.

    Args:
        catalogue: What it holds.
        policy: What it cares about, and how much it may hold.
    """

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._hours: dict[bytes, _Hour] = {}

    @property
    def is_tight(self) -> bool:
        """Whether what strangers wrote is taken in small parts only."""
        return self._catalogue.bytes > self._policy.quota.low_mark

    def victims(self, dice: Random) -> dict[LogKey, Floor]:
        """Return what is to go, nothing while all is within the cap.

        Args:
            dice: Chooses among strangers.
        """
        quota = self._policy.quota
        excess = self._catalogue.bytes - quota.low_mark
        if self._catalogue.bytes <= quota.high_mark:
            return {}
        gone: dict[LogKey, Floor] = {}
        classes = self._by_class()
        for rank in _ORDER:
            devices = classes.get(rank, {})
            over = sum(device.bytes for device in devices.values()) - quota.share(rank)
            over += self._own_bytes() if rank == CIRCLE_CLASS else 0
            saved = self._choose(rank, devices, min(excess, over), dice, gone)
            excess -= saved
        return gone

    def _is_own(self, key: LogKey) -> bool:
        """Whether this node's person wrote a log, on whatever device."""
        own, person = self._policy, self._catalogue.person(key[0])
        return key[0] == own.device or person == own.person

    def _own_bytes(self) -> int:
        return sum(log.bytes for key, log in self._catalogue.logs.items() if self._is_own(key))

    def _by_class(self) -> dict[int, dict[bytes, _Device]]:
        """Return what may go, by class and device."""
        found: dict[int, dict[bytes, _Device]] = {}
        policy, catalogue = self._policy, self._catalogue
        for key, log in catalogue.logs.items():
            person = catalogue.person(key[0])
            rank = policy.rank(key, person)
            if self._is_own(key):
                continue
            devices = found.setdefault(REST_CLASS if rank is None else rank, {})
            device = devices.get(key[0], _Device({}, 0))
            devices[key[0]] = _Device({**device.logs, key: log}, device.bytes + log.bytes)
        return found

    def _choose(
        self,
        rank: int,
        devices: Mapping[bytes, _Device],
        excess: int,
        dice: Random,
        gone: dict[LogKey, Floor],
    ) -> int:
        """Add to ``gone`` until ``excess`` bytes are saved; return how many are."""
        saved = 0
        if rank == REST_CLASS:
            order = sorted(devices)
            dice.shuffle(order)
            for author in order:
                if saved >= excess:
                    break
                saved += devices[author].bytes
                gone |= dict.fromkeys(devices[author].logs, Floor(NEVER, rank))
            return saved
        logs = [(log, key) for device in devices.values() for key, log in device.logs.items()]
        for log, key in sorted(logs, key=lambda one: (-one[0].bytes, one[1])):
            if saved >= excess:
                break
            floor = self._floor(log, rank)
            if floor is not None:
                gone[key] = floor
                saved += log.bytes if floor.seq == NEVER else log.bytes // 2
        return saved

    def _floor(self, log: Log, rank: int) -> Floor | None:
        """Return what of a wanted log may go: evidence as a whole, and not of the circle."""
        if log.number >= FIRST_GROUP_LOG and rank != CIRCLE_CLASS:
            return Floor(NEVER, rank)
        if log.number != SOCIAL_LOG or log.fork is not None or not log.pieces:
            return None
        low, high = log.pieces[0].low, log.pieces[-1].high
        held = sum(piece.high - piece.low + 1 for piece in log.pieces)
        middle = high - max(held // 2, LEAST_BLOCKS) + 1
        return Floor(middle, rank) if held > LEAST_BLOCKS and middle > low else None

    # --- what strangers wrote ---

    def allowance(self, key: LogKey, link: bytes, now: float) -> int | None:
        """Return how many blocks more of a stranger's log are taken now, while room is short.

        What is held of his device may double in a meeting; it begins with ``Quota.blocks`` and
        ``Quota.bytes``. None where the link has, or is still to bring, its part of the hour.

        Args:
            key: The log.
            link: Who brings it: a contact's device, nothing for strangers.
            now: Seconds.
        """
        quota = self._policy.quota
        logs = [self._catalogue.logs[key[0], n] for n in self._catalogue.numbers(key[0])]
        count = sum(piece.high - piece.low + 1 for log in logs for piece in log.pieces)
        size = sum(log.bytes for log in logs)
        hour = self._hour(link, now)
        if key[0] not in hour.held and len(hour.held) >= MAX_DEVICES:
            return 0
        before_count, before_size = hour.held.setdefault(key[0], (count, size))
        if size >= max(quota.bytes, 2 * before_size):
            return 0
        most = max(max(quota.blocks, 2 * before_count) - count, 0)
        if key not in hour.due and most:
            if not self.has_part(link, now):
                return None
            hour.due[key] = most * MEAN_BYTES
            hour.size += hour.due[key]
        return most

    def has_part(self, link: bytes, now: float) -> bool:
        """Say whether a link may begin with more that strangers wrote, in this hour."""
        quota = self._policy.quota
        return self._hour(link, now).size < quota.share(REST_CLASS) * quota.link_part

    def take(self, key: LogKey, link: bytes, size: int, now: float) -> None:
        """Count bytes of a stranger's log that a link brought."""
        hour = self._hour(link, now)
        known = min(hour.due.get(key, 0), size)
        if known:
            hour.due[key] -= known
        hour.size += size - known

    def release(self, key: LogKey, link: bytes, now: float) -> None:
        """Note that nothing more comes of a log."""
        hour = self._hour(link, now)
        hour.size -= hour.due.pop(key, 0)

    def _hour(self, link: bytes, now: float) -> _Hour:
        hour = self._hours.get(link)
        if hour is None or now - hour.since >= _HOUR_S:
            for old in [one for one, was in self._hours.items() if now - was.since >= _HOUR_S]:
                del self._hours[old]
            hour = self._hours[link] = _Hour(now)
        return hour
