from __future__ import annotations

import io
import time
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mesh.cli import waiting
from mesh.cli.feed import entries
from mesh.cli.harmless import REPLACEMENT, harmless, harmless_lines
from mesh.cli.parts import Cell, Entry, Facts, Heading, Part, Sentence, Sheet
from mesh.cli.qr import QUIET_ZONE, half_blocks, modules
from mesh.cli.wording import ago, counted, moment, size_text
from mesh.rows import AttachmentRow, FeedRow

DAY = 24 * 60 * 60 * 1_000


@given(st.text(st.characters(exclude_categories=())))
def test_harmless_text_is_one_line_that_acts_on_nothing(text: str) -> None:
    shown = harmless(text)
    bad = {"Cc", "Cs", "Zl", "Zp"}
    assert not [character for character in shown if unicodedata.category(character) in bad]
    assert shown == harmless(shown)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Ünïcode 漢字 עברית",
        "👩\u200d👩\u200d👧",
        "\u0645\u06cc\u200c\u062e\u0648",
        "e\u0301",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    "evil", "\x00\x07\x08\r\x1b\x7f\x85\x9b\u200b\u200e\u2028\u202e\u2066\ufeff\u3164"
)
def test_what_acts_or_hides_is_replaced(evil: str) -> None:
    assert harmless(f"a{evil}b") == f"a{REPLACEMENT}b"


def test_lines_stay_lines() -> None:
    assert harmless_lines("a\r\nb\nc\rd\te") == ["a", "b", f"c{REPLACEMENT}d e"]
    assert harmless("a\r\nb") == "a b"


def _drawn(part: Part, width: int = 60) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True)
    with console.capture() as captured:
        console.print(part.drawn())
    return captured.get()


PARTS = [
    Sentence("[red]x[/red]\x1b[2J"),
    Facts("[red]x[/red]\x1b", [("name", "[red]x[/red]\x1b")]),
    Sheet(("a", "b"), [("[red]x[/red]\x1b", Cell("y", "bold"))], fold="a"),
    Entry(Heading([Cell("[red]x[/red]\x1b")]), "one\n[red]x[/red]", [Cell("\x1b note")]),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_every_part_shows_markup_as_text_and_escapes_as_nothing(part: Part) -> None:
    plain = "\n".join(part.plain())
    assert "[red]x[/red]" in plain
    assert "\x1b" not in plain
    drawn = _drawn(part)
    assert "[red]x[/red]" in drawn
    assert "\x1b[2J" not in drawn
    assert REPLACEMENT in drawn


def test_an_empty_sheet_says_so() -> None:
    sheet = Sheet(("a",), [], "none yet")
    assert list(sheet.plain()) == ["none yet"]
    assert "none yet" in _drawn(sheet)


def test_a_qr_code_has_its_quiet_zone_and_its_smallest_mode() -> None:
    link = "passalong:" + "a" * 264
    rows = modules(link.upper())
    assert segno.make(link.upper(), error="l").mode == "alphanumeric"
    assert len(rows) == len(rows[0]) == 49 + 2 * QUIET_ZONE
    inner = slice(QUIET_ZONE, -QUIET_ZONE)
    assert sum(map(sum, rows)) == sum(sum(row[inner]) for row in rows[inner])


def test_half_blocks_hold_every_module() -> None:
    rows = [[True, True, False, False], [True, False, True, False], [True, False, False, True]]
    assert list(half_blocks(rows, dark_is_ink=True)) == ["█▀▄ ", "▀  ▀"]
    assert list(half_blocks(rows, dark_is_ink=False)) == [" ▄▀█", "▄██▄"]


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (0, "just now"),
        (60_000, "1 minute ago"),
        (59 * 60_000, "59 minutes ago"),
        (2 * DAY // 24, "2 hours ago"),
        (DAY, "1 day ago"),
        (6 * DAY, "6 days ago"),
    ],
)
def test_moments_of_the_last_week_are_told_from_now(past: int, text: str) -> None:
    now = 1_800_000_000_000
    assert ago(now - past, now) == text


@pytest.mark.parametrize("time_ms", [0, -1, 1 << 62, 1_800_000_000_000, -(1 << 60)])
def test_any_claimed_time_can_be_shown(time_ms: int) -> None:
    assert moment(time_ms)
    assert ago(time_ms, 1_700_000_000_000) == moment(time_ms)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert size_text(size) == text
    assert counted(1_234, "block") == "1,234 blocks"


def _terminal() -> io.StringIO:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    return stream


def test_who_waits_at_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := _terminal())
    with waiting.waiting("taking in [the] bundle") as tell:
        tell(1, None)
        deadline = time.monotonic() + 10
        while "50%" not in terminal.getvalue() and time.monotonic() < deadline:
            tell(50, 100)
            time.sleep(0.01)
    assert "taking in [the] bundle" in terminal.getvalue()
    assert "50%" in terminal.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), _terminal(), None])
def test_who_does_not_wait_or_has_no_terminal_sees_none(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    with waiting.waiting("a moment") as tell:
        tell(1, 2)
    assert stream is None or stream.getvalue() == ""


def _post(**changes: Any) -> FeedRow:  # noqa: ANN401  any field
    row = FeedRow(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, None, 0, "hi", None, [], 0, None)
    return replace(row, **changes)


def test_a_post_is_shown_with_all_that_must_be_known_of_it() -> None:
    photo = AttachmentRow(bytes(32), 1_200, "image/jpeg", "a\x1b.jpg")
    row = _post(attachments=[photo], reply_to=b"\x09" * 32, hops=2, mark="forked")
    (entry,) = entries([row], None, everyone=True)
    heading, text, *notes = list(entry.plain())
    assert heading == "(no name)  0202020202020202  1970-01-01 00:00  post 01010101  2 hops"
    assert text == "    hi"
    assert notes[0] == "  [answers post 09090909]"
    assert notes[1] == f"  [attached: a{REPLACEMENT}.jpg, image/jpeg, 1.2 kB]"
    assert notes[2].startswith("  [forked: ")


@pytest.mark.parametrize("mark", ["forked", "revoked", "detached", "something newer"])
def test_whatever_mark_a_post_has_is_told(mark: str) -> None:
    (entry,) = entries([_post(mark=mark)], 0, everyone=True)
    assert f"[{mark}" in "\n".join(entry.plain())
    assert mark in _drawn(entry)
