"""The specification of meetings says what the code does, where both can be compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gossip import control, cursor, mail, mail_choice, mail_giving
from gossip.claims import LONGEST_S, PATIENCE_S
from gossip.control import (
    CARRIES,
    DECOYS,
    MAX_ASKS,
    MAX_EVIDENCE,
    MAX_SCOPES,
    MAX_STRANGE,
    MAX_TOLD,
    STAYS,
    Mode,
    Reason,
)
from gossip.describing import MANY_NEWS
from gossip.envelope import (
    MAX_CIPHERTEXT_BYTES,
    MAX_COPIES,
    MAX_ENVELOPE_BYTES,
    MAX_HOPS,
    MAX_LIFE_MIN,
)
from gossip.fair import OWED_BYTES, TURN_BYTES
from gossip.letting_go import LEAST_BLOCKS, WORTH_SHORTENING
from gossip.mail_room import MailLimits
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.outlet import FRAMES
from gossip.pace import FIRST_BYTES, GROWTH, LATE_S, LEAST_BYTES
from gossip.packing import MOST_WHOLE
from gossip.policy import Limits, Quota
from gossip.postal import (
    MAX_OFFERED,
    MAX_ROWS,
    NAME_BYTES,
    ROW_BYTES,
    TOKEN_NAME_BYTES,
    Why,
)
from gossip.scopes import SMALL
from gossip.session import TRANSITIONS, State
from gossip.shelf import MAX_FLOORS
from ledger.store.base import MAX_RUNS

TEXT = Path(__file__).parents[2].joinpath("docs", "protocol.md").read_text("utf-8")
LIMITS, MAIL, QUOTA = Limits(), MailLimits(), Quota()


def chapter(title: str) -> str:
    """Return what stands under a heading, up to the next one."""
    found = re.search(
        rf"^#+ (?:\d+\. )?{re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    assert found is not None, title
    return found[1]


def cells(title: str) -> list[list[str]]:
    """Return the rows of all tables under a heading."""
    rows = [line for line in chapter(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_table_of_transitions_is_that_of_the_code() -> None:
    names = {state.name for state in State}
    rows = [row[:2] for row in cells("States") if row[0] in names]
    assert len(rows) == len(TRANSITIONS)
    assert {(State[before], State[after]) for before, after in rows} == TRANSITIONS


def test_the_picture_of_the_states_is_that_of_the_code() -> None:
    lines = re.findall(r"^ +(\w+) --> (\w+)", chapter("States"), re.MULTILINE)
    assert len(lines) == len(TRANSITIONS)
    assert {(State[before], State[after]) for before, after in lines} == TRANSITIONS


def test_every_number_of_a_message_is_in_the_table_and_no_other() -> None:
    rows = [row[:2] for row in cells("Messages") if row[0].isdigit()]
    named = {name: int(number) for number, name in rows if name.isupper()}
    assert named | {"TRAILER": 15} == {number.name: number.value for number in Number}
    assert len(rows) == len(Number)


def test_every_mode_is_in_the_table_under_its_number() -> None:
    rows = [row for row in cells("WANT") if row[0].isdigit() and row[1] in Mode.__members__]
    assert {row[1]: int(row[0]) for row in rows} == {mode.name: mode.value for mode in Mode}


def test_every_reason_is_in_the_table_under_its_number() -> None:
    rows = [row for row in cells("WANT") if row[0].isdigit() and row[1] in Reason.__members__]
    assert {row[1]: int(row[0]) for row in rows} == {r.name: r.value for r in Reason}


def test_every_reason_to_leave_mail_is_in_the_table_under_its_number() -> None:
    rows = [row for row in cells("TAKE, LEAVE") if row[0].isdigit() and row[1] in Why.__members__]
    assert {row[1]: int(row[0]) for row in rows} == {why.name: why.value for why in Why}


FIGURES: dict[str, tuple[str, list[float]]] = {
    "frames": ("HELLO", [control.MIN_FRAME_BYTES, MAX_MESSAGE_BYTES, STAYS, CARRIES]),
    "cursors": (
        "Runs of a store, and what was seen",
        [MAX_RUNS, cursor.MAX_RANGES, cursor.MAX_SEEN_BYTES, control.RUN_BYTES],
    ),
    "scopes": (
        "Scopes: ROOT, BUCKETS, VECTOR",
        [control.MAX_SCOPES, LIMITS.recent, SMALL, control.BUCKETS, control.ROOT_BYTES],
    ),
    "groups": ("Scopes: ROOT, BUCKETS, VECTOR", [DECOYS, MAX_SCOPES - DECOYS]),
    "mentions": ("Mentions", [control.SHORT_BYTES, control.CHECK_BYTES]),
    "asking": ("What is asked", [LIMITS.newest_above, LIMITS.newest, LIMITS.asks]),
    "wants": ("WANT", [control.MAX_CLASS, control.MAX_BODY_RANGES, control.IDENT_BYTES]),
    "search": ("The first difference", [control.MAX_IDS, control.MAX_IDS + 1, control.ID_BYTES]),
    "evidence": ("Forks in a meeting", [MAX_EVIDENCE]),
    "order": (
        "Room, budgets and order",
        [OWED_BYTES, TURN_BYTES, control.MAX_CLASS],
    ),
    "pace": (
        "Room, budgets and order",
        [FRAMES, FIRST_BYTES, LEAST_BYTES, GROWTH, LATE_S, MOST_WHOLE],
    ),
    "pages": ("ACK", [control.MAX_PAGES, control.MAX_ANNOUNCES]),
    "news": ("What arrives meanwhile", [PATIENCE_S, LONGEST_S]),
    "limits": ("Limits", [LIMITS.greeting, LIMITS.silence, LIMITS.stall, MAX_ASKS]),
    "sizes of mail": (
        "Messages",
        [
            *(MAX_ENVELOPE_BYTES, MAX_HOPS, MAX_LIFE_MIN, MAX_COPIES),
            *(MAX_ROWS, ROW_BYTES, TOKEN_NAME_BYTES),
        ],
    ),
    "envelopes": ("Envelopes", [MAX_CIPHERTEXT_BYTES, MAX_ENVELOPE_BYTES]),
    "mail carried": (
        "Mail that is carried",
        [MAX_HOPS, MAX_COPIES, MAIL.memory, MAIL.envelopes, MAIL.bytes >> 20],
    ),
    "mail offered": (
        "OFFERS",
        [control.MAIL_RUN_BYTES, mail_giving.MAX_STRANGE, NAME_BYTES, TOKEN_NAME_BYTES],
    ),
    "mail taken": (
        "TAKE, LEAVE",
        [
            *(mail_choice.MOST_VAIN, mail_choice.MOST_TOGETHER, mail_choice.ENDING_BYTES),
            *(mail.PATIENCE_S, LONGEST_S),
        ],
    ),
    "tokens": ("TAKE, LEAVE", [mail_giving.URGENT_BYTES, mail_giving.TOKEN_COST_BYTES]),
    "pieces": ("What mail comes", [mail_giving.PIECE_BYTES, mail.MAX_BEGUN]),
    "parts": ("Parts of the public scope", [control.PARTS, MANY_NEWS, control.BUCKET_BYTES]),
    "quotas": (
        "What is let go",
        [QUOTA.blocks, QUOTA.bytes >> 10, LEAST_BLOCKS, WORTH_SHORTENING, MAX_FLOORS],
    ),
    "unwanted": ("Limits", [LIMITS.unwanted, MAX_MESSAGE_BYTES]),
}


@pytest.mark.parametrize("what", FIGURES)
def test_the_figures_are_those_of_the_code(what: str) -> None:
    title, figures = FIGURES[what]
    said = set(re.findall(r"\d+(?:,\d{3})*", chapter(title)))
    assert {f"{figure:,.0f}" for figure in figures} <= said


def test_powers_of_two_are_those_of_the_code() -> None:
    assert f"2^{control.MAX_COUNT.bit_length() - 1}" in chapter("HELLO")
    assert f"2^{control.MAX_MENTIONS.bit_length() - 1}" in chapter("Mentions")
    for most in (MAX_TOLD, MAX_STRANGE, MAX_OFFERED):
        assert f"2^{most.bit_length() - 1}" in chapter("Limits")


def test_every_link_of_the_contents_leads_to_a_chapter() -> None:
    links = re.findall(r"(\d+)\. \[([^]]+)\]\(#(\d+)-([a-z-]+)\)", TEXT)
    headings = re.findall(r"^## (\d+)\. (.+)$", TEXT, re.MULTILINE)
    assert [(number, title) for number, title, _, _ in links] == headings
    for number, title, again, anchor in links:
        assert (again, anchor) == (number, title.lower().replace(" ", "-"))
