"""Made-up logs and bundles: blocks of 300 bytes, header, signature and body together."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Final

from gossip.bundle import BundleReader
from gossip.bundle_open import BundleWriter
from gossip.packing import Packer
from gossip.wire import Data, decode_message
from ledger.block import DEVICE_KIND, Header, encode_header
from ledger.keys import SIGNATURE_BYTES, SigningKey, verify
from ledger.kinds.post import KIND
from ledger.run import verify_run
from mesh.writer import Draft, Heads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ledger.block import Block

BLOCK_BYTES: Final = 300
_KEY: Final = bytes(32)
_CHUNK_BYTES: Final = 1 << 16


@cache
def body_bytes(kind: str, log: int, seq: int) -> int:
    """Return the size of the body that makes the block at ``seq`` one of ``BLOCK_BYTES``."""
    header = encode_header(Header(_KEY, log, seq, _KEY, None, kind, _KEY, 100))
    return BLOCK_BYTES - SIGNATURE_BYTES - len(header)


def fill(random: Random, log: int, seq: int, kind: str = KIND) -> Draft:
    """Return a draft of noise for the block at ``seq`` of ``log``."""
    return Draft(log, kind, random.randbytes(body_bytes(kind, log, seq)))


def write_log(random: Random, blocks: int) -> list[Block]:
    """Return the first log of a new device, ``blocks`` long, every block signed."""
    heads = Heads(SigningKey(random.randbytes(32)))
    first = heads.extend(fill(random, 0, 1, DEVICE_KIND))
    return [first, *(heads.extend(fill(random, 0, seq)) for seq in range(2, blocks + 1))]


def write_social(random: Random, posts: int) -> tuple[list[Block], list[Block]]:
    """Return the device block of a new device, and a social log of ``posts`` blocks."""
    heads = Heads(SigningKey(random.randbytes(32)))
    first = heads.extend(fill(random, 0, 1, DEVICE_KIND))
    return [first], [heads.extend(fill(random, 1, seq)) for seq in range(1, posts + 1)]


def write_logs(authors: int, blocks: int) -> list[list[Block]]:
    """Return the logs of as many devices; always the same."""
    random = Random(authors * 1_000_003 + blocks)
    return [write_log(random, blocks) for _ in range(authors)]


def write_socials(authors: int, posts: int) -> tuple[list[list[Block]], list[list[Block]]]:
    """Return the device blocks and the social logs of as many devices; always the same."""
    random = Random(authors * 1_000_003 + posts)
    written = [write_social(random, posts) for _ in range(authors)]
    return [root for root, _ in written], [social for _, social in written]


def log_by_log(logs: Iterable[list[Block]]) -> Iterator[Block]:
    """Yield one whole log after the other."""
    for log in logs:
        yield from log


def in_turns(logs: Iterable[list[Block]]) -> Iterator[Block]:
    """Yield a block of each log, then the next of each; all are of one length."""
    for row in zip(*logs, strict=True):
        yield from row


def write_bundle(path: Path, blocks: Iterable[Block]) -> None:
    """Write a bundle that holds ``blocks`` in this order; only neighbours share a run."""
    writer, packer = BundleWriter(), Packer()
    with path.open("wb") as file:
        file.write(writer.begin())
        for block in blocks:
            for raw in packer.add([block], 0):
                file.write(writer.message(raw))
        for raw in packer.flush():
            file.write(writer.message(raw))
        file.write(writer.end(packer.blocks))


def signatures_due(path: Path) -> int:
    """Return how many signatures whoever imports the bundle at ``path`` has to verify."""
    due = 0

    def counting(public: bytes, message: bytes, signature: bytes) -> bool:
        nonlocal due
        due += 1
        return verify(public, message, signature)

    for raw in _messages(path):
        match decode_message(raw):
            case Data(runs):
                for run in runs:
                    verify_run(run.blocks, counting)
            case _:
                continue
    return due


def _messages(path: Path) -> Iterator[bytes]:
    reader = BundleReader()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield from reader.feed(chunk)
