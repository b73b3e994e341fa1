"""One simulated node: a device that writes, its store in memory, and its open meetings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from gossip.claims import Claims
from gossip.policy import Peer, Policy
from gossip.shelf import Shelf
from gossip.sim.mailbox import Mailbox, carried
from gossip.sim.radio import Radio
from gossip.sim.seeds import drawn
from ledger.block import DEVICE_KIND, ZEROS, Block, Header, body_hash, sign_block
from ledger.keys import DeviceKeys, PersonKey
from ledger.kinds.device import Device
from ledger.kinds.post import KIND, Post
from ledger.run import Run
from ledger.store.base import Batch
from ledger.store.memory import MemoryStore
from ledger.store.memory_ground import Contents

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from gossip.carried import MailChanges
    from gossip.effects import Answer, Query
    from gossip.mail_room import MailLimits
    from gossip.sim.commons import Commons
    from gossip.sim.link import End
    from ledger.store.base import Absorbed, LogKey

T = TypeVar("T")

IDENTITY: Final = 0
POSTS: Final = 1
"""The log that nodes write their posts into."""
EPOCH_MS: Final = 1_700_000_000_000
"""What right clocks show at the start."""


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that never waits comes to.

    Raises:
        RuntimeError: It waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    coroutine.close()
    raise RuntimeError("a store in memory waits for nothing")


@dataclass(slots=True)
class Identity:
    """What a node signs with.

    Attributes:
        keys: Its device's.
        person: Root key of its person, who has no other device.
        heads: Last seq and id of each log it writes.
    """

    keys: DeviceKeys
    person: PersonKey
    heads: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int, number: int) -> Identity:
        """Return the keys of a node; the same for the same arguments."""
        keys = DeviceKeys.from_random(drawn(seed, f"device {number}", 64))
        return cls(keys, PersonKey(drawn(seed, f"person {number}")))

    def certified(self, salt: bytes) -> Block:
        """Sign the device block."""
        root = self.person.signing.public
        certificate = self.person.certify(self.keys.public)
        said = Device(EPOCH_MS, self.keys.sealing_public, root, certificate)
        return self.extend(IDENTITY, DEVICE_KIND, said.encode(salt))

    def extend(self, log: int, kind: str, body: bytes) -> Block:
        """Sign the next block of a log."""
        start = (0, self.heads[IDENTITY][1] if log != IDENTITY else ZEROS)
        seq, previous = self.heads.get(log, start)
        author, size = self.keys.public, len(body)
        header = Header(author, log, seq + 1, previous, None, kind, body_hash(body), size)
        block = sign_block(self.keys.signing, header, body)
        self.heads[log] = (seq + 1, block.id)
        return block


class Node:
    """A node.

    Args:
        number: Its place in the trace.
        seed: Decides all that is random.
        identity: What it signs with.
        commons: What it shares with the other nodes of its world.
        wants: Devices whose logs it wants; None: all of everybody's.
        live: Whether it stays in a meeting once all is equal.
        error_ms: By how much its clock is wrong.
        mail: How much it carries for others; None: no mail at all.
        may_crash: Whether it keeps aside what would survive a crash.

    Attributes:
        policy: What it cares about; ``wants`` is the policy's.
        shelf: What it holds.
        claims: What is being fetched by which of its meetings.
        mailbox: What it has to do with mail, if anything.
        unread: Ids of letters that came and were not read yet.
        ends: Its ends of open links, in the order they were opened.
        is_awake: Whether it is switched on.
        radio: What its links share, where a node has one radio.
    """

    def __init__(  # noqa: PLR0913  what tells one node from another
        self,
        number: int,
        seed: int,
        identity: Identity,
        commons: Commons,
        *,
        wants: Collection[bytes] | None = None,
        live: bool = True,
        error_ms: int = 0,
        mail: MailLimits | None = None,
        may_crash: bool = False,
    ) -> None:
        self.number = number
        self.is_awake = True
        self.ends: dict[End, None] = {}
        self.radio = Radio()
        self._identity = identity
        device, person = identity.keys.public, identity.person.signing.public
        logs = [(who, log) for who in wants or () for log in (IDENTITY, POSTS)]
        named = frozenset(map(commons.key, logs))
        self.policy = Policy(device, person, named=named, public=wants is None, live=live)
        self.wants = self.policy.wants
        self.peer = Peer(device, person)
        self._seed = seed
        self._commons = commons
        self._error_ms = error_ms
        self._runs = 0
        self._dice = Random(drawn(seed, f"room {number}"))
        self._contents = Contents()
        self._safe = Contents() if may_crash else None
        self._store = MemoryStore(new_run=self._new_run, contents=self._contents)
        self.shelf = finished(Shelf.open(self._store, self.policy))
        self.claims = Claims(self.policy.limits.patience)
        self.unread: list[bytes] = []
        self.mailbox = self._mailbox(mail) if mail is not None else None
        self._open_mail()
        salt = drawn(seed, f"salt {number}", 16)
        self.keep(Batch(runs=[Run((self._identity.certified(salt),))]), 0.0, durable=True)

    def _new_run(self) -> bytes:
        self._runs += 1
        return drawn(self._seed, f"run {self.number} {self._runs}", 8)

    def crash(self) -> None:
        """Lose all that was not stored durably; ``restart`` is due.

        Raises:
            RuntimeError: Nothing was kept aside; see ``may_crash``.
        """
        if self._safe is None:
            raise RuntimeError("a node that may crash is made with may_crash")
        self._contents, self.unread = self._safe, []
        self.ends.clear()

    def restart(self) -> None:
        """Forget all but what is stored, as a node does that was switched off."""
        self._contents = self._contents.copy()
        self._store = MemoryStore(new_run=self._new_run, contents=self._contents)
        self.shelf = finished(Shelf.open(self._store, self.policy))
        self.claims = Claims(self.policy.limits.patience)
        self._identity.heads = self._heads()
        self._open_mail()
        self._make_room()

    def _heads(self) -> dict[int, tuple[int, bytes]]:
        """Return where the own logs end in the store: from there on it writes."""
        heads: dict[int, tuple[int, bytes]] = {}
        for log in finished(self._store.logs()):
            if log.author == self.peer.device and log.head:
                (last,) = finished(self._store.read((log.author, log.number), log.head, log.head))
                heads[log.number] = (log.head, last.id)
        return heads

    def _mailbox(self, mail: MailLimits) -> Mailbox:
        limits = replace(mail, bytes=self.policy.quota.mail_bytes)
        return Mailbox(self.policy.device, limits, self._keep_mail)

    def _open_mail(self) -> None:
        if self.mailbox is not None:
            rows = finished(self._store.mail())
            idents = carried(rows)
            sizes = map(len, finished(self._store.envelopes(idents)))
            self.mailbox.restart(self._new_run()[:4], rows, dict(zip(idents, sizes, strict=True)))

    def _keep_mail(self, changes: MailChanges) -> None:
        """Keep what one sends, or has read: others hear of it."""
        batch = Batch(mail=changes.puts, mail_drops=changes.drops)
        self._hear(self._absorb(batch, 0, durable=True))

    def _absorb(self, batch: Batch, seen: int, *, durable: bool = False) -> Absorbed:
        absorbed = finished(self._store.absorb(batch, seen=seen, durable=durable))
        if durable and self._safe is not None:
            self._safe = self._contents.copy()
        return absorbed

    def _hear(self, absorbed: Absorbed) -> None:
        """Tell all open meetings that there is mail, and keep in mind what is to be read."""
        if absorbed.mail and self.mailbox is not None:
            news = self.mailbox.mail.stored(absorbed.mail)
            self.unread += news.letters
            if news.stale:
                self._absorb(Batch(mail_drops=news.stale), 0)
            for end in list(self.ends):
                end.changed({})

    def write(self, text: str, now: float) -> Block:
        """Write a post, and once it is durable tell whoever is in a meeting."""
        salt = drawn(self._seed, f"salt {self.number} {now}", 16)
        said = Post(EPOCH_MS + round(now * 1000), text)
        block = self._identity.extend(POSTS, KIND, said.encode(salt))
        self.keep(Batch(runs=[Run((block,))]), now, durable=True)
        return block

    def keep(self, batch: Batch, now: float, *, durable: bool = False) -> Absorbed:
        """Take a batch into the store, learn what it changed, and tell all open meetings.

        Args:
            batch: What to keep.
            now: Seconds from the start.
            durable: Whether it survives a crash, with all that came before it.
        """
        if batch.runs:
            batch = replace(batch, runs=[self._commons.run(run) for run in batch.runs])
        absorbed = self._take(batch, now, durable=durable)
        self._make_room()
        return absorbed

    def _make_room(self) -> None:
        while (gone := self.shelf.let_go(self._dice)) is not None:
            self._take(gone, 0.0)

    def _take(self, batch: Batch, now: float, *, durable: bool = False) -> Absorbed:
        absorbed = self._absorb(batch, self._clock(now), durable=durable)
        self._hear(absorbed)
        if absorbed.is_news:
            self._share(absorbed)
            changed = self.shelf.catalogue.learn(finished(self.shelf.changes(absorbed)))
            for end in list(self.ends):
                end.changed(changed)
        return absorbed

    def _share(self, absorbed: Absorbed) -> None:
        commons, held = self._commons, self._contents.logs
        absorbed.logs = {key: commons.log(log) for key, log in absorbed.logs.items()}
        for key in absorbed.logs.keys() & held.keys():
            held[commons.key(key)] = commons.log(held.pop(key))

    def answer(self, query: Query) -> Answer:
        """Read what a session asks for."""
        return finished(self.shelf.answer(query))

    def note(self, name: str) -> bytes | None:
        """Return what the node noted under ``name``."""
        return finished(self._store.note(name))

    def _clock(self, now: float) -> int:
        return EPOCH_MS + round(now * 1000) + self._error_ms

    def held(self) -> dict[LogKey, int]:
        """Return how many blocks are held of each log, whatever is missing before them."""
        return {
            key: sum(piece.high - piece.low + 1 for piece in log.pieces)
            for key, log in self.shelf.catalogue.logs.items()
        }
