"""``simulate``: answers, pictures and refusals."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

from mesh import simulate
from mesh.cli import screen as screens
from tests.mesh.cli_support import Passalong

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "start_s,end_s,node_a,node_b\n"
TRACE = HEADER + "0,100,ann,bob\n50,200,bob,cleo\n"
FIELDS = {
    "delivery", "oracle", "ratios", "copies", "bytes_on_air", "useful_bytes",
    "bytes_per_useful_byte", "seconds",
}  # fmt: skip


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return Passalong(tmp_path / "none", capsys)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    file = tmp_path / "trace.csv"
    file.write_text(TRACE)
    return str(file)


def test_a_trace_is_simulated(command: Passalong, trace: str) -> None:
    answer = command.json("simulate", "--trace", trace, "--posts", "5")
    assert answer.keys() >= FIELDS
    assert (answer["nodes"], answer["contacts"], answer["posts"]["messages"]) == (3, 2, 5)
    assert answer["delivery"] == answer["oracle"]
    assert list(answer["ratios"]) == ["1h", "3h", "6h", "12h", "24h", "48h", "end"]
    assert not command.home.exists()


def test_the_same_seed_gives_the_same_answer_but_for_the_seconds(command: Passalong) -> None:
    asked = ("simulate", "--nodes", "6", "--days", "0.6", "--posts", "9")
    mail = ("--mail", "5", "--buffer", "2")
    options = (
        *mail,
        "--churn",
        "--crashes",
        "--clocks",
        "--liars",
        "1",
        "--strangers",
        "--follow",
        "3",
    )
    air = ("--rate", "50000", "--latency", "0.01", "--cut", "5", "--setup", "2")
    answers = [command.json(*asked, *options, *air, "--seed", seed) for seed in ("1", "1", "2")]
    for answer in answers:
        del answer["seconds"]
    assert answers[0] == answers[1] != answers[2]


def test_with_one_radio_a_node_less_arrives(command: Passalong) -> None:
    asked = ("simulate", "--nodes", "12", "--days", "0.5", "--posts", "60", "--rate", "120")
    ends = [command.json(*asked, *more)["delivery"]["1h"] for more in ((), ("--radio",))]
    assert ends[1] < ends[0]


def test_a_trace_may_come_by_standard_input(command: Passalong) -> None:
    outcome = command("simulate", "--trace", "-", "--posts", "1", typed=TRACE.encode())
    assert (outcome.status, outcome.err) == (0, "")
    assert "3 nodes, 2 contacts" in outcome.out


@pytest.mark.parametrize("drawn", [False, True])
def test_a_person_sees_a_table(
    command: Passalong, trace: str, monkeypatch: pytest.MonkeyPatch, *, drawn: bool
) -> None:
    monkeypatch.setattr(screens, "is_terminal", lambda _: drawn)
    monkeypatch.setenv("TERM", "dumb")
    outcome = command("simulate", "--trace", trace, "--posts", "1", "--mail", "2")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.lower().count("possible") == 2
    assert "2 letters, each to its reader" in outcome.out
    assert "On air" in outcome.out


@pytest.mark.parametrize("liars", [0, 2])
def test_with_liars_a_person_sees_what_is_possible_without_them(
    command: Passalong, trace: str, liars: int
) -> None:
    asked = ("simulate", "--trace", trace, "--posts", "4", "--mail", "3", "--liars", str(liars))
    answer, outcome = command.json(*asked), command(*asked)
    assert answer["liars"] == liars
    assert answer["posts"].keys() >= {"oracle_honest", "ratios_honest"}
    assert ("WITHOUT LIARS" in outcome.out) is (liars > 0)


def test_delivery_is_drawn(command: Passalong, trace: str, tmp_path: Path) -> None:
    picture = tmp_path / "delivery.png"
    asked = ("simulate", "--trace", trace, "--posts", "5", "--liars", "1")
    outcome = command(*asked, "--plot", str(picture))
    assert (outcome.status, outcome.err) == (0, "")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in outcome.out.replace("\n", "")


def test_without_matplotlib_a_plot_is_refused_before_anything_is_computed(
    command: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    refusal = command("simulate", "--trace", "nowhere", "--plot", "x.png").refusal
    assert "pip install 'passalong[plot]'" in refusal


@pytest.mark.parametrize("name", ["x", "x.gif", "nowhere/x.png"])
def test_a_plot_that_cannot_be_written_is_refused(command: Passalong, name: str) -> None:
    outcome = command("simulate", "--nodes", "2", "--plot", name)
    assert outcome.status == 1
    assert outcome.refusal


def test_a_plot_that_fails_in_the_end_says_so(
    command: Passalong, trace: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder.png"
    folder.mkdir()
    outcome = command("simulate", "--trace", trace, "--posts", "1", "--plot", str(folder))
    assert "name another file" in outcome.refusal


@pytest.mark.parametrize(
    "args",
    [
        ("--trace", "x", "--nodes", "5"),
        ("--trace", "x", "--days", "5"),
        ("--nodes", "1"),
        ("--days", "0"),
        ("--days", "nan"),
        ("--rate", "0"),
        ("--radio",),
        ("--setup", "nan"),
        ("--cut", "inf"),
        ("--setup", "-1"),
        ("--seed", "-1"),
        ("--posts", "many"),
    ],
)
def test_wrong_usage_is_refused_as_that(command: Passalong, args: tuple[str, ...]) -> None:
    outcome = command("simulate", *args)
    assert outcome.status == 2
    assert "passalong simulate --help" in outcome.refusal


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no contacts"),
        (b"hello\n", "line 1: a trace begins with"),
        (HEADER.encode() + b"1,2,a\n", "line 2: 3 fields"),
        (HEADER.encode() + b"\xff\n", "line 2: not UTF-8"),
        (b"x" * (simulate.MAX_LINE + 1), "line 1: longer than"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_by_its_name(
    command: Passalong, tmp_path: Path, text: bytes, said: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(text)
    outcome = command("simulate", "--trace", str(file))
    assert outcome.status == 1
    assert outcome.refusal.startswith(f"{file}: {said}")


def test_what_is_not_there_or_too_large_is_refused(command: Passalong, tmp_path: Path) -> None:
    for args, said in (
        (("--trace", str(tmp_path / "none.csv")), "cannot be read"),
        (("--trace", str(tmp_path)), "cannot be read"),
        (("--nodes", "1000000"), "a city has"),
        (("--days", "1000"), "a city has"),
        (("--nodes", "20000", "--days", "300"), "5,000,000 contacts"),
        (("--nodes", "2", "--days", "0.1"), "nobody met"),
    ):
        outcome = command("simulate", *args)
        assert outcome.status == 1
        assert said in outcome.refusal
