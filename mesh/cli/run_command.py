"""``run``: the node, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command
from mesh.cli.values import utf8

if TYPE_CHECKING:
    from mesh.daemon import Options
    from mesh.rows import Status

_VERBOSE: Final = ("WARNING", "INFO", "DEBUG")


@click.command(cls=Command)
@click.option("--no-wifi", is_flag=True, help="Let nobody in over the network.")
@click.option("--no-udp", is_flag=True, expose_value=False, hidden=True)  # there is none yet
@click.option("--no-ble", is_flag=True, expose_value=False, hidden=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help="TCP port to listen on; 0 for any.  [default: port of config.toml]",
)
@click.option(
    "--connect",
    multiple=True,
    type=utf8,
    metavar="HOST:PORT",
    help="Keep in touch with whoever is there; may be given several times.",
)
@pass_call
def run(call: Call, no_wifi: bool, port: int | None, connect: tuple[str, ...]) -> None:
    """Run the node: meet others, carry, and answer the other commands."""
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from mesh.daemon import Options  # noqa: PLC0415

    logging.basicConfig(
        level=_VERBOSE[min(call.verbosity, 2)], format="%(asctime)s %(levelname)s %(message)s"
    )
    for name in ("asyncio", "aiosqlite"):
        logging.getLogger(name).setLevel(logging.WARNING)
    asyncio.run(_run(call, Options(port=port, wifi=not no_wifi, connect=connect)))


async def _run(call: Call, options: Options) -> None:
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from mesh.daemon import run_node  # noqa: PLC0415
    from mesh.direct import real_world  # noqa: PLC0415

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, told.set)
    async with run_node(call.home, real_world(), options) as port:
        port.stopping = told.set
        _say(call, await port.status())
        await told.wait()


def _say(call: Call, now: Status) -> None:
    from mesh.cli.network import facts_of  # noqa: PLC0415
    from mesh.cli.parts import Facts, Sentence  # noqa: PLC0415

    end = Sentence("Ctrl-C stops it.", "dim")
    call.screen().answer(now, Facts("the node runs", facts_of(now)), end)
