"""``lock``, ``unlock`` and ``wipe``: who may use the keys of this home, and an end to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call, run
from mesh.cli.frame import Command
from mesh.cli.passphrase import has_keyboard, passphrase_option, read_passphrase
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.rows import WhoAmI

_DIGITS: Final = 8


@click.command(cls=Command)
@passphrase_option
@click.option("--new-passphrase", "new", is_flag=True, help="Change the passphrase, then lock.")
@pass_call
def lock(call: Call, file: str | None, new: bool) -> None:
    """Lock this home: it only carries, until its passphrase is given.

    The first time a passphrase is set. Nobody can tell it to you again; then only your 24 words
    bring you back, on a new device.
    """
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.direct import has_passphrase  # noqa: PLC0415

    is_asked = new or file is not None or not has_passphrase(call.home)
    given = read_passphrase(file, is_new=True) if is_asked else None
    call.ask(lambda port, _: port.lock(given, new=new), "locking")
    said = "the home is locked; passalong unlock opens it"
    call.screen(file).answer({"locked": True, "has_passphrase": True}, Sentence(said))


@click.command(cls=Command)
@passphrase_option
@click.option(
    "--forget-passphrase", "forget", is_flag=True, help="Guard the keys with nothing from now on."
)
@pass_call
def unlock(call: Call, file: str | None, forget: bool) -> None:
    """Unlock this home, for the running node or this login.

    Where a node runs, it keeps the key in memory until lock or its end; else this login does.
    """
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.direct import has_passphrase  # noqa: PLC0415

    if not has_passphrase(call.home):
        raise PortError("this home has no passphrase, so nothing is locked; set one with lock")
    given = read_passphrase(file)
    call.ask(lambda port, _: port.unlock(given, forget=forget), "unlocking")
    said = "nothing guards the keys any longer" if forget else "the home is unlocked"
    call.screen(file).answer({"locked": False, "has_passphrase": not forget}, Sentence(said))


@click.command(cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_call
def wipe(call: Call, yes: bool) -> None:
    """Destroy the keys of this home, then all that is in it. Nothing brings it back.

    Your 24 words make you a new device; what others carry of your posts comes back with it.
    """
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.opening import wipe_home  # noqa: PLC0415

    if not yes:
        _confirm(call)
    left = run(lambda _: wipe_home(call.home), "wiping")
    said = [Sentence("the keys are destroyed, and the home is gone")]
    if left:
        said.append(Sentence(f"not ours, and still there: {', '.join(left)}", "yellow"))
    call.screen().answer({"wiped": True, "left": left}, *said)


def _confirm(call: Call) -> None:
    if not has_keyboard():
        raise PortError("nobody is there to be asked; use --yes")
    try:
        me = call.ask(lambda port, _: port.whoami(), "opening the home")
    except PortError as exc:
        raise PortError(f"{exc}; to wipe it all the same use --yes") from exc
    digits = me.person.hex()[:_DIGITS]
    asked = f"{me.name} or {digits}" if me.name else digits
    typed: str = click.prompt(f"This cannot be undone. Type {asked}", err=True)
    if not _is_meant(typed.strip(), me):
        raise PortError("that is not it; nothing was wiped")


def _is_meant(typed: str, me: WhoAmI) -> bool:
    is_key = len(typed) >= _DIGITS and me.person.hex().startswith(typed.lower())
    return is_key or typed == me.name
