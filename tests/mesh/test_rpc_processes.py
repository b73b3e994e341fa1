"""Commands beside a node that runs in another process: the same as without, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh.direct import DirectPort, init_home, real_world
from mesh.doctor import examine
from mesh.node import open_node
from mesh.opening import open_port
from mesh.paths import CONTROL_KEY, CONTROL_SOCKET
from mesh.port import PortError
from mesh.rpc import SocketPort
from mesh.rpc_server import serve_port
from tests.mesh.cli_support import Passalong, settle
from tests.mesh.places import process
from tests.mesh.rpc_places import reached, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow

SERVE = """
import asyncio, sys
from pathlib import Path
from mesh.direct import DirectPort, real_world
from mesh.node import open_node
from mesh.rpc_server import serve_port

async def serve():
    folder, around = Path(sys.argv[1]), real_world()
    async with open_node(folder, around) as node, serve_port(DirectPort(node), folder, around):
        print("serving", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(serve())
"""
"""Runs a node on a home until it is told a line."""

BECOME = """
import asyncio, sys
from pathlib import Path
from mesh.direct import DirectPort, real_world
from mesh.node import open_node
from mesh.rpc_server import serve_port

async def serve():
    folder, around = Path(sys.argv[1]), real_world()
    async with open_node(folder, around) as node:
        print("taken", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        async with serve_port(DirectPort(node), folder, around):
            await asyncio.to_thread(sys.stdin.readline)

asyncio.run(serve())
"""
"""Takes a home, and runs a node on it once it is told a line, until it is told another."""

HANG = """
import asyncio, sys
from pathlib import Path
from mesh.direct import real_world
from mesh.home import locked
from mesh.rpc_server import serve_port

class Hanging:
    async def check(self):
        print("asked", flush=True)
        await asyncio.Event().wait()

async def serve():
    folder = Path(sys.argv[1])
    async with locked(folder, 0), serve_port(Hanging(), folder, real_world()):
        print("serving", flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""
"""Runs a node on a home that never answers ``check``."""

IMPORT = """
import asyncio, sys
from pathlib import Path
from mesh.opening import open_port

async def take_in():
    async with open_port(Path(sys.argv[1])) as port:
        await port.import_bundle(Path(sys.argv[2]), progress=lambda *_: print("begun", flush=True))

asyncio.run(take_in())
"""
"""Imports a bundle, and says so once it has begun."""


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a node on a home."""
    with process(SERVE, home) as node:
        assert (home / CONTROL_SOCKET).is_socket()
        yield node
        assert node.poll() is None


@pytest.fixture(autouse=True)
def _ours_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes find this code, wherever they are started."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONUTF8", "1")


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "ann", "Ann", capsys)


# --- the same with and without --------------------------------------------------------------------

COMMANDS = [
    ["whoami"],
    ["whoami", "--json"],
    ["feed"],
    ["feed", "--all", "--json"],
    ["feed", "--author", "Zoe"],
    ["log"],
    ["log", "--json", "--from", "2"],
    ["log", "--from", "99999999999999999999999"],
    ["contacts", "--json"],
    ["check"],
    ["check", "--json"],
    ["follow", "Zoe"],
    ["mute", "Ann"],
    ["unfollow", "00000000"],
    ["post", "x" * 9_000],
    ["post", "answer", "--reply-to", "00000000"],
    ["bundle", "export", "news.passalong"],
    ["bundle", "export", "news.passalong", "--max-bytes", "10"],
    ["bundle", "export", "nowhere/news.passalong"],
    ["bundle", "export", "parts.passalong", "--parts", "100k", "--json"],
    ["bundle", "export", "/dev/null"],
    ["bundle", "export", "."],
    ["bundle", "export", "news.passalong", "--seal"],
    ["bundle", "import", "old.passalong", "--json"],
    ["bundle", "import", "missing.passalong"],
    ["bundle", "import", "garbage.passalong"],
    ["bundle", "import", "cut.passalong"],
    ["bundle", "import", "/dev/null"],
    ["bundle", "import", "stick", "--json"],
    ["bundle", "import", "empty"],
    ["bundle", "inspect", "old.passalong"],
    ["bundle", "inspect", "missing.passalong"],
    ["peers", "--json"],
    ["status", "--json"],
    ["sync", "127.0.0.1:1"],
    ["sync", "nowhere"],
    ["contact", "add", "passalong:nonsense"],
    ["contact", "remove", "Zoe"],
    ["init"],
    ["fed"],
]


@pytest.fixture
def desk(ann: Passalong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with bundles and what is none, from where commands are called."""
    for number in range(5):
        ann("post", f"post {number} " + "x" * 500)
    desk = tmp_path / "desk"
    for folder in (desk, desk / "stick", desk / "empty"):
        folder.mkdir()
    monkeypatch.chdir(desk)
    ann("bundle", "export", "old.passalong")
    whole = (desk / "old.passalong").read_bytes()
    for name, data in (
        ("garbage.passalong", b"garbage" * 100),
        ("cut.passalong", whole[:1_500]),
        ("stick/a.passalong", whole),
        ("stick/b.passalong", b"garbage" * 100),
        ("stick/c.passalong", whole[:1_500]),
    ):
        (desk / name).write_bytes(data)
    return desk


@pytest.mark.usefixtures("desk")
def test_each_command_says_and_ends_the_same_beside_a_node(ann: Passalong) -> None:
    without = [ann(*command) for command in COMMANDS]
    with running(ann.home):
        beside = [ann(*command) for command in COMMANDS]
    for command, one, other in zip(COMMANDS, without, beside, strict=True):
        assert other == one, command
    assert {outcome.status for outcome in beside} == {0, 1, 2}


@pytest.mark.usefixtures("desk")
def test_what_is_done_beside_a_node_is_done(ann: Passalong, tmp_path: Path) -> None:
    with running(ann.home):
        posted = ann.json("post", "beside")
        replied = ann.json("post", "-", "--reply-to", posted["id"], typed=b"from a pipe\n")
        assert replied["seq"] == posted["seq"] + 1
        assert ann.json("bundle", "export", "all.passalong")["blocks"] == 9
    assert [row["text"] for row in ann.json("feed")][:2] == ["from a pipe", "beside"]
    bob = Passalong(tmp_path / "bob", ann._capsys)
    bob("init")
    assert bob.json("bundle", "import", "all.passalong")["new_blocks"] == 9


def _run(*args: str, typed: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "mesh", *args],
        check=False,
        timeout=50,
        input=typed,
        capture_output=True,
    )


def test_bundles_go_through_pipes_beside_nodes(ann: Passalong, tmp_path: Path) -> None:
    for number in range(40):
        ann("post", f"{number} " + "x" * 8_000)
    bob = settle(tmp_path / "bob", "Bob", ann._capsys)
    alone = _run("--home", str(ann.home), "bundle", "export", "-")
    with running(ann.home), running(bob.home):
        wrote = _run("--home", str(ann.home), "bundle", "export", "-", "--json")
        assert wrote.stdout == alone.stdout
        assert json.loads(wrote.stderr)["blocks"] == 42
        took = _run("--home", str(bob.home), "bundle", "import", "-", typed=wrote.stdout)
        assert (took.returncode, took.stdout) == (0, b"")
        assert took.stderr == b"42 new blocks, 0 known already\n"
        cut = _run("--home", str(bob.home), "bundle", "import", "-", typed=wrote.stdout[:9_000])
        assert (cut.returncode, cut.stderr.count(b"\n")) == (0, 2)
        refused = _run("--home", str(bob.home), "bundle", "import", "-", typed=b"garbage" * 9_999)
        assert (refused.returncode, refused.stdout) == (1, b"")
        posted = _run("--home", str(bob.home), "post", "-", "--json", typed="größe\n".encode())
        assert posted.returncode == 0
        assert len(bob.json("feed", "--all")) == 41


@pytest.mark.usefixtures("desk")
def test_an_open_file_by_its_name_is_the_commands_own(ann: Passalong, desk: Path) -> None:
    with running(ann.home), (desk / "old.passalong").open("rb") as file:
        found = subprocess.run(
            [sys.executable, "-m", "mesh", "bundle", "import", "/dev/stdin", "--json"],
            env={**os.environ, "PASSALONG_HOME": str(ann.home)},
            check=False,
            timeout=50,
            stdin=file,
            capture_output=True,
        )
    assert (found.returncode, found.stderr) == (0, b"")
    assert json.loads(found.stdout)["complete"] is True


def test_a_command_beside_a_node_loads_nothing_of_the_store(ann: Passalong) -> None:
    code = (
        "import sys; from mesh.cli.entry import main;"
        f"main(['--home', {str(ann.home)!r}, 'whoami', '--json']);"
        "heavy = {'aiosqlite', 'nacl', 'rich', 'mesh.direct', 'mesh.node'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )
    with running(ann.home):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            timeout=50,
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["name"] == "Ann"


# --- homes that are made or looked at -------------------------------------------------------------


def test_init_and_restore_leave_the_home_of_a_node_alone(ann: Passalong, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text(" ".join(Passalong(tmp_path / "x", ann._capsys).json("init")["words"]))
    without = ann("init").refusal
    assert "there is a home in" in without
    with running(ann.home):
        assert ann("init").refusal == without
        assert "stop it, then restore" in ann("restore", "--words-file", str(words)).refusal
        assert ann.json("whoami")["name"] == "Ann"


async def test_doctor_says_that_a_node_runs(tmp_path: Path) -> None:
    home, around = tmp_path / "home", real_world()
    await init_home(home, "Ann", around)
    async with open_node(home, around) as node, serve_port(DirectPort(node), home, around):
        findings = {one.name: one for one in await examine(home, around.now(), "utf-8")}
    assert (findings["store"].state, findings["store"].detail) == (
        "ok",
        "a node runs on it, and answers",
    )


# --- beginnings and ends --------------------------------------------------------------------------


async def test_who_waits_for_a_home_gets_the_node_that_starts_on_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await init_home(home, "Ann")
    with process(BECOME, home) as node:
        assert node.stdin is not None
        opening = open_port(home)
        waiting = asyncio.ensure_future(opening.__aenter__())
        await until(lambda: str(home / "lock") in _open_files())
        assert not waiting.done()
        node.stdin.write("\n")
        node.stdin.flush()
        port = await waiting
        assert isinstance(port, SocketPort)
        assert (await port.port.whoami()).name == "Ann"
        await opening.__aexit__(None, None, None)
        assert node.poll() is None


def _open_files() -> set[str]:
    found = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(os.readlink(descriptor))  # noqa: PTH115  a pipe is no path
        except FileNotFoundError:
            continue
    return found


async def test_who_waits_for_a_home_gets_it_when_the_node_ends(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await init_home(home, "Ann")
    with process(SERVE, home) as node:
        (home / CONTROL_SOCKET).unlink()  # as it is between the end of the socket and of the node
        opening = open_port(home)
        waiting = asyncio.ensure_future(opening.__aenter__())
        await until(lambda: str(home / "lock") in _open_files())
        node.communicate("\n")
        port = await waiting
        assert isinstance(port, DirectPort)
        await opening.__aexit__(None, None, None)


async def test_a_home_that_stays_taken_is_refused_as_before(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await init_home(home, "Ann")
    (home / "config.toml").write_text("lock_wait_s = 0\n")
    taken = r"another passalong is using .*; wait for it or stop it"
    with process(BECOME, home), pytest.raises(PortError, match=taken):
        async with open_port(home):
            pass


async def test_a_node_that_is_killed_ends_each_call_and_leaves_a_home_that_opens(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    await init_home(home, "Ann")
    with process(HANG, home) as node:
        assert node.stdout is not None
        async with reached(home) as port:
            calls = [asyncio.create_task(port.check()) for _ in range(3)]
            for _ in calls:
                await asyncio.to_thread(node.stdout.readline)
            node.send_signal(signal.SIGKILL)
            for call in calls:
                with pytest.raises(PortError, match="the node stopped") as stopped:
                    await call
                assert len(str(stopped.value).splitlines()) == 1
        node.wait()
    assert (home / CONTROL_SOCKET).is_socket()
    assert (home / CONTROL_KEY).exists()
    async with open_port(home) as again:
        assert isinstance(again, DirectPort)
        assert (await again.whoami()).name == "Ann"


async def test_a_client_that_is_killed_in_the_middle_of_an_import_harms_nothing(
    tmp_path: Path,
) -> None:
    ann, ben, around = tmp_path / "ann", tmp_path / "ben", real_world()
    for home in (ann, ben):
        await init_home(home, home.name, around)
    stick = tmp_path / "stick.passalong"
    async with open_port(ann) as port:
        for _ in range(30):
            await asyncio.gather(*(port.post("x" * 8_000) for _ in range(20)))
        blocks = (await port.export_bundle(stick)).blocks
    async with open_node(ben, around) as node, serve_port(DirectPort(node), ben, around):
        killed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", IMPORT, str(ben), str(stick)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert killed.stdout is not None
        assert await killed.stdout.readline() == b"begun\n"
        killed.kill()
        await killed.wait()
        # the node goes on, its store is sound, and the rest can be had
        async with reached(ben) as port:
            held = await port.check()
            assert held.problems == []
            taken = await port.import_bundle(stick)
            assert taken.complete
            assert (await port.check()).blocks == blocks + 2
