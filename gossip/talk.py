"""What the parts of one session share: the setting, the limits, and the effects so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gossip.control import MAX_STRANGE, MAX_TOLD, MIN_FRAME_BYTES
from gossip.effects import Effect, Keep, Load, Send
from gossip.standing import Salt
from gossip.wire import encode_message
from ledger.keys import verify as is_signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.catalogue import Catalogue
    from gossip.claims import Claims
    from gossip.control import Control
    from gossip.cursor import Seen
    from gossip.effects import Answer, Query
    from gossip.mail import Mail
    from gossip.notes import MailSeen
    from gossip.policy import Peer, Policy
    from gossip.postal import Notice
    from gossip.room import Room
    from ledger.run import Verify
    from ledger.store.base import Absorbed, Batch

Loaded: TypeAlias = "Callable[[Answer], None]"
Kept: TypeAlias = "Callable[[Absorbed], None]"


class ProtocolError(Exception):
    """The other side did what no honest one does; the meeting ends."""


class SilentError(Exception):
    """The other side does not answer; the meeting ends."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a session takes place.

    Attributes:
        catalogue: What this node holds.
        claims: What its other meetings are fetching.
        policy: What it wants and offers.
        binding: What both sides know of this link's session, 32 bytes chosen by neither alone.
        peer: Whom the link authenticated, if anybody.
        is_initiator: Whether this side opened the link.
        seen: What was processed of the peer's store, from earlier meetings.
        told: What the peer said he processed of this store, in earlier meetings.
        shared: Ids of closed groups that the peer has shown to belong to.
        verify: Checks one signature.
        room: How full this node is; without it nothing is ever too much.
        is_invited: Whether a person asked for this very meeting: then a stranger's things are
            taken as a friend's are.
        mail: What mail this node carries; None if it carries none.
        mail_seen: What was processed of the peer's mail, from earlier meetings.
        secret: 32 random bytes for this session, of which decoys are made for strangers; without it
            there are none.
    """

    catalogue: Catalogue
    claims: Claims
    policy: Policy
    binding: bytes
    is_initiator: bool = False
    peer: Peer | None = None
    seen: Seen | None = None
    shared: frozenset[bytes] = frozenset()
    verify: Verify = is_signed
    secret: bytes | None = None
    room: Room | None = None
    is_invited: bool = False
    told: Seen | None = None
    mail: Mail | None = None
    mail_seen: MailSeen | None = None


@dataclass(slots=True)
class Counts:
    """What a meeting came to.

    Attributes:
        frames_in: Messages received.
        frames_out: Messages sent.
        bytes_in: Bytes of them.
        bytes_out: Bytes of them.
        blocks_in: Blocks that came.
        blocks_out: Blocks that went.
        new: Blocks that were not held before.
        wanted: Blocks that were asked for.
        envelopes_in: Envelopes that came, asked for or not.
    """

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    blocks_in: int = 0
    blocks_out: int = 0
    new: int = 0
    wanted: int = 0
    envelopes_in: int = 0


@dataclass(slots=True)
class Talk:
    """One session's surroundings, and what it has asked its owner to do.

    Attributes:
        setting: Where it takes place.
        meeting: Its number among this node's.
        now: The moment of the input being handled, seconds of any monotonic clock.
        frame: Longest message the other side takes.
        scopes: Groups that the peer has shown to belong to, by their ids.
    """

    setting: Setting
    meeting: int
    now: float = 0.0
    frame: int = MIN_FRAME_BYTES
    scopes: frozenset[bytes] = frozenset()
    counts: Counts = field(default_factory=Counts)
    salt: Salt = field(init=False)
    _effects: list[Effect] = field(default_factory=list)
    _tickets: int = 0
    _loads: dict[int, Loaded] = field(default_factory=dict)
    _keeps: dict[int, Kept] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.salt = Salt(self.setting.binding)

    @property
    def most_mentions(self) -> int:
        """How many logs each side mentions at most."""
        return MAX_STRANGE if self.setting.peer is None else MAX_TOLD

    @property
    def link(self) -> bytes:
        """Whom the hour's part of a link is counted for: a contact's device, or all strangers."""
        return b"" if self.setting.peer is None else self.setting.peer.device

    def send(self, message: Control | Notice) -> None:
        """Send a control message."""
        self.send_frame(encode_message(message))

    def send_frame(self, frame: bytes, *, bulk: bool = False) -> None:
        """Send an encoded message; of bulk ``Session.sent`` tells when the link has taken it."""
        self.counts.frames_out += 1
        self.counts.bytes_out += len(frame)
        self._effects.append(Send(frame, bulk))

    def load(self, query: Query, then: Loaded) -> None:
        """Read from the store and go on with ``then``."""
        self._tickets += 1
        self._loads[self._tickets] = then
        self._effects.append(Load(self._tickets, query))

    def keep(self, batch: Batch, then: Kept, *, durable: bool = False) -> None:
        """Absorb ``batch`` and go on with ``then``."""
        self._tickets += 1
        self._keeps[self._tickets] = then
        self._effects.append(Keep(self._tickets, batch, durable))

    def effect(self, effect: Effect) -> None:
        """Add an effect that nobody answers."""
        self._effects.append(effect)

    def loaded(self, ticket: int, answer: Answer) -> None:
        """Go on with what was read."""
        self._loads.pop(ticket)(answer)

    def kept(self, ticket: int, absorbed: Absorbed) -> None:
        """Go on after a batch was absorbed."""
        self._keeps.pop(ticket)(absorbed)

    def leave(self) -> None:
        """Go on with nothing any more: the meeting is over."""
        self._loads.clear()
        self._keeps.clear()

    def take_effects(self) -> list[Effect]:
        """Return what was asked for since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def may_offer(self, scope: bytes | None) -> bool:
        """Say whether the peer may be told what is in ``scope``."""
        return (
            scope in self.scopes
            or scope in self.setting.shared
            or self.setting.policy.shares(scope, self.setting.peer)
        )
