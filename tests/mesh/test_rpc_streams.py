"""Standard input and output of a command, through the socket: read and written by the node."""

from __future__ import annotations

import errno
import os
import random
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from typing_extensions import override

from mesh import rpc_spool
from mesh.home import HomeError
from mesh.port import PortError
from mesh.rows import Exported, Imported
from mesh.rpc_frames import PIECE_BYTES, Call, End, Piece
from mesh.rpc_paths import Typed
from tests.mesh.places import disk
from tests.mesh.rpc_places import line_to, names_in, reached, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = random.Random(7).randbytes(3 << 20)


def imported(size: int) -> Imported:
    return Imported(size, 0, 0, 0, 0, True, None, [])  # noqa: FBT003


class Source(RawIOBase):
    """A stream that ends in an error, or never.

    Attributes:
        taken: Bytes that were read.
    """

    def __init__(self, data: bytes, error: int | None = None) -> None:
        super().__init__()
        self.taken = 0
        self._data = data
        self._error = error

    @override
    def read(self, size: int = -1) -> bytes:
        piece = self._data[self.taken : self.taken + size]
        if not piece and self._error is not None:
            raise OSError(self._error, os.strerror(self._error))
        self.taken += size
        return piece or bytes(size)

    @property
    def file(self) -> BinaryIO:
        return cast("BinaryIO", self)


# --- in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", bytes(PIECE_BYTES), LONG])
async def test_a_stream_is_read_as_it_was_sent_and_then_gone(tmp_path: Path, data: bytes) -> None:
    came = b""

    async def import_bundle(source: BinaryIO, progress: object) -> Imported:  # noqa: ARG001
        nonlocal came
        while piece := source.read(70_000):
            came += piece
        assert source.seek(0, 2) == len(data)
        return imported(len(came))

    async with serving(tmp_path, import_bundle=import_bundle):
        before = open_files()
        async with reached(tmp_path) as port:
            assert (await port.import_bundle(BytesIO(data))).new_blocks == len(data)
        assert came == data
        await until_open_files_are(before)
        assert names_in(tmp_path) == {"control.sock", "control.key"}


def open_files() -> set[str]:
    """Return the files without a name that this process has open."""
    found = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(descriptor)  # noqa: PTH115  what has no name is no path
        except FileNotFoundError:
            continue
        if target.endswith("(deleted)"):
            found.add(target)
    return found


async def until_open_files_are(names: set[str]) -> None:
    await until(lambda: open_files() == names)


async def test_a_stream_that_fails_fails_for_the_node_where_it_ended(tmp_path: Path) -> None:
    async def import_bundle(source: BinaryIO, progress: object) -> Imported:  # noqa: ARG001
        assert source.read(1 << 20) == b"as far as this"
        source.read(1)
        raise AssertionError

    async with serving(tmp_path, import_bundle=import_bundle), reached(tmp_path) as port:
        with pytest.raises(OSError, match="Input/output error") as failed:
            await port.import_bundle(Source(b"as far as this", errno.EIO).file)
    assert failed.value.errno == errno.EIO


async def test_a_stream_that_breaks_off_calls_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    called = False

    async def import_bundle(**_: object) -> None:
        nonlocal called
        called = True

    async with serving(tmp_path, import_bundle=import_bundle):
        before = open_files()
        async with line_to(tmp_path) as line:
            await line.send(Call("import_bundle", [0, None]))
            for _ in range(100):
                await line.send(Piece(bytes(PIECE_BYTES)))
        await until_open_files_are(before)
        assert not called


async def test_something_else_in_the_middle_of_a_stream_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path), line_to(tmp_path) as line:
        await line.send(Call("import_bundle", [0, None]))
        await line.send(Piece(b"a bundle"))
        await line.send(Call("whoami", []))
        await line.send(End(None))
        said = await line.receive()
    assert "in the middle of a stream" in str(said)


async def test_a_stream_takes_half_of_the_room_there_is_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        f_bavail, f_frsize = 1 << 20, 1

    monkeypatch.setattr("os.fstatvfs", lambda _: Disk)
    endless = Source(b"")
    async with serving(tmp_path), reached(tmp_path) as port:
        with pytest.raises(PortError, match="too little room for what is piped; free some"):
            await port.import_bundle(endless.file)
    # what is on its way is read, but no more
    assert 1 << 20 < endless.taken < 4 << 20


async def test_a_full_disk_is_a_refusal_and_the_node_goes_on(tmp_path: Path) -> None:
    async def contacts() -> list[object]:
        return []

    with disk(tmp_path / "home") as home:
        async with serving(home, contacts=contacts), reached(home) as port:
            with pytest.raises(PortError, match=r"disk of .* (is full|has too little room)"):
                await port.import_bundle(Source(b"").file)
            assert await port.contacts() == []


# --- out ------------------------------------------------------------------------------------------


async def export_long(target: BinaryIO, **_: object) -> Exported:
    target.writelines(LONG[at : at + 100_000] for at in range(0, len(LONG), 100_000))
    return Exported(1, 2, len(LONG), 1)


async def test_what_the_node_writes_comes_out_as_it_is(tmp_path: Path) -> None:
    target = BytesIO()
    async with serving(tmp_path, export_bundle=export_long), reached(tmp_path) as port:
        before = open_files()
        assert (await port.export_bundle(target)).bytes == len(LONG)
        await until_open_files_are(before)
    assert target.getvalue() == LONG


async def test_nothing_comes_out_of_what_failed(tmp_path: Path) -> None:
    async def export_bundle(target: BinaryIO, **_: object) -> None:
        target.write(LONG)
        raise PortError("no reader")

    target = BytesIO()
    async with serving(tmp_path, export_bundle=export_bundle), reached(tmp_path) as port:
        with pytest.raises(PortError, match="no reader"):
            await port.export_bundle(target)
    assert target.getvalue() == b""


class Target(BytesIO):
    """A stream that cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    @override
    def write(self, data: object, /) -> int:
        raise self._error


async def test_who_cannot_take_it_hears_why_as_in_one_process(tmp_path: Path) -> None:
    async with serving(tmp_path, export_bundle=export_long), reached(tmp_path) as port:
        with pytest.raises(BrokenPipeError):
            await port.export_bundle(Target(BrokenPipeError()))
        full = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(HomeError, match=r"disk of the bundle is full; free some space"):
            await port.export_bundle(Target(full))


async def test_a_slow_reader_holds_up_nobody_and_little_is_read_for_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0
    pieces = rpc_spool.Spool.pieces

    def counted(spool: rpc_spool.Spool) -> Iterator[bytes]:
        nonlocal sent
        for piece in pieces(spool):
            sent += 1
            yield piece

    async def export_bundle(target: BinaryIO, **_: object) -> Exported:
        target.write(bytes(32 << 20))
        return Exported(1, 2, 32 << 20, 1)

    async def contacts() -> list[object]:
        return []

    monkeypatch.setattr(rpc_spool.Spool, "pieces", counted)
    async with (
        serving(tmp_path, export_bundle=export_bundle, contacts=contacts),
        line_to(tmp_path) as slow,
        reached(tmp_path) as port,
    ):
        slow._reader._transport.pause_reading()  # type: ignore[attr-defined]
        await slow.send(Call("export_bundle", [0, [], 0, None, None, None]))
        await until(lambda: sent > 0)
        for _ in range(200):
            assert await port.contacts() == []
        assert sent < 32  # of 512: what the two ends of a socket hold


async def test_what_the_node_writes_takes_half_of_the_room_there_is_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        f_bavail, f_frsize = len(LONG) // 2, 1

    monkeypatch.setattr("os.fstatvfs", lambda _: Disk)
    target = BytesIO()
    async with serving(tmp_path, export_bundle=export_long), reached(tmp_path) as port:
        with pytest.raises(PortError, match="too little room for what is piped; free some"):
            await port.export_bundle(target)
    assert target.getvalue() == b""


# --- paths ----------------------------------------------------------------------------------------


async def test_a_path_is_opened_from_where_the_client_is_and_named_as_he_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    async def inspect_bundle(source: Path) -> None:
        asked.append(source)
        raise PortError(f"{source} is not there; check the path")

    monkeypatch.chdir(tmp_path)
    async with serving(tmp_path, inspect_bundle=inspect_bundle), reached(tmp_path) as port:
        for name in ("news.passalong", "a/b", "../c", str(tmp_path / "whole"), "."):
            with pytest.raises(PortError) as refusal:
                await port.inspect_bundle(Path(name))
            assert str(refusal.value) == f"{name} is not there; check the path"
    assert asked == [
        tmp_path / "news.passalong",
        tmp_path / "a/b",
        tmp_path / "../c",
        tmp_path / "whole",
        tmp_path,
    ]


def test_no_other_path_is_named_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    typed = Typed()
    typed.whole(Path("news"))
    for text in (
        f"the disk of {tmp_path} is full",
        f"/mnt{tmp_path}/news is not there",
        f"{tmp_path}s/news is not there",
        f"{tmp_path.parent}/news is not there",
    ):
        assert typed.text(text) == text
    assert typed.text(f"({tmp_path}/news) and '{tmp_path}/news.1'") == "(news) and 'news.1'"
    monkeypatch.chdir("/")
    typed = Typed()
    typed.whole(Path("news"))
    assert typed.text("/news: not in /mnt/news") == "news: not in /mnt/news"


def test_an_open_file_of_the_client_is_found_by_another_process() -> None:
    own = f"/proc/{os.getpid()}"
    for name, there in (
        ("/dev/stdin", f"{own}/fd/0"),
        ("/dev/fd/7", f"{own}/fd/7"),
        ("/proc/self/fd/7", f"{own}/fd/7"),
        ("/dev/sda", "/dev/sda"),
    ):
        typed = Typed()
        assert typed.whole(Path(name)) == Path(there)
        assert typed.text(f"{there} is a pipe") == f"{name} is a pipe"
