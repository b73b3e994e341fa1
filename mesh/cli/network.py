"""``status``, ``peers``, ``sync`` and ``contact``: the node among others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command, Group, person
from mesh.cli.values import utf8
from mesh.port import PortError

if TYPE_CHECKING:
    from mesh.cli.parts import Cell, Sheet
    from mesh.rows import PeerRow, Status, Synced, TransportRow

_STATES: Final = {"equal": "green", "syncing": "yellow", "greeting": "dim"}


@click.command(cls=Command)
@pass_call
def status(call: Call) -> None:
    """Say how the node is."""
    from mesh.cli.parts import Facts  # noqa: PLC0415

    now = call.ask(lambda port, _: port.status(), "looking")
    call.screen().answer(now, Facts("this node", facts_of(now)))


def facts_of(now: Status) -> list[tuple[str, str | Cell]]:
    """Return what a person wants to know of a node, by name."""
    from mesh.cli.parts import Cell  # noqa: PLC0415
    from mesh.cli.wording import counted, key_text, size_text  # noqa: PLC0415

    running = "no; start it with passalong run"
    if now.running_s is not None:
        running = f"for {_span(now.running_s)}, {counted(now.peers, 'peer')}"
    keys = "guarded by a passphrase" if now.has_passphrase else "not guarded by a passphrase"
    held = f"{size_text(now.held_bytes)} in {counted(now.logs, 'log')}"
    mail = f"{counted(now.envelopes, 'envelope')}, {size_text(now.mail_bytes)}"
    return [
        ("name", now.name or "none; others see your key"),
        ("person", key_text(now.person)),
        ("running", Cell(running, "green" if now.running else "yellow")),
        *((one.name, _transport(one)) for one in now.transports),
        ("holds", f"{held}, of {size_text(now.cap_bytes)} at most"),
        ("carries", mail),
        ("keys", f"{'locked, ' if now.locked else ''}{keys}"),
    ]


def _transport(one: TransportRow) -> Cell:
    from mesh.cli.parts import Cell  # noqa: PLC0415

    if one.port is not None:
        return Cell(f"{one.state} on port {one.port}", "green")
    return Cell(f"{one.state}: {one.problem}" if one.problem else one.state, "yellow")


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@click.command(cls=Command)
@click.option("--watch", is_flag=True, help="Stay and show every change, until Ctrl-C.")
@pass_call
def peers(call: Call, watch: bool) -> None:
    """Show the devices this node is linked with."""
    if watch:
        from mesh.cli.watching import watch_peers  # noqa: PLC0415

        watch_peers(call)
        return
    rows = call.ask(lambda port, _: port.peers(), "asking around")
    call.screen().answer(rows, peers_sheet(rows))


def peers_sheet(rows: list[PeerRow]) -> Sheet:
    """Return the table of peers."""
    from mesh.cli.parts import Sheet  # noqa: PLC0415

    columns = ("who", "device", "link", "received", "sent", "latency", "state")
    empty = "Nobody is linked with this node. passalong sync HOST:PORT meets somebody."
    right = ("received", "sent", "latency")
    return Sheet(columns, [_peer(row) for row in rows], empty, right, fold="link")


def _peer(row: PeerRow) -> list[str | Cell]:
    from mesh.cli.parts import Cell  # noqa: PLC0415
    from mesh.cli.wording import id_text  # noqa: PLC0415

    who = Cell("somebody", "dim")
    if row.person is not None:
        who = Cell(row.name or id_text(row.person), "bold")
    return [
        who,
        Cell("" if row.device is None else id_text(row.device), "cyan"),
        f"{row.transport} {row.address or ''}".rstrip(),
        f"{_span(row.last_received_s)} ago",
        f"{_span(row.last_sent_s)} ago",
        "?" if row.latency_ms is None else f"{row.latency_ms} ms",
        Cell(row.state, _STATES.get(row.state, "")),
    ]


@click.command(cls=Command)
@click.argument("address", type=utf8, metavar="HOST:PORT")
@pass_call
def sync(call: Call, address: str) -> None:
    """Meet whoever listens at an address, now."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted  # noqa: PLC0415

    done = call.ask(lambda port, progress: port.sync(address, progress=progress), "meeting")
    if not done.complete:
        came = counted(done.received, "block")
        raise PortError(f"{came} came, then {done.problem or 'the meeting was stopped'}")
    call.screen().answer(done, Sentence(_what_came(done)))


def _what_came(done: Synced) -> str:
    from mesh.cli.wording import counted, key_text, size_text  # noqa: PLC0415

    whom = "somebody" if done.person is None else key_text(done.person)
    came = f"{counted(done.received, 'block')} came, {done.sent:,} went"
    carried = f"{size_text(done.bytes_in)} in, {size_text(done.bytes_out)} out"
    return f"met {whom}: {came} ({carried}, {done.seconds:.1f} s)"


@click.group(cls=Group)
def contact() -> None:
    """Add and remove people whose devices you recognise."""


@contact.command()
@click.argument("link", type=utf8, metavar="LINK")
@pass_call
def add(call: Call, link: str) -> None:
    """Add the person of a passalong: link, and follow them."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.add_contact(link), "adding")
    text = f"you added {row.name or row.person.hex()[:16]}; once they add you, you recognise"
    call.screen().answer(row, Sentence(f"{text} each other when you meet"))


@contact.command()
@person
@pass_call
def remove(call: Call, person: str) -> None:
    """Recognise a person no longer; you still follow them."""
    from mesh.cli.parts import Sentence  # noqa: PLC0415

    row = call.ask(lambda port, _: port.remove_contact(person), "removing")
    call.screen().answer(row, Sentence(f"removed {row.name or row.person.hex()[:16]}"))
