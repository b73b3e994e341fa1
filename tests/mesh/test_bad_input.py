"""Bad input: one clear line, and a home that is as it was before."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

from gossip.bundle import FRAME_HEAD_BYTES, MAGIC
from gossip.wire import Data, RawRun, encode_message
from ledger.block import BLOCK_CONTEXT, body_hash
from ledger.codec import encode
from mesh.direct import init_home, open_port
from mesh.paths import STORE
from mesh.port import PortError
from tests.gossip.held import bundle, raw_run
from tests.mesh.places import World
from tests.strategies import SOCIAL, Device, device_keys, make_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.block import Block
    from ledger.codec import Value
    from ledger.run import RawBlock
    from mesh.port import File
    from mesh.rows import Imported

BODY = make_body("hello")


@pytest.fixture
def world() -> World:
    """Give a clock and dice."""
    return World()


@pytest.fixture
async def home(tmp_path: Path, world: World) -> Path:
    """Give a home that holds something."""
    folder = tmp_path / "home"
    await init_home(folder, "Ada", world.around)
    async with open_port(folder, world.around) as port:
        await port.post("before")
        await port.import_bundle(BytesIO(bundle([message(raw_run([Device(1).root]))])))
    return folder


def contents(home: Path) -> list[str]:
    """Return every row of the home's database."""
    with closing(sqlite3.connect(home / STORE)) as db:
        return list(db.iterdump())


def message(*runs: RawRun) -> bytes:
    return encode_message(Data(runs))


async def take(home: Path, world: World, source: File) -> Imported:
    async with open_port(home, world.around) as port:
        return await port.import_bundle(source)


# --- blocks that do not hold --------------------------------------------------------------------


def wild(**changes: Value) -> RawBlock:
    """Sign the first post of a device with some fields changed to what they must not be."""
    device = Device(1)
    fields: dict[str, Value] = {
        "version": 1,
        "author": device.public,
        "log": SOCIAL,
        "seq": 1,
        "previous": device.root.id,
        "counterparty": None,
        "kind": "post",
        "body_hash": body_hash(BODY),
        "body_size": len(BODY),
        "ext": b"",
    }
    raw = encode(list((fields | changes).values()))
    return raw, device.keys.signing.sign(BLOCK_CONTEXT + raw), BODY


def respelled() -> RawBlock:
    """Spell the log's number in two bytes where one will do."""
    raw, _, body = wild()
    longer = raw[:36] + b"\x18\x01" + raw[37:]
    assert raw[36] == SOCIAL
    return longer, device_keys(1).signing.sign(BLOCK_CONTEXT + longer), body


def signed_by(number: int) -> RawBlock:
    raw, _, body = wild()
    return raw, device_keys(number).signing.sign(BLOCK_CONTEXT + raw), body


def other_context() -> RawBlock:
    raw, _, body = wild()
    return raw, device_keys(1).signing.sign(b"othernet/block/1" + raw), body


LARGE = bytes(16_385)
BAD_BLOCKS: dict[str, RawBlock] = {
    "signed by another key": signed_by(2),
    "signed for another network": other_context(),
    "not signed": (wild()[0], b"", BODY),
    "spelled otherwise": respelled(),
    "of version 2": wild(version=2),
    "of version 0": wild(version=0),
    "at seq 0": wild(seq=0),
    "at seq 2^40": wild(seq=1 << 40),
    "at seq 2^63": wild(seq=1 << 63),
    "at seq 2^64 - 1": wild(seq=(1 << 64) - 1),
    "at seq -1": wild(seq=-1),
    "of log 2^32": wild(log=1 << 32),
    "of a log in text": wild(log="1"),
    "after nothing": wild(previous=bytes(32)),
    "after half an id": wild(previous=bytes(16)),
    "of a short author": wild(author=bytes(31)),
    "of a kind in capitals": wild(kind="Post"),
    "of no kind": wild(kind=""),
    "of a kind too long": wild(kind="k" * 33),
    "of a kind that is not ASCII": wild(kind="püst"),
    "of a kind in bytes": wild(kind=b"post"),
    "with half a counterparty": wild(counterparty=[bytes(32)]),
    "with an agreement that names nobody": wild(counterparty=[bytes(32), b"1" * 32]),
    "with another body": (wild()[0], wild()[1], BODY + b"!"),
    "with a body too large": (*wild(body_hash=body_hash(LARGE), body_size=16_385)[:2], None),
    "with a body of negative size": wild(body_size=-1),
    "with an ext too long": wild(ext=bytes(33)),
    "with something after ext": (wild()[0] + b"\xf6", wild()[1], BODY),
}


def test_the_block_that_the_bad_ones_differ_from_is_good() -> None:
    raw, signature, _ = wild()
    good: Block = Device(1).write(body=BODY)
    assert (raw, signature) == (good.raw, good.signature)


@pytest.mark.parametrize("what", BAD_BLOCKS)
async def test_a_bad_block_is_counted_and_changes_nothing(
    home: Path, world: World, what: str
) -> None:
    before = contents(home)
    raw = bundle([message(RawRun([BAD_BLOCKS[what]], 0))])
    imported = await take(home, world, BytesIO(raw))
    assert (imported.new_blocks, imported.known_blocks) == (0, 0)
    assert (imported.refused, imported.complete) == (1, True)
    assert contents(home) == before


async def test_a_message_with_a_body_too_large_is_counted_and_changes_nothing(
    home: Path, world: World
) -> None:
    before = contents(home)
    header, signature, _ = wild(body_hash=body_hash(LARGE), body_size=16_385)
    raw = bundle([message(RawRun([(header, signature, LARGE)], 0))])
    assert (await take(home, world, BytesIO(raw))).refused == 1
    assert contents(home) == before


async def test_a_gap_inside_a_run_is_counted_and_changes_nothing(home: Path, world: World) -> None:
    before = contents(home)
    first, _, third = Device(1).write_many(3)
    imported = await take(home, world, BytesIO(bundle([message(raw_run([first, third]))])))
    assert imported.refused == 2
    assert contents(home) == before


async def test_a_fork_is_kept_as_evidence_and_costs_nobody_else_anything(
    home: Path, world: World
) -> None:
    left, right = Device(1), Device(1)
    left.write("left")
    right.write("right")
    logs = [message(raw_run(device.logs[SOCIAL])) for device in (left, right)]
    imported = await take(home, world, BytesIO(bundle(logs)))
    assert (imported.new_blocks, imported.refused) == (2, 0)
    async with open_port(home, world.around) as port:
        assert (await port.check()).problems == []
        assert [row.text for row in await port.feed()] == ["before"]


# --- files that are no bundles ------------------------------------------------------------------

GOOD = bundle([message(raw_run(Device(1).write_many(3)))])


async def refused(home: Path, world: World, source: File, why: str) -> None:
    """Check that a bundle is refused in one line, for looking and for taking."""
    before = contents(home)
    with pytest.raises(PortError, match=why) as refusal:
        await take(home, world, source)
    assert len(str(refusal.value).splitlines()) == 1
    assert contents(home) == before


def folder(path: Path) -> None:
    path.mkdir()


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holding(raw: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(raw)

    return make


NO_BUNDLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda _: None, "is not there; check the path"),
    "a folder": (folder, "is not a file; name a bundle"),
    "a pipe that nobody writes to": (os.mkfifo, "is not a file; name a bundle"),
    "a device without end": (zeros, "is not a file; name a bundle"),
    "a link that leads nowhere": (lambda path: path.symlink_to("gone"), "is not there"),
    "an empty file": (lambda path: path.touch(), "the file ends before its header"),
    "zeros": (holding(bytes(10**6)), "does not begin like one"),
    "a text": (holding(b"Dear all,\nI write to you\n"), "does not begin like one"),
    "only the beginning": (holding(GOOD[:8]), "the file ends before its header"),
    "half a header": (holding(GOOD[:20]), "the file ends before its header"),
    "a damaged header": (holding(GOOD[:22] + b"\xff"), "its header is damaged"),
    "a header of 4 GB": (holding(MAGIC + b"\xff" * FRAME_HEAD_BYTES), "its header is damaged"),
}


@pytest.mark.parametrize("what", NO_BUNDLES)
async def test_what_is_no_bundle_is_refused_and_changes_nothing(
    home: Path, tmp_path: Path, world: World, what: str
) -> None:
    make, why = NO_BUNDLES[what]
    make(tmp_path / "bundle")
    await refused(home, world, tmp_path / "bundle", why)


async def test_a_database_is_no_bundle(home: Path, world: World) -> None:
    await refused(home, world, home / STORE, "does not begin like one")


async def test_a_stream_without_end_is_refused_at_once(home: Path, world: World) -> None:
    with open("/dev/zero", "rb", buffering=0) as stream:  # noqa: ASYNC230, PTH123
        await refused(home, world, stream, "does not begin like one")


class Broken(BytesIO):
    """A stream that fails half way."""

    @override
    def read(self, size: int | None = -1) -> bytes:
        half = len(self.getvalue()) // 2 - self.tell()
        if half <= 0:
            raise OSError(5, "Input/output error")
        return super().read(min(size or half, half))


async def test_a_stream_that_fails_before_anything_came_is_refused(
    home: Path, world: World
) -> None:
    await refused(home, world, Broken(GOOD[:20]), "Input/output error")


async def test_a_stream_that_fails_after_a_while_gives_what_came(home: Path, world: World) -> None:
    raw = bundle([message(raw_run(Device(1).write_many(3))), encode([16, bytes(9_000)])])
    imported = await take(home, world, Broken(raw))
    assert (imported.new_blocks, imported.complete) == (3, False)
    assert imported.damage == "reading failed: Input/output error"


@pytest.mark.parametrize("cut", [1, 5, 17, 18, 100, 400])
async def test_a_cut_bundle_stores_whole_messages_or_nothing(
    home: Path, world: World, cut: int
) -> None:
    before = contents(home)
    imported = await take(home, world, BytesIO(GOOD[:-cut]))
    assert (imported.complete, imported.damage) == (False, "the bundle is cut short")
    assert imported.new_blocks == (3 if cut <= 17 else 0)
    assert (contents(home) == before) == (imported.new_blocks == 0)
