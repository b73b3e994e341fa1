from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mesh.cli.entry import main
from tests.mesh.cli_support import Passalong, settle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mesh.cli_support import Answer


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
    assert wrote == {"blocks": 7, "envelopes": 0, "bytes": stick.stat().st_size, "parts": 1}
    took = bob.json("bundle", "import", str(stick))
    assert took == {
        "new_blocks": 7,
        "known_blocks": 0,
        "blocked": 0,
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


@pytest.fixture
def cy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "cy", "Cy", capsys)


def seal(giver: Passalong, taker: Passalong, stick: Path, *more: str) -> Answer:
    """Write a bundle that is sealed to somebody by his link."""
    link = taker.json("whoami")["link"]
    return giver.json("bundle", "export", str(stick), "--seal", "--to", link, *more)


def test_the_second_sealed_bundle_to_a_person_is_the_news(
    ann: Passalong, bob: Passalong, stick: Path
) -> None:
    assert seal(ann, bob, stick)["blocks"] == 7
    assert bob.json("bundle", "import", str(stick))["new_blocks"] == 7
    # by now each knows the other by name
    assert bob.json("bundle", "export", str(stick), "--seal", "--to", "Ann")["blocks"] == 2
    assert ann.json("bundle", "import", str(stick))["new_blocks"] == 2
    ann.json("post", "news")
    wrote = ann.json("bundle", "export", str(stick), "--seal", "--to", "Bob")
    assert wrote["blocks"] == 1
    assert wrote["bytes"] == stick.stat().st_size < 2_000
    assert bob.json("bundle", "import", str(stick))["new_blocks"] == 1


def test_an_open_bundle_to_a_person_has_what_he_lacks(
    ann: Passalong, bob: Passalong, stick: Path
) -> None:
    for giver, taker in ((ann, bob), (bob, ann)):
        seal(giver, taker, stick)
        taker.json("bundle", "import", str(stick))
    ann.json("post", "news")
    assert ann.json("bundle", "export", str(stick), "--to", "Bob")["blocks"] == 1
    assert ann.json("bundle", "export", str(stick))["blocks"] == 10


def test_a_bundle_that_is_sealed_for_others_is_refused_in_one_line(
    ann: Passalong, bob: Passalong, cy: Passalong, stick: Path
) -> None:
    seal(ann, bob, stick)
    before = cy.json("feed", "--all")
    assert "the bundle is sealed for others" in cy("bundle", "import", str(stick)).refusal
    assert cy("bundle", "import", str(stick)).status == 1
    assert cy.json("feed", "--all") == before


def test_a_sealed_bundle_is_looked_into_with_the_home_of_a_reader(
    ann: Passalong, bob: Passalong, cy: Passalong, stick: Path
) -> None:
    seal(ann, bob, stick)
    for outside in (
        bob.bare("bundle", "inspect", str(stick), "--json"),
        cy.bare("--home", str(cy.home), "bundle", "inspect", str(stick), "--json"),
    ):
        found = outside.answer
        assert (found["slots"], found["opened"], found["complete"]) == (8, False, True)
        assert (found["blocks"], found["logs"]) == (0, [])
        assert found["bytes"] == stick.stat().st_size
    assert "sealed  for up to 8 devices" in bob.bare("bundle", "inspect", str(stick)).out
    found = bob.json("bundle", "inspect", str(stick))
    assert (found["opened"], found["blocks"], found["count"]) == (True, 7, 1)
    assert found["writer"] == ann.json("whoami")["device"]
    raw = stick.read_bytes()
    assert json.loads(bob("bundle", "inspect", "-", "--json", typed=raw).err)["blocks"] == 7


def test_parts_are_taken_in_from_their_folder(
    ann: Passalong, bob: Passalong, cy: Passalong, tmp_path: Path
) -> None:
    for number in range(20):
        ann.json("post", f"{number} " + "x" * 8_000)
    folder = tmp_path / "stick"
    folder.mkdir()
    wrote = seal(ann, bob, folder / "news.passalong", "--parts", "100k")
    assert wrote["parts"] == len(list(folder.iterdir())) >= 2
    assert max(file.stat().st_size for file in folder.iterdir()) <= 100_000
    (folder / "other.passalong").write_bytes(b"hello")
    found = bob.json("bundle", "import", str(folder))
    assert [row["file"] for row in found["files"]] == [
        *(f"news.{part}.passalong" for part in range(1, wrote["parts"] + 1)),
        "other.passalong",
    ]
    assert [row["outcome"] for row in found["files"]][-2:] == ["taken", "not a bundle"]
    told = bob("bundle", "import", str(folder))
    assert (told.status, told.err) == (0, "")
    assert "news.1.passalong" in told.out
    refusal = cy("bundle", "import", str(folder)).refusal
    assert "not a bundle; sealed for others" in refusal


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--seal"], "you have no other device"),
        (["--seal", "--to", "Nobody"], "nobody is known as 'Nobody'"),
        (["--to", "ab" * 32], "no device of"),
        (["--parts", "99k"], "at least 100,000 bytes"),
        (["--max-bytes", "255"], "at least 256 bytes"),
    ],
)
def test_an_export_that_nobody_could_read_is_refused(
    ann: Passalong, stick: Path, options: list[str], why: str
) -> None:
    outcome = ann("bundle", "export", str(stick), *options)
    assert outcome.status == 1
    assert why in outcome.refusal
    assert not stick.exists()


def test_a_pipe_is_not_cut_into_parts(ann: Passalong) -> None:
    assert "name a file" in ann("bundle", "export", "-", "--parts", "100k").refusal


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
