"""``simulate``: the engine among many people, in made-up time."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import click

from mesh.cli.call import Call, pass_call
from mesh.cli.frame import Command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mesh.cli.parts import Part
    from mesh.port import File
    from mesh.simulate import Copies, Simulated, Spread, Town


class _Number(click.FloatRange):
    """A finite number of the range."""

    def convert(  # type: ignore[explicit-override]  # typing has it from 3.12 on
        self,
        value: float,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


NODES: Final = 100
DAYS: Final = 3.0
CONTACTS: Final = 50.0
_SOME: Final = _Number(min=0, min_open=True)
_FROM_ZERO: Final = _Number(min=0)


@click.command(cls=Command)
@click.option(
    "--trace", metavar="FILE", help="Contacts: CSV of start_s,end_s,node_a,node_b; - is input."
)
@click.option(
    "--nodes", type=click.IntRange(2), metavar="N", help=f"People of a made-up city.  [{NODES}]"
)
@click.option("--days", type=_SOME, metavar="D", help=f"How long it lasts.  [{DAYS:g}]")
@click.option("--contacts", type=_SOME, metavar="N", help=f"Of each in a day.  [{CONTACTS:g}]")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="S", help="Decides all dice.")
@click.option(
    "--posts", type=click.IntRange(0, 1_000_000), default=200, show_default=True, metavar="N"
)
@click.option(
    "--follow",
    "follows",
    type=click.IntRange(0),
    metavar="N",
    help="Want N others' posts, not all.",
)
@click.option(
    "--mail", type=click.IntRange(0, 100_000), default=0, metavar="N", help="Send letters."
)
@click.option("--buffer", type=click.IntRange(1), metavar="N", help="Carry up to N for others.")
@click.option(
    "--letter", type=click.IntRange(1, 8_192), default=512, show_default=True, metavar="BYTES"
)
@click.option("--setup", type=_FROM_ZERO, default=5.0, show_default=True, metavar="S")
@click.option("--cut", type=_SOME, metavar="S", help="Contacts end S seconds after set-up.")
@click.option("--rate", type=_SOME, metavar="B", help="Bytes a second; without it any number.")
@click.option("--latency", type=_FROM_ZERO, default=0.0, show_default=True, metavar="S")
@click.option("--radio", is_flag=True, help="A node's links share --rate, by turns.")
@click.option("--strangers", is_flag=True, help="Nobody recognises anybody.")
@click.option("--churn", is_flag=True, help="Nodes are switched off now and then.")
@click.option("--crashes", is_flag=True, help="They crash, and lose what was not safe yet.")
@click.option("--liars", type=click.IntRange(0), default=0, metavar="N", help="So many lie.")
@click.option("--clocks", is_flag=True, help="All clocks are wrong, by years.")
@click.option("--plot", metavar="FILE.png", help="Draw delivery by age.")
@pass_call
def simulate(call: Call, /, **given: Any) -> None:  # noqa: ANN401  click checked each
    """Play many nodes, and what is best possible."""
    from mesh.cli.waiting import waiting  # noqa: PLC0415
    from mesh.simulate import Conditions, run_simulation  # noqa: PLC0415

    if given["radio"] and given["rate"] is None:
        raise click.UsageError("--radio shares a rate; give --rate as well")
    place = _place(*(given.pop(name) for name in ("trace", "nodes", "days", "contacts")))
    picture = _picture(given.pop("plot"))
    conditions = Conditions(**given)
    with waiting("simulating") as progress:
        done = run_simulation(place, conditions, progress)
    if picture is not None:
        from mesh.cli.plot import draw_plot  # noqa: PLC0415

        draw_plot(done, picture)
    call.screen().answer(done, *_told(done, picture))


def _place(
    trace: str | None, nodes: int | None, days: float | None, contacts: float | None
) -> File | Town:
    from mesh.cli.streams import source  # noqa: PLC0415
    from mesh.simulate import Town  # noqa: PLC0415

    if trace is None:
        return Town(nodes or NODES, days or DAYS, contacts or CONTACTS)
    if (nodes, days, contacts) != (None, None, None):
        raise click.UsageError("a trace says itself who meets when; drop --trace or the others")
    return source(trace)


def _picture(plot: str | None) -> Path | None:
    if plot is None:
        return None
    from mesh.cli.plot import check_plot  # noqa: PLC0415

    return check_plot(plot)


def _told(done: Simulated, picture: Path | None) -> list[Part]:
    from mesh.cli.parts import Sentence  # noqa: PLC0415
    from mesh.cli.wording import counted, size_text  # noqa: PLC0415

    whole, later = done.traffic, done.after_first_meeting
    parts: list[Part] = [
        Sentence(
            f"{counted(done.nodes, 'node')}, {counted(done.contacts, 'contact')} in"
            f" {done.days:.1f} days",
            "bold",
        ),
        *_spread(done.posts, "post", "every reader", with_liars=done.liars > 0),
        *_letters(done),
        Sentence(
            f"On air: {size_text(whole.bytes_on_air)} in {counted(whole.meetings, 'meeting')},"
            f" {_factor(whole.bytes_per_useful_byte)} what was of use,"
            f" {_factor(later.bytes_per_useful_byte)} after the first meeting of each pair."
        ),
        Sentence(f"{_received(done.copies)} Computed in {done.seconds:.1f} s.", "dim"),
    ]
    return parts if picture is None else [*parts, Sentence(f"Drawn in {picture}")]


def _letters(done: Simulated) -> list[Part]:
    if done.mail is None:
        return []
    return _spread(done.mail, "letter", "its reader", with_liars=done.liars > 0)


def _spread(spread: Spread, what: str, to: str, *, with_liars: bool) -> list[Part]:
    from mesh.cli.parts import Sentence, Sheet  # noqa: PLC0415
    from mesh.cli.wording import counted  # noqa: PLC0415

    if not spread.messages:
        return []
    columns = ["age", "delivered", "possible", "of that"]
    shares: list[Mapping[str, float | None]] = [spread.delivery, spread.oracle, spread.ratios]
    if with_liars:
        columns += ["without liars", "of this"]
        shares += [spread.oracle_honest, spread.ratios_honest]
    rows = [(age, *(_percent(share[age]) for share in shares)) for age in spread.delivery]
    title = Sentence(f"{counted(spread.messages, what)}, each to {to}:")
    return [title, Sheet(columns, rows, right=columns[1:])]


def _received(copies: Copies) -> str:
    said = []
    if copies.per_delivery is not None:
        said.append(f"Each new block was received {_factor(copies.per_delivery)}.")
    if copies.per_letter is not None:
        said.append(f"Each letter went over {_factor(copies.per_letter)}.")
    return " ".join(said)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _factor(times: float | None) -> str:
    return "no times" if times is None else f"{times:.2f} times"
