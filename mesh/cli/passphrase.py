"""A passphrase from a file, or from the keyboard, where it is not shown."""

from __future__ import annotations

import sys
from typing import Final

import click

from mesh.cli.streams import read_text
from mesh.port import PortError

_ADVICE: Final = (
    "Choose five words or more that nobody would guess; nobody can tell you them again."
)

passphrase_option = click.option(
    "--passphrase-file",
    "file",
    metavar="FILE",
    help="Where the passphrase stands; - is standard input.",
)


def has_keyboard() -> bool:
    """Say whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_passphrase(file: str | None, *, is_new: bool = False) -> str:
    """Return a passphrase.

    Args:
        file: Where it stands; None for the keyboard.
        is_new: Whether it is to be typed twice.

    Raises:
        PortError: It cannot be read, or there is no keyboard.
    """
    if file is not None:
        return read_text(file, "the passphrase")
    if not has_keyboard():
        raise PortError("there is no keyboard to type a passphrase at; use --passphrase-file FILE")
    if is_new:
        click.echo(_ADVICE, err=True)
    typed: str = click.prompt(
        "New passphrase" if is_new else "Passphrase",
        hide_input=True,
        confirmation_prompt="Once more" if is_new else False,
        err=True,
    )
    return typed
