"""Commands and groups that take ``--home``, ``--json`` and ``-v`` wherever a person puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mesh.cli.call import Call
from mesh.cli.values import folder, utf8

if TYPE_CHECKING:
    from pathlib import Path


def _set_home(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Call).folder = value


def _set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Call).json |= value


def _add_verbosity(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    ctx.ensure_object(Call).verbosity += value


def _everywhere() -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"],
            type=folder,
            metavar="DIR",
            expose_value=False,
            callback=_set_home,
            help="Home folder.  [default: $PASSALONG_HOME, else the user's data folder]",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_set_json,
            help="Answer with one JSON document.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_add_verbosity,
            help="-vv: show where a failure came from.",
        ),
    ]


class Command(click.Command):
    """A command with the options that every command has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  click's own, passed on
        super().__init__(*args, **kwargs)
        self.params.extend(_everywhere())


class Group(click.Group):
    """A group of such commands; without one of them it is wrong usage."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  click's own, passed on
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})
        self.params.extend(_everywhere())

    def list_commands(  # type: ignore[explicit-override]  # typing has it from 3.12 on
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
    ) -> list[str]:
        """Return the names in the order in which a person needs them."""
        return list(self.commands)


person = click.argument("person", type=utf8, metavar="PERSON")
"""A key in hex, 8 digits of it or more, a contact's name, or a link."""
