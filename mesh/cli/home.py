"""``init``, ``restore`` and ``whoami``: a person, their device, and the folder it lives in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call, run
from mesh.cli.frame import Command
from mesh.cli.passphrase import passphrase_option, read_passphrase
from mesh.cli.streams import read_text
from mesh.cli.values import utf8
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Part
    from mesh.direct import NewHome
    from mesh.rows import WhoAmI

_NUMBERING: Final = re.compile(r"\d+[.):]?")
_ONCE: Final = "These 24 words are shown once. Write them on paper, in this order, and keep it."
_WHY: Final = "They bring you back on a new device. Whoever reads them can be you."


_LOCKED: Final = "The home is locked; next: passalong unlock"

name_option = click.option("--name", type=utf8, metavar="NAME", help="What others see you as.")


@click.command(cls=Command)
@name_option
@passphrase_option
@pass_call
def init(call: Call, name: str | None, file: str | None) -> None:
    """Make a person and a home for this device.

    Shows 24 recovery words, once: they alone bring the person back. With a passphrase the keys
    never lie open on the disk; without one, lock sets it later.
    """
    from mesh.direct import init_home  # noqa: PLC0415

    if not call.screen(file).exists:
        raise PortError("the recovery words must be seen; run init with standard output open")
    given = None if file is None else read_passphrase(file)
    new = run(lambda _: init_home(call.home, name, passphrase=given), "making a home")
    _hand_over(call, new, file)


def _hand_over(call: Call, new: NewHome, file: str | None) -> None:
    from mesh.direct import confirm_words  # noqa: PLC0415

    said = {"person": new.person, "device": new.device, "name": new.name, "words": new.words}
    try:
        call.screen(file).answer(said, *_welcome(call, new, is_locked=file is not None))
    except (OSError, PortError) as exc:
        raise PortError("the recovery words could not be shown; run init again") from exc
    run(lambda _: confirm_words(call.home), "finishing the home")


def _welcome(call: Call, new: NewHome, *, is_locked: bool) -> list[Part]:
    from mesh.cli.parts import Facts, Sentence  # noqa: PLC0415
    from mesh.cli.words import Words  # noqa: PLC0415

    rows = [("person", new.person.hex()), ("device", new.device.hex())]
    rows += [("name", new.name)] if new.name else []
    again = [Sentence("An earlier init was interrupted: these are its words.")]
    return [
        Facts("a new home", [*rows, ("home", str(call.home.absolute()))]),
        *(again if new.resumed else []),
        Sentence(_ONCE, "bold yellow"),
        Words(new.words),
        Sentence(_WHY, "dim"),
        Sentence(_LOCKED if is_locked else 'Next: passalong post "..."', "dim"),
    ]


@click.command(cls=Command)
@click.option(
    "--words-file",
    "words_file",
    required=True,
    metavar="FILE",
    help="Where the 24 words stand; - is standard input.",
)
@name_option
@pass_call
def restore(call: Call, words_file: str, name: str | None) -> None:
    """Be the person of your 24 words, on a new device."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.direct import restore_home  # noqa: PLC0415

    words = _NUMBERING.sub(" ", read_text(words_file, "the file of words"))
    me = run(lambda _: restore_home(call.home, words, name), "restoring")
    said = {"person": me.person, "device": me.device, "name": me.name, "link": me.link}
    news = "Import a bundle or meet someone to get your posts back."
    call.screen(words_file).answer(said, _identity(call, me), Sentence(news, "dim"))


@click.command(cls=Command)
@pass_call
def whoami(call: Call) -> None:
    """Show your keys and the link that others add you by."""
    from mesh.cli.parts import Copyable  # noqa: PLC0415
    from mesh.cli.qr import QrCode  # noqa: PLC0415

    me = call.ask(lambda port, _: port.whoami(), "opening the home")
    screen = call.screen()
    code = [QrCode(me.link.upper())] if screen.is_drawn else []
    screen.answer(me, _identity(call, me), *code, Copyable("link", me.link))


def _identity(call: Call, me: WhoAmI) -> Part:
    from mesh.cli.parts import Facts  # noqa: PLC0415

    name = me.name or "none; others see your key"
    rows = [("person", me.person.hex()), ("device", me.device.hex()), ("name", name)]
    return Facts("this device", [*rows, ("home", str(call.home.absolute()))])
