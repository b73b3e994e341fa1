from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from mesh.cli import screen as screens
from mesh.cli.streams import read_text
from mesh.port import PortError
from tests.mesh.cli_support import Answer, Passalong, carry, settle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return Passalong(tmp_path / "home", capsys)


def test_init_answers_with_keys_and_24_words(new: Passalong) -> None:
    answer = new.json("init", "--name", "Ann")
    assert set(answer) == {"person", "device", "name", "words"}
    assert len(answer["person"]) == len(answer["device"]) == 64
    assert answer["name"] == "Ann"
    assert len(answer["words"]) == 24


def test_init_needs_no_name(new: Passalong) -> None:
    assert new.json("init")["name"] is None
    assert new.json("whoami")["name"] is None


def test_init_without_a_terminal_shows_the_words_in_numbered_lines(new: Passalong) -> None:
    lines = new("init", "--name", "Ann").out.splitlines()
    numbered = [line.split() for line in lines if line[:2].strip().isdigit()]
    assert [int(number) for number, _word in numbered] == list(range(1, 25))
    assert any("shown once" in line for line in lines)


def test_init_is_refused_where_a_home_is(new: Passalong) -> None:
    new("init")
    again = new("init")
    assert again.status == 1
    assert "--home" in again.refusal


def test_the_words_of_an_init_that_could_not_show_them_come_again(
    new: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an init whose standard output broke
    def broken(*_: object) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(screens.Screen, "answer", broken)
        first = new("init", "--name", "Ann")
    assert first.status == 1
    assert "init again" in first.refusal
    # when it is run again
    second = new("init")
    # then there are words, once
    assert "interrupted" in second.out
    assert new("init").status == 1


def test_init_without_any_standard_output_makes_nothing(
    new: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", None)
        outcome = new("init")
    assert "standard output" in outcome.refusal
    assert not new.home.exists()


def _words_file(tmp_path: Path, words: list[str]) -> str:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"{number:2}. {word}" for number, word in enumerate(words, 1)))
    return str(path)


@pytest.fixture
def ann(new: Passalong) -> Answer:
    return new.json("init", "--name", "Ann")


def test_restore_makes_a_new_device_of_the_same_person(
    ann: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Passalong(tmp_path / "second", capsys)
    file = _words_file(tmp_path, ann["words"])
    answer = second.json("restore", "--words-file", file, "--name", "Ann")
    assert answer["person"] == ann["person"]
    assert answer["device"] != ann["device"]
    assert second.json("whoami") == answer


def test_restore_reads_words_from_standard_input_and_answers_aside(
    ann: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Passalong(tmp_path / "second", capsys)
    typed = " ".join(ann["words"]).upper().encode() + b"\n"
    outcome = second("restore", "--words-file", "-", "--json", typed=typed)
    assert (outcome.status, outcome.out) == (0, "")
    assert ann["person"] in outcome.err


@pytest.mark.parametrize("typed", [b"", b"one two three", b"\xff\xfe", b"a " * 40_000])
def test_restore_refuses_what_are_no_words(new: Passalong, typed: bytes) -> None:
    assert new("restore", "--words-file", "-", typed=typed).status == 1
    assert new("restore", "--words-file", "-", typed=typed).refusal


def test_restore_refuses_a_file_that_is_not_there(new: Passalong, tmp_path: Path) -> None:
    refusal = new("restore", "--words-file", str(tmp_path / "none")).refusal
    assert "cannot be read" in refusal


def test_whoami_answers_with_the_link(ann: Answer, new: Passalong) -> None:
    answer = new.json("whoami")
    assert set(answer) == {"person", "device", "name", "link"}
    assert answer["person"] == ann["person"]
    assert answer["link"].startswith("passalong:")
    assert answer["link"] in new("whoami").out.split()


@pytest.mark.usefixtures("ann")
def test_whoami_draws_a_code_on_a_terminal_only(
    new: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "▀" not in new("whoami").out
    monkeypatch.setattr(screens, "is_terminal", lambda _: True)
    assert "▀" in new("whoami").out
    monkeypatch.setenv("COLUMNS", "40")
    assert "too small" in new("whoami").out


@pytest.mark.usefixtures("ann")
def test_the_link_stays_on_one_line_of_a_terminal(
    new: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = new.json("whoami")["link"]
    monkeypatch.setattr(screens, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert link in new("whoami").out.splitlines()


def test_a_name_of_a_stranger_finds_the_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann, bob = (settle(tmp_path / name, name, capsys) for name in ("Ann", "Bob"))
    carry(ann, bob)
    row = bob.json("follow", "Ann")
    assert row["person"] == ann.json("whoami")["person"]


def test_init_on_a_terminal_shows_the_words_in_columns(
    new: Passalong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "is_terminal", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lines = [line.split() for line in new("init").out.splitlines()]
    (first,) = [line for line in lines if "1" in line]
    assert [first[place] for place in (1, 3, 5, 7)] == ["1", "7", "13", "19"]


def test_whoever_types_at_the_keyboard_is_told_how_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard = io.TextIOWrapper(io.BytesIO(b"hello\n"), "utf-8")
    keyboard.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert read_text("-", "the text") == "hello"
    assert "Ctrl-D" in capsys.readouterr().err


def test_a_standard_input_that_is_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(PortError, match="closed"):
        read_text("-", "the text")
