"""Vectors of bundles: whole, cut, damaged, and not ours."""

from __future__ import annotations

from gossip.bundle import FRAME_HEAD_BYTES, MAGIC
from gossip.bundle_open import BundleWriter
from ledger.codec import context, encode
from ledger.keys import sha256
from tests.vectors.cast import dice, first_block, stretch
from tests.vectors.collection import Collection
from tests.vectors.evidence_vectors import statement_bytes
from tests.vectors.gossip_vectors import a_proof, data_bytes, raw_run

_HASH = dice("some hash")


def _frames(*payloads: bytes) -> list[bytes]:
    """Return the magic and a frame for each payload, checksummed in this order."""
    digest, parts = sha256(context("bundle") + MAGIC), [MAGIC]
    for payload in payloads:
        digest = sha256(digest + payload)
        parts.append(len(payload).to_bytes(4, "big") + digest[:8] + payload)
    return parts


def bundles() -> Collection:
    file = Collection(
        "bundles: the messages taken, and how it ends: whole, cut, damaged, or with more after it"
    )
    first, three = first_block("ada"), stretch("ada", 3)
    header, data = encode([1, 0]), data_bytes(raw_run([first]), raw_run(three))
    others = [encode([9, [list(statement_bytes().values())]]), encode([10, [a_proof()]])]
    writer = BundleWriter()
    small = [writer.begin(), writer.message(data_bytes(raw_run([first]))), writer.end(1)]
    assert b"".join(small) == b"".join(
        _frames(header, data_bytes(raw_run([first])), encode([15, 1, 1, 0]))
    )
    file.good("bundle", "one block", raw=b"".join(small))
    end = encode([15, 3, 4, 0])
    parts = _frames(header, data, *others, end)
    file.good("bundle", "four blocks, a statement and a proof", raw=b"".join(parts))
    nothing = _frames(header, encode([15, 0, 0, 0]))
    file.good("bundle", "empty", raw=b"".join(nothing))
    strange = _frames(encode([1, 0, "later"]), encode([200, "later"]), encode([15, 1, 0, 0]))
    file.good("bundle", "with a later version's field and message", raw=b"".join(strange))
    no_trailer = _frames(header, encode([15, 0, 0]), encode([15, 1, 0, 0]))
    file.good("bundle", "15 with three items is no trailer", raw=b"".join(no_trailer))
    _damaged(file, parts)
    broken = {
        "trailer counts another number of frames": encode([15, 4, 4, 0]),
        "trailer counts -1 blocks": encode([15, 3, -1, 0]),
        "trailer counts 2^53 envelopes": encode([15, 3, 4, 2**53]),
        "trailer in a longer spelling": b"\x84\x0f\x18\x03\x04\x00",
    }
    for name, trailer in broken.items():
        file.good("bundle", name, raw=b"".join(_frames(header, data, *others, trailer)))
    _not_ours(file, parts)
    return file


def _damaged(file: Collection, parts: list[bytes]) -> None:
    magic, header, data, statement, proof, end = parts
    whole = b"".join(parts)
    at = len(magic + header)
    flipped = bytearray(whole)
    flipped[at + FRAME_HEAD_BYTES + 200] ^= 1
    check = bytearray(whole)
    check[at + len(data) + 5] ^= 1
    start = magic + header + data
    cases = {
        "cut before the first message": whole[:at],
        "cut in a frame's size": whole[: at + 3],
        "cut in a checksum": whole[: at + 9],
        "cut one byte before the end of a frame": whole[: at + len(data) - 1],
        "cut after a frame": start,
        "cut in the second frame": start + statement[:50],
        "cut before the trailer": whole[: -len(end)],
        "cut in the trailer": whole[:-1],
        "a bit flipped in the first message": bytes(flipped),
        "a bit flipped in the second checksum": bytes(check),
        "two frames changed places": start + proof + statement + end,
        "a frame left out": start + proof + end,
        "a frame twice": start + statement + statement + proof + end,
        "a frame of no bytes": start + bytes(4) + dice("check")[:8],
        "a frame of 65,001 bytes": start + (65_001).to_bytes(4, "big") + dice("check")[:8],
        "a frame of 4 GiB": start + b"\xff" * 12,
        "a byte after the end": whole + b"\0",
        "another bundle after the end": whole + whole,
    }
    for name, raw in cases.items():
        file.good("bundle", name, raw=raw)


def _not_ours(file: Collection, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    header = bytearray(whole)
    header[len(MAGIC) + FRAME_HEAD_BYTES] ^= 1
    cases = {
        "nothing": b"",
        "half of the magic": MAGIC[:4],
        "only the magic": MAGIC,
        "cut in the header": whole[: len(MAGIC) + FRAME_HEAD_BYTES],
        "another file": b"%PDF-1.7\n" + bytes(50),
        "a bit of the magic flipped": b"\x09" + whole[1:],
        "line ends rewritten": whole.replace(b"\r\n", b"\n", 1),
        "a byte before it": b"\0" + whole,
        "the header is damaged": bytes(header),
        "the header frame is of no bytes": MAGIC + bytes(12),
        "version 2": b"".join(_frames(encode([2, 0]), encode([15, 0, 0, 0]))),
        "version 0": b"".join(_frames(encode([0, 0]), encode([15, 0, 0, 0]))),
        "sealed": b"".join(_frames(encode([1, 1]), encode([15, 0, 0, 0]))),
        "purpose -1": b"".join(_frames(encode([1, -1]), encode([15, 0, 0, 0]))),
        "no purpose": b"".join(_frames(encode([1]), encode([15, 0, 0, 0]))),
        "the header is not an array": b"".join(_frames(encode(1), encode([15, 0, 0, 0]))),
        "a trailer instead of a header": b"".join(_frames(encode([15, 0, 0, 0]))),
    }
    for why, raw in cases.items():
        file.bad("bundle", why, raw=raw)
