"""How Python reads vectors of the messages that steer a meeting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gossip import control
from gossip.cursor import Seen, decode_seen, unseen
from tests.vectors.showing import hexed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.control import Control, Greeting, MailGreeting, Mention


def shown_control(message: Control) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912  one a message
    match message:
        case control.Hello(versions, features, frame, window, budget, contact, mail, parts):
            return {
                "hello": {
                    "versions": [str(version) for version in versions],
                    "features": str(features),
                    "frame": frame,
                    "window": window,
                    "budget": budget,
                    "contact": _shown_greeting(contact),
                    "mail": _shown_mail(mail),
                    "parts": parts.hex(),
                }
            }
        case control.New(valid, low, high, last, mentions):
            page = {"valid": valid, "low": low, "high": high, "last": last}
            return {"new": page | _shown_mentions(mentions)}
        case control.Root(tells, scopes):
            rows = [[row.scope.hex(), row.root.hex(), row.count] for row in scopes]
            return {"root": {"tells": tells, "scopes": rows}}
        case control.Buckets(scope, digests):
            return {"buckets": {"scope": scope.hex(), "digests": digests.hex()}}
        case control.Vector(scope, last, mentions):
            return {"vector": {"scope": scope.hex(), "last": last} | _shown_mentions(mentions)}
        case control.Want(requests):
            return {"want": [_shown_request(request) for request in requests]}
        case control.Credit(total):
            return {"credit": total}
        case control.Ack(pages, seen):
            return {"ack": {"pages": pages, "seen": seen and shown_seen(seen)}}
        case control.Announce(run, low, high, mentions):
            covers = {"run": run.hex(), "low": low, "high": high}
            return {"announce": covers | _shown_mentions(mentions)}
        case control.Entries(rows):
            return {"entries": [[r.index, r.entry.encode().hex(), r.branches.hex()] for r in rows]}
        case control.Ids(index, low, step, ids):
            return {"ids": {"index": index, "low": low, "step": step, "ids": ids.hex()}}
        case control.Done(rows):
            return {"done": [[row.index, row.mode.name, row.reason.name] for row in rows]}
        case control.Bye():
            return {"bye": []}


def _shown_greeting(told: Greeting | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {"run": told.run.hex(), "lsn": told.lsn, "seen": told.seen and shown_seen(told.seen)}


def _shown_mail(told: MailGreeting | None) -> dict[str, Any] | None:
    if told is None:
        return None
    seen = told.seen and shown_seen(told.seen)
    return {"run": told.run.hex(), "serial": told.serial, "seen": seen}


def _shown_mentions(mentions: Sequence[Mention]) -> dict[str, Any]:
    return {"mentions": [_shown_mention(mention) for mention in mentions]}


def _shown_mention(mention: Mention) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seq": mention.seq,
        "plain": mention.plain,
        "check": mention.check.hex(),
        "evidence": mention.evidence.hex(),
    }
    match mention.name:
        case int(index):
            return {"index": index} | shown
        case bytes(short):
            return {"short": short.hex()} | shown
        case author, log:
            return {"author": author.hex(), "log": log} | shown


def _shown_request(request: control.Request) -> dict[str, Any]:
    args = [arg.hex() if isinstance(arg, bytes) else arg for arg in request.args]
    return {
        "index": request.index,
        "class": request.rank,
        "mode": request.mode.name,
        "args": args,
    }


def shown_seen(seen: Seen) -> dict[str, Any]:
    return {"run": seen.run.hex(), "ranges": [list(both) for both in seen.ranges]}


def read_seen(given: dict[str, Any]) -> dict[str, Any]:
    return shown_seen(decode_seen(hexed(given["raw"])))


def read_gaps(given: dict[str, Any]) -> dict[str, Any]:
    """Read what a contact has not seen: of his ranges those count that are not above ``valid``."""
    seen = Seen(bytes(8), tuple((low, high) for low, high in given["ranges"]))
    return {"gaps": [list(both) for both in unseen(seen.clipped(given["valid"]), given["lsn"])]}
