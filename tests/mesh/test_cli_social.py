from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh.cli import screen as screens
from tests.mesh.cli_support import Passalong, carry, settle

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b[31mred\x1b]0;title\x07 [bold]loud[/] \u202egnp.exe\u202c\x9b2J\n  Ann  0000  fake"


@pytest.fixture
def ann(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "ann", "Ann", capsys)


@pytest.fixture
def bob(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Passalong:
    return settle(tmp_path / "bob", "Bob", capsys)


def test_post_answers_with_id_and_seq(ann: Passalong) -> None:
    answer = ann.json("post", "the well is dry")
    assert set(answer) == {"id", "seq"}
    assert len(answer["id"]) == 64
    assert ann.json("post", "again")["seq"] == answer["seq"] + 1


def test_post_tells_a_person_the_digits_that_reply_needs(ann: Passalong) -> None:
    said = ann("post", "the well is dry").out
    digits = said.split()[1].rstrip(",")
    assert ann.json("post", "which?", "--reply-to", digits)["id"]
    assert f"answers post {digits}" in ann("feed").out


@pytest.mark.parametrize("args", [["--", "-5"], ["--", "--json"]])
def test_what_stands_after_two_dashes_is_text(ann: Passalong, args: list[str]) -> None:
    assert ann("--json", "post", *args).answer
    assert ann.json("feed")[0]["text"] == args[-1]


def test_post_reads_its_text_from_standard_input(ann: Passalong) -> None:
    ann.json("post", "-", typed="zwei\nZeilen ü\n".encode())
    assert ann.json("feed")[0]["text"] == "zwei\nZeilen ü"


@pytest.mark.parametrize("typed", [b"caf\xe9", b"\xed\xa0\x80", b"x" * 70_000, b""])
def test_post_refuses_what_is_no_text_from_standard_input(ann: Passalong, typed: bytes) -> None:
    assert ann("post", "-", typed=typed).status == 1
    assert ann("post", "-", typed=typed).refusal
    assert ann.json("feed") == []


@pytest.mark.parametrize(
    "args",
    [
        ["post", "caf\udce9"],
        ["follow", "\udcff"],
        ["mute", "\udcff"],
        ["unblock", "\udcff"],
        ["feed", "--author", "\udcff"],
        ["log", "\udcff"],
    ],
)
def test_arguments_that_are_not_utf8_are_refused(ann: Passalong, args: list[str]) -> None:
    outcome = ann(*args)
    assert outcome.status == 1
    assert "UTF-8" in outcome.refusal


def test_attachments_are_refused_with_a_word(ann: Passalong) -> None:
    outcome = ann("post", "look", "--attach", "photo.jpg")
    assert outcome.status == 1
    assert "later version" in outcome.refusal
    assert ann.json("feed") == []


def test_the_feed_is_a_list_newest_first(ann: Passalong) -> None:
    assert ann.json("feed") == []
    first = ann.json("post", "one")
    second = ann.json("post", "two", "--reply-to", first["id"])
    rows = ann.json("feed")
    assert [row["id"] for row in rows] == [second["id"], first["id"]]
    me = ann.json("whoami")
    assert rows[0].pop("time") > 1_700_000_000_000
    assert rows[0] == {
        "id": second["id"],
        "author": me["person"],
        "device": me["device"],
        "name": "Ann",
        "text": "two",
        "reply_to": first["id"],
        "attachments": [],
        "hops": 0,
        "mark": None,
    }


def test_the_feed_has_a_limit(ann: Passalong) -> None:
    for number in range(4):
        ann.json("post", str(number))
    assert [row["text"] for row in ann.json("feed", "--limit", "2")] == ["3", "2"]
    (ann.home / "config.toml").write_text("feed_limit = 3\n")
    assert len(ann.json("feed")) == 3
    assert len(ann.json("feed", "--limit", "0")) == 4


def test_the_feed_holds_whom_one_follows_and_all_holds_everybody(
    ann: Passalong, bob: Passalong
) -> None:
    ann.json("post", "from Ann")
    carry(ann, bob)
    assert bob.json("feed") == []
    assert "feed --all" in bob("feed").out
    assert [row["text"] for row in bob.json("feed", "--all")] == ["from Ann"]
    assert [row["text"] for row in bob.json("feed", "--author", "Ann")] == ["from Ann"]
    bob.json("follow", "Ann")
    assert [row["name"] for row in bob.json("feed")] == ["Ann"]
    assert len(bob.json("feed", "--nearby")) == 1


def test_follow_takes_key_prefix_and_link(ann: Passalong, bob: Passalong) -> None:
    me = ann.json("whoami")
    carry(ann, bob)
    for person in (me["person"], me["person"][:8], me["link"]):
        assert bob.json("follow", person)["following"] is True
        assert bob.json("unfollow", person)["following"] is False


def test_follow_of_nobody_is_refused(ann: Passalong) -> None:
    assert ann("follow", "Zoe").status == 1
    assert ann("follow", "Zoe").refusal


def test_contacts_are_listed(ann: Passalong, bob: Passalong) -> None:
    assert bob.json("contacts") == []
    assert "passalong follow" in bob("contacts").out
    carry(ann, bob)
    assert "you follow Ann" in bob("follow", "Ann").out
    assert bob.json("contacts") == [
        {
            "person": ann.json("whoami")["person"],
            "name": "Ann",
            "following": True,
            "verified": False,
            "muted": False,
            "blocked": False,
            "added": False,
        }
    ]
    assert "no longer follow Ann" in bob("unfollow", "Ann").out


def test_mute_and_block_answer_with_the_contact(ann: Passalong, bob: Passalong) -> None:
    ann.json("post", "from Ann")
    carry(ann, bob)
    row = bob.json("follow", "Ann")
    for command, change in (
        ("mute", {"muted": True}),
        ("block", {"blocked": True, "following": False}),
        ("unblock", {"blocked": False}),
        ("block", {"blocked": True}),
        ("unmute", {"muted": False}),
    ):
        row |= change
        assert bob.json(command, "Ann") == row
        assert bob.json("contacts") == [row]
    assert bob.json("feed", "--all") == bob.json("feed", "--nearby") == []
    assert [post["text"] for post in bob.json("feed", "--author", "Ann")] == ["from Ann"]


def test_mute_and_block_say_what_follows(ann: Passalong, bob: Passalong) -> None:
    carry(ann, bob)
    bob.json("follow", "Ann")
    assert "what they write is not shown, but carried as before" in bob("mute", "Ann").out
    assert "muted, so what they write is not shown" in bob("follow", "Ann").out
    assert "shown again" in bob("unmute", "Ann").out
    said = bob("block", "Ann").out
    assert said.startswith("you blocked Ann (")
    assert "not shown, taken in or passed on, and you do not follow them" in said
    bob.json("mute", "Ann")
    assert "still blocked" in bob("unmute", "Ann").out
    assert "taken in and passed on; you do not follow them" in bob("unblock", "Ann").out
    bob.json("block", "Ann")
    bob.json("mute", "Ann")
    assert "muted, so it is not shown" in bob("unblock", "Ann").out


@pytest.mark.parametrize("command", ["mute", "unmute", "block", "unblock"])
def test_what_cannot_be_muted_or_blocked_is_refused(
    ann: Passalong, bob: Passalong, command: str
) -> None:
    carry(ann, bob)
    for person, why in (("Zoe", "nobody is known"), ("Bob", "that is yourself")):
        assert bob(command, person).status == 1
        assert why in bob(command, person).refusal
    if command.startswith("un"):
        assert f"you have not {command[2:]}" in bob(command, "Ann").refusal
    else:
        assert bob(command, "Ann").status == 0
    assert bob(command).status == 2


def test_follow_of_somebody_blocked_says_what_to_do(ann: Passalong, bob: Passalong) -> None:
    carry(ann, bob)
    bob.json("block", "Ann")
    assert bob("follow", "Ann").status == 1
    assert bob("follow", "Ann").refusal == "you have blocked Ann; `passalong unblock` first"


def test_an_import_says_how_much_was_left_out(
    ann: Passalong, bob: Passalong, tmp_path: Path
) -> None:
    carry(ann, bob)
    bob.json("block", "Ann")
    stick = str(tmp_path / "stick.passalong")
    ann.json("bundle", "export", stick)
    answer = bob.json("bundle", "import", stick)
    assert (answer["new_blocks"], answer["known_blocks"], answer["blocked"]) == (0, 0, 2)
    assert answer["complete"] is True
    assert "2 of persons you blocked left out" in bob("bundle", "import", stick).out
    bob.json("unblock", "Ann")
    assert "left out" not in bob("bundle", "import", stick).out


@pytest.mark.parametrize("drawn", [False, True])
def test_contacts_say_who_is_muted_and_blocked(
    ann: Passalong,
    bob: Passalong,
    monkeypatch: pytest.MonkeyPatch,
    *,
    drawn: bool,
) -> None:
    carry(ann, bob)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(screens, "is_terminal", lambda _: drawn)
    said = []
    for commands in (["follow", "mute"], ["block"], ["unmute"]):
        for command in commands:
            bob(command, "Ann")
        said.append(bob("contacts").out.splitlines()[-1].split(maxsplit=2)[2].rstrip())
    assert said == ["following, muted", "muted, blocked", "blocked"]


@pytest.mark.parametrize("drawn", [False, True])
def test_a_strangers_text_cannot_act_on_the_terminal(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    drawn: bool,
) -> None:
    # given a stranger whose name and post hold escapes, turned text and markup
    eve = settle(tmp_path / "eve", "Eve [red]x[/red]", capsys)
    bob = settle(tmp_path / "bob", "Bob", capsys)
    eve.json("post", HOSTILE)
    carry(eve, bob)
    bob.json("follow", eve.json("whoami")["person"])
    # when it is shown, without colours
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(screens, "is_terminal", lambda _: drawn)
    shown = [
        bob(*args).out
        for args in (["feed"], ["contacts"], ["log", "Eve [red]x[/red]"], ["feed", "--all"])
    ]
    # then nothing but printable characters comes out, markup is text, and lines are indented
    assert all(text.replace("\n", "").isprintable() for text in shown)
    assert "[bold]loud[/]" in shown[0]
    assert "Eve [red]x[/red]" in shown[0]
    assert "\ufffd[31mred" in shown[0]
    assert [line for line in shown[0].splitlines() if line.startswith("Ann")] == []


def test_json_holds_a_strangers_text_as_it_is_but_only_in_ascii(ann: Passalong) -> None:
    ann.json("post", HOSTILE)
    outcome = ann("feed", "--json")
    assert outcome.answer[0]["text"] == HOSTILE
    assert outcome.out.isascii()
    assert "\x1b" not in outcome.out
