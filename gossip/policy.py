"""What to want, what to offer, and how much of it: pure functions of one value.

Classes order what is sent: 0 statements and fork proofs, 1 mail for the peer, 2 groups and DAOs,
3 one's own circle, 4 mail carried, 5 wider circles, 6 the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.limits import MAX_PAGE, Limits
from ledger.codec import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.store.base import LogKey

__all__ = [
    "CIRCLE_CLASS",
    "EVIDENCE_CLASS",
    "FIRST_GROUP_LOG",
    "FIRST_TO_GO",
    "GROUP_CLASS",
    "LEAST_FOR_CIRCLE",
    "MAX_PAGE",
    "PUBLIC",
    "REST_CLASS",
    "WIDER_CLASS",
    "Limits",
    "Peer",
    "Policy",
    "Quota",
    "best_class",
]

PUBLIC: Final = b""
"""Name of the scope of what is open to everybody."""
EVIDENCE_CLASS: Final = 0
GROUP_CLASS: Final = 2
CIRCLE_CLASS: Final = 3
WIDER_CLASS: Final = 5
REST_CLASS: Final = 6
FIRST_GROUP_LOG: Final = 1 << 31
LEAST_FOR_CIRCLE: Final = 0.25
"""Of what one's own blocks leave, those followed have so much at least."""
FIRST_TO_GO: Final = (REST_CLASS, WIDER_CLASS, GROUP_CLASS, CIRCLE_CLASS)
"""In which order classes are worth more, when there is no more room."""
_WORTH: Final[dict[int | None, int]] = {None: -1} | {r: at for at, r in enumerate(FIRST_TO_GO)}


class Peer(NamedTuple):
    """Whom one meets, as the session authenticated him.

    Attributes:
        device: His device's key.
        person: Whose device it is.
    """

    device: bytes
    person: bytes


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of the disk a node gives to whom, by headers and bodies.

    Attributes:
        cap: Bytes in all.
        circle: Part of it for oneself and persons followed,
        wider: for whom those follow,
        groups: for groups and DAOs,
        mail: for mail that is carried,
        strangers: for all strangers together.
        slack: Part of the cap that is freed at once when it is reached.
        blocks: While there is no room, so many blocks of a stranger's device at first,
        bytes: and so many bytes;
        link_part: and of the strangers' part so much by one link in an hour.
    """

    cap: int = 512 << 20
    circle: float = 0.5
    wider: float = 0.25
    groups: float = 0.1
    mail: float = 0.1
    strangers: float = 0.05
    slack: float = 0.02
    blocks: int = 16
    bytes: int = 65_536
    link_part: float = 0.125

    def __post_init__(self) -> None:
        parts = (self.circle, self.wider, self.groups, self.mail, self.strangers)
        if self.cap < 1 or min(parts) < 0 or sum(parts) > 1 + 1e-9:
            raise ValueError("the parts of a quota are not negative, and 1 in all at most")

    @property
    def low_mark(self) -> int:
        """Bytes down to which is freed; from there on room is short."""
        return max(int(self.cap * (1 - self.mail - self.slack)), 0)

    @property
    def high_mark(self) -> int:
        """Bytes of blocks beyond which something goes; the rest is for mail."""
        return int(self.cap * (1 - self.mail))

    def lowered(self, size: int) -> int:
        """Return to what ``size`` bytes come down: as the high mark does to the low."""
        return size * self.low_mark // max(self.high_mark, 1)

    @property
    def mail_bytes(self) -> int:
        """Bytes of mail that is carried for others."""
        return int(self.cap * self.mail)

    def share(self, rank: int) -> int:
        """Return the bytes that a class has for itself."""
        part = {CIRCLE_CLASS: self.circle, WIDER_CLASS: self.wider, GROUP_CLASS: self.groups}
        return int(self.cap * part.get(rank, self.strangers))

    def shares(self, own: int) -> dict[int, int]:
        """Return the bytes that others have in each class, once all is full.

        One's own blocks count with the circle. Where they leave those followed less than
        ``LEAST_FOR_CIRCLE`` of the rest, the others' classes become smaller for it: all of them
        together are never more than the high mark leaves beside one's own.

        Args:
            own: Bytes of one's own blocks.
        """
        rest = max(self.high_mark - own, 0)
        circle = self.share(CIRCLE_CLASS)
        circle = max(circle - own, min(circle, int(rest * LEAST_FOR_CIRCLE)))
        others = {rank: self.share(rank) for rank in FIRST_TO_GO if rank != CIRCLE_CLASS}
        asked, left = sum(others.values()), rest - circle
        if asked > left:
            others = {rank: share * left // asked for rank, share in others.items()}
        return {**others, CIRCLE_CLASS: circle}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a node cares about.

    Attributes:
        device: Its own key.
        person: Its person's.
        followed: Persons it follows.
        near: Persons whom those follow.
        blocked: Persons it neither wants nor passes on.
        named: Logs it wants whoever wrote them.
        groups: Closed groups it belongs to, by their log number; their ids are secret.
        members: Devices known to belong to a closed group, by its id.
        headers_only: Logs of which no bodies are wanted.
        public: Whether it wants what strangers wrote, while there is room.
        live: Whether it stays in a meeting once all is equal.
        limits: How much of all this in a meeting,
        quota: and on the disk.
        wants: What of this decides whether a log is wanted at all, in 8 bytes. What was declined
            while it had another value may be wanted now.
    """

    device: bytes
    person: bytes
    followed: frozenset[bytes] = frozenset()
    near: frozenset[bytes] = frozenset()
    blocked: frozenset[bytes] = frozenset()
    named: frozenset[LogKey] = frozenset()
    groups: Mapping[int, bytes] = field(default_factory=dict)
    members: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    headers_only: frozenset[LogKey] = frozenset()
    public: bool = True
    live: bool = False
    limits: Limits = field(default_factory=Limits)
    quota: Quota = Quota()
    wants: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wants", self._decides())

    def _decides(self) -> bytes:
        asked = (self.followed, self.near, self.named, self.blocked, self.headers_only)
        sets = [sorted(one) for one in asked]
        room = [self.quota.share(r) for r in (CIRCLE_CLASS, WIDER_CLASS, GROUP_CLASS, REST_CLASS)]
        said = encode((int(self.public), sets, sorted(self.groups.items()), room))
        return sha256(said).digest()[:8]

    def offers(self, peer: Peer | None, shown: frozenset[bytes]) -> bytes:
        """What decides which logs are offered to a peer, in 8 bytes.

        Args:
            peer: Who.
            shown: Ids of closed groups that he has shown to belong to.
        """
        groups = sorted(self.groups.items())
        shared = sorted({g for _, g in groups if g in shown or self.shares(g, peer)})
        return sha256(encode((sorted(self.blocked), groups, shared))).digest()[:8]

    def rank(self, key: LogKey, person: bytes | None) -> int | None:
        """Return the class in which a log is wanted, None if it is not.

        Args:
            key: The log.
            person: Whose device its author is, None while nobody knows.
        """
        author, number = key
        if author == self.device or person == self.person:
            return CIRCLE_CLASS
        if person in self.blocked or author in self.blocked:
            return None
        if number in self.groups or (key in self.named and number >= FIRST_GROUP_LOG):
            return GROUP_CLASS
        if person in self.followed or key in self.named:
            return CIRCLE_CLASS
        if person in self.near:
            return WIDER_CLASS
        return REST_CLASS if self.public else None

    @property
    def cares(self) -> bool:
        """Whether it makes a difference whose device one is."""
        return bool(self.followed or self.near or self.blocked)

    def is_open(self, key: LogKey, person: bytes | None) -> bool:
        """Say whether a log that is not wanted would be, were its author somebody who matters."""
        if person is not None or key[0] in self.blocked:
            return False
        return bool(self.followed or self.near)

    def scope(self, key: LogKey, person: bytes | None) -> bytes | None:
        """Return where a log is offered: ``PUBLIC``, a closed group's id, or None for nowhere."""
        if person in self.blocked or key[0] in self.blocked:
            return None
        return self.groups.get(key[1], PUBLIC)

    def shares(self, scope: bytes | None, peer: Peer | None) -> bool:
        """Say whether what is in ``scope`` may be offered to ``peer``, who did not name it."""
        if scope is None or scope == PUBLIC:
            return scope is not None
        return peer is not None and peer.device in self.members.get(scope, ())

    def may_matter(self, person: bytes) -> bool:
        """Say whether it makes a difference that somebody is ``person``; else nobody checks."""
        return (
            person == self.person
            or person in self.followed
            or person in self.near
            or person in self.blocked
        )


def best_class(ranks: Iterable[int | None]) -> int | None:
    """Return which of some classes goes last when there is no more room."""
    return max(ranks, key=_WORTH.__getitem__, default=None)
