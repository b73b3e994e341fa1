"""How fast what strangers wrote may come while room is short.

Of a device that nobody knows a little is taken at first, then as much again as is held of it; and
a link brings no more than its part of the strangers' room in an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gossip.policy import REST_CLASS

if TYPE_CHECKING:
    from gossip.catalogue import Catalogue
    from gossip.policy import Policy
    from ledger.store.base import LogKey

MAX_DEVICES: Final = 8_192
"""Of strangers, that one link may begin or go on with in an hour."""
MEAN_BYTES: Final = 1_024
"""What a block that was asked for counts until it has come."""
_HOUR_S: Final = 3_600


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


class Strangers:
    """What links brought of strangers in the last hour.

    Args:
        catalogue: What is held.
        policy: How much may be.
    """

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._hours: dict[bytes, _Hour] = {}

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
        count, size, _ = self._catalogue.sizes.of(key[0])
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
