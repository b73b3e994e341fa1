"""How Python reads vectors of bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.block import Block, block_id, decode_header
from ledger.kinds.body import SealedError, read_open
from ledger.kinds.device import Device, person_of
from ledger.kinds.half import AgreementBody, WithdrawalBody, read_half
from ledger.kinds.post import Post
from ledger.kinds.profile import Profile
from tests.vectors.showing import hexed, shown

if TYPE_CHECKING:
    from ledger.kinds.body import Reference


def read_body(given: dict[str, Any]) -> dict[str, Any]:
    """Read a body of a kind that is not known, or what is outside of any body."""
    try:
        time, fields = read_open(hexed(given["body"]))
    except SealedError:
        return {"sealed": True}
    return {"time": time, "fields": shown(fields)}


def read_device(given: dict[str, Any]) -> dict[str, Any]:
    body, author = hexed(given["body"]), hexed(given["author"])
    said = Device.decode(body)
    return {
        "time": said.time,
        "sealing": said.sealing.hex(),
        "person": said.person.hex(),
        "certificate": said.certificate.hex(),
        "rest": shown(list(said.rest)),
        "belongs_to": person_of(author, body).hex(),
    }


def read_profile(given: dict[str, Any]) -> dict[str, Any]:
    said = Profile.decode(hexed(given["body"]))
    rest = shown(list(said.rest))
    return {"time": said.time, "name": said.name, "about": said.about, "rest": rest}


def read_post(given: dict[str, Any]) -> dict[str, Any]:
    said = Post.decode(hexed(given["body"]))
    return {
        "time": said.time,
        "text": said.text,
        "reply_to": said.reply_to and _shown_reference(said.reply_to),
        "attachments": [[a.hash.hex(), a.size, a.type, a.name] for a in said.attachments],
        "rest": shown(list(said.rest)),
    }


def _shown_reference(reference: Reference) -> dict[str, Any]:
    return {
        "author": reference.author.hex(),
        "log": reference.log,
        "seq": reference.seq,
        "id": reference.id.hex(),
    }


def read_agreement_body(given: dict[str, Any]) -> dict[str, Any]:
    said = AgreementBody.decode(hexed(given["body"]))
    proposal, rest = _shown_reference(said.proposal), shown(list(said.rest))
    return {"time": said.time, "proposal": proposal, "head": said.head, "rest": rest}


def read_withdrawal_body(given: dict[str, Any]) -> dict[str, Any]:
    said = WithdrawalBody.decode(hexed(given["body"]))
    rest = shown(list(said.rest))
    return {"time": said.time, "proposal": said.proposal.hex(), "rest": rest}


def read_half_block(given: dict[str, Any]) -> dict[str, Any]:
    """Read a block as a part of a two-party record; each device is its own person."""
    raw, body = hexed(given["header"]), given["body"]
    block = Block(
        decode_header(raw), raw, block_id(raw), b"", None if body is None else hexed(body)
    )
    record = read_half(block, lambda author: author)
    if record is None:
        return {"is": None}
    fields = record._asdict().items()
    values = {name: v.hex() if isinstance(v, bytes) else v for name, v in fields}
    return {"is": type(record).__name__.lower()} | values
