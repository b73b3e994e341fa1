"""The bytes of messages that steer a meeting; ``gossip.control_reader`` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.control import (
    Ack,
    Announce,
    Buckets,
    Bye,
    Credit,
    Done,
    Entries,
    Hello,
    Ids,
    New,
    Root,
    Vector,
    Want,
)
from gossip.number import Number
from ledger.codec import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.control import Control, Mention


def encode_control(message: Control) -> bytes:
    """Return the bytes of ``message``; keeping to the frame limit is the caller's."""
    return encode(_fields(message))


def _fields(  # noqa: C901, PLR0911, PLR0912  one line a message
    message: Control,
) -> tuple[object, ...]:
    match message:
        case Hello(versions, features, frame_limit, window, budget, contact, mail, parts):
            told = contact and (*contact[:2], contact.seen and contact.seen.fields())
            said = (Number.HELLO.value, versions, features, frame_limit, window, budget, told)
            of_mail = mail and (*mail[:2], mail.seen and mail.seen.fields())
            more = (of_mail, parts) if parts else (of_mail,) if mail else ()
            return (*said, *more)
        case New(valid, low, high, last, mentions):
            return (Number.NEW.value, valid, low, high, int(last), _flat(mentions))
        case Root(tells, scopes):
            rows = [(row.scope, row.root, row.count) for row in scopes]
            return (Number.ROOT.value, int(tells), rows)
        case Buckets(scope, digests):
            return (Number.BUCKETS.value, scope, digests)
        case Vector(scope, last, mentions):
            return (Number.VECTOR.value, scope, int(last), _flat(mentions))
        case Want(requests):
            asked = [(r.index, r.rank, r.mode.value, *r.args) for r in requests]
            return (Number.WANT.value, asked)
        case Credit(total):
            return (Number.CREDIT.value, total)
        case Ack(pages, seen):
            return (Number.ACK.value, pages, seen and seen.fields())
        case Announce(run, low, high, mentions):
            return (Number.ANNOUNCE.value, run, low, high, _flat(mentions))
        case Entries(rows):
            return (
                Number.ENTRIES.value,
                [(row.index, row.entry.encode(), row.branches) for row in rows],
            )
        case Ids(index, low, step, ids):
            return (Number.IDS.value, index, low, step, ids)
        case Done(rows):
            return (
                Number.DONE.value,
                [(row.index, row.mode.value, row.reason.value) for row in rows],
            )
        case Bye():
            return (Number.BYE.value,)


def _flat(mentions: Sequence[Mention]) -> list[object]:
    """Mentions follow one another without arrays of their own: that is a byte less for each."""
    flat: list[object] = []
    for name, seq, plain, check, evidence in mentions:
        flat += name if isinstance(name, tuple) else (name,)
        flat += (seq if plain else -1 - seq, check + evidence)
    return flat
