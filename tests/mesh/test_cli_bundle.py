from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mesh.cli.entry import main
from tests.mesh.cli_support import Passalong, settle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    ann = settle(tmp_path / "ann", "Ann", capsys)
    for number in range(5):
        ann.json("post", f"number {number}")
    return ann


@pytest.fixture
def bob(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "bob", "Bob", capsys)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick.passalong"


def test_a_bundle_goes_out_and_comes_in_once(ann: Passalong, bob: Passalong, stick: Path) -> None:
    wrote = ann.json("bundle", "export", str(stick))
    assert wrote == {"blocks": 7, "envelopes": 0, "bytes": stick.stat().st_size}
    took = bob.json("bundle", "import", str(stick))
    assert took == {
        "new_blocks": 7,
        "known_blocks": 0,
        "envelopes": 0,
        "refused": 0,
        "complete": True,
        "damage": None,
        "warnings": [],
    }
    again = bob.json("bundle", "import", str(stick))
    assert (again["new_blocks"], again["known_blocks"]) == (0, 7)


def test_bundles_are_told_to_people_in_words(ann: Passalong, bob: Passalong, stick: Path) -> None:
    assert f"wrote {stick}: 7 blocks, " in ann("bundle", "export", str(stick)).out
    assert bob("bundle", "import", str(stick)).out == "7 new blocks, 0 known already\n"
    assert "SEQ" in bob("bundle", "inspect", str(stick)).out


def test_inspect_says_what_is_in_it_and_keeps_nothing(
    ann: Passalong, bob: Passalong, stick: Path
) -> None:
    ann.json("bundle", "export", str(stick))
    found = bob.json("bundle", "inspect", str(stick))
    assert (found["blocks"], found["bodies"], found["complete"]) == (7, 7, True)
    assert found["bytes"] == stick.stat().st_size
    device = ann.json("whoami")["device"]
    assert [(log["author"], log["log"], log["blocks"]) for log in found["logs"]] == [
        (device, 0, 1),
        (device, 1, 6),
    ]
    assert bob.json("feed", "--all") == []


def test_a_cut_bundle_is_done_and_says_so(ann: Passalong, bob: Passalong, stick: Path) -> None:
    ann.json("bundle", "export", str(stick))
    stick.write_bytes(stick.read_bytes()[:-20])
    inspected = bob.json("bundle", "inspect", str(stick))
    took = bob.json("bundle", "import", str(stick))
    assert took["complete"] is inspected["complete"] is False
    assert took["damage"]
    told = bob("bundle", "import", str(stick))
    assert told.status == 0
    assert "another copy" in told.out
    assert "Not all of it" in bob("bundle", "inspect", str(stick)).out


@pytest.mark.parametrize("command", ["import", "inspect"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 5_000])
def test_what_is_no_bundle_is_refused(
    bob: Passalong, stick: Path, command: str, content: bytes
) -> None:
    stick.write_bytes(content)
    assert bob("bundle", command, str(stick)).status == 1
    assert bob("bundle", command, str(stick)).refusal


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_a_file_that_is_not_there_is_refused(bob: Passalong, stick: Path, command: str) -> None:
    assert str(stick) in bob("bundle", command, str(stick)).refusal
    assert bob("bundle", command, str(stick.parent)).status == 1


@pytest.mark.parametrize(
    ("given", "bytes_"),
    [("600", 600), ("1k", 1_000), ("1K", 1_000), ("2kB", 2_000), ("10M", 10**7)],
)
def test_a_bundle_keeps_to_a_size(ann: Passalong, stick: Path, given: str, bytes_: int) -> None:
    wrote = ann.json("bundle", "export", str(stick), "--max-bytes", given)
    assert wrote["bytes"] == stick.stat().st_size <= bytes_


@pytest.mark.parametrize("given", ["", "0", "-1", "ten", "1.5M", "1T", "0k", "1k ", "\u0661"])
def test_what_is_no_size_is_wrong_usage(ann: Passalong, stick: Path, given: str) -> None:
    outcome = ann("bundle", "export", str(stick), "--max-bytes", given)
    assert outcome.status == 2
    assert outcome.refusal
    assert not stick.exists()


@pytest.mark.parametrize("option", ["--to", "--seal", "--parts"])
def test_options_of_later_versions_are_wrong_usage(
    ann: Passalong, stick: Path, option: str
) -> None:
    outcome = ann("bundle", "export", str(stick), option, "x")
    assert outcome.status == 2
    assert option in outcome.refusal


def test_a_bundle_through_pipes_leaves_standard_output_to_its_bytes(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    # given a bundle that was written to standard output
    ann, bob = (settle(tmp_path / name, name, capsysbinary) for name in ("Ann", "Bob"))
    assert main(["--home", str(ann.home), "bundle", "export", "-", "--json"]) == 0
    raw, aside = capsysbinary.readouterr()
    # then the answer is on standard error
    assert json.loads(aside)["bytes"] == len(raw)
    # and reading it from standard input answers there too
    for command, field in (("import", "new_blocks"), ("inspect", "blocks")):
        outcome = bob("bundle", command, "-", "--json", typed=raw)
        assert (outcome.status, outcome.out) == (0, "")
        assert json.loads(outcome.err)[field] == 2


def test_a_bundle_is_not_written_to_a_terminal(
    ann: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "terminal" in ann("bundle", "export", "-").refusal
