"""Both oracles: over all nodes, which nothing is above, and over the honest alone."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from gossip.sim import scenario as scenarios
from gossip.sim.liar import Liar, Lie
from gossip.sim.scenario import Scenario, simulate
from tests.gossip.sim.places import place, traces
from tests.gossip.worlds import part

if TYPE_CHECKING:
    from gossip.sim.report import Report, Spread
    from gossip.sim.trace import Trace

LINE = place(3, *((at, at + 50, a, a + 1) for at in (0, 100, 200, 300) for a in range(2)))

scenarios_drawn = st.builds(
    Scenario,
    seed=st.integers(0, 1 << 32),
    posts=st.just(8),
    mail=st.just(8),
    rate=st.sampled_from([None, 200.0, 5_000.0]),
    latency=st.sampled_from([0.0, 0.5]),
    follows=st.sampled_from([None, 1, 3]),
    strangers=st.booleans(),
    churn=st.booleans(),
    liars=st.integers(0, 4),
)


def ratios(report: Report) -> list[tuple[float | None, float]]:
    """Return each ratio to what all nodes can do, and what that is."""
    spreads = [spread for spread in (report.posts, report.mail) if spread is not None]
    return [(one, spread.oracle[age]) for spread in spreads for age, one in spread.ratios.items()]


@part(2)
@given(traces(6, 24), scenarios_drawn)
def test_nothing_is_above_what_all_nodes_can_do(trace: Trace, asked: Scenario) -> None:
    report = simulate(trace, asked)
    assert all(one is None or one <= 1 for one, _ in ratios(report))
    spreads = [report.posts] if report.mail is None else [report.posts, report.mail]
    for spread in spreads:
        pairs = zip(spread.oracle_honest.values(), spread.oracle.values(), strict=True)
        assert all(honest <= most for honest, most in pairs)
        assert report.liars or spread.oracle_honest == spread.oracle
        assert all(not spread.delivery[age] for age, most in spread.oracle.items() if not most)
    event(f"liars brought more than the honest can: {any(map(is_above_the_honest, spreads))}")


def is_above_the_honest(spread: Spread) -> bool:
    return any(spread.delivery[age] > spread.oracle_honest[age] for age in spread.delivery)


SEED = next(seed for seed in count() if Random(f"{seed}/liars").sample(range(3), 1) == [1])
"""With which it is the one in the middle of ``LINE`` who lies."""


@pytest.mark.parametrize("lie", Lie)
def test_a_liar_carries_what_he_does_not_spoil(monkeypatch: pytest.MonkeyPatch, lie: Lie) -> None:
    """Both ends meet nobody else; who forges signatures still passes letters on."""
    monkeypatch.setattr(scenarios, "Liar", lambda _, dice: Liar(lie, dice))
    report = simulate(LINE, Scenario(seed=SEED, posts=6, mail=6, liars=1))
    assert report.mail is not None
    assert lie is not Lie.FORGES or report.posts.delivery["end"] == 0
    assert lie is not Lie.ALTERS or report.posts.delivery["end"] > 0
    assert report.mail.delivery["end"] > 0
    for spread in (report.posts, report.mail):
        assert spread.oracle["end"] == 1
        assert spread.oracle_honest["end"] == 0
        assert spread.ratios["end"] == spread.delivery["end"]
        assert spread.ratios_honest["end"] is None
