"""The mail that a home carries, between the store and those who take and give it.

Lives are counted down by the time that passes here, and by nobody's calendar: what passed while
the home was open, and of the time between only so much as a clock can be believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gossip.carried import STRANGER, MailChanges
from gossip.envelope import Parcel, Receipt, decode_envelope
from gossip.mail import Mail
from gossip.postal import Envelopes, Tokens
from gossip.wire import encode_message
from ledger.codec import decode, encode
from ledger.errors import InvalidError
from ledger.store.base import Batch, MailWhat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gossip.bundle import BundleReader
    from gossip.mail_room import MailLimits
    from ledger.store.base import MailRow, Store

MAX_GAP_S: Final = 24 * 3_600
"""Of the time between two openings so much counts at most: a clock may have jumped."""
TOGETHER_BYTES: Final = 16_384
_ELAPSED: Final = "elapsed"
_TOKENS: Final = 256
_LOADED: Final = 64
_NOTE_BYTES: Final = 64
_HEAD_BYTES: Final = 24


@dataclass(slots=True)
class Mailbag:
    """The mail of an open home.

    Attributes:
        mail: What it carries.
        store: Where that is kept.
        began: When the home was opened, ms since 1970 by its clock.
        now_ms: Gives that clock's time; of it only differences count.
        elapsed: The home's elapsed time when it was opened, seconds.
    """

    mail: Mail
    store: Store
    began: int
    now_ms: Callable[[], int]
    elapsed: int

    @classmethod
    async def open(
        cls,
        store: Store,
        own: bytes,
        *,
        now_ms: Callable[[], int],
        run: bytes,
        limits: MailLimits | None = None,
    ) -> Mailbag:
        """Read the mail that ``store`` holds.

        Args:
            store: Where it is kept.
            own: This node's device.
            now_ms: Gives ms since 1970.
            run: 4 random bytes.
            limits: How much is carried.

        Raises:
            StoreError: It cannot be read.
        """
        now = now_ms()
        elapsed, then = _read_elapsed(await store.note(_ELAPSED), now)
        elapsed += min(max(now - then, 0) // 1_000, MAX_GAP_S)
        mail = Mail(own, run, limits, elapsed)
        rows = await store.mail()
        idents = [row.ident for row in rows if row.what is MailWhat.CARRIED]
        sizes: dict[bytes, int] = {}
        for at in range(0, len(idents), _LOADED):
            some = idents[at : at + _LOADED]
            sizes |= zip(some, map(len, await store.envelopes(some)), strict=True)
        mail.load(rows, sizes)
        old = mail.expire(0.0)
        if old.drops:
            await store.absorb(Batch(mail_drops=old.drops), seen=0, durable=False)
        return cls(mail, store, now, now_ms, elapsed)

    @property
    def now(self) -> float:
        """Seconds since the home was opened; never less than 0, nor more than a gap counts."""
        return min(max((self.now_ms() - self.began) / 1_000, 0.0), float(MAX_GAP_S))

    def note(self) -> dict[str, bytes | None]:
        """Return the note that keeps the elapsed time, if there is anything that it matters to."""
        if not (self.mail.carried or self.mail.tokens or self.mail.gone):
            return {}
        return {_ELAPSED: encode((self.mail.elapsed(self.now), self.now_ms()))}

    async def stored(self, rows: Sequence[MailRow]) -> None:
        """Note that rows are in the store; drop those that were let go meanwhile."""
        news = self.mail.stored(rows)
        if news.stale:
            await self.store.absorb(Batch(mail_drops=news.stale), seen=0, durable=False)

    # --- out ---

    async def messages(self, room: int | None) -> Posted:
        """Return what goes into a bundle: tokens, then envelopes, the youngest first.

        Args:
            room: Bytes for messages; None for any number.
        """
        posted = Posted.nothing()
        posted.room = room
        for raw in self._tokens():
            posted.add(raw)
        alive = [one for one in self.mail.carried.values() if not one.is_single]
        alive.sort(key=lambda one: (-one.until, one.id))
        for at in range(0, len(alive), _LOADED):
            idents = [one.id for one in alive[at : at + _LOADED]]
            parcels: list[tuple[bytes, Parcel]] = []
            for ident, raw in zip(idents, await self.store.envelopes(idents), strict=True):
                beside = self.mail.beside(ident, self.now)
                if raw and beside is not None:
                    parcels.append((ident, Parcel(raw, *beside)))
            for some in _together(parcels):
                message = encode_message(Envelopes([parcel for _, parcel in some]))
                if posted.add(message, len(some)):
                    for ident, _ in some:
                        posted.changes.add(self.mail.given(ident))
        return posted

    async def gave(self, posted: Posted) -> None:
        """Keep what giving ``posted`` away has changed."""
        notes, changes = self.note(), posted.changes
        if notes:
            batch = Batch(notes=notes, mail=changes.puts, mail_drops=changes.drops)
            await self.store.absorb(batch, seen=0, durable=True)

    def _tokens(self) -> Iterator[bytes]:
        now, reads = self.now, sorted(self.mail.tokens.values(), key=lambda read: -read.serial)
        receipts = [Receipt(r.tag, r.token, self.mail.life(r.until, now)) for r in reads]
        alive = [receipt for receipt in receipts if receipt.life > 0]
        for at in range(0, len(alive), _TOKENS):
            yield encode_message(Tokens(alive[at : at + _TOKENS]))

    # --- in ---

    def take(self, message: Envelopes | Tokens, depositor: bytes = STRANGER) -> Taken:
        """Take mail that a bundle brought.

        Args:
            message: It.
            depositor: Whose device wrote the bundle, where it says so.
        """
        taken = Taken(MailChanges(), 0, 0)
        if isinstance(message, Tokens):
            for receipt in message.receipts:
                taken.changes.add(self.mail.learn(receipt, self.now))
            return taken
        for parcel in message.parcels:
            try:
                envelope = decode_envelope(parcel.raw)
            except InvalidError:
                taken.refused += 1
                continue
            change = self.mail.take(envelope, parcel, depositor, self.now)
            taken.changes.add(change)
            taken.new += bool(change.puts)
        return taken


@dataclass(slots=True)
class Posted:
    """Mail that goes into a bundle.

    Attributes:
        messages: Encoded.
        envelopes: How many are in them.
        size: Bytes of all of them, with what a frame adds.
        changes: What is to be stored of that.
        room: Bytes that are left; None for any number.
    """

    messages: list[bytes]
    envelopes: int
    size: int
    changes: MailChanges
    room: int | None

    @classmethod
    def nothing(cls) -> Posted:
        """Return no mail at all."""
        return cls([], 0, 0, MailChanges(), None)

    def add(self, message: bytes, envelopes: int = 0) -> bool:
        """Add a message, if there is room for it."""
        size = len(message) + _HEAD_BYTES
        if self.room is not None:
            if size > self.room:
                return False
            self.room -= size
        self.messages.append(message)
        self.size += size
        self.envelopes += envelopes
        return True


@dataclass(slots=True)
class Taken:
    """What became of mail that a bundle brought.

    Attributes:
        changes: What is to be stored.
        new: Envelopes that were taken.
        refused: Those that are none.
    """

    changes: MailChanges
    new: int
    refused: int


@dataclass(slots=True)
class PostIn:
    """Mail of a bundle on its way into a store.

    Attributes:
        mailbag: Takes it.
        reader: Knows who wrote the bundle.
        new: Envelopes taken so far.
        refused: Those that are none.
    """

    mailbag: Mailbag
    reader: BundleReader | None = None
    new: int = 0
    refused: int = 0
    _changes: MailChanges = field(default_factory=MailChanges)

    def take(self, message: Envelopes | Tokens) -> None:
        """Take a message of mail."""
        header = None if self.reader is None else self.reader.header
        taken = self.mailbag.take(message, STRANGER if header is None else header.device)
        self._changes.add(taken.changes)
        self.new += taken.new
        self.refused += taken.refused

    def into(self, batch: Batch) -> Batch:
        """Return a batch with what was taken so far."""
        changes, self._changes = self._changes, MailChanges()
        notes = {**batch.notes, **self.mailbag.note()}
        return replace(batch, mail=changes.puts, mail_drops=changes.drops, notes=notes)


def _together(parcels: list[tuple[bytes, Parcel]]) -> Iterator[list[tuple[bytes, Parcel]]]:
    some: list[tuple[bytes, Parcel]] = []
    size = 0
    for ident, parcel in parcels:
        if some and size + len(parcel.raw) > TOGETHER_BYTES:
            yield some
            some, size = [], 0
        some.append((ident, parcel))
        size += len(parcel.raw) + _HEAD_BYTES
    if some:
        yield some


def _read_elapsed(note: bytes | None, now: int) -> tuple[int, int]:
    """Return elapsed seconds and when they were noted; nothing passed where that is damaged."""
    try:
        match None if note is None else decode(note, _NOTE_BYTES):
            case [int(elapsed), int(then)] if elapsed >= 0:
                return elapsed, then
            case _:
                return 0, now
    except InvalidError:
        return 0, now
