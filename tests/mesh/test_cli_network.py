"""run, status, peers, sync and contact as a person or a program calls them: processes of their own.

A node that was told to stop is waited for as long as a test may take: what hangs, fails.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh.paths import CONFIG
from tests.mesh.cli_support import Passalong, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
WAIT_S = 60

pytestmark = [pytest.mark.slow, pytest.mark.network]


@dataclass
class Running:
    """A process, and what it said first."""

    process: subprocess.Popen[str]
    said: Any = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.said['transports'][0]['port']}"

    def line(self) -> Any:  # noqa: ANN401  JSON
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def tell(self, sign: signal.Signals) -> tuple[int, str, str]:
        """Send a signal; return the status and the rest of what it wrote."""
        self.process.send_signal(sign)
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, err


@contextmanager
def started(command: list[str]) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, *command],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background of a shell ignores it, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@contextmanager
def running(home: Path, *args: str) -> Iterator[Running]:
    command = ["-m", "mesh", "--home", str(home), "run", "--json", "--port", "0", *args]
    with started(command) as node:
        node.said = node.line()
        yield node


@pytest.fixture
def ada(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "ada", "Ada", capsys)


@pytest.fixture
def ben(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "ben", "Ben", capsys)


def befriend(*commands: Passalong) -> None:
    for one in commands:
        for other in commands:
            if one is not other:
                one.json("contact", "add", other.json("whoami")["link"])


# --- run ----------------------------------------------------------------------------------------


def test_who_wipes_a_home_has_the_node_on_it_end_first(ada: Passalong) -> None:
    with running(ada.home) as node:
        assert ada.json("wipe", "--yes") == {"wiped": True, "left": []}
        out, err = node.process.communicate(timeout=WAIT_S)
        assert (node.process.returncode, out, err) == (0, "", "")
    assert not ada.home.exists()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_node_runs_until_it_is_told_to_stop_and_ends_well(
    ada: Passalong, sign: signal.Signals
) -> None:
    with running(ada.home) as node:
        assert node.said["running"] is True
        (wifi,) = node.said["transports"]
        assert (wifi["name"], wifi["state"], wifi["problem"]) == ("wifi", "listening", None)
        # one document, and nothing else
        assert node.tell(sign) == (0, "", "")
    assert ada.json("check")["problems"] == []


def test_for_a_person_it_says_in_words_that_it_runs_and_how_it_ends(ada: Passalong) -> None:
    command = ["-m", "mesh", "--home", str(ada.home), "run", "--port", "0"]
    with started(command) as node:
        assert node.process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            said += node.process.stdout.readline()
        assert "listening on port" in said
        assert node.tell(signal.SIGINT) == (0, "", "")


def test_a_home_has_one_node_at_a_time(ada: Passalong) -> None:
    (ada.home / CONFIG).write_text("lock_wait_s = 0\n")
    with running(ada.home) as node:
        command = [sys.executable, "-m", "mesh", "--home", str(ada.home), "run"]
        second = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
        assert second.stderr.startswith("error: ")
        assert node.tell(signal.SIGTERM)[0] == 0


def test_a_port_that_is_taken_is_said_and_it_runs_all_the_same(
    ada: Passalong, ben: Passalong
) -> None:
    with running(ada.home) as node:
        number = str(node.said["transports"][0]["port"])
        with running(ben.home, "--port", number) as other:
            (wifi,) = other.said["transports"]
            assert (wifi["state"], wifi["port"]) == ("failed", None)
            assert number in wifi["problem"]
            status, out, err = other.tell(signal.SIGTERM)
            assert (status, out, err.count("\n")) == (0, "", 1)
            assert "in use" in err


@pytest.mark.parametrize(
    ("args", "status", "named"),
    [
        (["--connect", "nowhere"], 1, "nowhere"),
        (["--connect", "host:99999"], 1, "99999"),
        (["--port", "65536"], 2, "65536"),
        (["--port", "x"], 2, "x"),
        (["now"], 2, "now"),
    ],
)
def test_what_it_cannot_be_told_is_refused_in_one_line(
    ada: Passalong, args: list[str], status: int, named: str
) -> None:
    outcome = ada("run", *args)
    assert outcome.status == status
    assert named in outcome.refusal


def test_without_a_home_nothing_runs(ada: Passalong, tmp_path: Path) -> None:
    outcome = ada.bare("--home", str(tmp_path / "none"), "run")
    assert "passalong init" in outcome.refusal


# --- sync ---------------------------------------------------------------------------------------


def test_a_visit_brings_what_there_is_and_a_second_one_nothing(
    ada: Passalong, ben: Passalong
) -> None:
    befriend(ada, ben)
    ada.json("post", "from Ada")
    ben.json("post", "from Ben")
    with running(ada.home) as node:
        done = ben.json("sync", node.address)
        assert done.keys() >= {"received", "sent", "bytes_in", "bytes_out", "seconds"}
        assert (done["received"], done["sent"], done["complete"]) == (3, 3, True)
        again = ben.json("sync", node.address)
        assert (again["received"], again["sent"]) == (0, 0)
        assert again["bytes_in"] + again["bytes_out"] < done["bytes_in"] + done["bytes_out"]
        words = ben("sync", node.address)
        assert (words.status, words.err) == (0, "")
        assert words.out.startswith("met ")
        assert node.tell(signal.SIGINT) == (0, "", "")
    assert [row["text"] for row in ben.json("feed")] == ["from Ben", "from Ada"]
    assert [row["text"] for row in ada.json("feed")] == ["from Ben", "from Ada"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1", "", "a\nb:1", "x:0"])
def test_where_nobody_is_it_says_so_in_one_line(ada: Passalong, address: str) -> None:
    outcome = ada("sync", address, "--json")
    assert outcome.status == 1
    assert outcome.refusal


CUT = """
import asyncio, sys
from transports.gate import Gate
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets
from transports.wifi.tcp_listener import TcpListener
import os

async def main():
    async def meet(link, entry):
        who = Credentials(bytes(32), {}, MemoryTickets(lambda: 0.0))
        session = await secure(link, is_initiator=False, who=who, random=os.urandom)
        gate.secured(entry)
        await session.receive()
        print("met", flush=True)
        if sys.argv[1] == "leave":
            link.cut("enough")
    gate, tasks = Gate(), []
    def accepted(link, entry):
        tasks.append(asyncio.ensure_future(meet(link, entry)))
    listener = await TcpListener.open(["127.0.0.1"], gate=gate, accepted=accepted)
    print(listener.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""Somebody who sets up a session, hears HELLO, and then leaves or says nothing more."""


def test_a_visit_that_was_cut_short_is_a_failure_in_one_line(ada: Passalong) -> None:
    with started(["-c", CUT, "leave"]) as other:
        outcome = ada("sync", f"127.0.0.1:{other.line()}", "--json")
        assert outcome.status == 1
        assert outcome.refusal == (
            "0 blocks came, then the link was lost; what came is kept, sync again for the rest"
        )


def test_a_visit_that_a_person_ends_ends_in_one_line(ada: Passalong) -> None:
    with started(["-c", CUT, "stay"]) as other:
        address = f"127.0.0.1:{other.line()}"
        with started(["-m", "mesh", "--home", str(ada.home), "sync", address]) as visit:
            assert other.process.stdout is not None
            assert other.process.stdout.readline() == "met\n"
            status, out, err = visit.tell(signal.SIGINT)
            assert (status, out, err.count("\n")) == (1, "", 1)
            assert err.startswith("error: interrupted")
    assert ada.json("check")["problems"] == []


# --- contacts, status, peers --------------------------------------------------------------------


def test_a_contact_is_added_by_link_and_removed_by_name(ada: Passalong, ben: Passalong) -> None:
    link = ben.json("whoami")["link"]
    row = ada.json("contact", "add", link)
    assert row.keys() >= {"person", "name", "following", "verified", "muted", "blocked"}
    assert (row["person"], row["added"], row["following"]) == (
        (ben.json("whoami")["person"], True, True)
    )
    assert ada.json("contact", "add", link.upper()) == row
    with running(ben.home) as node:
        assert ada.json("sync", node.address)["person"] is None  # he has not added her
    assert ada.json("contact", "remove", "Ben")["added"] is False
    assert "not added Ben" in ada("contact", "remove", "Ben").refusal
    (row,) = ada.json("contacts")
    assert (row["added"], row["following"]) == (False, True)


@pytest.mark.parametrize("link", ["", "Ben", "passalong:", "passalong:aaaa", "passalong:\n"])
def test_what_is_no_link_adds_nobody(ada: Passalong, link: str) -> None:
    assert "link" in ada("contact", "add", link, "--json").refusal
    assert ada.json("contacts") == []


def test_ones_own_link_and_a_blocked_persons_are_refused(ada: Passalong, ben: Passalong) -> None:
    assert "your own link" in ada("contact", "add", ada.json("whoami")["link"]).refusal
    link = ben.json("whoami")["link"]
    ada.json("block", link)
    assert "unblock" in ada("contact", "add", link).refusal
    assert [row["added"] for row in ada.json("contacts")] == [False]


def test_a_home_without_a_node_says_so(ada: Passalong) -> None:
    now = ada.json("status")
    assert (now["running"], now["running_s"], now["transports"], now["peers"]) == (
        (False, None, [], 0)
    )
    me = ada.json("whoami")
    assert (now["person"], now["device"], now["name"]) == (me["person"], me["device"], "Ada")
    assert now["held_bytes"] > 0
    assert now["cap_bytes"] == 512 << 20
    assert now["logs"] == 2
    assert ada.json("peers") == []
    assert "passalong run" in ada("status").out
    assert "passalong sync" in ada("peers").out


def test_without_a_node_there_is_nothing_to_watch(ada: Passalong) -> None:
    for args in ([], ["--json"]):
        assert "passalong run" in ada("peers", "--watch", *args).refusal


FIELDS = {
    *("authenticated", "person", "device", "name", "links", "transport", "address"),
    *("last_received_s", "last_sent_s", "latency_ms", "state"),
}


def watching(home: Path, *args: str) -> list[str]:
    return ["-m", "mesh", "--home", str(home), "peers", "--watch", *args]


def test_watching_is_one_document_a_line_and_ends_well(ada: Passalong, ben: Passalong) -> None:
    befriend(ada, ben)
    with running(ada.home) as host, started(watching(ada.home, "--json")) as watch:
        assert watch.line() == []
        with running(ben.home, "--connect", host.address) as node:
            (row,) = watch.line()
            assert row.keys() >= FIELDS
            assert (row["authenticated"], row["device"]) == (True, node.said["device"])
            assert (row["links"], row["transport"]) == (1, "wifi")
            assert node.tell(signal.SIGTERM)[0] == 0
        while watch.line() != []:
            pass
        assert watch.tell(signal.SIGINT) == (0, "", "")
        assert host.tell(signal.SIGINT) == (0, "", "")


def test_on_a_terminal_it_is_a_table_and_nothing_besides(ada: Passalong) -> None:
    ours, theirs = pty.openpty()
    with (
        running(ada.home),
        subprocess.Popen(
            [sys.executable, *watching(ada.home)],
            env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "80"},
            stdout=theirs,
            stderr=theirs,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        ) as process,
    ):
        os.close(theirs)
        seen = b""
        while seen.count(b"Nobody is linked") < 4:  # it is drawn anew every second
            seen += os.read(ours, 4_096)
        assert b"asking around" not in seen
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=WAIT_S) == 0
    os.close(ours)
