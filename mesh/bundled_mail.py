"""Mail that goes into a bundle, and mail that comes out of one.

Nobody knows whose mail it is that a sealed bundle brings before its writer's signature over all of
it was seen: every reader of a bundle knows its key, and could put mail into it in the writer's
name, to have it count against his share. So mail waits for the end, as much of it as is kept in
memory; what cannot wait, and all that comes without a good end, counts as a stranger's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gossip.carried import STRANGER, MailChanges
from gossip.envelope import Envelope, Parcel, Receipt, decode_envelope
from gossip.postal import Envelopes, Tokens
from gossip.wire import encode_message
from ledger.errors import InvalidError
from ledger.store.base import Batch
from mesh.acknowledging import person_of_writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gossip.bundle import BundleReader
    from ledger.store.base import Absorbed
    from mesh.mailbag import Mailbag
    from mesh.meeting import Keeper
    from mesh.readers import Bearer

TOGETHER_BYTES: Final = 16_384
"""Of envelopes in one message, about."""
WAITING_BYTES: Final = 4 << 20
"""Of envelopes that wait for the end of a sealed bundle."""
_TOKENS: Final = 256
_LOADED: Final = 64
_HEAD_BYTES: Final = 24


# --- out ---


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

    messages: list[bytes] = field(default_factory=list)
    envelopes: int = 0
    size: int = 0
    changes: MailChanges = field(default_factory=MailChanges)
    room: int | None = None

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


async def post_mail(mailbag: Mailbag, room: int | None) -> Posted:
    """Return what goes into a bundle: tokens, then envelopes, the youngest first.

    Args:
        mailbag: What is carried.
        room: Bytes for messages; None for any number.
    """
    posted = Posted(room=room)
    for raw in _tokens(mailbag):
        posted.add(raw)
    alive = [one for one in mailbag.mail.carried.values() if not one.is_single]
    alive.sort(key=lambda one: (-one.until, one.id))
    for at in range(0, len(alive), _LOADED):
        parcels = await _load(mailbag, [one.id for one in alive[at : at + _LOADED]])
        for some in _together(parcels):
            message = encode_message(Envelopes([parcel for _, parcel in some]))
            if posted.add(message, len(some)):
                for ident, _ in some:
                    posted.changes.add(mailbag.mail.given(ident))
    return posted


def _tokens(mailbag: Mailbag) -> Iterator[bytes]:
    mail, now = mailbag.mail, mailbag.now
    reads = sorted(mail.tokens.values(), key=lambda read: -read.serial)
    receipts = [Receipt(read.tag, read.token, mail.life(read.until, now)) for read in reads]
    alive = [receipt for receipt in receipts if receipt.life > 0]
    for at in range(0, len(alive), _TOKENS):
        yield encode_message(Tokens(alive[at : at + _TOKENS]))


async def _load(mailbag: Mailbag, idents: list[bytes]) -> list[tuple[bytes, Parcel]]:
    parcels: list[tuple[bytes, Parcel]] = []
    for ident, raw in zip(idents, await mailbag.store.envelopes(idents), strict=True):
        beside = mailbag.mail.beside(ident, mailbag.now)
        if raw and beside is not None:
            parcels.append((ident, Parcel(raw, *beside)))
    return parcels


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


# --- in ---


@dataclass(slots=True)
class PostIn:
    """Mail of a bundle on its way into a store, with all else that the bundle brings.

    Attributes:
        mailbag: Takes it.
        keeper: Takes batches, and lets the mailbag know what is stored of them.
        reader: Of the bundle, once that is being read.
        new: Envelopes taken so far.
        refused: Those that are none.
    """

    mailbag: Mailbag
    keeper: Keeper
    reader: BundleReader | None = None
    new: int = 0
    refused: int = 0
    _changes: MailChanges = field(default_factory=MailChanges)
    _waiting: list[tuple[Envelope, Parcel]] = field(default_factory=list)
    _room: int = WAITING_BYTES

    def take(self, message: Envelopes | Tokens) -> None:
        """Take a message of mail."""
        if isinstance(message, Tokens):
            for receipt in message.receipts:
                self._changes.add(self.mailbag.mail.learn(receipt, self.mailbag.now))
            return
        for parcel in message.parcels:
            try:
                envelope = decode_envelope(parcel.raw)
            except InvalidError:
                self.refused += 1
                continue
            self._sort(envelope, parcel)

    def _sort(self, envelope: Envelope, parcel: Parcel) -> None:
        is_sealed = self.reader is not None and self.reader.header is not None
        if is_sealed and len(parcel.raw) <= self._room:
            self._room -= len(parcel.raw)
            self._waiting.append((envelope, parcel))
        else:
            self._take(envelope, parcel, STRANGER)

    def _take(self, envelope: Envelope, parcel: Parcel, depositor: bytes) -> None:
        mail = self.mailbag.mail
        if envelope.id in mail.carried:
            self._changes.add(mail.vouched(envelope.id, depositor, parcel.copies))
            return
        change = mail.take(envelope, parcel, depositor, self.mailbag.now)
        self._changes.add(change)
        self.new += bool(change.puts)

    async def absorb(self, batch: Batch, *, seen: int, durable: bool) -> Absorbed:
        """Have a batch kept together with the mail that was taken so far."""
        changes, self._changes = self._changes, MailChanges()
        whole = replace(batch, mail=changes.puts, mail_drops=changes.drops)
        return await self.keeper.absorb(self.mailbag.dated(whole), seen=seen, durable=durable)

    async def end(self, bearer: Bearer | None, *, seen: int) -> None:
        """Take what waited for the end of the bundle, now that it is known whose it is."""
        waiting, self._waiting = self._waiting, []
        depositor = await depositor_of(self.reader, bearer)
        for envelope, parcel in waiting:
            self._take(envelope, parcel, depositor)
        if self._changes.puts or self._changes.drops:
            await self.absorb(Batch(), seen=seen, durable=True)


async def depositor_of(reader: BundleReader | None, bearer: Bearer | None) -> bytes:
    """Return whose the mail of a bundle is, now that it was read.

    It is its writer's if he signed all of it, and is another device of this person or of one whom
    he follows. Keys of devices cost nothing: if all counted, everybody had as many shares as he
    likes.
    """
    if bearer is None or reader is None or reader.end is None or reader.damage is not None:
        return STRANGER
    header = reader.header
    if header is None or header.device == bearer.policy.device:
        return STRANGER
    person = await person_of_writer(bearer.store, header.device)
    is_known = person == bearer.policy.person or person in bearer.policy.followed
    return header.device if is_known else STRANGER
