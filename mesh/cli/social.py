"""What people say, and to whom one listens: from ``post`` to ``contacts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command, person
from mesh.cli.streams import read_text
from mesh.cli.values import STANDARD, utf8
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Cell
    from mesh.rows import ContactRow

_MARKS: Final = {"following": "green", "verified": "green", "muted": "yellow", "blocked": "red"}
"""What is said of a contact, and its style; the last that applies decides."""


@click.command(cls=Command)
@click.argument("text", type=utf8, metavar="TEXT")
@click.option("--reply-to", type=utf8, metavar="ID", help="The post it answers; 8 digits will do.")
@click.option("--attach", multiple=True, hidden=True)
@pass_call
def post(call: Call, text: str, reply_to: str | None, attach: tuple[str, ...]) -> None:
    """Write a post; TEXT - reads it from standard input."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import id_text  # noqa: PLC0415

    if attach:
        raise PortError("attachments come with a later version; post the text without --attach")
    words = read_text(STANDARD, "the text") if text == STANDARD else text
    posted = call.ask(lambda port, _: port.post(words, reply_to=reply_to), "posting")
    call.screen().answer(
        posted, Sentence(f"posted {id_text(posted.id)}, number {posted.seq} of your log")
    )


@click.command(cls=Command)
@click.option("--all", "everyone", is_flag=True, help="Of everybody whom you do not mute or block.")
@click.option("--nearby", is_flag=True, help="Of those heard of within 3 hops and a day.")
@click.option("--author", type=utf8, metavar="PERSON", help="Of this person only, muted or not.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="At most so many; 0 for all.  [default: feed_limit of config.toml]",
)
@pass_call
def feed(call: Call, everyone: bool, nearby: bool, author: str | None, limit: int | None) -> None:
    """Show posts, newest first: yours, and of whom you follow."""
    from mesh.cli.clock import now_ms  # noqa: PLC0415
    from mesh.cli.feed import entries  # noqa: PLC0415

    most = _feed_limit(call) if limit is None else limit
    rows = call.ask(
        lambda port, _: port.feed(
            everyone=everyone, nearby=nearby, author=author, limit=most or None
        ),
        "reading the logs",
    )
    screen = call.screen()
    screen.answer(rows, *entries(rows, now_ms() if screen.is_drawn else None, everyone=everyone))


def _feed_limit(call: Call) -> int:
    from mesh.config import load_config  # noqa: PLC0415
    from mesh.paths import CONFIG  # noqa: PLC0415

    return load_config(call.home / CONFIG).feed_limit


@click.command(cls=Command)
@person
@pass_call
def follow(call: Call, person: str) -> None:
    """Follow a person: a key, 8 digits of it, a name or a link. Nobody else learns it."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.follow(person), "following")
    still = "; muted, so what they write is not shown" if row.muted else ""
    call.screen().answer(row, Sentence(f"you follow {_called(row)}{still}"))


@click.command(cls=Command)
@person
@pass_call
def unfollow(call: Call, person: str) -> None:
    """Follow a person no longer."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.unfollow(person), "unfollowing")
    call.screen().answer(row, Sentence(f"you no longer follow {_called(row)}"))


@click.command(cls=Command)
@person
@pass_call
def mute(call: Call, person: str) -> None:
    """Hide what a person writes; it is carried as before. Nobody else learns it."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.mute(person), "muting")
    text = f"you muted {_called(row)}: what they write is not shown, but carried as before"
    call.screen().answer(row, Sentence(text))


@click.command(cls=Command)
@person
@pass_call
def unmute(call: Call, person: str) -> None:
    """Show again what a person writes."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.unmute(person), "unmuting")
    shown = "still blocked" if row.blocked else "what they write is shown again"
    call.screen().answer(row, Sentence(f"you no longer mute {_called(row)}: {shown}"))


@click.command(cls=Command)
@person
@pass_call
def block(call: Call, person: str) -> None:
    """Hide what a person writes, and neither take nor carry it. Nobody else learns it."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.block(person), "blocking")
    text = (
        f"you blocked {_called(row)}: what they write is not shown, taken in or passed on, and you"
        " do not follow them"
    )
    call.screen().answer(row, Sentence(text))


@click.command(cls=Command)
@person
@pass_call
def unblock(call: Call, person: str) -> None:
    """Take in and carry again what a person writes."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.unblock(person), "unblocking")
    still = "; muted, so it is not shown" if row.muted else "; you do not follow them"
    text = f"you no longer block {_called(row)}: what they write is taken in and passed on{still}"
    call.screen().answer(row, Sentence(text))


@click.command(cls=Command)
@pass_call
def contacts(call: Call) -> None:
    """Show the persons you keep something of."""
    from mesh.cli.parts import Cell, Sheet  # noqa: PLC0415
    from mesh.cli.wording import key_text  # noqa: PLC0415

    rows = call.ask(lambda port, _: port.contacts(), "reading the logs")
    lines = [
        (
            Cell(row.name or "(no name)", "bold" if row.name else "dim"),
            key_text(row.person),
            _state(row),
        )
        for row in rows
    ]
    empty = "No contacts yet: passalong follow PERSON, with a key, a name or a link."
    sheet = Sheet(("name", "person", "state"), lines, empty, fold="name")
    call.screen().answer(rows, sheet)


def _called(row: ContactRow) -> str:
    from mesh.cli.wording import key_text  # noqa: PLC0415

    return f"{row.name} ({key_text(row.person)})" if row.name else key_text(row.person)


def _state(row: ContactRow) -> Cell:
    from mesh.cli.parts import Cell  # noqa: PLC0415

    marks = [mark for mark in _MARKS if getattr(row, mark)]
    return Cell(", ".join(marks) or "known", _MARKS[marks[-1]] if marks else "")
