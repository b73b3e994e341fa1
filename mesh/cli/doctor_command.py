"""``doctor``: whether this machine and this home are fit; works without a home."""

from __future__ import annotations

import sys
from typing import Final

import click

from mesh.cli.call import Call, pass_call, run
from mesh.cli.frame import Command
from mesh.port import PortError

_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(cls=Command)
@pass_call
def doctor(call: Call) -> None:
    """Look at this machine and this home, and say what is in the way."""
    from mesh.cli.clock import now_ms  # noqa: PLC0415
    from mesh.cli.parts import Cell, Sheet  # noqa: PLC0415
    from mesh.doctor import examine  # noqa: PLC0415

    encoding = getattr(sys.stdout, "encoding", None) or "none"
    rows = run(lambda _: examine(call.home.absolute(), now_ms(), encoding), "looking around")
    failed = [row for row in rows if row.state == "fail"]
    lines = [
        (Cell(row.state, _STYLES[row.state]), row.name, row.detail, row.advice) for row in rows
    ]
    sheet = Sheet(("", "what", "found", "what to do"), lines, fold="found")
    call.screen().answer({"ok": not failed, "checks": rows}, sheet)
    if failed:
        raise PortError(f"{failed[0].name}: {failed[0].detail}; {failed[0].advice}")
