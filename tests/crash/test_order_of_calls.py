"""What no simulated disk shows: files and folders are synced in the order that makes them last."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from unittest import mock

from mesh.direct import init_home, open_port
from mesh.home import make_folder, whole_file
from tests.crash.deeds import seeded_world

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder:
    """Lets all calls through and writes down those that matter to a power cut."""

    def __init__(self, below: Path) -> None:
        self.calls: list[str] = []
        self._below = below
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        for owner, name, new in (
            (io, "open", partial(self._open, io.open)),
            (os, "fsync", partial(self._sync, os.fsync)),
            (os, "replace", partial(self._rename, os.replace)),
            (os, "mkdir", partial(self._make, os.mkdir)),
        ):
            self._patches.enter_context(mock.patch.object(owner, name, new))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def _note(self, what: str, path: str | Path) -> None:
        path = Path(path)
        if path.is_relative_to(self._below):
            self.calls.append(f"{what} {path.relative_to(self._below)}")

    def _open(
        self, real: Callable[..., IO[Any]], *args: object, **kwargs: object
    ) -> IO[Any] | mock.Mock:
        stream: IO[Any] = real(*args, **kwargs)
        if "b" not in stream.mode or not stream.writable():
            return stream
        place = Path(f"/proc/self/fd/{stream.fileno()}").readlink()

        def write(data: bytes) -> int:
            self._note("write", place)
            return int(stream.write(data))

        def flush() -> None:
            self._note("flush", place)
            stream.flush()

        double = mock.MagicMock(wraps=stream)
        double.write, double.flush, double.fileno = write, flush, stream.fileno
        double.__enter__.return_value = double
        double.__exit__.side_effect = lambda *_: stream.close()
        return double

    def _sync(self, real: Callable[[int], None], descriptor: int) -> None:
        real(descriptor)
        self._note("sync", Path(f"/proc/self/fd/{descriptor}").readlink())

    def _rename(self, real: Callable[[Path, Path], None], here: Path, there: Path) -> None:
        real(here, there)
        self._note("rename to", there)

    def _make(self, real: Callable[..., None], path: Path, *args: object) -> None:
        real(path, *args)
        self._note("make", path)


def test_an_export_is_written_synced_renamed_and_its_folder_synced_in_this_order(
    tmp_path: Path,
) -> None:
    with Recorder(tmp_path) as recorder, whole_file(tmp_path / "news.pal") as file:
        file.write(b"news")
        file.write(b"more")
    partial_file = ".news.pal.partial"
    assert recorder.calls == [
        f"write {partial_file}",
        f"write {partial_file}",
        f"flush {partial_file}",
        f"sync {partial_file}",
        "rename to news.pal",
        "sync .",
    ]
    assert (tmp_path / "news.pal").read_bytes() == b"newsmore"


def test_every_folder_made_for_a_home_is_synced_into_the_one_above(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        make_folder(tmp_path / "a" / "b" / "home")
    for made, above in (("a", "."), ("a/b", "a"), ("a/b/home", "a/b")):
        after = recorder.calls[recorder.calls.index(f"make {made}") :]
        assert f"sync {above}" in after


def test_a_folder_left_by_an_init_that_died_is_synced_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "a" / "home").mkdir(parents=True)
    with Recorder(tmp_path) as recorder:
        make_folder(tmp_path / "a" / "home")
    assert {"sync a", "sync ."} <= set(recorder.calls)


async def test_folders_are_durable_before_init_returns_and_files_before_export_does(
    tmp_path: Path,
) -> None:
    with Recorder(tmp_path) as recorder:
        await init_home(tmp_path / "home", "Ann", seeded_world(1))
        assert "sync ." in recorder.calls
        async with open_port(tmp_path / "home", seeded_world(2)) as port:
            await port.export_bundle(tmp_path / "news.pal")
            assert recorder.calls[-2:] == ["rename to news.pal", "sync ."]


async def test_two_exports_to_one_file_do_not_mix(tmp_path: Path) -> None:
    """Whoever is second is told so, or waits; what has the name is whole all the while."""
    target = tmp_path / "news.pal"
    with whole_file(target) as first:
        first.write(b"first, ")
        first.flush()
        try:
            with whole_file(target) as second:
                second.write(b"second")
        except Exception:  # noqa: BLE001
            assert not target.exists()
        else:
            assert target.read_bytes() == b"second"
        first.write(b"whole")
    assert target.read_bytes() == b"first, whole"
