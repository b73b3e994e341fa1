"""A picture of a simulation; matplotlib is loaded here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mesh.port import PortError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mesh.simulate import Simulated, Spread

_INSTALL: Final = (
    "a plot needs matplotlib, which is not installed; run: pip install 'passalong[plot]'"
)
FORMATS: Final = (".png", ".svg", ".pdf")


def check_plot(name: str) -> Path:
    """Return the path of a plot that can be drawn, before anything is computed for it.

    Raises:
        PortError: matplotlib is not installed, or ``name`` is of no format it is asked for.
    """
    path = Path(name)
    if path.suffix.lower() not in FORMATS:
        raise PortError(f"{name} does not end in {', '.join(FORMATS)}; name the plot so")
    if not path.parent.is_dir():
        raise PortError(f"{path.parent} is no folder; make it first")
    _figure()
    return path


def _figure() -> type[Figure]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise PortError(_INSTALL) from exc
    return Figure


def draw_plot(done: Simulated, path: Path) -> None:
    """Draw delivery by age, the engine's and the oracle's, of posts and of letters, into ``path``.

    Raises:
        PortError: It cannot be written.
    """
    spreads = [("posts", done.posts), ("letters", done.mail)]
    drawn = [(what, spread) for what, spread in spreads if spread is not None and spread.messages]
    drawn = drawn or [("posts", done.posts)]
    figure = _figure()(figsize=(1 + 5.5 * len(drawn), 4.5), layout="constrained")
    for at, (what, spread) in enumerate(drawn, 1):
        axes = figure.add_subplot(1, len(drawn), at)
        for name, shares, width in _lines(spread, with_liars=done.liars > 0):
            percents = [100 * share for share in shares.values()]
            axes.plot(list(shares), percents, linewidth=width, marker="o", label=name)
        axes.set_xlabel("age")
        axes.set_ylabel("delivered, %")
        axes.set_ylim(0, 105)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
        axes.set_title(f"{spread.messages:,} {what}")
    where = f"{done.nodes:,} nodes, {done.contacts:,} contacts, {done.days:.1f} days"
    figure.suptitle(where)
    try:
        figure.savefig(path, dpi=110)
    except OSError as exc:
        raise PortError(f"{path} cannot be written: {exc.strerror}; name another file") from exc


def _lines(spread: Spread, *, with_liars: bool) -> list[tuple[str, dict[str, float], float]]:
    """Return what is drawn: its name, shares by age, and width of the line."""
    honest = [("oracle without liars", spread.oracle_honest, 3.0)] if with_liars else []
    return [("oracle", spread.oracle, 5.0), *honest, ("engine", spread.delivery, 1.5)]
