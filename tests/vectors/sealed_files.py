"""Vectors of whole sealed files: as they were written, cut, damaged, and forged by a reader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gossip.bundle import FRAME_HEAD_BYTES, MAGIC
from gossip.bundle_header import End
from gossip.bundle_sealed import SealedWriter
from ledger.codec import context, encode
from ledger.keys import sha256
from tests.vectors.cast import device, dice, first_block, stretch
from tests.vectors.collection import Collection
from tests.vectors.gossip_vectors import data_bytes, raw_run
from tests.vectors.sealed_fields import ROW, a_header, ends, headers, rows
from tests.vectors.sealed_vectors import chunks, reader, sealed_rows, sealer_to, starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.bundle_header import SealedHeader
    from gossip.sealing import Sealer
    from ledger.keys import DeviceKeys


def sealed() -> Collection:
    file = Collection("sealed bundles: what opens them, what is in them, and whole files")
    starts(file)
    chunks(file)
    sealed_rows(file)
    rows(file)
    headers(file)
    ends(file)
    _whole(file)
    return file


def _framed(*payloads: bytes) -> bytes:
    """Return payloads in frames, every checksum right."""
    digest, parts = sha256(context("bundle") + MAGIC), [MAGIC]
    for payload in payloads:
        digest = sha256(digest + payload)
        parts.append(len(payload).to_bytes(4, "big") + digest[:8] + payload)
    return b"".join(parts)


def _payloads(raw: bytes) -> list[bytes]:
    at, found = len(MAGIC), list[bytes]()
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        found.append(raw[at + FRAME_HEAD_BYTES : at + FRAME_HEAD_BYTES + size])
        at += FRAME_HEAD_BYTES + size
    return found


def _header(sealer: Sealer, row: bytes) -> SealedHeader:
    return replace(a_header(), rows=sealer.rows([(reader(0).sealing_public, row)]))


def _messages() -> list[bytes]:
    return [data_bytes(raw_run([first_block("ada")])), data_bytes(raw_run(stretch("ada", 3)))]


def _written(row: bytes = ROW.encode(), *, is_last: bool = True) -> bytes:
    sealer = sealer_to(2)
    writer = SealedWriter(sealer, device("ada").signing, _header(sealer, row))
    begin = writer.begin() + b"".join(map(writer.message, _messages()))
    return begin + writer.end(4, is_last=is_last)


def _forged(chunks: Sequence[bytes], signer: DeviceKeys, end: tuple[int, int]) -> bytes:
    """Return what a reader can make of a file, who knows the file key.

    Args:
        chunks: What the chunks hold, but for the end.
        signer: Whose signature is under the end.
        end: What it says: frames, and whether it is the last part.
    """
    sealer = sealer_to(2)
    start, stream = sealer.start.encode(), sealer.stream()
    payloads = [start, *map(stream.push, chunks)]
    digest = sha256(context("bundle") + MAGIC)
    for payload in payloads:
        digest = sha256(digest + payload)
    said = End(end[0], 4, 0, is_last=end[1] == 1).sign(signer.signing, digest)
    return _framed(*payloads, stream.push(said, final=True))


def _whole(file: Collection) -> None:
    whole, ada, sealer = _written(), device("ada"), sealer_to(2)
    start, header, first, second, end = _payloads(whole)
    at = len(MAGIC) + FRAME_HEAD_BYTES + len(start) + FRAME_HEAD_BYTES + len(header)
    flipped = bytearray(whole)
    flipped[at + FRAME_HEAD_BYTES + 40] ^= 1
    signed = _header(sealer, ROW.encode()).sign(ada.signing, sha256(start))
    said, eve = _messages(), device("eve")
    good = {
        "whole": whole,
        "not the last part": _written(is_last=False),
        "a row that breaks a rule says nothing": _written(b"no row"),
        "cut after the header": whole[:at],
        "cut before the header": whole[: len(MAGIC) + FRAME_HEAD_BYTES + len(start)],
        "cut in a chunk": whole[: at + 50],
        "cut before the end": whole[: -len(end) - FRAME_HEAD_BYTES],
        "a bit flipped in a chunk": bytes(flipped),
        "the same, and the checksums mended": _framed(*_payloads(bytes(flipped))),
        "a chunk left out, the checksums mended": _framed(start, header, second, end),
        "two chunks changed places": _framed(start, header, second, first, end),
        "a byte after the end": whole + b"\0",
        "a frame of 65,018 bytes": whole[:at] + (65_018).to_bytes(4, "big") + dice("check")[:8],
        "another reader's: a message left out": _forged([signed, said[0]], eve, (2, 1)),
        "another reader's: a message added": _forged([signed, *said, said[0]], eve, (4, 1)),
        "the end of another file": _framed(*_payloads(_forged([signed], ada, (1, 1)))[:-1], end),
        "the end counts another number of frames": _forged([signed, *said], ada, (2, 1)),
        "an end before the header": _forged([], ada, (0, 1)),
    }
    assert _forged([signed, *said], ada, (3, 1)) == whole
    for name, raw in good.items():
        file.good("sealed bundle", name, raw=raw, secret=reader(0).sealing_secret)
    name = "for a device without a row"
    file.good("sealed bundle", name, raw=whole, secret=reader(1).sealing_secret)
    elsewhere = _header(sealer, ROW.encode()).sign(ada.signing, dice("another payload"))
    by_another = replace(a_header(), rows=()).sign(eve.signing, sha256(start))
    bad = {
        "a header that was signed for another file": _forged([elsewhere], ada, (1, 1)),
        "a header that its writer did not sign": _forged([by_another], ada, (1, 1)),
        "a message where the header should be": _forged(said, ada, (2, 1)),
        "cut in its first frame": whole[:40],
        "slots that are none": _framed(encode([1, 1, bytes(32), b"", bytes(24)]), header),
        "an open bundle": _framed(encode([1, 0]), encode([15, 0, 0, 0])),
    }
    for why, raw in bad.items():
        file.bad("sealed bundle", why, raw=raw, secret=reader(0).sealing_secret)
    why = "sealed for others"
    file.bad("sealed bundle", why, raw=whole, secret=reader(2).sealing_secret)
