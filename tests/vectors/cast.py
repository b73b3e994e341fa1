"""The people, devices and logs that the vectors are about: always the same ones."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from ledger.block import ZEROS, Block, Counterparty, Header, body_hash, sign_block
from ledger.codec import encode
from ledger.keys import DeviceKeys, PersonKey

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME = 1_750_000_000_000
"""Milliseconds since 1970 that the bodies claim."""


def dice(what: str) -> bytes:
    """Return 32 bytes that look random and are always the same for ``what``."""
    return sha256(b"passalong vectors: " + what.encode()).digest()


def person(name: str) -> PersonKey:
    return PersonKey(dice(f"person {name}"))


def device(name: str) -> DeviceKeys:
    return DeviceKeys.from_random(dice(f"device {name}") + dice(f"sealing {name}"))


def body(salt: str, *fields: object) -> bytes:
    """Return an open body, written at ``TIME``."""
    return dice(f"salt {salt}")[:16] + encode((0, TIME, *fields))


def device_body(keys: DeviceKeys, owner: PersonKey, salt: str = "device") -> bytes:
    certificate = owner.certify(keys.public)
    return body(salt, keys.sealing_public, owner.signing.public, certificate)


def block(
    keys: DeviceKeys,
    log: int,
    seq: int,
    previous: bytes,
    content: bytes,
    *,
    kind: str = "post",
    counterparty: Counterparty | None = None,
) -> Block:
    header = Header(
        keys.public, log, seq, previous, counterparty, kind, body_hash(content), len(content)
    )
    return sign_block(keys.signing, header, content)


def first_block(name: str) -> Block:
    """Return (log 0, seq 1) of ``name``'s device."""
    keys = device(name)
    content = device_body(keys, person(name), f"{name} device")
    return block(keys, 0, 1, ZEROS, content, kind="device")


def stretch(
    name: str,
    count: int,
    *,
    log: int = 1,
    low: int = 1,
    previous: bytes | None = None,
    story: str = "",
) -> list[Block]:
    """Return ``count`` linked posts of ``name``; another ``story`` is another branch.

    Without ``previous`` they follow (log 0, seq 1), or a block that nobody has seen.
    """
    if previous is None:
        previous = first_block(name).id if low == 1 else dice(f"unseen {name} {log} {low}")
    blocks: list[Block] = []
    for seq in range(low, low + count):
        text = f"{name} {log}/{seq} {story}".strip()
        blocks.append(block(device(name), log, seq, previous, body(text, text, None, [])))
        previous = blocks[-1].id
    return blocks


def raw_header(**changes: object) -> bytes:
    """Return the bytes of an ordinary header with some of its fields replaced, unchecked."""
    fields = stretch("ada", 2)[1].header._asdict() | changes
    return encode((changes.get("version", 1), *[fields[name] for name in Header._fields]))


def triples(blocks: Sequence[Block], signed: Sequence[int] | None = None) -> list[list[str | None]]:
    """Return ``blocks`` as a run travels, in hex; signatures only at ``signed`` (None: all)."""
    return [
        [
            b.raw.hex(),
            b.signature.hex() if signed is None or b.header.seq in signed else "",
            None if b.body is None else b.body.hex(),
        ]
        for b in blocks
    ]
