"""All commands under ``passalong``."""

from __future__ import annotations

import click

from mesh import __version__
from mesh.cli.bundle import bundle
from mesh.cli.demo_command import demo
from mesh.cli.doctor_command import doctor
from mesh.cli.frame import Group
from mesh.cli.home import init, restore, whoami
from mesh.cli.network import contact, peers, status, sync
from mesh.cli.run_command import run
from mesh.cli.simulate_command import simulate
from mesh.cli.social import (
    block,
    contacts,
    feed,
    follow,
    mute,
    post,
    unblock,
    unfollow,
    unmute,
)
from mesh.cli.store import check, log
from mesh.cli.vault import lock, unlock, wipe


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="passalong", message="%(prog)s %(version)s")
def passalong() -> None:
    """Write on your own device; let it travel by whoever happens to pass."""


for command in (
    init,
    restore,
    whoami,
    post,
    feed,
    follow,
    unfollow,
    mute,
    unmute,
    block,
    unblock,
    contacts,
    contact,
    run,
    status,
    peers,
    sync,
    bundle,
    log,
    check,
    lock,
    unlock,
    wipe,
    doctor,
    demo,
    simulate,
):
    passalong.add_command(command)
